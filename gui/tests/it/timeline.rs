//! A long timeline: it stays in place while it is read, and pages backwards.

use std::sync::Arc;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::Command;
use lanyard_gui::testing::demo;
use lanyard_node::ChatMessage;

use crate::stage::{NOW_MS, Stage};

fn long_history(count: u32) -> Vec<Arc<ChatMessage>> {
    let start = NOW_MS - u64::from(count) * 60_000;
    let text = |n: u32| match n % 5 {
        0 => format!("line {n} {}", "with many more words than fit ".repeat(8)),
        1 => format!("line {n}\nwith\nthree rows"),
        _ => format!("line {n}"),
    };
    let at = |n: u32| start + u64::from(n) * 60_000;
    (0..count).map(|n| Arc::new(demo::message(1 + n as usize % 3, n, &text(n), at(n)))).collect()
}

fn stage(count: u32) -> Stage {
    Stage::inside_with(demo::status(NOW_MS, &[0, 1, 2, 3]), |script| {
        script.history = long_history(count);
    })
}

fn loads(stage: &Stage) -> usize {
    let script = stage.backend.script();
    script.commands.iter().filter(|command| matches!(command, Command::Load { .. })).count()
}

#[test]
fn the_newest_message_is_in_sight_and_stays_so() {
    let mut stage = stage(300);
    assert!(stage.shows("line 299"));
    stage.node(|node| node.deliver(demo::message(1, 1_000, "brand new", NOW_MS)));
    let new = stage.harness.get_by_label("brand new").rect();
    let composer = stage.harness.get_by_label("Message").rect();
    assert!(new.bottom() < composer.top());
}

#[test]
fn a_reader_further_up_sees_a_count_and_stays_there() {
    let mut stage = stage(300);
    stage.press(Key::PageUp);
    stage.press(Key::PageUp);
    let place = |stage: &Stage| {
        let labels = stage.labels();
        let seen = labels.iter().find(|label| label.starts_with("line ")).unwrap().clone();
        let top = stage.harness.get_by_label(&seen).rect().top();
        (seen, top)
    };
    let before = place(&stage);
    stage.node(|node| {
        node.deliver(demo::message(1, 1_000, "news", NOW_MS));
        node.deliver(demo::message(2, 1_001, "more news", NOW_MS + 1));
    });
    assert_eq!(place(&stage), before);
    assert!(!stage.shows("news"));
    stage.click("2 new");
    assert!(stage.shows("more news"));
    assert!(!stage.shows("Jump to newest"));
}

#[test]
fn late_messages_above_do_not_move_the_line_being_read() {
    let mut stage = stage(300);
    for _ in 0..3 {
        stage.press(Key::PageUp);
    }
    let labels = stage.labels();
    let seen = labels.iter().find(|label| label.starts_with("line ")).unwrap().clone();
    let before = stage.harness.get_by_label(&seen).rect().top();
    stage.node(|node| {
        for n in 0..20 {
            let long_ago = NOW_MS - 199 * 60_000 + u64::from(n);
            node.deliver(demo::message(3, 2_000 + n, "late", long_ago));
        }
    });
    let after = stage.harness.get_by_label(&seen).rect().top();
    assert!((before - after).abs() < 1.5, "moved from {before} to {after}");
}

#[test]
fn scrolling_up_pages_backwards_to_the_very_first_message() {
    let mut stage = stage(700);
    let at_start = loads(&stage);
    for _ in 0..8 {
        stage.press_with(Modifiers::COMMAND, Key::Home);
        if stage.shows_part("line 0 ") {
            break;
        }
    }
    assert!(stage.shows_part("line 0 "), "the first message");
    assert_eq!(loads(&stage) - at_start, 3, "700 messages in pages of 200");
    stage.press_with(Modifiers::COMMAND, Key::End);
    assert!(stage.shows("line 699"));
}

#[test]
fn only_what_is_in_sight_is_drawn() {
    let stage = stage(200);
    let drawn = stage.labels().iter().filter(|label| label.starts_with("line ")).count();
    assert!(drawn < 40, "{drawn} messages drawn");
}

//! Unread messages: a room opens where reading stopped, and what has been on screen is read.

use std::sync::Arc;

use eframe::egui::Key;
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::Command;
use lanyard_gui::testing::demo;
use lanyard_node::{ChatMessage, Status, Via};
use lanyard_protocol::ids::{MessageId, Role};

use crate::stage::{NOW_MS, Stage};

fn two_rooms() -> Status {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    status
}

fn line(room: &str, number: u32) -> ChatMessage {
    let sent_at = NOW_MS - 1_000_000 + u64::from(number);
    let mut message = demo::message(1, number, &format!("line {number}"), sent_at);
    message.room = room.into();
    message
}

fn unread(stage: &Stage, room: &str) -> u64 {
    stage.harness.state().model.chat().unwrap().rooms[room].unread
}

fn marks(stage: &Stage) -> Vec<MessageId> {
    let script = stage.backend.script();
    let marks = script.commands.iter().filter_map(|command| match command {
        Command::MarkRead { id, .. } => Some(*id),
        _ => None,
    });
    marks.collect()
}

/// In a lobby whose last lines are unread.
fn coming_back(count: u32, unread: u32) -> Stage {
    let history: Vec<_> = (0..count).map(|number| Arc::new(line("lobby", number))).collect();
    let read = history[(count - unread - 1) as usize].id;
    Stage::inside_with(two_rooms(), |script| {
        script.history = history;
        script.unread = (Some(read), unread.into());
    })
}

#[test]
fn a_room_with_much_unread_opens_at_the_new_line() {
    let mut stage = Stage::inside_with(two_rooms(), |_| {});
    stage.node(|node| (0..60).for_each(|number| node.deliver(line("hardware", number))));
    stage.click("# hardware, 60 unread");
    assert!(stage.shows("New") && stage.shows("line 0"), "{:?}", stage.labels());
    assert!(!stage.shows("line 59"));
    let left = unread(&stage, "hardware");
    assert!((20..60).contains(&left), "{left} unread: those below the window");
    assert!(stage.shows(&format!("{left} new")));
}

#[test]
fn only_what_has_been_on_screen_is_read() {
    let mut stage = coming_back(100, 60);
    assert!(stage.shows("New") && stage.shows("line 39") && stage.shows("line 40"));
    let last_read = *marks(&stage).last().unwrap();
    let shown = (0..100).filter(|number| stage.shows(&format!("line {number}"))).max().unwrap();
    let on_screen = [shown, shown - 1].map(|number| line("lobby", number).id);
    assert!(on_screen.contains(&last_read), "line {shown} is the last on screen");
    let before = unread(&stage, "lobby");
    stage.press(Key::PageDown);
    assert!(unread(&stage, "lobby") < before);
    stage.press(Key::Escape);
    assert_eq!(unread(&stage, "lobby"), 0);
    assert_eq!(marks(&stage).last(), Some(&line("lobby", 99).id));
}

#[test]
fn what_is_left_unread_keeps_its_line() {
    let mut stage = coming_back(100, 60);
    let left = u32::try_from(unread(&stage, "lobby")).unwrap();
    stage.click("# hardware");
    stage.click(&format!("# lobby, {left} unread"));
    let top = |label: &str| stage.harness.get_by_label(label).rect().top();
    assert!(top(&format!("line {}", 99 - left)) < top("New"));
    assert!(top("New") < top(&format!("line {}", 100 - left)));
}

#[test]
fn the_new_line_is_found_beyond_the_first_page_of_history() {
    let stage = coming_back(900, 700);
    let top = |label: &str| stage.harness.get_by_label(label).rect().top();
    assert!(top("line 199") < top("New") && top("New") < top("line 200"));
    assert!(unread(&stage, "lobby") > 650);
}

#[test]
fn looking_away_and_back_leads_to_the_new_line() {
    let mut stage = coming_back(100, 1);
    assert_eq!(unread(&stage, "lobby"), 0);
    stage.harness.input_mut().focused = false;
    stage.node(|node| (100..160).for_each(|number| node.deliver(line("lobby", number))));
    assert_eq!(unread(&stage, "lobby"), 60);
    stage.harness.input_mut().focused = true;
    stage.pass_ms(1);
    assert!(stage.shows("New") && stage.shows("line 100") && !stage.shows("line 159"));
    assert!(unread(&stage, "lobby") > 20);
}

#[test]
fn a_late_message_above_what_is_read_does_not_stay_unread() {
    let mut stage = coming_back(100, 1);
    stage.harness.input_mut().focused = false;
    let mut late = line("lobby", 500);
    late.sent_at = NOW_MS - 2_000_000;
    stage.node(|node| node.deliver(late.clone()));
    assert_eq!(unread(&stage, "lobby"), 1);
    stage.harness.input_mut().focused = true;
    stage.pass_ms(1);
    assert_eq!(unread(&stage, "lobby"), 0);
    assert_eq!(marks(&stage).last(), Some(&late.id), "the store counts by arrival");
}

#[test]
fn missed_messages_do_not_scroll_past() {
    let mut stage = coming_back(100, 1);
    assert_eq!(unread(&stage, "lobby"), 0);
    for part in 0..12 {
        stage.node(|node| {
            for number in 0..5 {
                let mut missed = line("lobby", 100 + part * 5 + number);
                missed.via = Via::Sync;
                node.deliver(missed);
            }
        });
    }
    assert!(stage.shows("New") && stage.shows("line 100") && !stage.shows("line 159"));
    assert!(unread(&stage, "lobby") > 20);
    stage.press(Key::Escape);
    assert!(stage.shows("line 159"));
    stage.node(|node| node.deliver(line("lobby", 200)));
    assert!(stage.shows("line 200"), "what is said now is followed");
    assert_eq!(unread(&stage, "lobby"), 0);
}

#[test]
fn a_newcomer_sees_the_latest_messages() {
    let mut stage = Stage::inside_with(two_rooms(), |_| {});
    stage.node(|node| {
        for number in 0..60 {
            let mut before = line("lobby", number);
            before.via = Via::Sync;
            node.deliver(before);
        }
    });
    assert!(stage.shows("line 59") && !stage.shows("New"));
    assert_eq!(unread(&stage, "lobby"), 0);
}

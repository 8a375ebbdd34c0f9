//! Reading: selecting over several messages, what a link hides, marks, tooltips, and what fonts lack.

use std::sync::Arc;

use egui_kittest::kittest::Queryable as _;
use lanyard_gui::model::EmojiSource;
use lanyard_gui::testing::demo;
use lanyard_node::{ChatMessage, Via};

use crate::stage::{NOW_MS, Stage};

fn with_lines(lines: &[&str]) -> Stage {
    let mut stage = Stage::inside(&[0, 1, 2]);
    stage.node(|node| {
        for (n, line) in (0..).zip(lines) {
            node.deliver(demo::message(2, n, line, NOW_MS - 60_000 + u64::from(n)));
        }
    });
    stage
}

fn drag_over(stage: &mut Stage, first: &str, last: &str) {
    let from = stage.harness.get_by_label(first).rect().left_center();
    let to = stage.harness.get_by_label(last).rect().right_center();
    stage.drag(from, to);
}

#[test]
fn text_is_selected_and_copied_over_several_messages() {
    let mut stage = with_lines(&["first line", "second line", "third line"]);
    drag_over(&mut stage, "first line", "third line");
    let copied = stage.copied();
    let lines: Vec<_> = copied.lines().collect();
    assert_eq!(lines, ["first line", "second line", "third line"]);
}

#[test]
fn a_message_from_right_to_left_is_copied_as_it_was_typed() {
    let text = "שלום (עולם), זה משפט ארוך at 14:00 שנשבר לשתי שורות ".repeat(4);
    let text = text.trim();
    let plain = with_lines(&["before", text, "after"]);
    let shaped = with_lines(&["before", text, "after"]).with_system_fonts();
    for mut stage in std::iter::once(plain).chain(shaped) {
        let rect = stage.harness.get_by_label(text).rect();
        assert!(rect.height() > 30.0, "it wraps: {rect:?}");
        drag_over(&mut stage, "before", "after");
        let copied = stage.copied();
        let lines: Vec<_> = copied.lines().collect();
        assert_eq!(lines, ["before", text, "after"]);
    }
}

#[test]
fn a_link_behind_text_from_right_to_left_is_where_it_is_drawn() {
    use eframe::egui::accesskit::Role;
    let text = "שלום עולם, זה משפט ארוך ".repeat(5) + "https://docs.example.org/a";
    let Some(stage) = with_lines(&[&text]).with_system_fonts() else { return };
    let row = stage.harness.get_by_label(&text).rect();
    let link = stage.harness.get_by_role(Role::Link).rect();
    assert!(row.height() > 30.0, "it wraps: {row:?}");
    // The end of a sentence that runs to the left: at the left of the last line.
    assert!((link.left() - row.left()).abs() < 2.0, "{link:?} in {row:?}");
    assert!((link.bottom() - row.bottom()).abs() < 2.0, "{link:?} in {row:?}");
}

#[test]
fn a_link_says_where_it_really_leads() {
    let trap = "https://bank.example@evil.example/login";
    let mut stage = with_lines(&[trap]);
    let link = stage.harness.get_all_by_label(trap).last().unwrap();
    link.hover();
    stage.harness.run();
    stage.harness.run_steps(8);
    assert!(stage.shows_part("Opens evil.example"), "{:?}", stage.labels());
}

#[test]
fn only_web_and_mail_links_can_be_clicked() {
    use eframe::egui::accesskit::Role;
    let text = "file:///etc/passwd javascript:alert(1) ftp://x.example mailto:a@b.example";
    let stage = with_lines(&[text]);
    let links: Vec<_> = stage.harness.get_all_by_role(Role::Link).collect();
    assert_eq!(links.len(), 1);
}

/// A message that was sent ten minutes ago or earlier and arrives now.
fn late(number: u32) -> ChatMessage {
    let mut late = demo::message(1, number, "old news", NOW_MS - 600_000 + u64::from(number));
    (late.late, late.received_at, late.via) = (true, NOW_MS, Via::Sync);
    late
}

#[test]
fn one_note_stands_above_late_messages() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    stage.node(|node| {
        node.deliver(demo::message(2, 1, "read long ago", NOW_MS - 300_000));
        (1..=3).for_each(|number| node.deliver(late(number)));
    });
    assert!(stage.shows("3 messages arrived late, today 09:21"), "{:?}", stage.labels());
    assert!(stage.shows("moderator, 09:11"), "a header has its time and nothing else");
    assert_eq!(stage.labels().iter().filter(|label| label.contains("arrived late")).count(), 1);
}

#[test]
fn messages_missed_while_away_are_not_late() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    stage.node(|node| {
        node.deliver(demo::message(2, 1, "said right now", NOW_MS));
        (1..=3).for_each(|number| node.deliver(late(number)));
    });
    assert!(stage.shows("old news"));
    assert!(!stage.shows_part("arrived late"), "{:?}", stage.labels());
}

#[test]
fn late_messages_of_the_store_say_so_too() {
    let stage = Stage::inside_with(demo::status(NOW_MS, &[0, 1, 2]), |script| {
        let seen = demo::message(2, 1, "read long ago", NOW_MS - 300_000);
        script.history = [late(1), late(2), seen].map(Arc::new).into();
    });
    assert!(stage.shows("2 messages arrived late, today 09:21"), "{:?}", stage.labels());
}

#[test]
fn a_tab_is_as_wide_as_four_spaces() {
    let stage = with_lines(&["a\tb", "a    b", "a b"]);
    let width = |text: &str| stage.harness.get_by_label(text).rect().width();
    assert!((width("a\tb") - width("a    b")).abs() < 1.0);
    assert!(width("a\tb") > width("a b") + 5.0);
}

#[test]
fn the_roster_shows_username_role_and_since_when() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    stage.hover("Bob");
    assert!(stage.shows_part("@bob"), "{:?}", stage.labels());
    assert!(stage.shows_part("member, here since today 08:21"));
}

#[test]
fn the_settings_say_where_emoji_come_from_and_what_no_font_has() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Settings");
    assert!(stage.shows_part("Emoji are in one colour, from Lanyard's own font."));
    assert!(!stage.shows_part("No font on this computer"));
    let model = &mut stage.harness.state_mut().model;
    model.emoji = EmojiSource::Colour("Noto Color Emoji".into());
    model.missing_scripts = vec!["Arabic", "Thai"];
    stage.harness.run();
    assert!(stage.shows("Emoji are in colour, from Noto Color Emoji."));
    assert!(stage.shows_part("No font on this computer can show: Arabic, Thai."));
}

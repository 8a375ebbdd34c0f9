//! Typing faster than the window draws: every key means what it meant when it was pressed.

use std::sync::Arc;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::Command;
use lanyard_gui::model::settings::Settings;
use lanyard_gui::testing::{Script, demo};
use lanyard_protocol::ids::Role;

use crate::stage::{NOW_MS, Stage, pressed, script, typed};

fn two_rooms() -> Stage {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    Stage::inside_with(status, |_| {})
}

#[test]
fn lines_that_come_in_one_frame_are_sent_as_typed() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.at_once(typed("first\nsecond\nand the th"));
    assert_eq!(stage.backend.sent_texts(), ["first", "second"]);
    assert_eq!(stage.draft(), "and the th");
    stage.at_once(typed("ird\n"));
    assert_eq!(stage.backend.sent_texts(), ["first", "second", "and the third"]);
}

#[test]
fn many_lines_in_stalled_frames_are_sent_as_typed() {
    let mut stage = Stage::inside(&[0, 1]);
    let lines: Vec<_> = (0..60).map(|n| format!("line {n} of many")).collect();
    let events = typed(&(lines.join("\n") + "\n"));
    // A frame that takes 40 ms, at a key a millisecond.
    for burst in events.chunks(40) {
        stage.harness.input_mut().events.extend(burst.iter().cloned());
        stage.harness.step();
    }
    while stage.sleeps_ms() == 0 {
        stage.harness.step();
    }
    assert_eq!(stage.backend.sent_texts(), lines);
}

#[test]
fn shift_enter_between_lines_in_one_frame_breaks_the_line() {
    let mut stage = Stage::inside(&[0, 1]);
    let mut events = typed("one");
    events.extend(pressed(Modifiers::SHIFT, Key::Enter));
    events.extend(typed("two\n"));
    stage.at_once(events);
    assert_eq!(stage.backend.sent_texts(), ["one\ntwo"]);
}

#[test]
fn up_and_an_edit_and_enter_in_one_frame_send_the_edited_text() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.say("typo");
    let mut events = pressed(Modifiers::NONE, Key::ArrowUp);
    events.extend(typed("s\n"));
    stage.at_once(events);
    assert_eq!(stage.backend.sent_texts(), ["typo", "typos"]);
}

#[test]
fn a_line_after_a_jump_in_one_frame_goes_to_that_room() {
    let mut stage = two_rooms();
    let mut events = typed("lobby draft");
    events.extend(pressed(Modifiers::COMMAND, Key::K));
    events.extend(typed("hard\nfor hardware\n"));
    stage.at_once(events);
    assert_eq!(stage.backend.sent_texts(), ["for hardware"]);
    stage.click("# lobby");
    assert_eq!(stage.draft(), "lobby draft");
}

#[test]
fn a_line_after_escape_in_one_frame_is_sent() {
    let mut stage = Stage::inside(&[0, 1]);
    let mut events = pressed(Modifiers::NONE, Key::F1);
    // Nothing comes between: not even a key that is let go.
    events.truncate(1);
    events.extend(pressed(Modifiers::NONE, Key::Escape).into_iter().take(1));
    events.extend(typed("back\n"));
    stage.at_once(events);
    assert_eq!(stage.backend.sent_texts(), ["back"]);
}

#[test]
fn a_login_typed_in_one_frame_signs_in_with_all_of_it() {
    let status = Arc::new(demo::status(NOW_MS, &[0, 1]));
    let admitted = Script { joins: Some(Ok(status)), ..script() };
    let mut stage = Stage::at_login(admitted, Settings::default());
    stage.at_once(typed(&format!("{}\tada\tAda L.\tsecret\n", demo::link())));
    let script = stage.backend.script();
    let Some(Command::Join(moderation)) = script.commands.first() else { panic!("no join") };
    assert_eq!(moderation.username, "ada");
    assert_eq!(moderation.nickname.as_deref(), Some("Ada L."));
    assert_eq!(moderation.password.as_ref().map(|p| p.as_str()), Some("secret"));
}

#[test]
fn typing_after_escape_goes_on_in_the_composer() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.at_once(typed("half "));
    stage.press(Key::Escape);
    stage.at_once(typed("a line"));
    assert_eq!(stage.draft(), "half a line");
}

#[test]
fn typing_into_nothing_goes_to_the_composer() {
    let mut stage = two_rooms();
    stage.at_once(typed("a"));
    let middle = eframe::egui::pos2(500.0, 300.0);
    stage.drag(middle, middle);
    stage.harness.run();
    assert!(!stage.harness.get_by_label("Message").is_focused());
    stage.at_once(typed("b\n"));
    assert_eq!(stage.backend.sent_texts(), ["ab"]);
}

#[test]
fn the_composer_grows_to_eight_lines_and_then_scrolls() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| node.deliver(demo::message(1, 1, "above", NOW_MS)));
    let bottom = |stage: &Stage| stage.harness.get_by_label("above").rect().bottom();
    let at_rest = bottom(&stage);
    let mut grown = Vec::new();
    for line in 1..=10 {
        stage.at_once(typed("words"));
        grown.push((at_rest - bottom(&stage)).round());
        stage.press_with(Modifiers::SHIFT, Key::Enter);
        assert!(stage.shows("Send"), "line {line}");
    }
    let lines = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 140.0, 140.0];
    assert_eq!(grown, lines);
    let drafts_end = stage.harness.get_by_label("Message").rect().bottom();
    let buttons_end = stage.harness.get_by_label("Send").rect().bottom();
    assert!((drafts_end - buttons_end).abs() < 1.0, "the end of the draft is in sight");
}

//! Typed text: by an input method, from right to left, and kept when the window closes.

use eframe::egui::{ImeEvent, Key};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::testing::demo;
use lanyard_protocol::ids::Role;

use crate::stage::{NOW_MS, Stage};

fn preedit(text: &str) -> ImeEvent {
    ImeEvent::Preedit { text: text.into(), active_range_chars: None }
}

#[test]
fn enter_belongs_to_the_input_method_until_its_word_ends() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.ime(preedit("ni"));
    stage.ime(preedit("nihao"));
    assert_eq!(stage.draft(), "nihao", "the half word is seen");
    stage.press(Key::Enter);
    assert!(stage.backend.sent_texts().is_empty(), "Enter chose a candidate");
    stage.ime(ImeEvent::Commit("你好".into()));
    assert_eq!(stage.draft(), "你好");
    stage.press(Key::Enter);
    assert_eq!(stage.backend.sent_texts(), ["你好"]);
}

#[test]
fn a_cancelled_input_method_leaves_nothing() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.type_into("Message", "a ");
    stage.ime(preedit("かな"));
    stage.ime(preedit(""));
    assert_eq!(stage.draft(), "a ");
    stage.press(Key::Enter);
    assert_eq!(stage.backend.sent_texts(), ["a "]);
}

#[test]
fn an_input_method_writes_where_the_cursor_is() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.type_into("Message", "한 x");
    stage.press(Key::ArrowLeft);
    stage.ime(preedit("그"));
    stage.ime(ImeEvent::Commit("글".into()));
    assert_eq!(stage.draft(), "한 글x");
}

#[test]
fn an_input_method_works_in_the_login_form_too() {
    let mut stage = Stage::at_login(crate::stage::script(), demo::settings());
    stage.harness.get_by_label("Shown as").focus();
    stage.harness.run();
    stage.ime(preedit("chen"));
    stage.ime(ImeEvent::Commit("陳".into()));
    assert!(stage.harness.state().model.login.nickname.contains('陳'));
}

#[test]
fn text_from_right_to_left_is_typed_sent_and_shown() {
    let mut stage = Stage::inside(&[0, 1]);
    let text = "صباح الخير للجميع (اليوم) at 14:00 شكرا";
    stage.say(text);
    assert_eq!(stage.backend.sent_texts(), [text]);
    assert_eq!(stage.count(text), 1, "it is read out in its own order: {:?}", stage.labels());
}

#[test]
fn a_wall_of_text_from_right_to_left_wraps_within_the_window() {
    let mut stage = Stage::inside(&[0, 1]);
    let wall = "שלום עולם ".repeat(200) + &"א".repeat(1_000) + " https://docs.example.org/א";
    stage.node(|node| {
        node.deliver(demo::message(1, 1, &wall, NOW_MS));
        node.deliver(demo::message(1, 2, "after", NOW_MS + 1));
    });
    let rect = stage.harness.get_by_label(&wall).rect();
    assert!(rect.right() <= 890.0 && rect.height() > 200.0, "{rect:?}");
    assert!(stage.harness.get_by_label("after").rect().top() >= rect.bottom() - 1.0);
}

#[test]
fn drafts_outlive_the_window_in_each_room() {
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    let mut stage = Stage::inside_with(status.clone(), |_| {});
    stage.type_into("Message", "for the lobby");
    stage.click("# hardware");
    stage.type_into("Message", "for hardware");
    let mut stage = stage.restarted(status.clone());
    assert_eq!(stage.draft(), "for the lobby");
    stage.click("# hardware");
    assert_eq!(stage.draft(), "for hardware");
    stage.press(Key::Enter);
    let mut stage = stage.restarted(status.clone());
    stage.click("# hardware");
    assert_eq!(stage.draft(), "", "what was sent is no draft");
    status.me.username = "somebody-else".into();
    let stage = stage.restarted(status);
    assert_eq!(stage.draft(), "", "nobody finds the drafts of another account");
}

#[test]
fn a_draft_is_on_disk_soon_after_it_was_typed() {
    let status = demo::status(NOW_MS, &[0, 1]);
    let mut stage = Stage::inside(&[0, 1]);
    stage.type_into("Message", "half a th");
    assert!(stage.sleeps_ms() <= 5_000, "the window wakes to write it");
    stage.pass_ms(5_000);
    assert!(stage.sleeps_ms() >= 30_000, "and only once");
    assert_eq!(
        stage.harness.state().model.drafts.of(&status).get("lobby").map(String::as_str),
        Some("half a th")
    );
}

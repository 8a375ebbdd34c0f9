//! Everything without a mouse.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::testing::demo;
use lanyard_protocol::ids::Role;

use crate::stage::{NOW_MS, Stage};

#[test]
fn the_composer_has_the_keyboard_from_the_start() {
    let stage = Stage::inside(&[0, 1]);
    assert!(stage.harness.get_by_label("Message").is_focused());
}

#[test]
fn enter_sends_and_shift_enter_breaks_the_line() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.type_into("Message", "one");
    stage.press_with(Modifiers::SHIFT, Key::Enter);
    stage.type_into("Message", "two");
    assert_eq!(stage.draft(), "one\ntwo");
    stage.press(Key::Enter);
    assert_eq!(stage.backend.sent_texts(), ["one\ntwo"]);
    stage.press(Key::Enter);
    assert_eq!(stage.backend.sent_texts().len(), 1, "nothing is sent twice");
}

#[test]
fn up_brings_the_last_text_back_into_an_empty_composer_only() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.say("typo");
    stage.press(Key::ArrowUp);
    assert_eq!(stage.draft(), "typo");
    stage.type_into("Message", "!");
    stage.press(Key::ArrowUp);
    assert_eq!(stage.draft(), "typo!");
}

#[test]
fn ctrl_k_jumps_to_rooms_and_people() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    let mut stage = Stage::inside_with(status, |_| {});
    stage.press_with(Modifiers::COMMAND, Key::K);
    stage.type_into("Room or person", "hard");
    assert!(stage.shows("Go to # hardware"));
    stage.press(Key::Enter);
    assert!(stage.shows_part("Nothing has been said in # hardware"));
    stage.press_with(Modifiers::COMMAND, Key::K);
    stage.type_into("Room or person", "bo");
    stage.press(Key::ArrowDown);
    stage.press(Key::Enter);
    assert_eq!(stage.draft(), "@bob ");
    assert!(stage.backend.sent_texts().is_empty(), "Enter in a dialog sends nothing");
}

#[test]
fn f1_lists_the_keys_and_escape_closes_the_list() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.press(Key::F1);
    assert!(stage.shows("Jump to a room or a person"));
    stage.press(Key::Escape);
    assert!(!stage.shows("Jump to a room or a person"));
    assert!(stage.harness.get_by_label("Message").is_focused());
}

#[test]
fn a_key_for_what_is_not_built_yet_does_nothing() {
    let mut stage = Stage::inside(&[0, 1]);
    let before = stage.labels();
    stage.press_with(Modifiers::COMMAND, Key::F);
    assert_eq!(stage.labels(), before);
    stage.press(Key::F1);
    assert!(!stage.shows_part("Ctrl+F"));
}

#[test]
fn the_size_chosen_by_keys_is_kept() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.press_with(Modifiers::COMMAND, Key::Plus);
    let percent = stage.harness.state().model.settings.zoom_percent;
    assert_eq!(percent, 110);
    assert_eq!(stage.saved_settings().zoom_percent, 110);
}

#[test]
fn every_control_has_a_name() {
    use eframe::egui::accesskit::Role;
    use egui_kittest::kittest::NodeT as _;
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", lanyard_protocol::ids::Role::Guest));
    let stage = Stage::inside_with(status, |_| {});
    let nameless: Vec<_> = stage
        .harness
        .root()
        .children_recursive()
        .filter(|node| {
            let node = node.accesskit_node();
            let acts = matches!(
                node.role(),
                Role::Button
                    | Role::Link
                    | Role::TextInput
                    | Role::MultilineTextInput
                    | Role::Switch
            );
            acts && node.label().is_none_or(|label| label.trim().is_empty())
        })
        .map(|node| format!("{node:?}"))
        .collect();
    assert!(nameless.is_empty(), "{nameless:#?}");
}

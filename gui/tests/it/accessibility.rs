//! Assistive technology, and what the keyboard reaches.

use eframe::egui::accesskit::{Live, Role};
use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lanyard_gui::testing::demo;

use crate::stage::{NOW_MS, Stage};

fn with_lines(count: u32) -> Stage {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", lanyard_protocol::ids::Role::Guest));
    let mut stage = Stage::inside_with(status, |_| {});
    stage.node(|node| {
        for number in 0..count {
            let sent_at = NOW_MS - 60_000 + u64::from(number);
            node.deliver(demo::message(2, number, &format!("line {number}"), sent_at));
        }
    });
    stage
}

/// The items of a list, as they are announced.
fn items(stage: &Stage, list: &str) -> Vec<(String, Option<bool>)> {
    let list = stage.harness.get_by_label(list);
    assert_eq!(list.accesskit_node().role(), Role::List);
    let items = list.children_recursive().filter_map(|node| {
        let node = node.accesskit_node();
        let label = node.label().unwrap_or_default();
        (node.role() == Role::ListItem).then(|| (label, node.is_selected()))
    });
    items.collect()
}

fn focused(stage: &Stage) -> String {
    let root = stage.harness.root();
    let focused = root.children_recursive().find(|node| node.is_focused());
    focused.and_then(|node| node.accesskit_node().label()).unwrap_or_default()
}

#[test]
fn rooms_are_a_list_in_which_the_chosen_one_is_selected() {
    let mut stage = with_lines(0);
    let rooms = |lobby, hardware| {
        let room = |name: &str, chosen| (name.to_owned(), Some(chosen));
        [room("# lobby", lobby), room("# hardware", hardware)]
    };
    assert_eq!(items(&stage, "List of rooms"), rooms(true, false));
    stage.click("# hardware");
    assert_eq!(items(&stage, "List of rooms"), rooms(false, true));
}

#[test]
fn people_and_messages_are_lists() {
    let stage = with_lines(2);
    let people = items(&stage, "List of people");
    assert!(people.contains(&("Bob".to_owned(), None)), "{people:?}");
    let messages = items(&stage, "Messages");
    assert!(messages.contains(&("Bob, 09:20: line 1".to_owned(), None)), "{messages:?}");
}

#[test]
fn a_new_message_is_read_out() {
    let mut stage = with_lines(0);
    let said = |stage: &Stage| {
        let root = stage.harness.root();
        let live = root.children_recursive().find(|n| n.accesskit_node().live() == Live::Polite);
        live.and_then(|node| node.accesskit_node().label())
    };
    assert_eq!(said(&stage), None);
    stage.node(|node| node.deliver(demo::message(2, 1, "tea is ready", NOW_MS)));
    assert_eq!(said(&stage).as_deref(), Some("Bob: tea is ready"));
    stage.say("coming");
    assert_eq!(said(&stage).as_deref(), Some("Bob: tea is ready"), "own texts are not");
}

#[test]
fn alt_and_arrows_walk_the_messages_and_menus_open_by_key() {
    let mut stage = with_lines(100);
    stage.press_with(Modifiers::ALT, Key::ArrowUp);
    assert_eq!(focused(&stage), "Bob, 09:20: line 99");
    for _ in 0..60 {
        stage.press_with(Modifiers::ALT, Key::ArrowUp);
    }
    assert_eq!(focused(&stage), "Bob, 09:20: line 39", "it scrolls along");
    stage.press(Key::ArrowDown);
    assert_eq!(focused(&stage), "Bob, 09:20: line 40");
    stage.press_with(Modifiers::SHIFT, Key::F10);
    assert_eq!(focused(&stage), "Copy message");
    stage.press(Key::ArrowDown);
    stage.press(Key::Enter);
    assert_eq!(stage.draft(), "@bob ");
    assert_eq!(focused(&stage), "Message");
}

#[test]
fn walking_down_past_the_last_message_leads_to_the_composer() {
    let mut stage = with_lines(3);
    stage.press_with(Modifiers::ALT, Key::ArrowUp);
    stage.press(Key::Menu);
    assert!(stage.shows("Copy message"));
    stage.press(Key::Escape);
    assert!(!stage.shows("Copy message"));
    assert_eq!(focused(&stage), "Message");
    stage.press_with(Modifiers::ALT, Key::ArrowUp);
    stage.press_with(Modifiers::ALT, Key::ArrowDown);
    assert_eq!(focused(&stage), "Message");
}

#[test]
fn a_persons_menu_opens_by_key() {
    let mut stage = with_lines(0);
    stage.harness.get_by_label("Bob").focus();
    stage.harness.run();
    stage.press(Key::Menu);
    assert_eq!(focused(&stage), "Mention @bob");
    stage.press(Key::Enter);
    assert_eq!(stage.draft(), "@bob ");
}

//! Typing into a real window faster than it draws.

use std::time::Duration;

use serde_json::Value;

use crate::desktop::Desktop;
use crate::programs::{Program, Realm};
use crate::real_window::RealWindow;

/// Presses the keys of a text, one a millisecond. (`xdotool type` has no Return.)
fn type_fast(desktop: &Desktop, text: &str) {
    let keys: Vec<String> = text.chars().map(key).collect();
    let mut arguments = vec!["key", "--delay", "1"];
    arguments.extend(keys.iter().map(String::as_str));
    desktop.xdotool(&arguments);
}

fn key(letter: char) -> String {
    match letter {
        '\n' => "Return".to_owned(),
        ' ' => "space".to_owned(),
        other => other.to_string(),
    }
}

/// Waits until the window is in the room: then what is typed arrives.
pub(crate) fn wait_until_in(desktop: &Desktop, bob: &mut Program) {
    desktop.wait_until("the first word", || {
        type_fast(desktop, "hi\n");
        bob.wait_for(Duration::from_millis(500), |line| line["text"] == "hi").is_ok()
    });
}

fn is_line(line: &Value) -> bool {
    line["text"].as_str().is_some_and(|text| text.contains("line"))
}

#[test]
fn five_hundred_fast_lines_arrive_as_typed() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    realm.operate(&["policy", "set", "per-minute", "0"]);
    let mut bob = realm.join("bob");
    let ada = RealWindow::sign_in(&desktop, &realm, "ada");
    desktop.window_of(&ada.child);
    wait_until_in(&desktop, &mut bob);
    let lines: Vec<_> = (0..500).map(|number| format!("line {number}")).collect();
    type_fast(&desktop, &(lines.join("\n") + "\n"));
    for line in lines {
        let arrived = bob.expect("the next line", is_line);
        assert_eq!(arrived["text"], line);
    }
}

#[test]
fn what_is_typed_after_escape_and_a_dialog_stays_in_the_draft() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let ada = RealWindow::sign_in(&desktop, &realm, "ada");
    desktop.window_of(&ada.child);
    wait_until_in(&desktop, &mut bob);
    let keys = "a space Escape l i n e shift+Return F1 Escape g o e s space o n Return";
    let mut arguments = vec!["key", "--delay", "1"];
    arguments.extend(keys.split(' '));
    desktop.xdotool(&arguments);
    let arrived = bob.expect("the line", is_line);
    assert_eq!(arrived["text"], "a line\ngoes on");
}

//! The user's account: the list of devices, and changing the password.

use eframe::egui::Key;
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::Command;
use lanyard_gui::testing::demo;

use crate::stage::{NOW_MS, Stage, typed};

fn with_devices() -> Stage {
    let mut stage = Stage::inside_with(demo::status(NOW_MS, &[0, 1]), |script| {
        script.devices = demo::own_devices(NOW_MS);
    });
    stage.click("Menu");
    stage.click("My devices");
    stage
}

fn logged_out(stage: &Stage) -> Vec<u64> {
    let script = stage.backend.script();
    let numbers = script.commands.iter().filter_map(|command| match command {
        Command::LogOutDevice(number) => Some(*number),
        _ => None,
    });
    numbers.collect()
}

#[test]
fn devices_are_numbered_and_this_one_is_marked() {
    let stage = with_devices();
    assert!(stage.shows("Device 1 · laptop · this computer"), "{:?}", stage.labels());
    assert!(stage.shows("online"));
    assert!(stage.shows("Device 2 · bench computer"));
    assert!(stage.shows("signed in yesterday 07:21"), "{:?}", stage.labels());
    assert!(!stage.shows("Log device 1 out"), "this one signs out by the menu");
}

#[test]
fn another_device_is_logged_out_after_a_question() {
    let mut stage = with_devices();
    stage.click("Log out device 2");
    assert!(stage.shows("Log out device 2 now?"));
    stage.click("No");
    assert!(logged_out(&stage).is_empty());
    stage.backend.script().failures.push_back("The login node does not answer.".into());
    stage.click("Log out device 2");
    stage.click("Yes, log it out");
    assert!(stage.shows("The login node does not answer."));
    stage.click("Log out device 2");
    stage.click("Yes, log it out");
    assert_eq!(logged_out(&stage), [2, 2]);
    assert!(stage.shows("logged out"), "{:?}", stage.labels());
    assert!(!stage.shows("Log out device 2"));
}

#[test]
fn a_new_password_needs_the_old_and_a_repetition() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Change password");
    assert!(stage.harness.get_by_label("Old password").is_focused());
    stage.type_into("Old password", "old secret");
    stage.type_into("New password", "short");
    stage.type_into("New password again", "shart");
    assert!(stage.shows("The two new passwords differ."));
    for _ in 0.."shart".len() {
        stage.press(Key::Backspace);
    }
    stage.type_into("New password again", "short");
    assert!(stage.shows("Fewer than 8 characters are easy to guess."));
    stage.click("Log out my other devices");
    stage.backend.script().failures.push_back("The old password is wrong.".into());
    stage.click("Set the new password");
    assert!(stage.shows("The old password is wrong."));
    stage.harness.get_by_label("New password again").focus();
    stage.harness.run();
    stage.press(Key::Enter);
    assert!(stage.shows("Your password has been changed."));
    let script = stage.backend.script();
    let changes: Vec<_> = script
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::ChangePassword(change) => Some(change),
            _ => None,
        })
        .collect();
    let [_, change] = changes.as_slice() else { panic!("{} changes", changes.len()) };
    assert_eq!((change.old.as_str(), change.new.as_str()), ("old secret", "short"));
    assert!(change.revoke_others);
}

#[test]
fn enter_changes_the_password_or_leads_to_what_is_missing() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Change password");
    stage.press(Key::Enter);
    assert!(stage.shows("Type the old password once and the new one twice."));
    stage.at_once(typed("old secret\nnew secret\nnew secret\n"));
    assert!(stage.shows("Your password has been changed."), "{:?}", stage.labels());
    let script = stage.backend.script();
    let Some(Command::ChangePassword(change)) = script.commands.last() else { panic!() };
    assert_eq!((change.old.as_str(), change.new.as_str()), ("old secret", "new secret"));
}

#[test]
fn passwords_are_forgotten_when_the_dialog_closes() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Change password");
    stage.type_into("Old password", "old secret");
    stage.click("Close Change password");
    let chat = stage.harness.state().model.chat().unwrap();
    assert!(chat.password.old.is_empty());
}

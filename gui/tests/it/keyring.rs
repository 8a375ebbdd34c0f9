//! The password in the system's keyring: off at first, kept after a login, recalled, deleted.

use std::sync::Arc;

use eframe::egui::Key;
use lanyard_gui::bridge::Holder;
use lanyard_gui::model::settings::Settings;
use lanyard_gui::testing::{Script, demo};
use lanyard_protocol::ids::PeerKey;

use crate::stage::{NOW_MS, Stage, script};

fn ada() -> Holder {
    Holder { realm: PeerKey([0x77; 32]), username: "ada".into() }
}

fn admitted() -> Script {
    Script { joins: Some(Ok(Arc::new(demo::status(NOW_MS, &[0, 1])))), ..script() }
}

fn using_it() -> Settings {
    Settings { keep_password: true, ..demo::settings() }
}

fn held(stage: &Stage) -> Vec<(Holder, String)> {
    stage.backend.script().keyring.clone().unwrap()
}

#[test]
fn no_password_is_kept_unless_the_user_wants_it() {
    let stage = Stage::inside(&[0, 1]);
    assert!(held(&stage).is_empty());
}

#[test]
fn a_password_is_kept_after_a_login_and_recalled() {
    let mut stage = Stage::at_login(admitted(), demo::settings());
    stage.click("Settings");
    stage.click("Keep my password in the keyring");
    stage.press(Key::Escape);
    assert!(!stage.shows("Desktop notifications"), "Esc closes it here too");
    stage.type_into("Password", "secret");
    stage.press(Key::Enter);
    assert_eq!(held(&stage), [(ada(), "secret".to_owned())]);
    assert!(stage.saved_settings().keep_password);
    stage.click("Menu");
    stage.click("Sign out");
    assert_eq!(stage.harness.state().model.login.password.as_str(), "secret");
    stage.press(Key::Enter);
    assert!(stage.shows("Message"));
}

#[test]
fn a_refused_password_is_not_kept() {
    use lanyard_node::{Refusal, RefusalCode};
    let code = RefusalCode::BadCredentials;
    let refusal = Refusal { code, reason: String::new(), retry_after_s: None };
    let refused = Script { joins: Some(Err(refusal)), ..script() };
    let mut stage = Stage::at_login(refused, using_it());
    stage.type_into("Password", "wrong");
    stage.press(Key::Enter);
    assert!(held(&stage).is_empty());
}

#[test]
fn turning_the_keyring_off_deletes_the_passwords() {
    let keyring = Ok(vec![(ada(), "secret".to_owned())]);
    let mut stage = Stage::at_login(Script { keyring, ..admitted() }, using_it());
    assert_eq!(stage.harness.state().model.login.password.as_str(), "secret");
    stage.click("Settings");
    stage.click("Keep my password in the keyring");
    assert!(held(&stage).is_empty());
}

#[test]
fn without_a_keyring_the_window_says_so_and_works() {
    let keyring = Err("This computer has no keyring that answers.".to_owned());
    let mut stage = Stage::at_login(Script { keyring, ..admitted() }, using_it());
    stage.type_into("Password", "secret");
    stage.press(Key::Enter);
    assert!(stage.shows("Message"));
    stage.click("Menu");
    stage.click("Settings");
    assert!(stage.shows("This computer has no keyring that answers."));
}

//! A window whose terminal or session ends: it says goodbye, and what was being typed is kept.

use std::process::Command;
use std::time::Duration;

use lanyard_program::stop::is_hangup_ignored;

use crate::desktop::Desktop;
use crate::programs::Realm;
use crate::real_window::RealWindow;

/// Typed in less time than it takes until an idle draft is saved.
const DRAFT: &str = "half a sentence that nobody has sent";

#[test]
fn a_window_asked_to_end_keeps_its_draft() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    for signal in ["-HUP", "-TERM"] {
        if signal == "-HUP" && is_hangup_ignored() {
            eprintln!("SKIPPED: under nohup nothing hears SIGHUP");
            continue;
        }
        let mut ada = RealWindow::sign_in(&desktop, &realm, "ada");
        desktop.window_of(&ada.child);
        desktop.wait_until("a line of ada's", || {
            desktop.type_text("hello", 20);
            desktop.press("Return");
            bob.wait_for(Duration::from_secs(2), |line| line["event"] == "message").is_ok()
        });
        desktop.type_text(DRAFT, 40);
        let pid = ada.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let gone = bob
            .expect("that ada went", |line| line["event"] == "presence" && line["online"] == false);
        assert_eq!(gone["reason"], "left", "{signal}: a goodbye, not a lost connection");
        assert!(ada.child.wait().unwrap().success(), "{signal}");
        // The last keys may have been on their way when the signal came.
        let kept = kept_draft(&realm);
        assert!(kept.contains("half a sentence"), "{signal}: {kept:?}");
    }
}

/// The draft in the lobby, as it is on disk.
fn kept_draft(realm: &Realm) -> String {
    let file = realm.profile("ada").join("drafts.json");
    let Ok(bytes) = std::fs::read(file) else { return String::new() };
    let drafts: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let of_account = drafts.as_object().unwrap().values().next();
    of_account.map_or_else(String::new, |drafts| drafts["lobby"].as_str().unwrap().to_owned())
}

//! One window per profile, on a real desktop: a second start raises the first window and hands over its arguments.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::desktop::Desktop;
use crate::programs::{Program, Realm, password};
use crate::real_window::RealWindow;

/// Starts a window over this profile.
fn start(desktop: &Desktop, profile: &Path, more: &[&str]) -> RealWindow {
    let mut command = desktop.lanyard();
    command.arg("--profile").arg(profile).args(more).stdin(Stdio::null());
    RealWindow { child: command.spawn().unwrap() }
}

/// Starts it once more, waits until that has ended, and returns its exit code.
fn start_again(desktop: &Desktop, profile: &Path, more: &[&str]) -> Option<i32> {
    let mut second = start(desktop, profile, more);
    let mut ended = None;
    desktop.wait_until("the end of the second start", || {
        ended = second.child.try_wait().unwrap();
        ended.is_some()
    });
    ended.and_then(|status| status.code())
}

fn ask_to_end(child: &mut Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    child.wait().unwrap();
}

fn expect_ada(bob: &mut Program, reason: &str) {
    bob.expect(reason, |line| {
        line["event"] == "presence" && line["username"] == "ada" && line["reason"] == reason
    });
}

#[test]
fn a_second_start_raises_the_window_and_brings_its_link() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let profile = realm.profile("ada");
    let first = start(&desktop, &profile, &[]);
    let window = desktop.window_of(&first.child);
    let other = start(&desktop, &desktop.home().join("another profile"), &[]);
    let in_front = desktop.window_of(&other.child);
    assert_eq!(desktop.active_window(), Some(in_front));

    assert_eq!(start_again(&desktop, &profile, &[]), Some(0));
    assert_eq!(desktop.active_window().as_ref(), Some(&window), "it has come to the front");

    desktop.xdotool(&["windowminimize", "--sync", window.number()]);
    let is_behind = || desktop.active_window().as_ref() != Some(&window);
    desktop.wait_until("the window is hidden", is_behind);
    let more = ["--join", &realm.link, "--username", "ada"];
    assert_eq!(start_again(&desktop, &profile, &more), Some(0));
    assert_eq!(desktop.active_window().as_ref(), Some(&window), "even from where it was hidden");
    // The form has the link and the name; what is missing has the keyboard.
    desktop.type_text(&password("ada"), 50);
    desktop.press("Return");
    expect_ada(&mut bob, "joined");
}

#[test]
fn after_a_crash_a_start_opens_a_window_again() {
    let Some(desktop) = Desktop::start() else { return };
    let profile = desktop.home().join("profile");
    let mut first = start(&desktop, &profile, &[]);
    desktop.window_of(&first.child);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(profile.join("window.sock").exists(), "a crash leaves the socket behind");
    let second = start(&desktop, &profile, &[]);
    let window = desktop.window_of(&second.child);
    assert_eq!(start_again(&desktop, &profile, &[]), Some(0));
    assert_eq!(desktop.active_window(), Some(window));
}

#[test]
fn a_window_with_a_ticket_needs_no_password_to_sign_in() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let mut first = RealWindow::sign_in(&desktop, &realm, "ada");
    expect_ada(&mut bob, "joined");
    ask_to_end(&mut first.child);
    expect_ada(&mut bob, "left");
    let _second = start(&desktop, &realm.profile("ada"), &[]);
    expect_ada(&mut bob, "joined");
}

//! A real window on a virtual screen, over a real node: what a person sees and types.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Stdio};

use crate::desktop::Desktop;
use crate::programs::{Realm, password};

/// A window that signs in by its command line. Killed when dropped.
pub(crate) struct RealWindow {
    pub(crate) child: Child,
}

impl RealWindow {
    /// Starts the program with an account's profile and its password on standard input.
    pub(crate) fn sign_in(desktop: &Desktop, realm: &Realm, name: &str) -> Self {
        let mut command = desktop.lanyard();
        command.args(["--join", &realm.link, "--username", name, "--password-stdin", "--profile"]);
        command.arg(realm.profile(name));
        let log = File::create(desktop.home().join(format!("{name}.log"))).unwrap();
        let mut child = command.stdin(Stdio::piped()).stderr(log).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", password(name)).unwrap();
        Self { child }
    }
}

impl Drop for RealWindow {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_typed_line_reaches_the_others() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let ada = RealWindow::sign_in(&desktop, &realm, "ada");
    let window = desktop.window_of(&ada.child);
    bob.expect("that ada came", |line| line["event"] == "presence" && line["username"] == "ada");
    assert!(desktop.title(&window).contains("Lanyard"), "{:?}", desktop.title(&window));
    assert_eq!(desktop.active_window(), Some(window), "a new window has the keyboard");
    desktop.type_text("typed by hand", 50);
    desktop.press("Return");
    bob.expect("ada's line", |line| line["event"] == "message" && line["text"] == "typed by hand");
}

//! `scripts/demo.sh` on a desktop on which the windows cannot open.

use std::path::Path;
use std::process::Command;

use crate::programs::{alone, forget_this_package};
use crate::starting::without;

/// No display server answers here.
const DEAD_DISPLAY: &str = ":6999";

fn demo() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(root.join("scripts/demo.sh"));
    forget_this_package(&mut command);
    command.arg("--check").env("DISPLAY", DEAD_DISPLAY).env_remove("WAYLAND_DISPLAY");
    command
}

#[test]
fn missing_libraries_are_one_line_before_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo();
    without(&mut command, &["libXi.so.6", "libxkbcommon-x11.so.0"], folder.path());
    let output = command.output().unwrap();
    let (said, words) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{words}");
    let install: Vec<&str> =
        words.lines().filter(|line| line.contains("apt-get install")).collect();
    assert_eq!(install.len(), 1, "{words}");
    assert!(install[0].contains(" libxi6 libxkbcommon-x11-0"), "{words}");
    assert!(!said.contains("Building"), "{said}");
}

#[test]
fn a_window_that_dies_ends_the_demo_with_its_words() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let output = demo().env("TMPDIR", folder.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains(&format!("The display {DEAD_DISPLAY} does not answer")), "{words}");
    assert!(
        words.contains("has died"),
        "noticed at once, not after the patience for joining: {words}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "everything is cleaned up");
}

//! A Wayland desktop that draws no title bars: Weston, without a screen.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use lanyard_node::clock::Clock;

use crate::programs::PATIENCE;
use crate::starting::Running;

const SOCKET: &str = "wayland-test";
/// The height of the window's title bar in the style of GNOME, which has a title. The window library's plain one has
/// 24 points and no title.
const BAR: &str = "set_window_geometry(0, -35,";

#[test]
fn without_title_bars_of_the_desktop_the_window_has_one() {
    let runtime = tempfile::tempdir().unwrap();
    std::fs::set_permissions(runtime.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let mut weston = Command::new("weston");
    weston.args(["--backend=headless-backend.so", "--no-config", "--idle-time=0", "--use-pixman"]);
    weston.arg(format!("--socket={SOCKET}")).env("XDG_RUNTIME_DIR", runtime.path());
    let Ok(weston) = weston.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        assert!(std::env::var_os("CI").is_none(), "weston is missing, and CI runs every test");
        eprintln!("SKIPPED: weston is missing");
        return;
    };
    let _weston = Running(weston);
    let clock = Clock::new();
    let deadline = clock.now().mono + PATIENCE;
    while !runtime.path().join(SOCKET).exists() {
        assert!(clock.now().mono < deadline, "weston did not start");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let mut lanyard = Command::new(env!("CARGO_BIN_EXE_lanyard"));
    lanyard.arg("--profile").arg(runtime.path().join("profile"));
    lanyard.env_remove("DISPLAY").env_remove("WAYLAND_SOCKET");
    lanyard.env("WAYLAND_DISPLAY", SOCKET).env("XDG_RUNTIME_DIR", runtime.path());
    lanyard.env("LIBGL_ALWAYS_SOFTWARE", "1").env("WAYLAND_DEBUG", "1");
    let mut shown = Running(lanyard.stderr(Stdio::piped()).spawn().unwrap());
    let said = BufReader::new(shown.0.stderr.take().unwrap());
    let (found, bar) = sync_channel(1);
    let look = move || {
        for line in said.lines().map_while(Result::ok).filter(|line| line.contains(BAR)) {
            found.try_send(line).ok();
        }
    };
    std::thread::Builder::new().name("stderr of lanyard".into()).spawn(look).unwrap();
    let bar = bar.recv_timeout(PATIENCE);
    assert!(bar.is_ok(), "no title bar: {bar:?}");
}

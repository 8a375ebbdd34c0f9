//! Starting on many desktops: one sentence says what is missing, and what is there is used.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::zvariant::{OwnedValue, Value};

use crate::desktop::{Desktop, WindowId};

const PORTAL: &str = "/org/freedesktop/portal/desktop";
const SETTINGS: &str = "org.freedesktop.portal.Settings";
const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";
const NO_PREFERENCE: u32 = 0;
const DARK: u32 = 1;

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A program without any desktop, with this home.
fn lanyard(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanyard"));
    command.arg("--profile").arg(home.join("profile"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Makes the loader find broken libraries of these names before the real ones.
pub(crate) fn without(command: &mut Command, libraries: &[&str], folder: &Path) {
    for library in libraries {
        File::create(folder.join(library)).unwrap();
    }
    command.env("LD_LIBRARY_PATH", folder);
}

/// The one line that the program has left, having ended with 1.
fn sentence(output: &Output) -> String {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert_eq!(words.lines().count(), 1, "one line: {words}");
    for raw in [".rs", "panicked", "Err(", "/registry/", "RUST_BACKTRACE"] {
        assert!(!words.contains(raw), "{raw} in {words}");
    }
    words
}

#[test]
fn without_a_display_the_sentence_names_the_variables() {
    let home = tempfile::tempdir().unwrap();
    let words = sentence(&lanyard(home.path()).output().unwrap());
    assert!(words.contains("DISPLAY") && words.contains("lanyard-node chat"), "{words}");
}

#[test]
fn a_display_that_does_not_answer_is_named() {
    let home = tempfile::tempdir().unwrap();
    for (variable, display) in [("DISPLAY", ":6999"), ("WAYLAND_DISPLAY", "wayland-6999")] {
        let mut command = lanyard(home.path());
        command.env(variable, display);
        let words = sentence(&command.env("XDG_RUNTIME_DIR", "/nonexistent").output().unwrap());
        assert!(words.contains(&format!("{display} does not answer")), "{words}");
    }
}

#[test]
fn a_missing_library_is_named_with_its_package() {
    let Some(desktop) = Desktop::start() else { return };
    for (libraries, package) in [
        (["libxkbcommon-x11.so.0", "libxkbcommon-x11.so"], "libxkbcommon-x11-0"),
        (["libXcursor.so.1", "libXcursor.so"], "libxcursor1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = desktop.lanyard();
        without(&mut command, &libraries, folder.path());
        let words = sentence(&command.output().unwrap());
        let stem = libraries[1];
        assert!(words.contains(&format!("library {stem}")), "{stem}: {words}");
        let line = words.split_once("apt-get install").map(|(_, packages)| packages);
        assert!(line.is_some_and(|packages| packages.contains(package)), "{package}: {words}");
    }
}

#[test]
fn without_opengl_the_sentence_says_what_to_install_or_set() {
    let Some(desktop) = Desktop::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = desktop.lanyard();
    let libraries = ["libGL.so.1", "libGL.so", "libEGL.so.1", "libEGL.so"];
    without(&mut command, &libraries, folder.path());
    let words = sentence(&command.output().unwrap());
    assert!(words.contains("OpenGL") && words.contains("LIBGL_ALWAYS_SOFTWARE=1"), "{words}");
    assert!(words.contains("libgl1-mesa-dri"), "{words}");
}

#[test]
fn the_window_has_an_icon() {
    let Some(desktop) = Desktop::start() else { return };
    let shown = Running::start(&mut desktop.lanyard());
    let window = desktop.window_of(&shown.0);
    let icon = desktop.property(&window, "_NET_WM_ICON");
    assert!(icon.contains("128 x 128"), "{}", icon.chars().take(200).collect::<String>());
}

#[test]
fn a_desktop_without_a_preference_gets_light_colours() {
    let Some(desktop) = Desktop::start() else { return };
    let shown = Running::start(&mut desktop.lanyard());
    let window = desktop.window_of(&shown.0);
    desktop.wait_until("light colours", || brightness(&desktop, &window).is_some_and(is_light));
}

#[test]
fn gtk_s_choice_of_dark_colours_counts() {
    let Some(desktop) = Desktop::start() else { return };
    let folder = desktop.home().join(".config/gtk-3.0");
    fs::create_dir_all(&folder).unwrap();
    let ini = "[Settings]\ngtk-application-prefer-dark-theme=1\n";
    fs::write(folder.join("settings.ini"), ini).unwrap();
    let shown = Running::start(&mut desktop.lanyard());
    let window = desktop.window_of(&shown.0);
    desktop.wait_until("dark colours", || brightness(&desktop, &window).is_some_and(is_dark));
}

#[test]
fn the_portal_s_colours_are_taken_and_followed() {
    let Some(desktop) = Desktop::start() else { return };
    let Some((_bus, address)) = session_bus(&desktop) else { return };
    let portal = serve_portal(&address, DARK);
    let mut command = desktop.lanyard();
    command.env("DBUS_SESSION_BUS_ADDRESS", &address);
    let shown = Running::start(&mut command);
    let window = desktop.window_of(&shown.0);
    desktop.wait_until("dark colours", || brightness(&desktop, &window).is_some_and(is_dark));
    let change = (NAMESPACE, KEY, Value::from(NO_PREFERENCE));
    portal.emit_signal(None::<&str>, PORTAL, SETTINGS, "SettingChanged", &change).unwrap();
    desktop.wait_until("light colours", || brightness(&desktop, &window).is_some_and(is_light));
}

/// A desktop's settings, of which only one is asked for.
struct Portal {
    colour_scheme: u32,
}

#[zbus::interface(name = "org.freedesktop.portal.Settings")]
impl Portal {
    /// Wraps the value twice, as the real one does.
    fn read(&self, namespace: &str, key: &str) -> zbus::fdo::Result<OwnedValue> {
        assert_eq!((namespace, key), (NAMESPACE, KEY));
        let inner = Value::Value(Box::new(Value::U32(self.colour_scheme)));
        OwnedValue::try_from(inner).map_err(|error| zbus::fdo::Error::Failed(error.to_string()))
    }
}

fn serve_portal(address: &str, colour_scheme: u32) -> Connection {
    Builder::address(address)
        .unwrap()
        .name("org.freedesktop.portal.Desktop")
        .unwrap()
        .serve_at(PORTAL, Portal { colour_scheme })
        .unwrap()
        .build()
        .unwrap()
}

/// A bus of the test's own; `None` if this machine has none.
fn session_bus(desktop: &Desktop) -> Option<(Running, String)> {
    let mut command = desktop.command(Command::new("dbus-daemon"));
    command.args(["--session", "--nofork", "--print-address=1"]);
    let Ok(child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        assert!(std::env::var_os("CI").is_none(), "dbus-daemon is missing");
        eprintln!("SKIPPED: dbus-daemon is missing");
        return None;
    };
    let mut bus = Running(child);
    let address = first_line(&mut bus);
    Some((bus, address))
}

fn first_line(program: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Of a place in the middle of the timeline, 0 to 255; `None` as long as nothing is drawn.
fn brightness(desktop: &Desktop, window: &WindowId) -> Option<u8> {
    let grey = desktop.pixel(window, (700, 60))?;
    (grey != 0).then_some(grey)
}

fn is_light(grey: u8) -> bool {
    grey > 200
}

fn is_dark(grey: u8) -> bool {
    (10..60).contains(&grey)
}

//! A desktop for one test: a virtual screen, a window manager, a keyboard.
//!
//! Only here is there a real keyboard and a real window manager. If a tool is missing, the test prints SKIPPED and
//! passes; with `CI=true` it fails. Everything ends when the [`Desktop`] is dropped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lanyard_node::clock::Clock;

use crate::programs::PATIENCE;

/// Without a window manager, no window gets the keyboard.
const TOOLS: [&str; 5] = ["Xvfb", "openbox", "xdotool", "xprop", "import"];
/// The pause between two looks at what cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A virtual screen with a window manager.
pub(crate) struct Desktop {
    display: String,
    clock: Clock,
    manager: Child,
    screen: Child,
    home: tempfile::TempDir,
}

/// A window on the desktop, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowId(String);

impl WindowId {
    /// As xdotool takes it.
    pub(crate) fn number(&self) -> &str {
        &self.0
    }
}

impl Desktop {
    /// An empty desktop of 1280 × 800; `None` if this machine lacks a tool.
    pub(crate) fn start() -> Option<Self> {
        if let Some(tool) = TOOLS.iter().find(|tool| !is_installed(tool)) {
            assert!(std::env::var_os("CI").is_none(), "{tool} is missing, and CI runs every test");
            eprintln!("SKIPPED: {tool} is missing");
            return None;
        }
        let (screen, display) = start_screen();
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("openbox");
        command.args(["--sm-disable", "--config-file", "/dev/null"]);
        let manager = on_display(command, &display, home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let desktop = Self { display, clock: Clock::new(), manager, screen, home };
        desktop.wait_until("a window manager", || {
            let root = desktop.output("xprop", &["-root", "_NET_SUPPORTING_WM_CHECK"]);
            root.is_some_and(|answer| answer.contains("window id"))
        });
        Some(desktop)
    }

    /// The chat window's program, ready to be given options and started.
    pub(crate) fn lanyard(&self) -> Command {
        self.command(Command::new(env!("CARGO_BIN_EXE_lanyard")))
    }

    /// A program as it runs on this desktop, with a home of its own.
    pub(crate) fn command(&self, command: Command) -> Command {
        on_display(command, &self.display, self.home.path())
    }

    /// The home folder of this desktop's user.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Waits for the window of a process, gives it the keyboard, and says which it is.
    pub(crate) fn window_of(&self, child: &Child) -> WindowId {
        let pid = child.id().to_string();
        let mut found = None;
        self.wait_until("a window", || {
            let windows = self.output("xdotool", &["search", "--onlyvisible", "--pid", &pid]);
            found = windows.and_then(|ids| ids.lines().next().map(str::to_owned));
            found.is_some()
        });
        let window = WindowId(found.unwrap());
        self.activate(&window);
        window
    }

    /// Brings a window to the front and gives it the keyboard.
    pub(crate) fn activate(&self, window: &WindowId) {
        self.xdotool(&["windowactivate", "--sync", &window.0]);
    }

    /// The window that has the keyboard, if any has.
    pub(crate) fn active_window(&self) -> Option<WindowId> {
        let active = self.output("xdotool", &["getactivewindow"])?;
        Some(WindowId(active.trim().to_owned()))
    }

    /// A window's title.
    pub(crate) fn title(&self, window: &WindowId) -> String {
        self.xdotool(&["getwindowname", &window.0]).trim_end().to_owned()
    }

    /// What the window manager knows of a window.
    pub(crate) fn property(&self, window: &WindowId, name: &str) -> String {
        self.output("xprop", &["-id", &window.0, name]).unwrap()
    }

    /// How bright a place in a window is, 0 to 255; `None` if the window is gone.
    pub(crate) fn pixel(&self, window: &WindowId, (x, y): (u32, u32)) -> Option<u8> {
        let place = format!("1x1+{x}+{y}");
        let grey = ["-window", &window.0, "-crop", &place, "-depth", "8", "gray:-"];
        self.bytes("import", &grey)?.first().copied()
    }

    /// Types a text into the window that has the keyboard, with a pause in milliseconds after each key.
    pub(crate) fn type_text(&self, text: &str, pause_ms: u32) {
        self.xdotool(&["type", "--delay", &pause_ms.to_string(), "--", text]);
    }

    /// Presses a key, such as `Return` or `ctrl+k`.
    pub(crate) fn press(&self, key: &str) {
        self.xdotool(&["key", "--delay", "0", key]);
    }

    /// Runs xdotool and says what it has printed.
    pub(crate) fn xdotool(&self, arguments: &[&str]) -> String {
        self.output("xdotool", arguments).unwrap_or_else(|| panic!("xdotool {arguments:?} failed"))
    }

    /// Keeps a picture of the screen and says where.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lanyard-{name}.png"));
        self.output("import", &["-window", "root", &path.to_string_lossy()]).unwrap();
        path
    }

    /// Polls until a condition holds. If it never does, fails with a picture of the screen.
    pub(crate) fn wait_until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let deadline = self.clock.now().mono + PATIENCE;
        while !so() {
            if self.clock.now().mono > deadline {
                panic!("{what} did not come; the screen: {}", self.picture("failed").display());
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(program, arguments)?).into_owned())
    }

    fn bytes(&self, program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
        let mut command = self.command(Command::new(program));
        let output = command.args(arguments).stderr(Stdio::null()).output().unwrap();
        output.status.success().then_some(output.stdout)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.screen] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Xvfb finds a free display by itself and prints its number. Without `-noreset` it resets, and is deaf for a moment,
/// whenever the last window closes.
fn start_screen() -> (Child, String) {
    let mut screen = Command::new("Xvfb")
        .args(["-noreset", "-nolisten", "tcp", "-displayfd", "1"])
        .args(["-screen", "0", "1280x800x24", "+extension", "GLX"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(screen.stdout.take().unwrap()).read_line(&mut number).unwrap();
    assert!(!number.trim().is_empty(), "Xvfb did not start");
    (screen, format!(":{}", number.trim()))
}

fn on_display(mut command: Command, display: &str, home: &Path) -> Command {
    // The software rasteriser needs no graphics card; no session bus, so that no portal or keyring is asked.
    command.env("DISPLAY", display).env("LIBGL_ALWAYS_SOFTWARE", "1").env("HOME", home);
    for other in ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DBUS_SESSION_BUS_ADDRESS", "RUST_LOG"] {
        command.env_remove(other);
    }
    for xdg in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
        command.env_remove(xdg);
    }
    command
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

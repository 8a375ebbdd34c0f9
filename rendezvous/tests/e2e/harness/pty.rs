//! A program at its own terminal: keys go in one by one or as a paste, and what a person would see comes out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lanyard_rendezvous::clock;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::PATIENCE;

const ROWS: u16 = 40;
const COLUMNS: u16 = 100;
/// Lines that have scrolled off the screen and can still be searched.
const SCROLLBACK: usize = 5_000;

/// A program at a terminal. It is killed when dropped; if the test is failing, its last screen is printed.
pub(crate) struct Pty {
    child: Child,
    keyboard: File,
    /// Kept open, so that the modes can be read after the program has ended.
    terminal: OwnedFd,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

struct Shown {
    parser: vt100::Parser,
    is_over: bool,
}

impl Pty {
    /// Starts a program in a new session, with a controlling terminal of 40 rows and 100 columns.
    pub(crate) fn spawn(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(path, flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();

        let side = || Stdio::from(terminal.try_clone().unwrap());
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg(command.get_program()).args(command.get_args());
        inside.env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(side()).stdout(side()).stderr(side());
        let child = inside.spawn().expect("setsid of util-linux");
        let keyboard = File::from(master);
        let shown = shown_by(keyboard.try_clone().unwrap());
        Self { child, keyboard, terminal, shown }
    }

    /// Presses keys one after the other, with this much time between them.
    pub(crate) fn type_keys(&mut self, keys: &str, every: Duration) {
        let mut buffer = [0; 4];
        for key in keys.chars() {
            self.write(key.encode_utf8(&mut buffer).as_bytes());
            // The pause is how fast somebody types; nothing needs to wake us.
            std::thread::park_timeout(every);
        }
    }

    /// Types a line as fast as possible, and presses Enter.
    pub(crate) fn enter(&mut self, line: &str) {
        self.write(format!("{line}\r").as_bytes());
    }

    /// Pastes a text as a terminal does: bracketed if the program asks for that, with Enter for each end of a line.
    pub(crate) fn paste(&mut self, text: &str) {
        let text = text.replace('\n', "\r");
        if self.screen(|screen| screen.bracketed_paste()) {
            self.write(format!("\x1b[200~{text}\x1b[201~").as_bytes());
        } else {
            self.write(text.as_bytes());
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A program that has ended reads nothing.
        self.keyboard.write_all(bytes).ok();
    }

    /// Looks at the screen.
    pub(crate) fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shown.0.lock().unwrap().parser.screen())
    }

    /// The rows of the screen, without empty ones at the end.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.screen(rows)
    }

    /// Waits until the screen fits.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let (shown, changed) = &*self.shown;
        let is_not_so = |shown: &mut Shown| !is_so(shown.parser.screen()) && !shown.is_over;
        let waited = changed.wait_timeout_while(shown.lock().unwrap(), PATIENCE, is_not_so);
        let is_there = is_so(waited.unwrap().0.parser.screen());
        // Not while the screen is locked, because a failing test prints it.
        assert!(is_there, "no {what} on the screen");
    }

    /// Waits until a row of the screen contains this text.
    pub(crate) fn see(&self, text: &str) {
        self.wait_for(&format!("{text:?}"), |screen| {
            rows(screen).iter().any(|row| row.contains(text))
        });
    }

    /// Waits until the cursor is in a row that reads like this.
    pub(crate) fn see_cursor_behind(&self, text: &str) {
        self.wait_for(&format!("cursor behind {text:?}"), |screen| cursor_row(screen) == text);
    }

    /// Whether the terminal is in the state that a shell expects: it echoes, and passes input on line by line.
    pub(crate) fn is_as_found(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
            && !self.screen(|screen| screen.bracketed_paste())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program, which must have restored the terminal.
    pub(crate) fn end(&mut self, within: Duration) -> ExitStatus {
        let started = clock::monotonic();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let waited = clock::monotonic().duration_since(started);
            assert!(waited < within, "it should have ended within {within:?}: {:#?}", self.rows());
            std::thread::park_timeout(Duration::from_millis(5));
        };
        // Its last bytes may still be on their way to the screen.
        self.wait_for("the end of bracketed paste", |screen| !screen.bracketed_paste());
        assert!(self.is_as_found(), "{:?}", tcgetattr(self.terminal.as_fd()));
        status
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the screen:\n{}", self.rows().join("\n"));
        }
    }
}

/// Keeps a screen up to date until the terminal is closed.
fn shown_by(mut terminal: File) -> Arc<(Mutex<Shown>, Condvar)> {
    let size = |cells| NonZero::new(cells).unwrap();
    let parser = vt100::Parser::new(size(ROWS), size(COLUMNS), SCROLLBACK);
    let shown = Arc::new((Mutex::new(Shown { parser, is_over: false }), Condvar::new()));
    let updated = Arc::clone(&shown);
    let read = move || {
        let mut buffer = [0; 4_096];
        loop {
            let read = terminal.read(&mut buffer).unwrap_or_default();
            let mut shown = updated.0.lock().unwrap();
            shown.parser.process(&buffer[..read]);
            shown.is_over = read == 0;
            updated.1.notify_all();
            if shown.is_over {
                return;
            }
        }
    };
    std::thread::Builder::new().name("screen".into()).spawn(read).unwrap();
    shown
}

fn rows(screen: &vt100::Screen) -> Vec<String> {
    let mut rows: Vec<String> = screen.rows(0, COLUMNS).map(|row| row.trim_end().into()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}

fn cursor_row(screen: &vt100::Screen) -> String {
    let (row, _column) = screen.cursor_position();
    screen.rows(0, COLUMNS).nth(row.into()).unwrap_or_default().trim_end().to_owned()
}

//! The modes of a terminal, by termios(3).

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};

const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// The width of the terminal on standard output, or `None` if there is no terminal or it does not report one.
pub fn columns_of_stdout() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// The original modes of the terminal, which are restored when this is dropped.
#[derive(Debug)]
pub struct Modes {
    found: Termios,
    is_marking_pastes: AtomicBool,
}

impl Modes {
    /// Saves the modes of the terminal on standard input.
    ///
    /// # Errors
    /// If standard input is not a terminal.
    pub fn of_stdin() -> io::Result<Self> {
        Ok(Self { found: tcgetattr(io::stdin())?, is_marking_pastes: AtomicBool::new(false) })
    }

    /// Switches to reading key by key and without echo, so that keys typed between two lines are not shown, and lines
    /// are not truncated to 4,095 bytes. Ctrl-C remains a signal. Pasted text comes between marks.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn key_by_key(&self) -> io::Result<()> {
        let mut modes = self.found.clone();
        modes.input_modes.remove(InputModes::ICRNL | InputModes::IXON);
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        set(&modes)?;
        self.is_marking_pastes.store(true, Ordering::Relaxed);
        write(PASTE_MARKS_ON)
    }

    /// Turns off the echo.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn without_echo(&self) -> io::Result<()> {
        let mut modes = self.found.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        set(&modes)
    }

    /// Restores the modes.
    pub fn put_back(&self) {
        // A terminal that is gone needs nothing.
        if self.is_marking_pastes.swap(false, Ordering::Relaxed) {
            write(PASTE_MARKS_OFF).ok();
        }
        set(&self.found).ok();
    }

    /// Restores the modes and drops what was typed ahead, because the shell would run it.
    pub fn put_back_and_forget_input(&self) {
        tcflush(io::stdin(), QueueSelector::IFlush).ok();
        self.put_back();
    }

    /// Stops the program as Ctrl-Z does, with the original modes of the terminal. The system stops it a moment later,
    /// so `wait` must return when the program continues.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn suspend(&self, wait: impl FnOnce()) -> io::Result<()> {
        let meanwhile = tcgetattr(io::stdin())?;
        self.put_back();
        kill_current_process_group(Signal::TSTP)?;
        wait();
        self.key_by_key()?;
        set(&meanwhile)
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// Reports when the program continues after it was stopped. Must be called on a tokio runtime.
///
/// # Errors
/// If the system does not let the program listen.
pub fn continuations() -> io::Result<Receiver<()>> {
    let mut signals = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let (sender, continued) = sync_channel(1);
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            // One that is still waiting means the same.
            sender.try_send(()).ok();
        }
    });
    Ok(continued)
}

/// Sets the modes at once: waiting until the output was read could take for ever.
fn set(modes: &Termios) -> io::Result<()> {
    Ok(tcsetattr(io::stdin(), OptionalActions::Now, modes)?)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

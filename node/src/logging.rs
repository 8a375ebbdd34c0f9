//! Logs go to stderr and nowhere else: stdout belongs to answers. `RUST_LOG` says how much.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;

/// What is logged without `RUST_LOG`.
const DEFAULT: &str = "info,libp2p=warn,libp2p_gossipsub=error,yamux=error";

/// Starts logging for a program.
pub fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| Stderr)
        .init();
}

/// Shows a text of several lines where it does no harm.
pub(crate) type Show = Arc<dyn Fn(&str) + Send + Sync>;

static INSTEAD: Mutex<Option<Show>> = Mutex::new(None);

/// From now on lines for a terminal are shown by this; `None` for the terminal itself.
pub(crate) fn show_by(show: Option<Show>) {
    if io::stderr().is_terminal() {
        *INSTEAD.lock().unwrap_or_else(PoisonError::into_inner) = show;
    }
}

/// Standard error, or what stands in its place.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let show = INSTEAD.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match show {
            Some(show) => {
                show(String::from_utf8_lossy(bytes).trim_end_matches('\n'));
                Ok(bytes.len())
            }
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

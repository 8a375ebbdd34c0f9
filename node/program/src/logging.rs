//! Logs go to stderr and nowhere else, because stdout is for answers. `RUST_LOG` sets how much.
//!
//! Stderr may be gone, as when a terminal closes or a disk is full. Then the line is lost, and nothing else happens.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;

/// What terminal programs log without `RUST_LOG`.
///
/// Nobody can act on what these libraries report of a stranger's connection, and a stranger can cause any number of
/// such lines.
pub const DEFAULT: &str = "info,libp2p=warn,libp2p_gossipsub=error,libp2p_request_response=error,\
                           multistream_select=error,yamux=off";

/// Starts logging. `default` sets how much without `RUST_LOG`.
pub fn to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| Stderr)
        // A line that cannot be written would be reported on stderr, by a macro that panics if that fails too.
        .log_internal_errors(false)
        .init();
}

/// A function that shows a text of several lines.
pub type Show = Arc<dyn Fn(&str) + Send + Sync>;

static INSTEAD: Mutex<Option<Show>> = Mutex::new(None);

/// Shows log lines for a terminal with this from now on; `None` writes them to the terminal itself.
pub fn show_by(show: Option<Show>) {
    if io::stderr().is_terminal() {
        *INSTEAD.lock().unwrap_or_else(PoisonError::into_inner) = show;
    }
}

/// Standard error, or its replacement.
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

//! Lines of stdin, read on a separate thread because a blocking read must not hold up the conversation.

use std::io::BufReader;

use lanyard_program::stdin::{BadLine, LineReader};
use tokio::sync::mpsc;

/// The longest line, in bytes: a message of the largest size, with every byte escaped.
const LINE_BYTES_MAX: usize = 256 * 1_024;
/// How many lines are read ahead; a pipe with more has to wait.
const LINES: usize = 16;

/// A line of stdin.
#[derive(Debug)]
pub(super) struct Line {
    /// The number of the line, from 1.
    pub(super) number: u64,
    pub(super) text: Result<String, BadLine>,
}

/// The lines of stdin without their line ends, as they arrive.
pub(super) type Lines = mpsc::Receiver<Line>;

pub(super) fn lines_of_stdin() -> Lines {
    let (sender, lines) = mpsc::channel(LINES);
    let read = move || {
        let mut stdin = LineReader::new(BufReader::new(std::io::stdin()), LINE_BYTES_MAX);
        while let Some(text) = stdin.next_line() {
            let line = Line { number: stdin.number(), text };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("lanyard-stdin".into()).spawn(read) {
        tracing::error!(%error, "Cannot read stdin");
    }
    lines
}

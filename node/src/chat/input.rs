//! Lines of stdin, read by a thread of their own: a read that blocks must hold nothing up.

use std::io::{BufRead, BufReader, Read as _};

use tokio::sync::mpsc;

/// Longest line: a message of the largest size, with every byte escaped.
const LINE_BYTES_MAX: usize = 256 * 1_024;
/// Lines read ahead. Whoever pipes more waits.
const LINES: usize = 16;

/// A line that was not taken. The rest of it has been skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadLine {
    /// Over 256 KiB.
    TooLong,
    /// Not UTF-8.
    NotText,
}

/// The lines that come.
#[derive(Debug)]
pub(super) struct Lines {
    receiver: mpsc::Receiver<Result<String, BadLine>>,
}

impl Lines {
    /// Starts reading stdin.
    pub(super) fn of_stdin() -> Self {
        let (sender, receiver) = mpsc::channel(LINES);
        let read = move || {
            let mut stdin = BufReader::new(std::io::stdin());
            while let Some(line) = next_line(&mut stdin) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("lanyard-stdin".into()).spawn(read) {
            tracing::error!(%error, "Cannot read stdin");
        }
        Self { receiver }
    }

    /// The next line without its end; `None` at the end of stdin.
    pub(super) async fn next(&mut self) -> Option<Result<String, BadLine>> {
        self.receiver.recv().await
    }
}

fn next_line(input: &mut impl BufRead) -> Option<Result<String, BadLine>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = input.by_ref().take(limit).read_until(b'\n', &mut bytes);
    if read.ok()? == 0 {
        return None;
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() >= LINE_BYTES_MAX {
        skip_line(input);
        return Some(Err(BadLine::TooLong));
    }
    Some(String::from_utf8(bytes).map_err(|_not_utf8| BadLine::NotText))
}

/// Skips to the end of the line without holding it.
fn skip_line(input: &mut impl BufRead) {
    while let Ok(buffer) = input.fill_buf() {
        if buffer.is_empty() {
            return;
        }
        let (used, end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(position) => (position + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(used);
        if end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_capped_and_the_rest_is_skipped() {
        let long = "x".repeat(LINE_BYTES_MAX + 5);
        let text = [b"one\n", long.as_bytes(), b"\n\xff\xfe\nlast"].concat();
        let mut input = BufReader::new(&text[..]);
        assert_eq!(next_line(&mut input), Some(Ok("one".into())));
        assert_eq!(next_line(&mut input), Some(Err(BadLine::TooLong)));
        assert_eq!(next_line(&mut input), Some(Err(BadLine::NotText)));
        assert_eq!(next_line(&mut input), Some(Ok("last".into())));
        assert_eq!(next_line(&mut input), None);
    }
}

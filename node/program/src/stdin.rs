//! Lines of standard input without encoding marks. A line may end in LF or CRLF, and a UTF-8 byte order mark at the
//! start is dropped. Other encodings are refused, with a sentence that says so.

use std::fmt;
use std::io::{BufRead, Read as _};

use zeroize::{Zeroize as _, Zeroizing};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// A line of up to this size is read without moving the buffer, so no copy of a password stays behind.
const ROOM: usize = 2_048;
/// The longest line with a password, in bytes.
const PASSWORD_LINE_BYTES_MAX: usize = 64 * 1_024;

/// Reads lines and counts them.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    bytes_max: usize,
    number: u64,
    is_utf16: bool,
}

/// A line that cannot be used. Its unread rest was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// What is wrong with it.
    pub fault: Fault,
    /// As much of it as was read, with U+FFFD for bytes that are not text.
    pub text: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than this many bytes.
    TooLong(usize),
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// The input began with the mark of UTF-16.
    Utf16,
}

/// Continues a sentence that begins with "the line" or "the password".
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "is longer than {} KiB", bytes / 1_024),
            Self::NotUtf8 => {
                f.write_str("is not UTF-8 text; whatever sends it must encode it as UTF-8")
            }
            Self::Utf16 => f.write_str("is UTF-16 text; whatever sends it must encode it as UTF-8"),
        }
    }
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines of at most `bytes_max` bytes.
    pub fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, number: 0, is_utf16: false }
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its line end, or `None` at the end of the input.
    pub fn next_line(&mut self) -> Option<Result<String, BadLine>> {
        let mut bytes = Vec::with_capacity(ROOM);
        // Leave room for the line end and for one byte too many.
        let limit = u64::try_from(self.bytes_max.saturating_add(2)).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut bytes);
        if read.ok()? == 0 {
            return None;
        }
        let is_whole = bytes.last() == Some(&b'\n');
        let is_first = self.number == 0;
        self.number = self.number.saturating_add(1);
        self.is_utf16 |= is_first && UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark));
        drop_marks(&mut bytes);
        if bytes.len() > self.bytes_max {
            if !is_whole {
                // If this cannot be read, there are no more lines either.
                self.input.skip_until(b'\n').ok();
            }
            return Some(Err(bad(bytes, Fault::TooLong(self.bytes_max))));
        }
        if self.is_utf16 {
            return Some(Err(bad(bytes, Fault::Utf16)));
        }
        let text = String::from_utf8(bytes);
        Some(text.map_err(|error| bad(error.into_bytes(), Fault::NotUtf8)))
    }
}

fn drop_marks(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
}

fn bad(mut bytes: Vec<u8>, fault: Fault) -> BadLine {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    bytes.zeroize();
    BadLine { fault, text }
}

/// Why there is no password on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPassword {
    /// There is no line, or an empty one.
    #[error("no password on stdin")]
    Missing,
    /// The first line cannot be read.
    #[error("the password {0}")]
    Unreadable(Fault),
}

/// Reads the password from the first line of standard input.
///
/// # Errors
/// [`NoPassword`].
pub fn password() -> Result<Zeroizing<String>, NoPassword> {
    password_of(LineReader::new(std::io::stdin().lock(), PASSWORD_LINE_BYTES_MAX).next_line())
}

/// Uses a line as a password.
///
/// # Errors
/// [`NoPassword`].
pub fn password_of(line: Option<Result<String, BadLine>>) -> Result<Zeroizing<String>, NoPassword> {
    match line {
        None => Err(NoPassword::Missing),
        Some(Err(bad)) => {
            let _wiped = Zeroizing::new(bad.text);
            Err(NoPassword::Unreadable(bad.fault))
        }
        Some(Ok(line)) if line.is_empty() => Err(NoPassword::Missing),
        Some(Ok(line)) => Ok(Zeroizing::new(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for each line: its text or its fault.
    fn lines(input: &[u8]) -> Vec<String> {
        let mut reader = LineReader::new(input, 8);
        std::iter::from_fn(|| reader.next_line())
            .map(|line| line.unwrap_or_else(|bad| format!("{:?}", bad.fault)))
            .collect()
    }

    #[test]
    fn line_ends_and_byte_order_marks_are_dropped() {
        assert_eq!(lines(b"one\r\ntwo\nlast\r"), ["one", "two", "last"]);
        assert_eq!(lines(b"\xef\xbb\xbfpw\n\xef\xbb\xbf{}\n"), ["pw", "{}"]);
        assert_eq!(lines(b"a\rb\r\r\n"), ["a\rb\r"]);
        assert_eq!(lines(b"\n\r\n"), ["", ""]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn an_unreadable_line_is_named_and_skipped() {
        assert_eq!(lines(b"12345678\n"), ["12345678"]);
        assert_eq!(lines(b"12345678\r\n123456789\r\nok\n"), ["12345678", "TooLong(8)", "ok"]);
        assert_eq!(lines(&[&b"x".repeat(90)[..], b"\nok"].concat()), ["TooLong(8)", "ok"]);
        assert_eq!(lines(b"caf\xe9\nok\n"), ["NotUtf8", "ok"]);
        assert_eq!(lines(b"\xff\xfep\0\n\0"), ["Utf16", "Utf16"]);
        assert_eq!(lines(b"ok\n\xff\xfe\n"), ["ok", "NotUtf8"]);
    }

    #[test]
    fn a_missing_or_unreadable_password_is_refused() {
        let read = |input: &[u8]| password_of(LineReader::new(input, 64).next_line());
        assert_eq!(*read(b"\xef\xbb\xbfcorrect horse\r\n").unwrap(), "correct horse");
        for empty in [&b""[..], b"\n", b"\r\n", b"\xef\xbb\xbf"] {
            assert_eq!(read(empty).unwrap_err().to_string(), "no password on stdin");
        }
        let latin = read(b"caf\xe9\n").unwrap_err().to_string();
        assert!(latin.starts_with("the password is not UTF-8 text;"), "{latin}");
        let wide = read(b"\xff\xfep\0w\0\n\0").unwrap_err().to_string();
        assert!(wide.starts_with("the password is UTF-16 text;"), "{wide}");
    }
}

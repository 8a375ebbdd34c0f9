//! What was refused: it is kept to be sent again, as long as the program runs.

use std::collections::VecDeque;

/// Texts that are kept.
const TEXTS_MAX: usize = 1_000;
/// Bytes that are kept, all in all.
const BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Characters by which a text is recognised.
const BEGINNING_CHARS: usize = 40;

/// A text and where it was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) room: String,
    pub(super) text: String,
}

/// See the module. First in, first out.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    texts: VecDeque<Text>,
    bytes: usize,
}

impl Unsent {
    /// Keeps a text; false if there is no room for it.
    pub(super) fn keep(&mut self, text: Text) -> bool {
        let bytes = self.bytes.saturating_add(text.text.len());
        if self.texts.len() >= TEXTS_MAX || bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        self.texts.push_back(text);
        true
    }

    /// Gives all of it away.
    pub(super) fn take(&mut self) -> VecDeque<Text> {
        self.bytes = 0;
        std::mem::take(&mut self.texts)
    }

    pub(super) fn texts(&self) -> impl ExactSizeIterator<Item = &Text> {
        self.texts.iter()
    }
}

/// The words by which somebody recognises a text: its first line, shortened. Not escaped.
pub(super) fn beginning(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(BEGINNING_CHARS).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text { room: "lobby".into(), text: text.into() }
    }

    #[test]
    fn texts_are_kept_in_order_and_within_bounds() {
        let mut unsent = Unsent::default();
        assert!(unsent.keep(text("one")) && unsent.keep(text("two")));
        assert_eq!(unsent.take(), [text("one"), text("two")]);
        let large = "x".repeat(BYTES_MAX / 2);
        assert!(unsent.keep(text(&large)) && unsent.keep(text(&large)));
        assert!(!unsent.keep(text("x")));
        unsent.take();
        assert_eq!((0..TEXTS_MAX + 1).filter(|_| unsent.keep(text("x"))).count(), TEXTS_MAX);
    }

    #[test]
    fn a_text_is_known_by_its_first_words() {
        assert_eq!(beginning("hello"), "hello");
        assert_eq!(beginning("  two\nlines"), "two…");
        assert_eq!(beginning(&"ä".repeat(41)), format!("{}…", "ä".repeat(40)));
        assert_eq!(beginning("one\n"), "one");
    }
}

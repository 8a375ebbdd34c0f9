//! Messages that were refused, kept for another try while the program runs.

use std::collections::VecDeque;

use lanyard_protocol::message::Draft;

/// The most messages that are kept.
const TEXTS_MAX: usize = 1_000;
/// The most bytes that are kept.
const BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How many characters show which message is meant.
const BEGINNING_CHARS: usize = 40;

/// The refused messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    drafts: VecDeque<Draft>,
    bytes: usize,
}

impl Unsent {
    /// Keeps a message. Returns false if there is no room for it.
    pub(super) fn keep(&mut self, draft: Draft) -> bool {
        let bytes = self.bytes.saturating_add(draft.body.size());
        if self.drafts.len() >= TEXTS_MAX || bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        self.drafts.push_back(draft);
        true
    }

    /// Takes all messages out.
    pub(super) fn take(&mut self) -> VecDeque<Draft> {
        self.bytes = 0;
        std::mem::take(&mut self.drafts)
    }

    pub(super) fn drafts(&self) -> impl ExactSizeIterator<Item = &Draft> {
        self.drafts.iter()
    }
}

/// The first line of a text, shortened, to show which text is meant. Not escaped.
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

    fn text(text: &str) -> Draft {
        Draft::new("lobby", text)
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

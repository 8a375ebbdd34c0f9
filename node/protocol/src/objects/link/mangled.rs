//! What mail, phones and terminals do to a join link on its way, undone.
//!
//! A link that was printed by us holds no space, no quote and no bracket but those of an IPv6 address, and never ends
//! in punctuation. So whatever of that kind stands in a pasted one was put there by a program on the way.

use super::SCHEME;

/// The link in a pasted text: without line breaks, invisible characters, quotes and brackets around it, and with its
/// scheme in lower case. A text that is no link comes back as something that is none either.
pub(super) fn undo(text: &str) -> String {
    // A reply marks each line of what it quotes with `>`, also the second line of a broken link.
    let joined: String =
        text.chars().filter(|c| !is_noise(*c) && !matches!(c, '<' | '>')).collect();
    let link = joined.trim_start_matches(opens).trim_end_matches(closes);
    let whole = match undone_percents(link) {
        Some(decoded) => decoded.chars().filter(|c| !is_noise(*c)).collect(),
        None => link.to_owned(),
    };
    match after_scheme(&whole) {
        Some(rest) => format!("{SCHEME}{rest}"),
        None => whole,
    }
}

/// White space, controls, and what nobody sees: zero-width and direction marks, the soft hyphen, the byte order mark.
fn is_noise(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Quotes of every kind, and the marks by which chat programs make text bold or code.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '´' | '*' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}')
        || matches!(c, '\u{300c}'..='\u{300f}' | '＂' | '＇' | '′' | '″')
}

fn opens(c: char) -> bool {
    is_quote(c) || matches!(c, '(' | '[' | '{')
}

/// A sentence goes on or ends after a link.
fn closes(c: char) -> bool {
    is_quote(c)
        || matches!(c, ')' | ']' | '}' | '.' | ',' | ';' | ':' | '!' | '?' | '…')
        || matches!(c, '。' | '，' | '、' | '！' | '？' | '；' | '：')
}

/// A link that was percent-encoded as a whole, as a parameter of another link is: `lanyard%3A%2F%2F…`.
fn undone_percents(link: &str) -> Option<String> {
    let word = link.get(..SCHEME.len() - "://".len())?;
    let rest = link.get(word.len()..)?;
    let encoded = ["%3a", ":%2f"].iter().any(|start| starts_with(rest, start));
    // A plus stays one: as a space it would be lost.
    let decoded = || super::percent_decode(&link.replace('+', "%2B"));
    (starts_with(&format!("{word}://"), SCHEME) && encoded).then(decoded).flatten()
}

/// What follows on the scheme, in whatever case that is written.
fn after_scheme(link: &str) -> Option<&str> {
    starts_with(link, SCHEME).then(|| link.get(SCHEME.len()..)).flatten()
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

//! Repairs what mail programs, phones and terminals do to a join link.
//!
//! A link that we print contains no space, no quote and no bracket other than those of an IPv6 address, and never ends
//! in punctuation. Anything of that kind in a pasted link was added on the way.

use super::SCHEME;

/// Extracts the link from a pasted text: removes line breaks, invisible characters, and the quotes and brackets around
/// it, and lowers the case of its scheme. A text that is not a link does not become one.
pub(super) fn undo(text: &str) -> String {
    // A mail reply puts `>` before every quoted line, including the second line of a broken link.
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

/// White space, control characters, and invisible ones: zero-width and direction marks, soft hyphen, byte order mark.
fn is_noise(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Quotation marks of every kind, and the marks that chat programs use for bold text and code.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '´' | '*' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}')
        || matches!(c, '\u{300c}'..='\u{300f}' | '＂' | '＇' | '′' | '″')
}

fn opens(c: char) -> bool {
    is_quote(c) || matches!(c, '(' | '[' | '{')
}

/// Includes the punctuation that continues or ends a sentence after a link.
fn closes(c: char) -> bool {
    is_quote(c)
        || matches!(c, ')' | ']' | '}' | '.' | ',' | ';' | ':' | '!' | '?' | '…')
        || matches!(c, '。' | '，' | '、' | '！' | '？' | '；' | '：')
}

/// Decodes a link that was percent-encoded as a whole, as a parameter of another link: `lanyard%3A%2F%2F…`.
fn undone_percents(link: &str) -> Option<String> {
    let word = link.get(..SCHEME.len() - "://".len())?;
    let rest = link.get(word.len()..)?;
    let encoded = ["%3a", ":%2f"].iter().any(|start| starts_with(rest, start));
    // Keep `+`: decoded to a space, it would be removed as noise.
    let decoded = || super::percent_decode(&link.replace('+', "%2B"));
    (starts_with(&format!("{word}://"), SCHEME) && encoded).then(decoded).flatten()
}

/// The text after the scheme, in whatever case the scheme is written.
fn after_scheme(link: &str) -> Option<&str> {
    starts_with(link, SCHEME).then(|| link.get(SCHEME.len()..)).flatten()
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

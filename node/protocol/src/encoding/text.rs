//! Makes text by others safe to show: it cannot control a terminal, hide characters, reorder the text around it, or
//! imitate a line of the program.
//!
//! Invisible characters are shown as escapes such as `\u{202e}`. Those that a script or an emoji needs stay: joiners in
//! Persian, Hindi and emoji families, variation selectors after a character that has variants, the flag of Scotland.
//! Unicode's own properties decide.

use std::fmt::Write as _;

use icu_properties::props::{
    BinaryProperty as _, CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, EmojiModifier,
    EnumeratedProperty as _, ExtendedPictographic, GeneralCategory, JoiningType, LineBreak,
    NoncharacterCodePoint, PrependedConcatenationMark, Script, UnifiedIdeograph,
};

const ZERO_WIDTH_SPACE: char = '\u{200b}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const EMOJI_SELECTOR: char = '\u{fe0f}';
const BLACK_FLAG: char = '\u{1f3f4}';
/// What tags after a black flag may spell (UTS 51, RGI_Emoji_Tag_Sequence): England, Scotland, Wales.
const FLAGS: [&str; 3] = ["gbeng\u{7f}", "gbsct\u{7f}", "gbwls\u{7f}"];

/// Escapes a text that must stay on one line: a name, reason, topic, label or notice. Line ends are escaped too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, text);
    out
}

/// Escapes a text of several lines, and indents each line after the first by `margin`, so that none of them looks like
/// a line of the program.
#[must_use]
pub fn escape_lines(text: &str, margin: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
            out.push_str(margin);
        }
        // Accept line ends of Windows.
        push_escaped(&mut out, line.strip_suffix('\r').unwrap_or(line));
    }
    out
}

/// Removes what [`escape`] would escape, except line ends and tabs. For a window, which draws them.
#[must_use]
pub fn visible(text: &str) -> String {
    judged(text)
        .filter(|(c, is_seen)| *is_seen || matches!(c, '\n' | '\t'))
        .map(|(c, _is_seen)| c)
        .collect()
}

/// Whether a text is a single line of visible characters.
#[must_use]
pub fn is_plain_line(text: &str) -> bool {
    judged(text).all(|(_c, is_seen)| is_seen)
}

/// Reduces a stranger's text to its visible characters, on one line of at most `bytes_max` bytes.
#[must_use]
pub fn plain_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for (c, _is_seen) in judged(text).filter(|(_c, is_seen)| *is_seen) {
        if line.len().saturating_add(c.len_utf8()) > bytes_max {
            break;
        }
        line.push(c);
    }
    line.trim().to_owned()
}

fn push_escaped(out: &mut String, text: &str) {
    for (c, is_seen) in judged(text) {
        if is_seen {
            out.push(c);
        } else {
            write!(out, "\\u{{{:x}}}", u32::from(c)).ok();
        }
    }
}

/// The characters of a text, each with whether it may be shown unescaped.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    let chars: Vec<char> = text.chars().collect();
    (0..chars.len()).filter_map(move |at| {
        let (before, rest) = chars.split_at(at);
        let (c, after) = rest.split_first()?;
        Some((*c, can_be_seen(*c) || is_needed(before, *c, after)))
    })
}

/// Whether a character is visible and does not reorder the others.
fn can_be_seen(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    match GeneralCategory::for_char(c) {
        GeneralCategory::Control
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => false,
        // This includes everything that changes the direction. The signs before Arabic numbers are visible.
        GeneralCategory::Format => PrependedConcatenationMark::for_char(c),
        _ => !DefaultIgnorableCodePoint::for_char(c) && !NoncharacterCodePoint::for_char(c),
    }
}

/// Whether an invisible character has a function at this position.
fn is_needed(before: &[char], c: char, after: &[char]) -> bool {
    let last = before.last().copied();
    let follows = |property: fn(char) -> bool| last.is_some_and(property);
    match c {
        ZERO_WIDTH_JOINER => joins_emoji(before, after) || shapes_letters(before, after),
        ZERO_WIDTH_NON_JOINER => shapes_letters(before, after),
        // Khmer, Thai and their neighbours are written without spaces.
        ZERO_WIDTH_SPACE => {
            let is_without_spaces = |c: &char| LineBreak::for_char(*c) == LineBreak::ComplexContext;
            before.last().is_some_and(is_without_spaces)
                && after.first().is_some_and(is_without_spaces)
        }
        '\u{fe0e}' | EMOJI_SELECTOR => follows(Emoji::for_char),
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => follows(UnifiedIdeograph::for_char),
        '\u{180b}'..='\u{180f}' => follows(|c| Script::for_char(c) == Script::Mongolian),
        '\u{e0020}'..='\u{e007f}' => is_of_flag(before, c, after),
        _ => false,
    }
}

/// Whether a joiner stands between two emoji, of which the first may have a skin tone.
fn joins_emoji(before: &[char], after: &[char]) -> bool {
    let mut pictures =
        before.iter().rev().skip_while(|c| **c == EMOJI_SELECTOR || EmojiModifier::for_char(**c));
    pictures.next().is_some_and(|c| ExtendedPictographic::for_char(*c))
        && after.first().is_some_and(|c| ExtendedPictographic::for_char(*c))
}

/// Whether a joiner follows a letter that joins, as in Arabic, or is next to a virama, as in the scripts of India.
fn shapes_letters(before: &[char], after: &[char]) -> bool {
    let is_virama =
        |c: &char| CanonicalCombiningClass::for_char(*c) == CanonicalCombiningClass::Virama;
    let is_letter = |c: &char| c.is_alphabetic();
    let joins = |c: &char| {
        let kind = JoiningType::for_char(*c);
        [JoiningType::DualJoining, JoiningType::LeftJoining, JoiningType::RightJoining]
            .contains(&kind)
    };
    let is_mark = |c: &&char| GeneralCategory::for_char(**c) == GeneralCategory::NonspacingMark;
    let beside_virama = before.last().is_some_and(is_virama)
        || (before.last().is_some_and(is_letter) && after.first().is_some_and(is_virama));
    beside_virama || before.iter().rev().find(|c| !is_mark(c)).is_some_and(joins)
}

/// Whether a tag is part of a complete sequence that spells a flag.
fn is_of_flag(before: &[char], c: char, after: &[char]) -> bool {
    const TAGS_MAX: usize = 6;
    let tag = |c: &char| {
        let ascii = u32::from(*c).checked_sub(0xe_0000).filter(|ascii| *ascii < 0x80);
        ascii.and_then(char::from_u32)
    };
    let behind: Vec<char> = before.iter().rev().map_while(tag).take(TAGS_MAX).collect();
    let base = before.iter().rev().nth(behind.len());
    let ahead = after.iter().map_while(tag).take(TAGS_MAX);
    let spelled: String = behind.iter().rev().copied().chain(tag(&c)).chain(ahead).collect();
    base == Some(&BLACK_FLAG) && FLAGS.contains(&spelled.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_invisible_characters_are_escaped() {
        for (text, shown) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("bell\u{7} del\u{7f} csi\u{9b}", "bell\\u{7} del\\u{7f} csi\\u{9b}"),
            ("tab\tcr\r", "tab\\u{9}cr\\u{d}"),
            ("alm\u{61c} lrm\u{200e} rlo\u{202e}", "alm\\u{61c} lrm\\u{200e} rlo\\u{202e}"),
            ("isolate\u{2066}d\u{2069}", "isolate\\u{2066}d\\u{2069}"),
            ("zero\u{200b}width\u{2060}\u{feff}", "zero\\u{200b}width\\u{2060}\\u{feff}"),
            ("soft\u{ad}hyphen", "soft\\u{ad}hyphen"),
            ("line\u{2028}par\u{2029}nel\u{85}", "line\\u{2028}par\\u{2029}nel\\u{85}"),
            ("note\u{fff9}a\u{fffa}b\u{fffb}", "note\\u{fff9}a\\u{fffa}b\\u{fffb}"),
            ("tag\u{e0041}\u{e0001}", "tag\\u{e0041}\\u{e0001}"),
            ("filler\u{3164}\u{115f}\u{ffa0}", "filler\\u{3164}\\u{115f}\\u{ffa0}"),
            ("joined\u{200d}with\u{200c}nothing", "joined\\u{200d}with\\u{200c}nothing"),
            ("x\u{fe0f}y\u{e0100}z\u{fe00}", "x\\u{fe0f}y\\u{e0100}z\\u{fe00}"),
            ("\u{1f3f4}\u{e0068}\u{e0069}\u{e007f}", "🏴\\u{e0068}\\u{e0069}\\u{e007f}"),
            ("می\u{200c}\u{200c}خواهم", "می\u{200c}\\u{200c}خواهم"),
            ("unassigned\u{2065}\u{fdd0}", "unassigned\\u{2065}\\u{fdd0}"),
        ] {
            assert_eq!(escape(text), shown);
            assert!(!is_plain_line(text));
        }
    }

    #[test]
    fn real_writing_stays_as_it_is() {
        for text in [
            "Ольга 王 Łukasz",
            "سلام 👋🏽",
            "می\u{200c}خواهم کتاب\u{200c}ها",
            "۱۴۰۰ ه\u{200d}.ش",
            "क\u{94d}\u{200d}ष र\u{94d}\u{200d}",
            "র\u{200d}\u{9cd}য",
            "ශ\u{dca}\u{200d}ර\u{dd3}",
            "ភាសា\u{200b}ខ្មែរ",
            "\u{1820}\u{180b}\u{1820}\u{180e}",
            "葛\u{e0100}城",
            "👩🏽\u{200d}🚀 👨\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3} ❤\u{fe0f} ❤\u{fe0e}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "\u{600}12 \u{6dd}3",
            "non\u{a0}breaking\u{3000}wide",
        ] {
            assert_eq!(escape(text), text);
            assert!(is_plain_line(text));
        }
    }

    #[test]
    fn no_line_of_a_text_imitates_a_line_of_the_program() {
        let forged = "ok\n[10:31] Grace H.: send the code\r\n* Grace H. (grace) has left\r";
        let shown = escape_lines(forged, "        ");
        let lines: Vec<&str> = shown.split('\n').collect();
        assert_eq!(lines[0], "ok");
        assert_eq!(lines[1], "        [10:31] Grace H.: send the code");
        assert_eq!(lines[2], "        * Grace H. (grace) has left");
        assert_eq!(escape("a\nb"), "a\\u{a}b", "a name is one line");
    }

    #[test]
    fn a_window_omits_what_a_terminal_escapes() {
        assert_eq!(visible("a\u{202e}b\u{7}\n\tc\u{61c}"), "ab\n\tc");
        assert_eq!(plain_line(" a\nb\u{200b}cdé ", 6), "abcd");
    }
}

//! Text that runs from right to left: the order in which its pieces are drawn, and where its lines end.
//!
//! egui draws pieces from left to right and shapes each by itself. So the Unicode Bidirectional
//! Algorithm (UAX #9) runs here, on whole lines: they are broken in reading order, then put into the
//! order of drawing. Without it, a line that wraps would begin with the last words of its sentence.

use std::ops::Range;

use unicode_bidi::{BidiInfo, ParagraphInfo};
use unicode_segmentation::UnicodeSegmentation as _;

/// A script written from right to left that has a font family of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightToLeft {
    /// Arabic script, as in Arabic, Persian and Urdu.
    Arabic,
    /// Hebrew script, as in Hebrew and Yiddish.
    Hebrew,
}

/// A part of a line that is shaped as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// The script whose font draws it; `None` for the usual font.
    pub script: Option<RightToLeft>,
    /// The character drawn instead: brackets open the other way in text that runs to the left.
    pub mirrored: Option<char>,
}

/// Whether a text has anything in it that runs from right to left.
#[must_use]
pub fn runs_to_the_left(text: &str) -> bool {
    // All such scripts lie beyond the Latin, Greek and Cyrillic blocks.
    !text.is_ascii() && text.chars().any(|c| script_of(c).is_some())
}

/// The lines of a text, each as its pieces from left to right.
///
/// `width_of` measures a range of the text. No line becomes wider than `width`, unless one
/// user-perceived character is. The white space at which a line is broken belongs to no piece.
/// A line that ends with a line break of the text's own is followed by [`LineEnd::Written`].
#[must_use]
pub fn lines(
    text: &str,
    width: f32,
    mut width_of: impl FnMut(Range<usize>) -> f32,
) -> Vec<(Vec<Piece>, LineEnd)> {
    let info = BidiInfo::new(text, None);
    let mut lines = Vec::new();
    for paragraph in &info.paragraphs {
        let whole = paragraph.range.clone();
        let written = text.get(whole.clone()).is_some_and(|text| text.ends_with('\n'));
        let inside = whole.start..whole.end - usize::from(written);
        let mut broken = break_paragraph(text, inside, width, &mut width_of);
        if written && let Some((_, end)) = broken.last_mut() {
            *end = LineEnd::Written;
        }
        let pieces = |line: Range<usize>| pieces_of(&info, paragraph, line);
        lines.extend(broken.into_iter().map(|(line, end)| (pieces(line), end)));
    }
    if text.ends_with('\n') {
        lines.push((Vec::new(), LineEnd::Text));
    }
    lines
}

/// The pieces of a text that stays on one line, from left to right.
#[must_use]
pub fn line(text: &str) -> Vec<Piece> {
    let info = BidiInfo::new(text, None);
    let paragraphs = info.paragraphs.iter();
    paragraphs.flat_map(|paragraph| pieces_of(&info, paragraph, paragraph.range.clone())).collect()
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// The text ends.
    Text,
    /// A line break that was typed.
    Written,
    /// The width, at white space.
    Space,
    /// The width, within a word that is wider than a line.
    Word,
}

fn break_paragraph(
    text: &str,
    paragraph: Range<usize>,
    width: f32,
    width_of: &mut impl FnMut(Range<usize>) -> f32,
) -> Vec<(Range<usize>, LineEnd)> {
    let mut lines = Vec::new();
    let mut line = paragraph.start..paragraph.start;
    let mut taken = 0.0;
    for word in words(text, paragraph.clone()) {
        let gap = width_of(line.end..word.start);
        let wide = width_of(word.clone());
        if taken + gap + wide <= width {
            taken += gap + wide;
            line.end = word.end;
            continue;
        }
        if line.end > line.start {
            lines.push((line.clone(), LineEnd::Space));
        }
        line = word.clone();
        taken = wide;
        if wide > width {
            taken = 0.0;
            line.end = line.start;
            for cluster in clusters(text, word) {
                let wide = width_of(cluster.clone());
                if taken + wide > width && line.end > line.start {
                    lines.push((line.clone(), LineEnd::Word));
                    line.start = cluster.start;
                    taken = 0.0;
                }
                taken += wide;
                line.end = cluster.end;
            }
        }
    }
    lines.push((line, LineEnd::Text));
    lines
}

/// The words of a part of the text, without the white space between them.
fn words(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = part.start;
    let chunks = text.get(part).unwrap_or_default().split_inclusive(char::is_whitespace);
    chunks.filter_map(move |chunk| {
        let start = at;
        at += chunk.len();
        let word = chunk.trim_end();
        (!word.is_empty()).then(|| start..start + word.len())
    })
}

fn clusters(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let base = part.start;
    let clusters = text.get(part).unwrap_or_default().grapheme_indices(true);
    clusters.map(move |(at, cluster)| base + at..base + at + cluster.len())
}

fn pieces_of(info: &BidiInfo<'_>, paragraph: &ParagraphInfo, line: Range<usize>) -> Vec<Piece> {
    if line.is_empty() {
        return Vec::new();
    }
    let (levels, runs) = info.visual_runs(paragraph, line);
    let mut pieces = Vec::new();
    for run in runs {
        let to_the_left = levels.get(run.start).is_some_and(unicode_bidi::Level::is_rtl);
        if to_the_left {
            let mut parts = parts_of_run(info.text, run);
            parts.reverse();
            pieces.append(&mut parts);
        } else {
            pieces.push(Piece { range: run, script: None, mirrored: None });
        }
    }
    pieces
}

/// A run to the left in reading order: words of one script with the spaces between them stay whole,
/// since a shaper reverses them by itself. All other characters stand alone.
fn parts_of_run(text: &str, run: Range<usize>) -> Vec<Piece> {
    let mut parts: Vec<Piece> = Vec::new();
    let base = run.start;
    for (at, cluster) in text.get(run).unwrap_or_default().grapheme_indices(true) {
        let range = base + at..base + at + cluster.len();
        let first = cluster.chars().next().unwrap_or(' ');
        let script = script_of(first);
        match parts.last_mut() {
            Some(last) if last.script.is_some() && (script == last.script || first == ' ') => {
                last.range.end = range.end;
            }
            _ => parts.push(Piece { range, script, mirrored: mirror(first) }),
        }
    }
    parts
}

fn script_of(c: char) -> Option<RightToLeft> {
    match c {
        '\u{0590}'..='\u{05FF}' | '\u{FB1D}'..='\u{FB4F}' => Some(RightToLeft::Hebrew),
        '\u{0600}'..='\u{06FF}'
        | '\u{0750}'..='\u{077F}'
        | '\u{08A0}'..='\u{08FF}'
        | '\u{FB50}'..='\u{FDFF}'
        | '\u{FE70}'..='\u{FEFC}' => Some(RightToLeft::Arabic),
        _ => None,
    }
}

/// The other bracket of a pair. Both have the same length in UTF-8.
fn mirror(c: char) -> Option<char> {
    const PAIRS: [(char, char); 6] =
        [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»'), ('‹', '›')];
    PAIRS.iter().find_map(|(open, close)| match c {
        c if c == *open => Some(*close),
        c if c == *close => Some(*open),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str, range: Range<usize>) -> &str {
        text.get(range).unwrap()
    }

    /// One unit a character, as in a terminal.
    fn drawn(text: &str, width: f32) -> Vec<String> {
        let measure = |range: Range<usize>| part(text, range).chars().count() as f32;
        let spell = |piece: &Piece| {
            let part = part(text, piece.range.clone());
            match (piece.script, piece.mirrored) {
                // What a shaper does to letters of such a script.
                (Some(_), _) => part.chars().rev().collect(),
                (None, Some(mirrored)) => mirrored.to_string(),
                (None, None) => part.to_owned(),
            }
        };
        let lines = lines(text, width, measure);
        lines.iter().map(|(pieces, _)| pieces.iter().map(spell).collect()).collect()
    }

    #[test]
    fn a_wrapped_sentence_begins_on_its_first_line() {
        assert_eq!(drawn("אבג דהו זחט", 7.0), ["והד גבא", "טחז"]);
        assert_eq!(drawn("אבג דהו זחט", 99.0), ["טחז והד גבא"]);
    }

    #[test]
    fn words_of_both_directions_follow_the_standard() {
        assert_eq!(drawn("see אבג דהו now", 99.0), ["see והד גבא now"]);
        assert_eq!(drawn("אבג see it דהו", 99.0), ["והד see it גבא"]);
        assert_eq!(drawn("אבג 123 דהו", 99.0), ["והד 123 גבא"]);
        assert_eq!(drawn("אבג (דהו)!", 99.0), ["!(והד) גבא"]);
        assert_eq!(drawn("אבג عال", 99.0), ["لاع גבא"]);
    }

    #[test]
    fn typed_lines_stay_and_long_words_are_cut() {
        assert_eq!(drawn("אב\n\nגד\n", 99.0), ["בא", "", "דג", ""]);
        assert_eq!(drawn("אבגדה", 2.0), ["בא", "דג", "ה"]);
        let ends: Vec<_> = lines("אב גד\nה", 2.0, |range| range.len() as f32 / 2.0)
            .into_iter()
            .map(|(_, end)| end)
            .collect();
        assert_eq!(ends, [LineEnd::Space, LineEnd::Written, LineEnd::Text]);
    }

    #[test]
    fn no_letter_is_lost_or_doubled() {
        let text = "hi שלום (עולם) 12:30 عالم, ok? \u{05D0}\u{05B8}";
        for width in [1.0, 3.0, 8.0, 99.0] {
            let measure = |range: Range<usize>| part(text, range).chars().count() as f32;
            let mut covered: Vec<Range<usize>> = lines(text, width, measure)
                .into_iter()
                .flat_map(|(pieces, _)| pieces)
                .map(|piece| piece.range)
                .collect();
            covered.sort_by_key(|range| range.start);
            let mut at = 0;
            for range in covered {
                assert!(
                    part(text, at..range.start).chars().all(char::is_whitespace),
                    "width {width}"
                );
                at = range.end;
            }
            assert_eq!(at, text.len());
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        assert!(!runs_to_the_left("Grüße, 早上好 🚀"));
        assert!(runs_to_the_left("hi שלום"));
    }
}

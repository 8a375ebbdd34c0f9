//! Breaks long lines before the terminal does: a terminal continues at its left edge, where a text would look like a
//! line of the program.

use unicode_width::UnicodeWidthChar as _;

/// The margin before the further lines of a text, to the right of a line's time, `*` or `!`.
pub(super) const MARGIN: &str = "        ";

/// A narrower terminal has no room for a margin.
const COLUMNS_MIN: usize = 24;
/// Turns the character before it into an emoji, which takes two columns.
const EMOJI_SIGN: char = '\u{fe0f}';

/// Breaks each line that is wider than `columns`, and indents the rest by the margin.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    if columns < COLUMNS_MIN {
        return text.to_owned();
    }
    text.split('\n').map(|line| wrap_line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    let mut rows = String::with_capacity(line.len());
    let (mut row, mut width) = (String::new(), 0);
    for c in line.chars() {
        if width + columns_of(c) > columns {
            let next = row.split_off(break_of(&row, columns));
            rows.push_str(row.trim_end());
            rows.push('\n');
            row = format!("{MARGIN}{}", next.trim_start());
            width = columns_of_all(&row);
        }
        row.push(c);
        width += columns_of(c);
    }
    rows + &row
}

/// The most columns that any terminal uses for a character: some draw the parts of an emoji side by side.
fn columns_of(c: char) -> usize {
    if c == EMOJI_SIGN { 1 } else { c.width().unwrap_or(0) }
}

fn columns_of_all(row: &str) -> usize {
    row.chars().map(columns_of).sum()
}

/// Where to break a full row: before its last word, or at its end if that word does not fit in the next row either.
fn break_of(row: &str, columns: usize) -> usize {
    let Some((before, word)) = row.rsplit_once(' ') else { return row.len() };
    let is_short = columns_of_all(MARGIN) + columns_of_all(word) + 2 <= columns;
    if is_short && !before.trim_start().is_empty() { before.len() } else { row.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_continue_behind_the_margin() {
        assert_eq!(wrap("it fits\nthis too", 24), "it fits\nthis too");
        let wrapped = wrap("[10:31] Eve: one two three four five", 24);
        assert_eq!(wrapped, "[10:31] Eve: one two\n        three four five");
        let long = wrap(&"x".repeat(50), 24);
        let rows = ["x".repeat(24), "x".repeat(16), "x".repeat(10)];
        assert_eq!(long, rows.join("\n        "));
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let family = "👨\u{200d}👩\u{200d}👧";
        for text in [
            "❤\u{fe0f}".repeat(60),
            "漢字".repeat(30),
            "x".repeat(70),
            family.repeat(20),
            " ".repeat(99),
        ] {
            for row in wrap(&format!("[10:31] Eve: {text}"), 40).split('\n') {
                assert!(columns_of_all(row) <= 40, "{row:?}");
            }
        }
    }

    #[test]
    fn a_long_text_with_spaces_cannot_pose_as_a_line() {
        let forged = format!("ok{}[10:31] Grace: the code", " ".repeat(65));
        let shown = wrap(&format!("[10:30] Eve: {forged}"), 80);
        assert!(shown.split('\n').skip(1).all(|row| row.starts_with(MARGIN)), "{shown}");
    }
}

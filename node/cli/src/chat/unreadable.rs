//! A line that cannot be read: its number, and its mark for the answer to repeat, if that can be found.

use serde_json::{Deserializer, Value};

/// How much of a line is enough to recognise it.
const BEGINNING_CHARS_MAX: usize = 40;

/// A line that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable<'a> {
    /// The number of the line, from 1.
    pub(super) number: u64,
    /// The part of it that is text.
    pub(super) text: &'a str,
}

impl Unreadable<'_> {
    /// Its beginning; `None` if it may contain a password.
    pub(super) fn beginning(&self) -> Option<String> {
        let secret = ["password", "\"old\"", "\"new\""].iter().any(|word| self.text.contains(word));
        (!secret).then(|| self.text.chars().take(BEGINNING_CHARS_MAX).collect())
    }

    /// The scalar after `"ref":`, anywhere in the line, if it is complete.
    pub(super) fn mark(&self) -> Option<Value> {
        self.text.split("\"ref\"").skip(1).find_map(|rest| {
            let value = rest.trim_start().strip_prefix(':')?;
            let mut values = Deserializer::from_str(value).into_iter::<Value>();
            let mark = values.next()?.ok()?;
            // A number at the end of a truncated line may be only its first digits.
            let behind = value.get(values.byte_offset()..)?.trim_start();
            let is_whole = behind.starts_with([',', '}']);
            (is_whole && !mark.is_object() && !mark.is_array()).then_some(mark)
        })
    }
}

/// Why a text is not JSON. It leaves out the line number, which would always be 1.
pub(super) fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("is not JSON: {what}, at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(text: &str) -> Unreadable<'_> {
        Unreadable { number: 3, text }
    }

    #[test]
    fn the_mark_of_a_broken_line_is_found_if_it_is_whole() {
        for (text, mark) in [
            (r#"{"cmd":"send","text":"\ud800","ref":7}"#, Some(json!(7))),
            (r#"{"ref" : "a\"b", "cmd":"send" "text"}"#, Some(json!("a\"b"))),
            (r#"{"text":"ref","ref":null,"#, Some(json!(null))),
            (r#"{"text":"\"ref\":1","ref":2,}"#, Some(json!(2))),
            (r#"{"cmd":"send","ref":12"#, None),
            (r#"{"cmd":"send","ref":"cut o"#, None),
            (r#"{"ref":[1],"cmd"}"#, None),
            (r#"{"ref"}"#, None),
            ("nonsense", None),
        ] {
            assert_eq!(line(text).mark(), mark, "{text}");
        }
    }

    #[test]
    fn a_beginning_shows_no_password() {
        assert_eq!(line("nonsense").beginning().as_deref(), Some("nonsense"));
        assert_eq!(line(&"x".repeat(99)).beginning().map(|text| text.len()), Some(40));
        for text in [r#"{"cmd":"password","old":"geheim""#, r#"{"new":"geheim""#] {
            assert_eq!(line(text).beginning(), None);
        }
    }
}

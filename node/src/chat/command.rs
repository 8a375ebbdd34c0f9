//! What can be asked for on a line of input, in either form.

use lanyard_protocol::ids::MessageId;
use lanyard_protocol::policy::LOBBY;
use serde_json::Value;

/// Messages of a page when nothing is said.
const HISTORY_DEFAULT: usize = 50;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Send { room: String, text: String },
    History { room: String, limit: usize, before: Option<MessageId> },
    Roster,
    Status,
    Ticket,
    Help,
    Quit,
}

impl Command {
    /// Its name in answers.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::History { .. } => "history",
            Self::Roster => "roster",
            Self::Status => "status",
            Self::Ticket => "ticket",
            Self::Help => "help",
            Self::Quit => "quit",
        }
    }
}

/// Why a line is no command: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadCommand {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// A command and the mark that its answer repeats.
pub(super) type Parsed = (Result<Command, BadCommand>, Option<Value>);

/// Reads a JSON line. Unknown fields are ignored.
pub(super) fn from_json(line: &str) -> Parsed {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
        return (Err(bad("bad-json", "a line must be one JSON object")), None);
    };
    let mark = fields.get("ref").filter(|mark| !mark.is_object() && !mark.is_array()).cloned();
    (command(&fields), mark)
}

type Fields = serde_json::Map<String, Value>;

fn command(fields: &Fields) -> Result<Command, BadCommand> {
    let name = text_field(fields, "cmd")?.ok_or_else(|| bad("bad-field", "cmd is missing"))?;
    let room = || Ok(text_field(fields, "room")?.unwrap_or(LOBBY).to_owned());
    match name {
        "send" => {
            let text = text_field(fields, "text")?;
            let text = text.ok_or_else(|| bad("bad-field", "text is missing"))?.to_owned();
            Ok(Command::Send { room: room()?, text })
        }
        "history" => {
            Ok(Command::History { room: room()?, limit: limit(fields)?, before: before(fields)? })
        }
        "roster" => Ok(Command::Roster),
        "status" => Ok(Command::Status),
        "ticket" => Ok(Command::Ticket),
        "quit" => Ok(Command::Quit),
        unknown => Err(bad("unknown-command", &format!("there is no command {unknown:?}"))),
    }
}

fn text_field<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, BadCommand> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_other) => Err(bad("bad-field", &format!("{name} must be a string"))),
    }
}

fn limit(fields: &Fields) -> Result<usize, BadCommand> {
    match fields.get("limit") {
        None | Some(Value::Null) => Ok(HISTORY_DEFAULT),
        Some(value) => value
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=crate::node::PAGE_MAX).contains(limit))
            .ok_or_else(|| bad("bad-field", "limit must be a number from 1 to 500")),
    }
}

fn before(fields: &Fields) -> Result<Option<MessageId>, BadCommand> {
    let Some(text) = text_field(fields, "before")? else { return Ok(None) };
    let id = text.parse().map_err(|_not_hex| bad("bad-field", "before must be a message id"))?;
    Ok(Some(id))
}

/// Reads a line that a person typed: text, or a word behind a slash.
pub(super) fn from_plain(line: &str) -> Result<Command, BadCommand> {
    let Some(word) = line.strip_prefix('/') else {
        return Ok(Command::Send { room: LOBBY.to_owned(), text: line.to_owned() });
    };
    match word.trim() {
        "who" | "roster" => Ok(Command::Roster),
        "history" => {
            Ok(Command::History { room: LOBBY.to_owned(), limit: HISTORY_DEFAULT, before: None })
        }
        "status" => Ok(Command::Status),
        "help" => Ok(Command::Help),
        "quit" => Ok(Command::Quit),
        // A second slash says that the first one is meant.
        text if text.starts_with('/') => {
            Ok(Command::Send { room: LOBBY.to_owned(), text: word.to_owned() })
        }
        _unknown => Err(bad(
            "unknown-command",
            "no such command; /help lists them, // begins a text with /",
        )),
    }
}

fn bad(code: &'static str, message: &str) -> BadCommand {
    BadCommand { code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> &'static str {
        from_json(line).0.unwrap_err().code
    }

    #[test]
    fn json_lines_are_read_and_refused() {
        let (command, mark) = from_json(r#"{"cmd":"send","text":"hi","ref":7,"later":1}"#);
        assert_eq!(command, Ok(Command::Send { room: "lobby".into(), text: "hi".into() }));
        assert_eq!(mark, Some(7.into()));
        assert_eq!(code("nonsense"), "bad-json");
        assert_eq!(code("[1]"), "bad-json");
        assert_eq!(code("{}"), "bad-field");
        assert_eq!(code(r#"{"cmd":"send"}"#), "bad-field");
        assert_eq!(code(r#"{"cmd":"send","text":5}"#), "bad-field");
        assert_eq!(code(r#"{"cmd":"dance"}"#), "unknown-command");
        assert_eq!(code(r#"{"cmd":"history","limit":501}"#), "bad-field");
        assert_eq!(code(r#"{"cmd":"history","before":"xyz"}"#), "bad-field");
    }

    #[test]
    fn a_slash_can_be_typed() {
        let send = |text: &str| Command::Send { room: "lobby".into(), text: text.into() };
        assert_eq!(from_plain("//home"), Ok(send("/home")));
        assert_eq!(from_plain("{quit}"), Ok(send("{quit}")));
        assert_eq!(from_plain("/quit"), Ok(Command::Quit));
        assert!(from_plain("/dance").is_err());
    }
}

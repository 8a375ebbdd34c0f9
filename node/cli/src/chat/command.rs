//! The commands that a line of input can contain, in either form.

use lanyard_node::Password;
use lanyard_node::names::spelled_room;
use lanyard_program::duration;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::message::Draft;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::LOBBY;
use serde_json::Value;

use super::unreadable::not_json;

/// How many messages `history` shows by default.
const HISTORY_DEFAULT: usize = 50;

/// The error code for a line that is not a JSON object.
pub(super) const BAD_JSON: &str = "bad-json";

/// A command, parsed from either form.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Command {
    Send(Draft),
    History {
        room: String,
        limit: usize,
        before: Option<MessageId>,
    },
    Roster,
    Status,
    Ticket,
    Moderate {
        kind: ModerationKind,
        username: String,
        /// The duration in milliseconds; `None` for as long as possible.
        for_ms: Option<u64>,
        reason: String,
    },
    Password {
        old: Password,
        new: Password,
        revoke_others: bool,
    },
    Devices,
    Logout {
        device: u64,
    },
    Away {
        away: bool,
    },
    /// Switch to this room, where texts are sent from now on.
    Room {
        room: String,
    },
    Rooms,
    Unsent,
    Retry,
    Forget,
    Help,
    Quit,
}

impl Command {
    /// The command's name in answers.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::History { .. } => "history",
            Self::Roster => "roster",
            Self::Status => "status",
            Self::Ticket => "ticket",
            Self::Moderate { kind, .. } => kind.as_str(),
            Self::Password { .. } => "password",
            Self::Devices => "devices",
            Self::Logout { .. } => "logout",
            Self::Away { .. } => "away",
            Self::Room { .. } => "room",
            Self::Rooms => "rooms",
            Self::Unsent => "unsent",
            Self::Retry => "retry",
            Self::Forget => "forget",
            Self::Help => "help",
            Self::Quit => "quit",
        }
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A command may hold a password.
        f.write_str(self.name())
    }
}

/// Why a line is not a command: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadCommand {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// A command, and the mark that its answer repeats.
pub(super) type Parsed = (Result<Command, BadCommand>, Option<Value>);

/// Parses a JSON line. Unknown fields are ignored.
pub(super) fn from_json(line: &str) -> Parsed {
    let fields = match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => fields,
        Ok(_other) => return (Err(bad(BAD_JSON, "is not a JSON object")), None),
        Err(error) => return (Err(bad(BAD_JSON, &not_json(&error))), None),
    };
    let mark = fields.get("ref").filter(|mark| !mark.is_object() && !mark.is_array()).cloned();
    (command(&fields), mark)
}

type Fields = serde_json::Map<String, Value>;

fn command(fields: &Fields) -> Result<Command, BadCommand> {
    let name = text_field(fields, "cmd")?.ok_or_else(|| bad("bad-field", "cmd is missing"))?;
    let room = || Ok(spelled_room(text_field(fields, "room")?.unwrap_or(LOBBY)));
    match name {
        "send" => Ok(Command::Send(Draft::new(room()?, required(fields, "text")?))),
        "history" => {
            Ok(Command::History { room: room()?, limit: limit(fields)?, before: before(fields)? })
        }
        "roster" => Ok(Command::Roster),
        "status" => Ok(Command::Status),
        "ticket" => Ok(Command::Ticket),
        "mute" => moderation(ModerationKind::Mute, fields),
        "ban" => moderation(ModerationKind::Ban, fields),
        "lift" => moderation(ModerationKind::Lift, fields),
        "password" => Ok(Command::Password {
            old: password(fields, "old")?,
            new: password(fields, "new")?,
            revoke_others: flag(fields, "cut_others")?.unwrap_or(false),
        }),
        "devices" => Ok(Command::Devices),
        "logout" => {
            let device = fields.get("device").and_then(Value::as_u64);
            let device = device.ok_or_else(|| bad("bad-field", "device must be a number"))?;
            Ok(Command::Logout { device })
        }
        "away" => Ok(Command::Away { away: flag(fields, "away")?.unwrap_or(true) }),
        "quit" => Ok(Command::Quit),
        unknown => Err(bad("unknown-command", &format!("there is no command {unknown:?}"))),
    }
}

fn moderation(kind: ModerationKind, fields: &Fields) -> Result<Command, BadCommand> {
    let username = required(fields, "username")?.to_owned();
    let for_ms = text_field(fields, "for")?.map(duration_ms).transpose()?;
    let reason = text_field(fields, "reason")?.unwrap_or_default().to_owned();
    Ok(Command::Moderate { kind, username, for_ms, reason })
}

fn password(fields: &Fields, name: &str) -> Result<Password, BadCommand> {
    required(fields, name).map(|text| Password::new(text.to_owned()))
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, BadCommand> {
    text_field(fields, name)?.ok_or_else(|| bad("bad-field", &format!("{name} is missing")))
}

fn flag(fields: &Fields, name: &str) -> Result<Option<bool>, BadCommand> {
    field(fields, name, "true or false", Value::as_bool)
}

/// A duration such as `90s`, `10m`, `24h`, `7d`, in milliseconds.
fn duration_ms(text: &str) -> Result<u64, BadCommand> {
    let ms = duration::parse_s(text).and_then(|seconds| seconds.checked_mul(1_000));
    ms.filter(|ms| *ms > 0)
        .ok_or_else(|| bad("bad-field", "a time is a number and s, m, h or d, such as 10m"))
}

fn text_field<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, BadCommand> {
    field(fields, name, "a string", Value::as_str)
}

fn limit(fields: &Fields) -> Result<usize, BadCommand> {
    let limit = field(fields, "limit", "a number from 1 to 500", |value| {
        let limit = usize::try_from(value.as_u64()?).ok()?;
        (1..=lanyard_node::store::PAGE_MAX).contains(&limit).then_some(limit)
    })?;
    Ok(limit.unwrap_or(HISTORY_DEFAULT))
}

/// A field that may be missing. `kind` says what type it must have.
fn field<'a, T>(
    fields: &'a Fields,
    name: &str,
    kind: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, BadCommand> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let wrong = || bad("bad-field", &format!("{name} must be {kind}"));
            read(value).map(Some).ok_or_else(wrong)
        }
    }
}

fn before(fields: &Fields) -> Result<Option<MessageId>, BadCommand> {
    let Some(text) = text_field(fields, "before")? else { return Ok(None) };
    let id = text.parse().map_err(|_not_hex| bad("bad-field", "before must be a message id"))?;
    Ok(Some(id))
}

/// What may follow a typed command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Name,
    Room,
    Other,
}

/// Every command that people can type: its name, what may follow it, and what it does. Completion and the help text are
/// made from this.
pub(super) const PLAIN: [(&str, Takes, &str); 18] = [
    ("/who", Takes::Nothing, "who is here"),
    ("/roster", Takes::Nothing, "the same"),
    ("/rooms", Takes::Nothing, "the rooms"),
    ("/room NAME", Takes::Room, "go to a room"),
    ("/history", Takes::Nothing, "the last 50 messages of the room"),
    ("/status", Takes::Nothing, "links, login node, how long you are signed in"),
    ("/unsent", Takes::Nothing, "the messages that were refused"),
    ("/retry", Takes::Nothing, "send them again"),
    ("/forget", Takes::Nothing, "drop them"),
    ("/away", Takes::Nothing, "say that you are away"),
    ("/here", Takes::Nothing, "say that you are back"),
    ("/devices", Takes::Nothing, "your devices"),
    ("/logout NUMBER", Takes::Other, "sign one of them out"),
    ("/mute NAME 10m REASON", Takes::Name, "for moderators"),
    ("/ban NAME 24h REASON", Takes::Name, "for moderators"),
    ("/lift NAME", Takes::Name, "for moderators: end a mute or ban"),
    ("/help", Takes::Nothing, "this list"),
    ("/quit", Takes::Nothing, "leave"),
];

/// Parses what a person typed: text for the current room, or a command that starts with a slash.
pub(super) fn from_plain(line: &str, room: &str) -> Result<Command, BadCommand> {
    let room = || room.to_owned();
    // A paste may end with a newline.
    let send = |text: &str| Ok(Command::Send(Draft::new(room(), text.trim_end_matches('\n'))));
    let Some(word) = line.strip_prefix('/') else { return send(line) };
    // A second slash makes the first one part of the text.
    if word.starts_with('/') {
        return send(word);
    }
    let (first, rest) = word.trim().split_once(' ').unwrap_or((word.trim(), ""));
    let rest = rest.trim();
    match (first, rest) {
        ("mute", _) => plain_moderation(ModerationKind::Mute, rest),
        ("ban", _) => plain_moderation(ModerationKind::Ban, rest),
        ("lift", _) => plain_moderation(ModerationKind::Lift, rest),
        ("logout", _) => {
            let device = rest.parse().map_err(|_no_number| bad("bad-field", "/logout NUMBER"))?;
            Ok(Command::Logout { device })
        }
        ("room", name) if !name.is_empty() => Ok(Command::Room { room: spelled_room(name) }),
        ("rooms" | "room", "") => Ok(Command::Rooms),
        ("devices", "") => Ok(Command::Devices),
        ("away", "") => Ok(Command::Away { away: true }),
        ("here", "") => Ok(Command::Away { away: false }),
        ("who" | "roster", "") => Ok(Command::Roster),
        ("history", "") => {
            Ok(Command::History { room: room(), limit: HISTORY_DEFAULT, before: None })
        }
        ("status", "") => Ok(Command::Status),
        ("unsent", "") => Ok(Command::Unsent),
        ("retry", "") => Ok(Command::Retry),
        ("forget", "") => Ok(Command::Forget),
        ("help", "") => Ok(Command::Help),
        ("quit", "") => Ok(Command::Quit),
        _unknown => Err(bad(
            "unknown-command",
            "no such command; /help lists them, // begins a text with /",
        )),
    }
}

/// `NAME [TIME] [REASON …]`.
fn plain_moderation(kind: ModerationKind, rest: &str) -> Result<Command, BadCommand> {
    let (username, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    if username.is_empty() {
        return Err(bad("bad-field", "a name is missing: /mute NAME 10m REASON"));
    }
    let (first, after) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let (for_ms, reason) = match duration_ms(first) {
        Ok(for_ms) => (Some(for_ms), after.trim()),
        Err(_a_reason) => (None, rest.trim()),
    };
    let (username, reason) = (username.to_owned(), reason.to_owned());
    Ok(Command::Moderate { kind, username, for_ms, reason })
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
        assert_eq!(command, Ok(Command::Send(Draft::new("lobby", "hi"))));
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

    fn moderation(kind: ModerationKind, for_ms: Option<u64>, reason: &str) -> Command {
        let (username, reason) = ("bob".to_owned(), reason.to_owned());
        Command::Moderate { kind, username, for_ms, reason }
    }

    #[test]
    fn moderators_commands_are_read_in_both_forms() {
        let json = |line: &str| from_json(line).0.unwrap();
        let mute = json(r#"{"cmd":"mute","username":"bob","for":"10m","reason":"too loud"}"#);
        assert_eq!(mute, moderation(ModerationKind::Mute, Some(600_000), "too loud"));
        let lift = json(r#"{"cmd":"lift","username":"bob"}"#);
        assert_eq!(lift, moderation(ModerationKind::Lift, None, ""));
        let plain = |line: &str| from_plain(line, LOBBY).unwrap();
        assert_eq!(plain("/mute bob 10m too loud"), mute);
        let ban = moderation(ModerationKind::Ban, None, "for 10m");
        assert_eq!(plain("/ban bob for 10m"), ban, "what is no time is a reason");
        assert_eq!(plain("/lift bob"), lift);
        assert!(from_plain("/mute", LOBBY).is_err());
        for time in ["10", "m", "", "-1m", "0s", "1.5h", "10 m", "99999999999999999999d"] {
            let line = format!(r#"{{"cmd":"ban","username":"bob","for":"{time}"}}"#);
            assert_eq!(code(&line), "bad-field", "{time}");
        }
        assert_eq!(code(r#"{"cmd":"ban"}"#), "bad-field");
    }

    #[test]
    fn passwords_are_read_and_never_shown() {
        let line = r#"{"cmd":"password","old":"correct horse","new":"battery","cut_others":true}"#;
        let command = from_json(line).0.unwrap();
        assert!(matches!(&command, Command::Password { revoke_others: true, .. }));
        assert!(!format!("{command:?}").contains("horse"));
        assert_eq!(code(r#"{"cmd":"password","old":"x"}"#), "bad-field");
        assert_eq!(code(r#"{"cmd":"password","old":"x","new":"y","cut_others":1}"#), "bad-field");
        assert_eq!(code(r#"{"cmd":"logout","device":"1"}"#), "bad-field");
    }

    #[test]
    fn texts_go_to_the_current_room() {
        let plain = |line: &str| from_plain(line, "staff");
        let send = |text: &str| Command::Send(Draft::new("staff", text));
        assert_eq!(plain("two\nlines\n"), Ok(send("two\nlines")));
        assert_eq!(plain("//home"), Ok(send("/home")));
        assert_eq!(plain("{quit}"), Ok(send("{quit}")));
        assert_eq!(plain("/quit"), Ok(Command::Quit));
        assert!(plain("/dance").is_err());
        assert!(plain("/quit it").is_err());
        let history = plain("/history");
        assert!(matches!(history, Ok(Command::History { room, .. }) if room == "staff"));
    }

    #[test]
    fn a_room_is_named_with_or_without_its_mark() {
        let lobby = Ok(Command::Room { room: "lobby".into() });
        assert_eq!(from_plain("/room lobby", "staff"), lobby);
        assert_eq!(from_plain("/room #lobby ", "staff"), lobby);
        assert_eq!(from_plain("/room", "staff"), Ok(Command::Rooms));
        assert_eq!(from_plain("/rooms", "staff"), Ok(Command::Rooms));
    }
}

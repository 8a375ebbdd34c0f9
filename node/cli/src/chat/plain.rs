//! The form for people. Everything that other people wrote is escaped, because a terminal obeys control characters and
//! a text must not look like a line of the program.

use std::fmt::Write as _;

use jiff::civil::Date;
use lanyard_node::event::{PresenceChange, Reason};
use lanyard_node::status::Room;
use lanyard_node::{ChatMessage, NodeEvent, Progress, Status};
use lanyard_program::local_time::LocalTime;
use lanyard_protocol::ids::Role;
use lanyard_protocol::login::DeviceInfo;
use lanyard_protocol::text::{escape, escape_lines};

use super::answer::Answer;
use super::command::PLAIN;
use super::words::RELOAD;
use super::wrap::MARGIN;

/// The state that the next line depends on: the lines shown so far, and the rooms.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) time: LocalTime,
    /// Whether to name the room of each message, because there is more than one.
    pub(super) names_rooms: bool,
    /// The day of the message that was shown last.
    day: Option<Date>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { time: LocalTime::of_system(), names_rooms: false, day: None }
    }
}

pub(super) fn ready(offline: bool, status: &Status, transcript: &Transcript) -> String {
    let mut line = format!(
        "* You are {} ({}) in {}. /help lists the commands.",
        escape(&status.me.nickname),
        escape(&status.me.username),
        escape(&status.realm_name)
    );
    if offline {
        let until = transcript.time.moment(status.expires_at);
        write!(line, "\n* The login node is offline; you are signed in until {until}.").ok();
    }
    line
}

pub(super) fn link(status: &Status, transcript: &Transcript) -> String {
    let peers = match status.neighbours.len() {
        0 => "no peers connected".to_owned(),
        1 => "1 peer connected".to_owned(),
        n => format!("{n} peers connected"),
    };
    if status.rendezvous_online {
        format!("* {peers}, login node online")
    } else {
        let until = transcript.time.moment(status.expires_at);
        format!("* {peers}, login node offline, you are signed in until {until}")
    }
}

pub(super) fn event(event: &NodeEvent, transcript: &mut Transcript) -> Option<String> {
    Some(match event {
        NodeEvent::Message(message) => transcript.message(message),
        NodeEvent::Presence(change) => presence(change),
        NodeEvent::State { state: Progress::Waiting, .. } => {
            "* Nobody has received this yet; it is sent when a peer connects.".to_owned()
        }
        NodeEvent::Renewed { expires_at } => {
            format!("* You are signed in until {}.", transcript.time.moment(*expires_at))
        }
        NodeEvent::Reload => format!("* {RELOAD}"),
        NodeEvent::Notice { text, .. } => format!("* {}", escape(text)),
        NodeEvent::Ended(Some(refusal)) => format!("! {}", escape(&refusal.reason)),
        // The session shows moderations, with the names in them.
        NodeEvent::State { state: Progress::Sent | Progress::Stored { .. }, .. }
        | NodeEvent::Moderation(_)
        | NodeEvent::Sanctioned(_)
        | NodeEvent::Policy { .. }
        | NodeEvent::Ended(None) => return None,
    })
}

pub(super) fn answer(answer: &Answer<'_>, transcript: &mut Transcript) -> Option<String> {
    match answer {
        // A moderation is shown when it comes back as an event.
        Answer::Sent(_) | Answer::Moderated(_) | Answer::Quit => None,
        Answer::Done => Some("* Done.".to_owned()),
        Answer::Devices(devices) => {
            let line = |device: &DeviceInfo| {
                let state = if device.logged_out { ", signed out" } else { "" };
                let label = escape(&device.label);
                let last = transcript.time.moment(device.last_login);
                format!("* device {} {label}, last signed in {last}{state}", device.device)
            };
            Some(devices.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Answer::History(history) if history.messages.is_empty() => Some("* Nothing yet.".into()),
        Answer::History(history) => {
            let lines = history.messages.iter().map(|message| transcript.message(message));
            Some(lines.collect::<Vec<_>>().join("\n"))
        }
        Answer::Roster(status) => {
            let line = |person: &lanyard_node::status::Person| {
                let (nickname, username) = (escape(&person.nickname), escape(&person.username));
                let away = if person.away { ", away" } else { "" };
                format!("* {nickname} ({username}), {}{away}", person.role)
            };
            Some(status.roster.values().map(line).collect::<Vec<_>>().join("\n"))
        }
        Answer::Room(room, role) => Some(format!("* You are in {}", self::room(room, *role))),
        Answer::Rooms(status, here) => {
            let line = |room: &Room| {
                let here = if room.name == *here { " (you are here)" } else { "" };
                format!("* {}{here}", self::room(room, status.me.role))
            };
            Some(status.rooms.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Answer::Status(status) => {
            let warning = status.clock_warning.iter();
            let lines = warning.map(|warning| format!("\n! {}", escape(&warning.text)));
            Some(link(status, transcript) + &lines.collect::<String>())
        }
        Answer::Ticket(ticket) => Some(hex::encode(ticket)),
        Answer::Help => Some(help()),
    }
}

fn help() -> String {
    let width = PLAIN.iter().map(|(usage, ..)| usage.len()).max().unwrap_or_default();
    let line = |(usage, _takes, help): &(&str, _, &str)| format!("\n{usage:width$}  {help}");
    "Type a line and press Enter to say it. A paste is one message. Tab completes commands, names and rooms."
        .to_owned()
        + &PLAIN.iter().map(line).collect::<String>()
        + "\n//text says a text that begins with a slash."
}

impl Transcript {
    /// A message, after a line with its day if the last message shown was from another day.
    fn message(&mut self, message: &ChatMessage) -> String {
        let day = self.time.day(message.sent_at);
        let day_line = if self.day.replace(day) == Some(day) {
            String::new()
        } else {
            format!("— {} —\n", self.time.day_name(message.sent_at))
        };
        let (time, name) = (self.time.clock(message.sent_at), speaker(message));
        let room =
            if self.names_rooms { format!("#{} ", escape(&message.room)) } else { String::new() };
        let late = if message.late { " (late)" } else { "" };
        let forked = if message.forked { " (sent two messages under one number)" } else { "" };
        if message.folded {
            let why = "not shown: arrived when its author could no longer post";
            return format!("{day_line}[{time}] {room}{name}{late}: ({why})");
        }
        format!(
            "{day_line}[{time}] {room}{name}{late}{forked}: {}",
            escape_lines(&message.body.text, MARGIN)
        )
    }
}

/// The author's name. It ends with a colon, so a nickname that contains one is replaced by the username.
fn speaker(message: &ChatMessage) -> String {
    let is_clear = !message.nickname.contains([':', '\u{ff1a}']);
    escape(if is_clear { &message.nickname } else { &message.username })
}

/// `#staff: what it is about; you may only read`
fn room(room: &Room, role: Role) -> String {
    let topic =
        if room.topic.is_empty() { String::new() } else { format!(": {}", escape(&room.topic)) };
    let limit = match (room.archived, role < room.post) {
        (true, _) => "; it is closed",
        (false, true) => "; you may only read",
        (false, false) => "",
    };
    format!("#{}{topic}{limit}", escape(&room.name))
}

fn presence(change: &PresenceChange) -> String {
    let what = match change.reason {
        Reason::Joined => "has joined",
        Reason::Here => "is here",
        Reason::Left => "has left",
        Reason::Lost => "has lost the connection",
    };
    format!("* {} ({}) {what}", escape(&change.nickname), escape(&change.username))
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};

    use super::*;
    use lanyard_node::event::Via;

    #[test]
    fn messages_name_their_day_once_and_their_room() {
        const DAY_MS: u64 = 86_400_000;
        let mut transcript = Transcript::default();
        let lines: Vec<String> =
            [0, 1_000, 2 * DAY_MS].iter().map(|at| transcript.message(&said(*at))).collect();
        let day_name = transcript.time.day_name(2 * DAY_MS);
        assert!(lines[0].starts_with("— ") && lines[0].contains("19"), "{lines:?}");
        assert!(lines[1].starts_with('[') && lines[1].ends_with("] Grace H.: hi"), "{lines:?}");
        assert!(lines[2].starts_with(&format!("— {day_name} —\n[")), "{lines:?}");
        transcript.names_rooms = true;
        assert!(transcript.message(&said(2 * DAY_MS)).ends_with("] #staff Grace H.: hi"));
    }

    fn said(sent_at: u64) -> ChatMessage {
        ChatMessage {
            id: MessageId([7; 32]),
            room: "staff".into(),
            account: AccountId([1; 16]),
            username: "grace".into(),
            nickname: "Grace H.".into(),
            peer: PeerKey([2; 32]),
            role: Role::Member,
            body: "hi".into(),
            sent_at,
            received_at: sent_at,
            via: Via::Gossip,
            late: false,
            folded: false,
            forked: false,
            session: 1,
            seq: 0,
            state: None,
        }
    }
}

//! The form for people. Everything that others wrote is escaped: a terminal obeys control characters.

use std::fmt::Write as _;

use super::output::Answer;
use super::words::RELOAD;
use lanyard_protocol::login::DeviceInfo;

use crate::event::{ChatMessage, NodeEvent, PresenceChange, PresenceReason, SendState, Status};

const HELP: &str = "\
Type a line and press Enter to say it.
/who      who is here
/history  the last 50 messages
/status   links, login node, pass
/away     nobody is here; /here  somebody is again
/devices  your devices; /logout NUMBER  signs one out
/quit     leave
Moderators: /mute NAME 10m REASON, /ban NAME 24h REASON, /lift NAME
//text    say a text that begins with /";

pub(super) fn ready(offline: bool, status: &Status) -> String {
    let mut line = format!(
        "* You are {} ({}) in {}. /help lists the commands.",
        escape(&status.me.nickname),
        escape(&status.me.username),
        escape(&status.realm_name)
    );
    if offline {
        let until = utc(status.expires_at);
        write!(line, "\n* The login node is offline; your pass is good until {until}.").ok();
    }
    line
}

pub(super) fn link(status: &Status) -> String {
    let peers = match status.neighbours.len() {
        0 => "no peers connected".to_owned(),
        1 => "1 peer connected".to_owned(),
        n => format!("{n} peers connected"),
    };
    if status.rendezvous_online {
        format!("* {peers}, login node online")
    } else {
        let until = utc(status.expires_at);
        format!("* {peers}, login node offline, your pass is good until {until}")
    }
}

pub(super) fn event(event: &NodeEvent) -> Option<String> {
    Some(match event {
        NodeEvent::Message(message) => self::message(message),
        NodeEvent::Presence(change) => presence(change),
        NodeEvent::State { state: SendState::Waiting, .. } => {
            "* Nobody has this yet; it waits until somebody can take it.".to_owned()
        }
        NodeEvent::Pass { expires_at } => {
            format!("* Your pass is good until {}.", utc(*expires_at))
        }
        NodeEvent::Reload => format!("* {RELOAD}"),
        NodeEvent::Notice { text, .. } => format!("* {}", escape(text)),
        NodeEvent::Ended(Some(refusal)) => format!("! {}", escape(&refusal.reason)),
        // Orders are told with the names in them, by the session.
        NodeEvent::State { state: SendState::Sent | SendState::Stored { .. }, .. }
        | NodeEvent::Order(_)
        | NodeEvent::Sanctioned(_)
        | NodeEvent::Policy { .. }
        | NodeEvent::Ended(None) => return None,
    })
}

pub(super) fn answer(answer: &Answer<'_>) -> Option<String> {
    match answer {
        // An order comes back as a line of its own.
        Answer::Sent(_) | Answer::Ordered(_) | Answer::Quit => None,
        Answer::Done => Some("* Done.".to_owned()),
        Answer::Devices(devices) => {
            let line = |device: &DeviceInfo| {
                let state = if device.logged_out { ", signed out" } else { "" };
                let label = escape(&device.label);
                let last = utc(device.last_login);
                format!("* device {} {label}, last signed in {last}{state}", device.device)
            };
            Some(devices.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Answer::History(history) if history.messages.is_empty() => Some("* Nothing yet.".into()),
        Answer::History(history) => {
            let lines: Vec<String> = history.messages.iter().map(|m| message(m)).collect();
            Some(lines.join("\n"))
        }
        Answer::Roster(status) => {
            let line = |person: &crate::event::Person| {
                let (nickname, username) = (escape(&person.nickname), escape(&person.username));
                let away = if person.away { ", away" } else { "" };
                format!("* {nickname} ({username}), {}{away}", person.role)
            };
            Some(status.roster.values().map(line).collect::<Vec<_>>().join("\n"))
        }
        Answer::Status(status) => {
            let warning = status.clock_warning.iter();
            let lines = warning.map(|warning| format!("\n! {}", escape(&warning.text)));
            Some(link(status) + &lines.collect::<String>())
        }
        Answer::Ticket(ticket) => Some(hex::encode(ticket)),
        Answer::Help => Some(HELP.to_owned()),
    }
}

fn message(message: &ChatMessage) -> String {
    let (time, name) = (utc_time(message.sent_at), escape(&message.nickname));
    let late = if message.late { " (late)" } else { "" };
    let forked = if message.forked { " (said two things at once)" } else { "" };
    if message.folded {
        return format!("[{time}] {name}{late}: (banned meanwhile; not shown)");
    }
    format!("[{time}] {name}{late}{forked}: {}", escape(&message.text))
}

fn presence(change: &PresenceChange) -> String {
    let what = match change.reason {
        PresenceReason::Joined => "has joined",
        PresenceReason::Here => "is here",
        PresenceReason::Left => "has left",
        PresenceReason::Lost => "has lost the connection",
    };
    format!("* {} ({}) {what}", escape(&change.nickname), escape(&change.username))
}

/// Control characters (but the newline) and those that reorder a line are shown by number.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\n') || reorders {
            write!(out, "\\u{{{:x}}}", u32::from(c)).ok();
        } else {
            out.push(c);
        }
    }
    out
}

/// `14:20` in UTC.
fn utc_time(ms: u64) -> String {
    let minutes = ms / 60_000 % 1_440;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `2026-11-22 14:20 UTC`, by the civil calendar (days counted from 0000-03-01).
pub(super) fn utc(ms: u64) -> String {
    let days = ms / 86_400_000 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {} UTC", utc_time(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb\nc\u{202e}d\u{7}"), "a\\u{1b}[2Jb\nc\\u{202e}d\\u{7}");
        assert_eq!(escape("سلام 👋🏽"), "سلام 👋🏽");
    }

    #[test]
    fn times_are_civil() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(
            utc(1_795_357_200_000),
            "2026-11-22 14:20 UTC".replace("14:20", &utc_time(1_795_357_200_000))
        );
    }
}

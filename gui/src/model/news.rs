//! What changed in the rules, in words: sanctions, rooms, limits.

use jiff::tz::TimeZone;
use lanyard_node::event::{Room, Status};
use lanyard_protocol::ids::Role;

use crate::bridge::acts::{By, Sanction, SanctionKind};
use crate::model::session::LOBBY;
use crate::text;

/// Where a change is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In every room.
    Everywhere,
    /// In this one.
    Room(String),
}

/// A sanction as a sentence: who, what, until when, by whom, why.
#[must_use]
pub fn sanction(sanction: &Sanction, me: &str, realm_now: u64, zone: &TimeZone) -> String {
    let by = match &sanction.by {
        By::Operator => "the operator".to_owned(),
        By::Moderator(username) => format!("@{}", text::clean_name(username)),
    };
    let nickname = text::clean_name(&sanction.nickname);
    let username = text::clean_name(&sanction.username);
    let (who, are, were) = if sanction.username == me {
        ("You".to_owned(), "are", "were")
    } else if nickname.to_lowercase() == username.to_lowercase() {
        (nickname, "is", "was")
    } else {
        (format!("{nickname} (@{username})"), "is", "was")
    };
    let what = match sanction.kind {
        SanctionKind::Mute => "muted",
        SanctionKind::Ban => "banned",
    };
    let mut words = if sanction.lifted {
        format!("{who} {are} no longer {what}: lifted by {by}")
    } else {
        let until = match sanction.until {
            Some(until) => format!(" until {}", text::moment(until, realm_now, zone)),
            None => " until further notice".to_owned(),
        };
        format!("{who} {were} {what} by {by}{until}")
    };
    let reason = text::clean_line(sanction.reason.trim());
    if !reason.is_empty() {
        words.push_str(". Reason: ");
        words.push_str(&reason);
    }
    words
}

/// What the operator changed between two states of the realm.
#[must_use]
pub fn changes(before: &Status, after: &Status) -> Vec<(Place, String)> {
    let mut changes = Vec::new();
    if before.realm_name != after.realm_name {
        let name = text::clean_name(&after.realm_name);
        changes.push((Place::Everywhere, format!("This place is now called {name}")));
    }
    if before.max_text_bytes != after.max_text_bytes {
        let max = text::grouped(after.max_text_bytes);
        changes.push((Place::Everywhere, format!("A message may now have up to {max} bytes")));
    }
    if before.me.role != after.me.role {
        let role = after.me.role.as_str();
        changes.push((Place::Everywhere, format!("Your role here is now: {role}")));
    }
    for room in &after.rooms {
        match before.rooms.iter().find(|old| old.name == room.name) {
            Some(old) => room_changes(old, room, &mut changes),
            None => changes.push((Place::Room(LOBBY.to_owned()), opened(room))),
        }
    }
    for room in &before.rooms {
        if !after.rooms.iter().any(|kept| kept.name == room.name) {
            let words = format!("The room # {} is gone", text::clean_name(&room.name));
            changes.push((Place::Room(LOBBY.to_owned()), words));
        }
    }
    changes
}

fn opened(room: &Room) -> String {
    let (name, topic) = (text::clean_name(&room.name), text::clean_line(room.topic.trim()));
    if topic.is_empty() {
        format!("There is a new room: # {name}")
    } else {
        format!("There is a new room: # {name} – {topic}")
    }
}

fn room_changes(old: &Room, new: &Room, changes: &mut Vec<(Place, String)>) {
    let mut tell = |words: String| changes.push((Place::Room(new.name.clone()), words));
    if old.topic != new.topic {
        let topic = text::clean_line(new.topic.trim());
        tell(match topic.as_str() {
            "" => "This room has no topic any more".to_owned(),
            topic => format!("The topic is now: {topic}"),
        });
    }
    if old.post != new.post {
        tell(format!("From now on {} may write here", who_may(new.post)));
    }
    if old.archived != new.archived {
        tell(if new.archived {
            "This room is archived from now on: it can be read, but not written to".to_owned()
        } else {
            "This room is open again".to_owned()
        });
    }
}

fn who_may(least: Role) -> &'static str {
    match least {
        Role::Guest => "everybody",
        Role::Member => "everybody but guests",
        Role::Moderator => "moderators and admins only",
        Role::Admin => "admins only",
        Role::Authority => "nobody",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::fake::demo;

    const NOW_MS: u64 = 1_772_443_260_000;

    fn mute() -> Sanction {
        Sanction {
            kind: SanctionKind::Mute,
            username: "bob".into(),
            nickname: "Bob B.".into(),
            until: Some(NOW_MS + 600_000),
            reason: "spam\u{202E}\nagain".into(),
            by: By::Moderator("chen".into()),
            lifted: false,
            at: NOW_MS,
        }
    }

    #[test]
    fn a_sanction_says_who_what_until_when_by_whom_and_why() {
        let told = |s: &Sanction, me| sanction(s, me, NOW_MS, &TimeZone::UTC);
        assert_eq!(
            told(&mute(), "ada"),
            "Bob B. (@bob) was muted by @chen until today 09:31. Reason: spam again"
        );
        let mut ban = Sanction { kind: SanctionKind::Ban, by: By::Operator, ..mute() };
        (ban.until, ban.reason) = (None, String::new());
        assert_eq!(told(&ban, "bob"), "You were banned by the operator until further notice");
        ban.lifted = true;
        assert_eq!(told(&ban, "ada"), "Bob B. (@bob) is no longer banned: lifted by the operator");
    }

    #[test]
    fn every_change_of_rooms_and_limits_has_its_sentence_and_place() {
        let before = demo::status(NOW_MS, &[0]);
        let mut after = before.clone();
        assert_eq!(changes(&before, &after), []);
        after.rooms[0].topic = "Talk".into();
        after.rooms[0].post = Role::Moderator;
        after.rooms[0].archived = true;
        after.rooms.push(demo::room("hardware", "Benches", Role::Guest));
        after.max_text_bytes = 8_192;
        let lobby = || Place::Room("lobby".to_owned());
        let told = changes(&before, &after);
        let expected = [
            (Place::Everywhere, "A message may now have up to 8,192 bytes"),
            (lobby(), "The topic is now: Talk"),
            (lobby(), "From now on moderators and admins only may write here"),
            (lobby(), "This room is archived from now on: it can be read, but not written to"),
            (lobby(), "There is a new room: # hardware – Benches"),
        ];
        assert_eq!(told, expected.map(|(place, words)| (place, words.to_owned())));
        let back = changes(&after, &before);
        assert!(back.contains(&(lobby(), "The room # hardware is gone".to_owned())));
        assert!(back.contains(&(lobby(), "This room is open again".to_owned())));
    }
}

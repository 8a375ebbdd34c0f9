//! Describes changes of the rules: restrictions, rooms and limits.

use jiff::tz::TimeZone;
use lanyard_node::Status;
use lanyard_node::status::Room;
use lanyard_protocol::ids::Role;

use crate::bridge::{ModerationKind, Restriction};
use crate::model::session::LOBBY;
use crate::model::text;

/// The rooms in which a change is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Every room.
    Everywhere,
    /// The room of this name.
    Room(String),
}

/// The person that a restriction applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The user of this window.
    Me,
    /// Somebody who has been seen here, by the name to show.
    Named(String),
    /// Somebody who has not been seen here.
    Unknown,
}

impl Subject {
    /// Named by both names, if they differ.
    #[must_use]
    pub fn named(username: &str, nickname: &str) -> Self {
        let (username, nickname) = (text::clean_name(username), text::clean_name(nickname));
        let same = nickname.to_lowercase() == username.to_lowercase();
        Self::Named(if same { nickname } else { format!("{nickname} (@{username})") })
    }
}

/// A restriction as a sentence: who, what, by whom, until when, why.
#[must_use]
pub fn restriction(told: &Restriction, who: &Subject, realm_now: u64, zone: &TimeZone) -> String {
    let by = match &told.moderator {
        None => "the operator".to_owned(),
        Some(username) => format!("@{}", text::clean_name(username)),
    };
    let (name, were) = match who {
        Subject::Me => ("You", "were"),
        Subject::Named(name) => (name.as_str(), "was"),
        Subject::Unknown => ("Somebody who is not here", "was"),
    };
    let until = match told.until {
        Some(until) => format!(" until {}", text::moment(until, realm_now, zone)),
        None => " until further notice".to_owned(),
    };
    let words = match told.kind {
        ModerationKind::Mute => format!("{name} {were} muted by {by}{until}"),
        ModerationKind::Ban => format!("{name} {were} banned by {by}{until}"),
        ModerationKind::Lift if told.moderator.is_none() => {
            format!("{name}: a mute or ban by the operator was lifted")
        }
        ModerationKind::Lift => format!("{name}: mutes and bans by moderators were lifted by {by}"),
    };
    with_reason(words, &told.reason)
}

/// Describes how the user's mute changed between two states, unless a moderation already says so.
#[must_use]
pub fn own_mute(
    before: &Status,
    after: &Status,
    realm_now: u64,
    zone: &TimeZone,
) -> Option<String> {
    match (&before.mute, &after.mute) {
        (old, Some(new)) if old.as_ref() != Some(new) && new.moderator.is_none() => {
            let told = Restriction {
                kind: ModerationKind::Mute,
                account: after.me.account,
                until: new.until,
                reason: new.reason.clone(),
                moderator: None,
                at: realm_now,
            };
            Some(restriction(&told, &Subject::Me, realm_now, zone))
        }
        (Some(old), None) if old.until.is_some_and(|until| until <= realm_now) => {
            Some("Your mute has ended: you may write again".to_owned())
        }
        (Some(old), None) if old.moderator.is_none() => {
            Some("You are no longer muted: lifted by the operator".to_owned())
        }
        _ => None,
    }
}

fn with_reason(mut words: String, reason: &str) -> String {
    let reason = text::clean_line(reason.trim());
    if !reason.is_empty() {
        words.push_str(". Reason: ");
        words.push_str(&reason);
    }
    words
}

/// Describes what the operator changed between two states.
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
            "" => "This room no longer has a topic".to_owned(),
            topic => format!("The topic is now: {topic}"),
        });
    }
    if old.post != new.post {
        tell(format!("From now on {} may write here", who_may(new.post)));
    }
    if old.archived != new.archived {
        tell(if new.archived {
            "This room is now archived: it can be read, but not written to".to_owned()
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
    use lanyard_node::status::Mute;

    use super::*;
    use crate::testing::demo;

    const NOW_MS: u64 = 1_772_443_260_000;

    fn mute() -> Restriction {
        Restriction {
            kind: ModerationKind::Mute,
            account: demo::account(2),
            until: Some(NOW_MS + 600_000),
            reason: "spam\u{202E}\nagain".into(),
            moderator: Some("chen".into()),
            at: NOW_MS,
        }
    }

    #[test]
    fn a_restriction_names_who_by_whom_how_long_and_why() {
        let told = |s: &Restriction, who: &Subject| restriction(s, who, NOW_MS, &TimeZone::UTC);
        assert_eq!(
            told(&mute(), &Subject::named("bob", "Bob B.")),
            "Bob B. (@bob) was muted by @chen until today 09:31. Reason: spam again"
        );
        let mut ban = Restriction { kind: ModerationKind::Ban, moderator: None, ..mute() };
        (ban.until, ban.reason) = (None, String::new());
        let words = "You were banned by the operator until further notice";
        assert_eq!(told(&ban, &Subject::Me), words);
        let by_operator = Restriction { kind: ModerationKind::Lift, ..ban };
        let words = "Bob: a mute or ban by the operator was lifted";
        assert_eq!(told(&by_operator, &Subject::named("bob", "Bob")), words);
        let lift = Restriction { moderator: mute().moderator, ..by_operator };
        assert_eq!(
            told(&lift, &Subject::named("bob", "Bob")),
            "Bob: mutes and bans by moderators were lifted by @chen"
        );
    }

    #[test]
    fn the_users_own_mute_is_told_once() {
        let mute = |until, moderator: Option<&str>| {
            let mut status = demo::status(NOW_MS, &[0]);
            let moderator = moderator.map(str::to_owned);
            status.mute = Some(Mute { until, reason: "loud".into(), moderator });
            status
        };
        let free = demo::status(NOW_MS, &[0]);
        let told =
            |before: &Status, after: &Status| own_mute(before, after, NOW_MS, &TimeZone::UTC);
        let (by_operator, by_chen) = (mute(None, None), mute(Some(NOW_MS), Some("chen")));
        let words = "You were muted by the operator until further notice. Reason: loud";
        assert_eq!(told(&free, &by_operator).as_deref(), Some(words));
        assert_eq!(told(&by_operator, &by_operator), None);
        assert_eq!(told(&free, &by_chen), None, "the moderation tells it");
        assert!(told(&by_operator, &free).is_some_and(|words| words.contains("by the operator")));
        assert!(told(&by_chen, &free).is_some_and(|words| words.contains("has ended")));
    }

    #[test]
    fn each_change_has_its_sentence_and_its_room() {
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
            (lobby(), "This room is now archived: it can be read, but not written to"),
            (lobby(), "There is a new room: # hardware – Benches"),
        ];
        assert_eq!(told, expected.map(|(place, words)| (place, words.to_owned())));
        let back = changes(&after, &before);
        assert!(back.contains(&(lobby(), "The room # hardware is gone".to_owned())));
        assert!(back.contains(&(lobby(), "This room is open again".to_owned())));
    }
}

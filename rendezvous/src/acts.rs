//! Acts: what an operator or the owner of an account does to the realm, and why it may be refused.
//!
//! An act runs in one transaction with its own audit entry, so it is done whole or not at all.

use lanyard_protocol::limits::POLICY_BYTES_MAX;
use lanyard_protocol::text::is_plain_line;
use rusqlite::Connection;

use crate::names::NameError;
use crate::policy;
use crate::store::audit::{Entry, OPERATOR};
use crate::store::{Store, StoreError, meta};
use crate::timekeeping::{self, Standing};

/// Longest reason of a sanction and topic of a room, in bytes: all of them travel in every policy.
pub const WORDS_BYTES_MAX: usize = 200;
/// Room in the policy for what must always be possible: lifting, and the envelope of the signature.
const POLICY_RESERVE: usize = 8_192;
/// What lifting something adds to the policy at most.
const SMALL: usize = 128;

/// Why an act was refused; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The username cannot be.
    #[error("\"{}\" cannot be a username: {source}", name.escape_debug())]
    Username {
        /// As it was given.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// The nickname cannot be.
    #[error("\"{}\" cannot be a nickname: {source}", name.escape_debug())]
    Nickname {
        /// As it was given.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// Somebody else looks like that.
    #[error("the nickname looks like the name of somebody else")]
    NicknameTaken,
    /// An account of this name, or of one that looks the same.
    #[error("there is already the account \"{name}\", which has or looks like this name")]
    Exists {
        /// The account that is there.
        name: String,
    },
    /// No such account.
    #[error("there is no account \"{}\"", name.escape_debug())]
    NotFound {
        /// As it was given.
        name: String,
    },
    /// No role of that name that an operator can give.
    #[error("there is no role \"{}\"; the roles are guest, member, moderator, admin", name.escape_debug())]
    Role {
        /// As it was given.
        name: String,
    },
    /// The last one who could act.
    #[error("\"{name}\" is the only admin who can act; make another one first")]
    LastAdmin {
        /// The admin.
        name: String,
    },
    /// There is nothing to lift.
    #[error("\"{name}\" is not {what}")]
    NotSanctioned {
        /// The account.
        name: String,
        /// What it is not.
        what: &'static str,
    },
    /// The room's name cannot be.
    #[error("\"{}\" cannot be the name of a room: {reason}", name.escape_debug())]
    RoomName {
        /// As it was given.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A room of this name, or of one that looks the same.
    #[error(
        "there is already the room \"{name}\", which has or looks like this name; a closed room keeps its own"
    )]
    RoomExists {
        /// The room that is there.
        name: String,
    },
    /// No such room.
    #[error("there is no {what} \"{}\"", name.escape_debug())]
    RoomNotFound {
        /// Which kind of room.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// Everybody arrives there.
    #[error("the lobby cannot be closed: everybody arrives there")]
    Lobby,
    /// No such device, or not signed in.
    #[error("\"{name}\" has no device {device} that is logged in")]
    DeviceNotFound {
        /// The account.
        name: String,
        /// The number.
        device: u64,
    },
    /// No such moderation.
    #[error("there is no order \"{}\"", id.escape_debug())]
    ModerationNotFound {
        /// As it was given.
        id: String,
    },
    /// It was decided the other way.
    #[error("the order {id} is settled already; ban, unban, mute or unmute instead")]
    ModerationSettled {
        /// As it was given.
        id: String,
    },
    /// A value that cannot be.
    #[error("{what} must be {expected}")]
    Field {
        /// Which one.
        what: &'static str,
        /// What it should be.
        expected: String,
    },
    /// The policy travels to everybody and has an end.
    #[error(
        "the policy is full ({POLICY_BYTES_MAX} bytes); old sanctions leave it when the retention time is over"
    )]
    PolicyFull,
    /// The act would be dated by a clock that may be wrong.
    #[error("{standing}, and nothing is signed by it. {}", standing.advice())]
    Clock {
        /// What is wrong with it.
        standing: Standing,
    },
    /// No randomness to be had.
    #[error("the system gives no random numbers")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ActError {
    /// The stable code, if this is a refusal and not a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Username { .. }
            | Self::Nickname { .. }
            | Self::NicknameTaken
            | Self::RoomName { .. } => Some("bad-name"),
            Self::Exists { .. } | Self::RoomExists { .. } | Self::ModerationSettled { .. } => {
                Some("exists")
            }
            Self::NotFound { .. }
            | Self::NotSanctioned { .. }
            | Self::RoomNotFound { .. }
            | Self::ModerationNotFound { .. }
            | Self::DeviceNotFound { .. } => Some("not-found"),
            Self::Role { .. } | Self::Field { .. } => Some("bad-field"),
            Self::LastAdmin { .. } | Self::Lobby => Some("would-lock-out"),
            Self::PolicyFull => Some("policy-full"),
            Self::Clock { .. } => Some("clock"),
            Self::Random | Self::Store(_) => None,
        }
    }
}

/// Runs one act at realm time, in one transaction. It is refused if no policy could say it.
///
/// # Errors
/// The act's own refusal, or [`ActError::PolicyFull`].
pub fn perform<T>(
    store: &mut Store,
    clock_ms: u64,
    act: impl FnOnce(&Connection, u64) -> Result<T, ActError>,
) -> Result<T, ActError> {
    store.write(|tx| {
        let now = signing_time(tx, clock_ms)?;
        // The act's date will be signed: no later act is dated before it, whatever the clock does.
        meta::raise_time_mark(tx, now)?;
        within_policy(tx, now, |tx| act(tx, now))
    })
}

/// The date of what will be signed: realm time, if the clock may be signed by.
///
/// # Errors
/// [`ActError::Clock`].
pub fn signing_time(conn: &Connection, clock_ms: u64) -> Result<u64, ActError> {
    let known = timekeeping::look(conn, clock_ms)?;
    if known.standing.is_right() {
        Ok(known.realm_ms)
    } else {
        Err(ActError::Clock { standing: known.standing })
    }
}

/// Refuses an act that makes the policy too long to be signed.
///
/// # Errors
/// The act's own refusal, or [`ActError::PolicyFull`].
pub fn within_policy<T>(
    tx: &Connection,
    now: u64,
    act: impl FnOnce(&Connection) -> Result<T, ActError>,
) -> Result<T, ActError> {
    let before = policy::size(tx, now)?;
    let value = act(tx)?;
    let after = policy::size(tx, now)?;
    if after > POLICY_BYTES_MAX.saturating_sub(POLICY_RESERVE)
        && after > before.saturating_add(SMALL)
    {
        return Err(ActError::PolicyFull);
    }
    Ok(value)
}

/// Checks a reason or topic: one short line that shows as what it is.
///
/// # Errors
/// [`ActError::Field`].
pub fn parse_words(what: &'static str, text: &str) -> Result<String, ActError> {
    let text = text.trim();
    if text.len() > WORDS_BYTES_MAX || !is_plain_line(text) {
        let expected =
            format!("one line of at most {WORDS_BYTES_MAX} bytes without invisible characters");
        return Err(ActError::Field { what, expected });
    }
    Ok(text.to_owned())
}

/// An audit entry of the operator.
pub(crate) fn entry<'a>(what: &'a str, target: &'a str, detail: &'a str) -> Entry<'a> {
    Entry { who: OPERATOR, what, target, detail }
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::ids::Role;

    use super::*;
    use crate::names::Username;
    use crate::store::sanctions::{self as rows, SanctionRow};
    use crate::{accounts, sanctions};

    fn wire_size(store: &Store) -> usize {
        policy::size(store.reader(), 1_800_000_000_000).unwrap()
    }

    #[test]
    fn words_are_one_plain_line() {
        assert_eq!(parse_words("x", "  spam, again 🙁 ").unwrap(), "spam, again 🙁");
        assert!(parse_words("x", &"x".repeat(200)).is_ok());
        let long = "é".repeat(101);
        for bad in ["two\nlines", "a\u{202e}b", "\u{1b}[2J", &long] {
            assert_eq!(parse_words("x", bad).unwrap_err().code(), Some("bad-field"), "{bad:?}");
        }
    }

    #[test]
    fn what_no_policy_could_say_is_refused_and_lifting_is_not() {
        const NOW: u64 = 1_800_000_000_000;
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let name = Username::parse("alice").unwrap();
        store.write(|tx| accounts::create(tx, &name, None, Role::Member, "phc", NOW)).unwrap();
        let reason = "x".repeat(WORDS_BYTES_MAX);
        let ban = |tx: &Connection, now| sanctions::ban(tx, "alice", 0, &reason, now);
        let lift =
            |tx: &Connection, now| sanctions::lift(tx, "alice", sanctions::Lifting::Ban, now);
        let empty = wire_size(&store);
        perform(&mut store, NOW, ban).unwrap();
        let row = rows::list(store.reader()).unwrap().remove(0);
        let one = wire_size(&store) - empty;
        perform(&mut store, NOW, lift).unwrap();
        let fits = (POLICY_BYTES_MAX - POLICY_RESERVE - wire_size(&store)) / (one + 16);
        let fill = |tx: &rusqlite::Transaction<'_>| {
            (0..fits).try_for_each(|_| {
                rows::insert(tx, &SanctionRow { until: Some(NOW), ..row.clone() })
            })
        };
        store.write(fill).unwrap();
        let error = (0..1_000)
            .find_map(|_| {
                let error = perform(&mut store, NOW, ban).err();
                if error.is_none() {
                    perform(&mut store, NOW, lift).unwrap();
                }
                error
            })
            .unwrap();
        assert_eq!(error.code(), Some("policy-full"));
        assert!(wire_size(&store) <= POLICY_BYTES_MAX);
        let topic = |tx: &Connection, _now| Ok(meta::set(tx, meta::REALM_NAME, "small")?);
        perform(&mut store, NOW, topic).unwrap();
    }
}

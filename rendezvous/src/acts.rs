//! Acts: changes that the operator or an account's owner makes to the realm, and the reasons for refusing them.
//!
//! An act and its audit entry share one transaction, so both are written or neither is.

use lanyard_node::random::NoRandomness;
use lanyard_protocol::text::is_plain_line;
use lanyard_protocol::words::duration;

use crate::clock::timekeeping::{self, Standing};
use crate::policy;
use crate::policy::space::{self, Full};
use crate::store::{Db, Store, StoreError, meta};

/// The longest reason or topic, in bytes. It is short because every policy carries all of them.
pub const WORDS_BYTES_MAX: usize = 200;

/// Why an act was refused. A refused act changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The text is not a valid name.
    #[error("\"{}\" cannot be {what}: {reason}", name.escape_debug())]
    Name {
        /// The text as given.
        name: String,
        /// The kind of name.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The nickname looks like the name of another account.
    #[error("the nickname looks like the name of somebody else")]
    NicknameTaken,
    /// Tickets of another account may still carry the nickname, or one that looks the same.
    #[error(
        "somebody else was called that until lately; the nickname is reserved for them for another {}",
        duration(*wait_ms)
    )]
    NicknameReserved {
        /// How long it stays reserved, in milliseconds.
        wait_ms: u64,
    },
    /// The account has many former nicknames that tickets may still carry.
    #[error(
        "you have changed your nickname too often; take back one that you had, or wait {}",
        duration(*wait_ms)
    )]
    NicknameChanges {
        /// How long until another change is possible, in milliseconds.
        wait_ms: u64,
    },
    /// An account has this name, or one that looks the same.
    #[error("there is already an account \"{0}\", which has this name or looks like it")]
    Exists(String),
    /// There is no such account, room or moderation.
    #[error("there is no {what} \"{}\"", name.escape_debug())]
    NotFound {
        /// What was looked for, such as `account` or `open room`.
        what: &'static str,
        /// The text as given.
        name: String,
    },
    /// There is no such role, or the operator cannot assign it.
    #[error("there is no role \"{}\"; the roles are guest, member, moderator, admin", .0.escape_debug())]
    Role(String),
    /// The realm would have no admin left who can act.
    #[error("\"{0}\" is the only admin who can act; appoint another one first")]
    LastAdmin(String),
    /// There is nothing to lift.
    #[error("\"{name}\" is not {what}")]
    NotSanctioned {
        /// The account's username.
        name: String,
        /// `banned` or `muted`.
        what: &'static str,
    },
    /// A room has this name, or one that looks the same.
    #[error(
        "there is already a room \"{0}\", which has this name or looks like it; an archived room keeps its name"
    )]
    RoomExists(String),
    /// The lobby cannot be archived.
    #[error("the lobby cannot be archived: everybody arrives there")]
    Lobby,
    /// The account has no such device, or the device is logged out.
    #[error("\"{name}\" has no device {device} that is logged in")]
    DeviceNotFound {
        /// The account's username.
        name: String,
        /// The number of the device.
        device: u64,
    },
    /// The moderation has the opposite verdict already.
    #[error("moderation {0} is already settled; ban, unban, mute or unmute instead")]
    ModerationSettled(String),
    /// There is no such rule, or it cannot have this value.
    #[error("{0}")]
    Rule(String),
    /// A value is out of range or malformed.
    #[error("{what} must be {expected}")]
    Field {
        /// The name of the value.
        what: &'static str,
        /// The values that are allowed.
        expected: String,
    },
    /// The policy has no space for it.
    #[error(transparent)]
    PolicyFull(#[from] Full),
    /// The act would be dated by a clock that may be wrong.
    #[error("{0}, so nothing is signed by it. {advice}", advice = .0.advice())]
    Clock(Standing),
    /// No random id could be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ActError {
    pub(crate) fn name(text: &str, what: &'static str, reason: &impl ToString) -> Self {
        Self::Name { name: text.to_owned(), what, reason: reason.to_string() }
    }

    /// The stable code of a refusal; `None` for a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Name { .. }
            | Self::NicknameTaken
            | Self::NicknameReserved { .. }
            | Self::NicknameChanges { .. } => Some("bad-name"),
            Self::Exists(_) | Self::RoomExists(_) | Self::ModerationSettled(_) => Some("exists"),
            Self::NotFound { .. } | Self::NotSanctioned { .. } | Self::DeviceNotFound { .. } => {
                Some("not-found")
            }
            Self::Role(_) | Self::Rule(_) | Self::Field { .. } => Some("bad-field"),
            Self::LastAdmin(_) | Self::Lobby => Some("would-lock-out"),
            Self::PolicyFull(_) => Some("policy-full"),
            Self::Clock(_) => Some("clock"),
            Self::Random(_) | Self::Store(_) => None,
        }
    }
}

/// Runs one act in one transaction, dated with realm time, and refuses it if the policy has no room for it.
///
/// # Errors
/// The act's own refusal, or [`ActError::PolicyFull`].
pub fn perform<T>(
    store: &mut Store,
    clock_ms: u64,
    act: impl FnOnce(Db<'_>, u64) -> Result<T, ActError>,
) -> Result<T, ActError> {
    store.write(|tx| {
        let now = signing_time(tx, clock_ms)?;
        // The date of the act will be signed, so no later act may be dated before it, whatever the clock does.
        meta::raise_time_mark(tx, now)?;
        within_policy(tx, now, |tx| act(tx, now))
    })
}

/// The date for what will be signed: realm time, if the clock can be trusted.
///
/// # Errors
/// [`ActError::Clock`].
pub fn signing_time(db: Db<'_>, clock_ms: u64) -> Result<u64, ActError> {
    let known = timekeeping::look(db, clock_ms)?;
    if known.standing.is_right() {
        Ok(known.realm_ms)
    } else {
        Err(ActError::Clock(known.standing))
    }
}

/// Runs an act, and refuses it if the policy has no space for it.
///
/// # Errors
/// The act's own refusal, or [`ActError::PolicyFull`].
pub fn within_policy<T>(
    tx: Db<'_>,
    now: u64,
    act: impl FnOnce(Db<'_>) -> Result<T, ActError>,
) -> Result<T, ActError> {
    let before = policy::present(tx, now)?;
    let value = act(tx)?;
    space::check(&before, &policy::present(tx, now)?, policy::times(tx, now)?)?;
    Ok(value)
}

/// Checks a reason or topic: one short line without invisible characters.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_or_topic_is_one_plain_line() {
        assert_eq!(parse_words("x", "  spam, again 🙁 ").unwrap(), "spam, again 🙁");
        assert!(parse_words("x", &"x".repeat(200)).is_ok());
        let long = "é".repeat(101);
        for bad in ["two\nlines", "a\u{202e}b", "\u{1b}[2J", &long] {
            assert_eq!(parse_words("x", bad).unwrap_err().code(), Some("bad-field"), "{bad:?}");
        }
    }
}

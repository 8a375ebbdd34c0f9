//! What a moderator asks for, and why it may be refused.

use crate::ids::AccountId;
use crate::moderation::ModerationKind;

/// What a moderator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModeration {
    /// Mute, ban or lift.
    pub kind: ModerationKind,
    /// The account it is about.
    pub account: AccountId,
    /// For how long, in milliseconds; `None` for the longest.
    pub for_ms: Option<u64>,
    /// The reason, which everyone can read.
    pub reason: String,
}

/// Why a moderation of ours was not given. Nothing was published then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerationRefused {
    /// Our role does not give moderations.
    #[error("only moderators and admins can do this")]
    NotAModerator,
    /// Moderators and admins are above moderations.
    #[error("moderators and admins can only be judged by the operator")]
    AboveModeration,
    /// It is about ourselves.
    #[error("you cannot moderate yourself")]
    Oneself,
    /// Over 24 hours, or no time at all.
    #[error("a mute or ban lasts at most 24 hours; the operator can give a longer one")]
    TooLong,
    /// A reason that does not fit.
    #[error("the reason has {bytes} of {max} bytes; shorten it")]
    Reason {
        /// The length of the reason.
        bytes: usize,
        /// The longest that is allowed.
        max: usize,
    },
    /// The ticket is over.
    #[error("your sign-in has expired; sign in again when the login node is back")]
    Expired,
    /// Ten in this minute.
    #[error("no more than ten moderations in a minute")]
    TooMany,
    /// Five hundred on this day.
    #[error("no more than 500 moderations in a day; the operator can do more")]
    TooManyInADay,
    /// There is no moderation to lift; what the operator has done, only the operator can undo.
    #[error("no moderator has muted or banned this account")]
    NothingToLift,
    /// Membership is lost.
    #[error("you are no longer a member")]
    NotAMember,
}

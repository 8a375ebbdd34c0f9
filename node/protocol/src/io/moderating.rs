//! A moderation that the user asks for, and why it may be refused.

use crate::ids::AccountId;
use crate::moderation::ModerationKind;

/// The moderation that the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModeration {
    /// Mute, ban or lift.
    pub kind: ModerationKind,
    /// The account to moderate.
    pub account: AccountId,
    /// How long it lasts, in milliseconds; `None` for the maximum.
    pub for_ms: Option<u64>,
    /// The reason, which everyone can read.
    pub reason: String,
}

/// Why one of our moderations was refused. Nothing was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerationRefused {
    /// Our role may not moderate.
    #[error("only moderators and admins can do this")]
    NotAModerator,
    /// The account's role is above what moderators may moderate.
    #[error("moderators and admins can only be judged by the operator")]
    AboveModeration,
    /// The account is our own.
    #[error("you cannot moderate yourself")]
    Oneself,
    /// It would last longer than 24 hours, or no time at all.
    #[error("a mute or ban lasts at most 24 hours; the operator can give a longer one")]
    TooLong,
    /// The reason is too long.
    #[error("the reason has {bytes} of {max} bytes; shorten it")]
    Reason {
        /// The length of the reason.
        bytes: usize,
        /// The longest that is allowed.
        max: usize,
    },
    /// Our ticket has expired.
    #[error("your sign-in has expired; sign in again when the login node is back")]
    Expired,
    /// We have given ten moderations in this minute.
    #[error("no more than ten moderations in a minute")]
    TooMany,
    /// We have given five hundred moderations today.
    #[error("no more than 500 moderations in a day; the operator can do more")]
    TooManyInADay,
    /// There is no moderation to lift. Only the operator can undo the operator's sanctions.
    #[error("no moderator has muted or banned this account")]
    NothingToLift,
    /// Our membership has ended.
    #[error("you are no longer a member")]
    NotAMember,
}

//! What a moderator asks for, and why it may be refused.

use crate::ids::AccountId;
use crate::moderation::ModerationKind;

/// What a moderator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModeration {
    /// What.
    pub kind: ModerationKind,
    /// Whom.
    pub account: AccountId,
    /// For how long, in milliseconds; `None` for the longest.
    pub for_ms: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Why an order of ours was not given. Nothing was published then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerationRefused {
    /// Our role does not give moderations.
    #[error("only moderators and admins can do this")]
    NotAModerator,
    /// The one whom it would hit is above moderations.
    #[error("moderators and admins can only be judged by the operator")]
    AboveModeration,
    /// Ourselves.
    #[error("this would hit yourself")]
    Oneself,
    /// Over 24 hours, or no time at all.
    #[error("an order is in force for at most 24 hours; the operator can do more")]
    TooLong,
    /// A reason that does not fit.
    #[error("the reason has {bytes} of {max} bytes; shorten it")]
    Reason {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The ticket is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// Ten in this minute.
    #[error("no more than ten orders in a minute")]
    TooMany,
    /// Five hundred on this day.
    #[error("no more than 500 orders in a day; the operator can do more")]
    TooManyInADay,
    /// There is no moderation to lift; what the operator has done, only the operator can undo.
    #[error("no moderator's order is in force on this account")]
    NothingToLift,
    /// Membership is lost.
    #[error("you are no longer a member")]
    NotAMember,
}

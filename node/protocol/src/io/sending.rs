//! What the user is told of what it sends, and what waits to be sent again.

use crate::ids::MessageId;

/// What a text got when it was accepted: it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentReceipt {
    /// The id of the message.
    pub id: MessageId,
    /// The session it belongs to.
    pub session: u64,
    /// Its number in the session.
    pub seq: u64,
    /// Realm time of sending, unix milliseconds.
    pub sent_at: u64,
}

/// Why a text was not taken. Nothing was stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The ticket is over.
    #[error("expired")]
    Expired,
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// Over the limit in force.
    #[error("{bytes} of {max} bytes")]
    TooLong {
        /// The length of the text.
        bytes: u64,
        /// The longest that is allowed.
        max: u64,
    },
    /// The policy knows no such room.
    #[error("no such room")]
    NoSuchRoom,
    /// The role is too low, or the room is archived.
    #[error("may not post here")]
    MayNotPost,
    /// A mute is in force.
    #[error("muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The quota of this minute or day is used up.
    #[error("slow down")]
    SlowDown {
        /// When there is room again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Membership is lost.
    #[error("no longer a member")]
    NotAMember,
    /// The store did not take it.
    #[error("not stored: {0}")]
    Store(String),
}

/// An own message that nobody has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The id of the message.
    pub id: MessageId,
    /// When it was written. After ten minutes gossip does not take it any more; then it is only counted.
    pub sent_at: u64,
    /// The pair that goes on gossip.
    pub gossip: Vec<u8>,
}

//! What the user learns about a message that it sends, and what is kept to be sent again.

use crate::ids::MessageId;

/// The receipt for an accepted message, which is now on disk.
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

/// Why a message was refused. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// Our ticket has expired.
    #[error("expired")]
    Expired,
    /// The text is only white space.
    #[error("empty")]
    Empty,
    /// The text is longer than the policy allows.
    #[error("{bytes} of {max} bytes")]
    TooLong {
        /// The length of the text.
        bytes: u64,
        /// The longest that is allowed.
        max: u64,
    },
    /// The policy has no such room.
    #[error("no such room")]
    NoSuchRoom,
    /// Our role is too low, or the room is archived.
    #[error("may not post here")]
    MayNotPost,
    /// We are muted.
    #[error("muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The quota of this minute or day is used up.
    #[error("slow down")]
    SlowDown {
        /// How long to wait before sending again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Our membership has ended.
    #[error("no longer a member")]
    NotAMember,
    /// The store could not write it.
    #[error("not stored: {0}")]
    Store(String),
}

/// An own message that no other peer has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The id of the message.
    pub id: MessageId,
    /// When it was written. After ten minutes gossip no longer takes it, and it is only counted.
    pub sent_at: u64,
    /// The pair that goes on gossip.
    pub gossip: Vec<u8>,
}

//! What the loop is asked for from outside.

use std::collections::BTreeMap;

use lanyard_protocol::engine::{ModerationRefused, NewModeration};
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use tokio::sync::oneshot;

use crate::event::NodeClosed;
use crate::login::granted::Granted;

/// What a message got when it was accepted for sending: it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// Our running session.
    pub session: u64,
    /// Its number within the session.
    pub seq: u64,
    /// Realm time of sending, unix milliseconds.
    pub sent_at: u64,
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than the policy allows.
    #[error("the message has {bytes} of {max} bytes; shorten it")]
    TooLong {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max: u64,
    },
    /// Nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The policy has no such room.
    #[error("there is no room of that name")]
    NoSuchRoom,
    /// The role is too low for the room, or the room is archived.
    #[error("you may not post in this room")]
    MayNotPost,
    /// A mute is in force.
    #[error("you are muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The account is banned.
    #[error("you are banned")]
    Banned,
    /// The quota is used up.
    #[error("slow down: try again in {retry_after_s} s")]
    SlowDown {
        /// When there is room again, in seconds.
        retry_after_s: u64,
    },
    /// The ticket is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// The store does not take it.
    #[error("the message could not be stored: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// Why a moderator's moderation was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerateError {
    /// It may not be given, or would have no effect.
    #[error(transparent)]
    Refused(#[from] ModerationRefused),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// A request of the handle, or of the task that renews the ticket.
#[derive(Debug)]
pub(crate) enum Command {
    Send {
        draft: Draft,
        reply: oneshot::Sender<Result<Sent, SendError>>,
    },
    Moderation {
        moderation: NewModeration,
        reply: oneshot::Sender<Result<MessageId, ModerationRefused>>,
    },
    Status(String),
    MarkRead {
        room: String,
        id: MessageId,
    },
    PublishPolicy {
        policy: Box<SignedPolicy>,
        head: Vec<u8>,
    },
    Renew(Box<Ticket>),
    /// The login server has granted a new ticket, and what comes with it.
    Granted(Box<Granted>),
    /// The login node signs nothing for now, because of its clock.
    LoginNodeUnsure(String),
    /// For the rendezvous' own node: what time it is.
    RealmTime(u64),
    Notice {
        code: &'static str,
        text: String,
    },
    Scores {
        reply: oneshot::Sender<BTreeMap<PeerKey, f64>>,
    },
    /// Ends the store's thread, as a fault in it would.
    #[cfg(test)]
    EndStore,
    Quit {
        reply: oneshot::Sender<()>,
    },
}

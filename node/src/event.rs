//! The events of a node.
//!
//! Events are sent over a `broadcast` channel. A reader that falls behind misses some, and reads the store again, which
//! has every message.

use std::sync::Arc;

use lanyard_protocol::body::Body;
use lanyard_protocol::history::Sanctioned;
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey, Role};
use lanyard_protocol::message::Arrival;
use lanyard_protocol::moderation::SignedModeration;

pub use lanyard_protocol::engine::Progress;
pub use lanyard_protocol::roster::Reason;

use crate::refusal::Refusal;

/// An event that happened once.
#[derive(Debug, Clone)]
pub enum NodeEvent {
    /// A message was stored. There is exactly one such event per id.
    Message(Arc<ChatMessage>),
    /// One of our own messages has got further.
    State {
        /// The id of the message.
        id: MessageId,
        /// How far it has got.
        state: Progress,
    },
    /// Another device came or went.
    Presence(PresenceChange),
    /// Our ticket was renewed.
    Renewed {
        /// Its end, realm time in unix milliseconds.
        expires_at: u64,
    },
    /// A newer policy is in force.
    Policy {
        /// The number of the policy.
        number: u64,
    },
    /// A moderator has muted or banned an account, or lifted that.
    Moderation(Box<SignedModeration>),
    /// A ban or mute by the operator has begun or ended.
    Sanctioned(Box<Sanctioned>),
    /// Messages have left the history or come back: read the shown messages from the store again.
    Reload,
    /// Something the user should read, with a stable code for programs.
    Notice {
        /// A short stable word, such as `clock-off`.
        code: &'static str,
        /// A sentence for people.
        text: String,
    },
    /// The node has ended and will send nothing more. `None` after a normal quit.
    Ended(Option<Refusal>),
}

/// A message for display. Every name in it comes from its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// The hash of its content, which is the same on every peer.
    pub id: MessageId,
    /// The room it was posted in.
    pub room: String,
    /// The author's account.
    pub account: AccountId,
    /// The author's unique name.
    pub username: String,
    /// The author's display name at the time.
    pub nickname: String,
    /// The author's device key.
    pub peer: PeerKey,
    /// The author's role in the ticket that it was sent under.
    pub role: Role,
    /// What the message says.
    pub body: Body,
    /// Realm time of sending, unix milliseconds. It is the first part of the order key.
    pub sent_at: u64,
    /// Realm time of arrival here, unix milliseconds.
    pub received_at: u64,
    /// How it reached this node.
    pub via: Via,
    /// True if it arrived more than two minutes after it was sent.
    pub late: bool,
    /// True if its author could no longer post it when it arrived: banned, muted or signed out, or the room archived. It
    /// is shown folded, and notifies nobody.
    pub folded: bool,
    /// True if its author has signed another message with the same number (equivocation).
    pub forked: bool,
    /// The author's session, which begins when its program starts.
    pub session: u64,
    /// The number within the session, from 0.
    pub seq: u64,
    /// How far an own message has got; `None` for other people's messages.
    pub state: Option<Progress>,
}

impl ChatMessage {
    /// The order key: every peer that holds the same messages shows them sorted by this (PROTOCOL.md R-45).
    #[must_use]
    pub fn order_key(&self) -> (u64, PeerKey, u64, u64, MessageId) {
        (self.sent_at, self.peer, self.session, self.seq, self.id)
    }
}

/// How a message reached this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// It was written here.
    Own,
    /// It came by gossip.
    Gossip,
    /// It came by reconciliation with a neighbour.
    Sync,
}

impl Via {
    /// The word for programs and for the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Gossip => "gossip",
            Self::Sync => "sync",
        }
    }
}

impl From<Arrival> for Via {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Gossip => Self::Gossip,
            Arrival::Sync => Self::Sync,
        }
    }
}

/// Another device came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// The account of the device.
    pub account: AccountId,
    /// Its unique name.
    pub username: String,
    /// Its display name.
    pub nickname: String,
    /// The key of the device.
    pub peer: PeerKey,
    /// The role of the account.
    pub role: Role,
    /// Whether it is online now.
    pub online: bool,
    /// Why it came or went.
    pub reason: Reason,
}

/// The node has ended and accepts no more commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has ended")]
pub struct NodeClosed;

//! What can be written, and what the writer reports once it is on disk.

use std::sync::Arc;

use lanyard_protocol::history::{AdmittedMessage, Resettled};
use lanyard_protocol::ids::{AccountId, MessageId};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::time::RealmClock;

use crate::event::{ChatMessage, Via};

/// A write to the store.
#[derive(Debug)]
pub enum Write {
    /// A message that the history has admitted.
    Message {
        /// The request that waits for an own message.
        request: Option<u64>,
        /// The message to insert.
        message: Box<AdmittedMessage>,
        /// How it reached this node.
        via: Via,
        /// Realm time of arrival, unix milliseconds.
        received_at: u64,
        /// Whether its author could no longer post it by then. It is shown folded.
        folded: bool,
    },
    /// Messages have left the history or come back.
    Resettle(Resettled),
    /// Delete messages that were sent before a realm time, and moderations that began a day before it or earlier.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// A moderator has muted or banned an account, or lifted that.
    Moderation(Box<SignedModeration>),
    /// An own message has reached a neighbour.
    Sent(MessageId),
    /// Other peers have stored an own message.
    StoredBy {
        /// The id of the message.
        id: MessageId,
        /// How many peers hold it.
        by: u32,
        /// How many there were when it was sent.
        of: u32,
    },
    /// The ticket of an account was renewed.
    Ticket {
        /// The account of the ticket.
        account: AccountId,
        /// The exact bytes of the new ticket.
        ticket: Vec<u8>,
        /// Where the authority peer is now, if the login server said so.
        authority: Option<PeerAddresses>,
    },
    /// A newer policy.
    Policy(Vec<u8>),
    /// Where a peer was found, and the realm time of that.
    Peer(PeerAddresses, u64),
    /// The clock's offset and high-water mark.
    Clock(RealmClock),
    /// The user has read everything in the room up to this message.
    ReadMark(String, MessageId),
    /// Ends the thread once everything before it is written.
    Close,
}

impl Write {
    /// Whether a sender waits for it: the user is told when an own message is on disk.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Message { via: Via::Own, .. })
    }
}

/// A report of what was written, sent after the commit.
#[derive(Debug)]
pub enum Stored {
    /// A message that is new in the store.
    Message(Arc<ChatMessage>),
    /// The answer to an own message.
    Own {
        /// The request that is answered.
        request: u64,
        /// Whether it is on disk.
        result: Result<Arc<ChatMessage>, String>,
    },
    /// Another peer's message could not be written.
    GivenBack {
        /// When it was sent.
        sent_at: u64,
        /// The id of the message.
        message: MessageId,
    },
    /// Messages have left the history or come back, which changes the number of held messages by this.
    Resettled(i64),
}

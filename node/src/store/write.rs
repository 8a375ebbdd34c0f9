//! What can be written, and what the writer tells once it is on disk.

use std::sync::Arc;

use lanyard_protocol::history::{AdmittedMessage, Resettled};
use lanyard_protocol::ids::{AccountId, MessageId};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::time::RealmClock;

use crate::event::{ChatMessage, Via};

/// Something to write.
#[derive(Debug)]
pub enum Write {
    /// A message. Own ones carry the request that waits for them.
    Message {
        /// Of an own message.
        request: Option<u64>,
        /// The message.
        message: Box<AdmittedMessage>,
        /// How it came.
        via: Via,
        /// Realm time of arrival, unix milliseconds.
        received_at: u64,
        /// Whether its author was banned by then.
        folded: bool,
    },
    /// Messages have left the set or come back, or the quota has displaced them.
    Resettle(Resettled),
    /// All that was sent before a realm time is to go, and all moderations that ended before it.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// A moderator's moderation.
    Moderation(Box<SignedModeration>),
    /// An own message has reached somebody.
    Sent(MessageId),
    /// An own message is in the stores of others.
    StoredBy {
        /// Which.
        id: MessageId,
        /// How many have said so.
        by: u32,
        /// How many there were when it was sent.
        of: u32,
    },
    /// The ticket of an account was renewed.
    Pass {
        /// Whose.
        account: AccountId,
        /// Its exact bytes.
        ticket: Vec<u8>,
        /// Where the rendezvous' node is now, if that was said.
        authority: Option<PeerAddresses>,
    },
    /// The newest policy.
    Policy(Vec<u8>),
    /// Where a peer was found, at a realm time.
    Peer(PeerAddresses, u64),
    /// The clock's offset and high-water mark.
    Clock(RealmClock),
    /// Everything in the room up to this message has been read.
    ReadMark(String, MessageId),
    /// Write all that came before, and end.
    Close,
}

impl Write {
    /// Whether somebody waits for it: an own message is promised to its author.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Message { via: Via::Own, .. })
    }
}

/// What was written, told after the commit.
#[derive(Debug)]
pub enum Stored {
    /// A message that was not there before.
    Message(Arc<ChatMessage>),
    /// The answer to an own message.
    Own {
        /// Of the request.
        request: u64,
        /// Whether it is on disk.
        result: Result<Arc<ChatMessage>, String>,
    },
    /// A message of somebody else that could not be written.
    GivenBack {
        /// Its time of sending.
        sent_at: u64,
        /// Which.
        message: MessageId,
    },
    /// Messages have left the set, or come back: by how much the number of held messages has changed.
    Resettled(i64),
}

//! Messages, and the stages that a message passes before it may be stored, shown or forwarded.
//!
//! ```text
//! bytes ── parse ──▶ SignedMessage ── verify ──▶ VerifiedMessage ── History ──▶ AdmittedMessage
//!          Reject                     Reject                        Ignore
//! ```
//!
//! The stages are types, so code that skips a check does not compile: only [`crate::history::History::take`] turns a
//! verified message into an [`crate::history::AdmittedMessage`].

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::cose::{self, BadSignature, Envelope, Kind};
use crate::ids::{MessageId, PeerKey, TicketHash};
use crate::limits::{AHEAD_MS_MAX, GOSSIP_AGE_MS_MAX, MESSAGE_BYTES_MAX, ROOM_BYTES_MAX};
use crate::ticket::Ticket;
use crate::verdict::Refused;
use crate::wire::{self, DecodeError, Pair};

use super::body::Body;
use super::envelope_of;

/// Prevents a message id from being the hash of anything else (PROTOCOL.md R-40).
const ID_DOMAIN: &[u8] = b"lanyard-message-1";

/// What the author signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Payload {
    room: String,
    ticket: TicketHash,
    session: u64,
    seq: u64,
    sent_at: u64,
    body: (u16, ByteBuf),
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The room it is posted in.
    pub room: String,
    /// The author's session, which begins when its program starts.
    pub session: u64,
    /// The number within the session, from 0.
    pub seq: u64,
    /// The realm time of sending, in unix milliseconds.
    pub sent_at: u64,
    /// What the author wrote.
    pub body: Body,
}

/// A message that its author has not sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The room to post it in.
    pub room: String,
    /// What to post.
    pub body: Body,
}

impl Draft {
    /// A draft of a body for a room.
    #[must_use]
    pub fn new(room: impl Into<String>, body: impl Into<Body>) -> Self {
        Self { room: room.into(), body: body.into() }
    }
}

/// A parsed message. Nothing in it is proved yet.
#[derive(Debug, Clone)]
pub struct SignedMessage<'a> {
    envelope: Envelope<'a>,
    message_bytes: &'a [u8],
    ticket_bytes: &'a [u8],
    to_be_signed: Vec<u8>,
    id: MessageId,
    ticket_hash: TicketHash,
    content: Content,
}

impl<'a> SignedMessage<'a> {
    /// Parses the pair that travels on gossip.
    ///
    /// # Errors
    /// [`Refused::Malformed`], [`Refused::WrongTopic`] for another known kind, [`Refused::Unknown`] for a later one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let pair = Pair::parse(bytes, MESSAGE_BYTES_MAX)?;
        Self::from_pair(pair)
    }

    /// Parses a message and its ticket as they are stored.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_pair(pair: Pair<'a>) -> Result<Self, Refused> {
        let envelope = envelope_of(Kind::Message, pair.object, MESSAGE_BYTES_MAX)?;
        let payload: Payload = wire::decode(envelope.payload, MESSAGE_BYTES_MAX)?;
        let to_be_signed = envelope.to_be_signed();
        Ok(Self {
            envelope,
            message_bytes: pair.object,
            ticket_bytes: pair.ticket,
            id: message_id(&to_be_signed),
            to_be_signed,
            ticket_hash: payload.ticket,
            content: content_of(payload)?,
        })
    }

    /// The id, which no other signed bytes have.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The content that it claims to have.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The bytes of its ticket, which the caller may have verified before.
    #[must_use]
    pub fn ticket_bytes(&self) -> &'a [u8] {
        self.ticket_bytes
    }

    /// Checks the message against its ticket, which the caller has verified.
    ///
    /// # Errors
    /// [`Refused::OtherTicket`] or [`Refused::Signature`] if it was not signed under this ticket.
    pub fn verify(self, ticket: Arc<Ticket>) -> Result<VerifiedMessage, Refused> {
        if ticket.hash() != self.ticket_hash {
            return Err(Refused::OtherTicket);
        }
        let verified = ticket.verify_signed(&self.envelope, &self.to_be_signed);
        verified.map_err(|BadSignature| Refused::Signature)?;
        Ok(VerifiedMessage {
            id: self.id,
            bytes: self.message_bytes.to_vec(),
            content: self.content,
            ticket,
        })
    }
}

/// A message that its author signed under a ticket of this realm. The rules have not judged it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMessage {
    id: MessageId,
    bytes: Vec<u8>,
    content: Content,
    ticket: Arc<Ticket>,
}

impl VerifiedMessage {
    /// Signs a message of our own. The history still has to admit it.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if the text does not fit into a message.
    pub fn author(
        content: Content,
        ticket: Arc<Ticket>,
        key: &SigningKey,
    ) -> Result<Self, Refused> {
        let payload = Payload {
            room: content.room.clone(),
            ticket: ticket.hash(),
            session: content.session,
            seq: content.seq,
            sent_at: content.sent_at,
            body: content.body.encode(),
        };
        let bytes = cose::sign(Kind::Message, key, &wire::encode(&payload));
        let envelope = Envelope::parse(&bytes, MESSAGE_BYTES_MAX)?;
        let id = message_id(&envelope.to_be_signed());
        let message = Self { id, bytes, content, ticket };
        if message.to_gossip().len() > MESSAGE_BYTES_MAX {
            return Err(Refused::Malformed(DecodeError::TooLong { max: MESSAGE_BYTES_MAX }));
        }
        Ok(message)
    }

    /// The id of the message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The content that its author signed.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The ticket that it was sent under.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// The exact signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The order in which every peer shows messages (PROTOCOL.md R-45).
    #[must_use]
    pub fn order_key(&self) -> (u64, PeerKey, u64, u64, MessageId) {
        let Content { session, seq, sent_at, .. } = self.content;
        (sent_at, self.ticket.claims().peer, session, seq, self.id)
    }

    /// The pair that goes on gossip.
    #[must_use]
    pub fn to_gossip(&self) -> Vec<u8> {
        Pair { ticket: self.ticket.as_bytes(), object: &self.bytes }.to_bytes()
    }

    /// Checks its time against ours. A failure only delays a message, because it can arrive again later.
    ///
    /// # Errors
    /// [`Refused::Ahead`], or on gossip [`Refused::Old`].
    pub fn check_arrival(&self, arrival: Arrival, realm_now_ms: u64) -> Result<(), Refused> {
        let sent_at = self.content.sent_at;
        if sent_at > realm_now_ms.saturating_add(AHEAD_MS_MAX) {
            return Err(Refused::Ahead);
        }
        let is_old = sent_at.saturating_add(GOSSIP_AGE_MS_MAX) < realm_now_ms;
        if is_old && arrival == Arrival::Gossip {
            return Err(Refused::Old);
        }
        Ok(())
    }
}

/// How a message by another peer arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// On a gossip topic.
    Gossip,
    /// From a neighbour that we asked for it.
    Sync,
}

fn message_id(to_be_signed: &[u8]) -> MessageId {
    MessageId(Sha256::new_with_prefix(ID_DOMAIN).chain_update(to_be_signed).finalize().into())
}

fn content_of(payload: Payload) -> Result<Content, Refused> {
    let Payload { room, session, seq, sent_at, body: (kind, bytes), .. } = payload;
    let body = Body::decode(kind, bytes)?;
    if room.is_empty() || room.len() > ROOM_BYTES_MAX {
        return Err(DecodeError::Field("room").into());
    }
    // Times beyond i64 cannot be stored, and no clock shows them.
    if i64::try_from(sent_at).is_err() {
        return Err(DecodeError::Field("sent_at").into());
    }
    Ok(Content { room, session, seq, sent_at, body })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cose::public_key;
    use crate::history::AdmittedMessage;
    use crate::testing::{self, T0};
    use crate::verdict::Acceptance;

    fn message(text: &str) -> AdmittedMessage {
        testing::message(&testing::key(1), &testing::key(2), "alice", text, T0)
    }

    fn verify(bytes: &[u8]) -> Result<VerifiedMessage, Refused> {
        let signed = SignedMessage::parse(bytes)?;
        let realm = public_key(&testing::key(1));
        let ticket = Ticket::verify(signed.ticket_bytes(), &realm).map_err(Refused::Ticket)?;
        signed.verify(Arc::new(ticket))
    }

    #[test]
    fn r40_what_was_sent_arrives_unchanged() {
        let sent = message("NICK {quit}\nسلام 👋🏽");
        assert_eq!(verify(&sent.to_gossip()), Ok(VerifiedMessage::clone(&sent)));
    }

    #[test]
    fn r41_a_message_under_another_ticket_is_rejected() {
        let realm = testing::key(1);
        let sent = message("hi");
        let other = testing::ticket(&realm, &testing::key(3), "bob");
        let swapped = Pair { ticket: other.as_bytes(), object: sent.as_bytes() }.to_bytes();
        assert_eq!(verify(&swapped), Err(Refused::OtherTicket));
        let stolen = Arc::new(testing::ticket(&realm, &testing::key(2), "alice"));
        let content = sent.content().clone();
        let forged = VerifiedMessage::author(content, stolen, &testing::key(3)).unwrap();
        assert_eq!(verify(&forged.to_gossip()), Err(Refused::Signature));
    }

    #[test]
    fn r42_a_wrong_time_is_only_ignored() {
        let message = message("hi");
        let gossip = |now| message.check_arrival(Arrival::Gossip, now);
        assert_eq!(gossip(T0 - AHEAD_MS_MAX - 1), Err(Refused::Ahead));
        assert_eq!(gossip(T0 - AHEAD_MS_MAX), Ok(()));
        assert_eq!(gossip(T0 + GOSSIP_AGE_MS_MAX), Ok(()));
        assert_eq!(gossip(T0 + GOSSIP_AGE_MS_MAX + 1), Err(Refused::Old));
        assert_eq!(message.check_arrival(Arrival::Sync, T0 + 10 * GOSSIP_AGE_MS_MAX), Ok(()));
        assert_eq!(
            message.check_arrival(Arrival::Sync, T0 - AHEAD_MS_MAX - 1),
            Err(Refused::Ahead)
        );
    }

    #[test]
    fn r44_another_kind_of_object_is_told_apart() {
        let realm = testing::key(1);
        let ticket = testing::ticket(&realm, &testing::key(2), "alice");
        let policy_object = cose::sign(Kind::Policy, &realm, b"x");
        let pair = Pair { ticket: ticket.as_bytes(), object: &policy_object }.to_bytes();
        assert_eq!(verify(&pair), Err(Refused::WrongTopic));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_survives(bit in 0usize..8_000) {
            let mut bytes = message("hello").to_gossip();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = verify(&bytes).unwrap_err();
            prop_assert!(matches!(refused.acceptance(), Acceptance::Reject | Acceptance::Ignore));
        }

        #[test]
        fn any_text_arrives_unchanged(text in "\\PC{0,400}") {
            let sent = message(&text);
            prop_assert_eq!(verify(&sent.to_gossip()).unwrap().content().body.text.clone(), text);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(SignedMessage::parse(&bytes).is_err());
        }
    }
}

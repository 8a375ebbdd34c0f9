//! Orders of moderators: signed bans, mutes and lifts that need no login node (PROTOCOL.md ).
//!
//! An order is authentic or not, whoever looks and whenever. Whether it *counts* is the law's to say, because that
//! hangs on the policy and on the other orders: `law/orders.rs`.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cose::{self, BadSignature, Envelope, Kind};
use crate::ids::{AccountId, MessageId, PeerKey, TicketHash};
use crate::limits::{ORDER_BYTES_MAX, ORDER_MS_MAX, ORDER_REASON_BYTES_MAX, TICKET_BYTES_MAX};
use crate::message::Refused;
use crate::ticket::Ticket;
use crate::wire::{self, DecodeError, Pair};

/// Keeps an order's id from ever being the hash of something else (PROTOCOL.md R-120).
const ID_DOMAIN: &[u8] = b"lanyard-order-1";
/// Heads of the pair and its two byte strings.
const PAIR_BYTES_MAX: usize = TICKET_BYTES_MAX + ORDER_BYTES_MAX + 7;

/// What a moderator orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// Neither linked nor heard.
    Ban,
    /// Linked, not heard.
    Mute,
    /// The end of what other moderators have ordered.
    Lift,
}

impl OrderKind {
    /// The word on the wire, on the command line and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
            Self::Lift => "lift",
        }
    }
}

/// What the moderator signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The realm it is for.
    pub realm: PeerKey,
    /// The moderator's ticket.
    pub ticket: TicketHash,
    /// Random; the operator settles an order by this number.
    #[serde(with = "serde_bytes")]
    pub order: [u8; 16],
    /// What it does.
    pub kind: OrderKind,
    /// Whom it hits.
    pub sub: AccountId,
    /// Its begin, realm time in unix milliseconds.
    pub from: u64,
    /// Its end, at most 24 hours later.
    pub until: u64,
    /// Why, in the moderator's words.
    pub reason: String,
    /// The policy that the moderator knew.
    pub policy: u64,
}

/// An order signed under a ticket of this realm, with the exact bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrder {
    id: MessageId,
    order: Order,
    ticket: Arc<Ticket>,
    bytes: Vec<u8>,
}

impl SignedOrder {
    /// Signs an order of our own.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it is out of bounds: over 24 hours, or a reason of over 200 bytes.
    pub fn author(order: Order, ticket: Arc<Ticket>, key: &SigningKey) -> Result<Self, Refused> {
        check_bounds(&order)?;
        let bytes = cose::sign(Kind::Order, key, &wire::encode(&order));
        let id = order_id(&Envelope::parse(&bytes, ORDER_BYTES_MAX)?.to_be_signed());
        Ok(Self { id, order, ticket, bytes })
    }

    /// Reads and checks a pair as it travels on `control`. `ticket_of` gives the verified ticket for its bytes.
    ///
    /// # Errors
    /// [`Refused`]: all that a forwarder could see is rejected.
    pub fn verify(
        pair: &[u8],
        realm: &PeerKey,
        ticket_of: impl FnOnce(&[u8]) -> Result<Arc<Ticket>, Refused>,
    ) -> Result<Self, Refused> {
        Self::from_pair(Pair::parse(pair, PAIR_BYTES_MAX)?, realm, ticket_of)
    }

    /// Reads and checks an order and its ticket as they are stored and reconciled.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn from_pair(
        pair: Pair<'_>,
        realm: &PeerKey,
        ticket_of: impl FnOnce(&[u8]) -> Result<Arc<Ticket>, Refused>,
    ) -> Result<Self, Refused> {
        let envelope = Envelope::parse(pair.object, ORDER_BYTES_MAX)?;
        match envelope.kind {
            Some(Kind::Order) => {}
            Some(_other) => return Err(Refused::WrongTopic),
            None => return Err(Refused::Unknown),
        }
        let order: Order = wire::decode(envelope.payload, ORDER_BYTES_MAX)?;
        check_bounds(&order)?;
        if order.realm != *realm {
            return Err(DecodeError::Field("realm").into());
        }
        let ticket = ticket_of(pair.ticket)?;
        if ticket.hash() != order.ticket {
            return Err(Refused::OtherTicket);
        }
        let to_be_signed = envelope.to_be_signed();
        let verified = ticket.verify_signed(&envelope, &to_be_signed);
        verified.map_err(|BadSignature| Refused::Signature)?;
        Ok(Self { id: order_id(&to_be_signed), order, ticket, bytes: pair.object.to_vec() })
    }

    /// SHA-256("lanyard-order-1" ‖ to-be-signed bytes): its name in reconciliation.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// What it says.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The moderator's ticket.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// The exact signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pair that goes on gossip.
    #[must_use]
    pub fn to_gossip(&self) -> Vec<u8> {
        Pair { ticket: self.ticket.as_bytes(), object: &self.bytes }.to_bytes()
    }
}

fn check_bounds(order: &Order) -> Result<(), DecodeError> {
    let lasts = order.until.checked_sub(order.from);
    if lasts.is_none_or(|lasts| lasts == 0 || lasts > ORDER_MS_MAX) {
        return Err(DecodeError::Field("until"));
    }
    // Times beyond i64 cannot be stored, and no clock shows them.
    if i64::try_from(order.until).is_err() {
        return Err(DecodeError::Field("from"));
    }
    if order.reason.len() > ORDER_REASON_BYTES_MAX {
        return Err(DecodeError::Field("reason"));
    }
    Ok(())
}

fn order_id(to_be_signed: &[u8]) -> MessageId {
    let mut hasher = Sha256::new();
    hasher.update(ID_DOMAIN);
    hasher.update(to_be_signed);
    MessageId(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::public_key;
    use crate::testing::{self, T0};

    fn take(order: &SignedOrder) -> Result<SignedOrder, Refused> {
        let realm = public_key(&testing::key(1));
        SignedOrder::verify(&order.to_gossip(), &realm, |bytes| {
            Ticket::verify(bytes, &realm).map(Arc::new).map_err(Refused::Ticket)
        })
    }

    #[test]
    fn r120_an_order_is_read_back_and_bound_to_its_key_and_ticket() {
        let ours = testing::order(OrderKind::Mute, "bob", T0, T0 + 60_000);
        assert_eq!(take(&ours), Ok(ours.clone()));
        let forged =
            SignedOrder::author(ours.order.clone(), ours.ticket.clone(), &testing::key(3)).unwrap();
        assert_eq!(take(&forged), Err(Refused::Signature));
        let other = Arc::new(testing::ticket(&testing::key(1), &testing::key(2), "alice"));
        let swapped = SignedOrder { ticket: other, ..ours };
        assert_eq!(take(&swapped), Err(Refused::OtherTicket));
    }

    #[test]
    fn r121_a_day_is_the_longest_and_a_reason_is_short() {
        let ours = testing::order(OrderKind::Ban, "bob", T0, T0 + ORDER_MS_MAX);
        let author = |change: fn(&mut Order)| {
            let mut order = ours.order.clone();
            change(&mut order);
            SignedOrder::author(order, ours.ticket.clone(), &testing::key(2)).map(|_signed| ())
        };
        assert_eq!(author(|_order| {}), Ok(()));
        let too_long = Err(Refused::Malformed(DecodeError::Field("until")));
        assert_eq!(author(|order| order.until += 1), too_long);
        assert_eq!(author(|order| order.until = order.from), too_long);
        let wordy = Err(Refused::Malformed(DecodeError::Field("reason")));
        assert_eq!(author(|order| order.reason = "x".repeat(201)), wordy);
    }
}

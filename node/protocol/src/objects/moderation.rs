//! Moderations of moderators: signed bans, mutes and lifts that need no login node (PROTOCOL.md ).
//!
//! A moderation is authentic or not, whoever looks and whenever. Whether it *counts* is the history's to say, because that
//! hangs on the policy and on the other moderations: `history/moderations.rs`.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cose::{self, BadSignature, Envelope, Kind};
use crate::ids::{AccountId, MessageId, PeerKey, TicketHash};
use crate::limits::{
    MODERATION_BYTES_MAX, MODERATION_MS_MAX, MODERATION_REASON_BYTES_MAX, TICKET_BYTES_MAX,
};
use crate::ticket::Ticket;
use crate::verdict::Refused;
use crate::wire::{self, DecodeError, Pair};

/// Keeps a moderation's id from ever being the hash of something else (PROTOCOL.md R-120).
const ID_DOMAIN: &[u8] = b"lanyard-order-1";
/// Heads of the pair and its two byte strings.
const PAIR_BYTES_MAX: usize = TICKET_BYTES_MAX + MODERATION_BYTES_MAX + 7;

/// What a moderator moderations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModerationKind {
    /// Neither linked nor heard.
    Ban,
    /// Linked, not heard.
    Mute,
    /// The end of what other moderators have ordered.
    Lift,
}

impl ModerationKind {
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
pub struct Moderation {
    /// The realm it is for.
    pub realm: PeerKey,
    /// The moderator's ticket.
    pub ticket: TicketHash,
    /// Random; the operator settles an order by this number.
    #[serde(rename = "order", with = "serde_bytes")]
    pub number: [u8; 16],
    /// What it does.
    pub kind: ModerationKind,
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

/// A moderation signed under a ticket of this realm, with the exact bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedModeration {
    id: MessageId,
    moderation: Moderation,
    ticket: Arc<Ticket>,
    bytes: Vec<u8>,
}

impl SignedModeration {
    /// Signs an order of our own.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it is out of bounds: over 24 hours, or a reason of over 200 bytes.
    pub fn author(
        moderation: Moderation,
        ticket: Arc<Ticket>,
        key: &SigningKey,
    ) -> Result<Self, Refused> {
        check_bounds(&moderation)?;
        let bytes = cose::sign(Kind::Moderation, key, &wire::encode(&moderation));
        let id = moderation_id(&Envelope::parse(&bytes, MODERATION_BYTES_MAX)?.to_be_signed());
        Ok(Self { id, moderation, ticket, bytes })
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
        let envelope = Envelope::parse(pair.object, MODERATION_BYTES_MAX)?;
        match envelope.kind {
            Some(Kind::Moderation) => {}
            Some(_other) => return Err(Refused::WrongTopic),
            None => return Err(Refused::Unknown),
        }
        let moderation: Moderation = wire::decode(envelope.payload, MODERATION_BYTES_MAX)?;
        check_bounds(&moderation)?;
        if moderation.realm != *realm {
            return Err(DecodeError::Field("realm").into());
        }
        let ticket = ticket_of(pair.ticket)?;
        if ticket.hash() != moderation.ticket {
            return Err(Refused::OtherTicket);
        }
        let to_be_signed = envelope.to_be_signed();
        let verified = ticket.verify_signed(&envelope, &to_be_signed);
        verified.map_err(|BadSignature| Refused::Signature)?;
        Ok(Self {
            id: moderation_id(&to_be_signed),
            moderation,
            ticket,
            bytes: pair.object.to_vec(),
        })
    }

    /// SHA-256("lanyard-moderation-1" ‖ to-be-signed bytes): its name in reconciliation.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// What it says.
    #[must_use]
    pub fn content(&self) -> &Moderation {
        &self.moderation
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

fn check_bounds(moderation: &Moderation) -> Result<(), DecodeError> {
    let lasts = moderation.until.checked_sub(moderation.from);
    if lasts.is_none_or(|lasts| lasts == 0 || lasts > MODERATION_MS_MAX) {
        return Err(DecodeError::Field("until"));
    }
    // Times beyond i64 cannot be stored, and no clock shows them.
    if i64::try_from(moderation.until).is_err() {
        return Err(DecodeError::Field("from"));
    }
    if moderation.reason.len() > MODERATION_REASON_BYTES_MAX {
        return Err(DecodeError::Field("reason"));
    }
    Ok(())
}

fn moderation_id(to_be_signed: &[u8]) -> MessageId {
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

    fn take(moderation: &SignedModeration) -> Result<SignedModeration, Refused> {
        let realm = public_key(&testing::key(1));
        SignedModeration::verify(&moderation.to_gossip(), &realm, |bytes| {
            Ticket::verify(bytes, &realm).map(Arc::new).map_err(Refused::Ticket)
        })
    }

    #[test]
    fn r120_an_order_is_read_back_and_bound_to_its_key_and_ticket() {
        let ours = testing::moderation(ModerationKind::Mute, "bob", T0, T0 + 60_000);
        assert_eq!(take(&ours), Ok(ours.clone()));
        let forged = SignedModeration::author(
            ours.moderation.clone(),
            ours.ticket.clone(),
            &testing::key(3),
        )
        .unwrap();
        assert_eq!(take(&forged), Err(Refused::Signature));
        let other = Arc::new(testing::ticket(&testing::key(1), &testing::key(2), "alice"));
        let swapped = SignedModeration { ticket: other, ..ours };
        assert_eq!(take(&swapped), Err(Refused::OtherTicket));
    }

    #[test]
    fn r121_a_day_is_the_longest_and_a_reason_is_short() {
        let ours = testing::moderation(ModerationKind::Ban, "bob", T0, T0 + MODERATION_MS_MAX);
        let author = |change: fn(&mut Moderation)| {
            let mut moderation = ours.moderation.clone();
            change(&mut moderation);
            SignedModeration::author(moderation, ours.ticket.clone(), &testing::key(2))
                .map(|_signed| ())
        };
        assert_eq!(author(|_moderation| {}), Ok(()));
        let too_long = Err(Refused::Malformed(DecodeError::Field("until")));
        assert_eq!(author(|moderation| moderation.until += 1), too_long);
        assert_eq!(author(|moderation| moderation.until = moderation.from), too_long);
        let wordy = Err(Refused::Malformed(DecodeError::Field("reason")));
        assert_eq!(author(|moderation| moderation.reason = "x".repeat(201)), wordy);
    }
}

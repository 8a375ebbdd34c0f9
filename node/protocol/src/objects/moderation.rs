//! Moderations: bans, mutes and lifts that moderators sign without the login node (PROTOCOL.md ).
//!
//! Every peer agrees at any time on whether a moderation is authentic. Whether it takes effect depends on the policy
//! and on the other moderations, so the history decides that: `history/moderations.rs`.

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

use super::envelope_of;

/// Prevents a moderation's id from being the hash of anything else (PROTOCOL.md R-120).
const ID_DOMAIN: &[u8] = b"lanyard-order-1";
/// Includes the heads of the pair and its two byte strings.
const PAIR_BYTES_MAX: usize = TICKET_BYTES_MAX + MODERATION_BYTES_MAX + 7;

/// What a moderation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModerationKind {
    /// The account gets no links, and its messages do not count.
    Ban,
    /// The account keeps its links, but its messages do not count.
    Mute,
    /// Ends the bans and mutes by other moderators.
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

/// The content of a moderation, which the moderator signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moderation {
    /// The realm that it applies to.
    pub realm: PeerKey,
    /// The hash of the moderator's ticket.
    pub ticket: TicketHash,
    /// A random number, by which the operator confirms or overturns the moderation.
    #[serde(rename = "order", with = "serde_bytes")]
    pub number: [u8; 16],
    /// Whether it bans, mutes or lifts.
    pub kind: ModerationKind,
    /// The account that it applies to.
    pub sub: AccountId,
    /// When it starts, realm time in unix milliseconds.
    pub from: u64,
    /// When it ends, at most 24 hours later.
    pub until: u64,
    /// The reason, in the moderator's words.
    pub reason: String,
    /// The number of the policy that the moderator knew.
    pub policy: u64,
}

/// A moderation that was signed under a ticket of this realm, with the exact bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedModeration {
    id: MessageId,
    moderation: Moderation,
    ticket: Arc<Ticket>,
    bytes: Vec<u8>,
}

impl SignedModeration {
    /// Signs a moderation by this peer.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it lasts longer than 24 hours, or its reason is longer than 200 bytes.
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

    /// Parses and verifies a pair as it travels on `control`. `ticket_of` returns the verified ticket for its bytes.
    ///
    /// # Errors
    /// [`Refused`] for the first check that fails.
    pub fn verify(
        pair: &[u8],
        realm: &PeerKey,
        ticket_of: impl FnOnce(&[u8]) -> Result<Arc<Ticket>, Refused>,
    ) -> Result<Self, Refused> {
        Self::from_pair(Pair::parse(pair, PAIR_BYTES_MAX)?, realm, ticket_of)
    }

    /// Parses and verifies a moderation and its ticket as they are stored and reconciled.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn from_pair(
        pair: Pair<'_>,
        realm: &PeerKey,
        ticket_of: impl FnOnce(&[u8]) -> Result<Arc<Ticket>, Refused>,
    ) -> Result<Self, Refused> {
        let envelope = envelope_of(Kind::Moderation, pair.object, MODERATION_BYTES_MAX)?;
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

    /// SHA-256("lanyard-order-1" ‖ to-be-signed bytes), which identifies it in reconciliation.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The content that the moderator signed.
    #[must_use]
    pub fn content(&self) -> &Moderation {
        &self.moderation
    }

    /// The ticket of the moderator.
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
    MessageId(Sha256::new_with_prefix(ID_DOMAIN).chain_update(to_be_signed).finalize().into())
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
    fn r120_a_moderation_is_bound_to_its_key_and_ticket() {
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
    fn r121_length_and_reason_are_bounded() {
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

//! Presence: a signed "I am here, at these addresses", and "bye" (PROTOCOL.md ).

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::cose::{self, BadSignature, Kind};
use crate::limits::{
    ADDRESS_BYTES_MAX, PRESENCE_ADDRESSES_MAX, PRESENCE_BYTES_MAX, STATUS_BYTES_MAX,
    TICKET_BYTES_MAX,
};
use crate::ticket::Ticket;
use crate::verdict::Refused;
use crate::wire::{self, DecodeError, Pair};

use super::envelope_of;

/// The status of a peer that is leaving.
pub const BYE: &str = "bye";
/// The status of a peer whose user is here.
pub const HERE: &str = "here";
/// The status of a peer whose user is away.
pub const AWAY: &str = "away";
/// Includes the heads of the pair and its two byte strings.
const PAIR_BYTES_MAX: usize = TICKET_BYTES_MAX + PRESENCE_BYTES_MAX + 7;

/// The content of a presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The number of the program start; larger is newer.
    pub boot: u64,
    /// The number within the boot; larger is newer.
    pub n: u64,
    /// The realm time of signing, in unix milliseconds.
    pub at: u64,
    /// `here`, `away`, `bye`, or a status of a later version.
    pub status: String,
    /// The multiaddrs it listens on, without `/p2p/`. They are only candidates to dial.
    pub listen: Vec<String>,
}

/// A presence that was signed under a ticket of this realm, with the pair that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPresence {
    /// The content that its author signed.
    pub presence: Presence,
    /// The ticket of the author.
    pub ticket: Arc<Ticket>,
    /// The exact pair as it travels, as proof for others.
    pub pair: Arc<[u8]>,
}

impl SignedPresence {
    /// Signs a presence of this peer.
    #[must_use]
    pub fn author(presence: Presence, ticket: Arc<Ticket>, key: &SigningKey) -> Self {
        let object = cose::sign(Kind::Presence, key, &wire::encode(&presence));
        let pair = Pair { ticket: ticket.as_bytes(), object: &object }.to_bytes();
        Self { presence, ticket, pair: pair.into() }
    }

    /// Parses and verifies a pair. `ticket_of` returns the verified ticket for its bytes.
    ///
    /// # Errors
    /// [`Refused`] for the first check that fails.
    pub fn verify(
        bytes: &[u8],
        ticket_of: impl FnOnce(&[u8]) -> Result<Arc<Ticket>, Refused>,
    ) -> Result<Self, Refused> {
        let pair = Pair::parse(bytes, PAIR_BYTES_MAX)?;
        let envelope = envelope_of(Kind::Presence, pair.object, PRESENCE_BYTES_MAX)?;
        let presence: Presence = wire::decode(envelope.payload, PRESENCE_BYTES_MAX)?;
        if !is_bounded(&presence) {
            return Err(DecodeError::Field("listen").into());
        }
        let ticket = ticket_of(pair.ticket)?;
        let verified = ticket.verify_signed(&envelope, &envelope.to_be_signed());
        verified.map_err(|BadSignature| Refused::Signature)?;
        Ok(Self { presence, ticket, pair: bytes.into() })
    }
}

fn is_bounded(presence: &Presence) -> bool {
    presence.status.len() <= STATUS_BYTES_MAX
        && presence.listen.len() <= PRESENCE_ADDRESSES_MAX
        && presence.listen.iter().all(|address| address.len() <= ADDRESS_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::public_key;
    use crate::testing::{self, T0};

    fn ticket_of(bytes: &[u8]) -> Result<Arc<Ticket>, Refused> {
        Ticket::verify(bytes, &public_key(&testing::key(1))).map(Arc::new).map_err(Refused::Ticket)
    }

    #[test]
    fn r70_a_presence_is_bound_to_its_key() {
        let ours = testing::presence(&testing::key(1), &testing::key(2), "alice", 5, 0, T0);
        assert_eq!(SignedPresence::verify(&ours.pair, ticket_of), Ok(ours.clone()));
        let forged =
            SignedPresence::author(ours.presence.clone(), ours.ticket.clone(), &testing::key(3));
        assert_eq!(SignedPresence::verify(&forged.pair, ticket_of), Err(Refused::Signature));
    }

    #[test]
    fn r71_addresses_are_bounded() {
        let mut ours = testing::presence(&testing::key(1), &testing::key(2), "alice", 5, 0, T0);
        ours.presence.listen = vec!["/ip4/1.1.1.1/tcp/1".into(); PRESENCE_ADDRESSES_MAX + 1];
        let wide = SignedPresence::author(ours.presence, ours.ticket, &testing::key(2));
        let refused = SignedPresence::verify(&wide.pair, ticket_of);
        assert_eq!(refused, Err(Refused::Malformed(DecodeError::Field("listen"))));
    }
}

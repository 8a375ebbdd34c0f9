//! What a login server has granted, once verified (PROTOCOL.md R-66).

use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::{Grant, PeerAddresses};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;

/// A ticket for this device, and what came with it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) ticket: Ticket,
    pub(crate) policy: SignedPolicy,
    /// The rendezvous' clock, unix milliseconds.
    pub(crate) realm_ms: u64,
    pub(crate) authority: PeerAddresses,
    pub(crate) peers: Vec<PeerAddresses>,
    /// Why the requested nickname was refused.
    pub(crate) nickname_refused: Option<String>,
}

impl Granted {
    /// Checks that the realm has signed both objects and that the ticket is for `peer`.
    pub(crate) fn verify(grant: Grant, realm: &PeerKey, peer: &PeerKey) -> Result<Self, String> {
        let ticket = Ticket::verify(&grant.ticket, realm).map_err(|error| error.to_string())?;
        let policy =
            SignedPolicy::verify(&grant.policy, realm).map_err(|error| error.to_string())?;
        if ticket.claims().peer != *peer {
            return Err("the ticket is for another device".to_owned());
        }
        let Grant { realm_time: realm_ms, authority, peers, nickname_refused, .. } = grant;
        Ok(Self { ticket, policy, realm_ms, authority, peers, nickname_refused })
    }
}

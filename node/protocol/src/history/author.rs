//! The signer of a message or moderation, as the rules see it.

use crate::ids::{AccountId, PeerKey, Role};
use crate::ticket::Ticket;

/// The ticket claims of a signer that the rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The account that signed.
    pub account: AccountId,
    /// The key of the device that signed.
    pub peer: PeerKey,
    /// The role that the ticket grants.
    pub role: Role,
    /// When the ticket was issued, unix milliseconds.
    pub issued_at: u64,
    /// When the ticket becomes valid, unix milliseconds.
    pub not_before: u64,
    /// When the ticket expires, unix milliseconds.
    pub expires_at: u64,
}

impl Author {
    /// The bearer of a ticket.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Self {
        let claims = ticket.claims();
        Self {
            account: claims.account,
            peer: claims.peer,
            role: claims.role,
            issued_at: claims.issued_at_ms(),
            not_before: claims.not_before_ms(),
            expires_at: claims.expires_at_ms(),
        }
    }

    /// Whether the ticket is valid at a realm time, without leeway.
    #[must_use]
    pub fn covers(&self, realm_ms: u64) -> bool {
        (self.not_before..self.expires_at).contains(&realm_ms)
    }
}

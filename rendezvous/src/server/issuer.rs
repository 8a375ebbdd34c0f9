//! Dates new tickets so that no existing revocation covers them, and issues the authority peer's own ticket.

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::ticket::{Claims, Ticket};
use sha2::{Digest as _, Sha256};

use crate::store::accounts::Account;

/// The lifetime of the authority peer's ticket, in seconds. It can be short, because the process renews the ticket
/// itself.
pub const AUTHORITY_LIFETIME_S: u64 = 86_400;

/// The time of issue, in seconds: now, but not before the account's newest revocation, which would otherwise cover the
/// new ticket as well.
#[must_use]
pub fn issue_time_s(account: &Account, realm_ms: u64) -> u64 {
    (realm_ms / 1_000).max(account.newest_revocation.div_ceil(1_000))
}

/// Issues the ticket of the authority peer. Its account id is derived from its key, so it is the same after every start
/// and does not occur in the database.
#[must_use]
pub fn issue_for_authority(
    realm_key: &SigningKey,
    authority: PeerKey,
    realm_ms: u64,
    policy: u64,
    id: [u8; 16],
) -> Ticket {
    let digest: [u8; 32] = Sha256::digest(authority.0).into();
    let mut account = AccountId([0; 16]);
    for (to, from) in account.0.iter_mut().zip(digest) {
        *to = from;
    }
    let issued_at_s = realm_ms / 1_000;
    let claims = Claims {
        realm: public_key(realm_key),
        account,
        id,
        issued_at_s,
        expires_at_s: issued_at_s.saturating_add(AUTHORITY_LIFETIME_S),
        peer: authority,
        username: "rendezvous".to_owned(),
        nickname: "rendezvous".to_owned(),
        role: Role::Authority,
        device: 0,
        policy,
    };
    Ticket::issue(claims, realm_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::accounts::State;

    fn account(newest_revocation: u64) -> Account {
        Account {
            id: AccountId([1; 16]),
            username: "alice".to_owned(),
            skeleton: "alice".to_owned(),
            nickname: "Alice".to_owned(),
            role: Role::Member,
            phc: String::new(),
            state: State::Enabled,
            created_at: 0,
            last_login_at: 0,
            newest_revocation,
            newest_issue: 0,
            newest_expiry: 0,
        }
    }

    #[test]
    fn no_ticket_is_issued_before_the_newest_revocation() {
        for (revocation, now, issued) in
            [(0, 9_999, 9), (12_000, 9_999, 12), (12_001, 9_999, 13), (5_000, 9_999, 9)]
        {
            assert_eq!(issue_time_s(&account(revocation), now), issued, "{revocation}, {now}");
        }
    }

    #[test]
    fn the_authority_peer_keeps_its_role_and_account() {
        let realm = SigningKey::from_bytes(&[3; 32]);
        let authority = PeerKey([9; 32]);
        let one = issue_for_authority(&realm, authority, 5_000, 1, [1; 16]);
        let two = issue_for_authority(&realm, authority, 9_000, 2, [2; 16]);
        assert_eq!(one.claims().account, two.claims().account);
        assert_eq!(one.claims().role, Role::Authority);
        assert!(Ticket::verify(two.as_bytes(), &public_key(&realm)).is_ok());
    }
}

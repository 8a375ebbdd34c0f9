//! Keys and signed objects for tests, here and in other crates (feature `test-utils`).

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use crate::admission::{Admission, AdmissionView, Own};
use crate::cose::public_key;
use crate::engine::StoredIndex;
use crate::hello::Hello;
use crate::history::{AdmittedMessage, Indexed, Rules};
use crate::ids::{AccountId, Role};
use crate::message::{Content, VerifiedMessage};
use crate::moderation::{Moderation, ModerationKind, SignedModeration};
use crate::policy::{LOBBY, Limits, Policy, RoomRules, Sanction, SanctionKind};
use crate::presence::{HERE, Presence, SignedPresence};
use crate::ticket::{Claims, Ticket};
use crate::time::RealmClock;

/// The realm time of tests, in unix milliseconds; a whole second.
pub const T0: u64 = 1_800_000_000_000;
/// The lifetime of test tickets, in seconds.
pub const WEEK_S: u64 = 7 * 86_400;

/// A key from a number.
#[must_use]
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// An account id from a name.
#[must_use]
pub fn account(username: &str) -> AccountId {
    let digest: [u8; 32] = Sha256::digest(username).into();
    AccountId::from_slice(digest.get(..16).unwrap_or_default()).unwrap_or(AccountId([0; 16]))
}

/// The claims of a member's ticket issued at [`T0`] for a week.
#[must_use]
pub fn claims(realm: &SigningKey, peer: &SigningKey, username: &str) -> Claims {
    Claims {
        realm: public_key(realm),
        account: account(username),
        id: [1; 16],
        issued_at_s: T0 / 1_000,
        expires_at_s: T0 / 1_000 + WEEK_S,
        peer: public_key(peer),
        username: username.to_owned(),
        nickname: username.to_owned(),
        role: Role::Member,
        device: 1,
        policy: 1,
    }
}

/// A member's ticket.
#[must_use]
pub fn ticket(realm: &SigningKey, peer: &SigningKey, username: &str) -> Ticket {
    Ticket::issue(claims(realm, peer, username), realm)
}

/// Policy number 1 of a new realm at [`T0`].
#[must_use]
pub fn policy(realm: &SigningKey) -> Policy {
    Policy {
        realm: public_key(realm),
        number: 1,
        issued_at: T0,
        name: "Test realm".to_owned(),
        rules: vec![Limits::default_from(T0)],
        rooms: vec![RoomRules::lobby()],
        sanctions: Vec::new(),
        settled: Vec::new(),
    }
}

/// A sanction by the operator.
#[must_use]
pub fn sanction(kind: SanctionKind, sub: AccountId, from: u64, until: Option<u64>) -> Sanction {
    let reason = "a test".to_owned();
    Sanction { id: 1, kind, sub, peer: None, from, until, reason, by: "operator".to_owned() }
}

/// A message in the lobby, signed under a member's ticket.
///
/// # Panics
/// If the text does not fit into a message.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "test support: a text that does not fit is the test's defect"
)]
pub fn message(
    realm: &SigningKey,
    peer: &SigningKey,
    username: &str,
    text: &str,
    sent_at: u64,
) -> AdmittedMessage {
    let content =
        Content { room: LOBBY.to_owned(), session: 7, seq: 0, sent_at, body: text.into() };
    let ticket = Arc::new(ticket(realm, peer, username));
    admitted(VerifiedMessage::author(content, ticket, peer).expect("the text fits into a message"))
}

/// A message as if the history had admitted it.
#[must_use]
pub fn admitted(message: VerifiedMessage) -> AdmittedMessage {
    AdmittedMessage::for_a_test(message)
}

/// A moderation by the moderator `mod`, whose key is number 2.
///
/// # Panics
/// If it lasts longer than a moderation may.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "test support: a moderation out of bounds is the test's defect"
)]
pub fn moderation(kind: ModerationKind, username: &str, from: u64, until: u64) -> SignedModeration {
    let (realm, signer) = (key(1), key(2));
    let mut claims = claims(&realm, &signer, "mod");
    claims.role = Role::Moderator;
    let ticket = Arc::new(Ticket::issue(claims, &realm));
    let digest: [u8; 32] = Sha256::digest(format!("{kind:?} {username} {from} {until}")).into();
    let moderation = Moderation {
        realm: public_key(&realm),
        ticket: ticket.hash(),
        number: *digest.first_chunk().expect("32 bytes begin with 16"),
        kind,
        sub: account(username),
        from,
        until,
        reason: "a test".to_owned(),
        policy: 1,
    };
    SignedModeration::author(moderation, ticket, &signer).expect("the moderation is in bounds")
}

/// Messages as the store passes them to an engine at its start.
#[must_use]
pub fn stored(messages: &[AdmittedMessage]) -> StoredIndex {
    let indexed = |message: &AdmittedMessage| {
        let content = message.content();
        Indexed {
            id: message.id(),
            sent_at: content.sent_at,
            ticket: message.ticket().hash(),
            session: content.session,
            seq: content.seq,
            room: content.room.clone(),
            text_bytes: content.body.text.len(),
            held: true,
        }
    };
    let tickets = messages.iter().map(|message| Ticket::clone(message.ticket())).collect();
    StoredIndex { tickets, messages: messages.iter().map(indexed).collect() }
}

/// A presence without addresses.
#[must_use]
pub fn presence(
    realm: &SigningKey,
    peer: &SigningKey,
    username: &str,
    boot: u64,
    n: u64,
    at: u64,
) -> SignedPresence {
    let presence = Presence { boot, n, at, status: HERE.to_owned(), listen: Vec::new() };
    SignedPresence::author(presence, Arc::new(ticket(realm, peer, username)), peer)
}

/// The view of a peer with the key `me` in a new realm, whose wall clock shows realm time.
#[must_use]
pub fn view(realm: &SigningKey, me: &SigningKey) -> AdmissionView {
    AdmissionView {
        own: Arc::new(Own {
            realm: public_key(realm),
            peer: public_key(me),
            boot: 1,
            ticket: Arc::new(ticket(realm, me, "me")),
        }),
        rules: Arc::new(Rules::new(Arc::new(policy(realm)))),
        clock: RealmClock::restored(0, 0),
        links: Arc::default(),
        dialling: Arc::default(),
    }
}

/// The admission of a gate that lets everybody in.
///
/// # Panics
/// If the ticket is not one of the realm that the Hello names.
#[must_use]
#[expect(clippy::expect_used, reason = "test support: a forged ticket is the test's defect")]
pub fn admission(hello: Hello) -> Admission {
    Admission::unjudged(hello).expect("the ticket is of the realm that the Hello names")
}

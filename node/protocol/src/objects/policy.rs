//! The policy: the realm's limits, rooms and sanctions in one numbered document, signed by the realm key.
//!
//! Each document is complete, so a peer needs only the newest. Everything in it is dated and applies to the messages of
//! its time, so that all peers reach the same verdict whenever they look (PROTOCOL.md ).

mod limits;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cose::{self, Envelope, Kind};
use crate::ids::{AccountId, PeerKey, Role};
use crate::limits::{POLICY_BYTES_MAX, POLICY_HEAD_BYTES_MAX};
use crate::time::MINUTE_MS;
use crate::wire::{self, DecodeError};

pub use limits::{DEVICES_MAX_DEFAULT, Limits, Registration};

/// The name of the room that every realm has.
pub const LOBBY: &str = "lobby";

/// The content of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The realm that it applies to.
    pub realm: PeerKey,
    /// `max(previous + 1, realm time in ms)`, so that it grows even after the database was restored.
    pub number: u64,
    /// The realm time of signing, in unix milliseconds.
    pub issued_at: u64,
    /// The realm's display name.
    pub name: String,
    /// The limits, each in force from its date until the next one.
    pub rules: Vec<Limits>,
    /// The rooms, always including the lobby.
    pub rooms: Vec<RoomRules>,
    /// Bans, mutes and revocations.
    pub sanctions: Vec<Sanction>,
    /// The moderations that the operator has confirmed or overturned.
    #[serde(default)]
    pub settled: Vec<Settlement>,
}

/// A room and who may post in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRules {
    /// The name, unique within the realm.
    pub name: String,
    /// What the room is about.
    pub topic: String,
    /// The least role that may post, by date. If empty, everybody may.
    pub post: Vec<PostRule>,
    /// The realm time from which no new messages are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_from: Option<u64>,
}

/// The least role that may post, from a date on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostRule {
    /// The realm time, in unix milliseconds, from which it is in force.
    pub from: u64,
    /// The least role that may post.
    pub role: Role,
}

/// A ban, mute or revocation by the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sanction {
    /// The number, unique within the realm.
    pub id: u64,
    /// Whether it is a ban, a mute or a revocation.
    pub kind: SanctionKind,
    /// The account that it applies to.
    pub sub: AccountId,
    /// The only device that a revocation applies to, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerKey>,
    /// When it starts, realm time in unix milliseconds.
    pub from: u64,
    /// When it ends, or `None` if it lasts until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The reason, in the operator's words.
    pub reason: String,
    /// The name of the operator who made it.
    pub by: String,
}

/// What a sanction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SanctionKind {
    /// The account gets no links, and its messages do not count.
    Ban,
    /// The account keeps its links, but its messages do not count.
    Mute,
    /// Tickets that were issued before `from` are no longer valid.
    #[serde(rename = "cut")]
    Revocation,
}

/// The operator's decision on a moderation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The number of the moderation.
    #[serde(rename = "order", with = "serde_bytes")]
    pub number: [u8; 16],
    /// The decision: `ratified` or `refused`.
    pub verdict: SettlementVerdict,
}

/// How the operator decided on a moderation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettlementVerdict {
    /// Confirmed: a sanction has taken its place.
    Ratified,
    /// Overturned: it counts as if it had never been made.
    Refused,
}

impl Policy {
    /// The limits that apply to what is sent at a realm time: the newest dated at or before the start of its minute, or
    /// else the oldest. So all messages of a minute have the same limits (PROTOCOL.md R-47).
    #[must_use]
    pub fn limits_at(&self, realm_ms: u64) -> Limits {
        let minute = realm_ms - realm_ms % MINUTE_MS;
        let in_force =
            self.rules.iter().filter(|rules| rules.from <= minute).max_by_key(|r| r.from);
        let oldest = || self.rules.iter().min_by_key(|rules| rules.from);
        in_force.or_else(oldest).copied().unwrap_or_else(|| Limits::default_from(0))
    }

    /// The room with this name.
    #[must_use]
    pub fn room(&self, name: &str) -> Option<&RoomRules> {
        self.rooms.iter().find(|room| room.name == name)
    }

    /// The ban in force on an account at a realm time.
    #[must_use]
    pub fn ban_at(&self, account: AccountId, realm_ms: u64) -> Option<&Sanction> {
        self.in_force(SanctionKind::Ban, account, realm_ms)
    }

    /// The mute in force on an account at a realm time.
    #[must_use]
    pub fn mute_at(&self, account: AccountId, realm_ms: u64) -> Option<&Sanction> {
        self.in_force(SanctionKind::Mute, account, realm_ms)
    }

    /// A revocation of the ticket that was issued to this account and device at this time.
    #[must_use]
    pub fn revocation_of(
        &self,
        account: AccountId,
        peer: PeerKey,
        issued_at_ms: u64,
    ) -> Option<&Sanction> {
        self.revocations_of(account, peer, issued_at_ms).next()
    }

    /// A revocation of the ticket that had taken effect at a realm time. Messages from before it stay valid.
    #[must_use]
    pub fn revocation_at(
        &self,
        account: AccountId,
        peer: PeerKey,
        issued_at_ms: u64,
        realm_ms: u64,
    ) -> Option<&Sanction> {
        self.revocations_of(account, peer, issued_at_ms)
            .find(|revocation| revocation.from <= realm_ms)
    }

    fn revocations_of(
        &self,
        account: AccountId,
        peer: PeerKey,
        issued_at_ms: u64,
    ) -> impl Iterator<Item = &Sanction> {
        self.sanctions.iter().filter(move |sanction| {
            sanction.kind == SanctionKind::Revocation
                && sanction.sub == account
                && sanction.peer.is_none_or(|only| only == peer)
                && issued_at_ms < sanction.from
        })
    }

    fn in_force(&self, kind: SanctionKind, account: AccountId, realm_ms: u64) -> Option<&Sanction> {
        self.sanctions.iter().find(|sanction| {
            sanction.kind == kind
                && sanction.sub == account
                && sanction.from <= realm_ms
                && sanction.until.is_none_or(|until| realm_ms < until)
        })
    }
}

impl RoomRules {
    /// The lobby of a new realm.
    #[must_use]
    pub fn lobby() -> Self {
        Self { name: LOBBY.to_owned(), topic: String::new(), post: Vec::new(), archived_from: None }
    }

    /// The least role that may post at a realm time.
    #[must_use]
    pub fn post_role_at(&self, realm_ms: u64) -> Role {
        let rule =
            self.post.iter().filter(|rule| rule.from <= realm_ms).max_by_key(|rule| rule.from);
        rule.map_or(Role::Guest, |rule| rule.role)
    }

    /// Whether the room was archived at a realm time.
    #[must_use]
    pub fn archived_at(&self, realm_ms: u64) -> bool {
        self.archived_from.is_some_and(|from| from <= realm_ms)
    }

    /// Whether this role may post at a realm time.
    #[must_use]
    pub fn may_post(&self, role: Role, realm_ms: u64) -> bool {
        !self.archived_at(realm_ms) && role >= self.post_role_at(realm_ms)
    }
}

/// Why bytes are not a policy of this realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is too long, or not a policy in the canonical encoding.
    #[error("not a policy: {0}")]
    Malformed(#[from] DecodeError),
    /// It is for another realm.
    #[error("for another realm")]
    OtherRealm,
    /// The realm key did not sign it.
    #[error("not signed by the realm")]
    BadSignature,
    /// It is over 256 KiB. Old sanctions have to end first.
    #[error("the policy is larger than {POLICY_BYTES_MAX} bytes")]
    TooLarge,
}

/// A policy that the realm key signed, with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPolicy {
    bytes: Vec<u8>,
    hash: [u8; 32],
    policy: Policy,
}

impl SignedPolicy {
    /// Signs a policy.
    ///
    /// # Errors
    /// [`PolicyError::TooLarge`] if it is too large for peers to accept.
    pub fn sign(policy: Policy, realm_key: &SigningKey) -> Result<Self, PolicyError> {
        let bytes = cose::sign(Kind::Policy, realm_key, &wire::encode(&policy));
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge);
        }
        Ok(Self { hash: Sha256::digest(&bytes).into(), bytes, policy })
    }

    /// Checks that `bytes` are a policy of `realm`.
    ///
    /// # Errors
    /// [`PolicyError`] if they are not; none of the content may be used then.
    pub fn verify(bytes: &[u8], realm: &PeerKey) -> Result<Self, PolicyError> {
        let envelope = Envelope::parse(bytes, POLICY_BYTES_MAX)?;
        if envelope.kind != Some(Kind::Policy) {
            return Err(PolicyError::Malformed(DecodeError::Malformed));
        }
        // Check the signature first: the document is large, and only the realm key may make us decode it.
        envelope.verify(realm).map_err(|_bad| PolicyError::BadSignature)?;
        let policy: Policy = wire::decode(envelope.payload, POLICY_BYTES_MAX)?;
        if policy.realm != *realm {
            return Err(PolicyError::OtherRealm);
        }
        Ok(Self { bytes: bytes.to_vec(), hash: Sha256::digest(bytes).into(), policy })
    }

    /// The exact bytes, as signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content of the policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The rank that decides which of two policies is in force: the larger number, then the larger hash.
    #[must_use]
    pub fn rank(&self) -> (u64, [u8; 32]) {
        (self.policy.number, self.hash)
    }

    /// Signs the head of this policy, which the rendezvous sends on `control`.
    #[must_use]
    pub fn sign_head(&self, realm_key: &SigningKey) -> Vec<u8> {
        let head = PolicyHead {
            realm: self.policy.realm,
            number: self.policy.number,
            sha256: self.hash,
            length: self.bytes.len() as u64,
        };
        cose::sign(Kind::PolicyHead, realm_key, &wire::encode(&head))
    }
}

/// The number and hash of a policy. Only these travel on gossip; each peer then fetches the document once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyHead {
    /// The realm that it applies to.
    pub realm: PeerKey,
    /// The policy's number.
    pub number: u64,
    /// SHA-256 of its exact bytes.
    #[serde(with = "serde_bytes")]
    pub sha256: [u8; 32],
    /// The length of those bytes.
    pub length: u64,
}

impl PolicyHead {
    /// Checks that `bytes` are a policy head of `realm`.
    ///
    /// # Errors
    /// [`PolicyError`] if they are not; none of the content may be used then.
    pub fn verify(bytes: &[u8], realm: &PeerKey) -> Result<Self, PolicyError> {
        let envelope = Envelope::parse(bytes, POLICY_HEAD_BYTES_MAX)?;
        if envelope.kind != Some(Kind::PolicyHead) {
            return Err(PolicyError::Malformed(DecodeError::Malformed));
        }
        let head: Self = wire::decode(envelope.payload, POLICY_HEAD_BYTES_MAX)?;
        if head.realm != *realm {
            return Err(PolicyError::OtherRealm);
        }
        envelope.verify(realm).map_err(|_bad| PolicyError::BadSignature)?;
        Ok(head)
    }
}

/// The number of the next policy, which grows even after a restored backup (PROTOCOL.md R-51).
#[must_use]
pub fn next_number(previous: u64, realm_ms: u64) -> u64 {
    previous.saturating_add(1).max(realm_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::public_key;
    use crate::testing::{self, T0};

    fn policy() -> Policy {
        testing::policy(&testing::key(1))
    }

    #[test]
    fn r50_a_policy_is_bound_to_its_realm() {
        let realm = testing::key(1);
        let signed = SignedPolicy::sign(policy(), &realm).unwrap();
        assert_eq!(
            SignedPolicy::verify(signed.as_bytes(), &public_key(&realm)),
            Ok(signed.clone())
        );
        let other = public_key(&testing::key(2));
        assert_eq!(SignedPolicy::verify(signed.as_bytes(), &other), Err(PolicyError::BadSignature));
        let head = PolicyHead::verify(&signed.sign_head(&realm), &public_key(&realm)).unwrap();
        assert_eq!((head.number, head.sha256), signed.rank());
    }

    #[test]
    fn r51_numbers_only_grow() {
        assert_eq!(next_number(7, 5), 8);
        assert_eq!(next_number(7, 5_000), 5_000);
        assert_eq!(next_number(u64::MAX, 5), u64::MAX);
    }

    #[test]
    fn r52_rules_are_looked_up_by_date() {
        let mut policy = policy();
        policy.rules = vec![
            Limits { max_text_bytes: 10, ..Limits::default_from(T0) },
            Limits { max_text_bytes: 20, ..Limits::default_from(T0 + 100) },
        ];
        let next_minute = (T0 + 100).next_multiple_of(MINUTE_MS);
        assert_eq!(policy.limits_at(T0 - 1).max_text_bytes, 10);
        assert_eq!(policy.limits_at(next_minute - 1).max_text_bytes, 10);
        assert_eq!(policy.limits_at(next_minute).max_text_bytes, 20);
    }

    #[test]
    fn r53_sanctions_start_and_end() {
        let alice = testing::account("alice");
        let peer = public_key(&testing::key(2));
        let mut policy = policy();
        policy.sanctions = vec![
            testing::sanction(SanctionKind::Ban, alice, T0, Some(T0 + 10)),
            testing::sanction(SanctionKind::Revocation, alice, T0 + 5_000, None),
        ];
        assert!(policy.ban_at(alice, T0 - 1).is_none());
        assert!(policy.ban_at(alice, T0).is_some());
        assert!(policy.ban_at(alice, T0 + 10).is_none());
        assert!(policy.ban_at(testing::account("bob"), T0).is_none());
        assert!(policy.revocation_of(alice, peer, T0 + 4_999).is_some());
        assert!(policy.revocation_of(alice, peer, T0 + 5_000).is_none());
        policy.sanctions[1].peer = Some(public_key(&testing::key(3)));
        assert!(policy.revocation_of(alice, peer, T0).is_none());
    }

    #[test]
    fn r54_a_room_can_be_read_only_for_low_roles_and_archived() {
        let mut room = RoomRules::lobby();
        assert!(room.may_post(Role::Guest, T0));
        room.post.push(PostRule { from: T0, role: Role::Moderator });
        assert!(room.may_post(Role::Guest, T0 - 1));
        assert!(!room.may_post(Role::Member, T0));
        assert!(room.may_post(Role::Admin, T0));
        room.archived_from = Some(T0 + 1);
        assert!(!room.may_post(Role::Admin, T0 + 1));
    }
}

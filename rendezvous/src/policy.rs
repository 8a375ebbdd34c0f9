//! The publisher: builds the complete policy document from the rows, numbers it and signs it.
//!
//! Only `serve` signs. A command compares the [`fingerprint`] of the rows with that of the newest signed policy to
//! learn when its change is in force. The modules below hold the acts that change the rows.

pub mod moderations;
pub mod rooms;
pub mod rules;
pub mod sanctions;
pub mod space;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::{
    Limits, Policy, PolicyError, SanctionKind, Settlement, SignedPolicy, next_number,
};
use lanyard_protocol::time::DAY_MS;
use lanyard_protocol::wire;
use sha2::{Digest as _, Sha256};

use crate::clock::timekeeping::{self, Known, Standing};
use crate::store::policies::{self, PolicyRow};
use crate::store::{self, Db, StoreError, meta};
use space::Times;

/// The name of a realm until the operator gives it one.
pub const DEFAULT_NAME: &str = "Lanyard";

/// What the operator is told of a database that holds too much.
const TOO_LARGE: &str = "The policy is too large, so ended sanctions and old revocations are left out: some messages of \
                         the past may be shown again. What is in force stays in force";
/// What the operator is told if even that does not help.
const STAYS: &str = "The policy is too large, so the last one stays in force and no change reaches anybody: lift bans \
                     that are no longer needed";

/// Why there is no new policy.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The clock may be wrong: nothing is signed.
    #[error("nothing is signed: {0}")]
    Clock(Standing),
    /// The document is not a valid policy.
    #[error("the policy cannot be published")]
    Policy(#[source] PolicyError),
}

/// Signs and stores a new policy if the rows have changed since the newest one. Returns the policy in force, and
/// whether it is new. If the rows hold more than a policy can, what is needed least is left out; if that is not enough,
/// the newest policy stays in force.
///
/// # Errors
/// [`PublishError`]; the policy in force stays.
pub fn publish(
    db: Db<'_>,
    realm_key: &SigningKey,
    clock_ms: u64,
) -> Result<(SignedPolicy, bool), PublishError> {
    let realm = public_key(realm_key);
    let Known { standing, realm_ms: now, .. } = timekeeping::look(db, clock_ms)?;
    if !standing.is_right() {
        return Err(PublishError::Clock(standing));
    }
    let fingerprint = fingerprint(db)?;
    let newest = policies::newest(db)?;
    let previous = newest.as_ref().map_or(0, |row| row.number);
    let is_present = newest.as_ref().is_some_and(|row| row.fingerprint == fingerprint);
    let in_force = newest.and_then(|row| SignedPolicy::verify(&row.document, &realm).ok());
    if let Some(signed) = in_force.clone().filter(|_signed| is_present) {
        return Ok((signed, false));
    }
    let (mut policy, times) = (merged(db, now)?, times(db, now)?);
    let left_out = space::trim(&mut policy, times) + space::leave_out(&mut policy, times);
    if left_out > 0 {
        tracing::error!(left_out, "{TOO_LARGE}");
    }
    let number = next_number(previous, now);
    let policy = Policy { realm, number, issued_at: now, ..policy };
    let signed = match (SignedPolicy::sign(policy, realm_key), in_force) {
        (Ok(signed), _) => signed,
        (Err(PolicyError::TooLarge), Some(in_force)) => {
            tracing::error!("{STAYS}");
            return Ok((in_force, false));
        }
        (Err(error), _) => return Err(PublishError::Policy(error)),
    };
    let (number, document) = (signed.policy().number, signed.as_bytes().to_vec());
    policies::insert(db, &PolicyRow { number, document, fingerprint, signed_at: now })?;
    meta::raise_time_mark(db, now)?;
    Ok((signed, true))
}

/// A hash of the rows' content, which does not depend on when or by whom it is signed.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn fingerprint(db: Db<'_>) -> Result<[u8; 32], StoreError> {
    Ok(Sha256::digest(wire::encode(&document(db)?)).into())
}

/// The number of the policy made from the present rows, if it is already signed.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn number_in_force(db: Db<'_>) -> Result<Option<u64>, StoreError> {
    let fingerprint = fingerprint(db)?;
    let newest = policies::newest(db)?;
    Ok(newest.filter(|row| row.fingerprint == fingerprint).map(|row| row.number))
}

/// The policy made from the present rows, without realm, number and date. It may be too large to be signed.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn present(db: Db<'_>, now: u64) -> Result<Policy, StoreError> {
    let mut policy = merged(db, now)?;
    space::trim(&mut policy, times(db, now)?);
    Ok(policy)
}

/// The times by which the space in the policy is judged.
///
/// # Errors
/// [`StoreError`] if the rules cannot be read.
pub fn times(db: Db<'_>, now: u64) -> Result<Times, StoreError> {
    let life_ms = ticket_life_ms(&store::rules::list(db)?);
    Ok(Times { now, tickets_since: now.saturating_sub(life_ms) })
}

/// The longest lifetime that a ticket has ever had.
fn ticket_life_ms(rules: &[Limits]) -> u64 {
    let longest_s = rules.iter().map(|limits| limits.ticket_lifetime_s).max();
    longest_s.unwrap_or(0).saturating_mul(1_000)
}

/// All rows that still judge something.
fn merged(db: Db<'_>, now: u64) -> Result<Policy, StoreError> {
    let mut policy = document(db)?;
    forget(&mut policy, now);
    space::merge(&mut policy);
    Ok(policy)
}

/// All rows as a document, without realm, number and date.
fn document(db: Db<'_>) -> Result<Policy, StoreError> {
    let sanctions = store::sanctions::list(db)?.into_iter().map(|row| row.sanction);
    let settled = store::moderations::list(db)?
        .into_iter()
        .filter_map(|row| row.verdict.map(|verdict| Settlement { number: row.id, verdict }));
    let name = meta::text(db, meta::REALM_NAME)?;
    Ok(Policy {
        realm: PeerKey([0; 32]),
        number: 0,
        issued_at: 0,
        name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        rules: store::rules::list(db)?,
        rooms: store::rooms::list(db)?,
        sanctions: sanctions.collect(),
        settled: settled.collect(),
    })
}

/// Drops what ended longer ago than the retention time, because it no longer affects any stored message.
fn forget(policy: &mut Policy, now: u64) {
    let days = policy.rules.iter().map(|rules| rules.retention_days).max().unwrap_or(0);
    let boundary = now.saturating_sub(days.saturating_mul(DAY_MS));
    let life_ms = ticket_life_ms(&policy.rules);
    policy.sanctions.retain(|sanction| match (sanction.kind, sanction.until) {
        (_, Some(until)) => until >= boundary,
        // The last ticket that a revocation can cover expires one lifetime after it.
        (SanctionKind::Revocation, None) => sanction.from.saturating_add(life_ms) >= boundary,
        (SanctionKind::Ban | SanctionKind::Mute, None) => true,
    });
    let oldest_needed = policy.rules.iter().rposition(|rules| rules.from <= boundary);
    policy.rules.drain(..oldest_needed.unwrap_or(0));
    policy.rooms.retain(|room| room.archived_from.is_none_or(|from| from >= boundary));
    for room in &mut policy.rooms {
        let oldest_needed = room.post.iter().rposition(|rule| rule.from <= boundary);
        room.post.drain(..oldest_needed.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts;
    use crate::names::Username;
    use crate::store::Store;
    use crate::store::accounts::State;
    use lanyard_protocol::ids::Role;
    use lanyard_protocol::time::HOUR_MS;

    const NOW: u64 = 1_800_000_000_123;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path()).unwrap();
        (dir, store)
    }

    fn sign(store: &mut Store, now: u64) -> (SignedPolicy, bool) {
        store.write(|tx| publish(tx, &key(), now)).unwrap()
    }

    #[test]
    fn the_first_policy_has_the_defaults_and_a_lobby() {
        let (_dir, mut store) = store();
        assert_eq!(number_in_force(store.reader()).unwrap(), None);
        let (signed, new) = sign(&mut store, NOW);
        assert!(new);
        let policy = SignedPolicy::verify(signed.as_bytes(), &public_key(&key())).unwrap();
        assert_eq!(policy.policy().number, NOW);
        assert_eq!(policy.policy().rules, [Limits::default_from(0)]);
        assert!(policy.policy().room("lobby").unwrap().may_post(Role::Guest, NOW));
        assert_eq!(number_in_force(store.reader()).unwrap(), Some(NOW));
    }

    #[test]
    fn only_changed_rows_are_signed_again() {
        let (_dir, mut store) = store();
        let (first, _) = sign(&mut store, NOW);
        let (again, new) = sign(&mut store, NOW + 50);
        assert!(!new && again.as_bytes() == first.as_bytes());
        store.write(|tx| rules::set(tx, "per-minute", "7", NOW + 60)).unwrap();
        assert_eq!(number_in_force(store.reader()).unwrap(), None);
        // The clock was set back a little: the number grows all the same.
        let (third, new) = sign(&mut store, NOW - 90_000);
        assert!(new);
        assert_eq!(third.policy().number, NOW + 1);
        assert!(third.policy().issued_at >= NOW);
        assert_eq!(third.policy().limits_at(NOW + 60).per_minute, 7);
    }

    #[test]
    fn a_clock_behind_the_mark_signs_nothing_until_lowered() {
        let (_dir, mut store) = store();
        let (ahead, _) = sign(&mut store, NOW + 2 * HOUR_MS);
        let refused = store.write(|tx| publish(tx, &key(), NOW));
        let standing = Standing::Behind { by_ms: 2 * HOUR_MS };
        assert!(matches!(refused, Err(PublishError::Clock(found)) if found == standing));
        store.write(|tx| timekeeping::lower(tx, NOW)).unwrap();
        let (signed, new) = sign(&mut store, NOW + 1);
        assert!(new, "everybody must hear of it");
        assert_eq!(signed.policy().issued_at, NOW + 1);
        assert!(signed.policy().number > ahead.policy().number);
    }

    #[test]
    fn lowering_the_mark_brings_later_dates_back() {
        let (_dir, mut store) = store();
        let name = Username::parse("alice").unwrap();
        let ahead = NOW + 400 * DAY_MS;
        let id = store
            .write(|tx| accounts::create(tx, &name, None, Role::Member, "phc", ahead))
            .unwrap();
        store.write(|tx| sanctions::mute(tx, "alice", 60_000, "", ahead)).unwrap();
        store.write(|tx| accounts::set_role(tx, "alice", Role::Moderator, ahead)).unwrap();
        store.write(|tx| rules::set(tx, "per-minute", "7", ahead)).unwrap();
        sign(&mut store, ahead);
        store.write(|tx| timekeeping::lower(tx, NOW)).unwrap();
        let (signed, _) = sign(&mut store, NOW + 1);
        let policy = signed.policy();
        assert_eq!(policy.limits_at(NOW).per_minute, 7);
        let [mute] = &policy
            .sanctions
            .iter()
            .filter(|s| s.kind == SanctionKind::Mute)
            .collect::<Vec<_>>()[..]
        else {
            panic!("{policy:?}");
        };
        assert_eq!((mute.from, mute.until), (NOW, Some(NOW + 60_000)), "as long as it was given");
        assert!(
            policy.revocation_of(id, PeerKey([5; 32]), NOW - 1).is_some(),
            "the old role stays revoked"
        );
        assert!(
            policy.revocation_of(id, PeerKey([5; 32]), NOW).is_none(),
            "and the new one gets in"
        );
    }

    #[test]
    fn a_revocation_stays_in_the_policy_while_it_is_needed() {
        let (_dir, mut store) = store();
        let name = Username::parse("alice").unwrap();
        let id =
            store.write(|tx| accounts::create(tx, &name, None, Role::Member, "phc", NOW)).unwrap();
        store.write(|tx| accounts::set_state(tx, "alice", State::Disabled, NOW)).unwrap();
        let (signed, _) = sign(&mut store, NOW);
        let peer = PeerKey([5; 32]);
        assert!(signed.policy().revocation_of(id, peer, NOW).is_some());
        assert!(signed.policy().revocation_of(id, peer, accounts::revoked_from(NOW)).is_none());
        store.write(|tx| rules::set(tx, "per-minute", "7", NOW + 1)).unwrap();
        let (later, _) = sign(&mut store, NOW + 98 * DAY_MS);
        assert!(later.policy().sanctions.is_empty(), "retention and a ticket's life are over");
        assert_eq!(later.policy().rules.len(), 1, "the older rules judge nothing any more");
    }

    #[test]
    fn another_realm_key_signs_a_new_policy() {
        let (_dir, mut store) = store();
        sign(&mut store, NOW);
        let other = SigningKey::from_bytes(&[4; 32]);
        let (signed, new) = store.write(|tx| publish(tx, &other, NOW)).unwrap();
        assert!(new && signed.policy().realm == public_key(&other));
    }
}

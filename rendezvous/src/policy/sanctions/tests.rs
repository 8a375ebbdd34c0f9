//! Bans and mutes against a real store, and what the policy of each moment says.

use lanyard_protocol::ids::Role;
use lanyard_protocol::policy::Policy;
use lanyard_protocol::time::HOUR_MS;

use super::*;
use crate::acts::perform;
use crate::names::Username;
use crate::store::Store;
use crate::store::accounts::State;
use crate::{accounts, policy};

const NOW: u64 = 1_800_000_000_000;
struct Realm {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Realm {
    /// alice is an admin, bob a member.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path()).unwrap();
        let mut realm = Self { _dir: dir, store };
        for (name, role) in [("alice", Role::Admin), ("bob", Role::Member)] {
            let name = Username::parse(name).unwrap();
            realm.act(NOW - 5 * HOUR_MS, |tx, now| {
                accounts::create(tx, &name, None, role, "phc", now).map(|_id| ())
            });
        }
        realm
    }

    fn try_act(
        &mut self,
        now: u64,
        act: impl FnOnce(Db<'_>, u64) -> Result<(), ActError>,
    ) -> Result<(), ActError> {
        perform(&mut self.store, now, act)
    }

    fn act(&mut self, now: u64, act: impl FnOnce(Db<'_>, u64) -> Result<(), ActError>) {
        self.try_act(now, act).unwrap();
    }

    fn policy(&mut self, now: u64) -> Policy {
        let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let sign = |tx: Db<'_>| policy::publish(tx, &key, crate::store::meta::realm_now(tx, now)?);
        let (signed, _) = self.store.write(sign).unwrap();
        signed.policy().clone()
    }

    /// Whether bob is banned by today's policy at each of these times.
    fn banned_at(&mut self, times: &[u64]) -> Vec<bool> {
        let bob = find(self.store.reader(), "bob").unwrap().id;
        let policy = self.policy(NOW);
        times.iter().map(|at| policy.ban_at(bob, *at).is_some()).collect()
    }

    fn audit(&self) -> usize {
        audit::last(self.store.reader(), u64::MAX).unwrap().len()
    }
}

#[test]
fn r57_lifting_a_ban_undoes_its_since() {
    let mut realm = Realm::new();
    let (before, during, after) = (NOW - HOUR_MS, NOW + HOUR_MS, NOW + 3 * HOUR_MS);
    realm.act(NOW, |tx, now| ban(tx, "bob", 2 * HOUR_MS, "spam", now));
    assert_eq!(
        realm.banned_at(&[NOW - 3 * HOUR_MS, before, during, after]),
        [false, true, true, true]
    );
    realm.act(NOW + 2 * HOUR_MS, |tx, now| lift(tx, "bob", Lifting::Ban, now));
    let lifted =
        realm.banned_at(&[NOW - 3 * HOUR_MS, before, NOW, during, NOW + 2 * HOUR_MS, after]);
    assert_eq!(lifted, [false, false, true, true, false, false]);
    realm.act(NOW + 3 * HOUR_MS, |tx, now| ban(tx, "bob", 0, "again", now));
    assert_eq!(
        realm.banned_at(&[before, during, NOW + 2 * HOUR_MS, after]),
        [false, true, false, true]
    );
}

#[test]
fn a_second_ban_keeps_the_earlier_start() {
    let mut realm = Realm::new();
    realm.act(NOW, |tx, now| ban(tx, "bob", 0, "spam", now));
    let entries = realm.audit();
    realm.act(NOW + HOUR_MS, |tx, now| ban(tx, "bob", 0, "", now));
    assert_eq!(realm.audit(), entries, "it changed nothing");
    realm.act(NOW + HOUR_MS, |tx, now| ban(tx, "bob", 2 * HOUR_MS, "", now));
    assert_eq!(realm.banned_at(&[NOW - HOUR_MS, NOW - HOUR_MS - 1]), [true, false]);
    realm.act(NOW + HOUR_MS, |tx, now| ban(tx, "bob", HOUR_MS / 2, "worse", now));
    assert_eq!(realm.banned_at(&[NOW - HOUR_MS]), [true]);
    let policy = realm.policy(NOW + HOUR_MS);
    assert_eq!(policy.sanctions.len(), 1);
    assert_eq!(policy.sanctions[0].reason, "worse");
}

#[test]
fn a_mute_ends_by_itself_or_when_lifted() {
    let mut realm = Realm::new();
    let bob = find(realm.store.reader(), "bob").unwrap().id;
    realm.act(NOW, |tx, now| mute(tx, "bob", HOUR_MS, "loud", now));
    let policy = realm.policy(NOW);
    let times = [NOW - 1, NOW, NOW + HOUR_MS - 1, NOW + HOUR_MS];
    let muted: Vec<bool> = times.iter().map(|at| policy.mute_at(bob, *at).is_some()).collect();
    assert_eq!(muted, [false, true, true, false]);
    realm.act(NOW + 1_000, |tx, now| mute(tx, "bob", 60_000, "", now));
    let policy = realm.policy(NOW + 1_000);
    assert!(
        policy.mute_at(bob, NOW + 60_999).is_some() && policy.mute_at(bob, NOW + 61_000).is_none()
    );
    assert_eq!((policy.sanctions.len(), policy.sanctions[0].reason.as_str()), (1, "loud"));
    realm.act(NOW + 2_000, |tx, now| lift(tx, "bob", Lifting::Mute, now));
    let policy = realm.policy(NOW + 2_000);
    assert!(
        policy.mute_at(bob, NOW + 1_999).is_some() && policy.mute_at(bob, NOW + 2_000).is_none()
    );
    let error = realm.try_act(NOW + 3_000, |tx, now| lift(tx, "bob", Lifting::Mute, now));
    assert_eq!(error.unwrap_err().to_string(), "\"bob\" is not muted");
}

#[test]
fn the_last_admin_who_can_act_cannot_be_banned() {
    let mut realm = Realm::new();
    let error = realm.try_act(NOW, |tx, now| ban(tx, "alice", 0, "", now)).unwrap_err();
    assert_eq!(error.code(), Some("would-lock-out"));
    realm.act(NOW, |tx, now| accounts::set_role(tx, "bob", Role::Admin, now));
    realm.act(NOW, |tx, now| ban(tx, "bob", 0, "", now));
    for error in [
        realm.try_act(NOW, |tx, now| ban(tx, "alice", 0, "", now)),
        realm.try_act(NOW, |tx, now| accounts::set_state(tx, "alice", State::Disabled, now)),
        realm.try_act(NOW, |tx, now| accounts::set_role(tx, "alice", Role::Guest, now)),
    ] {
        assert_eq!(error.unwrap_err().code(), Some("would-lock-out"));
    }
    // A realm run by the operator alone needs no admin.
    realm.act(NOW, |tx, now| accounts::set_role(tx, "bob", Role::Member, now));
}

#[test]
fn wrong_uses_are_refused_and_leave_nothing() {
    let mut realm = Realm::new();
    let entries = realm.audit();
    for (error, code) in [
        (realm.try_act(NOW, |tx, now| ban(tx, "nobody", 0, "", now)), "not-found"),
        (realm.try_act(NOW, |tx, now| ban(tx, "bob", 0, "a\nb", now)), "bad-field"),
        (realm.try_act(NOW, |tx, now| mute(tx, "nobody", HOUR_MS, "", now)), "not-found"),
        (realm.try_act(NOW, |tx, now| lift(tx, "bob", Lifting::Ban, now)), "not-found"),
        (realm.try_act(NOW, |tx, now| lift(tx, "nobody", Lifting::Mute, now)), "not-found"),
    ] {
        assert_eq!(error.unwrap_err().code(), Some(code));
    }
    assert_eq!(realm.audit(), entries);
    assert!(realm.policy(NOW).sanctions.is_empty());
    for bad in ["", "0s", "2", "2w", "-1h", "367d", "9999999999999999d"] {
        assert_eq!(parse_duration_ms("--for", bad).unwrap_err().code(), Some("bad-field"), "{bad}");
    }
    assert_eq!(parse_duration_ms("--for", "90s").unwrap(), 90_000);
}

#[test]
fn a_clock_set_back_neither_hides_nor_outlives_a_ban() {
    let mut realm = Realm::new();
    realm.act(NOW, |tx, now| ban(tx, "bob", 0, "", now));
    realm.act(NOW - 60_000, |tx, now| lift(tx, "bob", Lifting::Ban, now));
    assert_eq!(realm.banned_at(&[NOW - 60_000, NOW, NOW + 1]), [false, false, false]);
}

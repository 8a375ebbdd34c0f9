//! What fills the policy, who is stopped when, and what a database that is too large still publishes.

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::Role;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::{SettlementVerdict, SignedPolicy};
use lanyard_protocol::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::accounts;
use crate::acts::{ActError, perform};
use crate::names::Username;
use crate::policy::{self, moderations, rooms, rules, sanctions};
use crate::store::moderations::ModerationRow;
use crate::store::sessions::{self, NewSession};
use crate::store::{Db, Store, devices, sanctions as rows};

const NOW: u64 = 1_800_000_000_000;
const PHONE: PeerKey = PeerKey([8; 32]);

struct Realm {
    _dir: tempfile::TempDir,
    store: Store,
    alice: AccountId,
    bob: AccountId,
}

impl Realm {
    /// alice and bob are members.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let [alice, bob] = ["alice", "bob"].map(|name| {
            let name = Username::parse(name).unwrap();
            let add = |tx: Db<'_>| accounts::create(tx, &name, None, Role::Member, "phc", NOW);
            store.write(add).unwrap()
        });
        Self { _dir: dir, store, alice, bob }
    }

    fn act(
        &mut self,
        act: impl FnOnce(Db<'_>, u64) -> Result<(), ActError>,
    ) -> Result<(), ActError> {
        perform(&mut self.store, NOW, act)
    }

    fn ban(&mut self, name: &str) -> Result<(), ActError> {
        self.act(|tx, now| sanctions::ban(tx, name, 0, &"x".repeat(200), now))
    }

    fn is_full(refused: Result<(), ActError>) -> bool {
        refused.is_err_and(|error| error.code() == Some("policy-full"))
    }

    /// Writes rows as they are, as an earlier release or a restored backup may have done.
    fn fill(&mut self, count: u64, sanction: impl Fn(u64) -> Sanction) {
        let insert = |n: u64, tx: Db<'_>| rows::insert(tx, &sanction(n), NOW);
        self.store.write(|tx| (0..count).try_for_each(|n| insert(n, tx))).unwrap();
    }

    fn publish(&mut self) -> Policy {
        let key = SigningKey::from_bytes(&[3; 32]);
        let (signed, _new) = self.store.write(|tx| policy::publish(tx, &key, NOW)).unwrap();
        assert!(signed.as_bytes().len() <= POLICY_BYTES_MAX);
        SignedPolicy::verify(signed.as_bytes(), &signed.policy().realm).unwrap().policy().clone()
    }
}

fn sanction(kind: SanctionKind, sub: AccountId, from: u64, until: Option<u64>) -> Sanction {
    let (reason, by) = ("x".repeat(200), "operator".to_owned());
    Sanction { id: 0, kind, sub, peer: None, from, until, reason, by }
}

/// alice's revocation of a device, `n` half hours ago.
fn own(sub: AccountId, peer: PeerKey, n: u64) -> Sanction {
    let reason = "the device was logged out".to_owned();
    let revocation = sanction(SanctionKind::Revocation, sub, NOW - n * HOUR_MS / 2, None);
    Sanction { peer: Some(peer), reason, by: "alice".to_owned(), ..revocation }
}

/// The key of the `n`th device.
fn device(n: u64) -> PeerKey {
    let mut peer = PeerKey([0; 32]);
    peer.0[..8].copy_from_slice(&n.to_be_bytes());
    peer
}

#[test]
fn only_what_still_fits_is_accepted_and_it_is_in_force() {
    let mut realm = Realm::new();
    let bob = realm.bob;
    // Until the first sign-in, new limits replace the old ones.
    let sign_in = |tx: Db<'_>| {
        let device = devices::sign_in(tx, bob, PHONE, "", NOW, NOW)?;
        let address = String::new();
        let (account, since, expires_at) = (bob, NOW, NOW);
        sessions::put(tx, &NewSession { account, device, address, since, expires_at })
    };
    realm.store.write(sign_in).unwrap();
    let mut accepted = 0;
    // Each act adds little, which must not let it pass a limit.
    let refused = loop {
        realm.fill(200, |_n| sanction(SanctionKind::Mute, bob, NOW - 1, Some(NOW)));
        let mute = realm.act(|tx, now| sanctions::mute(tx, "alice", 60_000, "", now));
        let Ok(()) = mute else { break mute };
        realm.publish();
        realm.act(|tx, now| sanctions::lift(tx, "alice", sanctions::Lifting::Mute, now)).unwrap();
        accepted += 1;
        assert!(accepted < 50, "there is no limit");
    };
    assert!(Realm::is_full(refused));
    assert!(Realm::is_full(realm.act(|tx, now| rooms::add(tx, "news", "", now))));
    assert!(Realm::is_full(realm.act(|tx, now| rules::set(tx, "per-minute", "7", now))));
    realm.ban("alice").unwrap();
    assert!(realm.publish().ban_at(realm.alice, NOW).is_some(), "bans have a reserve");
}

#[test]
fn a_ban_is_in_force_or_refused_and_lifting_always_works() {
    let mut realm = Realm::new();
    let bob = realm.bob;
    realm.act(|tx, now| sanctions::ban(tx, "alice", 0, "spam", now)).unwrap();
    realm.publish();
    let mut banned = 0;
    let refused = loop {
        realm.fill(10, |_n| sanction(SanctionKind::Ban, bob, NOW - 1, None));
        let name = format!("m{banned}");
        let add = |tx: Db<'_>| {
            let name = Username::parse(&name).unwrap();
            accounts::create(tx, &name, None, Role::Member, "phc", NOW)
        };
        let account = realm.store.write(add).unwrap();
        // It is short, as the smallest lift is.
        let ban = realm.act(|tx, now| sanctions::ban(tx, &name, 0, "", now));
        let Ok(()) = ban else { break ban };
        assert!(realm.publish().ban_at(account, NOW).is_some());
        banned += 1;
        assert!(banned < 200, "there is no limit");
    };
    assert!(Realm::is_full(refused));
    realm.act(|tx, now| sanctions::lift(tx, "alice", sanctions::Lifting::Ban, now)).unwrap();
}

#[test]
fn a_database_that_is_too_large_publishes_what_is_needed_most() {
    let mut realm = Realm::new();
    let (alice, bob) = (realm.alice, realm.bob);
    // One device again and again, and then as many devices.
    realm.fill(2_000, |n| own(alice, PHONE, 1_999 - n));
    realm.fill(2_000, |n| own(alice, device(n), 1_999 - n));
    realm.fill(1_000, |n| sanction(SanctionKind::Mute, bob, NOW - n - 1, Some(NOW - n)));
    realm.fill(1, |_n| sanction(SanctionKind::Mute, bob, NOW, None));
    let policy = realm.publish();
    assert!(policy.mute_at(bob, NOW).is_some(), "what is in force stays");
    let ended = NOW - 7 * DAY_MS;
    assert!(policy.revocation_of(alice, PHONE, ended).is_some(), "no ticket is let in again");
    for n in 0..2_000 {
        let revocation = own(alice, device(n), 1_999 - n);
        let is_revoked = policy.revocation_of(alice, device(n), revocation.from - 1).is_some();
        assert!(is_revoked || revocation.from <= ended, "device {n}");
    }
    realm.ban("alice").unwrap();
    assert!(realm.publish().ban_at(alice, NOW).is_some());
}

#[test]
fn settled_moderations_leave_space_for_everything_else() {
    let mut realm = Realm::new();
    let bob = realm.bob;
    let moderation = |n: u64| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let (kind, from, until) = (ModerationKind::Mute, NOW, NOW + HOUR_MS);
        let (reason, by) = (String::new(), "mona".to_owned());
        ModerationRow { id, kind, account: bob, from, until, reason, by, verdict: None }
    };
    let settle_all = |tx: Db<'_>| {
        (0..2_200).try_for_each(|n| {
            let row = moderation(n);
            crate::store::moderations::insert(tx, &row, NOW)?;
            if n < 2_000 {
                let verdict = SettlementVerdict::Refused;
                crate::store::moderations::settle(tx, row.id, verdict, NOW)?;
            }
            Ok::<_, crate::store::StoreError>(())
        })
    };
    realm.store.write(settle_all).unwrap();
    let id = hex::encode(moderation(2_100).id);
    let verdict = SettlementVerdict::Refused;
    assert!(Realm::is_full(realm.act(|tx, now| moderations::settle(tx, &id, verdict, now))));
    realm.act(|tx, now| rooms::add(tx, "news", "", now)).unwrap();
}

#[test]
fn merged_revocations_judge_every_message_as_before() {
    const TIMES: std::ops::Range<u64> = 0..5;
    let (account, peers) = (AccountId([1; 16]), [PHONE, PeerKey([9; 32])]);
    let whose = [None, Some(peers[0]), Some(peers[1])];
    let all: Vec<Sanction> = (1..=3)
        .flat_map(|from| whose.map(|peer| (from, peer)))
        .map(|(from, peer)| Sanction {
            peer,
            ..sanction(SanctionKind::Revocation, account, from, None)
        })
        .collect();
    let base = Realm::new().publish();
    for chosen in 0_u32..1 << all.len() {
        let is_chosen = |n: &usize| chosen & (1 << n) != 0;
        // Each one twice, with ids of their own.
        let twice = (0..all.len()).filter(is_chosen).flat_map(|n| [&all[n]; 2]);
        let sanctions = twice.zip(1..).map(|(one, id)| Sanction { id, ..one.clone() }).collect();
        let before = Policy { sanctions, ..base.clone() };
        let mut merged = before.clone();
        merge(&mut merged);
        assert!(merged.sanctions.len() * 2 <= before.sanctions.len());
        for (issued, sent, peer) in TIMES
            .flat_map(|issued| TIMES.map(move |sent| (issued, sent)))
            .flat_map(|(issued, sent)| peers.map(|peer| (issued, sent, peer)))
        {
            let is_cut = |policy: &Policy| {
                let at = policy.revocation_at(account, peer, issued, sent).is_some();
                (at, policy.revocation_of(account, peer, issued).is_some())
            };
            assert_eq!(is_cut(&merged), is_cut(&before), "{before:?}");
        }
    }
}

//! Incoming moderations, and the operator's verdicts on them.

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::{AccountId, Role};
use lanyard_protocol::policy::{Policy, Settlement};
use lanyard_protocol::time::HOUR_MS;

use super::*;
use crate::accounts as acts;
use crate::acts::perform;
use crate::names::Username;
use crate::policy::{self, sanctions as sanctioning};
use crate::store::Store;

const NOW: u64 = 1_800_000_000_000;
struct Realm {
    _dir: tempfile::TempDir,
    store: Store,
    bob: AccountId,
}

impl Realm {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(dir.path()).unwrap();
        let name = Username::parse("bob").unwrap();
        let bob = perform(&mut store, NOW - HOUR_MS, |tx, now| {
            acts::create(tx, &name, None, Role::Member, "phc", now)
        });
        Self { _dir: dir, store, bob: bob.unwrap() }
    }

    /// Mona's moderation of bob.
    fn row(&self, number: u8, kind: ModerationKind) -> ModerationRow {
        ModerationRow {
            id: [number; 16],
            kind,
            account: self.bob,
            from: NOW,
            until: NOW + HOUR_MS,
            reason: "loud".to_owned(),
            by: "mona".to_owned(),
            verdict: None,
        }
    }

    /// Registers a moderation and returns its id.
    fn moderation(&mut self, number: u8, kind: ModerationKind) -> String {
        let row = self.row(number, kind);
        self.store.write(|tx| moderations::insert(tx, &row, NOW)).unwrap();
        hex::encode(row.id)
    }

    fn settle(&mut self, id: &str, verdict: SettlementVerdict) -> Result<(), ActError> {
        perform(&mut self.store, NOW + 1_000, |tx, now| settle(tx, id, verdict, now))
    }

    fn policy(&mut self) -> Policy {
        let key = SigningKey::from_bytes(&[3; 32]);
        let sign = |tx: Db<'_>| policy::publish(tx, &key, meta::realm_now(tx, NOW)?);
        let (signed, _) = self.store.write(sign).unwrap();
        signed.policy().clone()
    }
}

#[test]
fn r50_a_confirmed_mute_becomes_a_sanction() {
    let mut realm = Realm::new();
    let id = realm.moderation(7, ModerationKind::Mute);
    assert!(realm.policy().settled.is_empty());
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    let policy = realm.policy();
    let verdict = SettlementVerdict::Ratified;
    assert_eq!(policy.settled, [Settlement { number: [7; 16], verdict }]);
    assert_eq!(policy.sanctions.len(), 1, "once");
    let mute = policy.mute_at(realm.bob, NOW).unwrap();
    assert_eq!((mute.until, mute.by.as_str()), (Some(NOW + HOUR_MS), "mona"));
    let error = realm.settle(&id, SettlementVerdict::Refused).unwrap_err();
    assert_eq!(error.code(), Some("exists"));
}

#[test]
fn r50_an_overturned_ban_leaves_only_its_settlement() {
    let mut realm = Realm::new();
    let id = realm.moderation(7, ModerationKind::Ban);
    realm.settle(&id, SettlementVerdict::Refused).unwrap();
    let policy = realm.policy();
    assert_eq!((policy.sanctions.len(), policy.settled.len()), (0, 1));
}

#[test]
fn a_confirmed_lift_ends_what_is_in_force() {
    let mut realm = Realm::new();
    let ban = |tx: Db<'_>, now| sanctioning::ban(tx, "bob", 0, "", now);
    perform(&mut realm.store, NOW, ban).unwrap();
    let id = realm.moderation(7, ModerationKind::Lift);
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    let (bob, policy) = (realm.bob, realm.policy());
    assert!(policy.ban_at(bob, NOW).is_some() && policy.ban_at(bob, NOW + 1_000).is_none());
}

#[test]
fn an_unknown_moderation_cannot_be_settled() {
    let mut realm = Realm::new();
    for id in ["", "07", &"0".repeat(32)] {
        let error = realm.settle(id, SettlementVerdict::Refused).unwrap_err();
        assert_eq!(error.code(), Some("not-found"), "{id:?}");
    }
}

#[test]
fn moderations_are_forgotten_after_the_retention_time() {
    let mut realm = Realm::new();
    let (old, new) =
        (realm.moderation(7, ModerationKind::Ban), realm.moderation(8, ModerationKind::Ban));
    realm.settle(&old, SettlementVerdict::Refused).unwrap();
    let late = |tx: Db<'_>, now| settle(tx, &new, SettlementVerdict::Refused, now);
    perform(&mut realm.store, NOW + 91 * DAY_MS, late).unwrap();
    assert!(realm.policy().settled.is_empty());
}

impl Realm {
    /// Mona's ban of bob, as it comes from the mesh.
    fn heard(&self, number: u8) -> ReceivedModeration {
        let row = self.row(number, ModerationKind::Ban);
        ReceivedModeration { row, role: Role::Moderator }
    }

    fn receive(&mut self, moderation: &ReceivedModeration) -> Received {
        self.store.write(|tx| receive(tx, moderation.clone(), NOW)).unwrap()
    }

    fn moderations(&self) -> Vec<ModerationRow> {
        moderations::list(self.store.reader()).unwrap()
    }
}

#[test]
fn a_moderation_that_is_heard_is_registered_once() {
    let mut realm = Realm::new();
    let moderation = realm.heard(7);
    assert_eq!(realm.receive(&moderation), Received::New);
    assert_eq!(realm.receive(&moderation), Received::Known);
    assert!(realm.policy().settled.is_empty());
    let id = hex::encode(moderation.row.id);
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    assert_eq!(realm.receive(&moderation), Received::Known, "settled for good");
    let policy = realm.policy();
    let ban = policy.ban_at(realm.bob, NOW).unwrap();
    assert_eq!((ban.reason.as_str(), ban.by.as_str()), ("loud", "mona"));
    assert_eq!(
        policy.settled,
        [Settlement { number: [7; 16], verdict: SettlementVerdict::Ratified }]
    );
    let log: Vec<_> = audit::last(realm.store.reader(), 10).unwrap();
    let log: Vec<_> = log.iter().map(|row| (row.who.as_str(), row.what.as_str())).collect();
    assert_eq!(
        log,
        [("operator", "user-add"), ("mona", "order-ban"), ("operator", "order-ratify")]
    );
}

#[test]
fn what_cannot_belong_to_this_realm_is_not_registered() {
    let mut realm = Realm::new();
    let good = realm.heard(7).row;
    for (role, row) in [
        (Role::Member, good.clone()),
        (Role::Authority, good.clone()),
        (Role::Moderator, ModerationRow { until: NOW, ..good.clone() }),
        (Role::Moderator, ModerationRow { until: NOW + DAY_MS + 1, ..good.clone() }),
        (Role::Moderator, ModerationRow { from: NOW + 2, until: NOW + 1, ..good.clone() }),
        (Role::Moderator, ModerationRow { account: AccountId([0; 16]), ..good.clone() }),
        (Role::Moderator, ModerationRow { from: 1, until: 2, ..good.clone() }),
    ] {
        let bad = ReceivedModeration { row, role };
        assert!(matches!(realm.receive(&bad), Received::Ignored(_)), "{bad:?}");
    }
    assert!(realm.moderations().is_empty());
    assert_eq!(audit::last(realm.store.reader(), 10).unwrap().len(), 1);
    let row = ModerationRow { until: NOW + DAY_MS, ..good };
    let longest = ReceivedModeration { row, role: Role::Admin };
    assert_eq!(realm.receive(&longest), Received::New);
}

#[test]
fn the_reason_hides_nothing_and_is_short() {
    let mut realm = Realm::new();
    let reason = format!("a\u{202e}b\u{1b}[2Jc\n{}", "é".repeat(200));
    let row = ModerationRow { reason, ..realm.heard(7).row };
    realm.receive(&ReceivedModeration { row, role: Role::Moderator });
    let kept = realm.moderations().remove(0).reason;
    assert!(kept.starts_with("ab[2Jcé") && kept.len() <= WORDS_BYTES_MAX, "{kept}");
    realm.settle(&hex::encode([7; 16]), SettlementVerdict::Ratified).unwrap();
    assert_eq!(realm.policy().sanctions[0].reason, kept);
}

#[test]
fn open_moderations_are_bounded_and_settled_ones_stay() {
    let mut realm = Realm::new();
    let settled = realm.heard(7);
    realm.receive(&settled);
    realm.settle(&hex::encode(settled.row.id), SettlementVerdict::Refused).unwrap();
    let row = realm.heard(0).row;
    let id = |n: u64| {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        id
    };
    let heard = |n: u64| ReceivedModeration {
        row: ModerationRow { id: id(n), until: NOW + 1 + n, ..row.clone() },
        role: Role::Moderator,
    };
    assert_eq!(realm.receive(&heard(0)), Received::New);
    let row = realm.moderations().into_iter().find(|row| row.id == id(0)).unwrap();
    let fill = |tx: Db<'_>| {
        (1..OPEN_MAX).try_for_each(|n| {
            let row = ModerationRow { id: id(n), until: NOW + 1 + n, ..row.clone() };
            moderations::insert(tx, &row, NOW).map(|_is_new| ())
        })
    };
    realm.store.write(fill).unwrap();
    for n in OPEN_MAX..OPEN_MAX + 6 {
        assert_eq!(realm.receive(&heard(n)), Received::New);
    }
    let left = realm.moderations();
    let open: Vec<u64> =
        left.iter().filter(|row| row.verdict.is_none()).map(|row| row.until).collect();
    assert_eq!(open.len() as u64, OPEN_MAX);
    assert!(open.contains(&(NOW + 6 + OPEN_MAX)) && !open.contains(&(NOW + 6)));
    assert!(left.iter().any(|row| row.id == settled.row.id));
}

#[test]
fn confirming_a_ban_cannot_lock_the_realm_out() {
    let mut realm = Realm::new();
    realm.store.write(|tx| acts::set_role(tx, "bob", Role::Admin, NOW)).unwrap();
    let moderation = realm.heard(7);
    realm.receive(&moderation);
    let (id, before) = (hex::encode(moderation.row.id), realm.policy());
    let error = realm.settle(&id, SettlementVerdict::Ratified).unwrap_err();
    assert_eq!(error.code(), Some("would-lock-out"));
    assert_eq!(realm.policy(), before);
    realm.settle(&id, SettlementVerdict::Refused).unwrap();
}

#[tokio::test]
async fn what_the_authority_peer_hears_is_registered() {
    use crate::authority::moderations::received;
    use crate::store::thread::StoreHandle;

    let realm = Realm::new();
    let moderation = realm.heard(7);
    let (store, _thread) = StoreHandle::start(realm.store).unwrap();
    assert_eq!(received(&store, moderation.clone(), NOW).await.unwrap(), Received::New);
    assert_eq!(received(&store, moderation, NOW).await.unwrap(), Received::Known);
    let rows = store.run(|store| moderations::list(store.reader())).await.unwrap();
    assert_eq!(rows.len(), 1);
}

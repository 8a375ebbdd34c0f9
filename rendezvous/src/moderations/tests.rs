//! Moderations that come in, and what the operator makes of them.

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::{AccountId, Role};
use lanyard_protocol::policy::{Policy, Settlement};

use super::*;
use crate::acts::perform;
use crate::names::Username;
use crate::store::Store;
use crate::{accounts as acts, policy, sanctions as sanctioning};

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

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
        let bob = perform(&mut store, NOW - HOUR, |tx, now| {
            acts::create(tx, &name, None, Role::Member, "phc", now)
        });
        Self { _dir: dir, store, bob: bob.unwrap() }
    }

    fn moderation(&mut self, number: u8, kind: ModerationKind) -> String {
        let (id, account) = ([number; 16], self.bob);
        let row = ModerationRow {
            id,
            kind,
            account,
            from: NOW,
            until: NOW + HOUR,
            reason: "loud".to_owned(),
            by: "mod".to_owned(),
            verdict: None,
        };
        self.store.write(|tx| moderations::insert(tx, &row, NOW)).unwrap();
        hex::encode(id)
    }

    fn settle(&mut self, id: &str, verdict: SettlementVerdict) -> Result<(), ActError> {
        perform(&mut self.store, NOW + 1_000, |tx, now| settle(tx, id, verdict, now))
    }

    fn policy(&mut self) -> Policy {
        let key = SigningKey::from_bytes(&[3; 32]);
        let sign =
            |tx: &rusqlite::Transaction<'_>| policy::publish(tx, &key, meta::realm_now(tx, NOW)?);
        let (signed, _) = self.store.write(sign).unwrap();
        signed.policy().clone()
    }
}

#[test]
fn r50_a_ratified_order_becomes_a_sanction_and_is_settled() {
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
    assert_eq!((mute.until, mute.by.as_str()), (Some(NOW + HOUR), "mod"));
    let error = realm.settle(&id, SettlementVerdict::Refused).unwrap_err();
    assert_eq!(error.code(), Some("exists"));
}

#[test]
fn r50_a_refused_order_leaves_nothing_but_its_settlement() {
    let mut realm = Realm::new();
    let id = realm.moderation(7, ModerationKind::Ban);
    realm.settle(&id, SettlementVerdict::Refused).unwrap();
    let policy = realm.policy();
    assert_eq!((policy.sanctions.len(), policy.settled.len()), (0, 1));
}

#[test]
fn a_ratified_lift_ends_what_is_in_force() {
    let mut realm = Realm::new();
    let ban = |tx: &Connection, now| sanctioning::ban(tx, "bob", 0, "", now);
    perform(&mut realm.store, NOW, ban).unwrap();
    let id = realm.moderation(7, ModerationKind::Lift);
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    let (bob, policy) = (realm.bob, realm.policy());
    assert!(policy.ban_at(bob, NOW).is_some() && policy.ban_at(bob, NOW + 1_000).is_none());
}

#[test]
fn an_order_that_is_not_there_is_refused() {
    let mut realm = Realm::new();
    for id in ["", "07", &"0".repeat(32)] {
        let error = realm.settle(id, SettlementVerdict::Refused).unwrap_err();
        assert_eq!(error.code(), Some("not-found"), "{id:?}");
    }
}

#[test]
fn orders_are_forgotten_after_the_retention_time() {
    let mut realm = Realm::new();
    let (old, new) =
        (realm.moderation(7, ModerationKind::Ban), realm.moderation(8, ModerationKind::Ban));
    realm.settle(&old, SettlementVerdict::Refused).unwrap();
    let late = |tx: &Connection, now| settle(tx, &new, SettlementVerdict::Refused, now);
    perform(&mut realm.store, NOW + 91 * DAY_MS, late).unwrap();
    assert!(realm.policy().settled.is_empty());
}

impl Realm {
    fn heard(&self, number: u8) -> ReceivedModeration {
        ReceivedModeration {
            id: [number; 16],
            kind: ModerationKind::Ban,
            account: self.bob,
            from: NOW,
            until: NOW + HOUR,
            reason: "loud".to_owned(),
            by: "mod".to_owned(),
            role: Role::Moderator,
        }
    }

    fn receive(&mut self, moderation: &ReceivedModeration) -> Received {
        self.store.write(|tx| receive(tx, moderation, NOW)).unwrap()
    }

    fn moderations(&self) -> Vec<ModerationRow> {
        moderations::list(self.store.reader()).unwrap()
    }
}

#[test]
fn an_order_that_is_heard_waits_for_the_operator_once() {
    let mut realm = Realm::new();
    let moderation = realm.heard(7);
    assert_eq!(realm.receive(&moderation), Received::New);
    assert_eq!(realm.receive(&moderation), Received::Known);
    assert!(realm.policy().settled.is_empty());
    let id = hex::encode(moderation.id);
    realm.settle(&id, SettlementVerdict::Ratified).unwrap();
    assert_eq!(realm.receive(&moderation), Received::Known, "settled for good");
    let policy = realm.policy();
    let ban = policy.ban_at(realm.bob, NOW).unwrap();
    assert_eq!((ban.reason.as_str(), ban.by.as_str()), ("loud", "mod"));
    assert_eq!(
        policy.settled,
        [Settlement { number: [7; 16], verdict: SettlementVerdict::Ratified }]
    );
    let log: Vec<_> = audit::last(realm.store.reader(), 10).unwrap();
    let log: Vec<_> = log.iter().map(|row| (row.who.as_str(), row.what.as_str())).collect();
    assert_eq!(log, [("operator", "user-add"), ("mod", "order-ban"), ("operator", "order-ratify")]);
}

#[test]
fn what_is_no_order_of_this_realm_is_not_kept() {
    let mut realm = Realm::new();
    let good = realm.heard(7);
    for bad in [
        ReceivedModeration { role: Role::Member, ..good.clone() },
        ReceivedModeration { role: Role::Authority, ..good.clone() },
        ReceivedModeration { until: NOW, ..good.clone() },
        ReceivedModeration { until: NOW + DAY_MS + 1, ..good.clone() },
        ReceivedModeration { from: NOW + 2, until: NOW + 1, ..good.clone() },
        ReceivedModeration { account: AccountId([0; 16]), ..good.clone() },
        ReceivedModeration { from: 1, until: 2, ..good.clone() },
    ] {
        assert!(matches!(realm.receive(&bad), Received::Ignored(_)), "{bad:?}");
    }
    assert!(realm.moderations().is_empty());
    assert_eq!(audit::last(realm.store.reader(), 10).unwrap().len(), 1);
    let longest = ReceivedModeration { until: NOW + DAY_MS, role: Role::Admin, ..good };
    assert_eq!(realm.receive(&longest), Received::New);
}

#[test]
fn the_words_of_an_order_hide_nothing_and_are_short() {
    let mut realm = Realm::new();
    let reason = format!("a\u{202e}b\u{1b}[2Jc\n{}", "é".repeat(200));
    realm.receive(&ReceivedModeration { reason, ..realm.heard(7) });
    let kept = realm.moderations().remove(0).reason;
    assert!(kept.starts_with("ab[2Jcé") && kept.len() <= WORDS_BYTES_MAX, "{kept}");
    realm.settle(&hex::encode([7; 16]), SettlementVerdict::Ratified).unwrap();
    assert_eq!(realm.policy().sanctions[0].reason, kept);
}

#[test]
fn open_orders_are_bounded_and_settled_ones_stay() {
    let mut realm = Realm::new();
    let settled = realm.heard(7);
    realm.receive(&settled);
    realm.settle(&hex::encode(settled.id), SettlementVerdict::Refused).unwrap();
    let moderation = realm.heard(0);
    let id = |n: u64| {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        id
    };
    let heard = |n: u64| ReceivedModeration { id: id(n), until: NOW + 1 + n, ..moderation.clone() };
    assert_eq!(realm.receive(&heard(0)), Received::New);
    let row = realm.moderations().into_iter().find(|row| row.id == id(0)).unwrap();
    let fill = |tx: &rusqlite::Transaction<'_>| {
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
    assert!(left.iter().any(|row| row.id == settled.id));
}

#[test]
fn an_order_cannot_lock_the_realm_out_by_being_ratified() {
    let mut realm = Realm::new();
    realm.store.write(|tx| acts::set_role(tx, "bob", Role::Admin, NOW)).unwrap();
    let moderation = realm.heard(7);
    realm.receive(&moderation);
    let (id, before) = (hex::encode(moderation.id), realm.policy());
    let error = realm.settle(&id, SettlementVerdict::Ratified).unwrap_err();
    assert_eq!(error.code(), Some("would-lock-out"));
    assert_eq!(realm.policy(), before);
    realm.settle(&id, SettlementVerdict::Refused).unwrap();
}

#[tokio::test]
async fn the_members_order_reaches_the_register() {
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

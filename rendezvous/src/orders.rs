//! Orders of moderators: the operator ratifies or refuses them.
//!
//! A ratified ban or mute becomes a sanction with the order's own dates, reason and maker; a ratified lift ends what
//! is in force. A refused order is judged as if it had never been. Either way the policy names it as settled, and
//! that ends the order itself (PROTOCOL.md R-50).

use lanyard_protocol::policy::SettlementVerdict;
use rusqlite::Connection;

use crate::acts::{ActError, entry};
use crate::sanctions::{Lifting, lift_account};
use crate::store::orders::{self, OrderKind, OrderRow};
use crate::store::sanctions::{self, Kind, SanctionRow};
use crate::store::{audit, rules};

const DAY_MS: u64 = 86_400_000;

/// Decides about an order. Its own verdict again changes nothing.
///
/// # Errors
/// [`ActError::OrderNotFound`], [`ActError::OrderSettled`] if it was decided the other way.
pub fn settle(
    conn: &Connection,
    id: &str,
    verdict: SettlementVerdict,
    now: u64,
) -> Result<(), ActError> {
    let found = orders::list(conn)?.into_iter().find(|order| hex::encode(order.id) == id);
    let order = found.ok_or_else(|| ActError::OrderNotFound { id: id.to_owned() })?;
    match order.verdict {
        Some(made) if made == verdict => return Ok(()),
        Some(_other) => return Err(ActError::OrderSettled { id: id.to_owned() }),
        None => {}
    }
    let what = match verdict {
        SettlementVerdict::Ratified => {
            ratify(conn, &order, now)?;
            "order-ratify"
        }
        SettlementVerdict::Refused => "order-refuse",
    };
    orders::settle(conn, order.id, verdict, now)?;
    let days = rules::list(conn)?.iter().map(|rule| rule.retention_days).max().unwrap_or(0);
    orders::forget(conn, now.saturating_sub(days.saturating_mul(DAY_MS)))?;
    let detail = format!("{} by {}", order.kind.as_str(), order.by);
    Ok(audit::write(conn, entry(what, id, &detail), now)?)
}

fn ratify(conn: &Connection, order: &OrderRow, now: u64) -> Result<(), ActError> {
    let kind = match order.kind {
        OrderKind::Ban => Kind::Ban,
        OrderKind::Mute => Kind::Mute,
        OrderKind::Lift => {
            lift_account(conn, order.account, Lifting::Ban, now)?;
            lift_account(conn, order.account, Lifting::Mute, now)?;
            return Ok(());
        }
    };
    let row = SanctionRow {
        id: 0,
        kind,
        account: order.account,
        peer: None,
        from: order.from,
        until: Some(order.until),
        reason: order.reason.clone(),
        by: order.by.clone(),
        made_at: order.from,
    };
    Ok(sanctions::insert(conn, &row)?)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use lanyard_protocol::ids::{AccountId, Role};
    use lanyard_protocol::policy::{Policy, Settlement};

    use super::*;
    use crate::acts::perform;
    use crate::names::Username;
    use crate::store::Store;
    use crate::{accounts, policy, sanctions as sanctioning};

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
                accounts::create(tx, &name, None, Role::Member, "phc", now)
            });
            Self { _dir: dir, store, bob: bob.unwrap() }
        }

        fn order(&mut self, number: u8, kind: OrderKind) -> String {
            let (id, account) = ([number; 16], self.bob);
            let row = OrderRow {
                id,
                kind,
                account,
                from: NOW,
                until: NOW + HOUR,
                reason: "loud".to_owned(),
                by: "mod".to_owned(),
                verdict: None,
            };
            self.store.write(|tx| orders::insert(tx, &row, NOW)).unwrap();
            hex::encode(id)
        }

        fn settle(&mut self, id: &str, verdict: SettlementVerdict) -> Result<(), ActError> {
            perform(&mut self.store, NOW + 1_000, |tx, now| settle(tx, id, verdict, now))
        }

        fn policy(&mut self) -> Policy {
            let key = SigningKey::from_bytes(&[3; 32]);
            let (signed, _) = self.store.write(|tx| policy::publish(tx, &key, NOW)).unwrap();
            signed.policy().clone()
        }
    }

    #[test]
    fn r50_a_ratified_order_becomes_a_sanction_and_is_settled() {
        let mut realm = Realm::new();
        let id = realm.order(7, OrderKind::Mute);
        assert!(realm.policy().settled.is_empty());
        realm.settle(&id, SettlementVerdict::Ratified).unwrap();
        realm.settle(&id, SettlementVerdict::Ratified).unwrap();
        let policy = realm.policy();
        let verdict = SettlementVerdict::Ratified;
        assert_eq!(policy.settled, [Settlement { order: [7; 16], verdict }]);
        assert_eq!(policy.sanctions.len(), 1, "once");
        let mute = policy.mute_at(realm.bob, NOW).unwrap();
        assert_eq!((mute.until, mute.by.as_str()), (Some(NOW + HOUR), "mod"));
        let error = realm.settle(&id, SettlementVerdict::Refused).unwrap_err();
        assert_eq!(error.code(), Some("exists"));
    }

    #[test]
    fn r50_a_refused_order_leaves_nothing_but_its_settlement() {
        let mut realm = Realm::new();
        let id = realm.order(7, OrderKind::Ban);
        realm.settle(&id, SettlementVerdict::Refused).unwrap();
        let policy = realm.policy();
        assert_eq!((policy.sanctions.len(), policy.settled.len()), (0, 1));
    }

    #[test]
    fn a_ratified_lift_ends_what_is_in_force() {
        let mut realm = Realm::new();
        let ban = |tx: &Connection, now| sanctioning::ban(tx, "bob", 0, "", now);
        perform(&mut realm.store, NOW, ban).unwrap();
        let id = realm.order(7, OrderKind::Lift);
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
        let (old, new) = (realm.order(7, OrderKind::Ban), realm.order(8, OrderKind::Ban));
        realm.settle(&old, SettlementVerdict::Refused).unwrap();
        let late = |tx: &Connection, now| settle(tx, &new, SettlementVerdict::Refused, now);
        perform(&mut realm.store, NOW + 91 * DAY_MS, late).unwrap();
        assert!(realm.policy().settled.is_empty());
    }
}

//! `orders` and `order …`.

use lanyard_node::local_time::LocalTime;
use lanyard_protocol::policy::SettlementVerdict;
use lanyard_rendezvous::orders;
use lanyard_rendezvous::store::{accounts, orders as rows};
use serde_json::json;

use super::Realm;
use super::answer::{Answers, Failure};
use crate::cli::OrderCommand;

pub(crate) fn run(realm: &Realm, command: &OrderCommand, answers: &Answers) -> Result<(), Failure> {
    let (id, verdict, word) = match command {
        OrderCommand::Ratify { id } => (id, SettlementVerdict::Ratified, "ratified"),
        OrderCommand::Refuse { id } => (id, SettlementVerdict::Refused, "refused"),
    };
    realm.act(answers, &format!("order {id} is {word}"), |tx, now| {
        orders::settle(tx, id, verdict, now)
    })
}

pub(crate) fn list(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let store = realm.store()?;
    let time = LocalTime::of_system();
    for order in rows::list(store.reader())? {
        let account = accounts::by_id(store.reader(), order.account)?;
        let username = account.map(|account| account.username).unwrap_or_default();
        let (id, kind) = (hex::encode(order.id), order.kind.as_str());
        let state = match order.verdict {
            None => "open",
            Some(SettlementVerdict::Ratified) => "ratified",
            Some(SettlementVerdict::Refused) => "refused",
        };
        let object = json!({
            "id": id,
            "kind": kind,
            "username": username,
            "from": order.from,
            "until": order.until,
            "reason": order.reason,
            "by": order.by,
            "state": state,
        });
        let (from, until) = (time.stamp(order.from), time.stamp(order.until));
        let words = format!(
            "{id}  {kind}  {username}  by {}  {state}  from {from}  until {until}  {}",
            order.by, order.reason
        );
        answers.say(&object, words.trim_end())?;
    }
    Ok(())
}

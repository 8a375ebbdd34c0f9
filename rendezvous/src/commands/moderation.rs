//! `moderations` and `moderation …`.

use lanyard_node::local_time::LocalTime;
use lanyard_protocol::policy::SettlementVerdict;
use lanyard_rendezvous::moderations;
use lanyard_rendezvous::store::{accounts, moderations as rows};
use serde_json::json;

use super::Realm;
use super::answer::{Answers, Failure};
use crate::cli::ModerationCommand;

pub(crate) fn run(
    realm: &Realm,
    command: &ModerationCommand,
    answers: &Answers,
) -> Result<(), Failure> {
    let (id, verdict, word) = match command {
        ModerationCommand::Ratify { id } => (id, SettlementVerdict::Ratified, "ratified"),
        ModerationCommand::Refuse { id } => (id, SettlementVerdict::Refused, "refused"),
    };
    realm.act(answers, &format!("order {id} is {word}"), |tx, now| {
        moderations::settle(tx, id, verdict, now)
    })
}

pub(crate) fn list(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let store = realm.store()?;
    let time = LocalTime::of_system();
    for moderation in rows::list(store.reader())? {
        let account = accounts::by_id(store.reader(), moderation.account)?;
        let username = account.map(|account| account.username).unwrap_or_default();
        let (id, kind) = (hex::encode(moderation.id), moderation.kind.as_str());
        let state = match moderation.verdict {
            None => "open",
            Some(SettlementVerdict::Ratified) => "ratified",
            Some(SettlementVerdict::Refused) => "refused",
        };
        let object = json!({
            "id": id,
            "kind": kind,
            "username": username,
            "from": moderation.from,
            "until": moderation.until,
            "reason": moderation.reason,
            "by": moderation.by,
            "state": state,
        });
        let (from, until) = (time.stamp(moderation.from), time.stamp(moderation.until));
        let words = format!(
            "{id}  {kind}  {username}  by {}  {state}  from {from}  until {until}  {}",
            moderation.by, moderation.reason
        );
        answers.say(&object, words.trim_end())?;
    }
    Ok(())
}

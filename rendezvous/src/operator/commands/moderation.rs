//! `moderation …`: what moderators have done, and the operator's verdict on it.

use lanyard_program::local_time::LocalTime;
use lanyard_protocol::policy::SettlementVerdict;
use serde_json::json;

use crate::operator::answer::Failure;
use crate::operator::cli::ModerationCommand;
use crate::operator::realm::Realm;
use crate::policy::moderations;
use crate::store::{accounts, moderations as rows};

pub(in crate::operator) fn run(realm: &Realm, command: &ModerationCommand) -> Result<(), Failure> {
    let (id, verdict, word) = match command {
        ModerationCommand::List => return list(realm),
        ModerationCommand::Confirm { id } => (id, SettlementVerdict::Ratified, "confirmed"),
        ModerationCommand::Overturn { id } => (id, SettlementVerdict::Refused, "overturned"),
    };
    realm.act(&format!("moderation {id} is {word}"), |tx, now| {
        moderations::settle(tx, id, verdict, now)
    })
}

fn list(realm: &Realm) -> Result<(), Failure> {
    let store = realm.store()?;
    let time = LocalTime::of_system();
    for moderation in rows::list(store.reader())? {
        let account = accounts::by_id(store.reader(), moderation.account)?;
        let username = account.map(|account| account.username).unwrap_or_default();
        let (id, kind) = (hex::encode(moderation.id), moderation.kind.as_str());
        let (state, shown) = match moderation.verdict {
            None => ("open", "open"),
            Some(SettlementVerdict::Ratified) => ("ratified", "confirmed"),
            Some(SettlementVerdict::Refused) => ("refused", "overturned"),
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
            "{id}  {kind}  {username}  by {}  {shown}  from {from}  until {until}  {}",
            moderation.by, moderation.reason
        );
        realm.answers.say(&object, words.trim_end())?;
    }
    Ok(())
}

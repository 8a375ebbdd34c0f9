//! `policy …`: showing and changing the rules.

use lanyard_protocol::policy::Registration;
use serde_json::json;

use crate::acts::{self, ActError};
use crate::clock;
use crate::operator::answer::Failure;
use crate::operator::cli::PolicyCommand;
use crate::operator::realm::Realm;
use crate::policy::{self, rules};
use crate::store::{Db, meta, rules as rows};

pub(in crate::operator) fn run(realm: &Realm, command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show => show(realm),
        PolicyCommand::Set { key, value } => {
            let mut store = realm.store()?;
            let set = |tx: Db<'_>| -> Result<(), ActError> {
                let now = acts::signing_time(tx, clock::unix_ms())?;
                rules::set(tx, &key, &value, now)
            };
            store.write(set)?;
            let number = realm.wait_for_policy(&store)?;
            let from =
                if rules::limits_messages(&key) { ", from the next full minute on" } else { "" };
            realm.answers.done(number, &format!("{key} is now {value}{from}"), None)
        }
    }
}

fn show(realm: &Realm) -> Result<(), Failure> {
    let store = realm.store()?;
    let rule = rows::newest(store.reader())?;
    let registration = match rule.registration {
        Registration::Closed => "closed",
    };
    let name = meta::text(store.reader(), meta::REALM_NAME)?;
    let number = policy::number_in_force(store.reader())?;
    let object = json!({
        "policy": number,
        "name": name.as_deref().unwrap_or(policy::DEFAULT_NAME),
        "max_text_bytes": rule.max_text_bytes,
        "per_minute": rule.per_minute,
        "guest_per_minute": rule.guest_per_minute,
        "per_day": rule.per_day,
        "ticket_lifetime_s": rule.ticket_lifetime_s,
        "retention_days": rule.retention_days,
        "devices_max": rule.devices_max,
        "registration": registration,
    });
    let number = number.map_or_else(|| "not signed yet".to_owned(), |number| number.to_string());
    let lines = [
        format!("policy            {number}"),
        format!("max-text-bytes    {}", rule.max_text_bytes),
        format!("per-minute        {}", rule.per_minute),
        format!("guest-per-minute  {}", rule.guest_per_minute),
        format!("per-day           {}", rule.per_day),
        format!("ticket-lifetime   {}s", rule.ticket_lifetime_s),
        format!("retention-days    {}", rule.retention_days),
        format!("devices-max       {}", rule.devices_max),
        format!("registration      {registration}"),
    ];
    realm.answers.say_lines(&object, &lines)
}

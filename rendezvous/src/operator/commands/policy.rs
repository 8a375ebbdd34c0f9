//! `policy …`: showing and changing the rules.

use lanyard_protocol::limits::POLICY_BYTES_MAX;
use lanyard_protocol::policy::Registration;
use serde_json::json;

use crate::clock;
use crate::operator::answer::Failure;
use crate::operator::cli::PolicyCommand;
use crate::operator::realm::Realm;
use crate::policy::{self, rules, space};
use crate::store::{meta, rules as rows};

pub(in crate::operator) fn run(realm: &Realm, command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show => show(realm),
        PolicyCommand::Set { key, value } => {
            let from =
                if rules::limits_messages(&key) { ", from the next full minute on" } else { "" };
            let words = format!("{key} is now {value}{from}");
            realm.act(&words, |tx, now| rules::set(tx, &key, &value, now))
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
    let now = meta::realm_now(store.reader(), clock::unix_ms())?;
    let bytes = space::taken(&policy::present(store.reader(), now)?);
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
        "bytes": bytes,
        "bytes_max": POLICY_BYTES_MAX,
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
        format!("size              {bytes} of {POLICY_BYTES_MAX} bytes"),
    ];
    realm.answers.say_lines(&object, &lines)
}

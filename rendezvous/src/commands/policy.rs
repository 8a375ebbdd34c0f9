//! `policy …`: the rules; and waiting for `serve` to sign what a command has written.

use std::time::Duration;

use anyhow::Context as _;
use lanyard_rendezvous::store::{Store, meta, rules as rows};
use lanyard_rendezvous::{acts, clock, policy, rules, serve};
use serde_json::json;

use super::Realm;
use super::answer::{Answers, Failure};
use crate::cli::PolicyCommand;

/// How long a command waits for `serve` to sign.
const WAIT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn run(realm: &Realm, command: PolicyCommand, answers: &Answers) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show => show(realm, answers),
        PolicyCommand::Set { key, value } => {
            let mut store = realm.store()?;
            let set = |tx: &rusqlite::Transaction<'_>| -> Result<(), Failure> {
                let now = acts::signing_time(tx, clock::unix_ms())?;
                Ok(rules::set(tx, &key, &value, now)?)
            };
            store.write(set)?;
            answers.done(wait_for(realm, &store)?, &format!("{key} is now {value}"), None)
        }
    }
}

fn show(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let store = realm.store()?;
    let rule = rows::newest(store.reader())?;
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
        "registration": rule.registration,
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
        format!("registration      {}", rule.registration),
    ];
    answers.say_lines(&object, &lines)
}

/// The number of the policy that holds what was just written; `None` if nobody is there to sign it.
pub(crate) fn wait_for(realm: &Realm, store: &Store) -> Result<Option<u64>, Failure> {
    let started = clock::monotonic();
    loop {
        if let Some(number) = policy::number_in_force(store.reader())? {
            return Ok(Some(number));
        }
        let is_running = serve::is_running(&realm.data_dir).context("cannot look for serve")?;
        let waited = clock::monotonic().saturating_duration_since(started);
        if !is_running || waited >= WAIT {
            return Ok(None);
        }
        // Another process does the work: there is nothing here to be woken by.
        std::thread::park_timeout(LOOK_EVERY);
    }
}

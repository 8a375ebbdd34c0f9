//! `backup` and `restore`.

use std::path::Path;

use lanyard_rendezvous::backup::{self, Missing};
use lanyard_rendezvous::policy;
use serde_json::{Value, json};

use super::Realm;
use super::answer::{Answers, Failure};

/// What an operator must copy by hand, once: they never change.
const KEYS: [&str; 2] = ["realm.key", "member.key"];

pub(crate) fn backup(realm: &Realm, file: &Path, answers: &Answers) -> Result<(), Failure> {
    let mut store = realm.store()?;
    backup::backup(&mut store, file)?;
    let policy = policy::number_in_force(store.reader())?;
    let object = json!({ "done": true, "policy": policy, "file": file, "keys": KEYS });
    let words = format!(
        "backed up to {}\nThe keys are not in it: keep copies of {} from {} in a safe place, once.",
        file.display(),
        KEYS.join(" and "),
        realm.data_dir.display(),
    );
    answers.say(&object, &words)
}

pub(crate) fn restore(data_dir: &Path, file: &Path, answers: &Answers) -> Result<(), Failure> {
    let restored = backup::restore(data_dir, file)?;
    let missing: Option<Vec<Value>> =
        restored.missing.as_ref().map(|missing| missing.iter().map(object).collect());
    let answer = json!({
        "done": true,
        "policy": null,
        "kept": restored.kept,
        "missing": missing,
    });
    let mut words = format!("restored {}; takes effect at the next start", file.display());
    if let Some(kept) = &restored.kept {
        words.push_str(&format!("\nthe former database is kept as {}", kept.display()));
    }
    match &restored.missing {
        None => words.push_str("\nthere was no newer policy here to compare the backup with"),
        Some(missing) => {
            for lost in missing {
                words.push_str(&format!(
                    "\nnot in the backup, and over from now on: {}",
                    line(lost)
                ));
            }
        }
    }
    answers.say(&answer, &words)
}

fn object(missing: &Missing) -> Value {
    let Missing { username, sanction } = missing;
    json!({
        "username": username,
        "account": sanction.sub.to_string(),
        "kind": backup::kind(sanction.kind),
        "peer": sanction.peer.map(|peer| peer.to_string()),
        "from": sanction.from,
        "until": sanction.until,
        "reason": sanction.reason,
    })
}

fn line(missing: &Missing) -> String {
    let Missing { username, sanction } = missing;
    let account = sanction.sub.to_string();
    let who = username.as_deref().unwrap_or(&account);
    format!("{} of {who} ({})", backup::kind(sanction.kind), sanction.reason)
}

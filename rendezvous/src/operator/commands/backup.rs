//! `backup` and `restore`.

use std::path::Path;

use lanyard_program::local_time::LocalTime;
use serde_json::{Value, json};

use crate::folder::{AUTHORITY_KEY, REALM_KEY};
use crate::operator::answer::{Answers, Failure};
use crate::operator::backup::{self, Changes, Content, Missing, Reverted, Unsigned};
use crate::operator::realm::Realm;
use crate::policy;
use crate::store::sanctions::word;

/// The files that the operator copies by hand, only once: the keys never change.
const KEYS: [&str; 2] = [REALM_KEY, AUTHORITY_KEY];

pub(in crate::operator) fn backup(realm: &Realm, file: &Path) -> Result<(), Failure> {
    let mut store = realm.store()?;
    backup::backup(&mut store, &realm.data_dir, file)?;
    let policy = policy::number_in_force(store.reader())?;
    let object = json!({ "done": true, "policy": policy, "file": file, "keys": KEYS });
    let keys = KEYS.join(" and ");
    let lines = [
        format!("backed up to {}", file.display()),
        format!(
            "The backup does not contain the keys: copy {keys} from {} to a safe place once.",
            realm.data_dir.display()
        ),
    ];
    realm.answers.say_lines(&object, &lines)
}

pub(in crate::operator) fn restore(
    data_dir: &Path,
    file: &Path,
    unsigned: bool,
    answers: Answers,
) -> Result<(), Failure> {
    let unsigned = if unsigned { Unsigned::Accept } else { Unsigned::Refuse };
    let restored = backup::restore(data_dir, file, unsigned)?;
    let Changes { missing: ended, reverted, disabled } = &restored.changes;
    let missing: Option<Vec<Value>> =
        ended.as_ref().map(|missing| missing.iter().map(object).collect());
    let answer = json!({
        "done": true,
        "policy": null,
        "backup": content_object(&restored.content),
        "kept": restored.kept,
        "missing": missing,
        "reverted": reverted.iter().map(reverted_object).collect::<Vec<_>>(),
        "disabled": disabled,
        "new_member_key": restored.new_authority_key,
    });
    let mut lines = vec![format!("restored {}; takes effect at the next start", file.display())];
    lines.extend(content_lines(&restored.content));
    if let Some(kept) = &restored.kept {
        lines.push(format!("the former database is kept as {}", kept.display()));
    }
    if restored.new_authority_key {
        lines.push("there was no member.key; a new one was created, keep a copy of it".to_owned());
    }
    lines.extend(reverted.iter().map(|Reverted { username, what }| {
        format!("{username}: {} as in the backup again", what.join(", "))
    }));
    lines.extend(disabled.iter().map(|name| {
        format!("disabled {name}, which is not in the backup but was signed in; `user enable {name}` keeps it")
    }));
    match ended {
        None => lines.push("there was no policy here to compare the backup with".to_owned()),
        Some(missing) => {
            let over = |lost| format!("ended, because it is not in the backup: {}", line(lost));
            lines.extend(missing.iter().map(over));
        }
    }
    answers.say_lines(&answer, &lines)
}

fn reverted_object(reverted: &Reverted) -> Value {
    let Reverted { username, what } = reverted;
    json!({ "username": username, "what": what })
}

fn content_object(content: &Content) -> Value {
    let Content { made_at, realm, name, accounts, devices, sanctions, policy } = content;
    json!({
        "signed": made_at.is_some(),
        "made_at": made_at,
        "realm": realm.to_string(),
        "name": name,
        "accounts": accounts,
        "devices": devices,
        "sanctions": sanctions,
        "policy": policy,
    })
}

fn content_lines(content: &Content) -> [String; 2] {
    let Content { made_at, realm, name, accounts, devices, sanctions, policy } = content;
    let number = policy.map_or_else(|| "no policy".to_owned(), |number| format!("policy {number}"));
    let found = format!(
        "it is of \"{name}\" ({realm}): {accounts} accounts, {devices} devices, {sanctions} bans and mutes, {number}"
    );
    let warning = match made_at {
        Some(at) => format!(
            "it was made on {}: passwords, roles, and who is banned or disabled are as they were then",
            LocalTime::of_system().moment(*at)
        ),
        None => "warning: it is not signed, so passwords and roles in it may be somebody else's work; look through \
                 `user list`"
            .to_owned(),
    };
    [found, warning]
}

fn object(missing: &Missing) -> Value {
    let Missing { username, sanction } = missing;
    json!({
        "username": username,
        "account": sanction.sub.to_string(),
        "kind": word(sanction.kind),
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
    format!("{} of {who} ({})", word(sanction.kind), sanction.reason)
}

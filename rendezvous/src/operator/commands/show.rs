//! `sessions`, `audit` and `status`, which change nothing.

use lanyard_program::local_time::LocalTime;
use serde_json::json;

use crate::clock::{self, timekeeping};
use crate::operator::answer::Failure;
use crate::operator::realm::Realm;
use crate::policy;
use crate::store::accounts::State;
use crate::store::{accounts, audit as entries, meta, sessions as rows};

pub(in crate::operator) fn sessions(realm: &Realm) -> Result<(), Failure> {
    let store = realm.store()?;
    let now = meta::realm_now(store.reader(), clock::unix_ms())?;
    // A run that crashed leaves sessions marked as online.
    let is_served = realm.is_served()?;
    let time = LocalTime::of_system();
    for row in rows::list(store.reader(), now)? {
        let online = row.online && is_served;
        let object = json!({
            "username": row.username,
            "nickname": row.nickname,
            "peer": row.peer.to_string(),
            "device": row.device,
            "address": row.address,
            "since": row.since,
            "expires_at": row.expires_at,
            "online": online,
        });
        let words = format!(
            "{}  \"{}\"  device {}  {}  {}  {}  since {}  until {}",
            row.username,
            row.nickname,
            row.device,
            row.address,
            row.peer,
            if online { "online" } else { "offline" },
            time.stamp(row.since),
            time.stamp(row.expires_at),
        );
        realm.answers.say(&object, &words)?;
    }
    Ok(())
}

pub(in crate::operator) fn audit(realm: &Realm, last: Option<u32>) -> Result<(), Failure> {
    let count = last.map_or(u64::MAX, u64::from);
    let time = LocalTime::of_system();
    for row in entries::last(realm.store()?.reader(), count)? {
        let object = json!({
            "at": row.at,
            "who": row.who,
            "what": row.what,
            "target": row.target,
            "detail": row.detail,
        });
        let at = time.stamp(row.at);
        let words = format!("{at}  {}  {}  {}  {}", row.who, row.what, row.target, row.detail);
        realm.answers.say(&object, words.trim_end())?;
    }
    Ok(())
}

pub(in crate::operator) fn status(realm: &Realm) -> Result<(), Failure> {
    let store = realm.store()?;
    let db = store.reader();
    let serving = realm.is_served()?;
    let known = timekeeping::look(db, clock::unix_ms())?;
    let (now, standing) = (known.realm_ms, known.standing);
    let all = accounts::list(db)?;
    let enabled = all.iter().filter(|(account, _)| account.state == State::Enabled).count();
    let sessions = rows::list(db, now)?;
    let online = sessions.iter().filter(|row| row.online && serving).count();
    let number = policy::number_in_force(db)?;
    let realm_id = meta::text(db, meta::REALM_ID)?;
    let name = meta::text(db, meta::REALM_NAME)?;
    let name = name.as_deref().unwrap_or(policy::DEFAULT_NAME);
    let login_port = meta::number(db, meta::LOGIN_PORT)?;
    let authority_port = meta::number(db, meta::AUTHORITY_PORT)?;
    let object = json!({
        "serving": serving,
        "realm": realm_id,
        "name": name,
        "policy": number,
        "accounts": all.len(),
        "enabled": enabled,
        "sessions": sessions.len(),
        "online": online,
        "desk_port": login_port,
        "member_port": authority_port,
        "clock": { "state": standing.as_str(), "by_ms": standing.by_ms(), "message": standing.to_string() },
    });
    let mut lines = vec![format!(
        "{name}: {}; {} accounts ({enabled} enabled), {} sessions ({online} online), policy {}",
        if serving { "serving" } else { "not serving" },
        all.len(),
        sessions.len(),
        number.map_or_else(|| "not signed yet".to_owned(), |number| number.to_string()),
    )];
    if !standing.is_right() {
        lines.push(format!(
            "warning: {standing}, so nobody can sign in and no rule changes. {}",
            standing.advice()
        ));
    }
    realm.answers.say_lines(&object, &lines)
}

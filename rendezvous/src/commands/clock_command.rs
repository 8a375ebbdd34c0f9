//! `clock …`: what is known of the clock, and the operator's word about it.

use lanyard_rendezvous::clock;
use lanyard_rendezvous::store::{Store, StoreError};
use lanyard_rendezvous::timekeeping::{self, Known, Lowered, duration};
use serde_json::json;

use super::Realm;
use super::answer::{Answers, Failure};
use crate::cli::ClockCommand;

pub(crate) fn run(realm: &Realm, command: ClockCommand, answers: &Answers) -> Result<(), Failure> {
    match command {
        ClockCommand::Show => show(realm, answers),
        ClockCommand::Accept => accept(realm, answers),
        ClockCommand::Lower => lower(realm, answers),
    }
}

fn show(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let store = realm.store()?;
    let known = timekeeping::look(store.reader(), clock::unix_ms())?;
    let Known { wall_ms, realm_ms, mark_ms, right_at_ms, standing } = known;
    let object = json!({
        "wall": wall_ms,
        "realm": realm_ms,
        "mark": mark_ms,
        "right_at": right_at_ms,
        "state": standing.as_str(),
        "by_ms": standing.by_ms(),
        "signing": standing.is_right(),
        "message": standing.to_string(),
        "advice": standing.advice(),
    });
    let right_at = match right_at_ms {
        Some(at) => local_time(&store, at)?,
        None => "never noted".to_owned(),
    };
    let words = format!(
        "wall clock     {}\nrealm time     {}\nlast signed    {}\nlast right     {right_at}\nstate          {}: \
         {standing}\n{}",
        local_time(&store, wall_ms)?,
        local_time(&store, realm_ms)?,
        local_time(&store, mark_ms)?,
        standing.as_str(),
        standing.advice(),
    );
    answers.say(&object, &words)
}

fn accept(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let was = realm.store()?.write(|tx| timekeeping::accept(tx, clock::unix_ms()))?;
    let object = json!({ "done": true, "was": was.as_str() });
    let words = "the clock is taken as right; the login node signs by it from now on";
    answers.say(&object, words)
}

fn lower(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let mut store = realm.store()?;
    let Lowered { by_ms, tickets_ahead } =
        store.write(|tx| timekeeping::lower(tx, clock::unix_ms()))?;
    let number = super::policy::wait_for(realm, &store)?;
    let object = json!({
        "done": true,
        "policy": number,
        "by_ms": by_ms,
        "tickets_ahead": tickets_ahead,
    });
    let mut words = format!(
        "the realm's time goes back by {}. Rules and sanctions that were dated later begin now. Everybody who signed in \
         meanwhile asks for the time again by itself.",
        duration(by_ms)
    );
    if tickets_ahead > 0 {
        words.push_str(&format!(
            "\nwarning: {tickets_ahead} accounts have tickets that are dated later. They become good when that time \
             comes, and `user disable` does not end them before; `ban` does."
        ));
    }
    answers.say(&object, &words)
}

/// In the time zone of this computer, by SQLite.
fn local_time(store: &Store, ms: u64) -> Result<String, StoreError> {
    if ms == 0 {
        return Ok("nothing yet".to_owned());
    }
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let sql = "SELECT coalesce(strftime('%Y-%m-%d %H:%M:%S', ?1, 'unixepoch', 'localtime'), '?')";
    let text = store.reader().query_row(sql, [seconds], |row| row.get(0));
    text.map_err(|source| StoreError::Sql { what: "read the time", source })
}

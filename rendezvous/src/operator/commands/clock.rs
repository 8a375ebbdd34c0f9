//! `clock …`: what is known about the clock, and the operator's decision about it.

use lanyard_program::local_time::LocalTime;
use lanyard_protocol::words::duration;
use serde_json::json;

use crate::clock;
use crate::clock::timekeeping::{self, Known, Lowered};
use crate::operator::answer::Failure;
use crate::operator::cli::ClockCommand;
use crate::operator::realm::Realm;

pub(in crate::operator) fn run(realm: &Realm, command: ClockCommand) -> Result<(), Failure> {
    match command {
        ClockCommand::Show => show(realm),
        ClockCommand::Accept => accept(realm),
        ClockCommand::Lower => lower(realm),
    }
}

fn show(realm: &Realm) -> Result<(), Failure> {
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
    let time = LocalTime::of_system();
    let right_at = right_at_ms.map_or_else(|| "never recorded".to_owned(), |at| time.stamp(at));
    let mark = if mark_ms == 0 { "nothing yet".to_owned() } else { time.stamp(mark_ms) };
    let lines = [
        format!("wall clock     {}", time.stamp(wall_ms)),
        format!("realm time     {}", time.stamp(realm_ms)),
        format!("last signed    {mark}"),
        format!("last right     {right_at}"),
        format!("state          {}: {standing}", standing.as_str()),
        standing.advice().to_owned(),
    ];
    realm.answers.say_lines(&object, &lines)
}

fn accept(realm: &Realm) -> Result<(), Failure> {
    let was = realm.store()?.write(|tx| timekeeping::accept(tx, clock::unix_ms()))?;
    let object = json!({ "done": true, "was": was.as_str() });
    let words = "the clock is accepted; the login node signs by it from now on";
    realm.answers.say(&object, words)
}

fn lower(realm: &Realm) -> Result<(), Failure> {
    let mut store = realm.store()?;
    let Lowered { by_ms, tickets_ahead } =
        store.write(|tx| timekeeping::lower(tx, clock::unix_ms()))?;
    let number = realm.wait_for_policy(&store)?;
    let object = json!({
        "done": true,
        "policy": number,
        "by_ms": by_ms,
        "tickets_ahead": tickets_ahead,
    });
    let mut lines = vec![format!(
        "the realm's time goes back by {}. Rules and sanctions dated later begin now. Clients that signed in meanwhile \
         fetch the time again by themselves.",
        duration(by_ms)
    )];
    if tickets_ahead > 0 {
        lines.push(format!(
            "warning: {tickets_ahead} accounts have tickets dated later. These become valid at that time, and \
             `user disable` does not end them until then; `ban` does."
        ));
    }
    realm.answers.say_lines(&object, &lines)
}

//! `clock …`: what is known of the clock, and the operator's word about it.

use lanyard_node::local_time::LocalTime;
use lanyard_rendezvous::clock;
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
    let time = LocalTime::of_system();
    let right_at = right_at_ms.map_or_else(|| "never noted".to_owned(), |at| time.stamp(at));
    let mark = if mark_ms == 0 { "nothing yet".to_owned() } else { time.stamp(mark_ms) };
    let lines = [
        format!("wall clock     {}", time.stamp(wall_ms)),
        format!("realm time     {}", time.stamp(realm_ms)),
        format!("last signed    {mark}"),
        format!("last right     {right_at}"),
        format!("state          {}: {standing}", standing.as_str()),
        standing.advice().to_owned(),
    ];
    answers.say_lines(&object, &lines)
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
    let mut lines = vec![format!(
        "the realm's time goes back by {}. Rules and sanctions that were dated later begin now. Everybody who signed in \
         meanwhile asks for the time again by itself.",
        duration(by_ms)
    )];
    if tickets_ahead > 0 {
        lines.push(format!(
            "warning: {tickets_ahead} accounts have tickets that are dated later. They become good when that time \
             comes, and `user disable` does not end them before; `ban` does."
        ));
    }
    answers.say_lines(&object, &lines)
}

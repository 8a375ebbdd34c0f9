//! `ban`, `unban`, `mute` and `unmute`.

use crate::names::spelled;
use crate::operator::answer::Failure;
use crate::operator::cli::SanctionCommand;
use crate::operator::realm::Realm;
use crate::policy::sanctions::{self, Lifting, parse_duration_ms};

pub(in crate::operator) fn run(realm: &Realm, command: &SanctionCommand) -> Result<(), Failure> {
    match command {
        SanctionCommand::Ban { user, since, reason } => {
            let user = spelled(user);
            let since = since.as_deref().map(|text| parse_duration_ms("--since", text));
            let since = since.transpose()?.unwrap_or(0);
            realm.act(&format!("{user} is banned"), |tx, now| {
                sanctions::ban(tx, &user, since, reason, now)
            })
        }
        SanctionCommand::Unban { user } => {
            let user = spelled(user);
            realm.act(&format!("{user} is no longer banned"), |tx, now| {
                sanctions::lift(tx, &user, Lifting::Ban, now)
            })
        }
        SanctionCommand::Mute { user, duration, reason } => {
            let user = spelled(user);
            let for_ms = parse_duration_ms("--for", duration)?;
            realm.act(&format!("{user} is muted for {duration}"), |tx, now| {
                sanctions::mute(tx, &user, for_ms, reason, now)
            })
        }
        SanctionCommand::Unmute { user } => {
            let user = spelled(user);
            realm.act(&format!("{user} is no longer muted"), |tx, now| {
                sanctions::lift(tx, &user, Lifting::Mute, now)
            })
        }
    }
}

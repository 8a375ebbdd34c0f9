//! `device …`: the devices of an account.

use lanyard_program::local_time::LocalTime;
use serde_json::json;

use crate::accounts::{self, devices};
use crate::names::spelled;
use crate::operator::answer::Failure;
use crate::operator::cli::DeviceCommand;
use crate::operator::realm::Realm;
use crate::store::devices as rows;

pub(in crate::operator) fn run(realm: &Realm, command: &DeviceCommand) -> Result<(), Failure> {
    match command {
        DeviceCommand::List { name } => list(realm, name),
        DeviceCommand::Logout { name, device } => {
            let name = spelled(name);
            realm.act(&format!("device {device} of {name} is logged out"), |tx, now| {
                devices::log_out(tx, &name, *device, now)
            })
        }
    }
}

fn list(realm: &Realm, name: &str) -> Result<(), Failure> {
    let store = realm.store()?;
    let account = accounts::find(store.reader(), name)?;
    let time = LocalTime::of_system();
    for device in rows::list(store.reader(), account.id)? {
        let state = if device.logged_out { "logged-out" } else { "logged-in" };
        let object = json!({
            "username": account.username,
            "device": device.number,
            "peer": device.peer.to_string(),
            "label": device.label,
            "state": state,
            "first_seen": device.first_seen,
            "last_login_at": device.last_login,
            "expires_at": device.last_expiry,
        });
        let words = format!(
            "device {}  \"{}\"  {state}  {}  last signed in {}  until {}",
            device.number,
            device.label,
            device.peer,
            time.stamp(device.last_login),
            time.stamp(device.last_expiry),
        );
        realm.answers.say(&object, &words)?;
    }
    Ok(())
}

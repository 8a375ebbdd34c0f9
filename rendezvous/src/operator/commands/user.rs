//! `user …`: adding and changing accounts.

use anyhow::Context as _;
use lanyard_program::local_time::LocalTime;
use serde_json::json;

use super::password;
use crate::accounts::{self, Tickets};
use crate::clock;
use crate::folder::config::Config;
use crate::names::spelled;
use crate::operator::answer::Failure;
use crate::operator::cli::{PasswordArgs, UserCommand};
use crate::operator::realm::Realm;
use crate::server::password::{Hasher, Password};
use crate::store::accounts::State;
use crate::store::{self, meta, sanctions};

pub(in crate::operator) fn run(realm: &Realm, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add { name, role, nickname, password } => {
            add(realm, &name, &role, nickname.as_deref(), password)
        }
        UserCommand::List => list(realm),
        UserCommand::Disable { name } => set_state(realm, &name, State::Disabled),
        UserCommand::Enable { name } => set_state(realm, &name, State::Enabled),
        UserCommand::Role { name, role } => {
            let (name, role) = (spelled(&name), accounts::parse_role(&role)?);
            realm.act(&format!("{name} is now {role}"), |tx, now| {
                accounts::set_role(tx, &name, role, now)
            })
        }
        UserCommand::Passwd { name, password, revoke } => {
            let tickets = if revoke { Tickets::Revoke } else { Tickets::Keep };
            passwd(realm, &spelled(&name), password, tickets)
        }
    }
}

fn set_state(realm: &Realm, name: &str, state: State) -> Result<(), Failure> {
    let name = spelled(name);
    realm.act(&format!("{name} is {}", state.as_str()), |tx, now| {
        accounts::set_state(tx, &name, state, now)
    })
}

fn add(
    realm: &Realm,
    name: &str,
    role: &str,
    nickname: Option<&str>,
    args: PasswordArgs,
) -> Result<(), Failure> {
    let username = accounts::parse_username(name)?;
    let nickname = nickname.map(accounts::parse_nickname).transpose()?;
    let role = accounts::parse_role(role)?;
    accounts::check_free(realm.store()?.reader(), &username)?;
    let (phc, warning) = hash(realm, &password::read(args)?)?;
    let words = format!("added {} as {role}", username.as_str());
    realm.act_with(&words, warning.as_deref(), |tx, now| {
        accounts::create(tx, &username, nickname.as_ref(), role, &phc, now).map(|_id| ())
    })
}

fn passwd(realm: &Realm, name: &str, args: PasswordArgs, tickets: Tickets) -> Result<(), Failure> {
    accounts::find(realm.store()?.reader(), name)?;
    let (phc, warning) = hash(realm, &password::read(args)?)?;
    let words = format!("{name} has a new password");
    realm.act_with(&words, warning.as_deref(), |tx, now| {
        accounts::set_password(tx, name, &phc, tickets, now)
    })
}

/// Hashes a password outside any transaction: this takes a fifth of a second, and others may be waiting to write.
fn hash(realm: &Realm, password: &Password) -> Result<(String, Option<String>), Failure> {
    let config = Config::load(&realm.data_dir).context("cannot read the configuration")?;
    let hasher = Hasher::new(config.argon2).context("cannot hash the password")?;
    let phc = hasher.hash(password).context("cannot hash the password")?;
    Ok((phc, password.warning()))
}

fn list(realm: &Realm) -> Result<(), Failure> {
    let store = realm.store()?;
    let now = meta::realm_now(store.reader(), clock::unix_ms())?;
    let time = LocalTime::of_system();
    for (account, devices) in store::accounts::list(store.reader())? {
        let state = match account.state {
            State::Disabled => "disabled",
            State::Enabled if sanctions::is_banned(store.reader(), account.id, now)? => "banned",
            State::Enabled => "enabled",
        };
        let object = json!({
            "username": account.username,
            "nickname": account.nickname,
            "role": account.role.as_str(),
            "state": state,
            "created_at": account.created_at,
            "last_login_at": Some(account.last_login_at).filter(|at| *at != 0),
            "devices": devices,
        });
        let last_login = match account.last_login_at {
            0 => "never signed in".to_owned(),
            at => format!("last signed in {}", time.stamp(at)),
        };
        let words = format!(
            "{}  \"{}\"  {}  {state}  {devices} device(s)  {last_login}",
            account.username, account.nickname, account.role
        );
        realm.answers.say(&object, &words)?;
    }
    Ok(())
}

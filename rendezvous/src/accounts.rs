//! Acts on accounts: creating and changing them, and revoking their tickets.
//!
//! Disabling an account or changing its role always revokes its tickets: peers no longer admit a ticket issued before
//! that moment. A new password revokes them on request, and then also logs out all devices; otherwise a stolen device
//! could renew its ticket without the password. Every function runs in the caller's transaction and writes its own
//! audit entry, so an act happens completely or not at all. `now` is realm time in milliseconds.

pub mod devices;
pub mod nicknames;

use lanyard_node::random;
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::policy::{Sanction, SanctionKind};

use crate::acts::ActError;
use crate::names::{NameError, Nickname, Username};
use crate::store::accounts::{self, Account, NewAccount, State};
use crate::store::audit::{self, Entry, OPERATOR};
use crate::store::{Db, devices as device_rows, sanctions};

/// Parses a role that the operator can assign, which `authority` is not.
///
/// # Errors
/// [`ActError::Role`].
pub fn parse_role(text: &str) -> Result<Role, ActError> {
    Role::GIVEN
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| ActError::Role(text.to_owned()))
}

/// Checks the username for a new account.
///
/// # Errors
/// [`ActError::Name`].
pub fn parse_username(text: &str) -> Result<Username, ActError> {
    let refuse = |reason: NameError| ActError::name(text, "a username", &reason);
    let username = Username::parse(text).map_err(refuse)?;
    if username.is_reserved() { Err(refuse(NameError::Reserved)) } else { Ok(username) }
}

/// Checks a nickname.
///
/// # Errors
/// [`ActError::Name`].
pub fn parse_nickname(text: &str) -> Result<Nickname, ActError> {
    let refuse = |reason: NameError| ActError::name(text, "a nickname", &reason);
    let nickname = Nickname::parse(text).map_err(refuse)?;
    if nickname.is_reserved() { Err(refuse(NameError::Reserved)) } else { Ok(nickname) }
}

/// Refuses a name that is taken, before the expensive hashing.
///
/// # Errors
/// [`ActError::Exists`].
pub fn check_free(db: Db<'_>, username: &Username) -> Result<(), ActError> {
    match accounts::by_skeleton(db, username.skeleton())? {
        Some(other) => Err(ActError::Exists(other.username)),
        None => Ok(()),
    }
}

/// Creates an account. If another account's nickname looks like the new username, that nickname is reset to its
/// owner's username: names that the operator assigns take precedence.
///
/// # Errors
/// [`ActError::Exists`], [`ActError::NicknameTaken`], [`ActError::NicknameReserved`].
pub fn create(
    db: Db<'_>,
    username: &Username,
    nickname: Option<&Nickname>,
    role: Role,
    phc: &str,
    now: u64,
) -> Result<AccountId, ActError> {
    check_free(db, username)?;
    let id = AccountId(random::bytes()?);
    if let Some(wish) = nickname {
        nicknames::check_free(db, wish, id, now)?;
    }
    nicknames::make_way(db, username, now)?;
    let own = Nickname::of(username);
    let nickname = nickname.unwrap_or(&own);
    accounts::insert(db, &NewAccount { id, username, nickname, role, phc }, now)?;
    audit::write(db, Entry::operator("user-add", username.as_str(), role.as_str()), now)?;
    Ok(id)
}

/// The account with this username, in any equivalent spelling.
///
/// # Errors
/// [`ActError::NotFound`], also for a text that is not a valid username.
pub fn find(db: Db<'_>, name: &str) -> Result<Account, ActError> {
    let not_found = || ActError::NotFound { what: "account", name: name.to_owned() };
    let username = Username::parse(name).map_err(|_cannot_exist| not_found())?;
    accounts::by_username(db, username.as_str())?.ok_or_else(not_found)
}

/// Enables or disables an account; disabling revokes its tickets. Setting the state it already has does nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`].
pub fn set_state(db: Db<'_>, name: &str, state: State, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    if account.state == state {
        return Ok(());
    }
    let what = match state {
        State::Enabled => "user-enable",
        State::Disabled => {
            keep_an_admin(db, &account, now)?;
            revoke(db, &account, "the account was disabled", now)?;
            "user-disable"
        }
    };
    accounts::set_state(db, account.id, state)?;
    Ok(audit::write(db, Entry::operator(what, &account.username, ""), now)?)
}

/// Changes the role of an account and revokes its tickets. Setting the role it already has does nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`].
pub fn set_role(db: Db<'_>, name: &str, role: Role, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    if account.role == role {
        return Ok(());
    }
    keep_an_admin(db, &account, now)?;
    revoke(db, &account, "the role was changed", now)?;
    accounts::set_role(db, account.id, role)?;
    Ok(audit::write(db, Entry::operator("user-role", &account.username, role.as_str()), now)?)
}

/// Whether a new password revokes earlier tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tickets {
    /// Earlier tickets stay valid.
    Keep,
    /// Earlier tickets are revoked, and all devices are logged out.
    Revoke,
}

/// Sets a new password.
///
/// # Errors
/// [`ActError::NotFound`].
pub fn set_password(
    db: Db<'_>,
    name: &str,
    phc: &str,
    tickets: Tickets,
    now: u64,
) -> Result<(), ActError> {
    let account = find(db, name)?;
    let detail = match tickets {
        Tickets::Keep => "",
        Tickets::Revoke => {
            revoke(db, &account, "the password was changed", now)?;
            // Every device now needs the new password: its key alone renews no ticket.
            device_rows::log_out_all(db, account.id, None)?;
            "cut"
        }
    };
    accounts::set_phc(db, account.id, phc)?;
    Ok(audit::write(db, Entry::operator("user-passwd", &account.username, detail), now)?)
}

/// The start of a revocation, which is the next full second. Tickets are dated in whole seconds, so a revocation "now"
/// would miss those issued earlier in the same second.
#[must_use]
pub fn revoked_from(now: u64) -> u64 {
    (now / 1_000).saturating_add(1).saturating_mul(1_000)
}

fn revoke(db: Db<'_>, account: &Account, reason: &str, now: u64) -> Result<(), ActError> {
    revoke_tickets(db, account.id, &Revocation { peer: None, reason, by: OPERATOR }, now)
}

/// Which tickets of an account are revoked, and why.
#[derive(Debug, Clone, Copy)]
pub struct Revocation<'a> {
    /// The device whose tickets are revoked; `None` for all devices.
    pub peer: Option<PeerKey>,
    /// The reason, for people.
    pub reason: &'a str,
    /// The actor: `operator`, or a username.
    pub by: &'a str,
}

/// Revokes the tickets that were issued before now, of the whole account or of one device.
///
/// # Errors
/// [`ActError::Store`].
pub fn revoke_tickets(
    db: Db<'_>,
    account: AccountId,
    revocation: &Revocation<'_>,
    now: u64,
) -> Result<(), ActError> {
    let (newest_revocation, newest_issue) = accounts::by_id(db, account)?
        .map_or((0, 0), |account| (account.newest_revocation, account.newest_issue));
    // After every ticket issued so far, even one issued in this second after an earlier revocation.
    let from = revoked_from(now).max(revoked_from(newest_issue)).max(newest_revocation);
    let (kind, peer) = (SanctionKind::Revocation, revocation.peer);
    let (reason, by) = (revocation.reason.to_owned(), revocation.by.to_owned());
    let sanction = Sanction { id: 0, kind, sub: account, peer, from, until: None, reason, by };
    sanctions::insert(db, &sanction, now)?;
    Ok(accounts::raise_newest_revocation(db, account, from)?)
}

/// Refuses an act that would leave the realm without an admin who can act, if it has one now.
///
/// # Errors
/// [`ActError::LastAdmin`].
pub(crate) fn keep_an_admin(db: Db<'_>, account: &Account, now: u64) -> Result<(), ActError> {
    let is_acting = |account: &Account| {
        let enabled = account.role == Role::Admin && account.state == State::Enabled;
        Ok::<_, ActError>(enabled && !sanctions::is_banned(db, account.id, now)?)
    };
    if !is_acting(account)? {
        return Ok(());
    }
    for (other, _devices) in accounts::list(db)? {
        if other.id != account.id && is_acting(&other)? {
            return Ok(());
        }
    }
    Err(ActError::LastAdmin(account.username.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const NOW: u64 = 10_000_500;

    struct Realm {
        _dir: tempfile::TempDir,
        store: Store,
    }

    impl Realm {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open_or_create(dir.path()).unwrap();
            Self { _dir: dir, store }
        }

        fn add(&mut self, name: &str, nickname: Option<&str>, role: Role) -> Result<(), ActError> {
            self.store.write(|tx| {
                let username = parse_username(name)?;
                let nickname = nickname.map(parse_nickname).transpose()?;
                create(tx, &username, nickname.as_ref(), role, "phc", NOW).map(|_id| ())
            })
        }

        fn find(&self, name: &str) -> Account {
            find(self.store.reader(), name).unwrap()
        }

        fn sanctions(&self) -> Vec<Sanction> {
            let rows = sanctions::list(self.store.reader()).unwrap();
            rows.into_iter().map(|row| row.sanction).collect()
        }
    }

    #[test]
    fn an_account_is_found_in_any_spelling() {
        let mut realm = Realm::new();
        realm.add("Alice", None, Role::Member).unwrap();
        assert_eq!(realm.find("ALICE").username, "alice");
        assert_eq!(realm.find("alice").nickname, "alice");
        let missing = find(realm.store.reader(), "two words").unwrap_err();
        assert_eq!(missing.code(), Some("not-found"));
    }

    #[test]
    fn a_name_that_looks_the_same_is_refused() {
        let mut realm = Realm::new();
        realm.add("scope", None, Role::Member).unwrap();
        for twin in ["SCOPE", "ѕсоре"] {
            let error = realm.add(twin, None, Role::Member).unwrap_err();
            assert!(matches!(&error, ActError::Exists(name) if name == "scope"), "{error}");
        }
    }

    #[test]
    fn a_nickname_must_not_look_like_another_name() {
        let mut realm = Realm::new();
        realm.add("alice", Some("The Queen"), Role::Member).unwrap();
        for spoof in ["Alice", "AIice", "the queen", "Тhе Quееn"] {
            let error = realm.add("mallory", Some(spoof), Role::Member).unwrap_err();
            assert!(matches!(error, ActError::NicknameTaken), "{spoof}: {error}");
        }
        realm.add("bob", Some("Bobby"), Role::Member).unwrap();
    }

    #[test]
    fn a_new_username_resets_a_nickname_like_it() {
        let mut realm = Realm::new();
        realm.add("mallory", Some("Alice"), Role::Member).unwrap();
        realm.add("alice", None, Role::Member).unwrap();
        assert_eq!(realm.find("mallory").nickname, "mallory");
        assert_eq!(realm.find("alice").nickname, "alice");
    }

    #[test]
    fn disabling_and_role_changes_revoke_from_the_next_second() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        realm.store.write(|tx| set_role(tx, "alice", Role::Moderator, NOW)).unwrap();
        realm.store.write(|tx| set_state(tx, "alice", State::Disabled, NOW + 5_000)).unwrap();
        let from: Vec<u64> = realm.sanctions().iter().map(|row| row.from).collect();
        assert_eq!(from, [10_001_000, 10_006_000]);
        assert_eq!(realm.find("alice").newest_revocation, 10_006_000);
        assert_eq!(revoked_from(5_000), 6_000, "a ticket of this second is revoked too");
    }

    #[test]
    fn doing_it_twice_revokes_once() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        for _ in 0..2 {
            realm.store.write(|tx| set_state(tx, "alice", State::Disabled, NOW)).unwrap();
            realm.store.write(|tx| set_role(tx, "alice", Role::Guest, NOW)).unwrap();
        }
        assert_eq!(realm.sanctions().len(), 2);
    }

    #[test]
    fn a_new_password_revokes_on_request() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        realm.store.write(|tx| set_password(tx, "alice", "two", Tickets::Keep, NOW)).unwrap();
        assert!(realm.sanctions().is_empty());
        realm.store.write(|tx| set_password(tx, "alice", "three", Tickets::Revoke, NOW)).unwrap();
        assert_eq!(realm.sanctions().len(), 1);
        assert_eq!(realm.find("alice").phc, "three");
    }

    #[test]
    fn the_last_admin_stays() {
        let mut realm = Realm::new();
        realm.add("root", None, Role::Admin).unwrap();
        for error in [
            realm.store.write(|tx| set_state(tx, "root", State::Disabled, NOW)).unwrap_err(),
            realm.store.write(|tx| set_role(tx, "root", Role::Member, NOW)).unwrap_err(),
        ] {
            assert_eq!(error.code(), Some("would-lock-out"));
        }
        assert!(realm.sanctions().is_empty());
        realm.add("root2", None, Role::Admin).unwrap();
        realm.store.write(|tx| set_state(tx, "root", State::Disabled, NOW)).unwrap();
        realm.store.write(|tx| set_role(tx, "root", Role::Member, NOW)).unwrap();
    }

    #[test]
    fn only_roles_that_can_be_assigned_are_parsed() {
        assert_eq!(parse_role("admin").unwrap(), Role::Admin);
        for bad in ["authority", "Admin", "", "root"] {
            assert_eq!(parse_role(bad).unwrap_err().code(), Some("bad-field"), "{bad:?}");
        }
    }
}

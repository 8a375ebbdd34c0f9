//! What may be done to accounts, and what follows from it.
//!
//! Disabling an account and changing its role always cut: tickets issued before that moment admit nobody.
//! A new password revocations on request, and then logs all devices out, or a stolen one would renew its ticket without
//! the password. Every function runs in the caller's transaction and writes its own audit entry,
//! so an act is done whole or not at all. `now` is realm time in milliseconds.

use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use rusqlite::Connection;

use crate::acts::{ActError, entry};
use crate::names::{NameError, Nickname, Username};
use crate::store::accounts::{self, Account, NewAccount, State};
use crate::store::audit::{self, OPERATOR};
use crate::store::sanctions::{self, Kind, SanctionRow};
use crate::store::{StoreError, devices};

/// Reads a role that an operator can give; `authority` is none.
///
/// # Errors
/// [`ActError::Role`].
pub fn parse_role(text: &str) -> Result<Role, ActError> {
    Role::GIVEN
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| ActError::Role { name: text.to_owned() })
}

/// Checks the username of a new account.
///
/// # Errors
/// [`ActError::Username`].
pub fn parse_username(text: &str) -> Result<Username, ActError> {
    let refuse = |source| ActError::Username { name: text.to_owned(), source };
    let username = Username::parse(text).map_err(refuse)?;
    if username.is_reserved() { Err(refuse(NameError::Reserved)) } else { Ok(username) }
}

/// Checks a nickname.
///
/// # Errors
/// [`ActError::Nickname`].
pub fn parse_nickname(text: &str) -> Result<Nickname, ActError> {
    let refuse = |source| ActError::Nickname { name: text.to_owned(), source };
    let nickname = Nickname::parse(text).map_err(refuse)?;
    if nickname.is_reserved() { Err(refuse(NameError::Reserved)) } else { Ok(nickname) }
}

/// Refuses a name that is taken, before the expensive hashing.
///
/// # Errors
/// [`ActError::Exists`].
pub fn check_free(conn: &Connection, username: &Username) -> Result<(), ActError> {
    match accounts::by_skeleton(conn, username.skeleton())? {
        Some(other) => Err(ActError::Exists { name: other.username }),
        None => Ok(()),
    }
}

/// Makes an account. A nickname of somebody else that looks like the new username falls back to its owner's
/// username: whoever is called so by the operator goes first.
///
/// # Errors
/// [`ActError::Exists`], [`ActError::NicknameTaken`].
pub fn create(
    conn: &Connection,
    username: &Username,
    nickname: Option<&Nickname>,
    role: Role,
    phc: &str,
    now: u64,
) -> Result<AccountId, ActError> {
    check_free(conn, username)?;
    let mut id = AccountId([0; 16]);
    getrandom::fill(&mut id.0).map_err(|_no_detail| ActError::Random)?;
    if let Some(wish) = nickname
        && accounts::nickname_is_taken(conn, wish, id)?
    {
        return Err(ActError::NicknameTaken);
    }
    for other in accounts::with_nickname_like(conn, username)? {
        // Read as it stands: it was checked when the account was made.
        let own = Username::parse(&other.username)
            .map_err(|_damaged| StoreError::Row { what: "username" })?;
        accounts::set_nickname(conn, other.id, &Nickname::of(&own))?;
        let entry = entry("nickname-reset", &other.username, "it looks like a new username");
        audit::write(conn, entry, now)?;
    }
    let own = Nickname::of(username);
    let nickname = nickname.unwrap_or(&own);
    accounts::insert(conn, &NewAccount { id, username, nickname, role, phc }, now)?;
    audit::write(conn, entry("user-add", username.as_str(), role.as_str()), now)?;
    Ok(id)
}

/// The account of a name, in any spelling that means the same.
///
/// # Errors
/// [`ActError::NotFound`], also for a text that cannot be a name.
pub fn find(conn: &Connection, name: &str) -> Result<Account, ActError> {
    let not_found = || ActError::NotFound { name: name.to_owned() };
    let username = Username::parse(name).map_err(|_cannot_exist| not_found())?;
    accounts::by_username(conn, username.as_str())?.ok_or_else(not_found)
}

/// Switches an account on or off; off revocations. Doing it again changes nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`].
pub fn set_state(conn: &Connection, name: &str, state: State, now: u64) -> Result<(), ActError> {
    let account = find(conn, name)?;
    if account.state == state {
        return Ok(());
    }
    let what = match state {
        State::Enabled => "user-enable",
        State::Disabled => {
            keep_an_admin(conn, &account, now)?;
            cut(conn, &account, "the account was disabled", now)?;
            "user-disable"
        }
    };
    accounts::set_state(conn, account.id, state)?;
    Ok(audit::write(conn, entry(what, &account.username, ""), now)?)
}

/// Changes a role and revocations. The role that it already has changes nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`].
pub fn set_role(conn: &Connection, name: &str, role: Role, now: u64) -> Result<(), ActError> {
    let account = find(conn, name)?;
    if account.role == role {
        return Ok(());
    }
    keep_an_admin(conn, &account, now)?;
    cut(conn, &account, "the role was changed", now)?;
    accounts::set_role(conn, account.id, role)?;
    Ok(audit::write(conn, entry("user-role", &account.username, role.as_str()), now)?)
}

/// Whether tickets of the old password stay good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tickets {
    /// They stay.
    Keep,
    /// They admit nobody any more.
    Revocation,
}

/// Writes a new password.
///
/// # Errors
/// [`ActError::NotFound`].
pub fn set_password(
    conn: &Connection,
    name: &str,
    phc: &str,
    tickets: Tickets,
    now: u64,
) -> Result<(), ActError> {
    let account = find(conn, name)?;
    let detail = match tickets {
        Tickets::Keep => "",
        Tickets::Revocation => {
            cut(conn, &account, "the password was changed", now)?;
            // Whoever has a device of this account needs the new password; its key alone renews nothing.
            devices::log_out_all(conn, account.id, None)?;
            "cut"
        }
    };
    accounts::set_phc(conn, account.id, phc)?;
    Ok(audit::write(conn, entry("user-passwd", &account.username, detail), now)?)
}

/// The start of a revocation: the next full second. Tickets count whole seconds, so a revocation "now" would spare those
/// issued earlier in this very second.
#[must_use]
pub fn revoked_from(now: u64) -> u64 {
    (now / 1_000).saturating_add(1).saturating_mul(1_000)
}

fn cut(conn: &Connection, account: &Account, reason: &str, now: u64) -> Result<(), ActError> {
    revoke_tickets(conn, account.id, &Revocation { peer: None, reason, by: OPERATOR }, now)
}

/// Which tickets of an account end, and why.
#[derive(Debug, Clone, Copy)]
pub struct Revocation<'a> {
    /// Those of this device alone, if not all.
    pub peer: Option<PeerKey>,
    /// Why, for people.
    pub reason: &'a str,
    /// Who wants it.
    pub by: &'a str,
}

/// Ends tickets that were issued before now: those of the account, or of one device.
///
/// # Errors
/// [`ActError::Store`].
pub fn revoke_tickets(
    conn: &Connection,
    account: AccountId,
    cut: &Revocation<'_>,
    now: u64,
) -> Result<(), ActError> {
    let (newest_revocation, newest_issue) = accounts::by_id(conn, account)?
        .map_or((0, 0), |account| (account.newest_revocation, account.newest_issue));
    // After every ticket that was issued, also in this very second after an earlier cut.
    let from = revoked_from(now).max(revoked_from(newest_issue)).max(newest_revocation);
    let row = SanctionRow {
        id: 0,
        kind: Kind::Revocation,
        account,
        peer: cut.peer,
        from,
        until: None,
        reason: cut.reason.to_owned(),
        by: cut.by.to_owned(),
        made_at: now,
    };
    sanctions::insert(conn, &row)?;
    Ok(accounts::raise_newest_revocation(conn, account, from)?)
}

/// Refuses what would leave a realm that has admins without one who can act.
///
/// # Errors
/// [`ActError::LastAdmin`].
pub(crate) fn keep_an_admin(
    conn: &Connection,
    account: &Account,
    now: u64,
) -> Result<(), ActError> {
    let is_acting = |account: &Account| {
        let enabled = account.role == Role::Admin && account.state == State::Enabled;
        Ok::<_, ActError>(enabled && !sanctions::is_banned(conn, account.id, now)?)
    };
    if !is_acting(account)? {
        return Ok(());
    }
    for (other, _devices) in accounts::list(conn)? {
        if other.id != account.id && is_acting(&other)? {
            return Ok(());
        }
    }
    Err(ActError::LastAdmin { name: account.username.clone() })
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

        fn sanctions(&self) -> Vec<SanctionRow> {
            sanctions::list(self.store.reader()).unwrap()
        }
    }

    #[test]
    fn an_account_is_made_and_found_in_any_spelling() {
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
            assert!(matches!(&error, ActError::Exists { name } if name == "scope"), "{error}");
        }
    }

    #[test]
    fn a_nickname_may_not_look_like_anybody_else() {
        let mut realm = Realm::new();
        realm.add("alice", Some("The Queen"), Role::Member).unwrap();
        for spoof in ["Alice", "AIice", "the queen", "Тhе Quееn"] {
            let error = realm.add("mallory", Some(spoof), Role::Member).unwrap_err();
            assert!(matches!(error, ActError::NicknameTaken), "{spoof}: {error}");
        }
        realm.add("bob", Some("Bobby"), Role::Member).unwrap();
    }

    #[test]
    fn a_new_username_goes_before_an_old_nickname() {
        let mut realm = Realm::new();
        realm.add("mallory", Some("Alice"), Role::Member).unwrap();
        realm.add("alice", None, Role::Member).unwrap();
        assert_eq!(realm.find("mallory").nickname, "mallory");
        assert_eq!(realm.find("alice").nickname, "alice");
    }

    #[test]
    fn disabling_and_role_changes_cut_from_the_next_second() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        realm.store.write(|tx| set_role(tx, "alice", Role::Moderator, NOW)).unwrap();
        realm.store.write(|tx| set_state(tx, "alice", State::Disabled, NOW + 5_000)).unwrap();
        let from: Vec<u64> = realm.sanctions().iter().map(|row| row.from).collect();
        assert_eq!(from, [10_001_000, 10_006_000]);
        assert_eq!(realm.find("alice").newest_revocation, 10_006_000);
        assert_eq!(revoked_from(5_000), 6_000, "a ticket of this second is cut too");
    }

    #[test]
    fn doing_it_twice_cuts_once() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        for _ in 0..2 {
            realm.store.write(|tx| set_state(tx, "alice", State::Disabled, NOW)).unwrap();
            realm.store.write(|tx| set_role(tx, "alice", Role::Guest, NOW)).unwrap();
        }
        assert_eq!(realm.sanctions().len(), 2);
    }

    #[test]
    fn a_password_cuts_on_request() {
        let mut realm = Realm::new();
        realm.add("alice", None, Role::Member).unwrap();
        realm.store.write(|tx| set_password(tx, "alice", "two", Tickets::Keep, NOW)).unwrap();
        assert!(realm.sanctions().is_empty());
        realm
            .store
            .write(|tx| set_password(tx, "alice", "three", Tickets::Revocation, NOW))
            .unwrap();
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
    fn roles_are_those_that_can_be_given() {
        assert_eq!(parse_role("admin").unwrap(), Role::Admin);
        for bad in ["authority", "Admin", "", "root"] {
            assert_eq!(parse_role(bad).unwrap_err().code(), Some("bad-field"), "{bad:?}");
        }
    }
}

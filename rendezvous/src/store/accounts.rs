//! Rows of `accounts`, with each name in the forms used for comparison.

use lanyard_protocol::ids::{AccountId, Role};
use rusqlite::{Row, ToSql, params};

use super::{Db, RowError, StoreError, bytes, from_sql, to_sql};
use crate::names::{Nickname, Username};

/// Whether an account may sign in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The account may sign in.
    Enabled,
    /// The operator has disabled the account.
    Disabled,
}

impl State {
    /// The word in the database and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// A row of `accounts`.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The random id that tickets carry.
    pub id: AccountId,
    /// The unique username.
    pub username: String,
    /// The username's skeleton: names that look alike have the same.
    pub skeleton: String,
    /// The display name.
    pub nickname: String,
    /// The role that its tickets carry.
    pub role: Role,
    /// The password's PHC string.
    pub phc: String,
    /// Whether it is enabled.
    pub state: State,
    /// When it was created.
    pub created_at: u64,
    /// The last sign-in; 0 for never.
    pub last_login_at: u64,
    /// The start of its latest revocation; 0 for none.
    pub newest_revocation: u64,
    /// The time of issue of its latest ticket, in milliseconds; 0 for none.
    pub newest_issue: u64,
    /// The end of its last ticket to end, in milliseconds; 0 for none.
    pub newest_expiry: u64,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A new account.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// A fresh random id.
    pub id: AccountId,
    /// The username.
    pub username: &'a Username,
    /// The display name.
    pub nickname: &'a Nickname,
    /// The role that its tickets will carry.
    pub role: Role,
    /// The password's PHC string.
    pub phc: &'a str,
}

const COLUMNS: &str = "account, username, skeleton, nickname, role, phc, state, created_at, last_login_at, newest_cut, newest_issue, newest_expiry";

fn read(row: &Row<'_>) -> Result<Account, RowError> {
    let (role, state): (String, String) = (row.get(4)?, row.get(6)?);
    let state = [State::Enabled, State::Disabled]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or(RowError::Impossible("account state"))?;
    Ok(Account {
        id: AccountId(bytes(row, 0, "account")?),
        username: row.get(1)?,
        skeleton: row.get(2)?,
        nickname: row.get(3)?,
        role: role.parse().map_err(|_no_role| RowError::Impossible("account"))?,
        phc: row.get(5)?,
        state,
        created_at: from_sql(row.get(7)?),
        last_login_at: from_sql(row.get(8)?),
        newest_revocation: from_sql(row.get(9)?),
        newest_issue: from_sql(row.get(10)?),
        newest_expiry: from_sql(row.get(11)?),
    })
}

/// The account that has this value in a column with unique values.
fn find(db: Db<'_>, column: &str, value: impl ToSql) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE {column} = ?1");
    db.row("read an account", &sql, [value], read)
}

/// The account with exactly this username.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn by_username(db: Db<'_>, username: &str) -> Result<Option<Account>, StoreError> {
    find(db, "username", username)
}

/// The account with this id.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn by_id(db: Db<'_>, id: AccountId) -> Result<Option<Account>, StoreError> {
    find(db, "account", id.0)
}

/// The account whose username has this skeleton.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn by_skeleton(db: Db<'_>, skeleton: &str) -> Result<Option<Account>, StoreError> {
    find(db, "skeleton", skeleton)
}

/// All accounts with the number of their devices, by username.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<(Account, u64)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT count(*) FROM devices WHERE devices.account = accounts.account AND logged_out = 0)
         FROM accounts ORDER BY username"
    );
    db.rows("list the accounts", &sql, [], |row| Ok((read(row)?, from_sql(row.get(12)?))))
}

/// The PHC strings of all accounts.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn phcs(db: Db<'_>) -> Result<Vec<String>, StoreError> {
    db.rows("read the passwords' costs", "SELECT phc FROM accounts", [], |row| Ok(row.get(0)?))
}

/// Whether another account's username or nickname looks like this nickname.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn nickname_is_taken(
    db: Db<'_>,
    nickname: &Nickname,
    but: AccountId,
) -> Result<bool, StoreError> {
    db.value(
        "compare nicknames",
        "SELECT EXISTS (SELECT 1 FROM accounts WHERE account <> ?1 AND (
             skeleton IN (?2, ?3) OR nickname_folded IN (?2, ?3) OR nickname_shape IN (?2, ?3)))",
        params![but.0, nickname.folded(), nickname.shape()],
    )
}

/// The accounts whose nickname looks like this username, apart from the account of the name itself.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn with_nickname_like(db: Db<'_>, username: &Username) -> Result<Vec<Account>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM accounts
         WHERE (nickname_folded = ?1 OR nickname_shape = ?1) AND skeleton <> ?1 ORDER BY username"
    );
    db.rows("compare nicknames", &sql, [username.skeleton()], read)
}

/// Adds an account.
///
/// # Errors
/// [`StoreError::Sql`], also if the name is taken.
pub fn insert(db: Db<'_>, new: &NewAccount<'_>, now: u64) -> Result<(), StoreError> {
    db.run(
        "add the account",
        "INSERT INTO accounts (account, username, skeleton, nickname, nickname_folded, nickname_shape,
             role, phc, state, created_at, last_login_at, newest_cut)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'enabled', ?9, 0, 0)",
        params![
            new.id.0,
            new.username.as_str(),
            new.username.skeleton(),
            new.nickname.as_str(),
            new.nickname.folded(),
            new.nickname.shape(),
            new.role.as_str(),
            new.phc,
            to_sql(now),
        ],
    )
}

/// Changes one column of an account to `?2`.
fn set(
    db: Db<'_>,
    id: AccountId,
    what: &'static str,
    change: &str,
    value: impl ToSql,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE accounts SET {change} WHERE account = ?1");
    db.run(what, &sql, params![id.0, value])
}

/// Writes the role.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_role(db: Db<'_>, id: AccountId, role: Role) -> Result<(), StoreError> {
    set(db, id, "write the role", "role = ?2", role.as_str())
}

/// Writes the state.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_state(db: Db<'_>, id: AccountId, state: State) -> Result<(), StoreError> {
    set(db, id, "write the state", "state = ?2", state.as_str())
}

/// Writes the password's PHC string.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_phc(db: Db<'_>, id: AccountId, phc: &str) -> Result<(), StoreError> {
    set(db, id, "write the password", "phc = ?2", phc)
}

/// Replaces a PHC string with one of a higher cost, unless the password has changed since it was read.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn rehash(db: Db<'_>, id: AccountId, old: &str, new: &str) -> Result<(), StoreError> {
    db.run(
        "renew the password's hash",
        "UPDATE accounts SET phc = ?3 WHERE account = ?1 AND phc = ?2",
        params![id.0, old, new],
    )
}

/// Writes the nickname with its skeletons.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_nickname(db: Db<'_>, id: AccountId, nickname: &Nickname) -> Result<(), StoreError> {
    db.run(
        "write the nickname",
        "UPDATE accounts SET nickname = ?2, nickname_folded = ?3, nickname_shape = ?4 WHERE account = ?1",
        params![id.0, nickname.as_str(), nickname.folded(), nickname.shape()],
    )
}

/// Records a sign-in.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_last_login(db: Db<'_>, id: AccountId, now: u64) -> Result<(), StoreError> {
    set(db, id, "remember the sign-in", "last_login_at = max(last_login_at, ?2)", to_sql(now))
}

/// Records the start of a revocation; an earlier one changes nothing.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn raise_newest_revocation(db: Db<'_>, id: AccountId, from: u64) -> Result<(), StoreError> {
    set(db, id, "remember the revocation", "newest_cut = max(newest_cut, ?2)", to_sql(from))
}

/// Records a ticket by its time of issue and its end, in milliseconds; earlier ones change nothing.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn record_ticket(
    db: Db<'_>,
    id: AccountId,
    issued_at: u64,
    expires_at: u64,
) -> Result<(), StoreError> {
    let what = "remember the ticket";
    set(db, id, what, "newest_issue = max(newest_issue, ?2)", to_sql(issued_at))?;
    set(db, id, what, "newest_expiry = max(newest_expiry, ?2)", to_sql(expires_at))
}

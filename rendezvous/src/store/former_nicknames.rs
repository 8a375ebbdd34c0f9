//! Rows of `former_nicknames`: names that an account no longer has, but that its tickets may still carry.

use lanyard_protocol::ids::AccountId;
use rusqlite::{Row, params};

use super::{Db, RowError, StoreError, bytes, from_sql, to_sql};
use crate::names::Nickname;

/// A row of `former_nicknames`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerRow {
    /// The account that had the name.
    pub account: AccountId,
    folded: String,
    shape: String,
    /// The end of its last ticket that may carry the name, realm time in milliseconds.
    pub ends_at: u64,
}

impl FormerRow {
    /// Whether it is this nickname, apart from its case.
    #[must_use]
    pub fn is(&self, nickname: &Nickname) -> bool {
        (self.folded.as_str(), self.shape.as_str()) == (nickname.folded(), nickname.shape())
    }
}

const SELECT: &str = "SELECT account, folded, shape, ends_at FROM former_nicknames";

fn read(row: &Row<'_>) -> Result<FormerRow, RowError> {
    Ok(FormerRow {
        account: AccountId(bytes(row, 0, "former nickname")?),
        folded: row.get(1)?,
        shape: row.get(2)?,
        ends_at: from_sql(row.get(3)?),
    })
}

/// The former nicknames that look like one of these skeletons and may still be in use at `now`.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn like(db: Db<'_>, folded: &str, shape: &str, now: u64) -> Result<Vec<FormerRow>, StoreError> {
    let sql = format!("{SELECT} WHERE ends_at > ?3 AND (folded IN (?1, ?2) OR shape IN (?1, ?2))");
    db.rows("compare former nicknames", &sql, params![folded, shape, to_sql(now)], read)
}

/// The former nicknames of an account that may still be in use at `now`.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn of(db: Db<'_>, account: AccountId, now: u64) -> Result<Vec<FormerRow>, StoreError> {
    let sql = format!("{SELECT} WHERE account = ?1 AND ends_at > ?2");
    db.rows("read former nicknames", &sql, params![account.0, to_sql(now)], read)
}

/// Adds the present nickname of an account, before it gets another.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn add_present(db: Db<'_>, account: AccountId, ends_at: u64) -> Result<(), StoreError> {
    db.run(
        "reserve the former nickname",
        "INSERT INTO former_nicknames (account, folded, shape, ends_at)
         SELECT account, nickname_folded, nickname_shape, ?2 FROM accounts WHERE account = ?1
         ON CONFLICT (account, folded, shape) DO UPDATE SET ends_at = max(ends_at, excluded.ends_at)",
        params![account.0, to_sql(ends_at)],
    )
}

/// Forgets a former nickname that the account has taken back.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn forget(db: Db<'_>, account: AccountId, nickname: &Nickname) -> Result<(), StoreError> {
    db.run(
        "take a nickname back",
        "DELETE FROM former_nicknames WHERE account = ?1 AND folded = ?2 AND shape = ?3",
        params![account.0, nickname.folded(), nickname.shape()],
    )
}

/// Forgets the former nicknames of an account, whose earlier tickets are all revoked.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn forget_all(db: Db<'_>, account: AccountId) -> Result<(), StoreError> {
    db.run("forget nicknames", "DELETE FROM former_nicknames WHERE account = ?1", [account.0])
}

/// Forgets those that no ticket carries any more.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn forget_ended(db: Db<'_>, now: u64) -> Result<(), StoreError> {
    db.run("forget nicknames", "DELETE FROM former_nicknames WHERE ends_at <= ?1", [to_sql(now)])
}

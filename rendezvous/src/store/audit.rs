//! Rows of `audit`: who did what, and when. A trigger keeps the table append-only.

use rusqlite::params;

use super::{Db, StoreError, from_sql, to_sql};

/// The name under which the command line acts.
pub const OPERATOR: &str = "operator";

/// A new entry. No field is meant for a password or a message, and neither may go into `detail`.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The actor: `operator`, or a username.
    pub who: &'a str,
    /// The act, as a short word.
    pub what: &'a str,
    /// The account, room or rule that it concerns; may be empty.
    pub target: &'a str,
    /// Further details for people; may be empty.
    pub detail: &'a str,
}

impl<'a> Entry<'a> {
    /// An entry about an act of the operator.
    #[must_use]
    pub fn operator(what: &'a str, target: &'a str, detail: &'a str) -> Self {
        Self { who: OPERATOR, what, target, detail }
    }
}

/// Writes an entry in the transaction of the act itself.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn write(db: Db<'_>, entry: Entry<'_>, now: u64) -> Result<(), StoreError> {
    db.run(
        "write the audit log",
        "INSERT INTO audit (at, who, what, target, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![to_sql(now), entry.who, entry.what, entry.target, entry.detail],
    )
}

/// A row of `audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The time of the act, realm time in milliseconds.
    pub at: u64,
    /// The actor: `operator`, or a username.
    pub who: String,
    /// The act, as a short word.
    pub what: String,
    /// The account, room or rule that it concerns; may be empty.
    pub target: String,
    /// Further details for people; may be empty.
    pub detail: String,
}

/// The last `count` entries, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn last(db: Db<'_>, count: u64) -> Result<Vec<EntryRow>, StoreError> {
    db.rows(
        "read the audit log",
        "SELECT at, who, what, target, detail FROM
             (SELECT * FROM audit ORDER BY entry DESC LIMIT ?1) ORDER BY entry",
        [to_sql(count)],
        |row| {
            Ok(EntryRow {
                at: from_sql(row.get(0)?),
                who: row.get(1)?,
                what: row.get(2)?,
                target: row.get(3)?,
                detail: row.get(4)?,
            })
        },
    )
}

//! Rows of `audit`: who did what when. Append-only, and a trigger sees to it.

use rusqlite::{Connection, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// Who works on the command line.
pub const OPERATOR: &str = "operator";

/// An entry. There is no field for a password or a message, and none may be put into `detail`.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Who did it: `operator`, or a username.
    pub who: &'a str,
    /// What, as a short word.
    pub what: &'a str,
    /// To whom or what.
    pub target: &'a str,
    /// How.
    pub detail: &'a str,
}

/// Writes an entry, in the transaction of the act itself.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn write(conn: &Connection, entry: Entry<'_>, now: u64) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO audit (at, who, what, target, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![to_sql(now), entry.who, entry.what, entry.target, entry.detail],
    )
    .doing("write the audit log")?;
    Ok(())
}

/// An entry as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// When, realm time in milliseconds.
    pub at: u64,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// To whom or what.
    pub target: String,
    /// How.
    pub detail: String,
}

/// The last entries, oldest of them first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn last(conn: &Connection, count: u64) -> Result<Vec<EntryRow>, StoreError> {
    let what = "read the audit log";
    let mut statement = conn
        .prepare(
            "SELECT at, who, what, target, detail FROM
                 (SELECT * FROM audit ORDER BY entry DESC LIMIT ?1) ORDER BY entry",
        )
        .doing(what)?;
    let rows = statement
        .query_map([to_sql(count)], |row| {
            Ok(EntryRow {
                at: from_sql(row.get(0)?),
                who: row.get(1)?,
                what: row.get(2)?,
                target: row.get(3)?,
                detail: row.get(4)?,
            })
        })
        .doing(what)?;
    rows.map(|row| row.doing(what)).collect()
}

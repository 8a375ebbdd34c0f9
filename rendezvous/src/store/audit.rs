//! Rows of `audit`: who did what when. Append-only, and a trigger sees to it.

use rusqlite::{Connection, params};

use super::{Doing as _, StoreError, to_sql};

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

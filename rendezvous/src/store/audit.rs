//! Rows of `audit`: who did what, and when. A trigger keeps the table append-only.
//!
//! Since nothing is ever deleted, members must not be able to fill it: what they may do again and again is written with
//! [`write_repeated`], which writes one entry per hour and counts the rest.

use lanyard_protocol::time::HOUR_MS;
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

/// Writes an entry about an act that its actor may repeat without limit. Within an hour of an equal entry, the act is only
/// counted, and the next such entry says how often.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn write_repeated(db: Db<'_>, entry: Entry<'_>, now: u64) -> Result<(), StoreError> {
    let Entry { who, what, target, detail } = entry;
    let key = [who, what, target, detail];
    let counted = db.change(
        "count in the audit log",
        "UPDATE audit_repeats SET repeated = repeated + 1
         WHERE who = ?1 AND what = ?2 AND target = ?3 AND detail = ?4 AND written BETWEEN ?5 AND ?6",
        params![who, what, target, detail, to_sql(now.saturating_sub(HOUR_MS - 1)), to_sql(now)],
    )?;
    if counted > 0 {
        return Ok(());
    }
    let repeated = db.row(
        "count in the audit log",
        "SELECT repeated FROM audit_repeats WHERE who = ?1 AND what = ?2 AND target = ?3 AND detail = ?4",
        key,
        |row| Ok(from_sql(row.get(0)?)),
    )?;
    let more = match repeated.unwrap_or(0) {
        0 => String::new(),
        repeated => format!(" ({repeated} more since the last such entry)"),
    };
    db.run(
        "count in the audit log",
        "INSERT INTO audit_repeats (who, what, target, detail, written, repeated) VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (who, what, target, detail) DO UPDATE SET written = excluded.written, repeated = 0",
        params![who, what, target, detail, to_sql(now)],
    )?;
    write(db, Entry { detail: &format!("{detail}{more}"), ..entry }, now)
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

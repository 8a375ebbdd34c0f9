//! What is dated later than now, after the clock was ahead: it begins now instead.

use rusqlite::{Connection, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// How many accounts have tickets that begin later than this.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn tickets_after(conn: &Connection, now: u64) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM accounts WHERE newest_issue > ?1";
    conn.query_row(sql, [to_sql(now)], |row| row.get(0)).doing("count the tickets").map(from_sql)
}

/// Brings rules, rooms, sanctions and revocations that are dated later back to now. A sanction keeps its length. Tickets and
/// the audit log stay as they are: they are facts.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn bring_back(conn: &Connection, now: u64) -> Result<(), StoreError> {
    let bring_back = [
        "UPDATE sanctions SET ends_at = ends_at - (starts_at - ?1) WHERE starts_at > ?1 AND ends_at > 0",
        "UPDATE sanctions SET starts_at = ?1 WHERE starts_at > ?1",
        "UPDATE sanctions SET made_at = ?1 WHERE made_at > ?1",
        "UPDATE rules SET starts_at = ?1 WHERE starts_at > ?1",
        "UPDATE rooms SET archived_at = ?1 WHERE archived_at > ?1",
        "UPDATE room_posts SET starts_at = ?1 WHERE starts_at > ?1",
        "UPDATE accounts SET newest_cut = ?1 WHERE newest_cut > ?1",
        "UPDATE accounts SET newest_issue = ?1 WHERE newest_issue > ?1",
        "UPDATE accounts SET last_login_at = ?1 WHERE last_login_at > ?1",
    ];
    for sql in bring_back {
        conn.execute(sql, params![to_sql(now)]).doing("bring the dates back")?;
    }
    Ok(())
}

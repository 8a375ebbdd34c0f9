//! Rows dated later than now, because the clock was ahead: their dates are brought back.

use super::{Db, StoreError, from_sql, to_sql};

/// The number of accounts with tickets that begin later than `now`.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn tickets_after(db: Db<'_>, now: u64) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM accounts WHERE newest_issue > ?1";
    db.value("count the tickets", sql, [to_sql(now)]).map(from_sql)
}

/// Brings the dates of rules, rooms, sanctions and revocations back to now if they are later. A sanction keeps its
/// length. Tickets and the audit log stay as they are, because they record what has happened.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn bring_back(db: Db<'_>, now: u64) -> Result<(), StoreError> {
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
    bring_back.iter().try_for_each(|sql| db.run("bring the dates back", sql, [to_sql(now)]))
}

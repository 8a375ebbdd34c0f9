//! Rows of `rules`, dated: the last one is in force.

use lanyard_protocol::policy::{Limits, Registration};
use rusqlite::{Row, params};

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

const COLUMNS: &str = "starts_at, max_text_bytes, per_minute, guest_per_minute, per_day, ticket_lifetime_s, retention_days, devices_max";

fn read(row: &Row<'_>) -> rusqlite::Result<Limits> {
    Ok(Limits {
        from: from_sql(row.get(0)?),
        max_text_bytes: from_sql(row.get(1)?),
        per_minute: from_sql(row.get(2)?),
        guest_per_minute: from_sql(row.get(3)?),
        per_day: from_sql(row.get(4)?),
        ticket_lifetime_s: from_sql(row.get(5)?),
        retention_days: from_sql(row.get(6)?),
        registration: Registration::Closed,
        devices_max: from_sql(row.get(7)?),
    })
}

/// The rules in force.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn newest(db: Db<'_>) -> Result<Limits, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rules ORDER BY rule DESC LIMIT 1");
    db.0.query_row(&sql, [], read).doing("read the rules")
}

/// All rules, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<Limits>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rules ORDER BY rule");
    db.rows("read the rules", &sql, [], |row| Ok(read(row)?))
}

/// Adds rules, which are in force from then on.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn insert(db: Db<'_>, rules: &Limits) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO rules ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    let Limits { from, max_text_bytes, per_minute, guest_per_minute, per_day, .. } = *rules;
    db.run(
        "write the rules",
        &sql,
        params![
            to_sql(from),
            to_sql(max_text_bytes),
            to_sql(per_minute),
            to_sql(guest_per_minute),
            to_sql(per_day),
            to_sql(rules.ticket_lifetime_s),
            to_sql(rules.retention_days),
            to_sql(rules.devices_max),
        ],
    )
}

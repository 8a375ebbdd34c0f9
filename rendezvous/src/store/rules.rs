//! Rows of `rules`, dated: the last one is in force.

use rusqlite::{Row, params};

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

/// A row of `rules`; the fields are those of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Its start, realm time in milliseconds.
    pub starts_at: u64,
    /// The longest text, in bytes.
    pub max_text_bytes: u64,
    /// Messages per account and minute; 0 for no limit.
    pub per_minute: u64,
    /// The same for guests.
    pub guest_per_minute: u64,
    /// Messages per account and UTC day; 0 for no limit.
    pub per_day: u64,
    /// The lifetime of a ticket, in seconds.
    pub ticket_lifetime_s: u64,
    /// How long messages are kept, in days.
    pub retention_days: u64,
    /// Who may create an account without the operator: `closed` means nobody.
    pub registration: String,
}

const COLUMNS: &str = "starts_at, max_text_bytes, per_minute, guest_per_minute, per_day, ticket_lifetime_s, retention_days, registration";

fn read(row: &Row<'_>) -> rusqlite::Result<RuleRow> {
    Ok(RuleRow {
        starts_at: from_sql(row.get(0)?),
        max_text_bytes: from_sql(row.get(1)?),
        per_minute: from_sql(row.get(2)?),
        guest_per_minute: from_sql(row.get(3)?),
        per_day: from_sql(row.get(4)?),
        ticket_lifetime_s: from_sql(row.get(5)?),
        retention_days: from_sql(row.get(6)?),
        registration: row.get(7)?,
    })
}

/// The rules in force.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn newest(db: Db<'_>) -> Result<RuleRow, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rules ORDER BY rule DESC LIMIT 1");
    db.0.query_row(&sql, [], read).doing("read the rules")
}

/// All rules, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<RuleRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rules ORDER BY rule");
    let mut statement = db.0.prepare(&sql).doing("read the rules")?;
    let rows = statement.query_map([], read).doing("read the rules")?;
    rows.map(|row| row.doing("read the rules")).collect()
}

/// Adds rules, which are in force from then on.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn insert(db: Db<'_>, rule: &RuleRow) -> Result<(), StoreError> {
    db.run(
        "write the rules",
        "INSERT INTO rules (starts_at, max_text_bytes, per_minute, guest_per_minute, per_day,
             ticket_lifetime_s, retention_days, registration) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            to_sql(rule.starts_at),
            to_sql(rule.max_text_bytes),
            to_sql(rule.per_minute),
            to_sql(rule.guest_per_minute),
            to_sql(rule.per_day),
            to_sql(rule.ticket_lifetime_s),
            to_sql(rule.retention_days),
            rule.registration,
        ],
    )
}

//! Rows of `meta`: the few values that are one per database.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Doing as _, StoreError};

/// The realm's display name.
pub const REALM_NAME: &str = "realm_name";
/// The port that the login server used last.
pub const DESK_PORT: &str = "desk_port";
/// The port that the authority peer used last.
pub const AUTHORITY_PORT: &str = "member_port";
/// The largest realm time that was ever signed, in milliseconds.
pub const TIME_MARK: &str = "time_mark";
/// When the clock was last known to be right: see [`crate::timekeeping`].
pub const CLOCK_ANCHOR: &str = "clock_anchor";
/// The realm's PeerId, so that commands without the key can name it.
pub const REALM_ID: &str = "realm_id";

/// A value as text.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn text(conn: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .doing("read a setting")
}

/// A value as a number; `None` also if it is none.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn number(conn: &Connection, key: &str) -> Result<Option<u64>, StoreError> {
    Ok(text(conn, key)?.and_then(|value| value.parse().ok()))
}

/// Writes a value.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set(conn: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, value],
    )
    .doing("write a setting")?;
    Ok(())
}

/// Realm time: the clock, but never behind the largest time that was ever signed. Nothing is signed while the two are
/// far apart ([`crate::timekeeping`]); this holds time up for the seconds in which a clock is set back a little.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn realm_now(conn: &Connection, clock_ms: u64) -> Result<u64, StoreError> {
    Ok(clock_ms.max(number(conn, TIME_MARK)?.unwrap_or(0)))
}

/// Remembers a time that was signed.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn raise_time_mark(conn: &Connection, signed_ms: u64) -> Result<(), StoreError> {
    if number(conn, TIME_MARK)?.unwrap_or(0) < signed_ms {
        set(conn, TIME_MARK, &signed_ms.to_string())?;
    }
    Ok(())
}

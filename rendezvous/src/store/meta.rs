//! Rows of `meta`: the few values that a database has once.

use super::{Db, StoreError};

/// The realm's display name.
pub const REALM_NAME: &str = "realm_name";
/// The port that the login server used last.
pub const LOGIN_PORT: &str = "desk_port";
/// The port that the authority peer used last.
pub const AUTHORITY_PORT: &str = "member_port";
/// The largest realm time ever signed, in milliseconds.
pub const TIME_MARK: &str = "time_mark";
/// When the clock was last known to be right: see [`crate::clock::timekeeping`].
pub const CLOCK_ANCHOR: &str = "clock_anchor";
/// The realm's PeerId, for commands, which do not read the key.
pub const REALM_ID: &str = "realm_id";

/// A value as text.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn text(db: Db<'_>, key: &str) -> Result<Option<String>, StoreError> {
    db.row("read a setting", "SELECT value FROM meta WHERE key = ?1", [key], |row| Ok(row.get(0)?))
}

/// A value as a number; `None` also if it is not a number.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn number(db: Db<'_>, key: &str) -> Result<Option<u64>, StoreError> {
    Ok(text(db, key)?.and_then(|value| value.parse().ok()))
}

/// Writes a value.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set(db: Db<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    db.run(
        "write a setting",
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )
}

/// Realm time: the clock, but never behind the largest time ever signed. While the two are far apart nothing is signed
/// ([`crate::clock::timekeeping`]); this rule covers the seconds after a clock was set back a little.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn realm_now(db: Db<'_>, clock_ms: u64) -> Result<u64, StoreError> {
    Ok(clock_ms.max(number(db, TIME_MARK)?.unwrap_or(0)))
}

/// Records a time that has been signed.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn raise_time_mark(db: Db<'_>, signed_ms: u64) -> Result<(), StoreError> {
    if number(db, TIME_MARK)?.unwrap_or(0) < signed_ms {
        set(db, TIME_MARK, &signed_ms.to_string())?;
    }
    Ok(())
}

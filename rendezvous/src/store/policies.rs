//! Rows of `policies`: what was signed, byte for byte, and of which rows it was made.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// Signed policies that are kept: the last one is in use, the others are for looking back.
const KEPT: i64 = 10;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPolicy {
    /// Its number.
    pub number: u64,
    /// The exact signed bytes.
    pub document: Vec<u8>,
    /// The fingerprint of the rows that it was made of.
    pub fingerprint: [u8; 32],
    /// When it was signed.
    pub signed_at: u64,
}

/// The policy in force.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn newest(conn: &Connection) -> Result<Option<SignedPolicy>, StoreError> {
    let row = conn
        .query_row(
            "SELECT number, document, fingerprint, signed_at FROM policies ORDER BY number DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, row.get(3)?)),
        )
        .optional()
        .doing("read the policy")?;
    let Some((number, document, fingerprint, signed_at)) = row else { return Ok(None) };
    let fingerprint = <[u8; 32]>::try_from(fingerprint)
        .map_err(|_length| StoreError::Row { what: "policy fingerprint" })?;
    let (number, signed_at) = (from_sql(number), from_sql(signed_at));
    Ok(Some(SignedPolicy { number, document, fingerprint, signed_at }))
}

/// The number of the policy in force; 0 before the first.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn newest_number(conn: &Connection) -> Result<u64, StoreError> {
    conn.query_row("SELECT coalesce(max(number), 0) FROM policies", [], |row| row.get(0))
        .doing("read the policy")
        .map(from_sql)
}

/// Stores a signed policy and lets go of the oldest ones.
///
/// # Errors
/// [`StoreError::Sql`], also if the number is taken.
pub fn insert(conn: &Connection, policy: &SignedPolicy) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO policies (number, document, fingerprint, signed_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            to_sql(policy.number),
            policy.document,
            policy.fingerprint.as_slice(),
            to_sql(policy.signed_at)
        ],
    )
    .doing("store the policy")?;
    conn.execute(
        "DELETE FROM policies WHERE number NOT IN (SELECT number FROM policies ORDER BY number DESC LIMIT ?1)",
        [KEPT],
    )
    .doing("drop old policies")?;
    Ok(())
}

/// Forgets of which rows the newest policy was made, so that the next look signs a new one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn outdate(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE policies SET fingerprint = zeroblob(32)", [])
        .doing("outdate the policy")?;
    Ok(())
}

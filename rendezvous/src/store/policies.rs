//! Rows of `policies`: each signed policy byte for byte, and a fingerprint of the rows from which it was made.

use rusqlite::{OptionalExtension as _, params};

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

/// How many signed policies are kept: the last one is in force, the others help to look back.
const KEPT: i64 = 10;

/// A row of `policies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// The number of the policy.
    pub number: u64,
    /// The signed bytes.
    pub document: Vec<u8>,
    /// The fingerprint of the rows from which it was made.
    pub fingerprint: [u8; 32],
    /// The time of the signature.
    pub signed_at: u64,
}

/// The policy in force.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn newest(db: Db<'_>) -> Result<Option<PolicyRow>, StoreError> {
    let row = db.0
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
    Ok(Some(PolicyRow { number, document, fingerprint, signed_at }))
}

/// The number of the policy in force; 0 before the first.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn newest_number(db: Db<'_>) -> Result<u64, StoreError> {
    db.0.query_row("SELECT coalesce(max(number), 0) FROM policies", [], |row| row.get(0))
        .doing("read the policy")
        .map(from_sql)
}

/// Stores a signed policy and drops the oldest ones.
///
/// # Errors
/// [`StoreError::Sql`], also if the number is taken.
pub fn insert(db: Db<'_>, policy: &PolicyRow) -> Result<(), StoreError> {
    db.0.execute(
        "INSERT INTO policies (number, document, fingerprint, signed_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            to_sql(policy.number),
            policy.document,
            policy.fingerprint.as_slice(),
            to_sql(policy.signed_at)
        ],
    )
    .doing("store the policy")?;
    db.run(
        "drop old policies",
        "DELETE FROM policies WHERE number NOT IN (SELECT number FROM policies ORDER BY number DESC LIMIT ?1)",
        [KEPT],
    )
}

/// Forgets the fingerprints, so that `serve` signs a new policy.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn outdate(db: Db<'_>) -> Result<(), StoreError> {
    db.run("outdate the policy", "UPDATE policies SET fingerprint = zeroblob(32)", [])
}

//! Rows of `policies`: each signed policy byte for byte, and a fingerprint of the rows from which it was made.

use rusqlite::params;

use super::{Db, StoreError, bytes, from_sql, to_sql};

/// How many signed policies are kept: the last one is in force, the others are kept for reference.
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
    db.row(
        "read the policy",
        "SELECT number, document, fingerprint, signed_at FROM policies ORDER BY number DESC LIMIT 1",
        [],
        |row| {
            Ok(PolicyRow {
                number: from_sql(row.get(0)?),
                document: row.get(1)?,
                fingerprint: bytes(row, 2, "policy fingerprint")?,
                signed_at: from_sql(row.get(3)?),
            })
        },
    )
}

/// The number of the policy in force; 0 before the first.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn newest_number(db: Db<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) FROM policies";
    db.value("read the policy", sql, []).map(from_sql)
}

/// Stores a signed policy and drops the oldest ones.
///
/// # Errors
/// [`StoreError::Sql`], also if the number is taken.
pub fn insert(db: Db<'_>, policy: &PolicyRow) -> Result<(), StoreError> {
    let PolicyRow { number, document, fingerprint, signed_at } = policy;
    db.run(
        "store the policy",
        "INSERT INTO policies (number, document, fingerprint, signed_at) VALUES (?1, ?2, ?3, ?4)",
        params![to_sql(*number), document, fingerprint, to_sql(*signed_at)],
    )?;
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

//! Rows of `devices`: the peer keys with which an account has signed in.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::params;

use super::{Db, StoreError, bytes, from_sql, to_sql};

/// What a login needs to know about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its number within the account, from 1.
    pub number: u64,
    /// The end of its last ticket.
    pub last_expiry: u64,
    /// Whether it was logged out; its key then renews no ticket.
    pub logged_out: bool,
}

/// The device with this key, in this account.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn find(db: Db<'_>, account: AccountId, peer: PeerKey) -> Result<Option<Device>, StoreError> {
    db.row(
        "read a device",
        "SELECT number, last_expiry, logged_out FROM devices WHERE account = ?1 AND peer = ?2",
        params![account.0, peer.0],
        |row| {
            Ok(Device {
                number: from_sql(row.get(0)?),
                last_expiry: from_sql(row.get(1)?),
                logged_out: row.get(2)?,
            })
        },
    )
}

/// A row of `devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its number within the account.
    pub number: u64,
    /// Its peer key.
    pub peer: PeerKey,
    /// The name it gave itself; may be empty.
    pub label: String,
    /// Its first sign-in.
    pub first_seen: u64,
    /// When its last ticket was issued.
    pub last_login: u64,
    /// When that ticket expires.
    pub last_expiry: u64,
    /// Whether it was logged out; its key then renews no ticket.
    pub logged_out: bool,
}

/// The devices of an account, by number.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
    db.rows(
        "read the devices",
        "SELECT number, peer, label, first_seen, last_login, last_expiry, logged_out FROM devices
         WHERE account = ?1 ORDER BY number",
        [account.0],
        |row| {
            Ok(DeviceRow {
                number: from_sql(row.get(0)?),
                peer: PeerKey(bytes(row, 1, "device")?),
                label: row.get(2)?,
                first_seen: from_sql(row.get(3)?),
                last_login: from_sql(row.get(4)?),
                last_expiry: from_sql(row.get(5)?),
                logged_out: row.get(6)?,
            })
        },
    )
}

/// Logs one device out.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn log_out(db: Db<'_>, account: AccountId, number: u64) -> Result<(), StoreError> {
    db.run(
        "log the device out",
        "UPDATE devices SET logged_out = 1 WHERE account = ?1 AND number = ?2",
        params![account.0, to_sql(number)],
    )
}

/// Registers a sign-in of this key and returns its number, which is new for a new key. A device that was logged out
/// is logged in again.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn sign_in(
    db: Db<'_>,
    account: AccountId,
    peer: PeerKey,
    label: &str,
    now: u64,
    expires_at: u64,
) -> Result<u64, StoreError> {
    let number = db.value(
        "register the device",
        "INSERT INTO devices (account, number, peer, label, first_seen, last_login, last_expiry, logged_out)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM devices WHERE account = ?1), ?2, ?5, ?3, ?3, ?4, 0)
         ON CONFLICT (account, peer) DO UPDATE SET
             last_login = excluded.last_login, last_expiry = max(last_expiry, excluded.last_expiry), logged_out = 0, label = coalesce(nullif(excluded.label, ''), label)
         RETURNING number",
        params![account.0, peer.0, to_sql(now), to_sql(expires_at), label],
    );
    number.map(from_sql)
}

/// Logs all devices of an account out, except for `but`.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn log_out_all(db: Db<'_>, account: AccountId, but: Option<PeerKey>) -> Result<(), StoreError> {
    let but = but.map_or(Vec::new(), |peer| peer.0.to_vec());
    db.run(
        "log devices out",
        "UPDATE devices SET logged_out = 1 WHERE account = ?1 AND peer <> ?2 AND logged_out = 0",
        params![account.0, but],
    )
}

//! Rows of `devices`: the peer keys with which an account has signed in.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::{OptionalExtension as _, params};

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

/// What a login needs of a device.
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
    db.0.query_row(
        "SELECT number, last_expiry, logged_out FROM devices WHERE account = ?1 AND peer = ?2",
        params![account.0.as_slice(), peer.0.as_slice()],
        |row| {
            Ok(Device {
                number: from_sql(row.get(0)?),
                last_expiry: from_sql(row.get(1)?),
                logged_out: row.get(2)?,
            })
        },
    )
    .optional()
    .doing("read a device")
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
    /// The issue of its last ticket.
    pub last_login: u64,
    /// The end of that ticket.
    pub last_expiry: u64,
    /// Whether it was logged out; its key then renews no ticket.
    pub logged_out: bool,
}

/// The devices of an account, by number.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
    let what = "read the devices";
    let mut statement = db.0
        .prepare(
            "SELECT number, label, first_seen, last_login, last_expiry, logged_out, peer FROM devices
             WHERE account = ?1 ORDER BY number",
        )
        .doing(what)?;
    let rows = statement
        .query_map([account.0.as_slice()], |row| {
            let peer: Vec<u8> = row.get(6)?;
            let Some(peer) = PeerKey::from_slice(&peer) else { return Ok(None) };
            Ok(Some(DeviceRow {
                number: from_sql(row.get(0)?),
                peer,
                label: row.get(1)?,
                first_seen: from_sql(row.get(2)?),
                last_login: from_sql(row.get(3)?),
                last_expiry: from_sql(row.get(4)?),
                logged_out: row.get(5)?,
            }))
        })
        .doing(what)?;
    rows.map(|row| row.doing(what)?.ok_or(StoreError::Row { what: "device" })).collect()
}

/// Logs one device out.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn log_out(db: Db<'_>, account: AccountId, number: u64) -> Result<(), StoreError> {
    db.run(
        "log the device out",
        "UPDATE devices SET logged_out = 1 WHERE account = ?1 AND number = ?2",
        params![account.0.as_slice(), to_sql(number)],
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
    db.0.query_row(
        "INSERT INTO devices (account, number, peer, label, first_seen, last_login, last_expiry, logged_out)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM devices WHERE account = ?1), ?2, ?5, ?3, ?3, ?4, 0)
         ON CONFLICT (account, peer) DO UPDATE SET
             last_login = excluded.last_login, last_expiry = excluded.last_expiry, logged_out = 0, label = coalesce(nullif(excluded.label, ''), label)
         RETURNING number",
        params![account.0.as_slice(), peer.0.as_slice(), to_sql(now), to_sql(expires_at), label],
        |row| row.get(0),
    )
    .doing("register the device")
    .map(from_sql)
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
        params![account.0.as_slice(), but],
    )
}

//! Rows of `devices`: the peer keys that an account has signed in with.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its number within the account, from 1.
    pub number: u64,
    /// When its last ticket ends.
    pub last_expiry: u64,
    /// Whether it was logged out; its key then renews nothing.
    pub logged_out: bool,
}

/// The device of this key in this account.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn find(
    conn: &Connection,
    account: AccountId,
    peer: PeerKey,
) -> Result<Option<Device>, StoreError> {
    conn.query_row(
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

/// A row as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its number within the account.
    pub number: u64,
    /// Its key.
    pub peer: PeerKey,
    /// What it calls itself; may be empty.
    pub label: String,
    /// When it signed in for the first time.
    pub first_seen: u64,
    /// When it got its last ticket.
    pub last_login: u64,
    /// When that ends.
    pub last_expiry: u64,
    /// Whether it was logged out.
    pub logged_out: bool,
}

/// The devices of an account, by number.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(conn: &Connection, account: AccountId) -> Result<Vec<DeviceRow>, StoreError> {
    let what = "read the devices";
    let mut statement = conn
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
pub fn log_out(conn: &Connection, account: AccountId, number: u64) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE devices SET logged_out = 1 WHERE account = ?1 AND number = ?2",
        params![account.0.as_slice(), to_sql(number)],
    )
    .doing("log the device out")?;
    Ok(())
}

/// The accounts that this key has signed in to and not been logged out of, latest sign-in first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn accounts_of(conn: &Connection, peer: PeerKey) -> Result<Vec<AccountId>, StoreError> {
    let mut statement = conn
        .prepare(
            "SELECT account FROM devices WHERE peer = ?1 AND logged_out = 0 ORDER BY last_login DESC",
        )
        .doing("read a device")?;
    let rows = statement
        .query_map([peer.0.as_slice()], |row| row.get::<_, Vec<u8>>(0))
        .doing("read a device")?;
    rows.map(|row| {
        AccountId::from_slice(&row.doing("read a device")?)
            .ok_or(StoreError::Row { what: "device" })
    })
    .collect()
}

/// Registers a sign-in of this key and gives its number, a new one for a new key.
/// A password brings a logged-out device back.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn sign_in(
    conn: &Connection,
    account: AccountId,
    peer: PeerKey,
    label: &str,
    now: u64,
    expires_at: u64,
) -> Result<u64, StoreError> {
    conn.query_row(
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

/// Logs all devices of an account out, but one if it is given.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn log_out_all(
    conn: &Connection,
    account: AccountId,
    but: Option<PeerKey>,
) -> Result<(), StoreError> {
    let but = but.map_or(Vec::new(), |peer| peer.0.to_vec());
    conn.execute(
        "UPDATE devices SET logged_out = 1 WHERE account = ?1 AND peer <> ?2 AND logged_out = 0",
        params![account.0.as_slice(), but],
    )
    .doing("log devices out")?;
    Ok(())
}

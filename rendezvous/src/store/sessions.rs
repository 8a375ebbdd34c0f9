//! Rows of `sessions`: who has signed in from where, and who is online now.

use std::collections::BTreeSet;

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::params;

use super::{Db, StoreError, bytes, from_sql, to_sql};

/// A row of `sessions`, with the names that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The account's username.
    pub username: String,
    /// The account's nickname.
    pub nickname: String,
    /// The device's key.
    pub peer: PeerKey,
    /// The device's number.
    pub device: u64,
    /// The address from which it signed in.
    pub address: String,
    /// The time of that sign-in.
    pub since: u64,
    /// The end of its ticket.
    pub expires_at: u64,
    /// Whether the authority peer sees it in the mesh.
    pub online: bool,
}

/// What a sign-in or a renewal records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The account that signed in.
    pub account: AccountId,
    /// The device's number.
    pub device: u64,
    /// The address it came from, as `IP:PORT`.
    pub address: String,
    /// The time, realm time in milliseconds.
    pub since: u64,
    /// The end of its ticket.
    pub expires_at: u64,
}

/// Whether anybody has ever signed in.
///
/// # Errors
/// [`StoreError`] if the sessions cannot be read.
pub fn exist(db: Db<'_>) -> Result<bool, StoreError> {
    db.value("look for sessions", "SELECT EXISTS (SELECT 1 FROM sessions)", [])
}

/// Records a sign-in in place of the device's last one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn put(db: Db<'_>, session: &NewSession) -> Result<(), StoreError> {
    let NewSession { account, device, address, since, expires_at } = session;
    db.run(
        "register the session",
        "INSERT INTO sessions (account, device, address, since, expires_at, online) VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (account, device) DO UPDATE SET
             address = excluded.address, since = excluded.since, expires_at = excluded.expires_at",
        params![account.0, to_sql(*device), address, to_sql(*since), to_sql(*expires_at)],
    )
}

/// Records a renewal: the session continues, from the present address.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn renew(db: Db<'_>, session: &NewSession) -> Result<(), StoreError> {
    let NewSession { account, device, address, expires_at, .. } = session;
    let changed = db.change(
        "renew the session",
        "UPDATE sessions SET address = ?3, expires_at = ?4 WHERE account = ?1 AND device = ?2",
        params![account.0, to_sql(*device), address, to_sql(*expires_at)],
    )?;
    if changed == 0 { put(db, session) } else { Ok(()) }
}

/// Marks these devices as online, and all others as offline. Only what has changed is written.
///
/// # Errors
/// [`StoreError`] if the sessions cannot be read or written.
pub fn set_online(db: Db<'_>, peers: &[PeerKey]) -> Result<(), StoreError> {
    let peers: BTreeSet<[u8; 32]> = peers.iter().map(|peer| peer.0).collect();
    let sessions = db.rows(
        "read who is online",
        "SELECT sessions.account, device, peer, online FROM sessions
         JOIN devices ON devices.account = sessions.account AND devices.number = sessions.device",
        [],
        |row| {
            let account: [u8; 16] = bytes(row, 0, "session")?;
            let (device, online): (i64, bool) = (row.get(1)?, row.get(3)?);
            let is_online = peers.contains(&bytes(row, 2, "peer key")?);
            Ok((is_online != online).then_some((account, device, is_online)))
        },
    )?;
    let mark = "UPDATE sessions SET online = ?3 WHERE account = ?1 AND device = ?2";
    sessions.into_iter().flatten().try_for_each(|(account, device, is_online)| {
        db.run("mark who is online", mark, params![account, device, is_online])
    })
}

/// All sessions whose tickets have not ended, by name and device.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>, now: u64) -> Result<Vec<SessionRow>, StoreError> {
    db.rows(
        "read the sessions",
        "SELECT username, nickname, peer, device, address, since, expires_at, online
         FROM sessions JOIN accounts USING (account)
         JOIN devices ON devices.account = sessions.account AND devices.number = sessions.device
         WHERE expires_at > ?1 AND logged_out = 0 ORDER BY username, device",
        [to_sql(now)],
        |row| {
            Ok(SessionRow {
                username: row.get(0)?,
                nickname: row.get(1)?,
                peer: PeerKey(bytes(row, 2, "peer key")?),
                device: from_sql(row.get(3)?),
                address: row.get(4)?,
                since: from_sql(row.get(5)?),
                expires_at: from_sql(row.get(6)?),
                online: row.get(7)?,
            })
        },
    )
}

//! Rows of `sessions`: the register of who signed in from where, and who is online now.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::{Connection, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// A row with the names that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The account's name.
    pub username: String,
    /// Its display name.
    pub nickname: String,
    /// The device's key.
    pub peer: PeerKey,
    /// The device's number.
    pub device: u64,
    /// Where it signed in from.
    pub address: String,
    /// When.
    pub since: u64,
    /// When its ticket ends.
    pub expires_at: u64,
    /// Whether the authority peer sees it.
    pub online: bool,
}

/// What a sign-in leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The account.
    pub account: AccountId,
    /// The device's number.
    pub device: u64,
    /// Where it came from, as `IP:PORT`.
    pub address: String,
    /// When, realm time.
    pub since: u64,
    /// When its ticket ends.
    pub expires_at: u64,
}

/// Writes a sign-in over the device's last one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn put(conn: &Connection, session: &NewSession) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO sessions (account, device, address, since, expires_at, online) VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (account, device) DO UPDATE SET
             address = excluded.address, since = excluded.since, expires_at = excluded.expires_at",
        params![
            session.account.0.as_slice(),
            to_sql(session.device),
            session.address,
            to_sql(session.since),
            to_sql(session.expires_at),
        ],
    )
    .doing("register the session")?;
    Ok(())
}

/// Writes a renewal: the session goes on, from where it came now.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn renew(conn: &Connection, session: &NewSession) -> Result<(), StoreError> {
    let changed = conn
        .execute(
            "UPDATE sessions SET address = ?3, expires_at = ?4 WHERE account = ?1 AND device = ?2",
            params![
                session.account.0.as_slice(),
                to_sql(session.device),
                session.address,
                to_sql(session.expires_at),
            ],
        )
        .doing("renew the session")?;
    if changed == 0 { put(conn, session) } else { Ok(()) }
}

/// Marks exactly these devices as online.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_online(conn: &Connection, peers: &[PeerKey]) -> Result<(), StoreError> {
    let what = "mark who is online";
    conn.execute("UPDATE sessions SET online = 0 WHERE online = 1", []).doing(what)?;
    let mut statement = conn
        .prepare(
            "UPDATE sessions SET online = 1 WHERE (account, device) IN (SELECT account, number FROM devices WHERE peer = ?1)",
        )
        .doing(what)?;
    for peer in peers {
        statement.execute([peer.0.as_slice()]).doing(what)?;
    }
    Ok(())
}

/// All sessions whose ticket has not ended, by name and device.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(conn: &Connection, now: u64) -> Result<Vec<SessionRow>, StoreError> {
    let what = "read the sessions";
    let mut statement = conn
        .prepare(
            "SELECT username, nickname, peer, device, address, since, expires_at, online
             FROM sessions JOIN accounts USING (account)
             JOIN devices ON devices.account = sessions.account AND devices.number = sessions.device
             WHERE expires_at > ?1 AND logged_out = 0 ORDER BY username, device",
        )
        .doing(what)?;
    let rows = statement
        .query_map([to_sql(now)], |row| {
            let peer: Vec<u8> = row.get(2)?;
            Ok(PeerKey::from_slice(&peer)
                .map(|peer| (row.get(0), row.get(1), peer, row.get(3)))
                .map(|(username, nickname, peer, device)| -> rusqlite::Result<SessionRow> {
                    Ok(SessionRow {
                        username: username?,
                        nickname: nickname?,
                        peer,
                        device: from_sql(device?),
                        address: row.get(4)?,
                        since: from_sql(row.get(5)?),
                        expires_at: from_sql(row.get(6)?),
                        online: row.get(7)?,
                    })
                }))
        })
        .doing(what)?;
    rows.map(|row| row.doing(what)?.ok_or(StoreError::Row { what: "peer key" })?.doing(what))
        .collect()
}

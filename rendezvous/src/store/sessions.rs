//! Rows of `sessions`: who has signed in from where, and who is online now.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::params;

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

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

/// Records a sign-in in place of the device's last one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn put(db: Db<'_>, session: &NewSession) -> Result<(), StoreError> {
    db.run(
        "register the session",
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
}

/// Records a renewal: the session continues, from the present address.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn renew(db: Db<'_>, session: &NewSession) -> Result<(), StoreError> {
    let changed =
        db.0.execute(
            "UPDATE sessions SET address = ?3, expires_at = ?4 WHERE account = ?1 AND device = ?2",
            params![
                session.account.0.as_slice(),
                to_sql(session.device),
                session.address,
                to_sql(session.expires_at),
            ],
        )
        .doing("renew the session")?;
    if changed == 0 { put(db, session) } else { Ok(()) }
}

/// Marks these devices as online, and all others as offline.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_online(db: Db<'_>, peers: &[PeerKey]) -> Result<(), StoreError> {
    let what = "mark who is online";
    db.0.execute("UPDATE sessions SET online = 0 WHERE online = 1", []).doing(what)?;
    let mut statement = db.0
        .prepare(
            "UPDATE sessions SET online = 1 WHERE (account, device) IN (SELECT account, number FROM devices WHERE peer = ?1)",
        )
        .doing(what)?;
    for peer in peers {
        statement.execute([peer.0.as_slice()]).doing(what)?;
    }
    Ok(())
}

/// All sessions whose tickets have not ended, by name and device.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>, now: u64) -> Result<Vec<SessionRow>, StoreError> {
    let what = "read the sessions";
    let mut statement =
        db.0.prepare(
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

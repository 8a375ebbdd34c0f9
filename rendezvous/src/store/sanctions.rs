//! Rows of `sanctions`: bans, mutes and revocations, dated.

use lanyard_protocol::ids::{AccountId, PeerKey};
use rusqlite::{Connection, params};

use super::{Doing as _, StoreError, from_sql, to_sql};

/// What a sanction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Out of the realm.
    Ban,
    /// May read, may not write.
    Mute,
    /// Tickets issued before its start admit nobody.
    Revocation,
}

impl Kind {
    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
            Self::Revocation => "cut",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanctionRow {
    /// Its number in this database and in the policy; 0 before it is written.
    pub id: u64,
    /// Ban, mute or cut.
    pub kind: Kind,
    /// Whom it hits.
    pub account: AccountId,
    /// Which device alone, if not all.
    pub peer: Option<PeerKey>,
    /// From when on, realm time in milliseconds.
    pub from: u64,
    /// Until when, if there is an end.
    pub until: Option<u64>,
    /// Why, for people.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When it was made; a ban may reach further back.
    pub made_at: u64,
}

/// All sanctions, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(conn: &Connection) -> Result<Vec<SanctionRow>, StoreError> {
    let what = "read the sanctions";
    let mut statement = conn
        .prepare(
            "SELECT sanction, kind, account, peer, starts_at, ends_at, reason, made_by, made_at FROM sanctions ORDER BY sanction",
        )
        .doing(what)?;
    let rows = statement
        .query_map([], |row| {
            let ids: (i64, String, Vec<u8>, Vec<u8>) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let rest: (i64, i64, String, String, i64) =
                (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?);
            Ok((ids, rest))
        })
        .doing(what)?;
    rows.map(|row| {
        let ((id, kind, account, peer), (from, until, reason, by, made_at)) = row.doing(what)?;
        let kind = match kind.as_str() {
            "ban" => Kind::Ban,
            "mute" => Kind::Mute,
            "cut" => Kind::Revocation,
            _ => return Err(StoreError::Row { what: "kind of sanction" }),
        };
        let damaged = StoreError::Row { what: "sanction" };
        let account = AccountId::from_slice(&account).ok_or(damaged)?;
        let id = from_sql(id);
        let peer = PeerKey::from_slice(&peer);
        let until = Some(from_sql(until)).filter(|until| *until != 0);
        let (from, made_at) = (from_sql(from), from_sql(made_at));
        Ok(SanctionRow { id, kind, account, peer, from, until, reason, by, made_at })
    })
    .collect()
}

/// The sanctions of one kind that are in force on an account, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn in_force(
    conn: &Connection,
    kind: Kind,
    account: AccountId,
    now: u64,
) -> Result<Vec<SanctionRow>, StoreError> {
    let mut rows = list(conn)?;
    rows.retain(|row| {
        row.kind == kind
            && row.account == account
            && row.from <= now
            && row.until.is_none_or(|until| now < until)
    });
    Ok(rows)
}

/// Writes the dates and the reason of a sanction anew; it stays the same one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn update(conn: &Connection, row: &SanctionRow) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE sanctions SET starts_at = ?2, ends_at = ?3, reason = ?4 WHERE sanction = ?1",
        params![to_sql(row.id), to_sql(row.from), to_sql(row.until.unwrap_or(0)), row.reason],
    )
    .doing("change the sanction")?;
    Ok(())
}

/// Whether a ban of this account is in force.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn is_banned(conn: &Connection, account: AccountId, now: u64) -> Result<bool, StoreError> {
    conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM sanctions WHERE account = ?1 AND kind = 'ban'
             AND starts_at <= ?2 AND (ends_at = 0 OR ends_at > ?2))",
        params![account.0.as_slice(), to_sql(now)],
        |row| row.get(0),
    )
    .doing("look for a ban")
}

/// Adds a sanction.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn insert(conn: &Connection, row: &SanctionRow) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO sanctions (kind, account, peer, starts_at, ends_at, reason, made_by, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            row.kind.as_str(),
            row.account.0.as_slice(),
            row.peer.map_or(Vec::new(), |peer| peer.0.to_vec()),
            to_sql(row.from),
            to_sql(row.until.unwrap_or(0)),
            row.reason,
            row.by,
            to_sql(row.made_at),
        ],
    )
    .doing("write the sanction")?;
    Ok(())
}

/// Sees to it that no later sanction gets an id up to this one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn reserve_ids(conn: &Connection, up_to: u64) -> Result<(), StoreError> {
    let what = "reserve the ids of sanctions";
    let changed = conn
        .execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'sanctions'",
            [to_sql(up_to)],
        )
        .doing(what)?;
    if changed == 0 {
        conn.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('sanctions', ?1)",
            [to_sql(up_to)],
        )
        .doing(what)?;
    }
    Ok(())
}

//! Rows of `sanctions`: bans, mutes and revocations, dated.

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::policy::{Sanction, SanctionKind};
use rusqlite::params;

use super::{Db, RowError, StoreError, bytes, from_sql, to_sql};

/// The word for a kind of sanction in the database and on the command line.
#[must_use]
pub fn word(kind: SanctionKind) -> &'static str {
    match kind {
        SanctionKind::Ban => "ban",
        SanctionKind::Mute => "mute",
        SanctionKind::Revocation => "cut",
    }
}

/// A row of `sanctions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanctionRow {
    /// The sanction as it stands in the policy.
    pub sanction: Sanction,
    /// When it was made, realm time in milliseconds; a ban may reach further back.
    pub made_at: u64,
}

/// All sanctions, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<SanctionRow>, StoreError> {
    db.rows(
        "read the sanctions",
        "SELECT sanction, kind, account, peer, starts_at, ends_at, reason, made_by, made_at
         FROM sanctions ORDER BY sanction",
        [],
        |row| {
            let (kind, peer): (String, Vec<u8>) = (row.get(1)?, row.get(3)?);
            let kind = [SanctionKind::Ban, SanctionKind::Mute, SanctionKind::Revocation]
                .into_iter()
                .find(|known| word(*known) == kind)
                .ok_or(RowError::Impossible("kind of sanction"))?;
            let sanction = Sanction {
                id: from_sql(row.get(0)?),
                kind,
                sub: AccountId(bytes(row, 2, "sanction")?),
                peer: PeerKey::from_slice(&peer),
                from: from_sql(row.get(4)?),
                until: Some(from_sql(row.get(5)?)).filter(|until| *until != 0),
                reason: row.get(6)?,
                by: row.get(7)?,
            };
            Ok(SanctionRow { sanction, made_at: from_sql(row.get(8)?) })
        },
    )
}

/// The sanctions of one kind that are in force on an account, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn in_force(
    db: Db<'_>,
    kind: SanctionKind,
    account: AccountId,
    now: u64,
) -> Result<Vec<SanctionRow>, StoreError> {
    let mut rows = list(db)?;
    rows.retain(|SanctionRow { sanction, .. }| {
        sanction.kind == kind
            && sanction.sub == account
            && sanction.from <= now
            && sanction.until.is_none_or(|until| now < until)
    });
    Ok(rows)
}

/// Rewrites the dates and the reason of the sanction with this id.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn update(db: Db<'_>, sanction: &Sanction) -> Result<(), StoreError> {
    let Sanction { id, from, until, reason, .. } = sanction;
    db.run(
        "change the sanction",
        "UPDATE sanctions SET starts_at = ?2, ends_at = ?3, reason = ?4 WHERE sanction = ?1",
        params![to_sql(*id), to_sql(*from), to_sql(until.unwrap_or(0)), reason],
    )
}

/// Whether a ban of this account is in force.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn is_banned(db: Db<'_>, account: AccountId, now: u64) -> Result<bool, StoreError> {
    db.value(
        "look for a ban",
        "SELECT EXISTS (SELECT 1 FROM sanctions WHERE account = ?1 AND kind = 'ban'
             AND starts_at <= ?2 AND (ends_at = 0 OR ends_at > ?2))",
        params![account.0, to_sql(now)],
    )
}

/// Adds a sanction made at `made_at`, under a new id.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn insert(db: Db<'_>, sanction: &Sanction, made_at: u64) -> Result<(), StoreError> {
    db.run(
        "write the sanction",
        "INSERT INTO sanctions (kind, account, peer, starts_at, ends_at, reason, made_by, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            word(sanction.kind),
            sanction.sub.0,
            sanction.peer.map_or(Vec::new(), |peer| peer.0.to_vec()),
            to_sql(sanction.from),
            to_sql(sanction.until.unwrap_or(0)),
            sanction.reason,
            sanction.by,
            to_sql(made_at),
        ],
    )
}

/// Ensures that later sanctions get ids above this one.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn reserve_ids(db: Db<'_>, up_to: u64) -> Result<(), StoreError> {
    let what = "reserve the ids of sanctions";
    let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'sanctions'";
    if db.change(what, raise, [to_sql(up_to)])? == 0 {
        let begin = "INSERT INTO sqlite_sequence (name, seq) VALUES ('sanctions', ?1)";
        db.run(what, begin, [to_sql(up_to)])?;
    }
    Ok(())
}

//! Rows of `sanctions`: bans, mutes and revocations, dated.

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::policy::{Sanction, SanctionKind};
use rusqlite::params;

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

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
    let what = "read the sanctions";
    let mut statement = db.0
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
        let kind = [SanctionKind::Ban, SanctionKind::Mute, SanctionKind::Revocation]
            .into_iter()
            .find(|known| word(*known) == kind)
            .ok_or(StoreError::Row { what: "kind of sanction" })?;
        let sanction = Sanction {
            id: from_sql(id),
            kind,
            sub: AccountId::from_slice(&account).ok_or(StoreError::Row { what: "sanction" })?,
            peer: PeerKey::from_slice(&peer),
            from: from_sql(from),
            until: Some(from_sql(until)).filter(|until| *until != 0),
            reason,
            by,
        };
        Ok(SanctionRow { sanction, made_at: from_sql(made_at) })
    })
    .collect()
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
    db.0.query_row(
        "SELECT EXISTS (SELECT 1 FROM sanctions WHERE account = ?1 AND kind = 'ban'
             AND starts_at <= ?2 AND (ends_at = 0 OR ends_at > ?2))",
        params![account.0.as_slice(), to_sql(now)],
        |row| row.get(0),
    )
    .doing("look for a ban")
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
            sanction.sub.0.as_slice(),
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
    let changed =
        db.0.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'sanctions'",
            [to_sql(up_to)],
        )
        .doing(what)?;
    if changed == 0 {
        db.0.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('sanctions', ?1)",
            [to_sql(up_to)],
        )
        .doing(what)?;
    }
    Ok(())
}

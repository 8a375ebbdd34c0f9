//! Rows of `orders`: moderators' bans, mutes and lifts, and the operator's verdict on them.

use lanyard_protocol::ids::AccountId;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::SettlementVerdict;
use rusqlite::params;

use super::{Db, RowError, StoreError, bytes, from_sql, to_sql};

/// A row of `orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModerationRow {
    /// The id that the moderator gave it.
    pub id: [u8; 16],
    /// What it does.
    pub kind: ModerationKind,
    /// The account that it concerns.
    pub account: AccountId,
    /// Its start, realm time in milliseconds.
    pub from: u64,
    /// Its end, realm time in milliseconds.
    pub until: u64,
    /// The reason, in the moderator's words.
    pub reason: String,
    /// The moderator's username.
    pub by: String,
    /// The operator's verdict, once there is one.
    pub verdict: Option<SettlementVerdict>,
}

/// All moderations, oldest first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<ModerationRow>, StoreError> {
    db.rows(
        "read the moderations",
        "SELECT order_id, kind, account, starts_at, ends_at, reason, made_by, verdict FROM orders
         ORDER BY starts_at, order_id",
        [],
        |row| {
            let what = "moderation";
            let (kind, verdict): (String, String) = (row.get(1)?, row.get(7)?);
            let kind = [ModerationKind::Ban, ModerationKind::Mute, ModerationKind::Lift]
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or(RowError::Impossible(what))?;
            let verdict = match verdict.as_str() {
                "" => None,
                "ratified" => Some(SettlementVerdict::Ratified),
                "refused" => Some(SettlementVerdict::Refused),
                _ => return Err(RowError::Impossible(what)),
            };
            Ok(ModerationRow {
                id: bytes(row, 0, what)?,
                kind,
                account: AccountId(bytes(row, 2, what)?),
                from: from_sql(row.get(3)?),
                until: from_sql(row.get(4)?),
                reason: row.get(5)?,
                by: row.get(6)?,
                verdict,
            })
        },
    )
}

/// The operator's verdict on a moderation; `None` also if there is no such row.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn verdict(db: Db<'_>, id: [u8; 16]) -> Result<Option<SettlementVerdict>, StoreError> {
    let found = list(db)?.into_iter().find(|moderation| moderation.id == id);
    Ok(found.and_then(|moderation| moderation.verdict))
}

/// Adds an open moderation and returns whether it is new; an existing row stays as it is.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn insert(db: Db<'_>, row: &ModerationRow, now: u64) -> Result<bool, StoreError> {
    let written = db.change(
        "write the moderation",
        "INSERT INTO orders (order_id, kind, account, starts_at, ends_at, reason, made_by, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (order_id) DO NOTHING",
        params![
            row.id,
            row.kind.as_str(),
            row.account.0,
            to_sql(row.from),
            to_sql(row.until),
            row.reason,
            row.by,
            to_sql(now),
        ],
    )?;
    Ok(written == 1)
}

/// Drops all but `count` open moderations, starting with those that end first.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn keep_open(db: Db<'_>, count: u64) -> Result<(), StoreError> {
    db.run(
        "drop old moderations",
        "DELETE FROM orders WHERE verdict = '' AND order_id NOT IN
             (SELECT order_id FROM orders WHERE verdict = '' ORDER BY ends_at DESC, order_id LIMIT ?1)",
        [to_sql(count)],
    )
}

/// Writes the operator's verdict.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn settle(
    db: Db<'_>,
    id: [u8; 16],
    verdict: SettlementVerdict,
    now: u64,
) -> Result<(), StoreError> {
    let word = match verdict {
        SettlementVerdict::Ratified => "ratified",
        SettlementVerdict::Refused => "refused",
    };
    db.run(
        "settle the moderation",
        "UPDATE orders SET verdict = ?2, settled_at = ?3 WHERE order_id = ?1",
        params![id, word, to_sql(now)],
    )
}

/// Drops moderations that ended before a time, once they no longer affect any stored message.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn forget(db: Db<'_>, before: u64) -> Result<(), StoreError> {
    db.run("forget old moderations", "DELETE FROM orders WHERE ends_at < ?1", [to_sql(before)])
}

//! The register of moderations: what moderators have done, which the operator confirms or overturns.
//!
//! A confirmed ban or mute becomes a sanction with the dates, reason and moderator of the moderation; a confirmed lift
//! ends the sanctions in force. An overturned moderation is judged as if it had never been made. Either way the policy
//! lists it as settled, which ends the moderation itself (PROTOCOL.md R-50).
//!
//! An incoming moderation is kept whether it counts or not, because the operator wants to see what a moderator has
//! tried. One that cannot belong to this realm is not kept, and the number of open ones is bounded.

use lanyard_protocol::ids::Role;
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use lanyard_protocol::policy::{Sanction, SanctionKind, SettlementVerdict};
use lanyard_protocol::text::plain_line;
use lanyard_protocol::time::DAY_MS;

use super::sanctions::{Lifting, lift_account};
use crate::accounts::keep_an_admin;
use crate::acts::{ActError, WORDS_BYTES_MAX};
use crate::store::audit::Entry;
use crate::store::moderations::{self, ModerationRow};
use crate::store::{Db, StoreError, accounts, audit, meta, rules, sanctions};

/// How many open moderations are kept: as many as one moderator can make in six hours.
const OPEN_MAX: u64 = 4_096;

/// An authentic moderation as it came from the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedModeration {
    /// The row that it becomes in the register.
    pub row: ModerationRow,
    /// The role in the ticket under which it was signed.
    pub role: Role,
}

impl ReceivedModeration {
    /// The content of a verified moderation.
    #[must_use]
    pub fn of(signed: &SignedModeration) -> Self {
        let (moderation, claims) = (signed.content(), signed.ticket().claims());
        let row = ModerationRow {
            id: moderation.number,
            kind: moderation.kind,
            account: moderation.sub,
            from: moderation.from,
            until: moderation.until,
            reason: moderation.reason.clone(),
            by: claims.username.clone(),
            verdict: None,
        };
        Self { row, role: claims.role }
    }
}

/// What became of an incoming moderation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The moderation now waits for the operator.
    New,
    /// The register already had it, open or settled.
    Known,
    /// It does not belong in the register, for this reason.
    Ignored(&'static str),
}

/// Adds a moderation to the register. Its reason is reduced to one plain line, so that nothing in it is hidden from the
/// operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub fn receive(
    db: Db<'_>,
    received: ReceivedModeration,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let ReceivedModeration { mut row, role } = received;
    let now = meta::realm_now(db, clock_ms)?;
    if !matches!(role, Role::Moderator | Role::Admin) {
        return Ok(Received::Ignored("it does not come from a moderator"));
    }
    let lasts = row.until.checked_sub(row.from);
    if lasts.is_none_or(|lasts| lasts == 0 || lasts > DAY_MS) {
        return Ok(Received::Ignored("it lasts longer than a day, or not at all"));
    }
    let oldest = now.saturating_sub(retention_ms(db)?);
    if row.until < oldest {
        return Ok(Received::Ignored("no message is left that it could judge"));
    }
    let Some(account) = accounts::by_id(db, row.account)? else {
        return Ok(Received::Ignored("its account is not of this realm"));
    };
    row.reason = plain_line(&row.reason, WORDS_BYTES_MAX);
    if !moderations::insert(db, &row, now)? {
        return Ok(Received::Known);
    }
    let detail =
        format!("{} for {} s: {}", hex::encode(row.id), lasts.unwrap_or(0) / 1_000, row.reason);
    let what = match row.kind {
        ModerationKind::Ban => "order-ban",
        ModerationKind::Mute => "order-mute",
        ModerationKind::Lift => "order-lift",
    };
    let entry = Entry { who: &row.by, what, target: &account.username, detail: &detail };
    audit::write(db, entry, now)?;
    moderations::forget(db, oldest)?;
    moderations::keep_open(db, OPEN_MAX)?;
    Ok(Received::New)
}

/// The longest time for which any of the rules keeps a message.
fn retention_ms(db: Db<'_>) -> Result<u64, StoreError> {
    let days = rules::list(db)?.iter().map(|rule| rule.retention_days).max().unwrap_or(0);
    Ok(days.saturating_mul(DAY_MS))
}

/// Settles a moderation. Repeating its verdict does nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::ModerationSettled`] if it has the opposite verdict,
/// [`ActError::LastAdmin`] for a ban that would leave no admin who can act.
pub fn settle(db: Db<'_>, id: &str, verdict: SettlementVerdict, now: u64) -> Result<(), ActError> {
    let found =
        moderations::list(db)?.into_iter().find(|moderation| hex::encode(moderation.id) == id);
    let not_found = || ActError::NotFound { what: "moderation", name: id.to_owned() };
    let moderation = found.ok_or_else(not_found)?;
    match moderation.verdict {
        Some(made) if made == verdict => return Ok(()),
        Some(_other) => return Err(ActError::ModerationSettled(id.to_owned())),
        None => {}
    }
    let what = match verdict {
        SettlementVerdict::Ratified => {
            confirm(db, &moderation, now)?;
            "order-ratify"
        }
        SettlementVerdict::Refused => "order-refuse",
    };
    moderations::settle(db, moderation.id, verdict, now)?;
    moderations::forget(db, now.saturating_sub(retention_ms(db)?))?;
    let detail = format!("{} by {}", moderation.kind.as_str(), moderation.by);
    Ok(audit::write(db, Entry::operator(what, id, &detail), now)?)
}

fn confirm(db: Db<'_>, moderation: &ModerationRow, now: u64) -> Result<(), ActError> {
    let kind = match moderation.kind {
        ModerationKind::Ban => {
            if let Some(account) = accounts::by_id(db, moderation.account)?
                && (moderation.from..moderation.until).contains(&now)
            {
                keep_an_admin(db, &account, now)?;
            }
            SanctionKind::Ban
        }
        ModerationKind::Mute => SanctionKind::Mute,
        ModerationKind::Lift => {
            lift_account(db, moderation.account, Lifting::Ban, now)?;
            lift_account(db, moderation.account, Lifting::Mute, now)?;
            return Ok(());
        }
    };
    let ModerationRow { account: sub, from, until, reason, by, .. } = moderation.clone();
    let until = Some(until);
    let sanction = Sanction { id: 0, kind, sub, peer: None, from, until, reason, by };
    Ok(sanctions::insert(db, &sanction, from)?)
}

#[cfg(test)]
mod tests;

//! Moderations of moderators: the operator ratifies or refuses them.
//!
//! A ratified ban or mute becomes a sanction with the moderation's own dates, reason and maker; a ratified lift ends what
//! is in force. A refused moderation is judged as if it had never been. Either way the policy names it as settled, and
//! that ends the moderation itself (PROTOCOL.md R-50).
//!
//! A moderation that comes in is kept whether it counts or not: an operator wants to see what a moderator has tried.
//! What cannot be an order of this realm is not kept, and the open ones are bounded.

use lanyard_protocol::ids::Role;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::SettlementVerdict;
use lanyard_protocol::text::plain_line;
use rusqlite::Connection;

use crate::accounts::keep_an_admin;
use crate::acts::{ActError, WORDS_BYTES_MAX, entry};
use crate::authority::moderations::ReceivedModeration;
use crate::sanctions::{Lifting, lift_account};
use crate::store::audit::Entry;
use crate::store::moderations::{self, ModerationRow};
use crate::store::sanctions::{self, Kind, SanctionRow};
use crate::store::{StoreError, accounts, audit, meta, rules};

const DAY_MS: u64 = 86_400_000;
/// Open moderations that are kept: six hours of a moderator who does nothing else.
const OPEN_MAX: u64 = 4_096;

/// What became of a moderation that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It waits for the operator.
    New,
    /// It was here already, settled or not.
    Known,
    /// It is not for this register; this is why.
    Ignored(&'static str),
}

/// Keeps a moderation that the authority peer has heard, with the words taken out that would hide something from the operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub fn receive(
    conn: &Connection,
    moderation: &ReceivedModeration,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let now = meta::realm_now(conn, clock_ms)?;
    if !matches!(moderation.role, Role::Moderator | Role::Admin) {
        return Ok(Received::Ignored("its maker is no moderator"));
    }
    let lasts = moderation.until.checked_sub(moderation.from);
    if lasts.is_none_or(|lasts| lasts == 0 || lasts > DAY_MS) {
        return Ok(Received::Ignored("it does not last between a moment and a day"));
    }
    let oldest = now.saturating_sub(retention_ms(conn)?);
    if moderation.until < oldest {
        return Ok(Received::Ignored("no message is left that it could judge"));
    }
    let Some(account) = accounts::by_id(conn, moderation.account)? else {
        return Ok(Received::Ignored("it hits nobody of this realm"));
    };
    let row = ModerationRow {
        id: moderation.id,
        kind: moderation.kind,
        account: moderation.account,
        from: moderation.from,
        until: moderation.until,
        reason: plain_line(&moderation.reason, WORDS_BYTES_MAX),
        by: moderation.by.clone(),
        verdict: None,
    };
    if !moderations::insert(conn, &row, now)? {
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
    audit::write(conn, entry, now)?;
    moderations::forget(conn, oldest)?;
    moderations::keep_open(conn, OPEN_MAX)?;
    Ok(Received::New)
}

/// For so long a message may be held, by the longest of the rules.
fn retention_ms(conn: &Connection) -> Result<u64, StoreError> {
    let days = rules::list(conn)?.iter().map(|rule| rule.retention_days).max().unwrap_or(0);
    Ok(days.saturating_mul(DAY_MS))
}

/// Decides about a moderation. Its own verdict again changes nothing.
///
/// # Errors
/// [`ActError::ModerationNotFound`], [`ActError::ModerationSettled`] if it was decided the other way, [`ActError::LastAdmin`]
/// for a ban that would leave nobody who can act.
pub fn settle(
    conn: &Connection,
    id: &str,
    verdict: SettlementVerdict,
    now: u64,
) -> Result<(), ActError> {
    let found =
        moderations::list(conn)?.into_iter().find(|moderation| hex::encode(moderation.id) == id);
    let moderation = found.ok_or_else(|| ActError::ModerationNotFound { id: id.to_owned() })?;
    match moderation.verdict {
        Some(made) if made == verdict => return Ok(()),
        Some(_other) => return Err(ActError::ModerationSettled { id: id.to_owned() }),
        None => {}
    }
    let what = match verdict {
        SettlementVerdict::Ratified => {
            ratify(conn, &moderation, now)?;
            "order-ratify"
        }
        SettlementVerdict::Refused => "order-refuse",
    };
    moderations::settle(conn, moderation.id, verdict, now)?;
    moderations::forget(conn, now.saturating_sub(retention_ms(conn)?))?;
    let detail = format!("{} by {}", moderation.kind.as_str(), moderation.by);
    Ok(audit::write(conn, entry(what, id, &detail), now)?)
}

fn ratify(conn: &Connection, moderation: &ModerationRow, now: u64) -> Result<(), ActError> {
    let kind = match moderation.kind {
        ModerationKind::Ban => {
            if let Some(account) = accounts::by_id(conn, moderation.account)?
                && (moderation.from..moderation.until).contains(&now)
            {
                keep_an_admin(conn, &account, now)?;
            }
            Kind::Ban
        }
        ModerationKind::Mute => Kind::Mute,
        ModerationKind::Lift => {
            lift_account(conn, moderation.account, Lifting::Ban, now)?;
            lift_account(conn, moderation.account, Lifting::Mute, now)?;
            return Ok(());
        }
    };
    let row = SanctionRow {
        id: 0,
        kind,
        account: moderation.account,
        peer: None,
        from: moderation.from,
        until: Some(moderation.until),
        reason: moderation.reason.clone(),
        by: moderation.by.clone(),
        made_at: moderation.from,
    };
    Ok(sanctions::insert(conn, &row)?)
}

#[cfg(test)]
mod tests;

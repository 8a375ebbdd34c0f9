//! Orders of moderators: the operator ratifies or refuses them.
//!
//! A ratified ban or mute becomes a sanction with the order's own dates, reason and maker; a ratified lift ends what
//! is in force. A refused order is judged as if it had never been. Either way the policy names it as settled, and
//! that ends the order itself (PROTOCOL.md R-50).
//!
//! An order that comes in is kept whether it counts or not: an operator wants to see what a moderator has tried.
//! What cannot be an order of this realm is not kept, and the open ones are bounded.

use lanyard_protocol::ids::Role;
use lanyard_protocol::order::OrderKind;
use lanyard_protocol::policy::SettlementVerdict;
use lanyard_protocol::text::plain_line;
use rusqlite::Connection;

use crate::accounts::keep_an_admin;
use crate::acts::{ActError, WORDS_BYTES_MAX, entry};
use crate::member::orders::ReceivedOrder;
use crate::sanctions::{Lifting, lift_account};
use crate::store::audit::Entry;
use crate::store::orders::{self, OrderRow};
use crate::store::sanctions::{self, Kind, SanctionRow};
use crate::store::{StoreError, accounts, audit, meta, rules};

const DAY_MS: u64 = 86_400_000;
/// Open orders that are kept: six hours of a moderator who does nothing else.
const OPEN_MAX: u64 = 4_096;

/// What became of an order that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It waits for the operator.
    New,
    /// It was here already, settled or not.
    Known,
    /// It is not for this register; this is why.
    Ignored(&'static str),
}

/// Keeps an order that the member has heard, with the words taken out that would hide something from the operator.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub fn receive(
    conn: &Connection,
    order: &ReceivedOrder,
    clock_ms: u64,
) -> Result<Received, StoreError> {
    let now = meta::realm_now(conn, clock_ms)?;
    if !matches!(order.role, Role::Moderator | Role::Admin) {
        return Ok(Received::Ignored("its maker is no moderator"));
    }
    let lasts = order.until.checked_sub(order.from);
    if lasts.is_none_or(|lasts| lasts == 0 || lasts > DAY_MS) {
        return Ok(Received::Ignored("it does not last between a moment and a day"));
    }
    let oldest = now.saturating_sub(retention_ms(conn)?);
    if order.until < oldest {
        return Ok(Received::Ignored("no message is left that it could judge"));
    }
    let Some(account) = accounts::by_id(conn, order.account)? else {
        return Ok(Received::Ignored("it hits nobody of this realm"));
    };
    let row = OrderRow {
        id: order.id,
        kind: order.kind,
        account: order.account,
        from: order.from,
        until: order.until,
        reason: plain_line(&order.reason, WORDS_BYTES_MAX),
        by: order.by.clone(),
        verdict: None,
    };
    if !orders::insert(conn, &row, now)? {
        return Ok(Received::Known);
    }
    let detail =
        format!("{} for {} s: {}", hex::encode(row.id), lasts.unwrap_or(0) / 1_000, row.reason);
    let what = match row.kind {
        OrderKind::Ban => "order-ban",
        OrderKind::Mute => "order-mute",
        OrderKind::Lift => "order-lift",
    };
    let entry = Entry { who: &row.by, what, target: &account.username, detail: &detail };
    audit::write(conn, entry, now)?;
    orders::forget(conn, oldest)?;
    orders::keep_open(conn, OPEN_MAX)?;
    Ok(Received::New)
}

/// For so long a message may be held, by the longest of the rules.
fn retention_ms(conn: &Connection) -> Result<u64, StoreError> {
    let days = rules::list(conn)?.iter().map(|rule| rule.retention_days).max().unwrap_or(0);
    Ok(days.saturating_mul(DAY_MS))
}

/// Decides about an order. Its own verdict again changes nothing.
///
/// # Errors
/// [`ActError::OrderNotFound`], [`ActError::OrderSettled`] if it was decided the other way, [`ActError::LastAdmin`]
/// for a ban that would leave nobody who can act.
pub fn settle(
    conn: &Connection,
    id: &str,
    verdict: SettlementVerdict,
    now: u64,
) -> Result<(), ActError> {
    let found = orders::list(conn)?.into_iter().find(|order| hex::encode(order.id) == id);
    let order = found.ok_or_else(|| ActError::OrderNotFound { id: id.to_owned() })?;
    match order.verdict {
        Some(made) if made == verdict => return Ok(()),
        Some(_other) => return Err(ActError::OrderSettled { id: id.to_owned() }),
        None => {}
    }
    let what = match verdict {
        SettlementVerdict::Ratified => {
            ratify(conn, &order, now)?;
            "order-ratify"
        }
        SettlementVerdict::Refused => "order-refuse",
    };
    orders::settle(conn, order.id, verdict, now)?;
    orders::forget(conn, now.saturating_sub(retention_ms(conn)?))?;
    let detail = format!("{} by {}", order.kind.as_str(), order.by);
    Ok(audit::write(conn, entry(what, id, &detail), now)?)
}

fn ratify(conn: &Connection, order: &OrderRow, now: u64) -> Result<(), ActError> {
    let kind = match order.kind {
        OrderKind::Ban => {
            if let Some(account) = accounts::by_id(conn, order.account)?
                && (order.from..order.until).contains(&now)
            {
                keep_an_admin(conn, &account, now)?;
            }
            Kind::Ban
        }
        OrderKind::Mute => Kind::Mute,
        OrderKind::Lift => {
            lift_account(conn, order.account, Lifting::Ban, now)?;
            lift_account(conn, order.account, Lifting::Mute, now)?;
            return Ok(());
        }
    };
    let row = SanctionRow {
        id: 0,
        kind,
        account: order.account,
        peer: None,
        from: order.from,
        until: Some(order.until),
        reason: order.reason.clone(),
        by: order.by.clone(),
        made_at: order.from,
    };
    Ok(sanctions::insert(conn, &row)?)
}

#[cfg(test)]
mod tests;

//! Bans and mutes: giving, changing and lifting them.
//!
//! A sanction is one row with two dates. `ban --since` puts the first date back, so that what was said since then
//! is not valid any more. Lifting ends the row now and takes that reach back: a lifted ban is judged as if it had
//! been given without `--since`, so what it had removed is valid again, and what a banned person said while the
//! ban stood is not (PROTOCOL.md R-57). A second ban or mute of the same person changes the first one.

use lanyard_protocol::ids::AccountId;
use rusqlite::Connection;

use crate::accounts::{find, keep_an_admin};
use crate::acts::{ActError, entry, parse_words};
use crate::rules::parse_duration_s;
use crate::store::audit::{self, OPERATOR};
use crate::store::sanctions::{self, Kind, SanctionRow};

/// Longest duration on the command line, in seconds.
const DURATION_S_MAX: u64 = 366 * 86_400;

/// What is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifting {
    /// `unban`.
    Ban,
    /// `unmute`.
    Mute,
}

/// Reads a duration such as `90s`, `10m`, `24h`, `7d`, in milliseconds.
///
/// # Errors
/// [`ActError::Field`].
pub fn parse_duration_ms(what: &'static str, text: &str) -> Result<u64, ActError> {
    match parse_duration_s(text) {
        Some(seconds @ 1..=DURATION_S_MAX) => Ok(seconds.saturating_mul(1_000)),
        _ => {
            let expected = "a duration from 1s to 366d, such as 90s, 10m, 24h or 7d".to_owned();
            Err(ActError::Field { what, expected })
        }
    }
}

/// Bans an account, from `since_ms` before now on, until it is lifted. A second ban reaches back as far as the
/// further of both and takes the new reason, if there is one.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`], [`ActError::Field`] for the reason.
pub fn ban(
    conn: &Connection,
    name: &str,
    since_ms: u64,
    reason: &str,
    now: u64,
) -> Result<(), ActError> {
    let account = find(conn, name)?;
    let reason = parse_words("the reason", reason)?;
    let from = now.saturating_sub(since_ms);
    let detail = if since_ms == 0 { reason.clone() } else { format!("since {from}: {reason}") };
    let audited = entry("ban", &account.username, &detail);
    let standing = sanctions::in_force(conn, Kind::Ban, account.id, now)?;
    // One with an end, such as a ratified moderation's, does not stand for a ban without.
    if let Some(old) = standing.into_iter().find(|row| row.until.is_none()) {
        let from = if since_ms == 0 { old.from } else { old.from.min(from) };
        let reason = if reason.is_empty() { old.reason.clone() } else { reason.clone() };
        let new = SanctionRow { from, reason, ..old.clone() };
        if new == old {
            return Ok(());
        }
        sanctions::update(conn, &new)?;
        return Ok(audit::write(conn, audited, now)?);
    }
    keep_an_admin(conn, &account, now)?;
    let row = SanctionRow {
        id: 0,
        kind: Kind::Ban,
        account: account.id,
        peer: None,
        from,
        until: None,
        reason: reason.clone(),
        by: OPERATOR.to_owned(),
        made_at: now,
    };
    sanctions::insert(conn, &row)?;
    Ok(audit::write(conn, audited, now)?)
}

/// Mutes an account for a time from now on. A second mute ends when it says, sooner or later than the first.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::Field`] for the reason.
pub fn mute(
    conn: &Connection,
    name: &str,
    for_ms: u64,
    reason: &str,
    now: u64,
) -> Result<(), ActError> {
    let account = find(conn, name)?;
    let reason = parse_words("the reason", reason)?;
    let until = Some(now.saturating_add(for_ms));
    let detail = format!("{} s: {reason}", for_ms / 1_000);
    let audited = entry("mute", &account.username, &detail);
    let standing = sanctions::in_force(conn, Kind::Mute, account.id, now)?;
    if standing.is_empty() {
        let row = SanctionRow {
            id: 0,
            kind: Kind::Mute,
            account: account.id,
            peer: None,
            from: now,
            until,
            reason: reason.clone(),
            by: OPERATOR.to_owned(),
            made_at: now,
        };
        sanctions::insert(conn, &row)?;
    }
    for old in standing {
        let reason = if reason.is_empty() { old.reason.clone() } else { reason.clone() };
        sanctions::update(conn, &SanctionRow { until, reason, ..old })?;
    }
    Ok(audit::write(conn, audited, now)?)
}

/// Ends all bans or mutes of an account now.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::NotSanctioned`] if there is nothing to lift.
pub fn lift(conn: &Connection, name: &str, what: Lifting, now: u64) -> Result<(), ActError> {
    let account = find(conn, name)?;
    let (act, state) = match what {
        Lifting::Ban => ("unban", "banned"),
        Lifting::Mute => ("unmute", "muted"),
    };
    if lift_account(conn, account.id, what, now)? == 0 {
        return Err(ActError::NotSanctioned { name: account.username, what: state });
    }
    Ok(audit::write(conn, entry(act, &account.username, ""), now)?)
}

/// Ends them without a word, and says how many there were.
pub(crate) fn lift_account(
    conn: &Connection,
    account: AccountId,
    what: Lifting,
    now: u64,
) -> Result<usize, ActError> {
    let kind = match what {
        Lifting::Ban => Kind::Ban,
        Lifting::Mute => Kind::Mute,
    };
    let standing = sanctions::in_force(conn, kind, account, now)?;
    for old in &standing {
        let from = old.from.max(old.made_at);
        sanctions::update(conn, &SanctionRow { from, until: Some(now), ..old.clone() })?;
    }
    Ok(standing.len())
}

#[cfg(test)]
mod tests;

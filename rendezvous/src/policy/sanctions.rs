//! The operator's bans and mutes: imposing, changing and lifting them.
//!
//! A sanction is one row with two dates. `ban --since` moves the first date back, which invalidates the messages sent
//! since then. Lifting a sanction ends its row now and undoes `--since`: a lifted ban counts as if it had been imposed
//! without it. So the messages it had removed are valid again, and those sent during the ban are not (PROTOCOL.md
//! A second ban or mute of the same account changes the first one.

use lanyard_protocol::ids::AccountId;
use lanyard_protocol::policy::{Sanction, SanctionKind};

use crate::accounts::{find, keep_an_admin};
use crate::acts::{ActError, parse_words};
use crate::store::audit::{self, Entry, OPERATOR};
use crate::store::{Db, sanctions};

/// The longest duration on the command line, in seconds.
const DURATION_S_MAX: u64 = 366 * 86_400;

/// The kind of sanction to lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifting {
    /// `unban`.
    Ban,
    /// `unmute`.
    Mute,
}

/// Parses a duration such as `90s`, `10m`, `24h` or `7d`, in milliseconds.
///
/// # Errors
/// [`ActError::Field`].
pub fn parse_duration_ms(what: &'static str, text: &str) -> Result<u64, ActError> {
    match lanyard_program::duration::parse_s(text) {
        Some(seconds @ 1..=DURATION_S_MAX) => Ok(seconds.saturating_mul(1_000)),
        _ => {
            let expected = "a duration from 1s to 366d, such as 90s, 10m, 24h or 7d".to_owned();
            Err(ActError::Field { what, expected })
        }
    }
}

/// Bans an account, from `since_ms` before now until the ban is lifted. A second ban keeps the earlier start of the
/// two, and takes the new reason if there is one.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::LastAdmin`], [`ActError::Field`] for the reason.
pub fn ban(db: Db<'_>, name: &str, since_ms: u64, reason: &str, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    let reason = parse_words("the reason", reason)?;
    let from = now.saturating_sub(since_ms);
    let detail = if since_ms == 0 { reason.clone() } else { format!("since {from}: {reason}") };
    let audited = Entry::operator("ban", &account.username, &detail);
    let standing = sanctions::in_force(db, SanctionKind::Ban, account.id, now)?;
    // A ban with an end, such as one that comes from a moderation, does not replace a ban without one.
    let mut standing = standing.into_iter().map(|row| row.sanction);
    if let Some(old) = standing.find(|ban| ban.until.is_none()) {
        let from = if since_ms == 0 { old.from } else { old.from.min(from) };
        let reason = if reason.is_empty() { old.reason.clone() } else { reason.clone() };
        let new = Sanction { from, reason, ..old.clone() };
        if new == old {
            return Ok(());
        }
        sanctions::update(db, &new)?;
        return Ok(audit::write(db, audited, now)?);
    }
    keep_an_admin(db, &account, now)?;
    let ban = by_operator(SanctionKind::Ban, account.id, from, None, &reason);
    sanctions::insert(db, &ban, now)?;
    Ok(audit::write(db, audited, now)?)
}

/// Mutes an account for a while from now on. A second mute replaces the end of the first, even by an earlier one.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::Field`] for the reason.
pub fn mute(db: Db<'_>, name: &str, for_ms: u64, reason: &str, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    let reason = parse_words("the reason", reason)?;
    let until = Some(now.saturating_add(for_ms));
    let detail = format!("{} s: {reason}", for_ms / 1_000);
    let audited = Entry::operator("mute", &account.username, &detail);
    let standing = sanctions::in_force(db, SanctionKind::Mute, account.id, now)?;
    if standing.is_empty() {
        let mute = by_operator(SanctionKind::Mute, account.id, now, until, &reason);
        sanctions::insert(db, &mute, now)?;
    }
    for old in standing.into_iter().map(|row| row.sanction) {
        let reason = if reason.is_empty() { old.reason.clone() } else { reason.clone() };
        sanctions::update(db, &Sanction { until, reason, ..old })?;
    }
    Ok(audit::write(db, audited, now)?)
}

fn by_operator(
    kind: SanctionKind,
    sub: AccountId,
    from: u64,
    until: Option<u64>,
    reason: &str,
) -> Sanction {
    let (reason, by) = (reason.to_owned(), OPERATOR.to_owned());
    Sanction { id: 0, kind, sub, peer: None, from, until, reason, by }
}

/// Ends all bans or mutes of an account now.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::NotSanctioned`] if there is nothing to lift.
pub fn lift(db: Db<'_>, name: &str, what: Lifting, now: u64) -> Result<(), ActError> {
    let account = find(db, name)?;
    let (act, state) = match what {
        Lifting::Ban => ("unban", "banned"),
        Lifting::Mute => ("unmute", "muted"),
    };
    if lift_account(db, account.id, what, now)? == 0 {
        return Err(ActError::NotSanctioned { name: account.username, what: state });
    }
    Ok(audit::write(db, Entry::operator(act, &account.username, ""), now)?)
}

/// Lifts all bans or mutes of an account without an audit entry, and returns how many there were.
pub(crate) fn lift_account(
    db: Db<'_>,
    account: AccountId,
    what: Lifting,
    now: u64,
) -> Result<usize, ActError> {
    let kind = match what {
        Lifting::Ban => SanctionKind::Ban,
        Lifting::Mute => SanctionKind::Mute,
    };
    let standing = sanctions::in_force(db, kind, account, now)?;
    for row in &standing {
        let from = row.sanction.from.max(row.made_at);
        sanctions::update(db, &Sanction { from, until: Some(now), ..row.sanction.clone() })?;
    }
    Ok(standing.len())
}

#[cfg(test)]
mod tests;

//! Checks a message before it is signed, as every peer will check it, so that its author learns at once why it is
//! refused.

use crate::history::History;
use crate::identity::Identity;
use crate::io::SendRefused;
use crate::message::Draft;

/// How far ahead of realm time `sent_at` may be to sort after the largest one held.
pub(crate) const ORDER_AHEAD_MS_MAX: u64 = 30_000;

/// The `sent_at` of a message written now: later than all we hold, but not far ahead of the time.
pub(crate) fn sent_at(history: &History, realm_ms: u64) -> u64 {
    let follows = history.set().largest_sent_at().map_or(0, |largest| largest.saturating_add(1));
    realm_ms.max(follows.min(realm_ms.saturating_add(ORDER_AHEAD_MS_MAX)))
}

/// Whether we may send this at a realm time.
pub(crate) fn check(
    draft: &Draft,
    sent_at: u64,
    identity: &Identity,
    history: &History,
) -> Result<(), SendRefused> {
    let (me, rules) = (identity.author(), history.rules());
    let policy = rules.policy();
    if identity.has_ended() || rules.ban_at(&me, sent_at).is_some() {
        return Err(SendRefused::NotAMember);
    }
    if !me.covers(sent_at) {
        return Err(SendRefused::Expired);
    }
    if draft.body.text.trim().is_empty() {
        return Err(SendRefused::Empty);
    }
    let (bytes, max) = (draft.body.size() as u64, policy.limits_at(sent_at).max_text_bytes);
    if bytes > max {
        return Err(SendRefused::TooLong { bytes, max });
    }
    let room = policy.room(&draft.room).ok_or(SendRefused::NoSuchRoom)?;
    if !room.may_post(me.role, sent_at) {
        return Err(SendRefused::MayNotPost);
    }
    if let Some(mute) = rules.mute_at(&me, sent_at) {
        return Err(SendRefused::Muted { until: mute.until });
    }
    if let Some(until) = history.full_until(&me, sent_at) {
        return Err(SendRefused::SlowDown { retry_after_ms: until.saturating_sub(sent_at) });
    }
    Ok(())
}

//! Forgetting what is too old, a day's worth at a time (PROTOCOL.md R-48).
//!
//! What is deleted stays deleted, so no single clock decides about it: two must agree that a day is over, and even then
//! one moment in which both are wrong takes no more than a day of the past.

use std::time::Duration;

use crate::limits::{RETAIN_STEP_EVERY, RETAIN_STEP_MS};
use crate::time::Now;

use super::{Engine, Event, Output};

/// How far the retention boundary may go.
#[derive(Debug)]
pub(super) struct Retention {
    /// Realm time, unix milliseconds.
    reach: u64,
    /// When it was last extended, on the monotonic clock.
    extended: Duration,
}

impl Retention {
    /// At a start: a day beyond the oldest message that is stored. Where there is none, there is nothing to lose.
    pub(super) fn starting_with(oldest: Option<u64>, now: Now) -> Self {
        let reach = oldest.map_or(u64::MAX, |sent_at| sent_at.saturating_add(RETAIN_STEP_MS));
        Self { reach, extended: now.mono }
    }

    /// Another day for each step that is due.
    fn extend(&mut self, boundary: u64, now: Now) {
        let passed = now.mono.saturating_sub(self.extended).as_secs();
        let steps = passed.checked_div(RETAIN_STEP_EVERY.as_secs()).unwrap_or_default();
        if steps > 0 {
            self.reach = boundary.saturating_add(RETAIN_STEP_MS.saturating_mul(steps));
            self.extended = now.mono;
        }
    }
}

impl Engine {
    /// By how much what the realm has signed is ahead of this machine's clock, if it is by more than a day.
    #[must_use]
    pub fn signed_ahead_ms(&self, now: Now) -> Option<u64> {
        let ahead_ms = self.proven.at(now).saturating_sub(now.wall_ms);
        (ahead_ms > RETAIN_STEP_MS).then_some(ahead_ms)
    }

    /// Forgets what is too old by the smaller of two times: the newest that the realm has signed, and this machine's
    /// clock.
    pub(super) fn retain(&mut self, now: Now) {
        self.retention.extend(self.history.boundary(), now);
        let realm_ms = self.proven.at(now).min(now.wall_ms);
        if let Some(before) = self.history.retain(realm_ms, self.retention.reach) {
            self.outputs.push_back(Output::Forget { before });
            self.event(Event::Reload);
        }
        let next = self.history.boundary().saturating_add(RETAIN_STEP_MS);
        self.retention.reach = self.retention.reach.min(next);
    }
}

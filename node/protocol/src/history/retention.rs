//! How far the retention boundary may go, a day's worth at a time (PROTOCOL.md R-48).
//!
//! What is deleted stays deleted, so no single clock decides about it: two must agree that a day is over, and even then
//! one moment in which both are wrong takes no more than a day of the past.

use std::time::Duration;

use crate::limits::{RETAIN_STEP_EVERY, RETAIN_STEP_MS};
use crate::time::Now;

/// The bound on the retention boundary.
#[derive(Debug)]
pub(crate) struct Retention {
    /// Realm time, unix milliseconds.
    reach: u64,
    /// When it was last extended, on the monotonic clock.
    extended: Duration,
}

impl Retention {
    /// At a start: a day beyond the oldest message that is stored. Where there is none, there is nothing to lose.
    pub(crate) fn new(oldest: Option<u64>, now: Now) -> Self {
        let reach = oldest.map_or(u64::MAX, |sent_at| sent_at.saturating_add(RETAIN_STEP_MS));
        Self { reach, extended: now.mono }
    }

    /// How far a boundary may go now: another day for each step that is due. Realm time, unix milliseconds.
    pub(crate) fn reach(&mut self, boundary: u64, now: Now) -> u64 {
        let passed = now.mono.saturating_sub(self.extended).as_secs();
        let steps = passed.checked_div(RETAIN_STEP_EVERY.as_secs()).unwrap_or_default();
        if steps > 0 {
            self.reach = boundary.saturating_add(RETAIN_STEP_MS.saturating_mul(steps));
            self.extended = now.mono;
        }
        self.reach
    }

    /// The boundary has moved: it goes no further than a day in the next step.
    pub(crate) fn moved(&mut self, boundary: u64) {
        self.reach = self.reach.min(boundary.saturating_add(RETAIN_STEP_MS));
    }
}

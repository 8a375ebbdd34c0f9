//! How far the retention boundary may move, one day at a time (PROTOCOL.md R-48).
//!
//! Deletion is final, so no single clock decides about it. Two clocks must agree that a day is over, and even if both
//! are wrong for a moment, no more than one day of history is lost.

use crate::time::Now;
use std::time::Duration;

/// How far the retention boundary advances in one step, so that a time that is briefly wrong, signed or not, costs one
/// day of history and not all of it.
pub(crate) const RETAIN_STEP_MS: u64 = 86_400_000;
/// Time between two such steps. A peer that was away for two months has caught up within two weeks.
pub(crate) const RETAIN_STEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// The bound on the retention boundary.
#[derive(Debug)]
pub(crate) struct Retention {
    /// The furthest that the boundary may move: realm time, unix milliseconds.
    reach: u64,
    /// When the bound was last extended, on the monotonic clock.
    extended: Duration,
}

impl Retention {
    /// At the start, one day beyond the oldest stored message. Without any, there is nothing to lose and so no bound.
    pub(crate) fn new(oldest: Option<u64>, now: Now) -> Self {
        let reach = oldest.map_or(u64::MAX, |sent_at| sent_at.saturating_add(RETAIN_STEP_MS));
        Self { reach, extended: now.mono }
    }

    /// How far the boundary may move now: another day for each step that is due. Realm time, unix milliseconds.
    pub(crate) fn reach(&mut self, boundary: u64, now: Now) -> u64 {
        let passed = now.mono.saturating_sub(self.extended).as_secs();
        let steps = passed.checked_div(RETAIN_STEP_EVERY.as_secs()).unwrap_or_default();
        if steps > 0 {
            self.reach = boundary.saturating_add(RETAIN_STEP_MS.saturating_mul(steps));
            self.extended = now.mono;
        }
        self.reach
    }

    /// Notes that the boundary has moved, so that its next step is at most a day.
    pub(crate) fn moved(&mut self, boundary: u64) {
        self.reach = self.reach.min(boundary.saturating_add(RETAIN_STEP_MS));
    }
}

//! Time as an input, and realm time: the rendezvous' clock as this peer knows it.
//!
//! Nothing in this crate reads a clock. The driver samples [`Now`] once per turn and passes it in;
//! the simulator makes it up.

use std::time::Duration;

use crate::limits::CLOCK_OFF_MS;

/// One sample of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since the program started. Never goes back; deadlines are on this clock.
    pub mono: Duration,
    /// The machine's wall clock, unix milliseconds. May jump.
    pub wall_ms: u64,
}

/// Realm time = wall clock + offset, never going back (PROTOCOL.md R-5).
///
/// The high-water mark is stored by the driver, so that turning the machine's clock back does not revive a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmClock {
    offset_ms: i64,
    high_water_ms: u64,
    /// Whether a login or renewal of this program run has set the offset.
    learnt: bool,
}

impl RealmClock {
    /// A clock with the offset and high-water mark of the last run.
    #[must_use]
    pub fn restored(offset_ms: i64, high_water_ms: u64) -> Self {
        Self { offset_ms, high_water_ms, learnt: false }
    }

    /// A clock set by a login: `realm_ms` was the rendezvous' time when the local clock said `now`.
    #[must_use]
    pub fn learnt(realm_ms: u64, now: Now, high_water_ms: u64) -> Self {
        Self { offset_ms: offset(realm_ms, now.wall_ms), high_water_ms, learnt: true }
    }

    /// Realm time, unix milliseconds.
    pub fn now_ms(&mut self, now: Now) -> u64 {
        self.high_water_ms = self.peek_ms(now);
        self.high_water_ms
    }

    /// Realm time, without moving the high-water mark.
    #[must_use]
    pub fn peek_ms(&self, now: Now) -> u64 {
        now.wall_ms.saturating_add_signed(self.offset_ms).max(self.high_water_ms)
    }

    /// This clock, but not before a time that the realm itself has signed.
    #[must_use]
    pub(crate) fn at_least(mut self, realm_ms: u64) -> Self {
        self.high_water_ms = self.high_water_ms.max(realm_ms);
        self
    }

    /// Realm time less local time, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// The largest realm time this peer has seen.
    #[must_use]
    pub fn high_water_ms(&self) -> u64 {
        self.high_water_ms
    }

    /// Takes the median of what at least three peers of three accounts say, if this run has no login
    /// and is off by over two minutes (PROTOCOL.md R-6). Returns the correction in milliseconds.
    ///
    /// The caller passes one value per account: offsets of their realm time to ours.
    pub fn agree_with_peers(&mut self, offsets_by_account: &mut [i64]) -> Option<i64> {
        if self.learnt || offsets_by_account.len() < 3 {
            return None;
        }
        offsets_by_account.sort_unstable();
        let median = *offsets_by_account.get(offsets_by_account.len() / 2)?;
        if median.unsigned_abs() <= CLOCK_OFF_MS {
            return None;
        }
        self.offset_ms = self.offset_ms.saturating_add(median);
        if median < 0 {
            // The mark came from the wrong clock; keeping it would stop our time until the realm catches up.
            self.high_water_ms = 0;
        }
        Some(median)
    }
}

/// `realm − local`, clamped to what fits.
#[must_use]
pub fn offset(realm_ms: u64, local_ms: u64) -> i64 {
    let distance = i64::try_from(realm_ms.abs_diff(local_ms)).unwrap_or(i64::MAX);
    if realm_ms >= local_ms { distance } else { -distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: u64) -> Now {
        Now { mono: Duration::ZERO, wall_ms }
    }

    #[test]
    fn realm_time_follows_the_login_and_never_goes_back() {
        let mut clock = RealmClock::learnt(10_000, at(4_000), 0);
        assert_eq!(clock.offset_ms(), 6_000);
        assert_eq!(clock.now_ms(at(5_000)), 11_000);
        assert_eq!(clock.now_ms(at(1_000)), 11_000);
        assert_eq!(RealmClock::restored(0, 20_000).now_ms(at(5_000)), 20_000);
    }

    #[test]
    fn three_accounts_can_correct_a_clock_without_a_login() {
        let mut clock = RealmClock::restored(0, 900_000);
        assert_eq!(clock.agree_with_peers(&mut [-500_000, -500_000]), None);
        assert_eq!(clock.agree_with_peers(&mut [1_000, 0, -500_000]), None);
        assert_eq!(clock.agree_with_peers(&mut [-500_000, -510_000, 9_000_000]), Some(-500_000));
        assert_eq!(clock.now_ms(at(900_000)), 400_000);
        let mut logged_in = RealmClock::learnt(5, at(5), 0);
        assert_eq!(logged_in.agree_with_peers(&mut [900_000; 5]), None);
    }
}

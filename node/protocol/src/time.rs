//! Time as an input, and realm time: the rendezvous' clock as this peer knows it.
//!
//! Nothing in this crate reads a clock. The driver samples [`Now`] once per turn and passes it in; the simulator
//! invents it.

pub(crate) mod realm_time;

use std::ops::RangeInclusive;
use std::time::Duration;

/// A clock that is off by more than this is worth a warning.
pub const CLOCK_OFF_MS: u64 = 120_000;

/// A minute in milliseconds.
pub const MINUTE_MS: u64 = 60_000;
/// An hour in milliseconds.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// A day in milliseconds.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// One sample of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since the program started. It never goes back; deadlines use this clock.
    pub mono: Duration,
    /// The machine's wall clock in unix milliseconds, which may jump.
    pub wall_ms: u64,
}

/// Realm time = wall clock + offset, never going back (PROTOCOL.md R-5).
///
/// The driver stores the high-water mark, so that setting the machine's clock back does not revive a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmClock {
    offset_ms: i64,
    high_water_ms: u64,
    /// Whether a login or renewal since the program started has set the offset.
    learnt: bool,
}

impl RealmClock {
    /// A clock with the offset and high-water mark of the previous run.
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

    /// The wall clock was moved by `by_ms`. After a login realm time does not follow it. Without one the wall clock is
    /// the best source there is, so a high-water mark in its future is lowered too.
    pub(crate) fn wall_clock_set(&mut self, by_ms: i64) {
        if self.learnt {
            self.offset_ms = self.offset_ms.saturating_sub(by_ms);
        } else {
            self.high_water_ms = self.high_water_ms.saturating_add_signed(by_ms.min(0));
        }
    }

    /// Whether a login or renewal since the program started has told us the time.
    #[must_use]
    pub fn is_learnt(&self) -> bool {
        self.learnt
    }

    /// Realm time minus local time, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// The largest realm time this peer has seen.
    #[must_use]
    pub fn high_water_ms(&self) -> u64 {
        self.high_water_ms
    }

    /// Whether this clock continues `earlier`: with the same offset, and never going back.
    pub(crate) fn goes_on_from(&self, earlier: &Self) -> bool {
        self.offset_ms == earlier.offset_ms && self.high_water_ms >= earlier.high_water_ms
    }

    /// Without a login, adopts the median of what peers of at least three accounts say if our clock is off by more
    /// than two minutes (PROTOCOL.md R-6). Returns the correction in milliseconds.
    ///
    /// The caller passes one value per account, the offset of its realm time from ours, and the range of realm times
    /// that are possible, in unix milliseconds. Of two middle values, the smaller correction counts.
    pub fn agree_with_peers(
        &mut self,
        offsets_by_account: &mut [i64],
        possible: RangeInclusive<u64>,
        now: Now,
    ) -> Option<i64> {
        if self.learnt || offsets_by_account.len() < 3 {
            return None;
        }
        offsets_by_account.sort_unstable();
        let middle = offsets_by_account.len() / 2;
        let lower = if offsets_by_account.len().is_multiple_of(2) { middle - 1 } else { middle };
        let middle = offsets_by_account.get(lower..=middle)?;
        let median = *middle.iter().min_by_key(|offset| offset.unsigned_abs())?;
        let corrected = self.peek_ms(now).saturating_add_signed(median);
        if median.unsigned_abs() <= CLOCK_OFF_MS || !possible.contains(&corrected) {
            return None;
        }
        self.offset_ms = self.offset_ms.saturating_add(median);
        if median < 0 {
            // The high-water mark came from the wrong clock; keeping it would stop our time until the realm catches up.
            self.high_water_ms = 0;
        }
        Some(median)
    }
}

/// A realm time that has certainly been reached if the login node's clock was right: the newest time that the realm has
/// signed, plus what has passed since then on the monotonic clock, which cannot be set. Expiry needs this time and this
/// machine's clock to agree, so that one wrong clock does not delete history.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProvenTime {
    signed_ms: u64,
    since: Duration,
}

impl ProvenTime {
    /// The time that the login node reports now. If it is earlier than one it signed before, its clock was wrong then.
    pub(crate) fn said(realm_ms: u64, now: Now) -> Self {
        Self { signed_ms: realm_ms, since: now.mono }
    }

    /// Notes a realm time, in unix milliseconds, that the realm has signed.
    pub(crate) fn note(&mut self, realm_ms: u64, now: Now) {
        if realm_ms > self.at(now) {
            *self = Self { signed_ms: realm_ms, since: now.mono };
        }
    }

    /// The proven realm time in unix milliseconds.
    pub(crate) fn at(self, now: Now) -> u64 {
        let passed = now.mono.saturating_sub(self.since).as_millis();
        self.signed_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// `realm_ms − local_ms`, saturating.
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
        let now = at(900_000);
        let mut agree =
            |offsets: &mut [i64]| clock.agree_with_peers(offsets, 300_000..=950_000, now);
        assert_eq!(agree(&mut [-500_000, -500_000]), None);
        assert_eq!(agree(&mut [1_000, 0, -500_000]), None);
        assert_eq!(agree(&mut [-500_000, -500_000, 1_000, 0]), None, "half of them are not enough");
        assert_eq!(agree(&mut [-700_000; 5]), None, "the realm has signed later times");
        assert_eq!(agree(&mut [200_000; 5]), None, "beyond our own ticket");
        assert_eq!(agree(&mut [-500_000, -510_000, 9_000_000]), Some(-500_000));
        assert_eq!(clock.now_ms(now), 400_000);
        let mut logged_in = RealmClock::learnt(5, at(5), 0);
        assert_eq!(logged_in.agree_with_peers(&mut [900_000; 5], 0..=u64::MAX, at(5)), None);
    }

    #[test]
    fn r5_realm_time_does_not_follow_a_clock_that_is_set() {
        let mut clock = RealmClock::learnt(10_000, at(4_000), 0);
        for (by_ms, wall_ms, realm_ms) in
            [(3_600_000, 3_605_000, 11_000), (-3_600_000, 6_000, 12_000)]
        {
            clock.wall_clock_set(by_ms);
            assert_eq!(clock.now_ms(at(wall_ms)), realm_ms);
        }
        // Without a login it does, in both directions.
        let mut clock = RealmClock::restored(0, 0);
        assert_eq!(clock.now_ms(at(3_600_000)), 3_600_000);
        clock.wall_clock_set(-3_000_000);
        assert_eq!(clock.now_ms(at(600_000)), 600_000);
    }

    #[test]
    fn a_proven_time_is_the_newest_signed_one_plus_the_time_since() {
        let now = |seconds| Now { mono: Duration::from_secs(seconds), wall_ms: u64::MAX };
        let mut proven = ProvenTime::default();
        proven.note(50_000, now(10));
        assert_eq!(proven.at(now(12)), 52_000);
        proven.note(51_000, now(12));
        assert_eq!(proven.at(now(12)), 52_000, "an older time proves nothing");
        proven.note(60_000, now(12));
        assert_eq!(proven.at(now(13)), 61_000);
        let proven = ProvenTime::said(30_000, now(13));
        assert_eq!(proven.at(now(14)), 31_000, "the login node may correct itself");
    }
}

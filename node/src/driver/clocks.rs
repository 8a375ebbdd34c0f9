//! Detects, from two samples of the machine's clocks, that it has slept or that its time was set.

use std::time::Duration;

use lanyard_protocol::time::Now;

/// Smaller jumps are ignored: network time sets the clock in small steps all the time.
const NOTICED_MS: i64 = 15_000;

/// What happened since the last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockNews {
    /// The machine has slept.
    Slept,
    /// The wall clock was set by this many milliseconds, forward or back.
    Set(i64),
}

/// The clocks at the last sample.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    last: Option<(Now, Option<Duration>)>,
}

impl Clocks {
    /// Compares the clocks with the last sample. `since_boot` counts sleep, which the program's own monotonic clock may
    /// not do. On a machine that does not provide it, a clock that was set forward looks like sleep.
    pub(super) fn look(&mut self, now: Now, since_boot: Option<Duration>) -> Option<ClockNews> {
        let (last, last_since_boot) = self.last.replace((now, since_boot))?;
        let wall = now.wall_ms.cast_signed().saturating_sub(last.wall_ms.cast_signed());
        let awake = millis(now.mono).saturating_sub(millis(last.mono));
        let passed = since_boot.zip(last_since_boot).map(|(now, last)| millis(now) - millis(last));
        let set = wall.saturating_sub(passed.unwrap_or(awake));
        if set < -NOTICED_MS || (set > NOTICED_MS && passed.is_some()) {
            return Some(ClockNews::Set(set));
        }
        (passed.unwrap_or(wall).saturating_sub(awake) > NOTICED_MS).then_some(ClockNews::Slept)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: u64 = 1_800_000_000_000;

    /// The result after an hour in which the wall clock moved by `wall_s` and the program was awake for `awake_s`.
    fn after_an_hour(wall_s: i64, awake_s: u64, tells_of_sleep: bool) -> Option<ClockNews> {
        let mut clocks = Clocks::default();
        let since_boot = |seconds| tells_of_sleep.then_some(Duration::from_secs(seconds));
        let start = Now { mono: Duration::from_secs(5), wall_ms: BEGAN };
        assert_eq!(clocks.look(start, since_boot(100)), None);
        let mono = Duration::from_secs(5 + awake_s);
        let wall_ms = BEGAN.saturating_add_signed(wall_s * 1_000);
        clocks.look(Now { mono, wall_ms }, since_boot(3_700))
    }

    #[test]
    fn a_clock_that_goes_on_is_no_news() {
        assert_eq!(after_an_hour(3_600, 3_600, true), None);
        assert_eq!(after_an_hour(3_610, 3_600, true), None);
        assert_eq!(after_an_hour(3_600, 3_600, false), None);
    }

    #[test]
    fn sleep_is_told_from_a_clock_that_was_set() {
        assert_eq!(after_an_hour(3_600, 10, true), Some(ClockNews::Slept));
        assert_eq!(after_an_hour(7_200, 3_600, true), Some(ClockNews::Set(3_600_000)));
        assert_eq!(after_an_hour(0, 3_600, true), Some(ClockNews::Set(-3_600_000)));
        // Set while it slept.
        assert_eq!(after_an_hour(0, 10, true), Some(ClockNews::Set(-3_600_000)));
    }

    #[test]
    fn without_a_clock_that_counts_sleep_only_backwards_is_certain() {
        assert_eq!(after_an_hour(0, 3_600, false), Some(ClockNews::Set(-3_600_000)));
        assert_eq!(after_an_hour(7_200, 3_600, false), Some(ClockNews::Slept));
    }
}

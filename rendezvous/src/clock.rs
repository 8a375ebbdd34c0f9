//! The only place that reads a clock.
//!
//! Everything else takes time as a parameter, so that tests decide what time it is. Realm time is this clock, but never
//! behind the largest time already signed: see [`crate::store::meta`]. [`timekeeping`] decides whether the clock can be
//! trusted for signing.

pub mod timekeeping;

use std::sync::LazyLock;
#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lanyard_protocol::time::Now;

/// The wall clock in unix milliseconds; 0 if it is set before 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge where time becomes a parameter")]
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A clock that never jumps, for measuring durations.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge where time becomes a parameter")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Both clocks, at this moment. Monotonic time counts from the first call.
#[must_use]
pub fn now() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(monotonic);
    let start = *START;
    Now { mono: monotonic().saturating_duration_since(start), wall_ms: unix_ms() }
}

/// An id of the machine's current boot, and the milliseconds since then, including sleep. `None` if the system does not
/// provide them.
#[must_use]
pub fn machine_run() -> Option<(String, u64)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let since = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
        Some((boot.trim().to_owned(), u64::try_from(since.as_millis()).ok()?))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

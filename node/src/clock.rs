//! The only place that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanyard_protocol::time::Now;

/// Samples both clocks. Monotonic time counts from when this was created.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        clippy::new_without_default,
        reason = "the one clock read of this crate"
    )]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks, at this moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock read of this crate")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now {
            mono: self.start.elapsed(),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Time since the machine started, asleep or awake; `None` if no system call reports it.
    #[must_use]
    pub fn since_boot(&self) -> Option<Duration> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::time::{ClockId, clock_gettime};
            Duration::try_from(clock_gettime(ClockId::Boottime)).ok()
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        None
    }

    /// The instant of a monotonic time, for timers.
    #[must_use]
    pub fn instant(&self, mono: Duration) -> tokio::time::Instant {
        (self.start + mono).into()
    }
}

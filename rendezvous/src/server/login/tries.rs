//! Tries at a password, of which none stays open: see [`crate::server::throttle`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lanyard_protocol::time::Now;

use crate::server::throttle::{End, Gate, Throttle, Tryer};

/// The throttle of all connections.
#[derive(Debug, Default)]
pub(super) struct Tries {
    throttle: Mutex<Throttle>,
}

/// A try that has begun. It is taken back if it is dropped without an end, because then nobody gets an answer.
#[derive(Debug)]
pub(super) struct Try<'a> {
    tries: &'a Tries,
    tryer: Tryer,
    end: (End, u64),
}

impl Tries {
    /// Begins a try, or says why not.
    pub(super) fn begin(&self, tryer: Tryer, now: Now) -> Result<Try<'_>, Gate> {
        let now = ms(now.mono);
        lock(&self.throttle).begin(&tryer, now)?;
        Ok(Try { tries: self, tryer, end: (End::TakenBack, now) })
    }

    /// Whether a try could begin now.
    pub(super) fn gate(&self, tryer: &Tryer, now: Now) -> Gate {
        lock(&self.throttle).gate(tryer, ms(now.mono))
    }
}

impl Try<'_> {
    /// The password was wrong.
    pub(super) fn failed(mut self, now: Now) {
        self.end = (End::Failed, ms(now.mono));
    }

    /// The password was right.
    pub(super) fn succeeded(mut self) {
        self.end.0 = End::Right;
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let (end, now) = self.end;
        lock(&self.tries.throttle).end(&self.tryer, end, now);
    }
}

/// Milliseconds of the clock that never goes back.
pub(super) fn ms(mono: Duration) -> u64 {
    u64::try_from(mono.as_millis()).unwrap_or(u64::MAX)
}

/// Locks a table that is consistent after every statement, so that a panic elsewhere does not matter.
pub(super) fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

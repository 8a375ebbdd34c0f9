//! Our time beside the others', as the driver and the user see it.

use crate::limits::RETAIN_STEP_MS;
use crate::time::Now;

use super::Engine;

impl Engine {
    /// Somebody has set this machine's wall clock by so many milliseconds, which the next [`Now`] shows for the first
    /// time (PROTOCOL.md R-5).
    pub fn wall_clock_set(&mut self, by_ms: i64) {
        self.time.wall_set(by_ms);
    }

    /// By how many milliseconds our clock is ahead of those of all linked accounts, if it is by more than they can
    /// bear; less than zero if it is behind. `None` while one of them agrees with it.
    #[must_use]
    pub fn out_of_step_ms(&self) -> Option<i64> {
        self.time.out_of_step_ms(self.links.accounts())
    }

    /// The code and the sentence for a clock that contradicts everyone's.
    #[must_use]
    pub fn out_of_step_words(&self, ahead_ms: i64) -> (&'static str, String) {
        self.time.out_of_step_words(ahead_ms)
    }

    /// By how much what the realm has signed is ahead of this machine's clock, if it is by more than a day.
    #[must_use]
    pub fn signed_ahead_ms(&self, now: Now) -> Option<u64> {
        let ahead_ms = self.time.proven_ms(now).saturating_sub(now.wall_ms);
        (ahead_ms > RETAIN_STEP_MS).then_some(ahead_ms)
    }

    /// When our clock has come to agree with the others', what nobody could accept is sent again.
    pub(super) fn look_at_clocks(&mut self, now: Now) {
        if self.time.look(self.links.accounts(), &self.me, now, &mut self.fx) {
            self.resend(now);
        }
    }

    pub(super) fn learn_time(&mut self, realm_ms: u64, now: Now) {
        self.time.learnt(realm_ms, now);
        self.look_at_clocks(now);
    }
}

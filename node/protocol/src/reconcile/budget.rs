//! Token buckets on the monotonic clock, for what is served, sent and received (PROTOCOL.md R-109).

use std::time::Duration;

/// How many parts make a token. At a rate of one, a nanosecond brings one part, so nothing is rounded.
const PARTS: u128 = 1_000_000_000;

/// A bucket that fills at a steady rate up to its burst. It starts full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBucket {
    rate: u64,
    burst: u64,
    parts: u128,
    at: Duration,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens, which gains `rate` tokens a second.
    #[must_use]
    pub fn new(rate: u64, burst: u64, mono: Duration) -> Self {
        Self { rate, burst, parts: u128::from(burst).saturating_mul(PARTS), at: mono }
    }

    /// Takes `n` tokens, or none.
    ///
    /// # Errors
    /// When there will be enough, on the monotonic clock, if nobody else takes any: [`Duration::MAX`] if `n` is more
    /// than the burst, or the rate is zero.
    pub fn take(&mut self, n: u64, mono: Duration) -> Result<(), Duration> {
        self.fill(mono);
        let until = self.ready_at(n, mono);
        if until > mono {
            return Err(until);
        }
        self.parts = self.parts.saturating_sub(u128::from(n).saturating_mul(PARTS));
        Ok(())
    }

    /// Gives back tokens that were taken and not used.
    pub fn give_back(&mut self, n: u64) {
        let full = u128::from(self.burst).saturating_mul(PARTS);
        self.parts = self.parts.saturating_add(u128::from(n).saturating_mul(PARTS)).min(full);
    }

    /// Whether the bucket is full, and so no different from a new one.
    #[must_use]
    pub fn is_full(&self, mono: Duration) -> bool {
        self.filled(mono) >= u128::from(self.burst).saturating_mul(PARTS)
    }

    /// When `n` tokens can be taken: `mono` itself, or later. This serves callers that take from several buckets or
    /// none.
    #[must_use]
    pub fn ready_at(&self, n: u64, mono: Duration) -> Duration {
        let missing = u128::from(n).saturating_mul(PARTS).saturating_sub(self.filled(mono));
        if missing == 0 {
            return mono;
        }
        if n > self.burst || self.rate == 0 {
            return Duration::MAX;
        }
        let nanos = missing.div_ceil(u128::from(self.rate));
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        mono.max(self.at).saturating_add(wait)
    }

    fn fill(&mut self, mono: Duration) {
        self.parts = self.filled(mono);
        self.at = self.at.max(mono);
    }

    fn filled(&self, mono: Duration) -> u128 {
        let elapsed = mono.saturating_sub(self.at).as_nanos();
        let full = u128::from(self.burst).saturating_mul(PARTS);
        self.parts.saturating_add(elapsed.saturating_mul(u128::from(self.rate))).min(full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn r109_a_bucket_says_when_there_will_be_enough() {
        let mut bucket = TokenBucket::new(500, 100, S);
        assert_eq!(bucket.take(100, S), Ok(()));
        let soon = S + Duration::from_millis(20);
        assert_eq!(bucket.take(10, S), Err(soon));
        assert_eq!(bucket.take(10, soon.saturating_sub(Duration::from_nanos(1))), Err(soon));
        assert_eq!(bucket.take(10, soon), Ok(()));
        assert_eq!(bucket.take(1, soon), Err(soon + Duration::from_millis(2)));
        assert_eq!(bucket.take(101, 9 * S), Err(Duration::MAX));
        assert_eq!(bucket.ready_at(100, 9 * S), 9 * S);
        assert_eq!(bucket.take(0, S), Ok(()), "a clock that goes back takes nothing away");
        assert_eq!(bucket.take(100, 9 * S), Ok(()));
        assert_eq!(bucket.take(0, S), Ok(()));
        assert!(bucket.take(1, 9 * S).is_err(), "and gives nothing twice");
        assert_eq!(TokenBucket::new(0, 1, S).ready_at(2, S), Duration::MAX);
    }

    proptest! {
        #[test]
        fn r109_never_more_than_the_burst_and_what_has_come_back(
            rate in 1u64..5_000, burst in 1u64..5_000,
            schedule in prop::collection::vec((0u64..300_000_000, 0u64..5_000), 1..80),
        ) {
            let mut bucket = TokenBucket::new(rate, burst, S);
            let mut mono = S;
            // The bucket starts empty, so that it never overflows before the first wait.
            prop_assert_eq!(bucket.take(burst, S), Ok(()));
            let mut granted = u128::from(burst);
            for (wait_ns, n) in schedule {
                mono += Duration::from_nanos(wait_ns);
                match bucket.take(n, mono) {
                    Ok(()) => granted += u128::from(n),
                    Err(Duration::MAX) => prop_assert!(n > burst),
                    Err(until) => {
                        prop_assert!(until > mono);
                        mono = until;
                        prop_assert_eq!(bucket.take(n, mono), Ok(()));
                        granted += u128::from(n);
                    }
                }
                let allowed = u128::from(burst) * PARTS + u128::from(rate) * (mono - S).as_nanos();
                prop_assert!(granted * PARTS <= allowed);
            }
        }
    }
}

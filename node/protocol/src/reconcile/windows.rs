//! The windows of a round, newest first (PROTOCOL.md R-103).
//!
//! Their boundaries are whole minutes and hours. So rounds a few seconds apart compare the same older windows, whose
//! sets are then found in the cache.
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// Younger messages may still arrive by gossip, so a round omits them unless the link is new.
pub const SETTLE_MS: u64 = 5_000;

/// The end of an open window. Every `sent_at` is below it, and a database can store it.
pub const OPEN_END: u64 = i64::MAX.cast_unsigned();

/// A span of time, unix milliseconds of realm time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First `sent_at` in the span.
    pub since: u64,
    /// First `sent_at` after it; later than `since`.
    pub until: u64,
}

/// At most five spans without gaps, newest first: 10 minutes, an hour, a day, a week, and the rest.
///
/// `realm_ms` is realm time. On a fresh link the newest span is open; otherwise it ends [`SETTLE_MS`] ago. The oldest
/// begins at `retention_ms`, the retention boundary, rounded down to the hour.
#[must_use]
pub fn spans(realm_ms: u64, fresh_link: bool, retention_ms: u64) -> Vec<Span> {
    let rest = whole(retention_ms, HOUR_MS);
    let newest = if fresh_link { OPEN_END } else { realm_ms.saturating_sub(SETTLE_MS) };
    let ago = |ms: u64, unit: u64| whole(realm_ms.saturating_sub(ms), unit);
    let boundaries = [
        ago(10 * MINUTE_MS, MINUTE_MS),
        ago(HOUR_MS, HOUR_MS),
        ago(DAY_MS, HOUR_MS),
        ago(7 * DAY_MS, HOUR_MS),
        rest,
    ];
    let mut spans = Vec::with_capacity(boundaries.len());
    let mut until = newest;
    for boundary in boundaries {
        let since = boundary.max(rest);
        if since < until {
            spans.push(Span { since, until });
            until = since;
        }
    }
    spans
}

fn whole(ms: u64, unit: u64) -> u64 {
    ms - ms % unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::WINDOWS_MAX;

    const NOW: u64 = 1_800_000_123_456;

    #[test]
    fn r103_ten_minutes_an_hour_a_day_a_week_and_the_rest() {
        let spans = spans(NOW, false, NOW - 90 * DAY_MS);
        assert_eq!(spans.len(), 5);
        assert_eq!(spans[0].until, NOW - 5_000);
        let ages: Vec<u64> = spans.iter().map(|span| (NOW - span.since) / MINUTE_MS).collect();
        assert_eq!(ages, [10, 62, 24 * 60 + 2, 7 * 24 * 60 + 2, 90 * 24 * 60 + 2]);
    }

    #[test]
    fn r103_a_fresh_link_leaves_nothing_out() {
        let spans = spans(NOW, true, 0);
        assert_eq!((spans[0].until, spans[4].since), (OPEN_END, 0));
        assert_eq!(OPEN_END, (1 << 63) - 1);
    }

    #[test]
    fn r103_a_young_realm_has_fewer_windows() {
        let spans = spans(NOW, false, NOW - 2 * HOUR_MS);
        assert_eq!(spans.len(), 3);
        assert!(super::spans(NOW, false, NOW).len() <= 2);
        assert!(super::spans(0, false, 0).is_empty());
    }

    #[test]
    fn r103_a_few_seconds_later_the_older_windows_are_the_same() {
        // Three seconds past a whole minute and a whole hour.
        let now = 1_800_000_003_000;
        let (one, two) = (spans(now, false, 5), spans(now + 50_000, false, 5));
        assert_ne!(one[0], two[0]);
        assert_eq!(one[1..], two[1..]);
        let later = spans(now + 40 * MINUTE_MS, false, 5);
        assert_eq!(one[2..], later[2..]);
    }

    proptest! {
        #[test]
        fn r103_no_window_is_empty_and_none_overlaps(
            now in 0u64..4_000_000_000_000, age in 0u64..10_000_000_000, fresh: bool,
        ) {
            let retention = now.saturating_sub(age);
            let spans = spans(now, fresh, retention);
            prop_assert!(spans.len() <= WINDOWS_MAX);
            prop_assert!(spans.iter().all(|span| span.since < span.until));
            prop_assert!(spans.windows(2).all(|pair| pair[0].since == pair[1].until));
            let end = if fresh { OPEN_END } else { now.saturating_sub(SETTLE_MS) };
            let start = whole(retention, HOUR_MS);
            if let (Some(newest), Some(oldest)) = (spans.first(), spans.last()) {
                prop_assert_eq!((oldest.since, newest.until), (start, end));
            } else {
                prop_assert!(start >= end);
            }
        }
    }
}

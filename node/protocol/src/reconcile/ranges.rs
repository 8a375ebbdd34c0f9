//! The sequence numbers of a session as ranges: which are held, and whether any are missing (PROTOCOL.md R-108).

use crate::limits::HELD_RANGES_MAX;

/// A set of sequence numbers, as ascending ranges that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeqRanges {
    /// The first and last number of each range.
    ranges: Vec<(u64, u64)>,
}

impl SeqRanges {
    /// Adds one number. Returns whether it is new.
    pub fn insert(&mut self, seq: u64) -> bool {
        if self.contains(seq) {
            return false;
        }
        self.add(seq, seq);
        true
    }

    /// Whether the set contains a number.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let at = self.ranges.partition_point(|(_first, last)| *last < seq);
        self.ranges.get(at).is_some_and(|(first, _last)| *first <= seq)
    }

    /// Adds the part of these ranges below `end`. Returns what was new, as ascending ranges.
    ///
    /// The author has used no number from `end` on. Ignoring those, a claim of (0, 2^64 − 1) costs no more than an
    /// honest range, and a liar cannot make the set larger than the session.
    pub fn merge(&mut self, ranges: &[(u64, u64)], end: u64) -> Vec<(u64, u64)> {
        let mut new = Vec::new();
        let Some(largest) = end.checked_sub(1) else { return new };
        for (first, last) in ranges.iter().copied() {
            let last = last.min(largest);
            if first <= last {
                self.gaps_within(first, last, &mut new);
                self.add(first, last);
            }
        }
        new
    }

    /// The ranges to put into a `Held`: the newest, at most 64.
    #[must_use]
    pub fn for_wire(&self) -> Vec<(u64, u64)> {
        let surplus = self.ranges.len().saturating_sub(HELD_RANGES_MAX);
        self.ranges.iter().skip(surplus).copied().collect()
    }

    /// Forgets the oldest ranges, so that at most `max` are left.
    pub fn keep_newest(&mut self, max: usize) {
        let surplus = self.ranges.len().saturating_sub(max);
        self.ranges.drain(..surplus);
    }

    /// All ranges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    fn gaps_within(&self, first: u64, last: u64, gaps: &mut Vec<(u64, u64)>) {
        let at = self.ranges.partition_point(|(_first, held_last)| *held_last < first);
        let mut next = first;
        for (held_first, held_last) in self.ranges.iter().skip(at) {
            if *held_first > last {
                break;
            }
            if next < *held_first {
                gaps.push((next, held_first.saturating_sub(1)));
            }
            let Some(after) = held_last.checked_add(1) else { return };
            next = after;
        }
        if next <= last {
            gaps.push((next, last));
        }
    }

    fn add(&mut self, first: u64, last: u64) {
        // Ranges that overlap or touch this one are merged with it.
        let from = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        let merged = self.ranges.get(from..to).unwrap_or_default();
        let first = merged.first().map_or(first, |range| range.0.min(first));
        let last = merged.last().map_or(last, |range| range.1.max(last));
        self.ranges.splice(from..to.max(from), [(first, last)]);
    }
}

/// The numbers in these ranges, at most `max` of them.
pub fn numbers(ranges: &[(u64, u64)], max: usize) -> impl Iterator<Item = u64> {
    ranges.iter().flat_map(|(first, last)| *first..=*last).take(max)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn r108_numbers_that_follow_one_another_are_one_range() {
        let mut held = SeqRanges::default();
        assert!(held.insert(0) && held.insert(1) && !held.insert(1));
        assert!(held.insert(3));
        assert_eq!(held.as_slice(), [(0, 1), (3, 3)]);
        assert!(held.insert(2));
        assert_eq!(held.as_slice(), [(0, 3)]);
    }

    #[test]
    fn r108_a_range_over_everything_costs_one() {
        let mut held = SeqRanges::default();
        held.insert(5);
        let all = [(0, u64::MAX)];
        assert_eq!(held.merge(&all, 10), [(0, 4), (6, 9)]);
        assert_eq!(held.merge(&all, 10), []);
        assert_eq!(held.merge(&[(10, 20)], 10), []);
        assert_eq!(held.merge(&all, 0), []);
        assert_eq!(held.merge(&all, u64::MAX), [(10, u64::MAX - 1)]);
        assert!(held.insert(u64::MAX) && held.contains(u64::MAX) && !held.insert(u64::MAX));
        assert_eq!(held.as_slice(), all);
        assert_eq!(held.merge(&all, u64::MAX), []);
        assert_eq!(numbers(&all, 3).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn r108_the_newest_ranges_travel() {
        let mut held = SeqRanges::default();
        for n in 0..100 {
            held.insert(2 * n);
        }
        let wire = held.for_wire();
        assert_eq!((wire.len(), wire[0], wire[63]), (64, (72, 72), (198, 198)));
    }

    proptest! {
        #[test]
        fn r108_it_is_a_set_of_numbers(
            acts in prop::collection::vec((0u64..60, 0u64..12, any::<bool>()), 0..40), end in 0u64..70,
        ) {
            let mut held = SeqRanges::default();
            let mut model = BTreeSet::new();
            for (first, length, one) in acts {
                if one {
                    prop_assert_eq!(held.insert(first), model.insert(first));
                } else {
                    let range = (first, first + length);
                    let new = held.merge(&[range], end);
                    let expected: Vec<u64> =
                        (range.0..=range.1).filter(|n| *n < end && !model.contains(n)).collect();
                    prop_assert_eq!(numbers(&new, 100).collect::<Vec<_>>(), expected.clone());
                    model.extend(expected);
                }
                let ranges = held.as_slice();
                prop_assert!(ranges.iter().all(|(first, last)| first <= last));
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
            prop_assert_eq!(numbers(held.as_slice(), 200).collect::<BTreeSet<_>>(), model.clone());
            for n in 0..80 {
                prop_assert_eq!(held.contains(n), model.contains(&n));
            }
        }
    }
}

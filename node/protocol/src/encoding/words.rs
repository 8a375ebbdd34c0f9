//! Numbers and durations as people read and type them, the same in every program.

use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// A count in groups of three digits: `4,210`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration in the largest unit that fits: `40 s`, `12 min`, `3 h`, `2 days`.
#[must_use]
pub fn duration(ms: u64) -> String {
    match ms {
        0..MINUTE_MS => format!("{} s", ms.div_ceil(1_000)),
        MINUTE_MS..HOUR_MS => format!("{} min", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{} h", ms / HOUR_MS),
        _ => match ms / DAY_MS {
            1 => "1 day".to_owned(),
            days => format!("{} days", grouped(days)),
        },
    }
}

/// How a clock that is `ahead_ms` ahead compares with another: `2 h ahead of`, `5 min behind`.
#[must_use]
pub fn ahead(ahead_ms: i64) -> String {
    let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{} {way}", duration(ahead_ms.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_are_short() {
        assert_eq!(duration(39_500), "40 s");
        assert_eq!(duration(12 * MINUTE_MS), "12 min");
        assert_eq!(duration(2_123 * MINUTE_MS), "1 day");
        assert_eq!(duration(2_123 * DAY_MS), "2,123 days");
        assert_eq!(grouped(4_210), "4,210");
        assert_eq!(grouped(100), "100");
    }

    #[test]
    fn a_clock_is_ahead_or_behind() {
        assert_eq!(ahead(7_200_000), "2 h ahead of");
        assert_eq!(ahead(-300_000), "5 min behind");
    }
}

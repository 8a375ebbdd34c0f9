//! Times as people read them, in the clock and calendar of their time zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Zoned, fmt::strtime};

/// A time zone, in which times are formatted.
#[derive(Debug, Clone)]
pub struct LocalTime {
    zone: TimeZone,
}

impl LocalTime {
    /// The time zone of this computer, or the one in the variable `TZ`.
    #[must_use]
    pub fn of_system() -> Self {
        Self { zone: TimeZone::system() }
    }

    /// `14:20`
    #[must_use]
    pub fn clock(&self, at_ms: u64) -> String {
        self.words("%H:%M", at_ms)
    }

    /// The day of a moment.
    #[must_use]
    pub fn day(&self, at_ms: u64) -> Date {
        self.zoned(at_ms).date()
    }

    /// `Monday, 30 November 2026`
    #[must_use]
    pub fn day_name(&self, at_ms: u64) -> String {
        self.words("%A, %-d %B %Y", at_ms)
    }

    /// `30 November 2026, 14:20`
    #[must_use]
    pub fn moment(&self, at_ms: u64) -> String {
        self.words("%-d %B %Y, %H:%M", at_ms)
    }

    /// `2026-11-30 14:20:05`, for lists: always equally long, and sortable.
    #[must_use]
    pub fn stamp(&self, at_ms: u64) -> String {
        self.words("%Y-%m-%d %H:%M:%S", at_ms)
    }

    fn words(&self, format: &str, at_ms: u64) -> String {
        // It fails only for formats that the time cannot fill; ours never do.
        strtime::format(format, &self.zoned(at_ms)).unwrap_or_default()
    }

    /// Times beyond the calendar become 1970: another peer's data must not stop the program.
    fn zoned(&self, at_ms: u64) -> Zoned {
        let time = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        time.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 30 November 2026, 23:05:09 UTC.
    const AT: u64 = 1_796_079_909_000;

    fn at(hours: i8) -> LocalTime {
        LocalTime { zone: TimeZone::fixed(jiff::tz::offset(hours)) }
    }

    #[test]
    fn times_follow_the_zone() {
        assert_eq!(at(0).clock(AT), "23:05");
        assert_eq!(at(0).day_name(AT), "Monday, 30 November 2026");
        assert_eq!(at(2).day_name(AT), "Tuesday, 1 December 2026");
        assert_eq!(at(2).moment(AT), "1 December 2026, 01:05");
        assert_eq!(at(-5).stamp(AT), "2026-11-30 18:05:09");
        assert_ne!(at(0).day(AT), at(2).day(AT));
    }

    #[test]
    fn times_beyond_the_calendar_have_words_too() {
        assert_eq!(at(0).moment(u64::MAX), "1 January 1970, 00:00");
        assert_eq!(at(0).stamp(u64::MAX / 2), "1970-01-01 00:00:00");
    }
}

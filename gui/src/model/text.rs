//! Text from others made safe to draw, and times in words.
//!
//! All text that a peer wrote goes through [`clean_text`], [`clean_line`] or [`clean_name`] before it is drawn.
//! After that it can neither reverse the text around it (bidi controls), nor grow out of its row
//! (stacked combining marks), nor break a line that must stay one.

pub use lanyard_protocol::words::{duration, grouped};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lanyard_protocol::text::visible;
use lanyard_protocol::time::DAY_MS;
use unicode_segmentation::UnicodeSegmentation as _;

/// Names longer than this are elided.
pub const NAME_GRAPHEMES_MAX: usize = 32;

/// How many marks a letter may have. Vietnamese and Biblical Hebrew need three; abusive texts have dozens.
const MARKS_PER_LETTER_MAX: usize = 3;

/// How many characters a cluster may have. A family emoji with skin tones has eleven; Indic clusters fewer.
const CLUSTER_CHARS_MAX: usize = 16;

/// A message's text, safe to draw. Line breaks and tabs stay; control characters and bidi overrides are removed.
#[must_use]
pub fn clean_text(text: &str) -> String {
    clean(text, true)
}

/// A name or a topic: one line, without surrounding space, elided.
#[must_use]
pub fn clean_name(name: &str) -> String {
    let line = clean(name, false);
    let line = line.trim();
    if line.is_empty() { "?".to_owned() } else { elide(line, NAME_GRAPHEMES_MAX) }
}

/// A sentence of any length on one line.
#[must_use]
pub fn clean_line(text: &str) -> String {
    clean(text, false)
}

/// At most `graphemes_max` user-perceived characters. The last one is an ellipsis if there were more.
#[must_use]
pub fn elide(text: &str, graphemes_max: usize) -> String {
    let mut graphemes = text.graphemes(true);
    let head: String = graphemes.by_ref().take(graphemes_max).collect();
    if graphemes.next().is_none() {
        return head;
    }
    let mut short: String = text.graphemes(true).take(graphemes_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The letter for an avatar: the first user-perceived character, in upper case if it has one.
#[must_use]
pub fn first_grapheme(name: &str) -> String {
    let cleaned = clean(name, false);
    let first = cleaned.trim_start().graphemes(true).next().unwrap_or("?");
    let upper = first.to_uppercase();
    // "ß" and "ŉ" have no single upper-case letter: they stay as they are.
    if upper.graphemes(true).count() == 1 { upper } else { first.to_owned() }
}

/// The time of day: `09:12`.
#[must_use]
pub fn clock(at_ms: u64, zone: &TimeZone) -> String {
    let time = zone.to_datetime(timestamp(at_ms));
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// The calendar day of a moment.
#[must_use]
pub fn day(at_ms: u64, zone: &TimeZone) -> Date {
    zone.to_datetime(timestamp(at_ms)).date()
}

/// A day for a divider: `Today`, `Yesterday` or `Monday, 2 March`, with the year if it is not this one.
#[must_use]
pub fn day_name(date: Date, now_ms: u64, zone: &TimeZone) -> String {
    let today = day(now_ms, zone);
    if date == today {
        return "Today".to_owned();
    }
    if today.yesterday().ok() == Some(date) {
        return "Yesterday".to_owned();
    }
    format!("{}, {}", weekday(date), day_of_year(date, today))
}

/// A moment: `today 17:20`, `yesterday 09:40`, `Friday 09:40` or `27 November 09:40`, with the year if it is not
/// this one.
#[must_use]
pub fn moment(at_ms: u64, now_ms: u64, zone: &TimeZone) -> String {
    let date = day(at_ms, zone);
    let today = day(now_ms, zone);
    let time = clock(at_ms, zone);
    if date == today {
        return format!("today {time}");
    }
    if today.tomorrow().ok() == Some(date) {
        return format!("tomorrow {time}");
    }
    if today.yesterday().ok() == Some(date) {
        return format!("yesterday {time}");
    }
    let within_a_week = at_ms > now_ms && at_ms - now_ms < 6 * DAY_MS;
    if within_a_week {
        return format!("{} {time}", weekday(date));
    }
    format!("{} {time}", day_of_year(date, today))
}

fn day_of_year(date: Date, today: Date) -> String {
    let day = format!("{} {}", date.day(), month(date));
    if date.year() == today.year() { day } else { format!("{day} {}", date.year()) }
}

/// A multiaddr as people write it: `192.168.1.7:4003`. Anything unusual stays as it is.
#[must_use]
pub fn plain_address(multiaddr: &str) -> String {
    let mut parts = multiaddr.split('/').skip(1);
    let (kind, host) = (parts.next().unwrap_or_default(), parts.next());
    let (transport, port) = (parts.next(), parts.next());
    match (kind, host, transport, port) {
        ("ip6", Some(host), Some("tcp"), Some(port)) => format!("[{host}]:{port}"),
        ("ip4" | "dns" | "dns4" | "dns6", Some(host), Some("tcp"), Some(port)) => {
            format!("{host}:{port}")
        }
        _ => clean_line(multiaddr),
    }
}

fn clean(text: &str, keep_lines: bool) -> String {
    let text = visible(&text.replace(['\u{2028}', '\u{2029}', '\u{85}'], "\n"));
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        let mut marks = 0;
        for c in cluster.chars().take(CLUSTER_CHARS_MAX) {
            if is_combining(c) {
                marks += 1;
                if marks > MARKS_PER_LETTER_MAX {
                    continue;
                }
            }
            match c {
                '\n' => out.push(if keep_lines { '\n' } else { ' ' }),
                '\t' => out.push(if keep_lines { '\t' } else { ' ' }),
                c => out.push(c),
            }
        }
    }
    out
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}' | '\u{0E31}' | '\u{0E34}'..='\u{0E3A}' | '\u{0E47}'..='\u{0E4E}')
}

/// A time beyond the calendar becomes its first day, so that no peer can make the window fail.
fn timestamp(at_ms: u64) -> Timestamp {
    i64::try_from(at_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn weekday(date: Date) -> &'static str {
    use jiff::civil::Weekday;
    match date.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

fn month(date: Date) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    usize::try_from(date.month() - 1).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02 09:12:00 UTC, a Monday.
    const NOW_MS: u64 = 1_772_442_720_000;

    #[test]
    fn bidi_controls_and_controls_are_gone_and_lines_stay() {
        assert_eq!(clean_text("a\u{202E}b\u{2066}c\u{7}\r\nd\te"), "abc\nd\te");
        assert_eq!(clean_line("a\tb"), "a b");
        assert_eq!(clean_name(" a\nb\u{200F} "), "a b");
        assert_eq!(clean_name("\u{202E}"), "?");
    }

    #[test]
    fn a_storm_of_marks_shrinks_and_emoji_stay_whole() {
        let storm = format!("a{}b", "\u{0301}".repeat(500));
        assert_eq!(clean_text(&storm), "a\u{0301}\u{0301}\u{0301}b");
        assert_eq!(clean_text("👨‍👩‍👧‍👦"), "👨‍👩‍👧‍👦");
    }

    #[test]
    fn names_are_elided_by_what_people_see() {
        assert_eq!(elide("👩‍🚀👩‍🚀👩‍🚀", 2), "👩‍🚀…");
        assert_eq!(elide("abc", 3), "abc");
        assert_eq!(clean_name(&"x".repeat(4_000)).chars().count(), NAME_GRAPHEMES_MAX);
    }

    #[test]
    fn an_avatar_has_one_letter() {
        assert_eq!(first_grapheme("ada"), "A");
        assert_eq!(first_grapheme("陳 Chen"), "陳");
        assert_eq!(first_grapheme("ßeta"), "ß");
        assert_eq!(first_grapheme(""), "?");
    }

    #[test]
    fn days_and_moments_have_names() {
        let zone = TimeZone::UTC;
        let name = |ms| day_name(day(ms, &zone), NOW_MS, &zone);
        assert_eq!(clock(NOW_MS, &zone), "09:12");
        assert_eq!(name(NOW_MS), "Today");
        assert_eq!(name(NOW_MS - DAY_MS), "Yesterday");
        assert_eq!(name(NOW_MS - 3 * DAY_MS), "Friday, 27 February");
        assert_eq!(name(NOW_MS - 365 * DAY_MS), "Sunday, 2 March 2025");
        assert_eq!(moment(NOW_MS + 60_000, NOW_MS, &zone), "today 09:13");
        assert_eq!(moment(NOW_MS + DAY_MS, NOW_MS, &zone), "tomorrow 09:12");
        assert_eq!(moment(NOW_MS + 3 * DAY_MS, NOW_MS, &zone), "Thursday 09:12");
        assert_eq!(moment(NOW_MS + 9 * DAY_MS, NOW_MS, &zone), "11 March 09:12");
        assert_eq!(moment(NOW_MS - DAY_MS, NOW_MS, &zone), "yesterday 09:12");
        assert_eq!(moment(NOW_MS + 365 * DAY_MS, NOW_MS, &zone), "2 March 2027 09:12");
        assert_eq!(day(u64::MAX, &zone), day(0, &zone), "no time stops the window");
    }

    #[test]
    fn addresses_lose_their_slashes() {
        assert_eq!(plain_address("/ip4/192.168.1.7/tcp/4003/p2p/12D3"), "192.168.1.7:4003");
        assert_eq!(plain_address("/ip6/fe80::1/tcp/1"), "[fe80::1]:1");
        assert_eq!(plain_address("odd"), "odd");
    }
}

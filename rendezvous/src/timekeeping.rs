//! Whether this machine's clock may be signed by.
//!
//! Everybody takes realm time from the login node, so a time that it has signed cannot be unsaid: peers that have heard
//! it do not understand those who have not. So nothing is signed while the clock contradicts what is known of it:
//!
//! ```text
//!  behind   it is below the largest time that was signed, the mark: that one, or this one, is wrong
//!  jumped   since it was last known to be right, it has gone on by more or less than this machine has run
//!  ahead    it is so far beyond the last run that the run may have been long ago, or the clock is wrong
//! ```
//!
//! The operator then says which is right (`clock accept`, `clock lower`). A clock that is set right again by itself
//! needs no word.

use std::fmt;

use lanyard_protocol::limits::CLOCK_OFF_MS;
use rusqlite::Connection;

use crate::clock;
use crate::store::audit;
use crate::store::{StoreError, dated, meta, policies};

/// Less than this is what clocks do, and what peers bear.
const NOTICED_MS: u64 = CLOCK_OFF_MS;
/// The same for each thousand milliseconds since the clock was last compared: a clock that is slewed, not set.
const DRIFT_PER_MILLE: u64 = 1;
/// A login node that has not run for longer is asked whether it really was off: four weeks of holidays are usual, and
/// the summer's six need one word.
const FAR_MS: u64 = 30 * 86_400_000;

/// What this machine's clock is, measured by what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing contradicts it.
    Right,
    /// Behind the largest time that was signed, or at which it was right.
    Behind {
        /// By so many milliseconds.
        by_ms: u64,
    },
    /// It was set since it was last known to be right.
    Jumped {
        /// By so many milliseconds.
        by_ms: i64,
    },
    /// Far beyond the time at which it was last known to be right.
    Ahead {
        /// By so many milliseconds.
        by_ms: u64,
    },
}

impl Standing {
    /// Whether it may be signed by.
    #[must_use]
    pub fn is_right(self) -> bool {
        self == Self::Right
    }

    /// The word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Behind { .. } => "behind",
            Self::Jumped { .. } => "jumped",
            Self::Ahead { .. } => "ahead",
        }
    }

    /// By how much it is off, in milliseconds; less than zero if it is too early.
    #[must_use]
    pub fn by_ms(self) -> i64 {
        match self {
            Self::Right => 0,
            Self::Behind { by_ms } => i64::try_from(by_ms).map_or(i64::MIN, |by_ms| -by_ms),
            Self::Jumped { by_ms } => by_ms,
            Self::Ahead { by_ms } => i64::try_from(by_ms).unwrap_or(i64::MAX),
        }
    }

    /// What the operator is to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Right => "Nothing is to be done.",
            Self::Behind { .. } => {
                "If the clock is right now, run `lanyard-rendezvous clock lower`; if not, set the clock of this computer."
            }
            Self::Jumped { .. } | Self::Ahead { .. } => {
                "If the clock is right now, run `lanyard-rendezvous clock accept`; if not, set the clock of this computer."
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Right => f.write_str("the clock agrees with all that is known of it"),
            Self::Behind { by_ms } => write!(
                f,
                "the clock is {} behind a time that was signed or known to be right",
                duration(by_ms)
            ),
            Self::Jumped { by_ms } => write!(
                f,
                "the clock was set {} by {} since it was last known to be right",
                if by_ms < 0 { "back" } else { "forward" },
                duration(by_ms.unsigned_abs())
            ),
            Self::Ahead { by_ms } => write!(
                f,
                "the clock is {} beyond the last time at which the login node is known to have run",
                duration(by_ms)
            ),
        }
    }
}

/// A time at which the clock was known to be right, and how long the machine had run by then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Anchor {
    wall_ms: u64,
    /// Start of the machine, and milliseconds since; where the system tells.
    run: Option<(String, u64)>,
}

impl Anchor {
    /// `wall since-boot boot-id`, or `wall` alone.
    fn to_text(&self) -> String {
        match &self.run {
            Some((boot, since_ms)) => format!("{} {since_ms} {boot}", self.wall_ms),
            None => self.wall_ms.to_string(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let wall_ms = words.next()?.parse().ok()?;
        let run = match (words.next(), words.next()) {
            (Some(since), Some(boot)) => Some((boot.to_owned(), since.parse().ok()?)),
            _nothing_told => None,
        };
        Some(Self { wall_ms, run })
    }

    /// How long the machine has run since, if it has not been started anew.
    fn passed_ms(&self, run: Option<&(String, u64)>) -> Option<u64> {
        let ((then, since), (now, until)) = (self.run.as_ref()?, run?);
        (then == now).then(|| until.saturating_sub(*since))
    }
}

/// What is known of the clock, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The clock.
    pub wall_ms: u64,
    /// What is signed now if it is signed at all.
    pub realm_ms: u64,
    /// The largest time that was signed; 0 if there is none.
    pub mark_ms: u64,
    /// When the clock was last known to be right.
    pub right_at_ms: Option<u64>,
    /// What follows.
    pub standing: Standing,
}

/// Looks at the clock.
///
/// # Errors
/// [`StoreError`] if what is known of it cannot be read.
pub fn look(conn: &Connection, wall_ms: u64) -> Result<Known, StoreError> {
    let mark_ms = meta::number(conn, meta::TIME_MARK)?.unwrap_or(0);
    let anchor = meta::text(conn, meta::CLOCK_ANCHOR)?.and_then(|text| Anchor::parse(&text));
    let run = clock::machine_run();
    Ok(Known {
        wall_ms,
        realm_ms: wall_ms.max(mark_ms),
        mark_ms,
        right_at_ms: anchor.as_ref().map(|anchor| anchor.wall_ms),
        standing: judge(anchor.as_ref(), mark_ms, wall_ms, run.as_ref()),
    })
}

/// The clock's standing alone.
///
/// # Errors
/// [`StoreError`] if what is known of it cannot be read.
pub fn standing(conn: &Connection, wall_ms: u64) -> Result<Standing, StoreError> {
    Ok(look(conn, wall_ms)?.standing)
}

fn judge(
    anchor: Option<&Anchor>,
    mark_ms: u64,
    wall_ms: u64,
    run: Option<&(String, u64)>,
) -> Standing {
    let right_at_ms = anchor.map_or(0, |anchor| anchor.wall_ms);
    let known_ms = mark_ms.max(right_at_ms);
    if wall_ms.saturating_add(NOTICED_MS) < known_ms {
        return Standing::Behind { by_ms: known_ms - wall_ms };
    }
    let Some(anchor) = anchor else { return Standing::Right };
    if let Some(passed_ms) = anchor.passed_ms(run) {
        let expected_ms = anchor.wall_ms.saturating_add(passed_ms);
        let bearable_ms = NOTICED_MS + passed_ms / 1_000 * DRIFT_PER_MILLE;
        if wall_ms.abs_diff(expected_ms) > bearable_ms {
            return Standing::Jumped {
                by_ms: lanyard_protocol::time::offset(wall_ms, expected_ms),
            };
        }
        return Standing::Right;
    }
    match wall_ms.checked_sub(known_ms) {
        Some(by_ms) if by_ms > FAR_MS => Standing::Ahead { by_ms },
        _not_far => Standing::Right,
    }
}

/// Notes that the clock is right now. To be called while it is.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub fn note_right(conn: &Connection, wall_ms: u64) -> Result<(), StoreError> {
    let anchor = Anchor { wall_ms, run: clock::machine_run() };
    meta::set(conn, meta::CLOCK_ANCHOR, &anchor.to_text())
}

/// Why the operator's word was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// `accept` of a clock that is behind the mark.
    #[error(
        "{standing}: what was signed for later stays signed, so the clock cannot just be accepted. {}",
        standing.advice()
    )]
    Behind {
        /// By how much.
        standing: Standing,
    },
    /// `lower` without need.
    #[error("there is nothing to lower: {standing}. {}", standing.advice())]
    NotBehind {
        /// What it is.
        standing: Standing,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClockError {
    /// The stable code, if this is a refusal and not a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Behind { .. } => Some("clock-behind"),
            Self::NotBehind { .. } => Some("not-behind"),
            Self::Store(_) => None,
        }
    }
}

/// The operator says that the clock is right as it is.
///
/// # Errors
/// [`ClockError::Behind`] if times were signed that it has not reached.
pub fn accept(conn: &Connection, wall_ms: u64) -> Result<Standing, ClockError> {
    let Known { standing, realm_ms, .. } = look(conn, wall_ms)?;
    if matches!(standing, Standing::Behind { .. }) {
        return Err(ClockError::Behind { standing });
    }
    note_right(conn, wall_ms)?;
    audit::write(conn, crate::acts::entry("clock-accept", "", standing.as_str()), realm_ms)?;
    Ok(standing)
}

/// The operator says that the clock was ahead, and is right now: the mark goes down to it, and what is dated later
/// begins now. A new policy is signed with the next number.
///
/// # Errors
/// [`ClockError::NotBehind`] if there is nothing to lower.
pub fn lower(conn: &Connection, wall_ms: u64) -> Result<Lowered, ClockError> {
    let Known { standing, mark_ms, .. } = look(conn, wall_ms)?;
    let Standing::Behind { by_ms } = standing else {
        return Err(ClockError::NotBehind { standing });
    };
    let tickets_ahead = dated::tickets_after(conn, wall_ms)?;
    dated::bring_back(conn, wall_ms)?;
    if mark_ms > wall_ms {
        meta::set(conn, meta::TIME_MARK, &wall_ms.to_string())?;
    }
    note_right(conn, wall_ms)?;
    policies::outdate(conn)?;
    let detail = format!("by {}", duration(by_ms));
    audit::write(conn, crate::acts::entry("clock-lower", "", &detail), wall_ms)?;
    Ok(Lowered { by_ms, tickets_ahead })
}

/// What `lower` has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowered {
    /// By so many milliseconds.
    pub by_ms: u64,
    /// Accounts with tickets that begin later than now.
    pub tickets_ahead: u64,
}

/// A length of time as people say it.
#[must_use]
pub fn duration(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _days => format!("{} days", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const HOUR_MS: u64 = 3_600_000;
    const DAY_MS: u64 = 24 * HOUR_MS;

    fn run(boot: &str, since_ms: u64) -> (String, u64) {
        (boot.to_owned(), since_ms)
    }

    fn anchor() -> Anchor {
        Anchor { wall_ms: NOW, run: Some(run("boot", 5_000)) }
    }

    #[test]
    fn an_anchor_is_read_back() {
        for anchor in [anchor(), Anchor { wall_ms: NOW, run: None }] {
            assert_eq!(Anchor::parse(&anchor.to_text()), Some(anchor));
        }
        assert_eq!(Anchor::parse("tomorrow"), None);
    }

    #[test]
    fn a_clock_that_goes_on_is_right() {
        let later = |passed_ms, wall_ms| {
            judge(Some(&anchor()), NOW, wall_ms, Some(&run("boot", 5_000 + passed_ms)))
        };
        assert_eq!(later(HOUR_MS, NOW + HOUR_MS), Standing::Right);
        assert_eq!(later(60 * DAY_MS, NOW + 60 * DAY_MS + HOUR_MS), Standing::Right, "slewed");
        assert_eq!(later(HOUR_MS, NOW + HOUR_MS - 60_000), Standing::Right, "a small step");
        assert_eq!(judge(None, 0, NOW, None), Standing::Right, "a first start");
    }

    #[test]
    fn a_clock_that_was_set_has_jumped() {
        let at = |wall_ms| judge(Some(&anchor()), NOW, wall_ms, Some(&run("boot", 5_000 + DAY_MS)));
        let two_hours = 2 * HOUR_MS.cast_signed();
        assert_eq!(at(NOW + DAY_MS + 2 * HOUR_MS), Standing::Jumped { by_ms: two_hours });
        assert_eq!(at(NOW + DAY_MS - 2 * HOUR_MS), Standing::Jumped { by_ms: -two_hours });
        assert_eq!(at(NOW + DAY_MS), Standing::Right, "and was set right again");
    }

    #[test]
    fn after_a_start_of_the_machine_only_a_long_time_is_doubtful() {
        let after = |ms| judge(Some(&anchor()), NOW, NOW + ms, Some(&run("another", 1)));
        assert_eq!(after(29 * DAY_MS), Standing::Right);
        assert_eq!(after(400 * DAY_MS), Standing::Ahead { by_ms: 400 * DAY_MS });
    }

    #[test]
    fn below_the_mark_it_is_behind_whatever_else_is_known() {
        let mark_ms = NOW + 2 * HOUR_MS;
        for anchor in [None, Some(&anchor())] {
            let standing = judge(anchor, mark_ms, NOW, None);
            assert_eq!(standing, Standing::Behind { by_ms: 2 * HOUR_MS });
        }
        assert_eq!(judge(None, NOW + 1_000, NOW, None), Standing::Right, "that much is usual");
    }
}

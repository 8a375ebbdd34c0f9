//! Decides whether this machine's clock can be trusted for signing.
//!
//! All peers take realm time from the login node, so a signed time cannot be taken back: peers that have received it
//! would disagree with those that have not. The login node therefore signs nothing while its clock contradicts what is
//! known about it:
//!
//! ```text
//!  behind   it is below the largest time ever signed, the mark: one of the two is wrong
//!  jumped   since it was last known to be right, it has advanced by more or less than this machine has run
//!  ahead    it is far beyond the last run: either that was long ago, or the clock is wrong
//! ```
//!
//! The operator then decides (`clock accept`, `clock lower`). If the clock is corrected meanwhile, no decision is
//! needed.

use std::fmt;

use lanyard_protocol::time::{CLOCK_OFF_MS, DAY_MS, offset};
use lanyard_protocol::words::duration;

use crate::clock;
use crate::store::audit::{self, Entry};
use crate::store::{Db, StoreError, dated, meta, policies};

/// Clocks normally differ by up to this much, and peers tolerate it.
const NOTICED_MS: u64 = CLOCK_OFF_MS;
/// A slewed clock may drift by this much more per thousand milliseconds since the last comparison.
const DRIFT_PER_MILLE: u64 = 1;
/// After a longer break the operator must confirm that the login node was really off. Four weeks of holidays pass
/// without a question; a summer break of six weeks needs an answer.
const FAR_MS: u64 = 30 * DAY_MS;

/// How this machine's clock compares with what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing contradicts the clock.
    Right,
    /// The clock is behind the largest time that was signed, or at which it was known to be right.
    Behind {
        /// The difference in milliseconds.
        by_ms: u64,
    },
    /// The clock was changed since it was last known to be right.
    Jumped {
        /// The difference in milliseconds; negative if it was set back.
        by_ms: i64,
    },
    /// The clock is far beyond the time at which it was last known to be right.
    Ahead {
        /// The difference in milliseconds.
        by_ms: u64,
    },
}

impl Standing {
    /// Whether the clock can be trusted.
    #[must_use]
    pub fn is_right(self) -> bool {
        self == Self::Right
    }

    /// The word for it in the output and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Behind { .. } => "behind",
            Self::Jumped { .. } => "jumped",
            Self::Ahead { .. } => "ahead",
        }
    }

    /// By how much the clock is off, in milliseconds; negative if it is behind.
    #[must_use]
    pub fn by_ms(self) -> i64 {
        match self {
            Self::Right => 0,
            Self::Behind { by_ms } => i64::try_from(by_ms).map_or(i64::MIN, |by_ms| -by_ms),
            Self::Jumped { by_ms } => by_ms,
            Self::Ahead { by_ms } => i64::try_from(by_ms).unwrap_or(i64::MAX),
        }
    }

    /// What the operator should do, as a sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Right => "There is nothing to do.",
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
            Self::Right => f.write_str("the clock agrees with everything known of it"),
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
                "the clock is {} later than the last time the login node is known to have run",
                duration(by_ms)
            ),
        }
    }
}

/// A time at which the clock was known to be right, and how long the machine had been running by then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Anchor {
    wall_ms: u64,
    /// The machine's boot and the milliseconds since then, if the system provides them.
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

    /// How long the machine has run since, if it has not been rebooted.
    fn passed_ms(&self, run: Option<&(String, u64)>) -> Option<u64> {
        let ((then, since), (now, until)) = (self.run.as_ref()?, run?);
        (then == now).then(|| until.saturating_sub(*since))
    }
}

/// Everything that is known about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The wall clock.
    pub wall_ms: u64,
    /// Realm time, the date of whatever is signed now.
    pub realm_ms: u64,
    /// The mark, which is the largest time ever signed; 0 if there is none.
    pub mark_ms: u64,
    /// When the clock was last known to be right.
    pub right_at_ms: Option<u64>,
    /// The verdict on the clock that follows from these.
    pub standing: Standing,
}

/// Compares the clock with what is known about it.
///
/// # Errors
/// [`StoreError`] if that cannot be read.
pub fn look(db: Db<'_>, wall_ms: u64) -> Result<Known, StoreError> {
    let mark_ms = meta::number(db, meta::TIME_MARK)?.unwrap_or(0);
    let anchor = meta::text(db, meta::CLOCK_ANCHOR)?.and_then(|text| Anchor::parse(&text));
    let run = clock::machine_run();
    Ok(Known {
        wall_ms,
        realm_ms: wall_ms.max(mark_ms),
        mark_ms,
        right_at_ms: anchor.as_ref().map(|anchor| anchor.wall_ms),
        standing: judge(anchor.as_ref(), mark_ms, wall_ms, run.as_ref()),
    })
}

/// Returns only the standing of the clock.
///
/// # Errors
/// [`StoreError`] if what is known about the clock cannot be read.
pub fn standing(db: Db<'_>, wall_ms: u64) -> Result<Standing, StoreError> {
    Ok(look(db, wall_ms)?.standing)
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
            return Standing::Jumped { by_ms: offset(wall_ms, expected_ms) };
        }
        return Standing::Right;
    }
    match wall_ms.checked_sub(known_ms) {
        Some(by_ms) if by_ms > FAR_MS => Standing::Ahead { by_ms },
        _not_far => Standing::Right,
    }
}

/// Records that the clock is right at this moment.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub fn note_right(db: Db<'_>, wall_ms: u64) -> Result<(), StoreError> {
    let anchor = Anchor { wall_ms, run: clock::machine_run() };
    meta::set(db, meta::CLOCK_ANCHOR, &anchor.to_text())
}

/// Why the operator's decision was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// `accept`, but the clock is behind the mark.
    #[error(
        "{0}. What was signed for later stays signed, so the clock cannot just be accepted. {advice}",
        advice = .0.advice()
    )]
    Behind(Standing),
    /// `lower`, but the clock is not behind.
    #[error("there is nothing to lower: {0}. {advice}", advice = .0.advice())]
    NotBehind(Standing),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClockError {
    /// The stable code of a refusal; `None` for a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Behind(_) => Some("clock-behind"),
            Self::NotBehind(_) => Some("not-behind"),
            Self::Store(_) => None,
        }
    }
}

/// Accepts the clock as it is, because the operator has confirmed it.
///
/// # Errors
/// [`ClockError::Behind`] if later times have already been signed.
pub fn accept(db: Db<'_>, wall_ms: u64) -> Result<Standing, ClockError> {
    let Known { standing, realm_ms, .. } = look(db, wall_ms)?;
    if matches!(standing, Standing::Behind { .. }) {
        return Err(ClockError::Behind(standing));
    }
    note_right(db, wall_ms)?;
    audit::write(db, Entry::operator("clock-accept", "", standing.as_str()), realm_ms)?;
    Ok(standing)
}

/// Lowers the mark to the clock. The operator has confirmed that the clock was ahead and is right now. Everything dated
/// later is redated to now, and a new policy is signed with the next number.
///
/// # Errors
/// [`ClockError::NotBehind`] if there is nothing to lower.
pub fn lower(db: Db<'_>, wall_ms: u64) -> Result<Lowered, ClockError> {
    let Known { standing, mark_ms, .. } = look(db, wall_ms)?;
    let Standing::Behind { by_ms } = standing else {
        return Err(ClockError::NotBehind(standing));
    };
    let tickets_ahead = dated::tickets_after(db, wall_ms)?;
    dated::bring_back(db, wall_ms)?;
    if mark_ms > wall_ms {
        meta::set(db, meta::TIME_MARK, &wall_ms.to_string())?;
    }
    note_right(db, wall_ms)?;
    policies::outdate(db)?;
    let detail = format!("by {}", duration(by_ms));
    audit::write(db, Entry::operator("clock-lower", "", &detail), wall_ms)?;
    Ok(Lowered { by_ms, tickets_ahead })
}

/// The result of [`lower`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowered {
    /// How far the mark went down, in milliseconds.
    pub by_ms: u64,
    /// The number of accounts with tickets that begin later than now.
    pub tickets_ahead: u64,
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::time::HOUR_MS;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

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
    fn a_clock_that_runs_on_is_right() {
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
        assert_eq!(at(NOW + DAY_MS), Standing::Right, "and was corrected");
    }

    #[test]
    fn after_a_reboot_only_a_long_break_is_doubtful() {
        let after = |ms| judge(Some(&anchor()), NOW, NOW + ms, Some(&run("another", 1)));
        assert_eq!(after(29 * DAY_MS), Standing::Right);
        assert_eq!(after(400 * DAY_MS), Standing::Ahead { by_ms: 400 * DAY_MS });
    }

    #[test]
    fn below_the_mark_the_clock_is_behind() {
        let mark_ms = NOW + 2 * HOUR_MS;
        for anchor in [None, Some(&anchor())] {
            let standing = judge(anchor, mark_ms, NOW, None);
            assert_eq!(standing, Standing::Behind { by_ms: 2 * HOUR_MS });
        }
        assert_eq!(judge(None, NOW + 1_000, NOW, None), Standing::Right, "so much is normal");
    }
}

//! What earlier rounds say about a neighbour (PROTOCOL.md R-111).

use std::time::Duration;

/// How often there is a round over all windows with a random neighbour.
pub(crate) const ROUND_EVERY: Duration = Duration::from_secs(10);
/// The shortest time between two rounds with one neighbour.
pub(crate) const ROUND_GAP: Duration = Duration::from_secs(2);
/// After this many rounds in a row that brought messages younger than a minute, while gossip brought none for
/// [`ROUND_EVERY`], the link to that neighbour is deaf.
pub(crate) const DEAF_ROUNDS_MAX: usize = 3;

#[derive(Debug)]
pub(super) struct Past {
    ended: Duration,
    /// Whether the last round found a difference and brought nothing: the two peers may know different rules.
    in_vain: bool,
    /// How many rounds in a row brought what gossip should have brought.
    deaf: usize,
    /// When it last sent gossip, or when a round last counted against it.
    silent_since: Duration,
}

impl Past {
    pub(super) fn begins(mono: Duration) -> Self {
        Self { ended: mono, in_vain: false, deaf: 0, silent_since: mono }
    }

    pub(super) fn round_has_ended(&mut self, in_vain: bool, mono: Duration) {
        (self.ended, self.in_vain) = (mono, in_vain);
    }

    /// When the next round may run.
    pub(super) fn next_at(&self) -> Duration {
        self.ended.saturating_add(if self.in_vain { ROUND_EVERY } else { ROUND_GAP })
    }

    /// Whether the link is deaf: the neighbour answers, but what gossip should bring does not arrive. There is no other
    /// sign of it.
    ///
    /// Under load, gossip is late while rounds follow one another, so a round counts only after a long silence, and the
    /// next only after another.
    pub(super) fn is_deaf_after(&mut self, brought_recent: bool, mono: Duration) -> bool {
        if !brought_recent {
            self.deaf = 0;
        } else if mono.saturating_sub(self.silent_since) >= ROUND_EVERY {
            self.deaf = self.deaf.saturating_add(1);
            self.silent_since = mono;
        }
        let is_deaf = self.deaf >= DEAF_ROUNDS_MAX;
        if is_deaf {
            // Closing takes a moment, and is asked for only once.
            self.deaf = 0;
        }
        is_deaf
    }

    /// Gossip has arrived, so the link is not deaf.
    pub(super) fn heard(&mut self, mono: Duration) {
        (self.deaf, self.silent_since) = (0, mono);
    }
}

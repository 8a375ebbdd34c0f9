//! Ids that a round has asked for. For a moment no other round asks for them, and no peer can prolong that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{MessageId, PeerKey};

/// A round ends after this time without anything new. The longest round ends too if a neighbour waits for its place, so
/// that four liars cannot occupy all places.
pub(crate) const ROUND_STALL: Duration = Duration::from_secs(60);
/// How long to wait for a requested id before asking another peer for it: longer than an answer takes, but short,
/// because the peer may have lied.
pub(crate) const FETCH_ALONE: Duration = Duration::from_secs(3);

/// The peer that was asked first for each id that has not arrived yet, and when.
#[derive(Debug, Default)]
pub(super) struct Flights {
    first_asked: BTreeMap<MessageId, (PeerKey, Duration)>,
}

impl Flights {
    /// Notes that a peer was asked. Asking it again gives it no more time.
    pub(super) fn asked(&mut self, peer: PeerKey, ids: &[MessageId], mono: Duration) {
        for id in ids {
            self.first_asked.entry(*id).or_insert((peer, mono));
        }
    }

    /// Whether another peer was asked just now, and may still bring the id.
    pub(super) fn is_with_another(&self, peer: PeerKey, id: MessageId, mono: Duration) -> bool {
        self.first_asked
            .get(&id)
            .is_some_and(|(of, since)| *of != peer && mono.saturating_sub(*since) < FETCH_ALONE)
    }

    /// Forgets an id that has arrived.
    pub(super) fn landed(&mut self, id: MessageId) {
        self.first_asked.remove(&id);
    }

    /// Forgets what was asked of a peer that is gone.
    pub(super) fn lost(&mut self, peer: PeerKey) {
        self.first_asked.retain(|_id, (of, _since)| *of != peer);
    }

    /// Forgets ids that nobody has brought in a long time, so that they get another moment.
    pub(super) fn forget_old(&mut self, mono: Duration) {
        self.first_asked.retain(|_id, (_of, since)| mono.saturating_sub(*since) < ROUND_STALL);
    }
}

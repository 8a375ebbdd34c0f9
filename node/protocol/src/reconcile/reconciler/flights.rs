//! Ids that a round has asked for: for a moment no other round asks for them, and nobody can make that moment last.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{MessageId, PeerKey};
use crate::limits::{FETCH_ALONE, ROUND_STALL};

/// The peer that was asked first for each id that has not come yet, and when.
#[derive(Debug, Default)]
pub(super) struct Flights {
    first_asked: BTreeMap<MessageId, (PeerKey, Duration)>,
}

impl Flights {
    /// A peer has been asked. To ask again gives it no more time.
    pub(super) fn asked(&mut self, peer: PeerKey, ids: &[MessageId], mono: Duration) {
        for id in ids {
            self.first_asked.entry(*id).or_insert((peer, mono));
        }
    }

    /// Whether another peer has been asked just now, and may still bring it.
    pub(super) fn are_with_another(&self, peer: PeerKey, id: MessageId, mono: Duration) -> bool {
        self.first_asked
            .get(&id)
            .is_some_and(|(of, since)| *of != peer && mono.saturating_sub(*since) < FETCH_ALONE)
    }

    /// It has come, or nobody is to be asked for it any more.
    pub(super) fn landed(&mut self, id: MessageId) {
        self.first_asked.remove(&id);
    }

    /// The peer that was asked is gone.
    pub(super) fn lost(&mut self, peer: PeerKey) {
        self.first_asked.retain(|_id, (of, _since)| *of != peer);
    }

    /// What nobody has brought for so long may begin anew.
    pub(super) fn forget_old(&mut self, mono: Duration) {
        self.first_asked.retain(|_id, (_of, since)| mono.saturating_sub(*since) < ROUND_STALL);
    }
}

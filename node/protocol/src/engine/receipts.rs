//! Who holds what of running sessions: holes in what others said, and "stored by n of m" for our own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{MessageId, PeerKey};
use crate::limits::{
    FULL_COUNT_MAX, HEARD_RANGES_MAX, OWN_STATES_MAX, RECEIPTS_EVERY, STATES_EVERY,
};
use crate::message::VerifiedMessage;
use crate::reconcile::{SeqRanges, SyncRequest, numbers};
use crate::time::Now;

use super::{Engine, Event, Progress};
use crate::effects::Asking;

/// What we hold of the newest session of an author.
#[derive(Debug)]
struct Heard {
    session: u64,
    held: SeqRanges,
    largest: u64,
    /// The newest `sent_at` of the session: a later one of another session is a new start.
    sent_at: u64,
}

/// An own message of the running session.
#[derive(Debug)]
struct Own {
    id: MessageId,
    stored_by: u32,
    of: u32,
}

/// Receipts given and taken.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    heard: BTreeMap<PeerKey, Heard>,
    /// Authors whose sessions have grown here since they were told.
    untold: BTreeSet<PeerKey>,
    tell_at: Option<Duration>,
    own: BTreeMap<u64, Own>,
    holders: BTreeMap<PeerKey, SeqRanges>,
    /// Own numbers whose count has grown since the user was told.
    grown: BTreeSet<u64>,
    show_at: Option<Duration>,
}

impl Receipts {
    /// Notes a message of an author. Whether a hole has opened right before it.
    pub(super) fn note(&mut self, author: PeerKey, session: u64, seq: u64, sent_at: u64) -> bool {
        let fresh = Heard { session, held: SeqRanges::default(), largest: seq, sent_at };
        let heard = self.heard.entry(author).or_insert(fresh);
        if heard.session != session {
            if heard.sent_at >= sent_at {
                return false;
            }
            *heard = Heard { session, held: SeqRanges::default(), largest: seq, sent_at };
        }
        let opens = seq > heard.largest.saturating_add(1);
        heard.largest = heard.largest.max(seq);
        heard.sent_at = heard.sent_at.max(sent_at);
        if heard.held.insert(seq) {
            // Who leaves out every other number must not make this grow with each message.
            heard.held.keep_newest(HEARD_RANGES_MAX);
            self.untold.insert(author);
        }
        opens
    }

    /// Whether something is missing below the newest number of an author, as far back as we have heard it.
    pub(super) fn has_hole(&self, author: PeerKey) -> bool {
        self.heard.get(&author).is_some_and(|heard| heard.held.as_slice().len() > 1)
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.tell_at.into_iter().chain(self.show_at).min()
    }

    /// An own message has got its number.
    pub(super) fn sent(&mut self, seq: u64, id: MessageId, of: u32) {
        self.own.insert(seq, Own { id, stored_by: 0, of });
        if self.own.len() > OWN_STATES_MAX {
            self.own.pop_first();
        }
    }

    /// How many ranges are remembered of an author.
    #[cfg(test)]
    pub(super) fn ranges_of(&self, author: PeerKey) -> usize {
        self.heard.get(&author).map_or(0, |heard| heard.held.as_slice().len())
    }

    fn take_held(&mut self, peer: PeerKey, ranges: &[(u64, u64)], end: u64) {
        let new = self.holders.entry(peer).or_default().merge(ranges, end);
        let oldest = self.own.first_key_value().map_or(0, |(seq, _own)| *seq);
        let new: Vec<(u64, u64)> = new
            .into_iter()
            .filter_map(|(first, last)| (last >= oldest).then_some((first.max(oldest), last)))
            .collect();
        for seq in numbers(&new, OWN_STATES_MAX) {
            if let Some(own) = self.own.get_mut(&seq) {
                own.stored_by = own.stored_by.saturating_add(1);
                self.grown.insert(seq);
            }
        }
    }

    pub(super) fn forget(&mut self, peer: PeerKey) {
        // What it has stored stays counted; only its next report is compared with nothing.
        self.untold.remove(&peer);
    }
}

impl Engine {
    /// A message of somebody else is in the set.
    pub(super) fn note_receipt(&mut self, message: &VerifiedMessage, now: Now) -> bool {
        let content = message.content();
        let author = message.ticket().claims().peer;
        let opens = self.receipts.note(author, content.session, content.seq, content.sent_at);
        self.receipts.tell_at.get_or_insert(now.mono.saturating_add(self.receipts_every()));
        opens
    }

    /// Once a second with few neighbours; with many, a report takes its turn, or reports would outnumber messages.
    fn receipts_every(&self) -> Duration {
        let links = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        RECEIPTS_EVERY.max(RECEIPTS_EVERY.saturating_mul(links) / 16)
    }

    /// How many there are to store a message now: all in the roster, or with many the neighbours alone.
    pub(super) fn potential_holders(&self) -> u32 {
        let people =
            self.roster.people().filter(|(peer, _device)| **peer != self.me.peer()).count();
        // In a thin realm only neighbours tell what they have stored.
        let many = people > FULL_COUNT_MAX || self.is_thin();
        let count = if many { self.links.neighbours().count() } else { people };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// A neighbour says what it holds of our running session.
    pub(super) fn take_held(
        &mut self,
        peer: PeerKey,
        session: u64,
        ranges: &[(u64, u64)],
        now: Now,
    ) {
        if session == self.me.session() {
            self.receipts.take_held(peer, ranges, self.me.next_seq());
            let show_at = now.mono.saturating_add(STATES_EVERY);
            self.receipts.show_at.get_or_insert(show_at);
        }
    }

    pub(super) fn tell_receipts(&mut self, now: Now) {
        if self.receipts.tell_at.is_some_and(|at| at <= now.mono) {
            self.receipts.tell_at = None;
            self.tell_authors();
        }
        if self.receipts.show_at.is_some_and(|at| at <= now.mono) {
            self.receipts.show_at = None;
            self.show_states();
        }
    }

    fn tell_authors(&mut self) {
        let untold = std::mem::take(&mut self.receipts.untold);
        for author in untold {
            // Whoever is no neighbour now is told when its next message comes.
            let linked = !self.me.has_ended() && self.links.is_linked(author);
            let Some(heard) = self.receipts.heard.get(&author).filter(|_heard| linked) else {
                continue;
            };
            let (session, ranges) = (heard.session, heard.held.for_wire());
            self.fx.ask(author, &SyncRequest::Held { session, ranges }, Asking::Nothing);
        }
    }

    fn show_states(&mut self) {
        for seq in std::mem::take(&mut self.receipts.grown) {
            let Some(own) = self.receipts.own.get(&seq) else { continue };
            // Newcomers may hold it too.
            let (id, by, of) = (own.id, own.stored_by, own.of.max(own.stored_by));
            self.outbox_reached(id);
            self.fx.event(Event::State { id, state: Progress::Stored { by, of } });
        }
    }
}

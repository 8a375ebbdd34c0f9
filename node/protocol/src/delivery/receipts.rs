//! Which peer holds what of the running sessions: gaps in what others sent, and "stored by n of m" for our own messages
//!
//!
//! Takes in every message that is held and what neighbours report. Requests nothing, but reports to authors what we
//! hold of theirs. Returns whether a message opened a gap, and how many accounts hold ours: [`StoredBy`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::effects::{Asking, Effects};
use crate::identity::Identity;
use crate::ids::{AccountId, MessageId, PeerKey};
use crate::io::StoredIndex;
use crate::links::Links;
use crate::message::VerifiedMessage;
use crate::reconcile::{SeqRanges, SyncRequest, numbers};
use crate::time::Now;

/// How many ranges of an author's session are remembered. A report names
/// [`HELD_RANGES_MAX`](crate::limits::HELD_RANGES_MAX) of them.
const HEARD_RANGES_MAX: usize = 1_024;
/// The shortest time between two reports to an author about its session.
pub(crate) const RECEIPTS_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two updates of the count that the user sees.
pub(crate) const STATES_EVERY: Duration = Duration::from_millis(200);
/// How many own messages of this session have their receipts counted. The oldest are forgotten first.
const OWN_STATES_MAX: usize = 8_192;

/// What we hold of the newest session of an author.
#[derive(Debug)]
struct Heard {
    session: u64,
    held: SeqRanges,
    largest: u64,
    /// The newest `sent_at` of the session. A later one in another session means a new boot.
    sent_at: u64,
}

/// An own message of the running session.
#[derive(Debug)]
struct Own {
    id: MessageId,
    stored_by: u32,
    of: u32,
}

/// More accounts than before hold an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredBy {
    pub(crate) id: MessageId,
    pub(crate) by: u32,
    /// How many accounts there were when it was sent.
    pub(crate) of: u32,
}

/// The receipts that we send and receive.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    heard: BTreeMap<PeerKey, Heard>,
    /// Authors whose sessions have grown here since we last reported to them.
    untold: BTreeSet<PeerKey>,
    tell_at: Option<Duration>,
    own: BTreeMap<u64, Own>,
    /// What the accounts hold of our session: each counts once, however many devices it has.
    holders: BTreeMap<AccountId, SeqRanges>,
    /// Own messages whose count has grown since the user was last told.
    grown: BTreeSet<u64>,
    show_at: Option<Duration>,
}

impl Receipts {
    /// Takes in messages stored by earlier runs.
    pub(crate) fn index(&mut self, stored: &StoredIndex) {
        let authors: BTreeMap<_, _> =
            stored.tickets.iter().map(|ticket| (ticket.hash(), ticket.claims().peer)).collect();
        for message in &stored.messages {
            if let Some(author) = authors.get(&message.ticket) {
                self.note(*author, message.session, message.seq, message.sent_at);
            }
        }
    }

    /// Notes another peer's message. Returns whether a gap has opened right before it.
    pub(crate) fn heard(&mut self, message: &VerifiedMessage, links: &Links, now: Now) -> bool {
        let (author, content) = (message.ticket().claims().peer, message.content());
        let opens = self.note(author, content.session, content.seq, content.sent_at);
        // Once a second with few neighbours; less often with many, or reports would outnumber messages.
        let links = u32::try_from(links.len()).unwrap_or(u32::MAX);
        let every = RECEIPTS_EVERY.max(RECEIPTS_EVERY.saturating_mul(links) / 16);
        self.tell_at.get_or_insert(now.mono.saturating_add(every));
        opens
    }

    fn note(&mut self, author: PeerKey, session: u64, seq: u64, sent_at: u64) -> bool {
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
            // An author that skips every other number must not make this grow with each message.
            heard.held.keep_newest(HEARD_RANGES_MAX);
            self.untold.insert(author);
        }
        opens
    }

    /// Whether anything is missing below the newest number of an author, as far back as we remember.
    pub(crate) fn has_hole(&self, author: PeerKey) -> bool {
        self.heard.get(&author).is_some_and(|heard| heard.held.as_slice().len() > 1)
    }

    /// Notes the number of an own message, and how many accounts may come to hold it.
    pub(crate) fn sent(&mut self, seq: u64, id: MessageId, of: u32) {
        self.own.insert(seq, Own { id, stored_by: 0, of });
        if self.own.len() > OWN_STATES_MAX {
            self.own.pop_first();
        }
    }

    /// Notes what a device of an account reports to hold of one of our sessions.
    pub(crate) fn told(
        &mut self,
        account: AccountId,
        session: u64,
        ranges: &[(u64, u64)],
        me: &Identity,
        now: Now,
    ) {
        if session != me.session() {
            return;
        }
        self.show_at.get_or_insert(now.mono.saturating_add(STATES_EVERY));
        let new = self.holders.entry(account).or_default().merge(ranges, me.next_seq());
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

    /// Notes that the last link to a peer is gone. What it has stored stays counted.
    pub(crate) fn lost(&mut self, peer: PeerKey) {
        self.untold.remove(&peer);
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.tell_at.into_iter().chain(self.show_at).min()
    }

    /// Reports to authors what we hold of theirs, when that is due, and returns the new counts for our own.
    pub(crate) fn due(
        &mut self,
        me: &Identity,
        links: &Links,
        now: Now,
        fx: &mut Effects,
    ) -> Vec<StoredBy> {
        if self.tell_at.take_if(|at| *at <= now.mono).is_some() {
            for author in std::mem::take(&mut self.untold) {
                // An author that is not a neighbour now gets its report with its next message.
                let linked = !me.has_ended() && links.is_linked(author);
                let Some(heard) = self.heard.get(&author).filter(|_heard| linked) else { continue };
                let (session, ranges) = (heard.session, heard.held.for_wire());
                fx.ask(author, &SyncRequest::Held { session, ranges }, Asking::Nothing);
            }
        }
        if self.show_at.take_if(|at| *at <= now.mono).is_none() {
            return Vec::new();
        }
        let grown = std::mem::take(&mut self.grown).into_iter();
        let own = grown.filter_map(|seq| self.own.get(&seq));
        // Accounts that joined since may hold it too.
        own.map(|own| StoredBy { id: own.id, by: own.stored_by, of: own.of.max(own.stored_by) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, T0};

    const NOW: Now = Now { mono: Duration::ZERO, wall_ms: T0 };
    const AUTHOR: PeerKey = PeerKey([7; 32]);

    #[test]
    fn a_hole_opens_once_and_closes_when_the_missing_comes() {
        let mut receipts = Receipts::default();
        let opens = |receipts: &mut Receipts, seq| receipts.note(AUTHOR, 1, seq, T0 + seq);
        assert!(!opens(&mut receipts, 3), "what was before the first is for the routine round");
        assert!(opens(&mut receipts, 5));
        assert!(!opens(&mut receipts, 6));
        assert!(receipts.has_hole(AUTHOR));
        assert!(!opens(&mut receipts, 4));
        assert!(!receipts.has_hole(AUTHOR));
        assert!(!receipts.note(AUTHOR, 2, 9, T0 + 9), "a new start has no past");
    }

    #[test]
    fn r108_an_author_that_skips_numbers_does_not_fill_our_memory() {
        let mut receipts = Receipts::default();
        for n in 0..20_000 {
            receipts.note(AUTHOR, 7, 2 * n, T0 + n);
        }
        assert!(receipts.heard[&AUTHOR].held.as_slice().len() <= HEARD_RANGES_MAX);
    }

    #[test]
    fn r108_each_account_counts_once_however_often_it_tells() {
        let ticket = testing::ticket(&testing::key(1), &testing::key(2), "me");
        let mut me = Identity::new(testing::key(2), ticket, 1, 9);
        let id = MessageId([1; 32]);
        let mut receipts = Receipts::default();
        receipts.sent(me.next_seq(), id, 2);
        me.said();
        for (account, session) in [(3, 9), (3, 9), (4, 9), (5, 8)] {
            receipts.told(AccountId([account; 16]), session, &[(0, 0)], &me, NOW);
        }
        let later = Now { mono: STATES_EVERY, ..NOW };
        let stored =
            receipts.due(&me, &Links::new(me.peer(), NOW), later, &mut Effects::new([0; 32]));
        assert_eq!(stored, [StoredBy { id, by: 2, of: 2 }]);
    }
}

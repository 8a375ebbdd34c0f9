//! The one repair: when a round of reconciliation runs, and with whom (R-111). What becomes of what it brings is in
//! `received.rs`, what it says of the neighbour in `past.rs`.
//!
//! ```text
//!   fresh link · heal · hole in a session · slow peer · somebody who has more ──▶ the last 10 minutes, with that one
//!   every 10 s ──▶ all windows, with a neighbour drawn by lot
//! ```
//!
//! Each round begins with the policy's number and the moderations, because they decide what becomes of the messages.

mod flights;
mod past;
mod received;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::history::History;
use crate::ids::{MessageId, PeerKey};
use crate::limits::{
    FETCH_ALONE, HOLE_WAIT, LARGER_ROUND_AFTER, ROUND_EVERY, ROUND_GAP, ROUND_STALL, ROUNDS_MAX,
};
use crate::reconcile::{
    Ask, ItemSet, OPEN_END, Outcome, Round, SetName, Source, Span, SyncRequest, Window, spans,
};
use crate::time::Now;

use super::Engine;
use super::serving::ItemSets;
use crate::effects::Asking;
use flights::Flights;
use past::Past;

const MINUTE_MS: u64 = 60_000;

/// How far back a round goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// The last 10 minutes.
    Recent,
    /// All windows.
    Full,
}

/// A round that is wanted.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Duration,
    reach: Reach,
    /// Up to this moment: on a fresh link, or when something is known to be missing.
    open: bool,
    /// Only if something of this author is still missing by then.
    hole_of: Option<PeerKey>,
    /// Not if a round of the peer's own has shown meanwhile that we hold the same.
    unless_equal: bool,
}

/// A round that runs.
#[derive(Debug)]
struct Running {
    round: Round,
    /// Of this round alone, so that no answer to an earlier one is taken for an answer to it.
    number: u64,
    set: SetName,
    began: Duration,
    reach: Reach,
    open: bool,
    /// The peer has no time before.
    wait_until: Option<Duration>,
    brought_recent: bool,
    told_at: Duration,
    /// When it has last brought something new.
    useful_at: Duration,
}

/// Ids that a round has left to another peer. If they have not come by then, they are asked for after all.
#[derive(Debug)]
struct Left {
    at: Duration,
    peer: PeerKey,
    set: SetName,
    ids: Vec<MessageId>,
    reach: Reach,
    open: bool,
}

/// All rounds.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    running: BTreeMap<PeerKey, Running>,
    due: BTreeMap<PeerKey, Due>,
    past: BTreeMap<PeerKey, Past>,
    flights: Flights,
    left: VecDeque<Left>,
    next_number: u64,
    routine: Duration,
    /// Whether the history's index holds everything that is stored.
    pub(super) indexed: bool,
    /// Whether a round over all windows has been completed since the start.
    caught_up: bool,
}

/// What a round reads of us.
struct Own<'a> {
    history: &'a History,
    sets: &'a ItemSets,
    flights: &'a Flights,
    /// Whom the round is with, and the monotonic time.
    peer: PeerKey,
    mono: Duration,
}

impl Source for Own<'_> {
    fn items(&self, set: SetName, since: u64, until: u64) -> Arc<ItemSet> {
        self.sets.get(self.history, set, since, until)
    }

    fn wants(&self, set: SetName, id: MessageId) -> bool {
        wants(self.history, set, id)
    }

    fn is_with_another(&self, id: MessageId) -> bool {
        self.flights.are_with_another(self.peer, id, self.mono)
    }
}

/// Whether an id is worth fetching: neither held, nor refused by the history and remembered.
fn wants(history: &History, set: SetName, id: MessageId) -> bool {
    match set {
        SetName::Messages => history.wants(id),
        SetName::Moderations => history.rules().moderations().get(id).is_none(),
    }
}

impl Syncing {
    fn number(&mut self) -> u64 {
        self.next_number = self.next_number.wrapping_add(1);
        self.next_number
    }

    /// Whether all places are taken and a neighbour waits for one.
    fn is_crowded(&self, mono: Duration) -> bool {
        let waits =
            |(peer, due): (&PeerKey, &Due)| due.at <= mono && !self.running.contains_key(peer);
        self.running.len() >= ROUNDS_MAX && self.due.iter().any(waits)
    }
}

impl Engine {
    /// A link is fresh: what was said while there was none, and what is being said just now. One round shows both ends
    /// whether anything is missing, so the larger key lets the smaller begin.
    pub(super) fn sync_fresh_link(&mut self, peer: PeerKey, now: Now) {
        let unless_equal = self.me.peer() > peer && !self.me.is_authority();
        let wait = if unless_equal { LARGER_ROUND_AFTER } else { Duration::ZERO };
        let at = now.mono.saturating_add(wait);
        self.want(peer, Due { at, reach: Reach::Recent, open: true, hole_of: None, unless_equal });
    }

    /// Gossip has opened a hole in somebody's session. What is only late closes it by itself.
    pub(super) fn sync_hole(&mut self, source: PeerKey, author: PeerKey, now: Now) {
        let at = now.mono.saturating_add(HOLE_WAIT);
        let (reach, hole_of) = (Reach::Recent, Some(author));
        self.want(source, Due { at, reach, open: true, hole_of, unless_equal: false });
    }

    /// A neighbour may have missed something of ours. A round shows it, and then it asks us.
    pub(super) fn sync_slow_peer(&mut self, peer: PeerKey, now: Now) {
        self.want_round(peer, Reach::Recent, true, now.mono);
    }

    fn want_round(&mut self, peer: PeerKey, reach: Reach, open: bool, at: Duration) {
        self.want(peer, Due { at, reach, open, hole_of: None, unless_equal: false });
    }

    fn want(&mut self, peer: PeerKey, wanted: Due) {
        if self.me.has_ended() || !self.links.neighbours().any(|known| known == peer) {
            return;
        }
        let next_at = self.syncing.past.get(&peer).map_or(Duration::ZERO, Past::next_at);
        let wanted = Due { at: wanted.at.max(next_at), ..wanted };
        let due = self.syncing.due.entry(peer).or_insert(wanted);
        *due = Due {
            at: due.at.min(wanted.at),
            reach: due.reach.max(wanted.reach),
            open: due.open || wanted.open,
            hole_of: due.hole_of.filter(|of| wanted.hole_of == Some(*of)),
            unless_equal: due.unless_equal && wanted.unless_equal,
        };
    }

    /// A neighbour's fingerprints differ from ours: it may have what we lack.
    pub(super) fn learn_from(
        &mut self,
        peer: PeerKey,
        set: SetName,
        windows: &[Window],
        frames: &[Vec<u8>],
        now: Now,
    ) {
        let differs = |frame: &&Vec<u8>| !frame.is_empty() && !ItemSet::agrees(frame);
        if !frames.iter().any(|frame| differs(&frame)) {
            if set == SetName::Messages && frames.iter().all(|frame| ItemSet::agrees(frame)) {
                self.agrees_with(peer, windows);
            }
            return;
        }
        let recent = self.time.now_ms(now).saturating_sub(11 * MINUTE_MS);
        let only_recent = set == SetName::Moderations
            || windows
                .iter()
                .zip(frames)
                .filter(|(_window, frame)| differs(frame))
                .all(|(window, _frame)| window.since >= recent);
        let reach = if only_recent { Reach::Recent } else { Reach::Full };
        let open = windows.iter().any(|window| window.until == OPEN_END);
        self.want_round(peer, reach, open, now.mono);
    }

    /// A neighbour has seen that it holds what we hold, up to this moment: our own look would show the same.
    fn agrees_with(&mut self, peer: PeerKey, windows: &[Window]) {
        let is_open = windows.iter().any(|window| window.until == OPEN_END);
        let due = self.syncing.due.get(&peer);
        if is_open && due.is_some_and(|due| due.unless_equal) {
            self.syncing.due.remove(&peer);
        }
    }

    pub(super) fn next_round_due(&self) -> Option<Duration> {
        if self.me.has_ended() || self.links.len() == 0 {
            return None;
        }
        let room = self.syncing.running.len() < ROUNDS_MAX;
        let running = &self.syncing.running;
        let due =
            self.syncing.due.iter().filter(|(peer, _due)| room && !running.contains_key(peer));
        let waits = running.values().filter_map(|running| running.wait_until);
        let stalls = running.values().map(|running| running.useful_at.saturating_add(ROUND_STALL));
        due.map(|(_peer, due)| due.at)
            .chain(waits)
            .chain(stalls)
            .chain(self.syncing.left.front().map(|left| left.at))
            .chain([self.syncing.routine])
            .min()
    }

    /// Begins the rounds that are due, and goes on with those that were told to wait.
    pub(super) fn sync_due(&mut self, now: Now) {
        if self.me.has_ended() {
            return;
        }
        if self.syncing.routine <= now.mono {
            self.syncing.routine = now.mono.saturating_add(ROUND_EVERY + self.fx.jitter() * 10);
            self.syncing.flights.forget_old(now.mono);
            self.routine_round(now);
        }
        self.end_stalled(now);
        self.ask_for_what_was_left(now);
        let running = &self.syncing.running;
        let ready = self
            .syncing
            .due
            .iter()
            .filter(|(peer, due)| due.at <= now.mono && !running.contains_key(peer));
        let mut ready: Vec<_> = ready.map(|(peer, due)| (due.at, *peer)).collect();
        // Who has waited longest comes first, whatever its key.
        ready.sort_unstable();
        for (_at, peer) in ready {
            if self.syncing.running.len() >= ROUNDS_MAX {
                break;
            }
            let Some(due) = self.syncing.due.remove(&peer) else { continue };
            if due.hole_of.is_none_or(|author| self.receipts.has_hole(author)) {
                self.begin_round(peer, due, now);
            }
        }
        let waiting: Vec<PeerKey> =
            self.syncing.running.iter_mut().fold(Vec::new(), |mut ready, (peer, running)| {
                if running.wait_until.is_some_and(|until| until <= now.mono) {
                    running.wait_until = None;
                    ready.push(*peer);
                }
                ready
            });
        for peer in waiting {
            self.go_on(peer, now);
        }
    }

    /// A peer that answers just in time, and brings nothing, is done with; and one that brings a little now and then
    /// makes room when others wait.
    fn end_stalled(&mut self, now: Now) {
        let is_over = |since: Duration| since.saturating_add(ROUND_STALL) <= now.mono;
        let running = &self.syncing.running;
        let longest = running.iter().filter(|(_peer, running)| is_over(running.began));
        let longest = longest.min_by_key(|(_peer, running)| running.began);
        let longest = longest.filter(|_| self.syncing.is_crowded(now.mono));
        let stalled = running.iter().filter(|(_peer, running)| is_over(running.useful_at));
        let ended: BTreeMap<_, _> = stalled
            .chain(longest)
            .map(|(peer, running)| (*peer, running.round.brought()))
            .collect();
        for (peer, brought) in ended {
            let outcome = Outcome { brought, agreed: false, complete: false };
            self.end_round(peer, outcome, now);
        }
    }

    fn routine_round(&mut self, now: Now) {
        let idle: Vec<PeerKey> = self
            .links
            .neighbours()
            .filter(|peer| !self.syncing.running.contains_key(peer))
            .collect();
        let drawn = usize::try_from(self.fx.draw()).unwrap_or_default().checked_rem(idle.len());
        if let Some(peer) = drawn.and_then(|drawn| idle.get(drawn)) {
            self.want_round(*peer, Reach::Full, false, now.mono);
        }
    }

    fn begin_round(&mut self, peer: PeerKey, due: Due, now: Now) {
        // Before the index is whole, everything old would look as if it were missing.
        let reach = if self.syncing.indexed { due.reach } else { Reach::Recent };
        let all = Span { since: 0, until: OPEN_END };
        let running = Running {
            round: Round::new(SetName::Moderations, vec![all]),
            number: self.syncing.number(),
            set: SetName::Moderations,
            began: now.mono,
            reach,
            open: due.open,
            wait_until: None,
            brought_recent: false,
            told_at: now.mono,
            useful_at: now.mono,
        };
        self.syncing.running.insert(peer, running);
        let number = SyncRequest::PolicyNumber(self.policy().number);
        self.fx.ask(peer, &number, Asking::PolicyNumber);
        self.go_on(peer, now);
    }

    fn windows(&self, reach: Reach, open: bool, now: Now) -> Vec<Span> {
        let mut windows = spans(self.time.now_ms(now), open, self.history.boundary());
        if reach == Reach::Recent {
            windows.truncate(1);
        }
        windows
    }

    /// Asks what there is to ask, and ends the round when there is nothing more.
    fn go_on(&mut self, peer: PeerKey, now: Now) {
        loop {
            let (history, sets, flights) = (&self.history, &self.item_sets, &self.syncing.flights);
            let source = Own { history, sets, flights, peer, mono: now.mono };
            let Some(running) = self.syncing.running.get_mut(&peer) else { return };
            if running.wait_until.is_some() {
                return;
            }
            let round = running.number;
            let Some(Ask { tag, request }) = running.round.next_request(&source) else { break };
            let ids = match &request {
                SyncRequest::Get { ids, .. } => ids.clone(),
                _frames => Vec::new(),
            };
            self.syncing.flights.asked(peer, &ids, now.mono);
            self.fx.ask(peer, &request, Asking::Round { round, tag, ids });
        }
        let Some(running) = self.syncing.running.get(&peer) else { return };
        let Some(outcome) = running.round.outcome() else { return };
        // The login node's own member keeps moderations for its operator, and never a message.
        if running.set == SetName::Moderations && !self.me.is_authority() {
            // A peer that does not answer about moderations will not about messages.
            if outcome.complete || outcome.agreed {
                let (reach, open) = (running.reach, running.open);
                let windows = self.windows(reach, open, now);
                let number = self.syncing.number();
                self.look_again_later(peer, now);
                if let Some(running) = self.syncing.running.get_mut(&peer) {
                    (running.set, running.number) = (SetName::Messages, number);
                    running.round = Round::new(SetName::Messages, windows);
                }
                return self.go_on(peer, now);
            }
        }
        self.end_round(peer, outcome, now);
    }

    fn end_round(&mut self, peer: PeerKey, outcome: Outcome, now: Now) {
        let left_some = self.look_again_later(peer, now);
        let Some(running) = self.syncing.running.remove(&peer) else { return };
        self.tell_backfill(&running, true);
        let past = self.syncing.past.entry(peer).or_insert_with(|| Past::begins(now.mono));
        let in_vain = !outcome.agreed && outcome.brought == 0 && !left_some;
        past.round_has_ended(in_vain, now.mono);
        if past.is_deaf_after(running.brought_recent, now.mono) {
            self.links.close(peer, &mut self.fx);
            return;
        }
        let whole = (outcome.complete || outcome.agreed) && !left_some;
        if running.set == SetName::Messages && running.reach == Reach::Full && whole {
            self.syncing.caught_up = true;
        }
        let cut_short = !outcome.complete && outcome.brought > 0;
        let behind = self.syncing.indexed && !self.syncing.caught_up;
        if (behind && whole) || cut_short {
            self.want_round(peer, Reach::Full, false, now.mono);
        }
    }

    /// Whether a round has left ids to another peer. Then it is seen later whether they have come.
    fn look_again_later(&mut self, peer: PeerKey, now: Now) -> bool {
        let Some(running) = self.syncing.running.get_mut(&peer) else { return false };
        let (set, reach, open) = (running.set, running.reach, running.open);
        let ids = running.round.take_left();
        if ids.is_empty() {
            return false;
        }
        let at = now.mono.saturating_add(FETCH_ALONE);
        self.syncing.left.push_back(Left { at, peer, set, ids, reach, open });
        true
    }

    /// What was left to others and has not come is asked for.
    fn ask_for_what_was_left(&mut self, now: Now) {
        while let Some(left) = self.syncing.left.pop_front_if(|left| left.at <= now.mono) {
            if left.ids.iter().any(|id| wants(&self.history, left.set, *id)) {
                self.want_round(left.peer, left.reach, left.open, now.mono);
            }
        }
    }

    /// Gossip has come from a neighbour: its link is not deaf.
    pub(super) fn note_gossip(&mut self, source: PeerKey, now: Now) {
        if let Some(past) = self.syncing.past.get_mut(&source) {
            past.heard(now.mono);
        }
    }

    /// The last link to a peer is gone, and with it the round.
    pub(super) fn sync_link_down(&mut self, peer: PeerKey) {
        self.syncing.due.remove(&peer);
        self.syncing.past.remove(&peer);
        self.syncing.running.remove(&peer);
        self.syncing.flights.lost(peer);
    }

    /// The store could not take a message: whoever is linked is asked for it again, a little later.
    pub(super) fn not_stored(&mut self, sent_at: u64, message: MessageId, now: Now) {
        self.history.was_not_stored(sent_at, message);
        let recent = self.time.now_ms(now).saturating_sub(10 * MINUTE_MS);
        let reach = if sent_at > recent { Reach::Recent } else { Reach::Full };
        let neighbour = self.links.neighbours().next();
        if let Some(peer) = neighbour {
            self.want_round(peer, reach, true, now.mono.saturating_add(ROUND_GAP));
        }
    }

    /// The store has given everything.
    pub(super) fn index_is_whole(&mut self, now: Now) {
        self.syncing.indexed = true;
        self.retain(now);
        let neighbours: Vec<_> = self.links.neighbours().take(1).collect();
        for peer in neighbours {
            self.want_round(peer, Reach::Full, false, now.mono);
        }
    }
}

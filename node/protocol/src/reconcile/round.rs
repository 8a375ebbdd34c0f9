//! One round with one peer, as the initiator sees it (PROTOCOL.md R-104, R-105, R-107).
//!
//! ```text
//!   opening ── all windows' fingerprints, one request ──▶ for each window: the same │ differs │ not now
//!   then each window that differs, the newest first:
//!       frames, one at a time ──▶ needed ids ──▶ Gets, two at a time ──▶ ids that did not arrive, once more
//! ```
//!
//! A round knows neither a clock nor its peer. Its driver calls [`Round::next_request`] until it returns `None`, sends
//! what it got, feeds each answer back, and calls it again. Then [`Round::outcome`] tells whether the round has ended.
//!
//! **A liar ends the round sooner or later.** Ids cost it nothing, so ids alone are no progress: the round is over
//! after [`GETS_IN_VAIN_MAX`] `Get`s in a row that bring nothing. What one window may cost is in [`work`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::ids::MessageId;
use crate::limits::GET_IDS_MAX;

use super::items::ItemSet;
use super::windows::Span;
use super::wire::{SetName, SyncRequest, Window};

/// Unanswered `Get`s of one round: one is answered while we process the answer to the other.
pub(crate) const GETS_IN_FLIGHT_MAX: usize = 2;
/// Answers to `Get` in a row that bring nothing before the round ends: the peer promised what it does not have.
pub(crate) const GETS_IN_VAIN_MAX: usize = 3;
/// Answers "later" in a row before the round ends: another neighbour may be less busy.
const LATERS_MAX: usize = 16;

mod work;

#[cfg(test)]
mod tests;

use work::Work;

/// What a round reads of our own set.
pub trait Source {
    /// The ids that are held in `[since, until)`. Building this set costs a walk over the span, so the implementation
    /// should keep it until something changes (see [`super::answer_windows`]).
    fn items(&self, set: SetName, since: u64, until: u64) -> Arc<ItemSet>;

    /// Whether an id is worth fetching: it is not held, and the history does not remember refusing it.
    fn wants(&self, set: SetName, id: MessageId) -> bool;

    /// Whether another peer was just asked for it and should get time to answer. Always false with a single peer.
    fn is_with_another(&self, _id: MessageId) -> bool {
        false
    }
}

/// Identifies a request of a round, so that its answer can be matched to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskTag(pub u64);

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The tag to pass in with the answer.
    pub tag: AskTag,
    /// The request itself.
    pub request: SyncRequest,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How many of the requested objects it brought.
    pub brought: u64,
    /// Whether both sets were the same in all windows from the start.
    pub agreed: bool,
    /// Whether all windows were finished and everything needed arrived: the peer did not fail, was not busy for too
    /// long, and delivered what it promised.
    pub complete: bool,
}

/// The state of one round.
#[derive(Debug)]
pub struct Round {
    set: SetName,
    /// The windows to compare in the first request, until it is answered.
    opening: Vec<Span>,
    /// The windows that differ and have not been started, newest first.
    turns: VecDeque<Turn>,
    work: Option<Work>,
    /// The `Reconcile` in flight, of which there is never more than one.
    reconcile: Option<AskTag>,
    gets: BTreeMap<AskTag, Get>,
    next_tag: u64,
    needed: u64,
    brought: u64,
    /// How many `Get`s in a row brought nothing.
    in_vain: usize,
    /// How many answers in a row were [`super::SyncReply::Later`].
    laters: usize,
    agreed: bool,
    complete: bool,
    /// Ids that another peer was asked for: no more than fit into one `Get`.
    left: Vec<MessageId>,
    ended: bool,
}

/// A window that waits for its turn.
#[derive(Debug)]
struct Turn {
    span: Span,
    /// The peer's answer to the fingerprint; `None` if it had no room for one.
    reply: Option<Vec<u8>>,
}

/// A `Get` in flight.
#[derive(Debug)]
struct Get {
    ids: Vec<MessageId>,
    /// Whether these ids were requested before and did not arrive.
    again: bool,
}

impl Round {
    /// A round over these spans, newest first (see [`super::spans`]).
    #[must_use]
    pub fn new(set: SetName, spans: Vec<Span>) -> Self {
        let ended = spans.is_empty();
        Self {
            set,
            opening: spans,
            turns: VecDeque::new(),
            work: None,
            reconcile: None,
            gets: BTreeMap::new(),
            next_tag: 0,
            needed: 0,
            brought: 0,
            in_vain: 0,
            laters: 0,
            agreed: true,
            complete: true,
            left: Vec::new(),
            ended,
        }
    }

    /// The next request, or `None` if an answer must come first or the round has ended.
    pub fn next_request(&mut self, source: &dyn Source) -> Option<Ask> {
        while !self.ended {
            if let Some(ask) = self.ask_frames(source).or_else(|| self.ask_get(source)) {
                return Some(ask);
            }
            if self.reconcile.is_some() || !self.gets.is_empty() {
                return None;
            }
            // The window is finished.
            self.work = None;
            match self.turns.pop_front() {
                Some(turn) => self.begin(turn, source),
                None => self.ended = true,
            }
        }
        None
    }

    /// Takes the frames of an answer to `Reconcile` (see [`super::parse_frames`]).
    pub fn on_frames(&mut self, tag: AskTag, frames: Vec<Vec<u8>>, source: &dyn Source) {
        if self.reconcile != Some(tag) {
            return;
        }
        if !self.opening.is_empty() {
            return self.opened(frames);
        }
        let mut frames = frames.into_iter();
        match (frames.next(), frames.next()) {
            (Some(empty), None) if empty.is_empty() => self.on_later(tag),
            (Some(reply), None) => self.advance(&reply, source),
            _not_one_frame => self.give_up(),
        }
    }

    /// Takes the answer to a `Get`: the ids of its authentic objects, whether or not the history admits them. Ids that
    /// were not requested do not count.
    pub fn on_batch(&mut self, tag: AskTag, received: &[MessageId]) {
        let Some(get) = self.gets.remove(&tag) else { return };
        let received: BTreeSet<&MessageId> = received.iter().collect();
        // The responder keeps to the order of the request and stops when the batch is full. So it does not hold the ids
        // that are missing before the last one that arrived; those after it may just not have fitted.
        let reached = get.ids.iter().rposition(|id| received.contains(id)).map_or(0, |at| at + 1);
        let (before, after) = get.ids.split_at_checked(reached).unwrap_or_default();
        let missing: Vec<MessageId> =
            before.iter().filter(|id| !received.contains(id)).copied().collect();
        let brought = before.len().saturating_sub(missing.len());
        if brought == 0 {
            self.came_in_vain();
            return self.not_held(after.iter().copied(), get.again);
        }
        self.brought = self.brought.saturating_add(brought as u64);
        (self.in_vain, self.laters) = (0, 0);
        self.not_held(missing.into_iter(), get.again);
        self.not_yet_sent(after, get.again);
    }

    /// The same for authentic objects that are of no use, because the history refuses them or they only displace
    /// others. They count as no progress, or else a peer with many of them could keep us judging for ever.
    pub fn on_useless_batch(&mut self, tag: AskTag, received: &[MessageId]) {
        let (in_vain, brought) = (self.in_vain, self.brought);
        self.on_batch(tag, received);
        (self.in_vain, self.brought) = (in_vain, brought);
        self.came_in_vain();
    }

    /// The peer is busy. [`Self::next_request`] returns the request again; the caller waits
    /// a moment before it sends it.
    pub fn on_later(&mut self, tag: AskTag) {
        if !self.take_back(tag) {
            return;
        }
        self.laters = self.laters.saturating_add(1);
        if self.laters >= LATERS_MAX {
            self.give_up();
        }
    }

    /// No readable answer came: the round is over.
    pub fn on_failure(&mut self, tag: AskTag) {
        if self.take_back(tag) {
            self.give_up();
        }
    }

    /// How many objects this round is known to need so far.
    #[must_use]
    pub fn needed(&self) -> u64 {
        self.needed
    }

    /// How many of them have arrived.
    #[must_use]
    pub fn brought(&self) -> u64 {
        self.brought
    }

    /// How the round ended, once it has. Ask after [`Self::next_request`] has returned `None`.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let Self { brought, agreed, complete, .. } = *self;
        self.ended.then_some(Outcome { brought, agreed, complete })
    }

    /// Takes the ids that were left to another peer, which may fail to bring them: as many as fit into one `Get`.
    pub fn take_left(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.left)
    }

    fn tag(&mut self) -> AskTag {
        let tag = AskTag(self.next_tag);
        self.next_tag = self.next_tag.wrapping_add(1);
        tag
    }

    fn give_up(&mut self) {
        (self.ended, self.agreed, self.complete) = (true, false, false);
        (self.work, self.reconcile) = (None, None);
        self.opening.clear();
        self.turns.clear();
        self.gets.clear();
    }

    fn opened(&mut self, frames: Vec<Vec<u8>>) {
        if frames.len() != self.opening.len() {
            return self.give_up();
        }
        self.reconcile = None;
        let windows = self.opening.drain(..).zip(frames);
        let differing = windows.filter(|(_span, reply)| !ItemSet::agrees(reply));
        self.turns = differing
            .map(|(span, reply)| Turn { span, reply: Some(reply).filter(|r| !r.is_empty()) })
            .collect();
    }

    /// Starts on a window. The peer's answer from the opening is compared with what we hold now.
    fn begin(&mut self, turn: Turn, source: &dyn Source) {
        let Turn { span, reply } = turn;
        let items = source.items(self.set, span.since, span.until);
        self.work = Some(Work::new(span, items));
        if let Some(reply) = reply {
            self.advance(&reply, source);
        }
    }

    /// Reads the peer's answer about the window in progress.
    fn advance(&mut self, reply: &[u8], source: &dyn Source) {
        let Some(work) = &mut self.work else { return };
        let Ok(needed) = work.read(reply) else { return self.give_up() };
        (self.reconcile, self.laters) = (None, 0);
        self.agreed &= ItemSet::agrees(reply);
        for id in needed {
            if work.has_seen(id) || !source.wants(self.set, id) {
                continue;
            }
            if source.is_with_another(id) {
                leave(&mut self.left, id);
                continue;
            }
            if !work.need(id) {
                // The remaining ids and the older windows are left to the next round.
                work.stop();
                self.turns.clear();
                self.complete = false;
                return;
            }
            self.needed = self.needed.saturating_add(1);
        }
        if work.has_too_many_frames() {
            self.give_up();
        }
    }

    /// The fingerprints of all windows at first, later the next frame of the window in progress.
    fn ask_frames(&mut self, source: &dyn Source) -> Option<Ask> {
        if self.reconcile.is_some() {
            return None;
        }
        let set = self.set;
        let windows: Vec<Window> = match &self.work {
            Some(work) => work.next_window().into_iter().collect(),
            None => {
                let fingerprint = |span: &Span| Window {
                    since: span.since,
                    until: span.until,
                    frame: source.items(set, span.since, span.until).fingerprint_frame(),
                };
                self.opening.iter().map(fingerprint).collect()
            }
        };
        if windows.is_empty() {
            return None;
        }
        let tag = self.tag();
        self.reconcile = Some(tag);
        Some(Ask { tag, request: SyncRequest::Reconcile { set, windows } })
    }

    fn ask_get(&mut self, source: &dyn Source) -> Option<Ask> {
        if self.gets.len() >= GETS_IN_FLIGHT_MAX {
            return None;
        }
        let get = self.wanted_ids(false, source).or_else(|| self.wanted_ids(true, source))?;
        let tag = self.tag();
        let request = SyncRequest::Get { set: self.set, ids: get.ids.clone() };
        self.gets.insert(tag, get);
        Some(Ask { tag, request })
    }

    /// The next ids that are still wanted: the newest, or those that did not arrive the first time.
    fn wanted_ids(&mut self, again: bool, source: &dyn Source) -> Option<Get> {
        let work = self.work.as_mut()?;
        let mut ids = Vec::new();
        while ids.len() < GET_IDS_MAX
            && let Some(id) = work.next_id(again)
        {
            // Gossip or another peer may have brought it meanwhile.
            let is_wanted = source.wants(self.set, id);
            if is_wanted && (again || !source.is_with_another(id)) {
                ids.push(id);
                continue;
            }
            self.needed = self.needed.saturating_sub(1);
            if is_wanted {
                leave(&mut self.left, id);
            }
        }
        (!ids.is_empty()).then_some(Get { ids, again })
    }

    fn came_in_vain(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1);
        if self.in_vain >= GETS_IN_VAIN_MAX {
            self.give_up();
        }
    }

    /// Asks once more for ids that the peer did not hold, because it may have got them meanwhile.
    fn not_held(&mut self, ids: impl Iterator<Item = MessageId>, asked_again: bool) {
        let Some(work) = &mut self.work else { return };
        if asked_again {
            self.complete &= ids.count() == 0;
        } else {
            work.ask_again(ids);
        }
    }

    /// Puts back ids that the peer has not got round to.
    fn not_yet_sent(&mut self, ids: &[MessageId], asked_again: bool) {
        if let Some(work) = &mut self.work {
            work.put_back(ids, asked_again);
        }
    }

    /// Makes a request that got no answer due again. Returns whether it was in flight.
    fn take_back(&mut self, tag: AskTag) -> bool {
        if let Some(get) = self.gets.remove(&tag) {
            self.not_yet_sent(&get.ids, get.again);
            return true;
        }
        self.reconcile.take_if(|asked| *asked == tag).is_some()
    }
}

fn leave(left: &mut Vec<MessageId>, id: MessageId) {
    if left.len() < GET_IDS_MAX {
        left.push(id);
    }
}

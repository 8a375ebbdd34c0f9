//! One round with one peer, as the initiator sees it (PROTOCOL.md R-104, R-105, R-107).
//!
//! ```text
//!   opening ── all windows' fingerprints, one request ──▶ for each window: the same │ differs │ not now
//!   then the newest that differs, to its end, before an older one:
//!       frames, one at a time ──▶ needed ids ──▶ Gets, two at a time ──▶ what one did not bring is asked once more
//! ```
//!
//! A round knows no clock and no peer. Whoever drives it asks [`Round::next_request`] until there is none, sends what
//! it got, feeds each answer back, asks again, and after that looks at [`Round::outcome`].
//!
//! **A liar ends the round, sooner or later.** Ids cost it nothing, so ids alone are no progress: after
//! [`GETS_IN_VAIN_MAX`] `Get`s in a row that bring nothing, the round is over. A window needs at most [`NEEDED_MAX`]
//! ids, and takes [`FRAMES_FREE`] frames and one more for [`ITEMS_PER_FRAME`] items in it, ours or needed. That is
//! enough for honest peers: what differs costs at most 16 ranges of 25 bytes on each of five levels and a list of 31
//! ids, 3 KB in all, so 60,000 bytes hold 20 differences that lie far apart, with 16 items or more around each, or
//! hundreds that lie close together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::ids::MessageId;
use crate::limits::{
    FRAMES_FREE, FRAMES_MAX, GET_IDS_MAX, GETS_IN_FLIGHT_MAX, GETS_IN_VAIN_MAX, ITEMS_PER_FRAME,
    LATERS_MAX, NEEDED_MAX,
};

use super::items::ItemSet;
use super::windows::Span;
use super::wire::{SetName, SyncRequest, Window};

#[cfg(test)]
mod tests;

/// What a round reads of our own set.
pub trait Source {
    /// The ids that are held in `[since, until)`. Building it costs a walk over the span: the caller keeps it until
    /// the set changes (see [`super::answer_windows`]).
    fn items(&self, set: SetName, since: u64, until: u64) -> Arc<ItemSet>;

    /// Whether an id is worth fetching: neither held, nor refused by the history and remembered.
    fn wants(&self, set: SetName, id: MessageId) -> bool;

    /// Whether another peer was asked for it just now and should have time to answer. Never with one peer alone.
    fn is_with_another(&self, _id: MessageId) -> bool {
        false
    }
}

/// A round's name for a request, given back with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskTag(pub u64);

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// For the answer.
    pub tag: AskTag,
    /// What to ask.
    pub request: SyncRequest,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How many objects it brought that were asked for.
    pub brought: u64,
    /// Both sets were the same in all windows from the start.
    pub agreed: bool,
    /// All windows were finished and everything needed arrived. False if the peer failed, was busy, or did not
    /// deliver what it promised.
    pub complete: bool,
}

/// The state of one round.
#[derive(Debug)]
pub struct Round {
    set: SetName,
    opening: Opening,
    /// The windows that differ and have not been started, newest first.
    turns: VecDeque<Turn>,
    work: Option<Work>,
    gets: BTreeMap<AskTag, Get>,
    next_tag: u64,
    needed: u64,
    brought: u64,
    /// Answers in a row that brought nothing.
    in_vain: usize,
    laters: usize,
    agreed: bool,
    complete: bool,
    /// Needed, and left to another peer that has been asked for it. Not more than one `Get` could bring.
    left: Vec<MessageId>,
    ended: bool,
}

#[derive(Debug)]
enum Opening {
    /// The fingerprints of these spans are to be asked.
    Due(Vec<Span>),
    Asked(AskTag, Vec<Span>),
    Done,
}

/// A window whose turn will come.
#[derive(Debug)]
struct Turn {
    span: Span,
    /// Where it differs; `None` if the peer had no room to say so.
    reply: Option<Vec<u8>>,
}

/// The window in progress.
#[derive(Debug)]
struct Work {
    items: Arc<ItemSet>,
    span: Span,
    /// The next frame to be asked.
    due: Option<Vec<u8>>,
    /// The frame on its way.
    asked: Option<(AskTag, Vec<u8>)>,
    /// How many frames have come.
    frames: usize,
    /// Every id that was needed in this window, so that a liar cannot name one twice.
    seen: BTreeSet<MessageId>,
    /// To be asked; the newest at the end.
    pending: Vec<MessageId>,
    /// To be asked once more, when there is nothing else to do.
    again: VecDeque<MessageId>,
}

/// A `Get` on its way.
#[derive(Debug)]
struct Get {
    ids: Vec<MessageId>,
    /// Whether these ids were asked before, and did not come.
    again: bool,
}

impl Round {
    /// A round over these spans, newest first (see [`super::spans`]).
    #[must_use]
    pub fn new(set: SetName, spans: Vec<Span>) -> Self {
        let ended = spans.is_empty();
        Self {
            set,
            opening: if ended { Opening::Done } else { Opening::Due(spans) },
            turns: VecDeque::new(),
            work: None,
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

    /// The next request, or `None` if there is nothing to ask until an answer comes, or the round has ended.
    pub fn next_request(&mut self, source: &dyn Source) -> Option<Ask> {
        if self.ended {
            return None;
        }
        if !matches!(self.opening, Opening::Done) {
            return self.open(source);
        }
        loop {
            if let Some(ask) = self.ask_frame().or_else(|| self.ask_get(source)) {
                return Some(ask);
            }
            let busy = self.work.as_ref().is_some_and(|work| !work.all_said());
            if busy || !self.gets.is_empty() || self.ended {
                return None;
            }
            // The window is finished.
            self.work = None;
            let Some(turn) = self.turns.pop_front() else {
                self.ended = true;
                return None;
            };
            self.begin(turn, source);
        }
    }

    /// The answer to a `Reconcile`: its frames (see [`super::parse_frames`]).
    pub fn on_frames(&mut self, tag: AskTag, frames: Vec<Vec<u8>>, source: &dyn Source) {
        match std::mem::replace(&mut self.opening, Opening::Done) {
            Opening::Asked(asked, spans) if asked == tag => return self.opened(&spans, frames),
            other => self.opening = other,
        }
        let Some(work) = &mut self.work else { return };
        if work.asked.as_ref().is_none_or(|(asked, _frame)| *asked != tag) {
            return;
        }
        let mut frames = frames.into_iter();
        match (frames.next(), frames.next()) {
            (Some(empty), None) if empty.is_empty() => self.on_later(tag),
            (Some(reply), None) => self.advance(&reply, source),
            _not_one_frame => self.give_up(),
        }
    }

    /// The answer to a `Get`: the ids of the objects in it that are authentic, whatever the history says of them.
    /// Forged ones are left out, and ids that were not asked for do not count.
    pub fn on_batch(&mut self, tag: AskTag, received: &[MessageId]) {
        let Some(get) = self.gets.remove(&tag) else { return };
        let received: BTreeSet<&MessageId> = received.iter().collect();
        // The responder keeps to the order of the request and stops when the batch is full. So what is missing before
        // the last that came is not held there, and what comes after it may just not have fitted.
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

    /// The same for a batch of objects that are authentic and of no use, because the history refuses them or they only push
    /// out others: no progress. Otherwise a peer with a great many of them could keep us judging for ever.
    pub fn on_useless_batch(&mut self, tag: AskTag, received: &[MessageId]) {
        let (in_vain, brought) = (self.in_vain, self.brought);
        self.on_batch(tag, received);
        (self.in_vain, self.brought) = (in_vain, brought);
        self.came_in_vain();
    }

    /// The peer is busy. [`Self::next_request`] gives the request again; the caller waits for
    /// [`crate::limits::LATER_RETRY`] before it asks.
    pub fn on_later(&mut self, tag: AskTag) {
        if !self.take_back(tag) {
            return;
        }
        self.laters = self.laters.saturating_add(1);
        if self.laters >= LATERS_MAX {
            self.give_up();
        }
    }

    /// No answer came, or an unreadable one: the round is over.
    pub fn on_failure(&mut self, tag: AskTag) {
        if self.take_back(tag) {
            self.give_up();
        }
    }

    /// How many objects this round needs, as far as it knows yet.
    #[must_use]
    pub fn needed(&self) -> u64 {
        self.needed
    }

    /// How many of them have come.
    #[must_use]
    pub fn brought(&self) -> u64 {
        self.brought
    }

    /// How it ended, once it has. Look after [`Self::next_request`] has given `None`.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let Self { brought, agreed, complete, .. } = *self;
        self.ended.then_some(Outcome { brought, agreed, complete })
    }

    /// What was needed and left to another peer, which may not bring it: as many as one `Get` could ask for.
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
        (self.opening, self.work) = (Opening::Done, None);
        self.turns.clear();
        self.gets.clear();
    }

    fn open(&mut self, source: &dyn Source) -> Option<Ask> {
        let tag = self.tag();
        let opening = std::mem::replace(&mut self.opening, Opening::Done);
        let Opening::Due(spans) = opening else {
            self.opening = opening;
            return None;
        };
        let fingerprint = |span: &Span| Window {
            since: span.since,
            until: span.until,
            frame: source.items(self.set, span.since, span.until).fingerprint_frame(),
        };
        let windows = spans.iter().map(fingerprint).collect();
        self.opening = Opening::Asked(tag, spans);
        Some(Ask { tag, request: SyncRequest::Reconcile { set: self.set, windows } })
    }

    fn opened(&mut self, spans: &[Span], frames: Vec<Vec<u8>>) {
        if frames.len() != spans.len() {
            return self.give_up();
        }
        let differing = spans.iter().zip(frames).filter(|(_span, reply)| !ItemSet::agrees(reply));
        self.turns = differing
            .map(|(span, reply)| Turn { span: *span, reply: Some(reply).filter(|r| !r.is_empty()) })
            .collect();
    }

    /// A window's turn has come. What was said of it in the opening is compared with what is held now.
    fn begin(&mut self, turn: Turn, source: &dyn Source) {
        let Turn { span, reply } = turn;
        let items = source.items(self.set, span.since, span.until);
        self.work = Some(Work::new(span, items));
        if let Some(reply) = reply {
            self.advance(&reply, source);
        }
    }

    /// Takes in a frame of the window in progress.
    fn advance(&mut self, reply: &[u8], source: &dyn Source) {
        let set = self.set;
        let Some(work) = &mut self.work else { return };
        let Ok(step) = work.items.step(reply) else { return self.give_up() };
        work.frames = work.frames.saturating_add(1);
        self.laters = 0;
        self.agreed &= ItemSet::agrees(reply);
        let mut full = false;
        for id in step.need {
            if work.seen.contains(&id) || !source.wants(set, id) {
                continue;
            }
            if source.is_with_another(id) {
                leave(&mut self.left, id);
                continue;
            }
            if work.seen.len() >= NEEDED_MAX {
                full = true;
                break;
            }
            work.seen.insert(id);
            work.pending.push(id);
            self.needed = self.needed.saturating_add(1);
        }
        (work.asked, work.due) = (None, step.next);
        if full {
            // What is beyond, and what is older, is left to the next round.
            work.due = None;
            self.turns.clear();
            self.complete = false;
        } else if work.due.is_some() && work.frames >= work.frames_allowed() {
            self.give_up();
        }
    }

    fn ask_frame(&mut self) -> Option<Ask> {
        let set = self.set;
        let (span, frame) = {
            let work = self.work.as_mut()?;
            (work.span, work.due.take()?)
        };
        let tag = self.tag();
        if let Some(work) = &mut self.work {
            work.asked = Some((tag, frame.clone()));
        }
        let windows = vec![Window { since: span.since, until: span.until, frame }];
        Some(Ask { tag, request: SyncRequest::Reconcile { set, windows } })
    }

    fn ask_get(&mut self, source: &dyn Source) -> Option<Ask> {
        if self.gets.len() >= GETS_IN_FLIGHT_MAX {
            return None;
        }
        let get = self.fresh_ids(source).or_else(|| self.ids_again(source))?;
        let tag = self.tag();
        let request = SyncRequest::Get { set: self.set, ids: get.ids.clone() };
        self.gets.insert(tag, get);
        Some(Ask { tag, request })
    }

    /// The newest of the ids that are wanted.
    fn fresh_ids(&mut self, source: &dyn Source) -> Option<Get> {
        let work = self.work.as_mut()?;
        let mut ids = Vec::new();
        while ids.len() < GET_IDS_MAX
            && let Some(id) = work.pending.pop()
        {
            // Gossip, or another peer, may have brought it meanwhile.
            let is_wanted = source.wants(self.set, id);
            if is_wanted && !source.is_with_another(id) {
                ids.push(id);
            } else {
                self.needed = self.needed.saturating_sub(1);
                if is_wanted {
                    leave(&mut self.left, id);
                }
            }
        }
        (!ids.is_empty()).then_some(Get { ids, again: false })
    }

    /// What did not come, once everything else has been asked.
    fn ids_again(&mut self, source: &dyn Source) -> Option<Get> {
        let work = self.work.as_mut().filter(|work| work.all_said())?;
        let mut ids = Vec::new();
        while ids.len() < GET_IDS_MAX
            && let Some(id) = work.again.pop_front()
        {
            if source.wants(self.set, id) {
                ids.push(id);
            } else {
                self.needed = self.needed.saturating_sub(1);
            }
        }
        (!ids.is_empty()).then_some(Get { ids, again: true })
    }

    fn came_in_vain(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1);
        if self.in_vain >= GETS_IN_VAIN_MAX {
            self.give_up();
        }
    }

    /// Ids that the peer does not hold are asked once more, because it may have got them meanwhile.
    fn not_held(&mut self, ids: impl Iterator<Item = MessageId>, asked_again: bool) {
        let Some(work) = &mut self.work else { return };
        if asked_again {
            self.complete &= ids.count() == 0;
        } else {
            work.again.extend(ids);
        }
    }

    /// Ids that the peer has not come to.
    fn not_yet_sent(&mut self, ids: &[MessageId], asked_again: bool) {
        let Some(work) = &mut self.work else { return };
        for id in ids.iter().rev() {
            if asked_again {
                work.again.push_front(*id);
            } else {
                work.pending.push(*id);
            }
        }
    }

    /// A request that got no answer is to be asked again. Returns whether it was on its way.
    fn take_back(&mut self, tag: AskTag) -> bool {
        if let Some(get) = self.gets.remove(&tag) {
            self.not_yet_sent(&get.ids, get.again);
            return true;
        }
        match std::mem::replace(&mut self.opening, Opening::Done) {
            Opening::Asked(asked, spans) if asked == tag => {
                self.opening = Opening::Due(spans);
                return true;
            }
            other => self.opening = other,
        }
        self.work.as_mut().is_some_and(|work| work.take_back(tag))
    }
}

fn leave(left: &mut Vec<MessageId>, id: MessageId) {
    if left.len() < GET_IDS_MAX {
        left.push(id);
    }
}

impl Work {
    fn new(span: Span, items: Arc<ItemSet>) -> Self {
        Self {
            due: Some(items.fingerprint_frame()),
            items,
            span,
            asked: None,
            frames: 0,
            seen: BTreeSet::new(),
            pending: Vec::new(),
            again: VecDeque::new(),
        }
    }

    /// Whether no frame is due or on its way.
    fn all_said(&self) -> bool {
        self.due.is_none() && self.asked.is_none()
    }

    fn frames_allowed(&self) -> usize {
        let items = self.items.len().saturating_add(self.seen.len());
        FRAMES_MAX.min(FRAMES_FREE.saturating_add(items / ITEMS_PER_FRAME))
    }

    fn take_back(&mut self, tag: AskTag) -> bool {
        let Some((_tag, frame)) = self.asked.take_if(|(asked, _frame)| *asked == tag) else {
            return false;
        };
        self.due = Some(frame);
        true
    }
}

//! What neighbours ask for: policies, frames of our sets, messages and moderations; within a budget.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::history::History;
use crate::ids::{MessageId, PeerKey};
use crate::limits::{
    BATCH_BYTES_MAX, FRAMES_BYTES_MAX, GETS_IN_FLIGHT_MAX, ITEM_SETS_MAX, ITEM_SETS_SPARE,
    MESSAGE_BYTES_MAX, POLICIES_BYTES_PER_S, POLICY_BYTES_MAX, SERVED_BURST_BYTES,
    SERVED_BYTES_PER_S, SERVED_SHARES,
};
use crate::reconcile::{
    BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, TokenBucket, Window, answer_windows,
    frames_to_bytes, policy_number_reply,
};
use crate::time::Now;

use super::{Engine, Output, RequestId, StoredPair};

/// What a walk over the set costs for each item, in bytes of the budget: a copy, and its part in sorting.
const WALK_BYTES: usize = 4;
/// So many items are summed up for a byte: ten million a second use a tenth of a core.
const ITEMS_SUMMED_PER_BYTE: usize = 2;
/// What every request costs.
const REQUEST_BYTES: usize = 256;
/// What it costs to look for something that is not there.
const MISS_BYTES: usize = 128;

/// A set and a span of it: `since`, `until`.
type SetSpan = (SetName, u64, u64);

/// A part of a set, with the version of the set that it was built from.
#[derive(Debug)]
struct Part {
    span: SetSpan,
    version: u64,
    items: Arc<ItemSet>,
}

/// Parts of the sets that were built lately: a window that has not changed is not built again.
#[derive(Debug, Default)]
pub(super) struct ItemSets {
    /// Those used last stand at the end.
    kept: RefCell<Vec<Part>>,
}

impl ItemSets {
    /// The set of a span.
    pub(super) fn get(
        &self,
        history: &History,
        set: SetName,
        since: u64,
        until: u64,
    ) -> Arc<ItemSet> {
        if let Some(items) = self.known(history, set, since, until) {
            return items;
        }
        let items = Arc::new(match set {
            SetName::Messages => ItemSet::new(history.set().items(since, until)),
            SetName::Moderations => {
                let within = |(from, _id): &(u64, MessageId)| (since..until).contains(from);
                ItemSet::new(history.rules().moderations().items().filter(within))
            }
        });
        let part = Part {
            span: (set, since, until),
            version: version(history, set, since, until),
            items: Arc::clone(&items),
        };
        self.keep(part, history);
        items
    }

    /// The set of a span, if it has been built and not changed since.
    fn known(
        &self,
        history: &History,
        set: SetName,
        since: u64,
        until: u64,
    ) -> Option<Arc<ItemSet>> {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(|part| part.span == (set, since, until))?;
        let part = kept.remove(at);
        if part.version != version(history, set, since, until) {
            return None;
        }
        let items = Arc::clone(&part.items);
        kept.push(part);
        Some(items)
    }

    /// A span is whatever a neighbour says, so what is kept for it is bounded: in parts, and in items.
    fn keep(&self, part: Part, history: &History) {
        let mut kept = self.kept.borrow_mut();
        kept.push(part);
        let set = usize::try_from(history.set().len()).unwrap_or(usize::MAX);
        let items_max = set.saturating_mul(2).saturating_add(ITEM_SETS_SPARE);
        while kept.len() > 1 && (kept.len() > ITEM_SETS_MAX || total(&kept) > items_max) {
            kept.remove(0);
        }
    }

    /// What it costs to answer a frame, in bytes of the budget, the answer itself aside.
    fn cost(&self, history: &History, set: SetName, window: &Window) -> usize {
        let Window { since, until, ref frame } = *window;
        if let Some(items) = self.known(history, set, since, until) {
            let agrees = *frame == items.fingerprint_frame();
            return if agrees { 0 } else { items.len() / ITEMS_SUMMED_PER_BYTE };
        }
        let at_most = match set {
            SetName::Messages => history.set().at_most(since, until),
            SetName::Moderations => history.rules().moderations().items().size_hint().0 as u64,
        };
        let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
        at_most.saturating_mul(WALK_BYTES).saturating_add(at_most / ITEMS_SUMMED_PER_BYTE)
    }

    /// How many items are kept.
    #[cfg(test)]
    pub(super) fn items(&self) -> usize {
        total(&self.kept.borrow())
    }
}

fn total(kept: &[Part]) -> usize {
    kept.iter().map(|part| part.items.len()).sum()
}

fn version(history: &History, set: SetName, since: u64, until: u64) -> u64 {
    match set {
        SetName::Messages => history.set().version(since, until),
        SetName::Moderations => history.rules().moderations().version(),
    }
}

/// What was taken from the budget for a request.
#[derive(Debug)]
struct Paid {
    peer: PeerKey,
    bytes: u64,
    /// Or only from what is left to those who want more.
    of_share: bool,
}

/// A `Get` for which the store is being read.
#[derive(Debug)]
struct Load {
    ids: usize,
    paid: Paid,
}

/// What one neighbour may have.
#[derive(Debug)]
struct Share {
    bytes: TokenBucket,
    policies: TokenBucket,
}

impl Share {
    fn new(mono: Duration) -> Self {
        let (rate, burst) = (SERVED_BYTES_PER_S as u64, SERVED_BURST_BYTES as u64);
        let policies = POLICIES_BYTES_PER_S.max(POLICY_BYTES_MAX as u64);
        Self {
            bytes: TokenBucket::new(rate / SERVED_SHARES, burst / SERVED_SHARES, mono),
            policies: TokenBucket::new(POLICIES_BYTES_PER_S, policies.saturating_mul(4), mono),
        }
    }

    fn is_untouched(&self, mono: Duration) -> bool {
        self.bytes.is_full(mono) && self.policies.is_full(mono)
    }
}

/// What is being served.
#[derive(Debug)]
pub(super) struct Serving {
    budget: TokenBucket,
    shares: BTreeMap<PeerKey, Share>,
    loads: BTreeMap<RequestId, Load>,
}

impl Serving {
    pub(super) fn new(now: Now) -> Self {
        let (rate, burst) = (SERVED_BYTES_PER_S as u64, SERVED_BURST_BYTES as u64);
        Self {
            budget: TokenBucket::new(rate, burst, now.mono),
            shares: BTreeMap::new(),
            loads: BTreeMap::new(),
        }
    }

    /// Pays for what is going to be done, before it is done: the most that it can cost. Whoever has had more than its
    /// share leaves half of the budget to the others, so that nobody can take repair away from them.
    fn pay(&mut self, peer: PeerKey, bytes: usize, now: Now) -> Option<Paid> {
        let half = SERVED_BURST_BYTES as u64 / 2;
        let bytes = (bytes as u64).min(half);
        let share = &mut self.shares.entry(peer).or_insert_with(|| Share::new(now.mono)).bytes;
        let of_share = share.ready_at(bytes, now.mono) == now.mono;
        let left = if of_share { 0 } else { half };
        if self.budget.ready_at(bytes.saturating_add(left), now.mono) > now.mono {
            return None;
        }
        self.budget.take(bytes, now.mono).ok()?;
        // An empty share stays empty.
        share.take(bytes, now.mono).ok();
        Some(Paid { peer, bytes, of_share })
    }

    /// It has cost less.
    fn settle(&mut self, paid: &Paid, cost: usize) {
        let surplus = paid.bytes.saturating_sub(cost as u64);
        self.budget.give_back(surplus);
        if paid.of_share
            && let Some(share) = self.shares.get_mut(&paid.peer)
        {
            share.bytes.give_back(surplus);
        }
    }

    /// Documents must not wait for messages, so they have a budget of their own, for each neighbour.
    fn pay_policy(&mut self, peer: PeerKey, bytes: usize, now: Now) -> bool {
        let share = self.shares.entry(peer).or_insert_with(|| Share::new(now.mono));
        share.policies.take(bytes as u64, now.mono).is_ok()
    }

    /// A share from which nothing is missing is as good as a new one.
    pub(super) fn forget_untouched(&mut self, now: Now) {
        self.shares.retain(|_peer, share| !share.is_untouched(now.mono));
    }
}

impl Engine {
    pub(super) fn asked(&mut self, request: RequestId, peer: PeerKey, bytes: &[u8], now: Now) {
        let reply = match SyncRequest::parse(bytes) {
            Ok(SyncRequest::PolicyGet(number)) => self.serve_policy(peer, number, now),
            Ok(SyncRequest::PolicyNumber(number)) => {
                self.see_policy_number(peer, number, now);
                policy_number_reply(self.policy().number)
            }
            // The rendezvous' own node serves policies and nothing else: it holds no messages.
            Ok(_any) if self.me.is_authority() => SyncReply::Unsupported,
            Ok(SyncRequest::Reconcile { set, windows }) => {
                self.serve_frames(peer, set, &windows, now)
            }
            Ok(SyncRequest::Get { set: SetName::Moderations, ids }) => {
                self.serve_moderations(peer, &ids, now)
            }
            Ok(SyncRequest::Get { set: SetName::Messages, ids }) => {
                if self.may_load(request, peer, ids.len(), now) {
                    let bytes_max = BATCH_BYTES_MAX;
                    self.fx.output(Output::Load { request, ids, bytes_max });
                    return;
                }
                SyncReply::Later
            }
            Ok(SyncRequest::Held { session, ranges }) => {
                self.take_held(peer, session, &ranges, now);
                SyncReply::Ok(Vec::new())
            }
            Ok(SyncRequest::Part(links)) => self.asked_to_part(peer, links, now),
            Ok(SyncRequest::Unknown(_)) | Err(_) => SyncReply::Unsupported,
        };
        self.fx.output(Output::Answer { request, bytes: reply.to_bytes() });
    }

    fn serve_policy(&mut self, peer: PeerKey, number: u64, now: Now) -> SyncReply {
        if self.policy().number < number {
            return SyncReply::NotFound;
        }
        if !self.serving.pay_policy(peer, self.signed_policy.as_bytes().len(), now) {
            return SyncReply::Later;
        }
        SyncReply::Ok(self.signed_policy.as_bytes().to_vec())
    }

    fn serve_frames(
        &mut self,
        peer: PeerKey,
        set: SetName,
        windows: &[Window],
        now: Now,
    ) -> SyncReply {
        let costs = windows.iter().map(|window| self.item_sets.cost(&self.history, set, window));
        let cost = costs.fold(REQUEST_BYTES, usize::saturating_add);
        let most = cost.saturating_add(FRAMES_BYTES_MAX);
        let Some(paid) = self.serving.pay(peer, most, now) else { return SyncReply::Later };
        let answer = answer_windows(windows, |window| {
            self.item_sets.get(&self.history, set, window.since, window.until)
        });
        let Ok(frames) = answer else { return SyncReply::Unsupported };
        let bytes = frames_to_bytes(&frames);
        self.serving.settle(&paid, cost.saturating_add(bytes.len()));
        self.learn_from(peer, set, windows, &frames, now);
        SyncReply::Ok(bytes)
    }

    fn serve_moderations(&mut self, peer: PeerKey, ids: &[MessageId], now: Now) -> SyncReply {
        let cost = REQUEST_BYTES + ids.len() * MISS_BYTES;
        let Some(paid) = self.serving.pay(peer, cost + BATCH_BYTES_MAX, now) else {
            return SyncReply::Later;
        };
        let mut batch = BatchBuilder::default();
        for moderation in ids.iter().filter_map(|id| self.history.rules().moderations().get(*id)) {
            if !batch.push(moderation.ticket().as_bytes(), moderation.as_bytes()) {
                break;
            }
        }
        let bytes = batch.finish().to_bytes();
        self.serving.settle(&paid, cost + bytes.len());
        SyncReply::Ok(bytes)
    }

    /// A `Get` costs what it brings; before that is known, what it can bring at most.
    fn may_load(&mut self, request: RequestId, peer: PeerKey, ids: usize, now: Now) -> bool {
        let of_peer = self.serving.loads.values().filter(|load| load.paid.peer == peer).count();
        if of_peer >= GETS_IN_FLIGHT_MAX {
            return false;
        }
        let most = REQUEST_BYTES + (ids * MESSAGE_BYTES_MAX).min(BATCH_BYTES_MAX);
        let paid = self.serving.pay(peer, most, now);
        let may = paid.is_some();
        self.serving.loads.extend(paid.map(|paid| (request, Load { ids, paid })));
        may
    }

    pub(super) fn loaded(&mut self, request: RequestId, pairs: &[(MessageId, StoredPair)]) {
        let Some(Load { ids, paid }) = self.serving.loads.remove(&request) else { return };
        let mut batch = BatchBuilder::default();
        for (id, StoredPair { ticket, object }) in pairs {
            if !batch.push(ticket, object) {
                break;
            }
            // An own message that gossip could not take has reached somebody now.
            self.outbox_reached(*id);
        }
        let body = batch.finish().to_bytes();
        // When the batch is full, the rest has not been looked for.
        let is_full = body.len() + 2 * MESSAGE_BYTES_MAX > BATCH_BYTES_MAX;
        let missed = if is_full { 0 } else { ids.saturating_sub(pairs.len()) };
        self.serving.settle(&paid, REQUEST_BYTES + body.len() + missed * MISS_BYTES);
        let bytes = SyncReply::Ok(body).to_bytes();
        self.fx.output(Output::Answer { request, bytes });
    }
}

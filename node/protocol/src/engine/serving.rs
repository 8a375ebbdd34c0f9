//! What neighbours ask for: policies, frames of our sets, messages and orders; within a budget.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{MessageId, PeerKey};
use crate::law::Law;
use crate::limits::{
    BATCH_BYTES_MAX, GETS_IN_FLIGHT_MAX, ITEM_SETS_MAX, SERVED_BURST_BYTES, SERVED_BYTES_PER_S,
};
use crate::sync::{
    BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, TokenBucket, Window, answer_windows,
    frames_to_bytes, policy_number_reply,
};
use crate::time::Now;

use super::{Engine, Output, RequestId, StoredPair};

/// About what a short message takes in a batch, for the budget.
const ITEM_BYTES: usize = 512;
/// What a walk over the set costs for each item, in bytes of the budget.
const WALK_BYTES: usize = 4;
/// What every request costs.
const REQUEST_BYTES: usize = 256;

/// A set and a span of it: `since`, `until`.
type SetSpan = (SetName, u64, u64);

/// Parts of the sets that were built lately: a window that has not changed is not built again.
#[derive(Debug, Default)]
pub(super) struct ItemSets {
    /// With the version of the set that each was built from.
    kept: RefCell<BTreeMap<SetSpan, (u64, Arc<ItemSet>)>>,
}

impl ItemSets {
    /// The set of a span, and how many items had to be walked over for it.
    pub(super) fn get(
        &self,
        law: &Law,
        set: SetName,
        since: u64,
        until: u64,
    ) -> (Arc<ItemSet>, usize) {
        let version = match set {
            SetName::Messages => law.set().version(since, until),
            SetName::Orders => law.rules().orders().version(),
        };
        let span = (set, since, until);
        let mut kept = self.kept.borrow_mut();
        if let Some((known, items)) = kept.get(&span)
            && *known == version
        {
            return (Arc::clone(items), 0);
        }
        let items = Arc::new(match set {
            SetName::Messages => ItemSet::new(law.set().items(since, until)),
            SetName::Orders => {
                let within = |(from, _id): &(u64, MessageId)| (since..until).contains(from);
                ItemSet::new(law.rules().orders().items().filter(within))
            }
        });
        if kept.len() >= ITEM_SETS_MAX && !kept.contains_key(&span) {
            // The spans move on with time, so the one with the smallest end is the least likely to come again.
            let oldest = kept.keys().min_by_key(|(_set, since, until)| (*until, *since)).copied();
            oldest.and_then(|oldest| kept.remove(&oldest));
        }
        kept.insert(span, (version, Arc::clone(&items)));
        let walked = items.len();
        (items, walked)
    }
}

/// What is being served.
#[derive(Debug)]
pub(super) struct Serving {
    budget: TokenBucket,
    loads: BTreeMap<RequestId, PeerKey>,
}

impl Serving {
    pub(super) fn new(now: Now) -> Self {
        let (rate, burst) = (SERVED_BYTES_PER_S as u64, SERVED_BURST_BYTES as u64);
        Self { budget: TokenBucket::new(rate, burst, now.mono), loads: BTreeMap::new() }
    }

    fn pay(&mut self, bytes: usize, now: Now) -> bool {
        self.budget.take(bytes.min(SERVED_BURST_BYTES) as u64, now.mono).is_ok()
    }
}

impl Engine {
    pub(super) fn asked(&mut self, request: RequestId, peer: PeerKey, bytes: &[u8], now: Now) {
        let reply = match SyncRequest::parse(bytes) {
            Ok(SyncRequest::PolicyGet(number)) => self.serve_policy(number),
            Ok(SyncRequest::PolicyNumber(number)) => {
                self.see_policy_number(peer, number, now);
                policy_number_reply(self.policy().number)
            }
            // The rendezvous' own node serves policies and nothing else: it holds no messages.
            Ok(_any) if self.is_authority() => SyncReply::Unsupported,
            Ok(SyncRequest::Reconcile { set, windows }) => {
                self.serve_frames(peer, set, &windows, now)
            }
            Ok(SyncRequest::Get { set: SetName::Orders, ids }) => self.serve_orders(&ids, now),
            Ok(SyncRequest::Get { set: SetName::Messages, ids }) => {
                if self.may_load(peer, ids.len(), now) {
                    self.serving.loads.insert(request, peer);
                    let bytes_max = BATCH_BYTES_MAX;
                    self.outputs.push_back(Output::Load { request, ids, bytes_max });
                    return;
                }
                SyncReply::Later
            }
            Ok(SyncRequest::Held { session, ranges }) => {
                self.take_held(peer, session, &ranges, now);
                SyncReply::Ok(Vec::new())
            }
            Ok(SyncRequest::Unknown(_)) | Err(_) => SyncReply::Unsupported,
        };
        self.outputs.push_back(Output::Answer { request, bytes: reply.to_bytes() });
    }

    fn serve_policy(&self, number: u64) -> SyncReply {
        if self.policy().number >= number {
            SyncReply::Ok(self.signed_policy.as_bytes().to_vec())
        } else {
            SyncReply::NotFound
        }
    }

    fn serve_frames(
        &mut self,
        peer: PeerKey,
        set: SetName,
        windows: &[Window],
        now: Now,
    ) -> SyncReply {
        if !self.serving.pay(REQUEST_BYTES, now) {
            return SyncReply::Later;
        }
        let mut walked = 0;
        let answer = answer_windows(windows, |window| {
            let (items, cost) = self.item_sets.get(&self.law, set, window.since, window.until);
            walked += cost;
            items
        });
        let Ok(frames) = answer else { return SyncReply::Unsupported };
        // What has been built is kept, so who is told "later" is answered at once when it comes again.
        let bytes = frames_to_bytes(&frames);
        if !self.serving.pay(bytes.len() + walked * WALK_BYTES, now) {
            return SyncReply::Later;
        }
        self.learn_from(peer, set, windows, &frames, now);
        SyncReply::Ok(bytes)
    }

    fn serve_orders(&mut self, ids: &[MessageId], now: Now) -> SyncReply {
        if !self.serving.pay(ids.len() * ITEM_BYTES, now) {
            return SyncReply::Later;
        }
        let mut batch = BatchBuilder::default();
        for order in ids.iter().filter_map(|id| self.law.rules().orders().get(*id)) {
            if !batch.push(order.ticket().as_bytes(), order.as_bytes()) {
                break;
            }
        }
        SyncReply::Ok(batch.finish().to_bytes())
    }

    fn may_load(&mut self, peer: PeerKey, ids: usize, now: Now) -> bool {
        let of_peer = self.serving.loads.values().filter(|of| **of == peer).count();
        of_peer < GETS_IN_FLIGHT_MAX
            && self.serving.pay((ids * ITEM_BYTES).min(BATCH_BYTES_MAX), now)
    }

    pub(super) fn loaded(&mut self, request: RequestId, pairs: &[(MessageId, StoredPair)]) {
        if self.serving.loads.remove(&request).is_none() {
            return;
        }
        let mut batch = BatchBuilder::default();
        for (id, StoredPair { ticket, object }) in pairs {
            if !batch.push(ticket, object) {
                break;
            }
            // An own message that gossip could not take has reached somebody now.
            self.outbox_reached(*id);
        }
        let bytes = SyncReply::Ok(batch.finish().to_bytes()).to_bytes();
        self.outputs.push_back(Output::Answer { request, bytes });
    }
}

//! What neighbours ask for, within a budget: policies, frames of our sets, messages and moderations.

use crate::effects::Effects;
use crate::ids::{AccountId, MessageId, PeerKey};
use crate::io::{Output, RequestId, StoredPair};
use crate::limits::{BATCH_BYTES_MAX, FRAMES_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::policy::SignedPolicy;
use crate::reconcile::round::GETS_IN_FLIGHT_MAX;
use crate::reconcile::{BatchBuilder, SetName, SyncReply, Window, answer_windows, frames_to_bytes};
use crate::time::Now;

use super::{Context, Load, Reconciler};

/// What every request costs.
const REQUEST_BYTES: usize = 256;
/// What it costs to look for an object that is not there.
const MISS_BYTES: usize = 128;

impl Reconciler {
    pub(crate) fn serve_policy(
        &mut self,
        account: AccountId,
        number: u64,
        policy: &SignedPolicy,
        now: Now,
    ) -> SyncReply {
        if policy.policy().number < number {
            return SyncReply::NotFound;
        }
        let document = policy.as_bytes();
        if !self.budgets.pay_policy(account, document.len(), now) {
            return SyncReply::Later;
        }
        SyncReply::Ok(document.to_vec())
    }

    pub(crate) fn serve_frames(
        &mut self,
        peer: PeerKey,
        set: SetName,
        windows: &[Window],
        cx: &Context<'_>,
    ) -> SyncReply {
        let (sets, history) = (&self.sets, cx.history);
        let costs = windows.iter().map(|window| sets.cost(history, set, window));
        let cost = costs.fold(REQUEST_BYTES, usize::saturating_add);
        let most = cost.saturating_add(FRAMES_BYTES_MAX);
        let account = cx.links.account_of(peer);
        let Some(paid) = account.and_then(|of| self.budgets.pay(of, most, cx.now)) else {
            return SyncReply::Later;
        };
        let items = |window: &Window| sets.get(history, (set, window.since, window.until));
        let Ok(frames) = answer_windows(windows, items) else { return SyncReply::Unsupported };
        let bytes = frames_to_bytes(&frames);
        self.budgets.settle(&paid, cost.saturating_add(bytes.len()));
        self.learn_from(peer, set, windows, &frames, cx);
        SyncReply::Ok(bytes)
    }

    pub(crate) fn serve_moderations(
        &mut self,
        account: AccountId,
        ids: &[MessageId],
        cx: &Context<'_>,
    ) -> SyncReply {
        let cost = REQUEST_BYTES + ids.len() * MISS_BYTES;
        let Some(paid) = self.budgets.pay(account, cost + BATCH_BYTES_MAX, cx.now) else {
            return SyncReply::Later;
        };
        let moderations = cx.history.rules().moderations();
        let mut batch = BatchBuilder::default();
        for moderation in ids.iter().filter_map(|id| moderations.get(*id)) {
            if !batch.push(moderation.ticket().as_bytes(), moderation.as_bytes()) {
                break;
            }
        }
        let bytes = batch.finish().to_bytes();
        self.budgets.settle(&paid, cost + bytes.len());
        SyncReply::Ok(bytes)
    }

    /// A `Get` costs what it brings and, until that is known, the most that it can bring. Returns `None` while the
    /// store is being read; the reply then comes from [`Self::loaded`].
    pub(crate) fn serve_messages(
        &mut self,
        request: RequestId,
        account: AccountId,
        ids: Vec<MessageId>,
        now: Now,
        fx: &mut Effects,
    ) -> Option<SyncReply> {
        let of_account = self.loads.values().filter(|load| load.paid.account == account).count();
        let most = REQUEST_BYTES + (ids.len() * MESSAGE_BYTES_MAX).min(BATCH_BYTES_MAX);
        let may_load = of_account < GETS_IN_FLIGHT_MAX;
        let paid = may_load.then(|| self.budgets.pay(account, most, now)).flatten();
        let Some(paid) = paid else { return Some(SyncReply::Later) };
        self.loads.insert(request, Load { ids: ids.len(), paid });
        fx.output(Output::Load { request, ids, bytes_max: BATCH_BYTES_MAX });
        None
    }

    /// Takes what the store has read. Returns the reply, and how many of the pairs are in it.
    pub(crate) fn loaded(
        &mut self,
        request: RequestId,
        pairs: &[(MessageId, StoredPair)],
    ) -> Option<(SyncReply, usize)> {
        let Load { ids, paid } = self.loads.remove(&request)?;
        let mut batch = BatchBuilder::default();
        let served = pairs
            .iter()
            .take_while(|(_id, StoredPair { ticket, object })| batch.push(ticket, object))
            .count();
        let body = batch.finish().to_bytes();
        // If the batch is full, the rest has not been looked for.
        let is_full = body.len() + 2 * MESSAGE_BYTES_MAX > BATCH_BYTES_MAX;
        let missed = if is_full { 0 } else { ids.saturating_sub(pairs.len()) };
        self.budgets.settle(&paid, REQUEST_BYTES + body.len() + missed * MISS_BYTES);
        Some((SyncReply::Ok(body), served))
    }

    /// Forgets the budgets that are no different from new ones.
    pub(crate) fn tidy(&mut self, now: Now) {
        self.budgets.tidy(now);
    }

    /// How many items of our sets are cached.
    #[cfg(test)]
    pub(crate) fn items_kept(&self) -> usize {
        self.sets.items()
    }
}

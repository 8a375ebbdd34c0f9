//! What neighbours may cost us: one budget for all, and a share of it for each account, however many devices it has.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::AccountId;
use crate::limits::POLICY_BYTES_MAX;
use crate::reconcile::TokenBucket;
use crate::time::Now;

/// How much is served to all peers together, so that many returning peers leave bandwidth for the conversation.
pub(crate) const SERVED_BYTES_PER_S: usize = 4 * 1_024 * 1_024;
/// What may be served at once, before the rate applies: a newcomer's first batches.
pub(crate) const SERVED_BURST_BYTES: usize = 2 * SERVED_BYTES_PER_S;
/// An account's share is the rate divided by this. One that takes more leaves half of the budget to the others.
pub(crate) const SERVED_SHARES: u64 = 4;
/// How much of policy documents one account may fetch: one of the largest in a second, or many of the usual size.
const POLICIES_BYTES_PER_S: u64 = 256 * 1_024;

/// What was taken from the budget for a request.
#[derive(Debug)]
pub(super) struct Paid {
    pub(super) account: AccountId,
    bytes: u64,
    /// Whether the account's share covered it too, rather than the common budget alone.
    of_share: bool,
}

/// The budgets of one account.
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

/// The budgets for everything that is served.
#[derive(Debug)]
pub(super) struct Budgets {
    all: TokenBucket,
    shares: BTreeMap<AccountId, Share>,
}

impl Budgets {
    pub(super) fn new(now: Now) -> Self {
        let (rate, burst) = (SERVED_BYTES_PER_S as u64, SERVED_BURST_BYTES as u64);
        Self { all: TokenBucket::new(rate, burst, now.mono), shares: BTreeMap::new() }
    }

    /// Pays for a request before it is served: the most that it can cost. An account that has used up its share must
    /// leave half of the budget to the others, so that it cannot stop their rounds.
    pub(super) fn pay(&mut self, account: AccountId, bytes: usize, now: Now) -> Option<Paid> {
        let half = SERVED_BURST_BYTES as u64 / 2;
        let bytes = (bytes as u64).min(half);
        let share = &mut self.shares.entry(account).or_insert_with(|| Share::new(now.mono)).bytes;
        let of_share = share.ready_at(bytes, now.mono) == now.mono;
        let left = if of_share { 0 } else { half };
        if self.all.ready_at(bytes.saturating_add(left), now.mono) > now.mono {
            return None;
        }
        self.all.take(bytes, now.mono).ok()?;
        // A share that is too small for this stays as it is.
        share.take(bytes, now.mono).ok();
        Some(Paid { account, bytes, of_share })
    }

    /// Gives back what a request did not cost after all.
    pub(super) fn settle(&mut self, paid: &Paid, cost: usize) {
        let surplus = paid.bytes.saturating_sub(cost as u64);
        self.all.give_back(surplus);
        if paid.of_share
            && let Some(share) = self.shares.get_mut(&paid.account)
        {
            share.bytes.give_back(surplus);
        }
    }

    /// Pays for a policy document. These must not wait for messages, so each account has a budget for them alone.
    pub(super) fn pay_policy(&mut self, account: AccountId, bytes: usize, now: Now) -> bool {
        let share = self.shares.entry(account).or_insert_with(|| Share::new(now.mono));
        share.policies.take(bytes as u64, now.mono).is_ok()
    }

    /// Forgets the shares that are full again, and so no different from new ones.
    pub(super) fn tidy(&mut self, now: Now) {
        self.shares.retain(|_account, share| !share.is_untouched(now.mono));
    }
}

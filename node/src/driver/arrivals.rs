//! Limits how much gossip the links of each account may bring, and keeps the score for flooding of its devices.
//!
//! A message over the budget is ignored unread. It may still come by reconciliation, so this delays a message but never
//! decides about it. A peer that keeps flooding loses score: at first we publish nothing to it, then we ignore
//! everything it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lanyard_protocol::engine::Input;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::reconcile::TokenBucket;
use lanyard_protocol::time::Now;

use super::EventLoop;
use crate::transport::behaviour::PUBLISH_THRESHOLD;
use crate::transport::translate::peer_key;

/// How many messages a second the links of one account may bring for a long time. An author sends at most 500 a second. A neighbour in
/// the mesh forwards for others, and 2,000 a second is as much as that many people can send together under the default
/// quota. Reading that much keeps a fifth of a core busy, so even a flood at the limit leaves the rest usable.
const MESSAGES_PER_S: u64 = 2_000;
/// How many bytes a second, for the same reason: an author sends at most 256 KiB a second.
const BYTES_PER_S: u64 = 4 * 1_024 * 1_024;
/// How many seconds of budget can be saved up: what a neighbour queued while we were slow arrives all at once.
const SAVED_S: u64 = 5;
/// How often to review the scores.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a second over the budget costs. After ten such seconds we publish nothing to the neighbour.
const FLOOD_PENALTY: f64 = 20.0;
/// What a second within the budget restores.
const FORGIVEN: f64 = 2.0;
/// The lowest score for flooding: below the threshold at which gossipsub ignores a peer, and recovered from in minutes.
const FLOOD_SCORE_MIN: f64 = -500.0;

/// The remaining budget of one account.
#[derive(Debug, Clone)]
struct Budget {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// Whether the account has exceeded its budget since the last review.
    over: bool,
    /// The score for flooding, 0 or less.
    score: f64,
}

impl Budget {
    fn full(now: Duration) -> Self {
        Self {
            messages: TokenBucket::new(MESSAGES_PER_S, MESSAGES_PER_S * SAVED_S, now),
            bytes: TokenBucket::new(BYTES_PER_S, BYTES_PER_S * SAVED_S, now),
            over: false,
            score: 0.0,
        }
    }

    /// Takes a message out of the budget, if it fits.
    fn take(&mut self, bytes: usize, now: Duration) -> bool {
        let fits = self.messages.ready_at(1, now) <= now
            && self.bytes.take(bytes as u64, now).is_ok()
            && self.messages.take(1, now).is_ok();
        self.over |= !fits;
        fits
    }

    /// Updates the score after a second. Returns it if it has changed.
    fn score_again(&mut self) -> Option<f64> {
        let change = if std::mem::take(&mut self.over) { -FLOOD_PENALTY } else { FORGIVEN };
        let score = (self.score + change).clamp(FLOOD_SCORE_MIN, 0.0);
        let before = std::mem::replace(&mut self.score, score);
        (before < score || score < before).then_some(score)
    }
}

/// The budgets of all accounts, and the peers to which gossipsub does not publish.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    budgets: BTreeMap<AccountId, Budget>,
    /// The accounts of the linked peers.
    accounts: BTreeMap<PeerKey, AccountId>,
    unpublished: BTreeSet<PeerKey>,
    /// When to review the scores next, on the monotonic clock.
    pub(super) next_look: Duration,
}

impl Arrivals {
    /// Notes the account of a peer that is linked now.
    pub(super) fn linked(&mut self, peer: PeerKey, account: AccountId) {
        self.accounts.insert(peer, account);
    }

    /// Whether the budget of its account allows reading a gossip message from this neighbour.
    pub(super) fn may_read(&mut self, source: PeerKey, bytes: usize, now: Now) -> bool {
        let Some(account) = self.accounts.get(&source) else { return false };
        let budget = self.budgets.entry(*account).or_insert_with(|| Budget::full(now.mono));
        budget.take(bytes, now.mono)
    }
}

impl EventLoop {
    /// Once a second, lowers the scores of peers that flood, and tells the engine which peers gossipsub does not
    /// publish to.
    pub(super) fn look_at_arrivals(&mut self, now: Now) {
        let arrivals = &mut self.state.arrivals;
        if now.mono < arrivals.next_look {
            return;
        }
        arrivals.next_look = now.mono.saturating_add(LOOK_EVERY);
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        let peers: BTreeMap<_, _> =
            connected.iter().filter_map(|id| Some((peer_key(id)?, *id))).collect();
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        arrivals.accounts.retain(|peer, _account| peers.contains_key(peer));
        let linked: BTreeSet<AccountId> = arrivals.accounts.values().copied().collect();
        // An account that reconnects during its flood keeps its score.
        arrivals.budgets.retain(|account, budget| linked.contains(account) || budget.score < 0.0);
        for (account, budget) in &mut arrivals.budgets {
            let Some(score) = budget.score_again() else { continue };
            let devices = arrivals.accounts.iter().filter(|(_peer, of)| *of == account);
            for id in devices.filter_map(|(peer, _account)| peers.get(peer)) {
                gossipsub.set_application_score(id, score);
            }
        }
        let below = |id| gossipsub.peer_score(id).is_some_and(|score| score < PUBLISH_THRESHOLD);
        let unpublished: BTreeSet<_> =
            peers.iter().filter(|(_peer, id)| below(id)).map(|(peer, _id)| *peer).collect();
        if unpublished != arrivals.unpublished {
            arrivals.unpublished.clone_from(&unpublished);
            self.feed(Input::Unpublished(unpublished));
        }
    }

    /// The score of each neighbour.
    pub(super) fn scores(&self) -> BTreeMap<PeerKey, f64> {
        let gossipsub = &self.swarm.behaviour().gossipsub;
        let score = |id| Some((peer_key(id)?, gossipsub.peer_score(id)?));
        self.swarm.connected_peers().filter_map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_author_at_full_pace_and_a_burst_are_within_the_budget() {
        let mut budget = Budget::full(Duration::ZERO);
        assert!((0..5_000).all(|_one| budget.take(500, Duration::ZERO)), "a burst");
        let sent = (0..60_000_u32).all(|n| budget.take(500, SECOND * 2 + SECOND * n / 500));
        assert!(sent, "500 a second for two minutes");
        assert_eq!(budget.score_again(), None);
    }

    #[test]
    fn a_flood_is_cut_to_the_budget_and_costs_score_until_it_ends() {
        let mut budget = Budget::full(Duration::ZERO);
        let mut score = 0.0;
        for second in 0..60 {
            let at = |n: u32| SECOND * second + SECOND * n / 20_000;
            let read = (0..20_000).filter(|n| budget.take(500, at(*n))).count();
            assert!(second == 0 || read <= 2_001, "{read} in second {second}");
            score = budget.score_again().unwrap_or(score);
        }
        assert!(score <= FLOOD_SCORE_MIN, "{score}");
        assert!((0..250).all(|_quiet_second| budget.score_again().is_some()));
        assert_eq!(budget.score_again(), None, "all is forgiven");
    }

    #[test]
    fn all_devices_of_an_account_share_one_budget() {
        let mut arrivals = Arrivals::default();
        let now = Now { mono: Duration::ZERO, wall_ms: 0 };
        for device in 0..16 {
            arrivals.linked(PeerKey([device; 32]), AccountId([1; 16]));
        }
        arrivals.linked(PeerKey([99; 32]), AccountId([2; 16]));
        let flood = (0..32_000_u32).filter(|n| {
            let device = u8::try_from(n % 16).unwrap();
            arrivals.may_read(PeerKey([device; 32]), 500, now)
        });
        assert_eq!(flood.count() as u64, MESSAGES_PER_S * SAVED_S);
        assert!(arrivals.may_read(PeerKey([99; 32]), 500, now), "the others have their own");
    }

    #[test]
    fn large_messages_count_by_their_bytes() {
        let mut budget = Budget::full(Duration::ZERO);
        let read = (0..10_000).filter(|_one| budget.take(16_384, Duration::ZERO)).count();
        assert_eq!(read, 1_280);
    }
}

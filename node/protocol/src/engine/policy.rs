//! Policy numbers: who shows a higher one is asked for the document; what is newer is adopted, and judges links again.

use std::sync::Arc;
use std::time::Duration;

use crate::effects::Asking;
use crate::history::{Sentence, sanctioned};
use crate::ids::{PeerKey, Role};
use crate::limits::{POLICY_DEADLINE, POLICY_RETRY};
use crate::policy::SignedPolicy;
use crate::reconcile::SyncRequest;
use crate::time::Now;

use super::{EndReason, Engine, Event, Output, Topic};

/// A signed head has shown a policy that nobody has given us yet.
#[derive(Debug)]
pub(super) struct Behind {
    /// Number and hash of that policy.
    rank: (u64, [u8; 32]),
    /// When the next neighbour is asked.
    pub(super) ask_at: Duration,
    asked: usize,
}

impl Engine {
    /// A number above ours, in a Hello, a ticket or a head, proves that we are behind.
    pub(super) fn see_policy_number(&mut self, peer: PeerKey, number: u64, now: Now) {
        if number > self.policy().number {
            self.fetch_policy(peer, number, now);
        }
    }

    pub(super) fn fetch_policy(&mut self, peer: PeerKey, number: u64, now: Now) {
        let asked = self.fetching.get(&peer).is_some_and(|until| now.mono < *until);
        if asked || !self.links.is_linked(peer) {
            return;
        }
        self.fetching.insert(peer, now.mono.saturating_add(POLICY_DEADLINE));
        self.fx.ask(peer, &SyncRequest::PolicyGet(number), Asking::Policy);
    }

    /// The neighbour that forwarded a head has been asked, but it may not have the document itself yet, and gossip
    /// does not repeat the head when it comes from the others.
    pub(super) fn fall_behind(&mut self, rank: (u64, [u8; 32]), now: Now) {
        if self.behind.as_ref().is_none_or(|behind| behind.rank < rank) {
            let ask_at = now.mono.saturating_add(POLICY_RETRY);
            self.behind = Some(Behind { rank, ask_at, asked: 0 });
        }
    }

    /// Asks one neighbour after the other, the login node's own first.
    pub(super) fn catch_up(&mut self, now: Now) {
        let Some(behind) = self.behind.as_mut().filter(|behind| behind.ask_at <= now.mono) else {
            return;
        };
        let peers: Vec<PeerKey> = self.links.authorities_first().collect();
        let turn = behind.asked.checked_rem(peers.len()).and_then(|turn| peers.get(turn));
        let Some(peer) = turn.copied().filter(|_peer| !self.me.has_ended()) else {
            // The next link begins with a Hello, which shows the number again.
            self.behind = None;
            return;
        };
        behind.asked = behind.asked.saturating_add(1);
        behind.ask_at = now.mono.saturating_add(POLICY_RETRY);
        let number = behind.rank.0;
        self.fetch_policy(peer, number, now);
    }

    pub(super) fn policy_fetched(&mut self, peer: PeerKey, bytes: Option<Vec<u8>>, now: Now) {
        self.fetching.remove(&peer);
        let Some(bytes) = bytes else { return };
        match SignedPolicy::verify(&bytes, &self.me.realm()) {
            Ok(policy) => self.adopt(policy, now),
            // Only the realm key makes policies: this peer has made one up.
            Err(_not_of_this_realm) => self.count_reject(peer, now),
        }
    }

    pub(super) fn publish_policy(&mut self, policy: SignedPolicy, head: Vec<u8>, now: Now) {
        self.adopt(policy, now);
        self.fx.output(Output::Publish { topic: Topic::Control, bytes: head, message: None });
    }

    pub(super) fn adopt(&mut self, policy: SignedPolicy, now: Now) {
        if policy.rank() <= self.signed_policy.rank() {
            return;
        }
        let announced = self.behind.as_ref().is_some_and(|behind| behind.rank >= policy.rank());
        // A sanction begins when it is signed, also by a clock that is a little slow.
        let realm_ms = self.time.now_ms(now).max(policy.policy().issued_at);
        let news = sanctioned(self.policy(), policy.policy(), realm_ms);
        let resettled = self.history.adopt_policy(Arc::new(policy.policy().clone()));
        self.signed_policy = policy.clone();
        self.time.signed(policy.policy().issued_at, now);
        self.behind = self.behind.take().filter(|behind| behind.rank > policy.rank());
        self.fx.output(Output::StorePolicy(Box::new(policy)));
        self.fx.event(Event::Policy { number: self.policy().number });
        for sanctioned in news {
            self.fx.event(Event::Sanctioned(Box::new(sanctioned)));
        }
        self.resettle(resettled);
        self.fx.changed();
        self.links.judge(&self.view(), now);
        self.check_own_membership(now);
        if !announced {
            self.tell_policy_number();
        }
    }

    /// Only the realm signs heads. Where gossip has brought none, as after a partition, the number goes from neighbour
    /// to neighbour.
    fn tell_policy_number(&mut self) {
        let number = self.policy().number;
        let neighbours: Vec<PeerKey> = self.links.neighbours().collect();
        for peer in neighbours {
            self.fx.ask(peer, &SyncRequest::PolicyNumber(number), Asking::PolicyNumber);
        }
    }

    /// Membership is lost only by what we have verified ourselves: a signed policy does.
    pub(super) fn check_own_membership(&mut self, now: Now) {
        let (me, policy) = (self.me.author(), self.policy());
        if me.role == Role::Authority {
            return;
        }
        // A clock that is a little slow must not hide a ban that begins when the policy was signed.
        let realm_ms = self.time.now_ms(now).max(policy.issued_at);
        if let Some(ban) = self.rules().ban_at(&me, realm_ms) {
            let Sentence { reason, by, until, .. } = ban;
            self.end(EndReason::Banned { reason, by, until });
        } else if let Some(cut) = policy.revocation_of(me.account, me.peer, me.issued_at) {
            let reason = cut.reason.clone();
            self.end(EndReason::Revocation { reason });
        }
    }
}

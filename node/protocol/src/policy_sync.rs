//! Which policy is in force, and how a newer one is found.
//!
//! Takes in the policy numbers in Hellos, tickets and neighbours' replies, signed heads, and documents. Asks neighbours
//! for newer policies, and returns the documents it gets: [`Fetched`]. Only [`PolicySync::adopt`] puts a policy in
//! force.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::effects::{Asking, Effects};
use crate::identity::Identity;
use crate::ids::PeerKey;
use crate::links::{Links, POLICY_DEADLINE};
use crate::policy::{PolicyHead, SignedPolicy};
use crate::reconcile::SyncRequest;
use crate::time::Now;
use crate::verdict::Refused;

/// How long to wait for a policy document before asking the next neighbour. The peer that forwarded the head may not
/// have it yet, and a ban must not wait.
pub(crate) const POLICY_RETRY: Duration = Duration::from_millis(500);

/// Our policy, and what we know of newer ones.
#[derive(Debug)]
pub(crate) struct PolicySync {
    policy: SignedPolicy,
    /// The peers that we have asked, and how long we wait for their answers.
    fetching: BTreeMap<PeerKey, Duration>,
    /// The peers that were asked because of a number that they showed, and until when another number of theirs is
    /// ignored. A number costs nothing, so an answer that brings nothing newer does not end this.
    taken_at_their_word: BTreeMap<PeerKey, Duration>,
    behind: Option<Behind>,
}

/// A policy that a signed head announced, and that no peer has delivered yet.
#[derive(Debug)]
struct Behind {
    /// The number and hash of that policy.
    rank: (u64, [u8; 32]),
    /// When to ask the next neighbour.
    ask_at: Duration,
    asked: usize,
}

/// A peer's answer when asked for a policy.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// A document that the realm signed.
    Signed(Box<SignedPolicy>),
    /// A document that the peer made up, because the realm did not sign it.
    MadeUp,
}

/// A newer policy that is now in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// Whether its signed head came by gossip, so that the neighbours know of it too.
    pub(crate) announced: bool,
}

impl PolicySync {
    pub(crate) fn new(policy: SignedPolicy) -> Self {
        Self {
            policy,
            fetching: BTreeMap::new(),
            taken_at_their_word: BTreeMap::new(),
            behind: None,
        }
    }

    pub(crate) fn signed(&self) -> &SignedPolicy {
        &self.policy
    }

    pub(crate) fn number(&self) -> u64 {
        self.policy.policy().number
    }

    /// Notes the policy number that a peer has shown. A number above ours proves that we are behind.
    pub(crate) fn number_seen(
        &mut self,
        peer: PeerKey,
        number: u64,
        links: &Links,
        now: Now,
        fx: &mut Effects,
    ) {
        let may_ask = self.taken_at_their_word.get(&peer).is_none_or(|until| *until <= now.mono);
        if number > self.number() && may_ask && self.fetch(peer, number, links, now, fx) {
            let until = now.mono.saturating_add(POLICY_DEADLINE);
            self.taken_at_their_word.retain(|_peer, until| now.mono < *until);
            self.taken_at_their_word.insert(peer, until);
        }
    }

    /// Notes a policy head from gossip.
    ///
    /// The neighbour that forwarded it is asked first, but it may not have the document yet, and gossip does not repeat
    /// the head when other neighbours forward it. So they are asked later, one after the other.
    pub(crate) fn head_seen(
        &mut self,
        source: PeerKey,
        head: &PolicyHead,
        links: &Links,
        now: Now,
        fx: &mut Effects,
    ) -> Result<(), Refused> {
        let (ours, theirs) = (self.policy.rank(), (head.number, head.sha256));
        if theirs < ours {
            return Err(Refused::Held);
        }
        if theirs > ours {
            self.fetch(source, head.number, links, now, fx);
            if self.behind.as_ref().is_none_or(|behind| behind.rank < theirs) {
                let ask_at = now.mono.saturating_add(POLICY_RETRY);
                self.behind = Some(Behind { rank: theirs, ask_at, asked: 0 });
            }
        }
        Ok(())
    }

    /// Asks a neighbour for the document, unless it has been asked and may still answer. Returns whether it was asked.
    fn fetch(
        &mut self,
        peer: PeerKey,
        number: u64,
        links: &Links,
        now: Now,
        fx: &mut Effects,
    ) -> bool {
        let asked = self.fetching.get(&peer).is_some_and(|until| now.mono < *until);
        if asked || !links.is_linked(peer) {
            return false;
        }
        self.fetching.insert(peer, now.mono.saturating_add(POLICY_DEADLINE));
        fx.ask(peer, &SyncRequest::PolicyGet(number), Asking::Policy);
        true
    }

    /// Handles a peer's answer; `None` if it has no document for us.
    pub(crate) fn fetched(&mut self, peer: PeerKey, document: Option<Vec<u8>>) -> Option<Fetched> {
        self.fetching.remove(&peer);
        let verified = SignedPolicy::verify(&document?, &self.policy.policy().realm);
        Some(verified.map_or(Fetched::MadeUp, |policy| Fetched::Signed(Box::new(policy))))
    }

    /// Puts a policy in force, if it is newer than ours.
    pub(crate) fn adopt(&mut self, policy: &SignedPolicy) -> Option<Adopted> {
        if policy.rank() <= self.policy.rank() {
            return None;
        }
        let announced = self.behind.as_ref().is_some_and(|behind| behind.rank >= policy.rank());
        self.behind = self.behind.take().filter(|behind| behind.rank > policy.rank());
        self.policy = policy.clone();
        // Whoever showed a number may have meant this policy, and may have a newer one soon.
        self.taken_at_their_word.clear();
        Some(Adopted { announced })
    }

    /// Tells the neighbours our policy number. Only the realm signs heads, so where gossip has brought none, as after a
    /// partition, the number travels from neighbour to neighbour.
    pub(crate) fn tell_number(&self, links: &Links, fx: &mut Effects) {
        for peer in links.neighbours() {
            fx.ask(peer, &SyncRequest::PolicyNumber(self.number()), Asking::PolicyNumber);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.behind.as_ref().map(|behind| behind.ask_at)
    }

    /// Asks one neighbour after the other, the authority peer first.
    pub(crate) fn due(&mut self, me: &Identity, links: &Links, now: Now, fx: &mut Effects) {
        let Some(behind) = self.behind.as_mut().filter(|behind| behind.ask_at <= now.mono) else {
            return;
        };
        let turn = behind.asked.checked_rem(links.len());
        let peer = turn.and_then(|turn| links.authorities_first().nth(turn));
        let Some(peer) = peer.filter(|_peer| !me.has_ended()) else {
            // The next link begins with a Hello, which shows the number again.
            self.behind = None;
            return;
        };
        behind.asked = behind.asked.saturating_add(1);
        behind.ask_at = now.mono.saturating_add(POLICY_RETRY);
        let number = behind.rank.0;
        self.fetch(peer, number, links, now, fx);
    }

    /// Notes that the last link to a peer is gone.
    pub(crate) fn lost(&mut self, peer: PeerKey) {
        // A new link brings no new word: what it showed counts until its time is over.
        self.fetching.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::public_key;
    use crate::io::Output;
    use crate::links::tests::linked;
    use crate::testing::{self, T0};

    fn at(mono: Duration) -> Now {
        Now { mono, wall_ms: T0 }
    }

    fn key_of(number: u8) -> PeerKey {
        public_key(&testing::key(number))
    }

    fn policy(number: u64, signer: u8) -> SignedPolicy {
        let mut policy = testing::policy(&testing::key(signer));
        policy.number = number;
        SignedPolicy::sign(policy, &testing::key(signer)).unwrap()
    }

    fn head(number: u64) -> PolicyHead {
        let bytes = policy(number, 1).sign_head(&testing::key(1));
        PolicyHead::verify(&bytes, &key_of(1)).unwrap()
    }

    fn asked(act: impl FnOnce(&mut Effects)) -> Vec<PeerKey> {
        let mut fx = Effects::new([0; 32]);
        act(&mut fx);
        let outputs = std::iter::from_fn(|| fx.poll());
        let peers = outputs.filter_map(|output| match output {
            Output::Ask { peer, .. } => Some(peer),
            _other => None,
        });
        peers.collect()
    }

    #[test]
    fn r56_a_linked_peer_is_asked_once_within_the_deadline() {
        let (mut sync, links) = (PolicySync::new(policy(1, 1)), linked([3]));
        let mut show = |peer, number, mono| {
            asked(|fx| sync.number_seen(key_of(peer), number, &links, at(mono), fx)).len()
        };
        assert_eq!(show(3, 1, Duration::ZERO), 0, "nothing new");
        assert_eq!(show(4, 2, Duration::ZERO), 0, "not linked");
        assert_eq!(show(3, 2, Duration::ZERO), 1);
        assert_eq!(show(3, 3, Duration::ZERO), 0, "asked already");
        assert_eq!(show(3, 3, POLICY_DEADLINE), 1);
    }

    #[test]
    fn r56_an_answer_that_brings_nothing_lifts_no_deadline() {
        let (mut sync, links) = (PolicySync::new(policy(1, 1)), linked([3]));
        let show = |sync: &mut PolicySync, number, mono| {
            asked(|fx| sync.number_seen(key_of(3), number, &links, at(mono), fx)).len()
        };
        assert_eq!(show(&mut sync, 9, Duration::ZERO), 1);
        for n in 10..1_000 {
            assert!(sync.fetched(key_of(3), None).is_none());
            sync.lost(key_of(3));
            assert_eq!(show(&mut sync, n, POLICY_RETRY), 0, "it has shown nothing but numbers");
        }
        sync.adopt(&policy(2, 1));
        assert_eq!(show(&mut sync, 3, POLICY_RETRY), 1, "a newer policy is news");
        sync.fetched(key_of(3), None);
        assert_eq!(show(&mut sync, 3, POLICY_RETRY + POLICY_DEADLINE), 1);
    }

    #[test]
    fn a_head_makes_it_ask_the_neighbours_in_turn() {
        let (mut sync, links) = (PolicySync::new(policy(2, 1)), linked([3, 4]));
        let ticket = testing::ticket(&testing::key(1), &testing::key(2), "me");
        let me = Identity::new(testing::key(2), ticket, 1, 1);
        let mut see = |head: &PolicyHead| {
            let mut verdict = Ok(());
            let now = at(Duration::ZERO);
            let asked = asked(|fx| verdict = sync.head_seen(key_of(3), head, &links, now, fx));
            (verdict, asked)
        };
        assert_eq!(see(&head(1)), (Err(Refused::Held), vec![]));
        assert_eq!(see(&head(5)), (Ok(()), vec![key_of(3)]));
        let mut turn = |retries| {
            let now = at(POLICY_RETRY * retries + POLICY_DEADLINE);
            asked(|fx| sync.due(&me, &links, now, fx))
        };
        assert_eq!([turn(1), turn(2)].concat(), [key_of(3), key_of(4)]);
        assert_eq!(sync.adopt(&policy(5, 1)), Some(Adopted { announced: true }));
        assert_eq!(sync.next_due(), None);
        assert_eq!(sync.adopt(&policy(5, 1)), None);
        assert_eq!(sync.adopt(&policy(6, 1)), Some(Adopted { announced: false }));
    }

    #[test]
    fn r56_only_the_realm_key_makes_policies() {
        let mut sync = PolicySync::new(policy(1, 1));
        let mut fetch = |document| sync.fetched(key_of(3), document);
        assert!(fetch(None).is_none());
        let of_the_realm = fetch(Some(policy(2, 1).as_bytes().to_vec()));
        assert!(
            matches!(of_the_realm, Some(Fetched::Signed(policy)) if policy.policy().number == 2)
        );
        assert!(matches!(fetch(Some(policy(2, 9).as_bytes().to_vec())), Some(Fetched::MadeUp)));
    }
}

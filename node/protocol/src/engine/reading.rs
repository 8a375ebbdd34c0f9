//! What the driver reads of the engine.

use std::sync::Arc;

use crate::admission::AdmissionView;
use crate::history::retention::RETAIN_STEP_MS;
use crate::history::{History, Rules};
use crate::ids::PeerKey;
use crate::io::Topic;
use crate::links::Link;
use crate::policy::SignedPolicy;
use crate::roster::Roster;
use crate::ticket::Ticket;
use crate::time::{Now, RealmClock};

use super::Engine;

impl Engine {
    /// What the gate judges by.
    #[must_use]
    pub fn view(&self) -> AdmissionView {
        AdmissionView {
            own: Arc::clone(self.me.own()),
            rules: Arc::clone(self.history.rules()),
            clock: self.time.clock().clone(),
            links: Arc::clone(self.links.gate()),
            dialling: Arc::clone(self.dials.dialling()),
        }
    }

    /// The ticket in force.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        self.me.ticket()
    }

    /// This program start.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.me.boot()
    }

    /// The history and its set.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The rules in force: the policy and the moderations that count.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        self.history.rules()
    }

    /// The policy in force, with its exact bytes.
    #[must_use]
    pub fn signed_policy(&self) -> &SignedPolicy {
        self.policy.signed()
    }

    /// Realm time.
    #[must_use]
    pub fn clock(&self) -> &RealmClock {
        self.time.clock()
    }

    /// Who is there.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The links that stand.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// Whether a peer hears what is published on a topic, as far as it has said.
    #[must_use]
    pub fn hears(&self, peer: PeerKey, topic: Topic) -> bool {
        self.links.hears(peer, topic)
    }

    /// Whether we keep a few links only, because there have been many peers for a while.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.degree.is_thin()
    }

    /// How often gossip was refused, by [`crate::verdict::Refused::code`].
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, &u64)> {
        self.inbox.refusals()
    }

    /// Own messages that have reached nobody yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// What we say of ourselves: `here`, `away`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.presence.status()
    }

    /// By how many milliseconds our clock is ahead of those of all linked accounts, if it is by more than they can
    /// bear; less than zero if it is behind. `None` while one of them agrees with it.
    #[must_use]
    pub fn out_of_step_ms(&self) -> Option<i64> {
        self.time.out_of_step_ms(self.links.accounts())
    }

    /// The code and the sentence for a clock that contradicts everyone's.
    #[must_use]
    pub fn out_of_step_words(&self, ahead_ms: i64) -> (&'static str, String) {
        self.time.out_of_step_words(ahead_ms)
    }

    /// By how much what the realm has signed is ahead of this machine's clock, if it is by more than a day.
    #[must_use]
    pub fn signed_ahead_ms(&self, now: Now) -> Option<u64> {
        let ahead_ms = self.time.proven_ms(now).saturating_sub(now.wall_ms);
        (ahead_ms > RETAIN_STEP_MS).then_some(ahead_ms)
    }
}

//! What the driver can read from the engine.

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
    /// The view that the gate uses.
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

    /// Our ticket, in its newest renewal.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        self.me.ticket()
    }

    /// The number of this boot.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.me.boot()
    }

    /// The history, with its set of messages.
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

    /// Realm time as this peer knows it.
    #[must_use]
    pub fn clock(&self) -> &RealmClock {
        self.time.clock()
    }

    /// The devices that are or were online.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The links that are up.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// Whether a peer has subscribed to a topic, as far as we know.
    #[must_use]
    pub fn hears(&self, peer: PeerKey, topic: Topic) -> bool {
        self.links.hears(peer, topic)
    }

    /// Whether we keep only a few links, because there have been many peers for a while.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.degree.is_thin()
    }

    /// How often gossip was refused, by [`crate::verdict::Refused::code`].
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, &u64)> {
        self.inbox.refusals()
    }

    /// How many own messages have not reached any peer yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Our own status: `here` or `away`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.presence.status()
    }

    /// How many milliseconds our clock is ahead of those of all linked accounts, if the difference is more than they
    /// tolerate; negative if it is behind. `None` while at least one of them agrees with it.
    #[must_use]
    pub fn out_of_step_ms(&self) -> Option<i64> {
        self.time.out_of_step_ms(self.links.accounts())
    }

    /// The code and text of the warning that our clock contradicts all others.
    #[must_use]
    pub fn out_of_step_words(&self, ahead_ms: i64) -> (&'static str, String) {
        self.time.out_of_step_words(ahead_ms)
    }

    /// How far the time that the realm has signed is ahead of this machine's clock, if it is more than a day.
    #[must_use]
    pub fn signed_ahead_ms(&self, now: Now) -> Option<u64> {
        let ahead_ms = self.time.proven_ms(now).saturating_sub(now.wall_ms);
        (ahead_ms > RETAIN_STEP_MS).then_some(ahead_ms)
    }
}

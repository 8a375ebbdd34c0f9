//! The engine: all rules of the mesh behind a few methods, without a socket, a disk or a clock.
//!
//! The driver passes in what happened with [`Engine::handle_input`], [`Engine::handle_gossip`] and
//! [`Engine::handle_timeout`], and carries out what [`Engine::poll_output`] returns. **After every mutation it drains
//! all outputs**; then it sleeps until [`Engine::poll_timeout`] or the next input. Equal inputs at equal times give
//! equal outputs.
//!
//! ```text
//!   swarm, commands, store ──Input──▶ ┌──────────┐ ──Output──▶ swarm, store, user
//!                            Now ───▶ │  Engine  │
//!                                     └──────────┘
//! ```
//!
//! The engine is made of components. Each owns its state and changes nothing else. It may read other components, puts
//! out its effects through [`Effects`], and returns what must change elsewhere. Only the routes in `engine/` change
//! several components:
//!
//! ```text
//!   linking.rs     links that come and go          hearing.rs      what gossip brings
//!   dialling.rs    dials that fail                 asking.rs       requests, theirs and ours
//!   saying.rs      our messages                    reconciling.rs  what rounds bring
//!   moderating.rs  our moderations                 ruling.rs       policies and moderations, and what follows
//!   membership.rs  our presence, ticket and time   keeping.rs      what the history takes in and forgets
//!   reading.rs     what the driver can read
//! ```

mod asking;
mod dialling;
mod hearing;
mod keeping;
mod linking;
mod membership;
mod moderating;
mod reading;
mod reconciling;
mod ruling;
mod saying;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::address_book::{AddressBook, Dial};
use crate::degree::Degree;
use crate::delivery::inbox::Inbox;
use crate::delivery::outbox::Outbox;
use crate::delivery::receipts::Receipts;
use crate::effects::Effects;
use crate::history::History;
use crate::history::retention::Retention;
use crate::identity::Identity;
use crate::ids::PeerKey;
pub use crate::io::{
    AskId, Config, EndReason, Event, Input, LinkId, ModerationRefused, NewLink, NewModeration,
    Output, Progress, RECENT_MS, RESEND_AGE_MS_MAX, RequestId, SendRefused, SentReceipt,
    StoredIndex, StoredPair, Topic, Unsent,
};
use crate::links::DENY_FOR;
pub use crate::links::Link;
use crate::links::Links;
use crate::login::PeerAddresses;
use crate::own_presence::OwnPresence;
use crate::policy_sync::PolicySync;
use crate::reconcile::reconciler::Reconciler;
use crate::roster::Roster;
use crate::time::Now;
use crate::time::realm_time::RealmTime;
use crate::verdict::Acceptance;

/// The engine of one peer in one realm.
#[derive(Debug)]
pub struct Engine {
    me: Identity,
    time: RealmTime,
    history: History,
    retention: Retention,
    policy: PolicySync,
    links: Links,
    dials: AddressBook,
    roster: Roster,
    degree: Degree,
    presence: OwnPresence,
    inbox: Inbox,
    outbox: Outbox,
    receipts: Receipts,
    rounds: Reconciler,
    fx: Effects,
}

impl Engine {
    /// Creates an engine that knows no peers yet. The first output, to be drained before the first input, is the view
    /// for the gate.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let me = Identity::new(config.key, config.ticket, config.boot, config.session);
        let mut engine = Self {
            time: RealmTime::new(config.clock, now),
            history: History::new(Arc::new(config.policy.policy().clone())),
            retention: Retention::new(config.oldest, now),
            policy: PolicySync::new(config.policy),
            links: Links::new(me.peer(), now),
            dials: AddressBook::new(me.peer()),
            roster: Roster::default(),
            degree: Degree::default(),
            presence: OwnPresence::new(),
            inbox: Inbox::new(me.realm()),
            outbox: Outbox::new(config.unsent, now),
            receipts: Receipts::default(),
            rounds: Reconciler::new(now),
            fx: Effects::new(config.seed),
            me,
        };
        engine.time.signed(engine.ticket().claims().issued_at_ms(), now);
        engine.time.signed(engine.rules().policy().issued_at, now);
        engine.history.restore_moderations(config.moderations);
        engine.index(config.stored);
        engine.retain(now);
        engine.check_own_membership(now);
        engine.end_turn(now);
        engine
    }

    /// Handles an event. Drain [`Self::poll_output`] before the next mutation.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        self.begin_turn(now);
        match input {
            Input::LinkUp(link) => self.link_up(link, now),
            Input::LinkDown(link) => self.link_down(link, now),
            Input::DialFailed(peer) => self.dial_failed(peer, now),
            Input::RefusedBy { peer, verdict } => self.refused_by(peer, &verdict, now),
            Input::Refused { peer, boot, code, dialled } => {
                self.refused(peer, boot, code, dialled, now);
            }
            Input::Subscribed { peer, topic } => self.subscribed(peer, topic, now),
            Input::Send { request, draft } => self.send(request, draft, now),
            Input::OwnStored { request, result } => self.own_stored(request, result, now),
            Input::Published { message, reached } => self.published(message, reached),
            Input::NotStored { sent_at, message } => self.not_stored(sent_at, message, now),
            Input::Index { stored, done } => {
                self.index(stored);
                if done {
                    self.retain(now);
                    self.reconcile(now, |rounds, cx| rounds.index_is_whole(cx));
                }
            }
            Input::Answered { ask, bytes } => self.answered(ask, bytes, now),
            Input::Asked { request, peer, bytes } => self.asked(request, peer, &bytes, now),
            Input::Loaded { request, pairs } => self.loaded(request, &pairs),
            Input::SlowPeer(peer) => {
                self.reconcile(now, |rounds, cx| rounds.slow(peer, cx));
            }
            Input::Unpublished(peers) => self.links.set_unpublished(peers),
            Input::Moderation { request, moderation } => self.moderate(request, moderation, now),
            Input::Status(status) => self.set_status(status, now),
            Input::PublishPolicy { policy, head } => self.publish_policy(policy, head, now),
            Input::Renewed(ticket) => self.renewed(ticket, now),
            Input::Policy(policy) => self.adopt(policy, now),
            Input::RealmTime(realm_ms) => self.learn_time(realm_ms, now),
            Input::Listening(addresses) => self.set_listening(addresses, now),
            Input::Candidates(peers) => self.candidates(&peers, now),
            Input::NetworkChanged => self.dials.forget_failures(now.mono),
            Input::Quit => self.say_goodbye(now),
        }
        self.end_turn(now);
    }

    /// Handles a message from gossip, and returns at once what gossipsub should do with it. Drain [`Self::poll_output`]
    /// before the next mutation.
    #[must_use = "gossipsub forwards a message only when it is told the verdict"]
    pub fn handle_gossip(
        &mut self,
        source: PeerKey,
        topic: Topic,
        bytes: &[u8],
        now: Now,
    ) -> Acceptance {
        self.begin_turn(now);
        let acceptance = self.hear(source, topic, bytes, now);
        self.end_turn(now);
        acceptance
    }

    /// Returns the next thing to do, or `None` if there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.fx.poll()
    }

    /// When to call [`Self::handle_timeout`], on the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        [
            Some(self.links.next_due()),
            self.presence.next_due(),
            // An engine that has ended dials no peer, so a due dial must not keep waking the driver.
            self.dials.next_due().filter(|_due| !self.me.has_ended()),
            self.roster.next_expiry(),
            self.policy.next_due(),
            self.rounds.next_due(&self.me, &self.links),
            self.receipts.next_due(),
            self.outbox.next_due(),
            self.degree.next_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.begin_turn(now);
        for hiding in self.links.due(self.policy.number(), &self.dials, now, &mut self.fx) {
            self.dials.postpone(hiding, now.mono.saturating_add(DENY_FOR));
        }
        self.policy.due(&self.me, &self.links, now, &mut self.fx);
        self.reconcile(now, |rounds, cx| rounds.due(cx));
        for stored in self.receipts.due(&self.me, &self.links, now, &mut self.fx) {
            self.stored_by(stored);
        }
        self.let_leave(now);
        if self.links.check_is_due(now) {
            self.rounds.tidy(now);
            self.inbox.tidy(now);
            self.links.judge(&self.view(), now);
            let roster = &self.roster;
            self.links.forget_boots(|peer| roster.account_of(peer).is_some());
            self.check_own_membership(now);
            self.retain(now);
            self.look_at_clocks(now);
            self.fx.changed();
        }
        for change in self.roster.expire(now) {
            self.tell_presence(change);
        }
        self.thin_out(now);
        let realm_ms = self.time.now_ms(now);
        self.presence.due(&self.me, &self.roster, realm_ms, now, &mut self.fx);
        self.end_turn(now);
    }

    /// Notes that this machine's wall clock was set, by this many milliseconds. Call it before passing in the first
    /// [`Now`] that shows the new time (PROTOCOL.md R-5).
    pub fn wall_clock_set(&mut self, by_ms: i64) {
        self.time.wall_set(by_ms);
    }

    fn begin_turn(&mut self, now: Now) {
        debug_assert!(self.fx.is_drained(), "drain the outputs before the next mutation");
        self.time.tick(now);
    }

    /// Makes the dials that are due, and gives the gate a new view if it has changed.
    fn end_turn(&mut self, now: Now) {
        self.count_roster(now);
        if !self.me.has_ended() {
            for Dial { peer, addresses } in self.dials.poll(now.mono) {
                self.fx.output(Output::Dial(PeerAddresses { peer, addresses }));
            }
        }
        self.fx.show(self.view());
    }
}

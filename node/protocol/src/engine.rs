//! The engine: every rule of the mesh behind four verbs, without a socket, a disk or a clock.
//!
//! The driver feeds what happened with [`Engine::handle_input`] and [`Engine::handle_timeout`], and carries out what
//! [`Engine::poll_output`] asks for. **After every mutation it drains the outputs until there are none**; then it
//! sleeps until [`Engine::poll_timeout`] or the next input. Equal inputs at equal times give equal outputs.
//!
//! ```text
//!   swarm, commands, store ──Input──▶ ┌──────────┐ ──Output──▶ swarm, store, user
//!                            Now ───▶ │  Engine  │
//!                                     └──────────┘
//!   links.rs     who is linked, boots, duplicates        gossip.rs    verdicts on what arrives
//!   sending.rs   own messages and the outbox             policy.rs    numbers, fetching, adopting
//!   presence.rs  own presence, and what others say       ordering.rs  moderators' moderations
//!   syncing.rs   when a round runs, with whom, and what   serving.rs   what neighbours ask of us
//!                becomes of the answers
//!   receipts.rs  who holds what of running sessions      asking.rs    our requests and their answers
//!   thinning.rs  how many links, when there are many peers
//!   clocks.rs    our clock beside the others'           retaining.rs forgetting what is too old
//!   io.rs        inputs, outputs, events
//! ```

mod gossip;
mod linking;
mod moderating;
mod policy;
mod presence;
mod receipts;
mod sending;
mod serving;
mod syncing;
#[cfg(test)]
mod tests;
mod thinning;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::address_book::{AddressBook, Dial};
use crate::admission::AdmissionView;
use crate::effects::{Asking, Effects};
use crate::history::retention::Retention;
use crate::history::{History, Resettled, Rules};
use crate::identity::Identity;
use crate::ids::{PeerKey, Role};
pub use crate::io::{
    AskId, Config, EndReason, Event, GossipId, Input, LinkId, ModerationRefused, NewLink,
    NewModeration, Output, Progress, RequestId, SendRefused, SentReceipt, StoredIndex, StoredPair,
    Topic, Unsent,
};
use crate::limits::{DENY_FOR, RETAIN_STEP_MS};
pub use crate::links::Link;
use crate::links::Links;
use crate::login::PeerAddresses;
use crate::policy::{Policy, SignedPolicy};
use crate::presence::HERE;
use crate::reconcile::{SyncReply, parse_policy_number};
use crate::roster::{Change, Observation, Roster};
use crate::ticket::Ticket;
use crate::time::realm_time::RealmTime;
use crate::time::{Now, RealmClock};

use gossip::{Paces, TicketCache};
use receipts::Receipts;
use sending::Outbox;
use serving::{ItemSets, Serving};
use syncing::Syncing;
use thinning::Thinning;

/// The engine of one peer in one realm.
#[derive(Debug)]
pub struct Engine {
    me: Identity,
    time: RealmTime,
    history: History,
    retention: Retention,
    signed_policy: SignedPolicy,
    listening: Vec<String>,
    roster: Roster,
    dials: AddressBook,
    links: Links,
    fetching: BTreeMap<PeerKey, Duration>,
    serving: Serving,
    item_sets: ItemSets,
    syncing: Syncing,
    receipts: Receipts,
    thinning: Thinning,
    behind: Option<policy::Behind>,
    tickets: TicketCache,
    paces: Paces,
    outbox: Outbox,
    status: String,
    /// How often gossip was refused, by [`crate::verdict::Refused::code`].
    refusals: BTreeMap<&'static str, u64>,
    presence_n: u64,
    presence_due: Option<Duration>,
    fx: Effects,
}

impl Engine {
    /// An engine that knows nobody yet. The first output, to be drained before the first input, is the view for the gate.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let me = Identity::new(config.key, config.ticket, config.boot, config.session);
        let mut engine = Self {
            time: RealmTime::new(config.clock, now),
            history: History::new(Arc::new(config.policy.policy().clone())),
            retention: Retention::new(config.oldest, now),
            signed_policy: config.policy,
            listening: Vec::new(),
            roster: Roster::default(),
            dials: AddressBook::new(me.peer()),
            links: Links::new(now),
            fetching: BTreeMap::new(),
            serving: Serving::new(now),
            item_sets: ItemSets::default(),
            syncing: Syncing::default(),
            receipts: Receipts::default(),
            thinning: Thinning::default(),
            behind: None,
            tickets: TicketCache::default(),
            paces: Paces::default(),
            outbox: Outbox::new(config.unsent, now),
            status: HERE.to_owned(),
            refusals: BTreeMap::new(),
            presence_n: 0,
            presence_due: None,
            fx: Effects::new(config.seed),
            me,
        };
        engine.time.signed(engine.me.ticket().claims().issued_at_ms(), now);
        engine.time.signed(engine.policy().issued_at, now);
        engine.history.restore_moderations(config.moderations);
        engine.index(config.stored);
        engine.retain(now);
        engine.check_own_membership(now);
        engine.after_mutation(now);
        engine
    }

    /// Takes in what happened. Drain [`Self::poll_output`] before the next mutation.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        debug_assert!(self.fx.is_drained(), "drain the outputs before the next input");
        self.time.tick(now);
        match input {
            Input::LinkUp(link) => self.link_up(link, now),
            Input::LinkDown(link) => self.link_down(link, now),
            Input::DialFailed(peer) => self.dial_failed(peer, now),
            Input::RefusedBy { peer, verdict } => {
                self.time.contradicted(peer, verdict.code, &self.me, now, &mut self.fx);
                self.refused_by(peer, &verdict, now);
            }
            Input::Refused { peer, boot, code, dialled } => {
                self.refused(peer, boot, code, dialled, now);
            }
            Input::Subscribed { peer, topic } => self.peer_subscribed(peer, topic, now),
            Input::Gossip { id, source, topic, bytes } => {
                self.gossip(id, source, topic, &bytes, now);
            }
            Input::Send { request, draft } => self.send(request, draft, now),
            Input::OwnStored { request, result } => self.own_stored(request, result, now),
            Input::Published { message, reached } => self.published(message, reached),
            Input::NotStored { sent_at, message } => self.not_stored(sent_at, message, now),
            Input::Index { stored, done } => {
                self.index(stored);
                if done {
                    self.index_is_whole(now);
                }
            }
            Input::Answered { ask, bytes } => self.answered(ask, bytes, now),
            Input::Asked { request, peer, bytes } => self.asked(request, peer, &bytes, now),
            Input::Loaded { request, pairs } => self.loaded(request, &pairs),
            Input::SlowPeer(peer) => self.sync_slow_peer(peer, now),
            Input::Unpublished(peers) => self.links.set_unpublished(peers),
            Input::Moderation { request, moderation } => self.moderation(request, moderation, now),
            Input::Status(status) => self.set_status(status, now),
            Input::PublishPolicy { policy, head } => self.publish_policy(policy, head, now),
            Input::Renewed(ticket) => self.renewed(ticket, now),
            Input::Policy(policy) => self.adopt(policy, now),
            Input::RealmTime(realm_ms) => self.learn_time(realm_ms, now),
            Input::Listening(addresses) => self.listening(addresses, now),
            Input::Candidates(peers) => self.candidates(&peers, now),
            Input::NetworkChanged => self.dials.forget_failures(now.mono),
            Input::Quit => self.say_goodbye(now),
        }
        self.after_mutation(now);
    }

    /// The next thing to do. `None` when there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.fx.poll()
    }

    /// When [`Self::handle_timeout`] is to be called, on the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        [
            Some(self.links.next_due()),
            self.presence_due,
            // Who has ended dials nobody, so what is due there must not wake the driver for ever.
            self.dials.next_due().filter(|_due| !self.me.has_ended()),
            self.roster.next_expiry(),
            self.behind.as_ref().map(|behind| behind.ask_at),
            self.next_round_due(),
            self.receipts.next_due(),
            self.outbox.next_due(),
            self.thinning.next_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        debug_assert!(self.fx.is_drained(), "drain the outputs before the next timeout");
        self.time.tick(now);
        for peer in self.links.due(self.policy().number, &self.dials, now, &mut self.fx) {
            self.dials.postpone(peer, now.mono.saturating_add(DENY_FOR));
        }
        self.catch_up(now);
        self.sync_due(now);
        self.tell_receipts(now);
        self.pace_outbox(now);
        if self.links.check_is_due(now) {
            self.serving.forget_untouched(now);
            self.paces.forget_full(now);
            self.links.judge(&self.view(), now);
            self.check_own_membership(now);
            self.retain(now);
            self.look_at_clocks(now);
            self.fx.changed();
        }
        for change in self.roster.expire(now) {
            self.tell_presence(change);
        }
        self.thin_out(now);
        if self.presence_due.is_some_and(|due| due <= now.mono) {
            self.publish_presence(&self.status.clone(), now);
        }
        self.after_mutation(now);
    }

    /// Dials what is due, and publishes the view if it changed.
    fn after_mutation(&mut self, now: Now) {
        self.mind_the_crowd(now);
        if !self.me.has_ended() {
            for Dial { peer, addresses } in self.dials.poll(now.mono) {
                self.fx.output(Output::Dial(PeerAddresses { peer, addresses }));
            }
        }
        self.fx.show(self.view());
    }

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

    /// Takes stored messages into the history's index.
    fn index(&mut self, stored: StoredIndex) {
        let authors: BTreeMap<_, _> =
            stored.tickets.iter().map(|ticket| (ticket.hash(), ticket.claims().peer)).collect();
        for ticket in &stored.tickets {
            self.history.note_author(ticket);
        }
        for message in &stored.messages {
            if let Some(author) = authors.get(&message.ticket) {
                self.receipts.note(*author, message.session, message.seq, message.sent_at);
            }
        }
        let resettled = self.history.index(stored.messages);
        self.resettle(resettled);
    }

    /// Tells the store what the history has changed its mind about.
    fn resettle(&mut self, resettled: Resettled) {
        if !resettled.is_empty() {
            self.fx.output(Output::Resettle(resettled));
        }
    }

    fn tell_presence(&mut self, change: Change) {
        self.thinning.roster_changed();
        if change.ticket.claims().role != Role::Authority {
            self.fx.event(Event::Presence(change));
        }
        self.fx.changed();
    }

    fn observation(&self, now: Now) -> Observation {
        Observation { now, realm_ms: self.time.now_ms(now), my_boot: self.me.boot() }
    }

    /// The ticket in force.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        self.me.ticket()
    }

    /// The rules in force: the policy and the moderations that count.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        self.history.rules()
    }

    /// The history and its set.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    fn policy(&self) -> &Policy {
        self.history.rules().policy()
    }

    /// The policy in force, with its exact bytes.
    #[must_use]
    pub fn signed_policy(&self) -> &SignedPolicy {
        &self.signed_policy
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

    /// How often gossip was refused, by [`crate::verdict::Refused::code`].
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, &u64)> {
        self.refusals.iter().map(|(code, count)| (*code, count))
    }

    /// Own messages that have reached nobody yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// What we say of ourselves: `here`, `away`.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Whether membership is lost, or goodbye was said.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.me.has_ended()
    }

    /// This program start.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.me.boot()
    }

    /// The numbering of our messages.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.me.session()
    }

    /// Whether a peer hears what is published on a topic, as far as it has said.
    #[must_use]
    pub fn hears(&self, peer: PeerKey, topic: Topic) -> bool {
        self.links.hears(peer, topic)
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

    /// Somebody has set this machine's wall clock by so many milliseconds, which the next [`Now`] shows for the first
    /// time (PROTOCOL.md R-5).
    pub fn wall_clock_set(&mut self, by_ms: i64) {
        self.time.wall_set(by_ms);
    }

    fn look_at_clocks(&mut self, now: Now) {
        if self.time.look(self.links.accounts(), &self.me, now, &mut self.fx) {
            self.resend(now);
        }
    }

    fn learn_time(&mut self, realm_ms: u64, now: Now) {
        self.time.learnt(realm_ms, now);
        self.look_at_clocks(now);
    }

    /// Forgets what is too old by the smaller of two times: the newest that the realm has signed, and this machine's
    /// clock.
    fn retain(&mut self, now: Now) {
        let reach = self.retention.reach(self.history.boundary(), now);
        let realm_ms = self.time.proven_ms(now).min(now.wall_ms);
        if let Some(before) = self.history.retain(realm_ms, reach) {
            self.fx.output(Output::Forget { before });
        }
        self.retention.moved(self.history.boundary());
    }

    fn answered(&mut self, ask: AskId, bytes: Option<Vec<u8>>, now: Now) {
        let Some((peer, asking)) = self.fx.answered(ask) else { return };
        // A reply that cannot be read is none.
        let reply = bytes.and_then(|bytes| SyncReply::parse(&bytes).ok());
        match asking {
            Asking::Policy => {
                let document = match reply {
                    Some(SyncReply::Ok(document)) => Some(document),
                    Some(SyncReply::Unsupported | SyncReply::NotFound | SyncReply::Later)
                    | None => None,
                };
                self.policy_fetched(peer, document, now);
            }
            Asking::PolicyNumber => {
                if let Some(SyncReply::Ok(body)) = reply
                    && let Ok(number) = parse_policy_number(&body)
                {
                    self.see_policy_number(peer, number, now);
                }
            }
            Asking::Round { round, tag, ids } => {
                self.round_answered(peer, (round, tag), &ids, reply, now);
            }
            Asking::Part => {
                let agreed = matches!(reply, Some(SyncReply::Ok(_)));
                self.part_answered(peer, agreed, now);
            }
            Asking::Nothing => {}
        }
    }
}

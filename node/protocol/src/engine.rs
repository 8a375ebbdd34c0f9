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

mod asking;
mod clocks;
mod gossip;
mod io;
mod links;
mod moderating;
mod policy;
mod presence;
mod receipts;
mod retaining;
mod sending;
mod serving;
mod syncing;
#[cfg(test)]
mod tests;
mod thinning;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::address_book::AddressBook;
use crate::admission::{AdmissionView, KnownBoot};
use crate::cose::public_key;
use crate::hello::Hello;
use crate::history::{Author, History, Resettled, Rules};
use crate::ids::{PeerKey, Role};
use crate::login::PeerAddresses;
use crate::policy::{Policy, SignedPolicy};
use crate::presence::HERE;
use crate::roster::{Change, Observation, Roster};
use crate::ticket::Ticket;
use crate::time::{Now, ProvenTime, RealmClock};

use asking::Asks;
use clocks::OthersClocks;
use gossip::{Paces, TicketCache};
pub use io::{
    AskId, Config, EndReason, Event, GossipId, Input, Output, Progress, RequestId, StoredIndex,
    StoredPair, Topic,
};
pub use links::{Link, LinkId, NewLink};
pub use moderating::{ModerationRefused, NewModeration};
use receipts::Receipts;
use retaining::Retention;
use sending::Outbox;
pub use sending::{SendRefused, SentReceipt, Unsent};
use serving::{ItemSets, Serving};
use syncing::Syncing;
use thinning::Thinning;

/// How often standing links are judged again for expiry.
const LINK_CHECK_EVERY: Duration = Duration::from_secs(10);

/// The engine of one peer in one realm.
#[derive(Debug)]
pub struct Engine {
    key: SigningKey,
    me: PeerKey,
    realm: PeerKey,
    boot: u64,
    session: u64,
    seq: u64,
    ticket: Arc<Ticket>,
    signed_policy: SignedPolicy,
    history: History,
    clock: RealmClock,
    proven: ProvenTime,
    retention: Retention,
    listening: Vec<String>,
    roster: Roster,
    book: AddressBook,
    links: BTreeMap<LinkId, Link>,
    subscribed: BTreeMap<PeerKey, Vec<Topic>>,
    boots: BTreeMap<PeerKey, KnownBoot>,
    denied: BTreeMap<PeerKey, Duration>,
    rejects: BTreeMap<PeerKey, VecDeque<Duration>>,
    fetching: BTreeMap<PeerKey, Duration>,
    asks: Asks,
    serving: Serving,
    item_sets: ItemSets,
    syncing: Syncing,
    receipts: Receipts,
    thinning: Thinning,
    /// Neighbours that gossipsub does not publish to.
    unpublished: BTreeSet<PeerKey>,
    behind: Option<policy::Behind>,
    others_clocks: OthersClocks,
    tickets: TicketCache,
    paces: Paces,
    outbox: Outbox,
    status: String,
    /// How often gossip was refused, by [`crate::verdict::Refused::code`].
    refusals: BTreeMap<&'static str, u64>,
    presence_n: u64,
    presence_due: Option<Duration>,
    next_link_check: Duration,
    outputs: VecDeque<Output>,
    view_is_stale: bool,
    ended: bool,
    rng: ChaCha8Rng,
}

impl Engine {
    /// An engine that knows nobody yet. The first output, to be drained before the first input, is the view for the gate.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let me = public_key(&config.key);
        let mut engine = Self {
            me,
            realm: config.ticket.claims().realm,
            key: config.key,
            boot: config.boot,
            session: config.session,
            seq: 0,
            ticket: Arc::new(config.ticket),
            history: History::new(Arc::new(config.policy.policy().clone())),
            signed_policy: config.policy,
            clock: config.clock,
            listening: Vec::new(),
            roster: Roster::default(),
            book: AddressBook::new(me),
            links: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            boots: BTreeMap::new(),
            denied: BTreeMap::new(),
            rejects: BTreeMap::new(),
            fetching: BTreeMap::new(),
            asks: Asks::default(),
            serving: Serving::new(now),
            item_sets: ItemSets::default(),
            syncing: Syncing::default(),
            receipts: Receipts::default(),
            thinning: Thinning::default(),
            unpublished: BTreeSet::new(),
            behind: None,
            others_clocks: OthersClocks::default(),
            proven: ProvenTime::default(),
            retention: Retention::starting_with(config.oldest, now),
            tickets: TicketCache::default(),
            paces: Paces::default(),
            outbox: Outbox::new(config.unsent, now),
            status: HERE.to_owned(),
            refusals: BTreeMap::new(),
            presence_n: 0,
            presence_due: None,
            next_link_check: now.mono.saturating_add(LINK_CHECK_EVERY),
            outputs: VecDeque::new(),
            view_is_stale: true,
            ended: false,
            rng: ChaCha8Rng::from_seed(config.seed),
        };
        engine.clock.now_ms(now);
        engine.proven.note(engine.ticket.claims().issued_at_ms(), now);
        engine.proven.note(engine.policy().issued_at, now);
        engine.history.restore_moderations(config.moderations);
        engine.index(config.stored);
        engine.retain(now);
        engine.check_own_membership(now);
        engine.after_mutation(now);
        engine
    }

    /// Takes in what happened. Drain [`Self::poll_output`] before the next mutation.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next input");
        self.clock.now_ms(now);
        match input {
            Input::LinkUp(link) => self.link_up(link, now),
            Input::LinkDown(link) => self.link_down(link, now),
            Input::DialFailed(peer) => self.dial_failed(peer, now),
            Input::RefusedBy { peer, verdict } => {
                self.clocks_contradict(peer, verdict.code, now);
                self.refused_by(peer, &verdict, now);
            }
            Input::Refused { peer, boot, code, dialled } => {
                self.we_refused(peer, code, now);
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
            Input::Unpublished(peers) => self.unpublished = peers,
            Input::Moderation { request, moderation } => self.moderation(request, moderation, now),
            Input::Status(status) => self.set_status(status, now),
            Input::PublishPolicy { policy, head } => self.publish_policy(policy, head, now),
            Input::Renewed(ticket) => self.renewed(ticket, now),
            Input::Policy(policy) => self.adopt(policy, now),
            Input::RealmTime(realm_ms) => self.learn_time(realm_ms, now),
            Input::Listening(addresses) => self.listening(addresses, now),
            Input::Candidates(peers) => self.candidates(&peers, now),
            Input::NetworkChanged => self.book.forget_failures(now.mono),
            Input::Quit => self.say_goodbye(now),
        }
        self.after_mutation(now);
    }

    /// The next thing to do. `None` when there is nothing more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called, on the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        [
            Some(self.next_link_check),
            self.presence_due,
            // Who has ended dials nobody, so what is due there must not wake the driver for ever.
            self.book.next_due().filter(|_due| !self.ended),
            self.roster.next_expiry(),
            self.next_link_deadline(),
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
        debug_assert!(self.outputs.is_empty(), "drain the outputs before the next timeout");
        self.clock.now_ms(now);
        self.link_deadlines(now);
        self.catch_up(now);
        self.sync_due(now);
        self.tell_receipts(now);
        self.pace_outbox(now);
        if now.mono >= self.next_link_check {
            self.next_link_check = now.mono.saturating_add(LINK_CHECK_EVERY);
            self.denied.retain(|_peer, until| now.mono < *until);
            self.serving.forget_untouched(now);
            self.paces.forget_full(now);
            self.judge_links_again(now);
            self.check_own_membership(now);
            self.retain(now);
            self.look_at_clocks(now);
            self.changed();
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
        if !self.ended {
            for dial in self.book.poll(now.mono) {
                self.view_is_stale = true;
                let crate::address_book::Dial { peer, addresses } = dial;
                self.outputs.push_back(Output::Dial(PeerAddresses { peer, addresses }));
            }
        }
        if std::mem::take(&mut self.view_is_stale) {
            self.outputs.push_front(Output::View(Box::new(self.view())));
        }
    }

    /// The snapshot that the gate judges by.
    #[must_use]
    pub fn view(&self) -> AdmissionView {
        let boot_of = |link: &Link| (link.peer, link.boot);
        let mut links_of = BTreeMap::new();
        for link in self.links.values() {
            *links_of.entry(link.ticket.claims().account).or_default() += 1;
        }
        AdmissionView {
            realm: self.realm,
            me: self.me,
            hello: Hello {
                realm: self.realm,
                time: 0,
                boot: self.boot,
                policy: self.policy().number,
                ticket: self.ticket.as_bytes().to_vec(),
            },
            rules: Arc::clone(self.history.rules()),
            clock: self.clock.clone(),
            boots: Arc::new(self.boots.clone()),
            links_of: Arc::new(links_of),
            links: Arc::new(self.links.values().map(boot_of).collect()),
            dialling: Arc::new(self.book.dialling().collect()),
            denied: Arc::new(self.denied.clone()),
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
            self.outputs.push_back(Output::Resettle(resettled));
            self.event(Event::Reload);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn changed(&mut self) {
        self.event(Event::Changed);
    }

    fn tell_presence(&mut self, change: Change) {
        self.thinning.roster_changed();
        if change.ticket.claims().role != Role::Authority {
            self.event(Event::Presence(change));
        }
        self.changed();
    }

    fn observation(&self, now: Now) -> Observation {
        Observation { now, realm_ms: self.clock.peek_ms(now), my_boot: self.boot }
    }

    fn is_authority(&self) -> bool {
        self.ticket.claims().role == Role::Authority
    }

    fn draw(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Up to 100 ms, so that many peers do not act in the same instant.
    fn jitter(&mut self) -> Duration {
        Duration::from_millis(self.rng.next_u64() % 100)
    }

    /// The ticket in force.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
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

    /// What the rules look at of ourselves.
    fn myself(&self) -> Author {
        Author::of(&self.ticket)
    }

    /// The policy in force, with its exact bytes.
    #[must_use]
    pub fn signed_policy(&self) -> &SignedPolicy {
        &self.signed_policy
    }

    /// Realm time.
    #[must_use]
    pub fn clock(&self) -> &RealmClock {
        &self.clock
    }

    /// Who is there.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The links that stand.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
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
        self.ended
    }

    /// This program start.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// The numbering of our messages.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }
}

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
//!   links.rs     who is linked, boots, duplicates        gossip.rs  verdicts on what arrives
//!   sending.rs   own messages and the outbox             policy.rs  numbers, fetching, adopting
//!   presence.rs  own presence, and what others say
//! ```

mod gossip;
mod links;
mod policy;
mod presence;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::admission::{AdmissionView, KnownBoot};
use crate::cose::public_key;
use crate::dialing::AddressBook;
use crate::hello::{Hello, Verdict};
use crate::ids::{MessageId, PeerKey, Role};
use crate::login::PeerAddresses;
use crate::message::{Acceptance, AdmittedMessage};
use crate::policy::{Policy, SignedPolicy};
use crate::roster::{Change, Observation, Roster};
use crate::ticket::Ticket;
use crate::time::{Now, RealmClock};

use gossip::{Seen, TicketCache};
pub use links::{Link, LinkId, NewLink};
use sending::Outbox;
pub use sending::{SendRefused, SentReceipt, Unsent};

/// How often standing links are judged again for expiry.
const LINK_CHECK_EVERY: Duration = Duration::from_secs(10);

/// The gossipsub topics of a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Messages, when the author reaches everybody itself.
    Direct,
    /// Messages that are forwarded.
    Mesh,
    /// Presence, policy heads and orders.
    Control,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Mesh, Self::Control];

    /// The topic's name on the wire.
    #[must_use]
    pub fn path(self, realm: &PeerKey) -> String {
        let leaf = match self {
            Self::Direct => "direct",
            Self::Mesh => "mesh",
            Self::Control => "control",
        };
        format!("/lanyard/1/{realm}/{leaf}")
    }
}

/// What the engine starts from.
#[derive(Debug)]
pub struct Config {
    /// The device key.
    pub key: SigningKey,
    /// Our ticket.
    pub ticket: Ticket,
    /// The newest policy we hold.
    pub policy: SignedPolicy,
    /// This program start: larger than every earlier one, stored before the first dial.
    pub boot: u64,
    /// Random, for the numbering of our messages.
    pub session: u64,
    /// Realm time.
    pub clock: RealmClock,
    /// Ids of the messages of the last 15 minutes, with their `sent_at`.
    pub seen: Vec<(MessageId, u64)>,
    /// The largest `sent_at` in the store.
    pub largest_sent_at: u64,
    /// Own messages that nobody has yet.
    pub unsent: Vec<Unsent>,
    /// Randomness.
    pub seed: [u8; 32],
}

/// The driver's name for a gossip message, given back with the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GossipId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A link stands: both gates have accepted.
    LinkUp(NewLink),
    /// A link is gone.
    LinkDown(LinkId),
    /// A dial ended before the gate, or without a verdict.
    DialFailed(PeerKey),
    /// The gate of a peer that we dialled, or that dialled us, has refused us.
    RefusedBy {
        /// Who.
        peer: PeerKey,
        /// What it said. It proves nothing.
        verdict: Verdict,
    },
    /// Our own gate has refused a peer with a good ticket because of its boot.
    BusyFor {
        /// Who.
        peer: PeerKey,
        /// The boot it claimed, on a link that Noise has proved to be its own.
        boot: u64,
    },
    /// A linked peer has subscribed to a topic.
    Subscribed {
        /// Who.
        peer: PeerKey,
        /// To what.
        topic: Topic,
    },
    /// A message has arrived on gossip. The verdict comes in the same turn.
    Gossip {
        /// For the verdict.
        id: GossipId,
        /// The neighbour it came from.
        source: PeerKey,
        /// Where.
        topic: Topic,
        /// What.
        bytes: Vec<u8>,
    },
    /// The user wants to say something.
    Send {
        /// Given back with the answer.
        request: u64,
        /// The room.
        room: String,
        /// The text.
        text: String,
    },
    /// Our message is on disk, or it could not be written.
    OwnStored {
        /// Of the request.
        request: u64,
        /// What the store said.
        result: Result<(), String>,
    },
    /// What gossipsub made of a message of ours.
    Published {
        /// Which.
        message: MessageId,
        /// Whether it went to anybody.
        reached: bool,
    },
    /// A peer's answer to a [`Output::FetchPolicy`]; `None` if it gave none.
    PolicyFetched {
        /// Who.
        peer: PeerKey,
        /// The document.
        bytes: Option<Vec<u8>>,
    },
    /// The rendezvous' own node has a new policy and its head to publish.
    PublishPolicy {
        /// The document.
        policy: SignedPolicy,
        /// Its signed head.
        head: Vec<u8>,
    },
    /// Our ticket was renewed.
    Renewed(Ticket),
    /// Where we listen now, without `/p2p/`.
    Listening(Vec<String>),
    /// Addresses from the login reply or the store.
    Candidates(Vec<PeerAddresses>),
    /// The network has changed: try everybody again.
    NetworkChanged,
    /// Say goodbye.
    Quit,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Tell gossipsub about a message.
    Verdict {
        /// Which.
        id: GossipId,
        /// Where it came from.
        source: PeerKey,
        /// What to do with it.
        acceptance: Acceptance,
    },
    /// Put a message of somebody else into the store, and show it.
    Store(Box<AdmittedMessage>),
    /// Put a message of our own on disk, and answer with [`Input::OwnStored`].
    StoreOwn {
        /// For the answer.
        request: u64,
        /// The message.
        message: Box<AdmittedMessage>,
    },
    /// Publish on gossip; answer with [`Input::Published`] if there is a message id.
    Publish {
        /// Where.
        topic: Topic,
        /// What.
        bytes: Vec<u8>,
        /// Whose state hangs on it.
        message: Option<MessageId>,
    },
    /// Keep a newer policy.
    StorePolicy(Box<SignedPolicy>),
    /// Remember where a peer may be found.
    StorePeer(PeerAddresses),
    /// Dial a peer.
    Dial(PeerAddresses),
    /// Close a link.
    Close(LinkId),
    /// Ask a linked peer for its policy.
    FetchPolicy {
        /// Whom.
        peer: PeerKey,
        /// At least this number.
        number: u64,
    },
    /// The gate's snapshot has changed.
    View(Box<AdmissionView>),
    /// Tell the user.
    Event(Event),
}

/// What the user is told.
#[derive(Debug)]
pub enum Event {
    /// The answer to a [`Input::Send`].
    Sent {
        /// Of the request.
        request: u64,
        /// The receipt, or why not.
        result: Result<SentReceipt, SendRefused>,
    },
    /// An own message has reached somebody, or nobody yet.
    State {
        /// Which.
        id: MessageId,
        /// Whether anybody has it.
        sent: bool,
    },
    /// Somebody came or went.
    Presence(Change),
    /// A newer policy is in force.
    Policy {
        /// Its number.
        number: u64,
    },
    /// Our pass is new.
    Pass {
        /// Its end, realm time in unix milliseconds.
        expires_at: u64,
    },
    /// A sentence with a stable code.
    Notice {
        /// The code.
        code: &'static str,
        /// The sentence.
        text: String,
    },
    /// Roster, links, rooms or pass have changed: read them again.
    Changed,
    /// Membership is lost. We have verified why ourselves.
    Ended(EndReason),
}

/// Why membership is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// A newer start of this very profile exists, on another computer.
    Superseded,
    /// The policy bans our account.
    Banned {
        /// In the operator's words.
        reason: String,
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The policy has withdrawn our ticket.
    Cut {
        /// In the operator's words.
        reason: String,
    },
}

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
    policy: Arc<Policy>,
    clock: RealmClock,
    largest_sent_at: u64,
    listening: Vec<String>,
    roster: Roster,
    book: AddressBook,
    links: BTreeMap<LinkId, Link>,
    subscribed: BTreeMap<PeerKey, Vec<Topic>>,
    boots: BTreeMap<PeerKey, KnownBoot>,
    denied: BTreeMap<PeerKey, Duration>,
    rejects: BTreeMap<PeerKey, VecDeque<Duration>>,
    fetching: BTreeMap<PeerKey, Duration>,
    behind: Option<policy::Behind>,
    clock_offsets: BTreeMap<crate::ids::AccountId, i64>,
    tickets: TicketCache,
    seen: Seen,
    outbox: Outbox,
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
            policy: Arc::new(config.policy.policy().clone()),
            signed_policy: config.policy,
            clock: config.clock,
            largest_sent_at: config.largest_sent_at,
            listening: Vec::new(),
            roster: Roster::default(),
            book: AddressBook::new(me),
            links: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            boots: BTreeMap::new(),
            denied: BTreeMap::new(),
            rejects: BTreeMap::new(),
            fetching: BTreeMap::new(),
            behind: None,
            clock_offsets: BTreeMap::new(),
            tickets: TicketCache::default(),
            seen: Seen::default(),
            outbox: Outbox::new(config.unsent),
            presence_n: 0,
            presence_due: None,
            next_link_check: now.mono.saturating_add(LINK_CHECK_EVERY),
            outputs: VecDeque::new(),
            view_is_stale: true,
            ended: false,
            rng: ChaCha8Rng::from_seed(config.seed),
        };
        let realm_ms = engine.clock.now_ms(now);
        for (id, sent_at) in config.seen {
            engine.seen.insert_known(id, sent_at, realm_ms, now.mono);
        }
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
            Input::DialFailed(peer) => {
                let jitter = self.jitter();
                self.book.failed(peer, now.mono, jitter);
            }
            Input::RefusedBy { peer, verdict } => self.refused_by(peer, &verdict, now),
            Input::BusyFor { peer, boot } => self.busy_for(peer, boot, now),
            Input::Subscribed { peer, topic } => self.peer_subscribed(peer, topic, now),
            Input::Gossip { id, source, topic, bytes } => {
                self.gossip(id, source, topic, &bytes, now);
            }
            Input::Send { request, room, text } => self.send(request, room, text, now),
            Input::OwnStored { request, result } => self.own_stored(request, result, now),
            Input::Published { message, reached } => self.published(message, reached),
            Input::PolicyFetched { peer, bytes } => self.policy_fetched(peer, bytes, now),
            Input::PublishPolicy { policy, head } => self.publish_policy(policy, head, now),
            Input::Renewed(ticket) => self.renewed(ticket, now),
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
        if now.mono >= self.next_link_check {
            self.next_link_check = now.mono.saturating_add(LINK_CHECK_EVERY);
            self.denied.retain(|_peer, until| now.mono < *until);
            self.judge_links_again(now);
            self.check_own_membership(now);
            self.seen.forget(now.mono);
            self.changed();
        }
        for change in self.roster.expire(now) {
            self.tell_presence(change);
        }
        if self.presence_due.is_some_and(|due| due <= now.mono) {
            self.publish_presence(crate::presence::HERE, now);
        }
        self.after_mutation(now);
    }

    /// Dials what is due, and publishes the view if it changed.
    fn after_mutation(&mut self, now: Now) {
        if !self.ended {
            for dial in self.book.poll(now.mono) {
                self.view_is_stale = true;
                let crate::dialing::Dial { peer, addresses } = dial;
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
        AdmissionView {
            realm: self.realm,
            me: self.me,
            hello: Hello {
                realm: self.realm,
                time: 0,
                boot: self.boot,
                policy: self.policy.number,
                ticket: self.ticket.as_bytes().to_vec(),
            },
            policy: Arc::clone(&self.policy),
            clock: self.clock.clone().at_least(self.policy.issued_at),
            boots: Arc::new(self.boots.clone()),
            links: Arc::new(self.links.values().map(boot_of).collect()),
            dialling: Arc::new(self.book.dialling().collect()),
            denied: Arc::new(self.denied.clone()),
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn changed(&mut self) {
        self.event(Event::Changed);
    }

    fn tell_presence(&mut self, change: Change) {
        if change.ticket.claims().role != Role::Authority {
            self.event(Event::Presence(change));
        }
        self.changed();
    }

    fn observation(&self, now: Now) -> Observation {
        Observation { now, realm_ms: self.clock.peek_ms(now), my_boot: self.boot }
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

    /// Own messages that have reached nobody yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len()
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

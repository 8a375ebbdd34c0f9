//! A simulated realm: many engines, one clock, one network, one seed (feature `test-utils`).
//!
//! ```text
//!   Sim ── what is next, by time ──▶ Peer ── Input ──▶ Engine ── Output ──▶ Peer ── bytes ──▶ Network
//!    ▲                                │ store.rs: what is on its disk   crowd.rs: who dials whom   │
//!    └────────────── arrives later, twice, or not at all: network.rs ◀────────────────────────────┘
//! ```
//!
//! Everything random comes from the seed, so a failed run can be repeated by its number. The trace hash covers every
//! output of every engine (trace.rs): equal seeds give equal hashes, even after the code was rearranged.

mod crowd;
mod network;
mod peer;
mod store;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::engine::{Input, LinkId, NewLink, Topic};
use crate::ids::{AccountId, MessageId, PeerKey};
use crate::message::{Draft, VerifiedMessage};
use crate::moderation::SignedModeration;
use crate::policy::SignedPolicy;
use crate::testing::{self, T0};
use crate::time::Now;

pub use network::Faults;
use network::{HEARTBEAT, Wire};
use peer::Peer;

/// The parameters of a simulation.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many engines there are.
    pub peers: usize,
    /// About how many neighbours each has.
    pub degree: usize,
    /// The seed of everything random.
    pub seed: u64,
    /// The faults of the network.
    pub faults: Faults,
    /// By how much clocks are off, at most and either way, in milliseconds.
    pub skew_ms: u64,
    /// The policy at the start.
    pub policy: SignedPolicy,
    /// The lifetime of tickets, in seconds.
    pub ticket_life_s: u64,
}

/// A future event.
#[derive(Debug)]
enum Event {
    Arrive { to: usize, from: usize, wire: Wire },
    Offer { of: usize, topic: Topic, bytes: Arc<[u8]> },
    Wake { peer: usize },
    Link { a: usize, b: usize },
    Dial { from: usize, to: PeerKey },
    Subscribe { at: usize, to: PeerKey },
}

/// A simulated realm.
#[derive(Debug)]
pub struct Sim {
    setup: Setup,
    rng: ChaCha8Rng,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    next_event: u64,
    next_link: u64,
    peers: Vec<Peer>,
    index_of: BTreeMap<PeerKey, usize>,
    /// The links that the realm would have without partitions.
    topology: BTreeSet<(usize, usize)>,
    /// Whether links come only from the engines' own dials.
    dials: bool,
    /// The part of the network that each peer is in.
    part: Vec<usize>,
    trace: Sha256,
}

impl Sim {
    /// Creates engines that have each other's tickets, with links between them that come up at once.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let mut sim = Self::of_peers(setup);
        sim.wire_up();
        for number in 0..sim.setup.peers {
            sim.start(number);
        }
        sim
    }

    /// A realm in which nothing has started yet, and without links.
    fn of_peers(setup: Setup) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let part = vec![0; setup.peers];
        let mut sim = Self {
            rng,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            next_event: 0,
            next_link: 0,
            peers: Vec::new(),
            index_of: BTreeMap::new(),
            topology: BTreeSet::new(),
            dials: false,
            part,
            trace: Sha256::new(),
            setup,
        };
        for number in 0..sim.setup.peers {
            let skew = sim.below(2 * sim.setup.skew_ms + 1).cast_signed()
                - sim.setup.skew_ms.cast_signed();
            let seed = sim.rng.next_u64();
            let peer = Peer::new(number, skew, seed, &sim.setup);
            sim.index_of.insert(peer.key(), number);
            sim.peers.push(peer);
        }
        sim
    }

    /// Links the peers in rings over random orders: connected, and with a small diameter.
    fn wire_up(&mut self) {
        let mut order: Vec<usize> = (0..self.setup.peers).collect();
        for _ring in 0..self.setup.degree.div_ceil(2).max(1) {
            for at in (1..order.len()).rev() {
                let other = usize::try_from(self.below(at as u64 + 1)).unwrap_or_default();
                order.swap(at, other);
            }
            for (a, b) in order.iter().zip(order.iter().cycle().skip(1)) {
                if a != b {
                    self.topology.insert((*a.min(b), *a.max(b)));
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let now = self.now_of(number);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.start(now);
        }
        self.after(number);
        let links: Vec<_> =
            self.topology.iter().filter(|(a, b)| *a == number || *b == number).copied().collect();
        for (a, b) in links {
            let wait = Duration::from_millis(50 + self.below(200));
            self.schedule(wait, Event::Link { a, b });
        }
    }

    /// Runs the simulation for this long.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _number), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { peer } => self.wake(peer),
            Event::Link { a, b } => self.link(a, b),
            Event::Dial { from, to } => self.dial(from, to),
            Event::Subscribe { at, to } => {
                for topic in [Topic::Control, Topic::Direct, Topic::Mesh] {
                    self.feed(at, Input::Subscribed { peer: to, topic });
                }
            }
            Event::Arrive { to, from, wire } => self.arrive(to, from, wire),
            Event::Offer { of, topic, bytes } => self.offer(of, topic, &bytes),
        }
    }

    fn wake(&mut self, number: usize) {
        let now = self.now_of(number);
        let Some(peer) = self.peers.get_mut(number).filter(|peer| peer.wakes_at(now.mono)) else {
            return;
        };
        peer.timeout(now);
        self.after(number);
    }

    fn feed(&mut self, number: usize, input: Input) {
        let now = self.now_of(number);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.feed(input, now);
        }
        self.after(number);
    }

    fn gossip(&mut self, number: usize, source: PeerKey, topic: Topic, bytes: &Arc<[u8]>) {
        let now = self.now_of(number);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.hear(source, topic, bytes, now);
        }
        self.after(number);
    }

    /// Sends on what an engine has put out, and notes when to wake it next.
    fn after(&mut self, number: usize) {
        let Some(peer) = self.peers.get_mut(number) else { return };
        let sent = peer.take_sent();
        for line in peer.take_trace() {
            self.trace.update(number.to_be_bytes());
            self.trace.update(line.as_bytes());
        }
        let wake = peer.next_wake();
        for (to, wire) in sent {
            let wires = match to {
                Some(key) => self.index_of.get(&key).map(|to| vec![*to]).unwrap_or_default(),
                None => self.neighbours(number),
            };
            for to in wires {
                self.send(number, to, &wire);
            }
        }
        if let Some(at) = wake {
            self.schedule_at(at, Event::Wake { peer: number });
        }
        for (topic, bytes) in self.peers.get_mut(number).map(Peer::take_offered).unwrap_or_default()
        {
            self.schedule(HEARTBEAT, Event::Offer { of: number, topic, bytes });
        }
        for (a, b) in self.peers.get_mut(number).map(Peer::take_closed).unwrap_or_default() {
            self.unlink(a, b, !self.dials);
        }
        for to in self.peers.get_mut(number).map(Peer::take_dialled).unwrap_or_default() {
            self.dial_soon(number, to);
        }
    }

    fn neighbours(&self, number: usize) -> Vec<usize> {
        let peer = self.peers.get(number);
        let keys = peer.map(Peer::linked).unwrap_or_default();
        keys.iter().filter_map(|key| self.index_of.get(key)).copied().collect()
    }

    fn schedule(&mut self, wait: Duration, event: Event) {
        self.schedule_at(self.now + wait, event);
    }

    fn schedule_at(&mut self, at: Duration, event: Event) {
        self.next_event += 1;
        self.queue.insert((at.max(self.now), self.next_event), event);
    }

    fn now_of(&self, number: usize) -> Now {
        let skew = self.peers.get(number).map_or(0, Peer::skew_ms);
        let ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        Now { mono: self.now, wall_ms: (T0 + ms).saturating_add_signed(skew) }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit.max(1)
    }
}

impl Sim {
    /// Lets a peer send a text.
    pub fn say(&mut self, number: usize, text: &str) {
        let Some(request) = self.peers.get_mut(number).map(Peer::next_request) else { return };
        let draft = Draft::new(crate::policy::LOBBY, text);
        self.feed(number, Input::Send { request, draft });
    }

    /// Lets a peer send made-up bytes to all its neighbours, as a modified program could.
    pub fn inject(&mut self, number: usize, topic: Topic, bytes: &[u8]) {
        for to in self.neighbours(number) {
            let wire = Wire::Gossip { topic, bytes: Arc::from(bytes) };
            self.send(number, to, &wire);
        }
    }

    /// Gives a policy to one peer, from which it spreads.
    pub fn publish(&mut self, number: usize, policy: &SignedPolicy) {
        let head = policy.sign_head(&testing::key(1));
        self.feed(number, Input::PublishPolicy { policy: policy.clone(), head });
    }

    /// Gives a moderation to one peer's neighbours.
    pub fn moderation(&mut self, number: usize, order: &SignedModeration) {
        self.inject(number, Topic::Control, &order.to_gossip());
    }

    /// A message signed by a peer's device, with any content that the test makes up.
    #[must_use]
    pub fn forge(
        &self,
        number: usize,
        change: impl FnOnce(&mut crate::message::Content),
    ) -> Option<VerifiedMessage> {
        self.peers.get(number)?.forge(self.now_of(number), change)
    }

    /// Partitions the network: peer `n` is in part `part_of(n)`. A single part for all heals it.
    pub fn partition(&mut self, part_of: impl Fn(usize) -> usize) {
        self.part = (0..self.setup.peers).map(part_of).collect();
        if self.dials {
            self.cut_between_parts();
        }
        for (a, b) in self.topology.clone() {
            if self.part.get(a) == self.part.get(b) {
                let wait = Duration::from_millis(100 + self.below(900));
                self.schedule(wait, Event::Link { a, b });
            } else {
                self.unlink(a, b, false);
            }
        }
    }

    /// Kills a program and starts it again on the same disk.
    pub fn restart(&mut self, number: usize) {
        for other in self.neighbours(number) {
            self.unlink(number.min(other), number.max(other), false);
        }
        self.start(number);
    }

    /// Renews a peer's ticket, as when the login node is back.
    pub fn renew(&mut self, number: usize) {
        let now_s = self.now_of(number).wall_ms / 1_000;
        let life_s = self.setup.ticket_life_s;
        let ticket = self.peers.get_mut(number).map(|peer| peer.renewed(now_s, life_s));
        if let Some(ticket) = ticket {
            self.feed(number, Input::Renewed(ticket));
        }
    }

    /// Brings the links that the network allows up again, as dials would.
    pub fn redial(&mut self) {
        self.partition(|_number| 0);
    }

    /// Changes the faults of the network.
    pub fn set_faults(&mut self, faults: Faults) {
        self.setup.faults = faults;
    }

    /// What a peer holds: time and id, sorted.
    #[must_use]
    pub fn held(&self, number: usize) -> Vec<(u64, MessageId)> {
        self.peers.get(number).map(Peer::held).unwrap_or_default()
    }

    /// What a peer's disk shows: time and id, sorted. It must equal what the engine holds.
    #[must_use]
    pub fn shown(&self, number: usize) -> Vec<(u64, MessageId)> {
        self.peers.get(number).map(Peer::shown).unwrap_or_default()
    }

    /// How many messages of an account a peer shows, and how many of them folded.
    #[must_use]
    pub fn shown_of(&self, number: usize, account: AccountId) -> (usize, usize) {
        self.peers.get(number).map(|peer| peer.shown_of(account)).unwrap_or_default()
    }

    /// The members whose messages differ from those of peer 0, or from those on their disk. A peer that peer 0 knows to
    /// be banned does not count: it receives nothing, and may not even learn why.
    #[must_use]
    pub fn different(&self) -> Vec<usize> {
        let first = self.held(0);
        let differs = |number: &usize| {
            let held = self.held(*number);
            let is_member = self
                .peers
                .get(*number)
                .zip(self.peers.first())
                .is_some_and(|(peer, first)| first.admits(peer, self.now_of(0)));
            is_member && (held != first || held != self.shown(*number))
        };
        (0..self.setup.peers).filter(differs).collect()
    }

    /// A line about a peer, for investigating a failure.
    #[must_use]
    pub fn describe(&self, number: usize) -> String {
        let (first, held) = (self.held(0), self.held(number));
        let lacks = first.iter().filter(|item| !held.contains(item)).count();
        let alone = held.iter().filter(|item| !first.contains(item)).count();
        let links = self.neighbours(number);
        format!(
            "peer {number}: {} held, {lacks} lacking, {alone} of its own, links {links:?}",
            held.len()
        )
    }

    /// How often each refusal occurred, over all engines.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (code, count) in self.peers.iter().flat_map(Peer::refusals) {
            *all.entry(code).or_default() += count;
        }
        all
    }

    /// Bytes that peers have sent each other on `/lanyard/sync/1`.
    #[must_use]
    pub fn sync_bytes(&self) -> u64 {
        self.peers.iter().map(Peer::sync_bytes).sum()
    }

    /// The hash of everything that the engines have put out.
    #[must_use]
    pub fn trace_hash(&self) -> String {
        hex::encode(self.trace.clone().finalize())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now
    }
}

/// The input that reports a new link, with the Hello of the other end.
fn link_input(id: u64, of: &Peer, dialled: bool, now: Now) -> Option<Input> {
    Some(Input::LinkUp(NewLink {
        id: LinkId(id),
        peer: of.key(),
        dialled,
        relayed: false,
        address: String::new(),
        admission: testing::admission(of.hello(now)?),
    }))
}

//! A simulated peer: an engine, its disk, and the messages that its gossip has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use crate::cose::public_key;
use crate::engine::{
    AskId, Config, Engine, Event, Input, LinkId, Output, Progress, RequestId, Topic,
};
use crate::hello::Hello;
use crate::history::Author;
use crate::ids::{AccountId, MessageId, PeerKey, Role};
use crate::login::PeerAddresses;
use crate::message::{Content, VerifiedMessage};
use crate::policy::LOBBY;
use crate::roster::{Change, Reason};
use crate::testing;
use crate::ticket::Ticket;
use crate::time::{Now, RealmClock};
use crate::verdict::Acceptance;

use super::Setup;
use super::network::Wire;
use super::store::Disk;
use super::trace;

/// Of this many peers, one is a moderator and one a guest.
const ROLES_EVERY: usize = 20;
/// To how many neighbours gossip forwards a message at once, at most.
const FORWARD_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Peer {
    key: SigningKey,
    ticket: Arc<Ticket>,
    skew_ms: i64,
    seed: u64,
    engine: Option<Engine>,
    disk: Disk,
    /// The link to each neighbour: its name and its two ends.
    pub(super) links: BTreeMap<PeerKey, (u64, usize, usize)>,
    /// What gossip has seen, by topic and bytes.
    seen: BTreeSet<[u8; 32]>,
    next_request: u64,
    asked: BTreeMap<RequestId, (PeerKey, AskId)>,
    open_asks: BTreeSet<AskId>,
    /// Bytes to send, and to which neighbour; `None` means all.
    sent: Vec<(Option<PeerKey>, Wire)>,
    /// Gossip that some neighbours have not received.
    offered: Vec<(Topic, Arc<[u8]>)>,
    closed: Vec<(usize, usize)>,
    dialled: Vec<PeerKey>,
    /// The peers that this one has reported as lost.
    lost: Vec<PeerKey>,
    trace: Vec<String>,
    woken_at: Option<Duration>,
    sync_bytes: u64,
}

impl Peer {
    pub(super) fn new(number: usize, skew_ms: i64, seed: u64, setup: &Setup) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("simulated peer {number}")).into();
        let key = SigningKey::from_bytes(&digest);
        let mut claims = testing::claims(&testing::key(1), &key, &format!("user{number}"));
        claims.role = match number % ROLES_EVERY {
            1 => Role::Moderator,
            2 => Role::Guest,
            _ => Role::Member,
        };
        claims.expires_at_s = claims.issued_at_s + setup.ticket_life_s;
        Self {
            ticket: Arc::new(Ticket::issue(claims, &testing::key(1))),
            key,
            skew_ms,
            seed,
            engine: None,
            disk: Disk::new(setup.policy.clone()),
            links: BTreeMap::new(),
            seen: BTreeSet::new(),
            next_request: 0,
            asked: BTreeMap::new(),
            open_asks: BTreeSet::new(),
            sent: Vec::new(),
            offered: Vec::new(),
            closed: Vec::new(),
            dialled: Vec::new(),
            lost: Vec::new(),
            trace: Vec::new(),
            woken_at: None,
            sync_bytes: 0,
        }
    }

    /// Starts the program anew, on the same disk.
    pub(super) fn start(&mut self, now: Now) {
        self.disk.boot = (self.disk.boot + 1).max(now.wall_ms);
        self.links.clear();
        self.seen.clear();
        self.asked.clear();
        self.open_asks.clear();
        let (recent, rest) = self.disk.index(now.wall_ms);
        let mut seed = [0; 32];
        for (place, byte) in seed.iter_mut().zip(self.seed.to_be_bytes()) {
            *place = byte;
        }
        let config = Config {
            key: self.key.clone(),
            ticket: (*self.ticket).clone(),
            policy: self.disk.policy.clone(),
            boot: self.disk.boot,
            session: self.disk.boot ^ self.seed,
            clock: RealmClock::restored(0, 0),
            oldest: self.disk.oldest(),
            stored: recent,
            moderations: self.disk.moderations.clone(),
            unsent: self.disk.unsent(),
            seed,
        };
        self.engine = Some(Engine::new(config, now));
        self.drain(now);
        self.feed(Input::Index { stored: rest, done: true }, now);
    }

    pub(super) fn feed(&mut self, input: Input, now: Now) {
        if let Some(engine) = &mut self.engine {
            engine.handle_input(input, now);
        }
        self.drain(now);
    }

    /// Passes each gossip message to the engine once, and forwards what the engine accepts.
    pub(super) fn hear(&mut self, source: PeerKey, topic: Topic, bytes: &Arc<[u8]>, now: Now) {
        let Some(engine) = &mut self.engine else { return };
        let acceptance = engine.handle_gossip(source, topic, bytes, now);
        let follow_ups = self.carry_out_all();
        self.trace.push(trace::verdict_line(acceptance, source));
        if acceptance == Acceptance::Accept {
            self.forward(source, topic, bytes);
        }
        self.follow_up(follow_ups, now);
    }

    pub(super) fn timeout(&mut self, now: Now) {
        self.woken_at = None;
        if let Some(engine) = &mut self.engine {
            engine.handle_timeout(now);
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Now) {
        let follow_ups = self.carry_out_all();
        self.follow_up(follow_ups, now);
    }

    fn follow_up(&mut self, follow_ups: Vec<Input>, now: Now) {
        for input in follow_ups {
            if let Some(engine) = &mut self.engine {
                engine.handle_input(input, now);
            }
            // Drain before the next input.
            self.carry_out_all();
        }
    }

    /// Carries out what the engine asks for. Returns the inputs that follow from it.
    fn carry_out_all(&mut self) -> Vec<Input> {
        let mut follow_ups = Vec::new();
        while let Some(output) = self.engine.as_mut().and_then(Engine::poll_output) {
            self.trace.extend(trace::line(&output));
            follow_ups.extend(self.carry_out(output));
        }
        follow_ups
    }

    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Store { message, folded, .. } => self.disk.store(&message, folded),
            Output::StoreOwn { request, message } => {
                self.disk.store_own(&message);
                return Some(Input::OwnStored { request, result: Ok(()) });
            }
            Output::Resettle(resettled) => self.disk.resettle(&resettled),
            Output::Forget { before } => self.disk.forget(before),
            Output::StoreModeration(moderation) => self.disk.moderations.push(*moderation),
            Output::StorePolicy(policy) => self.disk.policy = *policy,
            Output::Load { request, ids, .. } => {
                return Some(Input::Loaded { request, pairs: self.disk.load(&ids) });
            }
            Output::Ask { peer, ask, bytes } => {
                self.open_asks.insert(ask);
                self.sync_bytes += bytes.len() as u64;
                self.sent.push((Some(peer), Wire::Ask { ask, bytes: bytes.into() }));
            }
            Output::Answer { request, bytes } => {
                self.sync_bytes += bytes.len() as u64;
                if let Some((peer, ask)) = self.asked.remove(&request) {
                    let wire = Wire::Reply { ask, bytes: Some(bytes.into()) };
                    self.sent.push((Some(peer), wire));
                }
            }
            Output::Publish { topic, bytes, message } => {
                return self.publish(topic, bytes, message);
            }
            Output::Close(LinkId(id)) => {
                let ends = self.links.values().find(|(link, _a, _b)| *link == id);
                self.closed.extend(ends.map(|(_id, a, b)| (*a, *b)));
            }
            Output::Event(Event::State { id, state: Progress::Sent }) => self.disk.mark_sent(id),
            Output::Event(Event::Presence(Change { peer, reason: Reason::Lost, .. })) => {
                self.lost.push(peer);
            }
            Output::Dial(PeerAddresses { peer, .. }) => self.dialled.push(peer),
            Output::Event(_) | Output::View(_) | Output::StorePeer(_) => {}
        }
        None
    }

    fn publish(
        &mut self,
        topic: Topic,
        bytes: Vec<u8>,
        message: Option<MessageId>,
    ) -> Option<Input> {
        let reached = !self.links.is_empty();
        let bytes: Arc<[u8]> = bytes.into();
        if reached && self.seen.insert(fingerprint(topic, &bytes)) {
            self.sent.push((None, Wire::Gossip { topic, bytes }));
        }
        message.map(|message| Input::Published { message, reached })
    }

    /// Forwards accepted gossip, except on `direct`, where the author sends to all peers itself.
    fn forward(&mut self, source: PeerKey, topic: Topic, bytes: &Arc<[u8]>) {
        if topic == Topic::Direct {
            return;
        }
        let others: Vec<PeerKey> =
            self.links.keys().filter(|peer| **peer != source).copied().collect();
        // As in a mesh, not to all if there are many; the others hear of it at the next heartbeat. Which ones differs
        // from message to message.
        if others.len() > FORWARD_MAX {
            self.offered.push((topic, Arc::clone(bytes)));
        }
        let [first, second, ..] = fingerprint(topic, bytes);
        let skip = usize::from(u16::from_be_bytes([first, second])) % others.len().max(1);
        for peer in others.iter().cycle().skip(skip).take(others.len().min(FORWARD_MAX)) {
            let wire = Wire::Gossip { topic, bytes: Arc::clone(bytes) };
            self.sent.push((Some(*peer), wire));
        }
    }

    pub(super) fn has_heard(&self, topic: Topic, bytes: &[u8]) -> bool {
        self.seen.contains(&fingerprint(topic, bytes))
    }

    /// Whether gossip sees a message for the first time.
    pub(super) fn is_new(&mut self, topic: Topic, bytes: &[u8]) -> bool {
        self.seen.insert(fingerprint(topic, bytes))
    }

    pub(super) fn is_asked(&mut self, request: RequestId, peer: PeerKey, ask: AskId) {
        self.asked.insert(request, (peer, ask));
    }

    pub(super) fn is_answered(&mut self, ask: AskId) -> bool {
        self.open_asks.remove(&ask)
    }

    pub(super) fn next_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    pub(super) fn wakes_at(&self, mono: Duration) -> bool {
        self.woken_at.is_some_and(|at| at <= mono)
    }

    /// The engine's next deadline, unless it is already noted.
    pub(super) fn next_wake(&mut self) -> Option<Duration> {
        let due = self.engine.as_ref()?.poll_timeout()?;
        if self.woken_at.is_some_and(|noted| noted <= due) {
            return None;
        }
        self.woken_at = Some(due);
        Some(due)
    }

    pub(super) fn forge(
        &self,
        now: Now,
        change: impl FnOnce(&mut Content),
    ) -> Option<VerifiedMessage> {
        let mut content = Content {
            room: LOBBY.to_owned(),
            session: 1,
            seq: 0,
            sent_at: now.wall_ms,
            body: "made up".into(),
        };
        change(&mut content);
        VerifiedMessage::author(content, Arc::clone(&self.ticket), &self.key).ok()
    }

    /// The next ticket of the same bearer.
    pub(super) fn renewed(&mut self, issued_at_s: u64, life_s: u64) -> Ticket {
        let mut claims = self.ticket.claims().clone();
        (claims.issued_at_s, claims.expires_at_s) = (issued_at_s, issued_at_s + life_s);
        let ticket = Ticket::issue(claims, &testing::key(1));
        self.ticket = Arc::new(ticket.clone());
        ticket
    }

    pub(super) fn hello(&self, now: Now) -> Option<Hello> {
        Some(self.engine.as_ref()?.view().hello_at(now))
    }

    /// Whether another peer is a member, as far as this one knows.
    pub(super) fn admits(&self, other: &Self, now: Now) -> bool {
        let author = Author::of(&other.ticket);
        let banned = |engine: &Engine| engine.rules().ban_at(&author, now.wall_ms).is_some();
        !self.engine.as_ref().is_some_and(banned)
    }

    pub(super) fn key(&self) -> PeerKey {
        public_key(&self.key)
    }

    pub(super) fn skew_ms(&self) -> i64 {
        self.skew_ms
    }

    pub(super) fn linked(&self) -> BTreeSet<PeerKey> {
        self.links.keys().copied().collect()
    }

    pub(super) fn take_sent(&mut self) -> Vec<(Option<PeerKey>, Wire)> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn take_offered(&mut self) -> Vec<(Topic, Arc<[u8]>)> {
        std::mem::take(&mut self.offered)
    }

    pub(super) fn take_closed(&mut self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.closed)
    }

    pub(super) fn take_dialled(&mut self) -> Vec<PeerKey> {
        std::mem::take(&mut self.dialled)
    }

    /// Stops the program without a goodbye.
    pub(super) fn stop(&mut self) {
        self.engine = None;
    }

    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    pub(super) fn lost(&self) -> &[PeerKey] {
        &self.lost
    }

    pub(super) fn forget_lost(&mut self) {
        self.lost.clear();
    }

    pub(super) fn take_trace(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }

    pub(super) fn held(&self) -> Vec<(u64, MessageId)> {
        let held = |engine: &Engine| engine.history().set().items(0, u64::MAX).collect();
        self.engine.as_ref().map(held).unwrap_or_default()
    }

    pub(super) fn shown(&self) -> Vec<(u64, MessageId)> {
        self.disk.shown()
    }

    pub(super) fn shown_of(&self, account: AccountId) -> (usize, usize) {
        self.disk.of_account(account)
    }

    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        let engines = self.engine.iter();
        engines.flat_map(Engine::refusals).map(|(code, count)| (code, *count)).collect()
    }

    pub(super) fn sync_bytes(&self) -> u64 {
        self.sync_bytes
    }
}

fn fingerprint(topic: Topic, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([topic as u8]);
    hasher.update(bytes);
    hasher.finalize().into()
}

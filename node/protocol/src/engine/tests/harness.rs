//! One engine with its time, and helpers that read its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use crate::admission::AdmissionView;
use crate::cose::public_key;
use crate::engine::{
    AskId, Config, EndReason, Engine, Event, Input, Link, LinkId, NewLink, Output, StoredIndex,
    Topic,
};
use crate::hello::Hello;
use crate::ids::PeerKey;
use crate::message::Draft;
use crate::policy::{Policy, SignedPolicy};
use crate::reconcile::{SyncReply, SyncRequest};
use crate::roster::Reason;
use crate::testing::{self, T0};
use crate::ticket::{Claims, Ticket};
use crate::time::{Now, RealmClock};
use crate::verdict::Acceptance;

/// The boot of every simulated peer, unless a test says otherwise.
pub(super) const BOOT: u64 = 100;

pub(super) fn realm() -> SigningKey {
    testing::key(1)
}

pub(super) fn key_of(number: u8) -> PeerKey {
    public_key(&testing::key(number))
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The realm's policy, as changed by the test, and signed.
pub(super) fn policy(number: u64, change: impl FnOnce(&mut Policy)) -> SignedPolicy {
    let mut policy = testing::policy(&realm());
    policy.number = number;
    change(&mut policy);
    SignedPolicy::sign(policy, &realm()).unwrap()
}

pub(super) fn ticket_of(number: u8, change: impl FnOnce(&mut Claims)) -> Ticket {
    let mut claims = testing::claims(&realm(), &testing::key(number), &format!("user{number}"));
    change(&mut claims);
    Ticket::issue(claims, &realm())
}

/// The Hello of the peer with this number at [`T0`].
pub(super) fn hello_of(number: u8) -> Hello {
    let ticket = ticket_of(number, |_claims| {}).as_bytes().to_vec();
    Hello { realm: public_key(&realm()), time: T0, boot: BOOT, policy: 1, ticket }
}

pub(super) fn config_of(number: u8) -> Config {
    Config {
        key: testing::key(number),
        ticket: ticket_of(number, |_claims| {}),
        policy: policy(1, |_policy| {}),
        boot: BOOT,
        session: u64::from(number),
        clock: RealmClock::restored(0, 0),
        stored: StoredIndex::default(),
        oldest: None,
        moderations: Vec::new(),
        unsent: Vec::new(),
        seed: [number; 32],
    }
}

/// One engine and its time, which starts at [`T0`].
pub(super) struct Peer {
    pub(super) engine: Engine,
    pub(super) now: Now,
    /// The newest view that the engine has given its gate.
    pub(super) view: Option<AdmissionView>,
    heads: u64,
    /// The newest unanswered request to each peer.
    asks: BTreeMap<PeerKey, AskId>,
}

impl Peer {
    pub(super) fn new(number: u8) -> Self {
        let (peer, _outputs) = Self::start(config_of(number));
        peer
    }

    pub(super) fn start(config: Config) -> (Self, Vec<Output>) {
        let now = Now { mono: Duration::ZERO, wall_ms: T0 };
        let engine = Engine::new(config, now);
        let mut peer = Self { engine, now, view: None, heads: 0, asks: BTreeMap::new() };
        let outputs = peer.drain();
        (peer, outputs)
    }

    fn drain(&mut self) -> Vec<Output> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.engine.poll_output()).collect();
        for output in &outputs {
            match output {
                Output::View(view) => self.view = Some((**view).clone()),
                Output::Ask { peer, ask, .. } => {
                    self.asks.insert(*peer, *ask);
                }
                _other => {}
            }
        }
        outputs
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Output> {
        self.engine.handle_input(input, self.now);
        self.drain()
    }

    /// Lets time pass, and calls the engine whenever it asked to be called.
    pub(super) fn advance(&mut self, by: Duration) -> Vec<Output> {
        let end = self.now.mono + by;
        let mut outputs = Vec::new();
        let mut turns_in_this_instant = 0;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            turns_in_this_instant = if due > self.now.mono { 0 } else { turns_in_this_instant + 1 };
            assert!(turns_in_this_instant < 10, "the engine asks to be woken without end");
            self.pass(due.max(self.now.mono));
            self.engine.handle_timeout(self.now);
            outputs.extend(self.drain());
        }
        self.pass(end);
        outputs
    }

    fn pass(&mut self, mono: Duration) {
        let passed = mono.checked_sub(self.now.mono).unwrap();
        self.now.wall_ms += u64::try_from(passed.as_millis()).unwrap();
        self.now.mono = mono;
    }

    pub(super) fn link_with(&mut self, id: u64, number: u8, hello: Hello) -> Vec<Output> {
        self.feed(link_input(id, number, false, hello))
    }

    /// Brings up a link that has subscribed.
    pub(super) fn link(&mut self, id: u64, number: u8) -> Vec<Output> {
        let mut outputs = self.link_with(id, number, hello_of(number));
        outputs.extend(self.subscribe(number));
        outputs
    }

    pub(super) fn subscribe(&mut self, number: u8) -> Vec<Output> {
        let peer = key_of(number);
        let subscribed = |topic| Input::Subscribed { peer, topic };
        Topic::ALL.into_iter().flat_map(|topic| self.feed(subscribed(topic))).collect()
    }

    pub(super) fn gossip(&mut self, source: u8, topic: Topic, bytes: &[u8]) -> Heard {
        let verdict = self.engine.handle_gossip(key_of(source), topic, bytes, self.now);
        Heard { verdict, outputs: self.drain() }
    }

    /// Answers the newest request to a peer with a policy, or with none. If there was no request, the head of a newer
    /// policy causes one.
    pub(super) fn answer_policy(&mut self, number: u8, document: Option<Vec<u8>>) -> Vec<Output> {
        if !self.asks.contains_key(&key_of(number)) {
            if !self.engine.links().any(|link| link.peer == key_of(number)) {
                self.link(900 + u64::from(number), number);
            }
            self.heads += 1;
            let newer = 1_000_000 + self.heads;
            let head = policy(newer, |_policy| {}).sign_head(&realm());
            self.gossip(number, Topic::Control, &head);
        }
        let reply = document.map_or(SyncReply::NotFound, SyncReply::Ok);
        let ask = self.asks.remove(&key_of(number)).expect("something was asked");
        self.feed(Input::Answered { ask, bytes: Some(reply.to_bytes()) })
    }

    pub(super) fn send(&mut self, request: u64, text: &str) -> Vec<Output> {
        self.feed(Input::Send { request, draft: Draft::new("lobby", text) })
    }

    /// Sends and stores a text. Returns the bytes that went on gossip, and all outputs.
    pub(super) fn say(&mut self, request: u64, text: &str) -> (Vec<u8>, Vec<Output>) {
        let mut outputs = self.send(request, text);
        outputs.extend(self.feed(Input::OwnStored { request, result: Ok(()) }));
        let bytes = said(&outputs).pop().unwrap();
        (bytes, outputs)
    }

    pub(super) fn links(&self) -> Vec<u64> {
        self.engine.links().map(|Link { id: LinkId(id), .. }| *id).collect()
    }
}

pub(super) fn link_input(id: u64, number: u8, dialled: bool, hello: Hello) -> Input {
    Input::LinkUp(NewLink {
        id: LinkId(id),
        peer: key_of(number),
        dialled,
        relayed: false,
        address: format!("/ip4/10.0.0.{number}/tcp/4003"),
        admission: testing::admission(hello),
    })
}

/// What the engine did with a message from gossip.
#[derive(Debug)]
pub(super) struct Heard {
    verdict: Acceptance,
    pub(super) outputs: Vec<Output>,
}

impl std::ops::Deref for Heard {
    type Target = [Output];

    fn deref(&self) -> &[Output] {
        &self.outputs
    }
}

pub(super) fn verdict(heard: &Heard) -> Acceptance {
    heard.verdict
}

pub(super) fn published(outputs: &[Output], on: Topic) -> Vec<Vec<u8>> {
    let bytes_of = |output: &Output| match output {
        Output::Publish { topic, bytes, .. } if *topic == on => Some(bytes.clone()),
        _other => None,
    };
    outputs.iter().filter_map(bytes_of).collect()
}

/// The messages that went out, on any topic.
pub(super) fn said(outputs: &[Output]) -> Vec<Vec<u8>> {
    let mut said = published(outputs, Topic::Direct);
    said.extend(published(outputs, Topic::Mesh));
    said
}

pub(super) fn stored_texts(outputs: &[Output]) -> Vec<String> {
    let text_of = |output: &Output| match output {
        Output::Store { message, .. } => Some(message.content().body.text.clone()),
        _other => None,
    };
    outputs.iter().filter_map(text_of).collect()
}

pub(super) fn closed(outputs: &[Output]) -> Vec<u64> {
    let id_of = |output: &Output| match output {
        Output::Close(LinkId(id)) => Some(*id),
        _other => None,
    };
    outputs.iter().filter_map(id_of).collect()
}

pub(super) fn fetched(outputs: &[Output]) -> Vec<(PeerKey, u64)> {
    let fetch_of = |output: &Output| match output {
        Output::Ask { peer, bytes, .. } => match SyncRequest::parse(bytes) {
            Ok(SyncRequest::PolicyGet(number)) => Some((*peer, number)),
            _other => None,
        },
        _other => None,
    };
    outputs.iter().filter_map(fetch_of).collect()
}

pub(super) fn dialled(outputs: &[Output]) -> Vec<PeerKey> {
    let peer_of = |output: &Output| match output {
        Output::Dial(candidate) => Some(candidate.peer),
        _other => None,
    };
    outputs.iter().filter_map(peer_of).collect()
}

pub(super) fn presences(outputs: &[Output]) -> Vec<(PeerKey, Reason)> {
    let change_of = |output: &Output| match output {
        Output::Event(Event::Presence(change)) => Some((change.peer, change.reason)),
        _other => None,
    };
    outputs.iter().filter_map(change_of).collect()
}

pub(super) fn ended(outputs: &[Output]) -> Vec<EndReason> {
    let reason_of = |output: &Output| match output {
        Output::Event(Event::Ended(reason)) => Some(reason.clone()),
        _other => None,
    };
    outputs.iter().filter_map(reason_of).collect()
}

/// A text in the lobby by the peer with this number, as it travels.
pub(super) fn text_by(number: u8, text: &str, sent_at: u64) -> Vec<u8> {
    let user = format!("user{number}");
    testing::message(&realm(), &testing::key(number), &user, text, sent_at).to_gossip()
}

/// A presence by the peer with this number, as it travels.
pub(super) fn presence_by(number: u8, boot: u64, n: u64, at: u64) -> Arc<[u8]> {
    let user = format!("user{number}");
    testing::presence(&realm(), &testing::key(number), &user, boot, n, at).pair
}

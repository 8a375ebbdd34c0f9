//! What the hostile member and its friends do.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use lanyard_node::NodeEvent;
use lanyard_protocol::cose::{self, Kind};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::limits::{AHEAD_MS_MAX, GOSSIP_AGE_MS_MAX};
use lanyard_protocol::message::Content;
use lanyard_protocol::policy::PolicyHead;
use lanyard_protocol::reconcile::{
    Batch, SetName, SyncReply, SyncRequest, Window, frames_to_bytes, policy_number_reply,
};
use lanyard_protocol::ticket::{Claims, Ticket};
use lanyard_protocol::wire;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::cast::{Honest, SOON, claims, key, now_ms, peer, ticket, within};
use crate::forgery::forgeries;
use crate::frames::Scribe;
use crate::hostile_member_program::Program;
use crate::hostile_member_watch::{EARLY, FORBIDDEN, Scores, Shown};
use crate::member::{Renegade, Seen, message, message_with};

const PER_SECOND: u32 = if cfg!(debug_assertions) { 100 } else { 1_000 };
/// How many messages of the flood are kept, to be sent again at the end.
const KEPT: u64 = 100;
pub(crate) const LINE_OF_BOB: &str = "line of bob";
/// How many of bob's lines are on a wrong topic first.
const SHADOWED: usize = 12;

pub(crate) fn is_soak() -> bool {
    std::env::var_os("LANYARD_SOAK").is_some()
}

fn attack_lasts() -> Duration {
    Duration::from_secs(if is_soak() { 60 } else { 5 })
}

/// What the flood must have come to, beside what is sent again.
pub(crate) fn published_at_least() -> u64 {
    attack_lasts().as_secs() * u64::from(PER_SECOND)
}

/// For this long after the attack what was sent first is sent again: until the memory of everything that was kept has
/// ended, which took some seconds to send.
fn repeats_last() -> Duration {
    Duration::from_secs(if is_soak() { 10 } else { 1 })
}

/// Gossip remembers for 60 s what it has seen; after that, the same bytes are news to it.
fn forgotten_after() -> Duration {
    Duration::from_secs(if is_soak() { 61 } else { 0 })
}

/// What mallory puts on gossip: the n-th of a thousand a second.
fn flood(n: u64, began: u64, ticket: &Ticket) -> Vec<u8> {
    let now = now_ms();
    let say = |change: &dyn Fn(&mut Content)| {
        let change = |content: &mut Content| change(content);
        message_with(ticket.clone(), "mallory", change).to_gossip()
    };
    match n % 7 {
        // A new session for every message.
        0 => say(&|it| (it.session, it.seq, it.body.text) = (n, 0, format!("lawful {n}"))),
        // The same number twice.
        1 => say(&|it| (it.session, it.seq, it.body.text) = (7, 0, format!("twice {n}"))),
        2 => say(&|it| {
            (it.sent_at, it.body.text) = (now - 86_400_000, format!("{FORBIDDEN} stale {n}"));
        }),
        3 => say(&|it| {
            (it.sent_at, it.body.text) = (now + 2 * AHEAD_MS_MAX, format!("{FORBIDDEN} {n}"));
        }),
        4 => say(&|it| it.body.text = format!("{FORBIDDEN} {n} {}", "x".repeat(5_000))),
        // Each smaller than the one before, so that each has a place in the quota.
        5 => say(&|it| (it.sent_at, it.body.text) = (began - n % 30_000, format!("down {n}"))),
        _six => say(&|it| (it.room, it.body.text) = ("cellar".into(), format!("{FORBIDDEN} {n}"))),
    }
}

/// Requests that cost the most for the least.
pub(crate) fn hostile_requests() -> Vec<SyncRequest> {
    let id = |n: u64| MessageId([n.to_be_bytes(); 4].concat().try_into().unwrap());
    let window =
        |since, frame: &[u8]| Window { since, until: u64::MAX - since, frame: frame.to_vec() };
    let strange = [&[0x61, 0, 0, 1][..], &[9; 16]].concat();
    // Ten thousand empty ranges, and then everything.
    let many_ranges = [&[0x61][..], &[1, 0, 0].repeat(10_000), &[0, 0, 2, 0]].concat();
    let reconcile = |set, windows| SyncRequest::Reconcile { set, windows };
    let (messages, moderations) = (SetName::Messages, SetName::Moderations);
    let mut requests = vec![
        reconcile(messages, (0..5).map(|n| window(n, &strange)).collect()),
        reconcile(moderations, vec![window(0, &many_ranges)]),
        reconcile(messages, vec![window(1, &[0x61, 0, 0, 2, 0])]),
        reconcile(messages, vec![window(2, &[0x61, 0xff, 0xff, 0xff])]),
        SyncRequest::Get { set: messages, ids: (0..1_024).map(id).collect() },
        SyncRequest::Get { set: moderations, ids: (0..1_024).map(id).collect() },
        SyncRequest::Held { session: u64::MAX, ranges: vec![(0, u64::MAX)] },
        SyncRequest::PolicyNumber(u64::MAX),
        SyncRequest::PolicyGet(0),
        SyncRequest::Unknown(999),
    ];
    // Never the same window twice, so that nothing that was built helps.
    requests.extend((10..40).map(|n| reconcile(messages, vec![window(n, &strange)])));
    requests
}

/// Promises what there is not.
pub(crate) fn promise(request: &SyncRequest) -> SyncReply {
    match request {
        SyncRequest::Reconcile { windows, .. } => {
            // Ids that nobody has, to infinity.
            let ids: Vec<u8> = (0..1_000u64).flat_map(|n| [n.to_be_bytes(); 4].concat()).collect();
            let frame = [&[0x61, 0, 0, 2, 0x87, 0x68][..], &ids].concat();
            SyncReply::Ok(frames_to_bytes(&vec![frame; 1.min(windows.len())]))
        }
        SyncRequest::Get { .. } => SyncReply::Ok(Batch::default().to_bytes()),
        SyncRequest::PolicyNumber(_) => policy_number_reply(u64::MAX),
        SyncRequest::Held { .. } | SyncRequest::Part(_) => SyncReply::Ok(Vec::new()),
        SyncRequest::PolicyGet(_) | SyncRequest::Unknown(_) => SyncReply::NotFound,
    }
}

/// Forgeries of every kind, three from each forger: then its link is closed, and that of nobody else.
pub(crate) async fn forge(host: &Honest) {
    let head = PolicyHead { realm: peer("realm"), number: u64::MAX, sha256: [7; 32], length: 9 };
    let mut all: Vec<(&str, Topic, Vec<u8>)> =
        forgeries().into_iter().map(|(what, bytes)| (what, Topic::Mesh, bytes)).collect();
    let head = cose::sign(Kind::PolicyHead, &key("mallory"), &wire::encode(&head));
    all.push(("a policy head", Topic::Control, head));
    all.push(("a text on control", Topic::Control, message("ben", FORBIDDEN).to_gossip()));
    for (number, three) in all.chunks(3).enumerate() {
        let mut forger = Renegade::join(&format!("forger {number}"), host, Topic::Mesh).await;
        for (_what, topic, bytes) in three {
            forger.publishes(*topic, bytes.clone()).await;
        }
        if three.len() == 3 {
            forger.sees(|seen| *seen == Seen::Unlinked).await;
        }
    }
}

/// What mallory sends, and sends again.
struct Flood<'a> {
    mallory: &'a Program,
    began: Instant,
    began_ms: u64,
    old: Ticket,
    sent: u64,
    kept: Vec<(Instant, Vec<u8>)>,
    repeated: u64,
}

impl<'a> Flood<'a> {
    async fn begin(mallory: &'a Program) -> Self {
        let (began, began_ms) = (Instant::now(), now_ms());
        let old = long_since("mallory");
        let early = early(began_ms);
        mallory.publishes(Topic::Mesh, early.clone()).await;
        let kept = vec![(Instant::now(), early)];
        Self { mallory, began, began_ms, old, sent: 0, kept, repeated: 0 }
    }

    async fn goes_on(&mut self) {
        let passed = self.began.elapsed();
        let due = u64::try_from(passed.as_millis()).unwrap() * u64::from(PER_SECOND) / 1_000;
        let repeats = passed >= attack_lasts();
        while self.sent < due {
            if repeats {
                self.repeat().await;
            } else {
                self.send().await;
            }
            self.sent += 1;
        }
    }

    async fn send(&mut self) {
        let bytes = flood(self.sent, self.began_ms, &self.old);
        self.mallory.publishes(Topic::Mesh, bytes.clone()).await;
        if self.sent < KEPT {
            self.kept.push((Instant::now(), bytes));
        } else if self.sent.is_multiple_of(50) {
            let kept = &self.kept[usize::try_from(self.sent / 50).unwrap() % self.kept.len()].1;
            self.mallory.publishes(Topic::Direct, kept.clone()).await;
            self.mallory.publishes(Topic::Mesh, kept.clone()).await;
        }
    }

    /// One of its own, or of what it has heard from others, that is forgotten by now.
    async fn repeat(&mut self) {
        let heard = self.mallory.heard.lock().unwrap().clone();
        let all = self.kept.iter().chain(&heard).filter(|(at, _)| at.elapsed() > forgotten_after());
        let all: Vec<_> = all.collect();
        let next = usize::try_from(self.repeated).unwrap() % all.len().max(1);
        if let Some((_at, bytes)) = all.get(next) {
            self.mallory.publishes(Topic::Mesh, bytes.clone()).await;
            self.repeated += 1;
        }
    }
}

/// A ticket that was issued before anything that is said here.
fn long_since(name: &str) -> Ticket {
    let issued_at_s = now_ms() / 1_000 - 7_200;
    Ticket::issue(Claims { issued_at_s, ..claims(name) }, &key("realm"))
}

/// From the future now; no longer when gossip has forgotten it.
fn early(now: u64) -> Vec<u8> {
    let change = |it: &mut Content| {
        (it.sent_at, it.body.text) = (now + AHEAD_MS_MAX + 30_000, EARLY.to_owned());
    };
    message_with(ticket("earl"), "earl", change).to_gossip()
}

/// The flood for as long as the attack lasts, and what comes again after it.
pub(crate) async fn flood_and_repeat(all: &[Honest], mallory: &Program, shown: &Mutex<Shown>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut flood = Flood::begin(mallory).await;
    let news = if is_soak() { all.len() } else { 0 };
    let goes_on = |flood: &Flood<'_>| {
        let over = flood.began.elapsed().saturating_sub(attack_lasts() + repeats_last());
        over.is_zero() || (over < SOON && shown.lock().unwrap().early.len() < news)
    };
    while goes_on(&flood) {
        ticks.tick().await;
        flood.goes_on().await;
    }
    println!("{} sent again when they were forgotten", flood.repeated);
}

/// The very bytes that bob is about to publish, first on a topic that nobody knows and on `control`, at every host;
/// then bob says them, to one host, and that forwards. When each was said.
pub(crate) async fn silence(all: &[Honest], scores: &Mutex<Scores>) -> BTreeMap<String, Instant> {
    let bob = Renegade::join("bob", &all[0], Topic::Mesh).await;
    let uma = Scribe::join("uma", all).await;
    let lines: Vec<_> = (0..SHADOWED).map(|n| format!("{LINE_OF_BOB} {n}")).collect();
    let lines = lines.into_iter().map(|text| (message("bob", &text).to_gossip(), text));
    let lines: Vec<_> = lines.collect();
    for (number, (bytes, _text)) in lines.iter().enumerate() {
        for unknown in [format!("{}2", Topic::Mesh.path(&peer("realm"))), "elsewhere".to_owned()] {
            uma.writes(&unknown, bytes).await;
        }
        // A third would close its links.
        if number < 2 {
            uma.writes(&Topic::Control.path(&peer("realm")), bytes).await;
        }
    }
    for (host, honest) in all.iter().enumerate() {
        let text = format!("uma is done with {host}");
        let mut events = honest.node.events();
        // Nobody forwards it: it is the end of uma's own stream to this host.
        let direct = Topic::Direct.path(&peer("realm"));
        uma.writes_to(host, &direct, &message("uma", &text).to_gossip()).await;
        within(SOON, &text, shown_in(&mut events, &text)).await;
    }
    // Or she is gone before anybody has looked at her.
    within(SOON, "a look at uma", Scores::until_low(scores, peer("uma"), all.len())).await;
    let mut said = BTreeMap::new();
    let mut events = all[0].node.events();
    for (bytes, text) in lines {
        said.insert(text.clone(), Instant::now());
        bob.publishes(Topic::Mesh, bytes).await;
        within(SOON, &text, shown_in(&mut events, &text)).await;
    }
    uma.ends().await;
    said
}

async fn shown_in(events: &mut Receiver<NodeEvent>, text: &str) {
    loop {
        match events.recv().await {
            Ok(NodeEvent::Message(message)) if message.body.text == text => return,
            Err(RecvError::Closed) => panic!("the node has ended"),
            _other => {}
        }
    }
}

/// What one host may still take and the next no longer: nearly too old for gossip. It may cost the first nothing.
pub(crate) async fn set_a_trap(host: &Honest) {
    let mel = Renegade::join("mel", host, Topic::Mesh).await;
    let ticket = long_since("mel");
    let mut ticks = tokio::time::interval(Duration::from_millis(1_100));
    for n in 0.. {
        ticks.tick().await;
        let sent_at = now_ms() - GOSSIP_AGE_MS_MAX + 5 * (n % 10);
        let change = |it: &mut Content| (it.sent_at, it.body.text) = (sent_at, format!("edge {n}"));
        let bytes = message_with(ticket.clone(), "mel", change).to_gossip();
        mel.publishes(Topic::Mesh, bytes).await;
    }
}

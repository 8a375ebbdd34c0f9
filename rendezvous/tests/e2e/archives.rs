//! Rooms with a long past: a newcomer gets all of it, quickly and with little memory, while the others keep talking;
//! and a peer with a full store is ready at once.

use std::collections::BTreeSet;
use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::traffic::{
    expect_nothing_twice, figure, full_mesh, log_in_store, memory_kib, missing, pass, quantile,
    said, since,
};
use crate::harness::{PATIENCE, Peer, Realm, archive, is_soak};

/// The peers that have all messages from the start.
const HOLDERS: [&str; 3] = ["alice", "bob", "carol"];
/// The time between two live messages while the newcomer catches up.
const LIVE_EVERY: Duration = Duration::from_millis(200);
/// The newcomer has everything within this time.
const CAUGHT_UP: Duration = Duration::from_secs(60);
/// The newcomer's memory meanwhile, in KiB.
const NEWCOMER_KIB_MAX: u64 = 150 * 1_024;
/// 99 of 100 live messages arrive within this time.
const LIVE_P99_MS: u64 = 1_000;
/// A node is ready within this time, however much it has stored.
const READY: Duration = Duration::from_secs(1);

#[test]
fn a_newcomer_gets_everything_while_the_others_talk() {
    let count = if is_soak() { 100_000 } else { 5_000 };
    let realm = Realm::with(&[&HOLDERS[..], &["dave"]].concat());
    // A first visit creates the profiles.
    HOLDERS.iter().for_each(|name| realm.join(name).quit());
    archive::fill(&realm, &HOLDERS, count);
    let mut holders: Vec<Peer> =
        HOLDERS.iter().map(|name| realm.peer(name).no_password().ready()).collect();
    full_mesh(&mut holders, PATIENCE);

    let began = clock::monotonic();
    let mut dave = realm.peer("dave").spawn();
    dave.become_ready();
    let mut live = [0; HOLDERS.len()];
    let mut caught_up = None;
    for number in 0.. {
        // The others talk at their own pace, whatever the newcomer does.
        pass(began + LIVE_EVERY * number);
        let speaker = usize::try_from(number).unwrap() % HOLDERS.len();
        holders[speaker].say(&format!("live message {number}"));
        live[speaker] += 1;
        let status = dave.ask(json!({"cmd": "status"}));
        if status["messages"].as_u64().unwrap() >= count {
            caught_up = Some(since(began));
            break;
        }
        assert!(since(began) < CAUGHT_UP, "{status} after {:?}", since(began));
    }
    let memory = memory_kib(&dave, "VmHWM");
    let ids: BTreeSet<String> =
        holders.iter_mut().zip(live).flat_map(|(peer, count)| said(peer, count)).collect();
    let until = clock::monotonic() + PATIENCE;
    for peer in holders.iter_mut().chain([&mut dave]) {
        // A peer that got too many events at once may have been told to reload from the store instead.
        let left = missing(peer, &ids, until);
        let told = peer.transcript().iter().any(|line| line["code"] == "reload");
        assert!(left.is_empty() || told, "{} has not shown {left:?}", peer.id());
        expect_nothing_twice(peer);
    }
    let mut delays: Vec<u64> = holders.iter_mut().flat_map(|peer| delays(peer, &ids)).collect();
    let (p50, p99) = (quantile(&mut delays, 0.5), quantile(&mut delays, 0.99));

    let log = log_in_store(&realm.profile("alice"));
    assert_eq!(u64::try_from(log.len()).unwrap(), count + u64::try_from(ids.len()).unwrap());
    assert_eq!(log_in_store(&realm.profile("dave")), log);
    figure(&format!(
        "late joiner: {count} messages in {:.1} s, {} MiB at most; {} live messages of the others meanwhile: p50 {p50} ms, p99 {p99} ms",
        caught_up.unwrap().as_secs_f64(),
        memory / 1_024,
        ids.len(),
    ));
    let (on_the_way, in_the_end) = told_of_backfill(&mut dave);
    assert!(in_the_end, "the newcomer is told that it has all");
    assert!(on_the_way || !is_soak(), "the newcomer is told how far it is, once a second");
    assert!(memory < NEWCOMER_KIB_MAX, "{memory} KiB");
    assert!(p99 < LIVE_P99_MS, "{p99} ms");
}

/// How long the messages of others took from being signed to being stored, in milliseconds.
fn delays(peer: &mut Peer, ids: &BTreeSet<String>) -> Vec<u64> {
    let live = |line: &&Value| {
        line["event"] == "message"
            && line["via"] != "own"
            && line["id"].as_str().is_some_and(|id| ids.contains(id))
    };
    let time = |line: &Value, field: &str| line[field].as_u64().unwrap();
    let delay = |line: &Value| time(line, "received_at").saturating_sub(time(line, "sent_at"));
    peer.transcript().iter().filter(live).map(delay).collect()
}

/// Whether the peer was told of its progress, and that everything has arrived.
fn told_of_backfill(peer: &mut Peer) -> (bool, bool) {
    let lines = peer.transcript().iter().filter(|line| line["code"] == "backfill");
    let texts: Vec<&str> = lines.filter_map(|line| line["text"].as_str()).collect();
    let is_a_part = |text: &&str| {
        let numbers: Vec<u64> =
            text.split(' ').filter_map(|word| word.trim_end_matches('.').parse().ok()).collect();
        matches!(numbers[..], [brought, needed] if 0 < brought && brought < needed)
    };
    let is_the_end = |text: &&str| text.ends_with("have arrived.") && !text.starts_with('0');
    (texts.iter().any(is_a_part), texts.iter().any(is_the_end))
}

#[test]
fn a_peer_with_a_full_store_is_ready_at_once() {
    let count = if is_soak() { 1_000_000 } else { 50_000 };
    let realm = Realm::with(&["alice", "bob"]);
    realm.join("alice").quit();
    let mut bob = realm.join("bob");
    let empty = start_up(&realm);
    archive::fill(&realm, &["alice"], count);
    let full = start_up(&realm);
    figure(&format!(
        "start-up: ready after {full:?} with {count} messages, after {empty:?} with none"
    ));
    assert!(full < READY.max(empty * 3), "{full:?}, and {empty:?} without messages");
    assert!(full < READY || !is_soak(), "{full:?}");

    // It also works: it has its past and takes part.
    let mut alice = realm.peer("alice").no_password().ready();
    let status = alice.ask(json!({"cmd": "status"}));
    assert_eq!(status["messages"].as_u64(), Some(count));
    let page = alice.ask(json!({"cmd": "history", "limit": 500}));
    assert_eq!(page["messages"].as_array().unwrap().len(), 500);
    let id = bob.send("Good morning.");
    alice.expect_message(&id, PATIENCE);
}

/// The median of three starts, from the start of the program to `ready`.
fn start_up(realm: &Realm) -> Duration {
    let mut times = [(); 3].map(|()| {
        let began = clock::monotonic();
        let alice = realm.peer("alice").no_password().ready();
        let took = since(began);
        alice.quit();
        took
    });
    times.sort_unstable();
    times[1]
}

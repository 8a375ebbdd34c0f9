//! What tests of a whole room need: saying much, hearing all of it, and comparing stores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use super::{PATIENCE, Peer};

/// Prints a measurement on a line of its own, for `scripts/soak.sh`.
pub(crate) fn figure(text: &str) {
    println!("\nfigure: {text}");
}

/// Lets time pass until a moment. This is only for times that are themselves the subject of a test, such as how long a
/// cable is out or how often somebody speaks. To wait for an event, wait for its line.
pub(crate) fn pass(until: Instant) {
    while let Some(left) = until.checked_duration_since(clock::monotonic()) {
        if left.is_zero() {
            break;
        }
        std::thread::park_timeout(left);
    }
}

/// The time since a moment.
pub(crate) fn since(moment: Instant) -> Duration {
    clock::monotonic().duration_since(moment)
}

/// Pseudo-random numbers, reproducible by their seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// The seed is `LANYARD_SEED` or the time, and is printed.
    pub(crate) fn new() -> Self {
        let given = std::env::var("LANYARD_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(clock::unix_ms);
        println!("LANYARD_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A duration between the two, in milliseconds.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }
}

/// Names for as many peers.
pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("peer{number:02}")).collect()
}

impl Peer {
    /// Says something in the lobby and does not wait for the answer; see [`said`].
    pub(crate) fn say(&mut self, text: &str) {
        self.write(format!("{}\n", json!({"cmd": "send", "text": text})).as_bytes());
    }

    /// Waits until its latest line on links says that it is linked with this many peers.
    pub(crate) fn expect_links(&mut self, peers: usize, within: Duration) {
        let links = |line: &Value| line["event"] == "link" && line["peers"] == peers;
        let last = self.transcript().iter().rev().find(|line| line["event"] == "link").cloned();
        if !last.is_some_and(|line| links(&line)) {
            self.forget();
            self.expect(&format!("links with {peers} peers"), within, links);
        }
    }
}

/// Waits until every peer is linked with every other.
pub(crate) fn full_mesh(peers: &mut [Peer], within: Duration) {
    let (started, others) = (clock::monotonic(), peers.len() - 1);
    for peer in peers {
        peer.expect_links(others, within.saturating_sub(since(started)));
    }
}

/// The ids of everything a peer was told to [`Peer::say`], which must be this many.
pub(crate) fn said(peer: &mut Peer, count: usize) -> BTreeSet<String> {
    let started = clock::monotonic();
    loop {
        let ids: BTreeSet<String> = peer.transcript().iter().filter_map(answered).collect();
        if ids.len() >= count {
            assert_eq!(ids.len(), count);
            return ids;
        }
        let left = PATIENCE.saturating_sub(since(started));
        peer.expect("the answer to what was said", left, |line| answered(line).is_some());
    }
}

fn answered(line: &Value) -> Option<String> {
    let of_send = line["event"] == "answer" && line["cmd"] == "send";
    of_send.then(|| id(line))
}

fn id(line: &Value) -> String {
    line["id"].as_str().unwrap().to_owned()
}

fn is_message(line: &Value) -> bool {
    line["event"] == "message"
}

/// Waits until a peer has shown all of these, and returns those that it has not shown in time.
pub(crate) fn missing(
    peer: &mut Peer,
    wanted: &BTreeSet<String>,
    until: Instant,
) -> BTreeSet<String> {
    let mut missing = wanted.clone();
    for line in peer.transcript().iter().filter(|line| is_message(line)) {
        missing.remove(line["id"].as_str().unwrap());
    }
    // Lines of the transcript also wait to be taken; looking at one twice does no harm.
    while !missing.is_empty() {
        let left = until.saturating_duration_since(clock::monotonic());
        let Ok(line) = peer.wait_for(left, is_message) else { break };
        missing.remove(line["id"].as_str().unwrap());
    }
    missing
}

/// Who a peer is linked with, for the message of a failing test.
pub(crate) fn linked_with(peer: &mut Peer) -> Vec<String> {
    let status = peer.ask(json!({"cmd": "status"}));
    let neighbours = status["neighbours"].as_array().unwrap().iter();
    neighbours.map(|neighbour| neighbour["username"].as_str().unwrap().to_owned()).collect()
}

/// Waits until every peer has shown all of these, by a common deadline.
pub(crate) fn expect_everywhere(peers: &mut [Peer], wanted: &BTreeSet<String>, until: Instant) {
    for (number, peer) in peers.iter_mut().enumerate() {
        let missing = missing(peer, wanted, until);
        let first: Vec<&String> = missing.iter().take(5).collect();
        let (count, all) = (missing.len(), wanted.len());
        let linked = if missing.is_empty() { Vec::new() } else { linked_with(peer) };
        assert!(
            missing.is_empty(),
            "peer {number}, linked with {linked:?}, has not shown {count} of {all}: {first:?} …"
        );
    }
}

/// Checks that this run of the program has shown no message twice.
pub(crate) fn expect_nothing_twice(peer: &mut Peer) {
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    for line in peer.transcript().iter().filter(|line| is_message(line)) {
        *shown.entry(id(line)).or_default() += 1;
    }
    let twice: Vec<_> = shown.into_iter().filter(|(_id, times)| *times > 1).collect();
    assert!(twice.is_empty(), "{} shows twice: {twice:?}", peer.id());
}

/// The ids of the log in a store, oldest first, as every peer shows it. The program may be running.
pub(crate) fn log_in_store(profile: &Path) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let store = rusqlite::Connection::open_with_flags(profile.join("chat.db"), flags).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    let sql = "SELECT hex(message_id) FROM messages WHERE held = 1
               ORDER BY sent_at, author, session, seq, message_id";
    let mut statement = store.prepare(sql).unwrap();
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    ids.map(|id| id.unwrap().to_lowercase()).collect()
}

/// Checks a store by `PRAGMA integrity_check`.
pub(crate) fn expect_sound_store(profile: &Path) {
    let store = rusqlite::Connection::open(profile.join("chat.db")).unwrap();
    let verdict: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// The ids of the log as the program itself reports it, oldest first.
pub(crate) fn log_by_history(peer: &mut Peer) -> Vec<String> {
    let mut log = Vec::new();
    let mut command = json!({"cmd": "history", "limit": 500});
    loop {
        let page = peer.ask(command.clone());
        let ids: Vec<String> = page["messages"].as_array().unwrap().iter().map(id).collect();
        command["before"] = json!(ids.first());
        log.splice(0..0, ids);
        if page["more"] == false {
            return log;
        }
    }
}

/// A hash over the ids of a log, in their order.
pub(crate) fn hash(log: &[String]) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(log.concat()))
}

/// A value from the process's `/proc/PID/status` in KiB, such as `VmHWM`.
pub(crate) fn memory_kib(peer: &Peer, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", peer.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// The value below which this share of the values lies.
pub(crate) fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a short list"
    )]
    let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or_default()
}

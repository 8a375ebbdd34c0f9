//! Peers are killed at random moments: their stores stay sound, and what was shown as sent arrives everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lanyard_rendezvous::clock;
use serde_json::Value;

use crate::harness::traffic::{
    Dice, expect_nothing_twice, expect_sound_store, figure, full_mesh, log_in_store, names, pass,
    since,
};
use crate::harness::{PATIENCE, Peer, Realm, is_soak};

const PEERS: usize = 3;
/// The most texts that the victim is told to send before each kill.
const BURST: u64 = 12;
/// The longest time from these texts to the kill.
const MOMENT_MS: u64 = 400;
/// After the last kill, everything is everywhere within this time.
const QUIET: Duration = Duration::from_secs(30);

#[test]
fn what_was_shown_as_sent_survives_random_kills() {
    let (kills, mut dice) = (if is_soak() { 200 } else { 20 }, Dice::new());
    let names = names(PEERS);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let realm = Realm::with(&names);
    for rule in ["per-minute", "per-day"] {
        realm.run(&["policy", "set", rule, "0"]).done();
    }
    let mut peers: Vec<Peer> = names.iter().map(|name| realm.join(name)).collect();
    full_mesh(&mut peers, PATIENCE);

    let began = clock::monotonic();
    let mut promised = Promises::default();
    for kill in 0..kills {
        let victim = usize::try_from(dice.below(PEERS as u64)).unwrap();
        for number in 0..=dice.below(BURST) {
            let other = usize::try_from(number).unwrap() % PEERS;
            peers[victim].say(&format!("{kill}.{number}"));
            peers[other].say(&format!("{kill}.{number} by another"));
        }
        pass(clock::monotonic() + dice.between(0, MOMENT_MS));
        peers[victim].kill();
        promised.take(&mut peers[victim]);
        expect_nothing_twice(&mut peers[victim]);
        expect_sound_store(&realm.profile(names[victim]));
        peers[victim] = realm.peer(names[victim]).no_password().ready();
    }
    let quiet = clock::monotonic();
    full_mesh(&mut peers, QUIET);
    for peer in &mut peers {
        promised.take(peer);
    }
    for (name, peer) in names.iter().zip(&mut peers) {
        let lost = not_stored(peer, &realm, name, &promised, quiet + QUIET);
        assert!(lost.is_empty(), "{name} never got {lost:?}");
    }
    let took = since(quiet);
    expect_one_log(&realm, &names, &mut peers, quiet + QUIET);
    let count = promised.0.len();
    assert!(count > kills, "only {count} messages were ever shown as sent");
    figure(&format!(
        "kill -9: {kills} kills of {PEERS} peers in {} s, {count} messages shown as sent are everywhere, {:.1} s after the last start",
        since(began).as_secs(),
        took.as_secs_f64(),
    ));
}

/// What was shown as sent or stored, with the peer that showed it.
#[derive(Default)]
struct Promises(BTreeMap<String, String>);

impl Promises {
    fn take(&mut self, peer: &mut Peer) {
        let author = peer.id().to_owned();
        let shown = |line: &&Value| {
            line["event"] == "state" && (line["state"] == "sent" || line["state"] == "stored")
        };
        for line in peer.transcript().iter().filter(shown) {
            self.0.insert(line["id"].as_str().unwrap().to_owned(), author.clone());
        }
    }
}

/// Waits until the store of this peer has everything promised, and returns what is missing, with its author.
fn not_stored(
    peer: &mut Peer,
    realm: &Realm,
    name: &str,
    promised: &Promises,
    until: Instant,
) -> BTreeMap<String, String> {
    loop {
        let kept: BTreeSet<String> = log_in_store(&realm.profile(name)).into_iter().collect();
        let mut lost = promised.0.clone();
        lost.retain(|id, _author| !kept.contains(id));
        if lost.is_empty() || !another_line(peer, until) {
            return lost;
        }
    }
}

/// Waits until all stores have the same log; what was not promised may be in it or not.
fn expect_one_log(realm: &Realm, names: &[&str], peers: &mut [Peer], until: Instant) {
    let first = || log_in_store(&realm.profile(names[0]));
    for (name, peer) in names.iter().zip(peers) {
        while log_in_store(&realm.profile(name)) != first() {
            assert!(another_line(peer, until), "{name} has another log than {}", names[0]);
        }
        expect_nothing_twice(peer);
    }
}

/// Waits for another line, or briefly, because a store may change without one. False when time is up.
fn another_line(peer: &mut Peer, until: Instant) -> bool {
    let left = until.saturating_duration_since(clock::monotonic());
    peer.forget();
    peer.wait_for(left.min(Duration::from_millis(250)), |_line| true).ok();
    !left.is_zero()
}

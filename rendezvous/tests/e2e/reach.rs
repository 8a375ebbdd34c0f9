//! How soon a ban by the operator is in force among many chatting peers.
//!
//! With `LANYARD_SOAK=1` there are 25 peers.

use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::json;

use crate::harness::{PATIENCE, Peer, Realm, TWO_SECONDS, is_soak, password};

/// All peers know the ban within this time; nearly all within two seconds.
const ALL_WITHIN: Duration = Duration::from_secs(5);
/// How long so many programs may take to find each other on a busy machine.
const GATHER_WITHIN: Duration = Duration::from_secs(120);

/// Waits until everybody is linked with everybody.
fn gather(peers: &mut [Peer]) {
    let started = clock::monotonic();
    let others = peers.len() - 1;
    for peer in peers.iter_mut() {
        let left = GATHER_WITHIN.saturating_sub(clock::monotonic().duration_since(started));
        peer.expect("links to all", left, |line| {
            line["event"] == "link" && line["peers"].as_u64() >= u64::try_from(others).ok()
        });
    }
}

#[test]
fn a_ban_is_in_force_everywhere_within_seconds() {
    let count = if is_soak() { 25 } else { 8 };
    let realm = Realm::with(&[]);
    let names: Vec<String> = (0..count).map(|n| format!("peer{n}")).collect();
    names.iter().for_each(|name| realm.add(name));
    let mut peers: Vec<Peer> = names.iter().map(|name| realm.peer(name).spawn()).collect();
    peers.iter_mut().for_each(Peer::become_ready);
    gather(&mut peers);
    for peer in &mut peers {
        // Everybody is chatting when it happens.
        peer.ask(json!({"cmd": "send", "text": "Good morning, all of you."}));
        peer.forget();
    }
    let mut banned = peers.remove(0);

    let started = clock::monotonic();
    let done = realm.run(&["ban", "peer0", "--reason", "spam"]).done();
    let number = done["policy"].as_u64().unwrap();
    let mut late = Vec::new();
    for (n, peer) in peers.iter_mut().enumerate() {
        let left = TWO_SECONDS.saturating_sub(clock::monotonic().duration_since(started));
        let knows = peer.wait_for(left, |line| {
            line["event"] == "policy" && line["number"].as_u64() >= Some(number)
        });
        if knows.is_err() {
            late.push(n);
        }
    }
    println!("{} of {} knew it after {TWO_SECONDS:?}", peers.len() - late.len(), peers.len());
    assert!(late.len() * 20 <= peers.len(), "late: {late:?}");
    let left = || ALL_WITHIN.saturating_sub(clock::monotonic().duration_since(started));
    for n in late {
        peers[n].expect("the ban", left(), |line| {
            line["event"] == "policy" && line["number"].as_u64() >= Some(number)
        });
    }
    // In force means more than known: nobody keeps a link to the banned peer.
    let refused = banned.expect("refused", left(), |line| line["event"] == "refused");
    assert_eq!(refused["code"], "banned");
    let others = u64::try_from(peers.len() - 1).ok();
    for peer in &mut peers {
        peer.expect("the link gone", left(), |line| {
            line["event"] == "link" && line["peers"].as_u64() <= others
        });
    }
    let took = clock::monotonic().duration_since(started);
    println!("in force on all {} after {took:?}", peers.len());
    banned.end(PATIENCE);
    let again = realm.peer("peer0").password(&password("peer0")).refused();
    assert_eq!(again["code"], "banned");
}

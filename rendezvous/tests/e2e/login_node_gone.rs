//! The login node is killed: the room lives on, everybody is told, and everything recovers without help.

use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::json;

use crate::harness::{PATIENCE, Peer, Realm, Signal, chat, together};

/// Every peer reports it within this time.
const NOTICED: Duration = Duration::from_secs(20);
/// Peers that start without the login node are in two-way chat within this time.
const FOUND: Duration = Duration::from_secs(10);

#[test]
fn chat_continues_and_the_login_node_comes_back() {
    let mut realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    alice.expect_rendezvous("online", PATIENCE);
    bob.expect_rendezvous("online", PATIENCE);
    alice.forget();
    bob.forget();

    realm.crash();
    let now = clock::unix_ms();
    for peer in [&mut alice, &mut bob] {
        peer.expect_rendezvous("offline", NOTICED);
        let status = peer.ask(json!({"cmd": "status"}));
        assert_eq!(status["rendezvous"], "offline");
        assert!(status["expires_at"].as_u64().unwrap() > now, "{status}");
    }
    chat(&mut alice, &mut bob, PATIENCE);

    realm.serve();
    alice.expect_rendezvous("online", PATIENCE);
    bob.expect_rendezvous("online", PATIENCE);
    let mut carol = realm.join("carol");
    carol.expect_presence(alice.id(), "here", PATIENCE);
    carol.expect_presence(bob.id(), "here", PATIENCE);
    chat(&mut carol, &mut alice, PATIENCE);
    chat(&mut bob, &mut carol, PATIENCE);
}

#[test]
fn peers_find_each_other_from_stored_addresses() {
    let mut realm = Realm::with(&["alice", "bob", "carol", "dave"]);
    let names = ["alice", "bob", "carol"];
    let mut peers: Vec<Peer> = names.iter().map(|name| realm.join(name)).collect();
    together(&mut peers.iter_mut().collect::<Vec<_>>());
    realm.crash();
    for peer in &mut peers {
        assert_eq!(peer.stop(Signal::TERM).code(), Some(0));
    }

    let started = clock::monotonic();
    peers = names.iter().map(|name| realm.peer(name).spawn()).collect();
    for peer in &mut peers {
        peer.become_ready();
        assert_eq!(peer.ready["offline"], true);
        assert!(peer.ready["expires_at"].as_u64().unwrap() > clock::unix_ms());
    }
    together(&mut peers.iter_mut().collect::<Vec<_>>());
    for author in 0..peers.len() {
        let id = peers[author].send("Is anybody there?");
        peers.iter_mut().for_each(|peer| drop(peer.expect_message(&id, FOUND)));
    }
    let took = clock::monotonic().duration_since(started);
    assert!(took < FOUND, "they needed {took:?}");

    // A stored ticket is enough even without a password; without a ticket, there is no way in.
    assert_eq!(peers[0].stop(Signal::TERM).code(), Some(0));
    peers[0] = realm.peer("alice").no_password().ready();
    let (alice, others) = peers.split_first_mut().unwrap();
    chat(alice, &mut others[0], PATIENCE);
    assert_eq!(realm.peer("dave").refused()["code"], "unreachable");
    drop(peers);
    let not_mine = realm.profile("alice");
    assert_eq!(realm.peer("dave").profile(&not_mine).refused()["code"], "unreachable");
}

//! The login node moves to another address while peers are online.

use lanyard_rendezvous::clock;
use serde_json::json;

use crate::harness::{PATIENCE, Realm, Signal, password, together};

#[test]
fn a_login_node_that_moved_is_found_again() {
    let mut realm = Realm::with(&["alice", "bob"]);
    let mut alice = realm.join("alice");
    alice.expect_rendezvous("online", PATIENCE);
    // Bob finds her by the login node, which therefore knows her address.
    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    bob.quit();
    let old_link = realm.link().to_owned();
    realm.stop(Signal::TERM);
    alice.expect_rendezvous("offline", PATIENCE);

    realm.serve_at("127.0.0.2:0");
    assert_ne!(realm.link(), old_link);
    alice.expect_rendezvous("online", PATIENCE);
    // The authority peer announces its addresses a moment after it is linked.
    let started = clock::monotonic();
    loop {
        let devices = alice.ask(json!({"cmd": "devices"}));
        if devices["event"] == "answer" {
            break;
        }
        assert!(clock::monotonic().duration_since(started) < PATIENCE, "{devices}");
    }
    let (old, new) = (password("alice"), "alice: a new horse");
    let changed = alice.ask(json!({"cmd": "password", "old": old, "new": new}));
    assert_eq!(changed["event"], "answer", "{changed}");
    alice.quit();

    // The old link works as well, because the latest address is kept.
    let mut alice = realm.peer("alice").link(&old_link).password(new).ready();
    assert_eq!(alice.ready["offline"], false);
    alice.expect_rendezvous("online", PATIENCE);
}

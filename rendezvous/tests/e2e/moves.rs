//! The login node moves to another address while people are there.

use serde_json::json;

use crate::harness::{PATIENCE, Realm, Signal, password};

#[test]
fn a_login_node_that_moved_is_asked_where_it_is_now() {
    let mut realm = Realm::with(&["alice"]);
    let mut alice = realm.join("alice");
    alice.expect_rendezvous("online", PATIENCE);
    let old_link = realm.link().to_owned();
    realm.stop(Signal::TERM);
    alice.expect_rendezvous("offline", PATIENCE);

    realm.serve_at("127.0.0.2:0");
    assert_ne!(realm.link(), old_link);
    alice.expect_rendezvous("online", PATIENCE);
    let devices = alice.ask(json!({"cmd": "devices"}));
    assert_eq!(devices["event"], "answer", "{devices}");
    let (old, new) = (password("alice"), "alice: a new horse");
    let changed = alice.ask(json!({"cmd": "password", "old": old, "new": new}));
    assert_eq!(changed["event"], "answer", "{changed}");
    alice.quit();

    // With the old link as well: where it answered last is kept.
    let mut alice = realm.peer("alice").link(&old_link).password(new).ready();
    assert_eq!(alice.ready["offline"], false);
    alice.expect_rendezvous("online", PATIENCE);
}

//! Wrong clocks: the login node's, and a peer's. `libfaketime` gives a program another wall clock and leaves its
//! monotonic clock alone, as when somebody sets the time.

use std::time::Duration;

use lanyard_protocol::time::HOUR_MS;
use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::{FakeTime, PATIENCE, Peer, Realm, Signal, chat, together};

fn state(realm: &Realm) -> Value {
    realm.run(&["clock", "show"]).done()["state"].take()
}

fn history(peer: &mut Peer) -> u64 {
    peer.ask(json!({"cmd": "status"}))["messages"].as_u64().unwrap()
}

/// Waits until the status of a peer is as wanted.
fn until_status(peer: &mut Peer, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = clock::monotonic();
    loop {
        let status = peer.ask(json!({"cmd": "status"}));
        if wanted(&status) {
            return status;
        }
        assert!(clock::monotonic().duration_since(started) < PATIENCE, "{what}: {status}");
        // No line announces the change, so the status is asked for again.
        peer.wait_for(Duration::from_millis(100), |_line| false).ok();
    }
}

#[test]
fn a_login_node_that_was_two_hours_ahead_is_lowered() {
    let Some(ahead) = FakeTime::by("+2h") else { return };
    let mut realm = Realm::fresh();
    realm.serve_by(&ahead);
    realm.add_by(&ahead, "alice");
    realm.add_by(&ahead, "bob");
    let mut alice = realm.join("alice");
    realm.stop(Signal::TERM);

    realm.serve();
    assert_eq!(state(&realm), "behind");
    let refused = realm.peer("bob").refused();
    assert_eq!(refused["code"], "busy");
    assert!(refused["reason"].as_str().unwrap().contains("clock"), "{refused}");
    assert_eq!(realm.run(&["user", "disable", "bob"]).refused()["error"], "clock");
    assert_eq!(realm.run(&["clock", "accept"]).refused()["error"], "clock-behind");
    let lowered = realm.run(&["clock", "lower"]).done();
    assert_eq!(lowered["done"], true, "{lowered}");
    assert_eq!(state(&realm), "right");

    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, PATIENCE);
    let number = realm.policy();
    assert!(number.as_u64().unwrap() > clock::unix_ms() + HOUR_MS, "numbers still rise: {number}");
}

#[test]
fn a_login_node_400_days_ahead_signs_and_deletes_nothing() {
    let Some(ahead) = FakeTime::by("+400d") else { return };
    let mut realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, PATIENCE);
    realm.stop(Signal::TERM);

    realm.serve_by(&ahead);
    assert_eq!(realm.run_by(&ahead, &["status"]).done()["clock"]["state"], "jumped");
    assert_eq!(realm.peer("carol").refused()["code"], "busy");
    // The operator accepts it by mistake, and everybody hears of it.
    realm.run_by(&ahead, &["clock", "accept"]).done();
    realm.run_by(&ahead, &["policy", "set", "per-minute", "50"]).done();
    let mut carol = realm.join("carol");
    assert_eq!(alice.stop(Signal::TERM).code(), Some(0));
    alice = realm.join("alice");
    assert_eq!(history(&mut alice), 2, "nothing is deleted");
    until_status(&mut alice, "a warning", |status| status["clock_warning"].is_object());
    assert_eq!(history(&mut bob), 2);
    realm.stop(Signal::TERM);

    realm.serve();
    realm.run(&["clock", "lower"]).done();
    for peer in [&mut alice, &mut carol] {
        let now = clock::unix_ms();
        until_status(peer, "a ticket of today", |status| {
            status["expires_at"].as_u64().unwrap() < now + 30 * 24 * HOUR_MS
        });
        peer.forget();
    }
    for peer in [&mut alice, &mut carol, &mut bob] {
        until_status(peer, "both others", |status| {
            status["neighbours"].as_array().unwrap().len() == 2
        });
    }
    chat(&mut alice, &mut bob, PATIENCE);
    chat(&mut carol, &mut bob, PATIENCE);
    assert!(history(&mut alice) >= 4);
}

#[test]
fn a_clock_set_while_serving_stops_the_signing() {
    let Some(clock) = FakeTime::by("+0") else { return };
    let mut realm = Realm::fresh();
    realm.serve_by(&clock);
    ["alice", "bob"].iter().for_each(|name| realm.add_by(&clock, name));
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    alice.expect_rendezvous("online", PATIENCE);

    clock.set("+3h");
    let carol = realm.with_password_by(&clock, &["user", "add", "carol"], "carol: correct horse");
    assert_eq!(carol.refused()["error"], "clock");
    assert_eq!(realm.peer("alice").profile(&realm.profile("new")).refused()["code"], "busy");
    chat(&mut alice, &mut bob, PATIENCE);
    assert_eq!(alice.ask(json!({"cmd": "status"}))["rendezvous"], "online");

    // When the clock is corrected, the operator need not decide.
    clock.set("+0");
    realm.with_password_by(&clock, &["user", "add", "carol"], "carol: correct horse").done();
    let carol = realm.join("carol");
    drop(carol);

    clock.set("+3h");
    assert_eq!(realm.run_by(&clock, &["clock", "accept"]).done()["was"], "jumped");
    realm.with_password_by(&clock, &["user", "add", "dave"], "dave: correct horse").done();
    realm.join("dave");
}

#[test]
fn a_valid_ticket_gets_in_while_nothing_is_signed() {
    let Some(behind) = FakeTime::by("-3h") else { return };
    let mut realm = Realm::with(&["alice"]);
    realm.join("alice").quit();
    realm.stop(Signal::TERM);
    realm.serve_by(&behind);
    let mut alice = realm.join("alice");
    assert_eq!(alice.ready["offline"], true);
    alice.expect("a notice", PATIENCE, |line| line["code"] == "login-node-clock");
}

#[test]
fn a_peer_two_hours_ahead_learns_that_nobody_hears_it() {
    let Some(ahead) = FakeTime::by("+2h") else { return };
    let mut realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    [alice, bob].into_iter().for_each(|mut peer| {
        peer.stop(Signal::TERM);
    });
    realm.crash();

    let mut bob = realm.peer("bob").no_password().ready();
    let mut alice = realm.peer("alice").no_password().by(&ahead).ready();
    together(&mut [&mut alice, &mut bob]);
    let notice = alice.expect("a notice", PATIENCE, |line| line["code"] == "clock-ahead");
    assert!(notice["text"].as_str().unwrap().contains("clock"), "{notice}");
    let id = alice.send("Do you hear me?");
    let state = alice.expect("its state", PATIENCE, |line| {
        line["event"] == "state" && line["id"] == id.as_str()
    });
    assert_eq!(state["state"], "waiting", "nobody can accept it");
    let status = alice.ask(json!({"cmd": "status"}));
    assert_eq!(status["clock_warning"]["code"], "clock-ahead", "{status}");
    assert_eq!(status["waiting"], 1);

    // Her clock is corrected, and what she writes now is heard.
    ahead.set("+0");
    until_status(&mut alice, "no warning", |status| status["clock_warning"].is_null());
    let id = alice.send("And now?");
    bob.expect_message(&id, PATIENCE);
}

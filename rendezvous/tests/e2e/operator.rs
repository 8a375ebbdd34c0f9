//! What the operator does reaches everybody in the chat within two seconds.

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::{A_MINUTE, PATIENCE, Peer, Realm, TWO_SECONDS, chat, together};

#[test]
fn a_disabled_account_loses_its_links_and_cannot_sign_in() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob, mut carol) =
        (realm.join("alice"), realm.join("bob"), realm.join("carol"));
    together(&mut [&mut alice, &mut bob, &mut carol]);
    alice.forget();
    bob.forget();

    let done = realm.run(&["user", "disable", "carol"]).done();
    assert_eq!((&done["done"], &done["policy"]), (&json!(true), &realm.policy()));
    assert_eq!(carol.refused(TWO_SECONDS)["code"], "disabled");
    for peer in [&mut alice, &mut bob] {
        peer.expect("carol's link gone", TWO_SECONDS, |line| {
            line["event"] == "link" && line["peers"] == 1
        });
    }
    assert_eq!(realm.peer("carol").refused()["code"], "disabled");
    let with_ticket = realm.peer("carol").no_password().ready().refused(PATIENCE);
    assert_eq!(with_ticket["code"], "disabled", "the stored ticket is worth nothing");
    chat(&mut alice, &mut bob, PATIENCE);

    realm.run(&["user", "enable", "carol"]).done();
    let mut carol = realm.join("carol");
    chat(&mut carol, &mut alice, PATIENCE);
}

#[test]
fn a_new_role_comes_with_a_new_ticket() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.ready["role"], "member");
    alice.forget();

    realm.run(&["user", "role", "bob", "moderator"]).done();
    bob.refused(TWO_SECONDS);
    alice.expect("bob's link gone", TWO_SECONDS, |line| {
        line["event"] == "link" && line["peers"] == 0
    });
    let mut bob = realm.join("bob");
    assert_eq!(bob.ready["role"], "moderator");
    let id = bob.send("I am back.");
    assert_eq!(alice.expect_message(&id, PATIENCE)["role"], "moderator");
}

#[test]
fn a_rule_set_while_serving_is_in_force_everywhere() {
    const MAX: usize = 10;
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    let before = realm.policy();

    let done = realm.run(&["policy", "set", "max-text-bytes", &MAX.to_string()]).done();
    let number = done["policy"].clone();
    assert!(number.as_u64() > before.as_u64(), "{number} after {before}");
    for peer in [&mut alice, &mut bob] {
        expect_policy(peer, &number);
        assert_eq!(peer.ask(json!({"cmd": "status"}))["policy"], number);
    }
    let shown = realm.run(&["policy", "show"]).done();
    assert_eq!((&shown["max_text_bytes"], &shown["policy"]), (&json!(MAX), &number));

    let id = alice.send(&"x".repeat(MAX));
    bob.expect_message(&id, PATIENCE);
    // Bytes, not characters. The rule applies by realm time, from the next full minute on.
    let over = "é".repeat(MAX / 2) + "x";
    let started = clock::monotonic();
    let mut said = 1;
    let error = loop {
        let answer = alice.ask(json!({"cmd": "send", "text": over}));
        if answer["event"] == "error" {
            break answer;
        }
        said += 1;
        assert!(clock::monotonic().duration_since(started) < A_MINUTE + TWO_SECONDS, "{answer}");
        std::thread::park_timeout(TWO_SECONDS);
    };
    assert_eq!(error["code"], "too-long");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("11") && message.contains("10"), "{message}");
    assert_eq!(alice.history().len(), said, "what is refused is not stored");
}

fn expect_policy(peer: &mut Peer, number: &Value) {
    peer.expect("the new policy", TWO_SECONDS, |line| {
        line["event"] == "policy" && line["number"] == *number
    });
}

#[test]
fn rules_set_without_serve_apply_at_the_next_start() {
    let mut realm = Realm::with(&["alice"]);
    realm.crash();
    let done = realm.run(&["policy", "set", "max-text-bytes", "5"]).done();
    assert_eq!(done["policy"], json!(null), "it takes effect at the next start");
    realm.serve();
    let mut alice = realm.join("alice");
    let error = alice.ask(json!({"cmd": "send", "text": "123456"}));
    assert_eq!(error["code"], "too-long");
}

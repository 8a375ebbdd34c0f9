//! Moderations, from the room to the operator and back.

use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, Signal, TWO_SECONDS, chat, together};

/// A realm in which mona is a moderator.
fn moderated(names: &[&str]) -> Realm {
    let realm = Realm::with(names);
    realm.run(&["user", "role", "mona", "moderator"]).done();
    realm
}

/// The open moderations, once there are this many.
fn open_moderations(realm: &Realm, count: usize) -> Vec<Value> {
    let started = clock::monotonic();
    loop {
        let mut lines = realm.run(&["moderation", "list"]).lines();
        lines.retain(|line| line["state"] == "open");
        if lines.len() >= count {
            return lines;
        }
        assert!(clock::monotonic().duration_since(started) < PATIENCE, "{lines:?}");
    }
}

fn say(peer: &mut Peer) -> Value {
    peer.ask(json!({"cmd": "send", "text": "Does this arrive?"}))
}

/// Asks until the answer is of this kind, which must be soon.
fn soon(peer: &mut Peer, within: Duration, event: &str) -> Value {
    let started = clock::monotonic();
    loop {
        let answer = say(peer);
        if answer["event"] == event {
            return answer;
        }
        assert!(clock::monotonic().duration_since(started) < within, "{answer}");
    }
}

#[test]
fn moderations_and_the_operators_verdicts_reach_everybody() {
    let realm = moderated(&["alice", "bob", "mona"]);
    let (mut alice, mut bob, mut mona) =
        (realm.join("alice"), realm.join("bob"), realm.join("mona"));
    together(&mut [&mut alice, &mut bob, &mut mona]);
    let mute = json!({"cmd": "mute", "username": "bob", "for": "10m", "reason": "sings at night"});
    assert_eq!(mona.ask(mute.clone())["event"], "answer");
    let error = soon(&mut bob, TWO_SECONDS, "error");
    assert_eq!(error["code"], "muted");
    let told = alice.expect("what mona has done", TWO_SECONDS, |line| {
        line["event"] == "notice" && line["text"].as_str().is_some_and(|t| t.contains("mona"))
    });
    assert!(told["text"].as_str().unwrap().contains("sings at night"), "{told}");
    let moderations = open_moderations(&realm, 1);
    assert_eq!(
        (&moderations[0]["kind"], &moderations[0]["username"]),
        (&json!("mute"), &json!("bob"))
    );
    assert_eq!(
        (&moderations[0]["by"], &moderations[0]["reason"]),
        (&json!("mona"), &json!("sings at night"))
    );

    realm.run(&["moderation", "overturn", moderations[0]["id"].as_str().unwrap()]).done();
    soon(&mut bob, TWO_SECONDS, "answer");
    chat(&mut bob, &mut alice, PATIENCE);

    assert_eq!(mona.ask(mute)["event"], "answer");
    soon(&mut bob, TWO_SECONDS, "error");
    let moderations = open_moderations(&realm, 1);
    let id = moderations[0]["id"].as_str().unwrap();
    realm.run(&["moderation", "confirm", id]).done();
    assert_eq!(soon(&mut bob, TWO_SECONDS, "error")["code"], "muted", "now as a sanction");
    realm.run(&["unmute", "bob"]).done();
    soon(&mut bob, TWO_SECONDS, "answer");
    let states: Vec<Value> = realm
        .run(&["moderation", "list"])
        .lines()
        .iter()
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["refused", "ratified"]);
}

#[test]
fn a_moderation_waits_for_the_login_nodes_operator() {
    let mut realm = moderated(&["alice", "bob", "mona"]);
    let (mut alice, mut bob, mut mona) =
        (realm.join("alice"), realm.join("bob"), realm.join("mona"));
    together(&mut [&mut alice, &mut bob, &mut mona]);
    realm.stop(Signal::TERM);
    mona.expect_rendezvous("offline", PATIENCE);
    let ban = json!({"cmd": "ban", "username": "bob", "reason": "sold the boat"});
    assert_eq!(mona.ask(ban)["event"], "answer");
    let refused = bob.refused(TWO_SECONDS);
    assert_eq!(refused["code"], "banned");
    assert!(refused["reason"].as_str().unwrap().contains("sold the boat"), "{refused}");

    realm.serve();
    let moderations = open_moderations(&realm, 1);
    assert_eq!((&moderations[0]["kind"], &moderations[0]["by"]), (&json!("ban"), &json!("mona")));
    realm.run(&["moderation", "confirm", moderations[0]["id"].as_str().unwrap()]).done();
    let refused = realm.peer("bob").refused();
    assert_eq!(refused["code"], "banned");
    assert!(refused["reason"].as_str().unwrap().contains("sold the boat"), "{refused}");
    realm.run(&["unban", "bob"]).done();
    let mut bob = realm.join("bob");
    chat(&mut bob, &mut alice, PATIENCE);
}

#[test]
fn moderations_without_the_right_are_refused_at_once() {
    let realm = moderated(&["alice", "bob", "mona", "ada"]);
    realm.run(&["user", "role", "ada", "admin"]).done();
    let (mut alice, mut mona, mut ada) =
        (realm.join("alice"), realm.join("mona"), realm.join("ada"));
    together(&mut [&mut alice, &mut mona, &mut ada]);
    let moderation = |cmd: &str, whom: &str, time: &str| json!({"cmd": cmd, "username": whom, "for": time, "reason": "x"});
    let told = |peer: &mut Peer, wrong: Value| {
        let answer = peer.ask(wrong.clone());
        assert_eq!(answer["event"], "error", "{wrong}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(' '), "a sentence: {answer}");
    };
    told(&mut alice, moderation("mute", "mona", "10m"));
    for wrong in [
        moderation("ban", "ada", "10m"),
        moderation("ban", "mona", "10m"),
        moderation("ban", "alice", "25h"),
        moderation("lift", "alice", "10m"),
        moderation("ban", "nobody", "10m"),
    ] {
        told(&mut mona, wrong);
    }
    // Ten are allowed in each minute of the clock, and a minute may end in between.
    let mut given = 0;
    let refused = loop {
        let answer = mona.ask(moderation("mute", "alice", "1m"));
        if answer["event"] == "error" {
            break answer;
        }
        given += 1;
        assert!(given <= 20, "there is no limit");
    };
    assert_eq!((refused["code"].as_str(), given >= 10), (Some("slow-down"), true), "{given}");
    assert_eq!(open_moderations(&realm, given).len(), given);
}

#[test]
fn owners_list_their_devices_and_log_one_out() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut laptop, mut bob) = (realm.join("alice"), realm.join("bob"));
    let mut phone = realm.peer("alice").profile(&realm.profile("phone")).ready();
    together(&mut [&mut laptop, &mut bob, &mut phone]);
    let listed = laptop.ask(json!({"cmd": "devices"}));
    let devices = listed["devices"].as_array().unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((devices.len(), &devices[1]["peer"]), (2, &json!(phone.id())));
    let out = laptop.ask(json!({"cmd": "logout", "device": 2}));
    assert_eq!(out["event"], "answer", "{out}");
    let refused = phone.refused(TWO_SECONDS);
    assert!(refused["reason"].as_str().unwrap().contains("logged out"), "{refused}");
    chat(&mut laptop, &mut bob, PATIENCE);
    let answer = laptop.ask(json!({"cmd": "logout", "device": 7}));
    assert_eq!(answer["code"], "not-found", "{answer}");
}

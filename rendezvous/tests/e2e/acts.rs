//! Every act of the operator reaches running peers within two seconds, and is reported in plain words.

use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, Signal, TWO_SECONDS, chat, password, together};

/// Runs an act; each of these peers must have the policy that contains it within two seconds. Returns the answer.
fn felt(realm: &Realm, peers: &mut [&mut Peer], args: &[&str]) -> Value {
    let started = clock::monotonic();
    let done = realm.run(args).done();
    let number = done["policy"].as_u64().unwrap_or_else(|| panic!("{args:?}: not signed: {done}"));
    for peer in peers {
        let left = left_of_two_seconds(started);
        peer.expect(&format!("the policy of {args:?}"), left, |line| {
            line["event"] == "policy" && line["number"].as_u64() >= Some(number)
        });
    }
    done
}

fn left_of_two_seconds(started: std::time::Instant) -> Duration {
    TWO_SECONDS.saturating_sub(clock::monotonic().duration_since(started))
}

/// Waits until a peer says in plain words what the operator has done.
fn told(peer: &mut Peer, words: &str) {
    peer.expect(words, TWO_SECONDS, |line| {
        line["event"] == "notice" && line["code"] == "sanction" && line["text"] == words
    });
}

fn say(peer: &mut Peer, room: &str) -> Value {
    peer.ask(json!({"cmd": "send", "room": room, "text": "Does this arrive?"}))
}

/// Waits until a line to a room is refused. Rules apply by realm time, which a peer knows to within milliseconds.
fn refused_line(peer: &mut Peer, room: &str, code: &str) -> String {
    let started = clock::monotonic();
    loop {
        let answer = say(peer, room);
        if answer["event"] == "error" {
            assert_eq!(answer["code"], code, "{answer}");
            return answer["message"].as_str().unwrap().to_owned();
        }
        assert!(clock::monotonic().duration_since(started) < TWO_SECONDS, "{answer}");
    }
}

#[test]
fn a_banned_account_is_out_at_once_and_back_after_the_ban() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob, mut carol) =
        (realm.join("alice"), realm.join("bob"), realm.join("carol"));
    together(&mut [&mut alice, &mut bob, &mut carol]);
    alice.forget();
    bob.forget();
    let started = clock::monotonic();
    felt(&realm, &mut [&mut alice, &mut bob], &["ban", "carol", "--reason", "sold the boat"]);
    let refused = carol.refused(left_of_two_seconds(started));
    assert_eq!(refused["code"], "banned");
    assert!(refused["reason"].as_str().unwrap().contains("sold the boat"), "{refused}");
    for peer in [&mut alice, &mut bob] {
        peer.expect("carol's link gone", left_of_two_seconds(started), |line| {
            line["event"] == "link" && line["peers"] == 1
        });
    }
    let again = realm.peer("carol").refused();
    assert_eq!(again["code"], "banned");
    assert!(again["reason"].as_str().unwrap().contains("sold the boat"), "{again}");
    assert_eq!(realm.peer("carol").password("guess").refused()["code"], "bad-credentials");
    let state = |name: &str| {
        let users = realm.run(&["user", "list"]).lines();
        users.into_iter().find(|user| user["username"] == name).unwrap()["state"].take()
    };
    assert_eq!(state("carol"), "banned");
    chat(&mut alice, &mut bob, PATIENCE);

    felt(&realm, &mut [&mut alice, &mut bob], &["unban", "carol"]);
    assert_eq!(state("carol"), "enabled");
    let mut carol = realm.join("carol");
    chat(&mut carol, &mut alice, PATIENCE);
}

#[test]
fn a_muted_account_reads_on_and_writes_after_the_mute() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    let mute = ["mute", "bob", "--for", "10m", "--reason", "sings at night"];
    felt(&realm, &mut [&mut alice, &mut bob], &mute);
    told(&mut alice, "The operator has muted bob for 10 min: sings at night");
    let message = refused_line(&mut bob, "lobby", "muted");
    assert!(message.contains("muted"), "{message}");
    let id = alice.send("You can read this, bob.");
    bob.expect_message(&id, PATIENCE);
    felt(&realm, &mut [&mut alice, &mut bob], &["unmute", "bob"]);
    told(&mut alice, "bob may write again");
    chat(&mut bob, &mut alice, PATIENCE);
    // A mute that ends by itself needs no further act.
    felt(&realm, &mut [&mut alice, &mut bob], &["mute", "bob", "--for", "1s"]);
    refused_line(&mut bob, "lobby", "muted");
    let started = clock::monotonic();
    while say(&mut bob, "lobby")["event"] == "error" {
        assert!(clock::monotonic().duration_since(started) < PATIENCE);
    }
}

#[test]
fn rooms_are_added_changed_and_archived_under_running_peers() {
    let realm = Realm::with(&["alice", "mona"]);
    realm.run(&["user", "role", "mona", "moderator"]).done();
    let (mut alice, mut mona) = (realm.join("alice"), realm.join("mona"));
    together(&mut [&mut alice, &mut mona]);
    assert_eq!(say(&mut alice, "news")["code"], "no-such-room");
    let mut both = |args: &[&str]| {
        felt(&realm, &mut [&mut alice, &mut mona], args);
    };
    both(&["room", "add", "news", "--topic", "from the crew"]);
    both(&["room", "topic", "news", "weather"]);
    both(&["room", "post", "news", "moderator"]);
    refused_line(&mut alice, "news", "may-not-post");
    let sent = say(&mut mona, "news");
    let id = sent["id"].as_str().unwrap().to_owned();
    assert_eq!(alice.expect_message(&id, PATIENCE)["room"], "news");
    felt(&realm, &mut [&mut alice, &mut mona], &["room", "archive", "news"]);
    refused_line(&mut mona, "news", "may-not-post");
    let page = alice.ask(json!({"cmd": "history", "room": "news"}));
    assert!(page["messages"].as_array().is_some_and(|page| !page.is_empty()), "it can be read");
    chat(&mut alice, &mut mona, PATIENCE);
}

#[test]
fn logging_one_device_out_leaves_the_others_running() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut laptop, mut bob) = (realm.join("alice"), realm.join("bob"));
    let mut phone = realm.peer("alice").profile(&realm.profile("phone")).ready();
    together(&mut [&mut laptop, &mut bob, &mut phone]);
    let devices = realm.run(&["device", "list", "alice"]).lines();
    assert_eq!(devices[1]["peer"], phone.id());
    let sessions = realm.run(&["sessions"]).lines();
    assert!(sessions.iter().all(|session| session["online"].is_boolean()), "{sessions:?}");
    assert_eq!(sessions.len(), 3);

    let started = clock::monotonic();
    felt(&realm, &mut [&mut laptop, &mut bob], &["device", "logout", "alice", "2"]);
    let refused = phone.refused(left_of_two_seconds(started));
    assert_eq!(refused["code"], "disabled");
    assert!(refused["reason"].as_str().unwrap().contains("logged out"), "{refused}");
    chat(&mut laptop, &mut bob, PATIENCE);
    let stored = realm.peer("alice").profile(&realm.profile("phone")).no_password();
    assert_eq!(stored.ready().refused(PATIENCE)["code"], "disabled", "its ticket is worth nothing");
    let mut phone = realm.peer("alice").profile(&realm.profile("phone")).ready();
    chat(&mut phone, &mut bob, PATIENCE);

    let started = clock::monotonic();
    realm.with_password(&["user", "passwd", "alice", "--revoke"], "a new one").done();
    for device in [&mut laptop, &mut phone] {
        let refused = device.refused(left_of_two_seconds(started));
        assert!(refused["reason"].as_str().unwrap().contains("password"), "{refused}");
    }
    assert_eq!(realm.peer("alice").refused()["code"], "bad-credentials");
    let mut laptop = realm.peer("alice").password("a new one").ready();
    chat(&mut laptop, &mut bob, PATIENCE);
}

#[test]
fn the_sessions_show_who_is_online() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, bob) = (realm.join("alice"), realm.join("bob"));
    let online = |name: &str, expected: bool| {
        let started = clock::monotonic();
        loop {
            let sessions = realm.run(&["sessions"]).lines();
            let of_name = sessions.iter().find(|session| session["username"] == name).unwrap();
            if of_name["online"] == expected {
                return;
            }
            assert!(clock::monotonic().duration_since(started) < PATIENCE, "{sessions:?}");
        }
    };
    online("alice", true);
    online("bob", true);
    bob.quit();
    online("bob", false);
    alice.stop(Signal::TERM);
    online("alice", false);
}

#[test]
fn restoring_yesterdays_backup_takes_nobody_back() {
    let mut realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, carol) = (realm.join("alice"), realm.join("carol"));
    carol.quit();
    let copy = realm.data_dir().join("copy.db");
    let copy = copy.to_str().unwrap();
    realm.run(&["backup", copy]).done();
    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    felt(&realm, &mut [&mut alice, &mut bob], &["ban", "carol", "--reason", "spam"]);
    let last = felt(&realm, &mut [&mut alice, &mut bob], &["policy", "set", "per-minute", "50"]);
    realm.stop(Signal::TERM);
    let restored = realm.run(&["restore", copy]).done();
    let missing = restored["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "{restored}");
    assert_eq!((&missing[0]["username"], &missing[0]["reason"]), (&json!("carol"), &json!("spam")));

    alice.forget();
    bob.forget();
    realm.serve();
    let number = realm.policy();
    assert!(number.as_u64() > last["policy"].as_u64(), "{number} after {last}");
    for peer in [&mut alice, &mut bob] {
        peer.expect("the policy of the restored login node", PATIENCE, |line| {
            line["event"] == "policy" && line["number"] == number
        });
    }
    chat(&mut alice, &mut bob, PATIENCE);
    felt(&realm, &mut [&mut alice, &mut bob], &["ban", "carol", "--reason", "spam"]);
    assert_eq!(realm.peer("carol").refused()["code"], "banned");
    // Bob's device is newer than the backup: his ticket is still valid, and the password registers the device again.
    bob.quit();
    let mut bob = realm.peer("bob").password(&password("bob")).ready();
    chat(&mut bob, &mut alice, PATIENCE);
}

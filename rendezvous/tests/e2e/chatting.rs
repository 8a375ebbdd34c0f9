//! People chat both ways: messages arrive unchanged, once each and in one order, and are still there later.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, TWO_SECONDS, chat, together};

/// Texts that have broken chat programs before.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "plain",
        "Grüße, Żółć, Ελληνικά, Русский, العربية, עברית, हिन्दी, ไทย, 日本語, 한국어, 𐍈𐌰",
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 1️⃣",
        "first line\nsecond line\r\n\n\ttabbed, and the last one",
        "NICK",
        "{quit}",
        "/quit",
        r#"{"cmd":"quit"}"#,
        "\"quoted\" \\ \u{0} \u{1b}[31m \u{7f} \u{202e}turned\u{202c} \u{feff}",
        "  spaces around  ",
        "e\u{301} is not \u{e9}",
    ]
    .map(str::to_owned)
    .to_vec();
    // The longest texts, of one-byte and of four-byte characters.
    texts.push("x".repeat(4_096));
    texts.push("🦀".repeat(1_024));
    texts
}

#[test]
fn three_peers_chat_without_change_doubles_or_loss() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob, mut carol) =
        (realm.join("alice"), realm.join("bob"), realm.join("carol"));
    together(&mut [&mut alice, &mut bob, &mut carol]);
    let before = meshed(&mut alice, &mut [&mut bob, &mut carol])
        + meshed(&mut bob, &mut [&mut alice, &mut carol])
        + meshed(&mut carol, &mut [&mut alice, &mut bob]);
    for text in texts() {
        said_by_one_heard_by_all(&mut alice, &mut [&mut bob, &mut carol], &text);
    }
    said_by_one_heard_by_all(&mut bob, &mut [&mut alice, &mut carol], "from bob");
    said_by_one_heard_by_all(&mut carol, &mut [&mut alice, &mut bob], "from carol");

    let twice = [alice.send("the same"), alice.send("the same")];
    assert_ne!(twice[0], twice[1]);
    for peer in [&mut alice, &mut bob, &mut carol] {
        twice.iter().for_each(|id| drop(peer.expect_message(id, PATIENCE)));
    }

    // Until peers reconcile, a message sent while the mesh was forming may not have reached everybody.
    let wanted = texts().len() + 4;
    let all = newest(&mut alice, wanted);
    for peer in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(newest(peer, wanted), all, "everybody shows the same order");
        let lines = peer.transcript().iter().filter(|line| line["event"] == "message");
        let ids: Vec<&Value> = lines.map(|line| &line["id"]).collect();
        assert!((wanted..=wanted + before).contains(&ids.len()), "{} messages", ids.len());
        assert_eq!(ids.iter().map(|id| id.to_string()).collect::<BTreeSet<_>>().len(), ids.len());
    }
}

/// Says something until everybody has heard it, and returns how often that was.
fn meshed(author: &mut Peer, others: &mut [&mut Peer]) -> usize {
    for tries in 1..=10 {
        let id = author.send("Is everybody listening?");
        author.expect_message(&id, PATIENCE);
        let heard = |peer: &mut &mut Peer| {
            let it = |line: &Value| line["event"] == "message" && line["id"] == *id;
            peer.wait_for(TWO_SECONDS, it).is_ok()
        };
        if others.iter_mut().all(heard) {
            return tries;
        }
    }
    panic!("the mesh is not made");
}

/// The newest texts.
fn newest(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut texts = peer.history();
    texts.split_off(texts.len().saturating_sub(count))
}

fn said_by_one_heard_by_all(author: &mut Peer, others: &mut [&mut Peer], text: &str) {
    let id = author.send(text);
    let own = author.expect_message(&id, PATIENCE);
    assert_eq!((&own["via"], own["text"].as_str()), (&json!("own"), Some(text)));
    author.expect("that it was sent", PATIENCE, |line| {
        line["event"] == "state" && line["id"] == *id && line["state"] == "sent"
    });
    for other in others {
        let heard = other.expect_message(&id, PATIENCE);
        assert_eq!(heard["text"].as_str(), Some(text));
        assert_eq!((&heard["via"], &heard["late"]), (&json!("gossip"), &json!(false)));
        for field in ["room", "username", "nickname", "peer", "role", "sent_at", "session", "seq"] {
            assert_eq!(heard[field], own[field], "{field}");
        }
    }
}

#[test]
fn an_own_line_comes_once_between_its_answer_and_state() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    let id = alice.send("Which comes first?");
    alice.expect_message(&id, PATIENCE);
    alice.expect("that it was sent", PATIENCE, |line| {
        line["event"] == "state" && line["id"] == *id && line["state"] == "sent"
    });
    chat(&mut alice, &mut bob, PATIENCE);
    let lines = alice.transcript().iter().filter(|line| line["id"] == *id);
    let mut steps: Vec<&Value> = lines
        .map(|line| if line["event"] == "state" { &line["state"] } else { &line["event"] })
        .collect();
    // Bob may not have announced yet what he is subscribed to.
    steps.retain(|step| *step != "waiting");
    assert_eq!(steps, ["answer", "message", "sent"]);
}

#[test]
fn arrivals_and_departures_are_told_and_the_roster_is_right() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    bob.expect_presence(alice.id(), "here", PATIENCE);
    let joined = alice.expect_presence(bob.id(), "joined", PATIENCE);
    assert_eq!((&joined["username"], &joined["online"]), (&json!("bob"), &json!(true)));

    let mut carol = realm.join("carol");
    let id = carol.id().to_owned();
    carol.expect_presence(alice.id(), "here", PATIENCE);
    carol.expect_presence(bob.id(), "here", PATIENCE);
    alice.expect_presence(&id, "joined", PATIENCE);
    bob.expect_presence(&id, "joined", PATIENCE);
    for peer in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(roster(peer), ["alice", "bob", "carol"]);
    }

    carol.quit();
    for peer in [&mut alice, &mut bob] {
        let left = peer.expect_presence(&id, "left", TWO_SECONDS);
        assert_eq!((&left["username"], &left["online"]), (&json!("carol"), &json!(false)));
        let there = roster(peer);
        assert_eq!(there, ["alice", "bob"], "{:#?}", peer.transcript());
        let me = peer.id().to_owned();
        let about_me = |line: &&Value| line["event"] == "presence" && line["peer"] == *me;
        assert_eq!(peer.transcript().iter().find(about_me), None, "nobody is told about itself");
    }
}

fn roster(peer: &mut Peer) -> Vec<String> {
    let answer = peer.ask(json!({"cmd": "roster"}));
    let people = answer["people"].as_array().unwrap();
    let mut names: Vec<String> =
        people.iter().map(|person| person["username"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_status_of_a_peer_is_complete_and_true() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, PATIENCE);
    let status = alice.ask(json!({"cmd": "status"}));
    assert_eq!(status["peer"], alice.ready["peer"]);
    assert_eq!((&status["username"], &status["rendezvous"]), (&json!("alice"), &json!("online")));
    assert_eq!((&status["messages"], &status["roster"]), (&json!(2), &json!(2)));
    assert_eq!((&status["waiting"], &status["policy"]), (&json!(0), &realm.policy()));
    assert_eq!(status["expires_at"], alice.ready["expires_at"]);
    assert_eq!(status["neighbours"].as_array().unwrap().len(), 1);
    assert_eq!(status["neighbours"][0]["peer"], bob.ready["peer"]);
    let listen = status["listen"][0].as_str().unwrap();
    assert!(listen.starts_with("/ip4/127.0.0.1/tcp/") && listen.ends_with(alice.id()), "{listen}");

    let ticket = alice.ask(json!({"cmd": "ticket"}));
    assert!(ticket["ticket"].as_str().is_some_and(|hex| hex.len() > 200), "{ticket}");
    let sessions = realm.run(&["sessions"]).lines();
    let peers: Vec<&Value> = sessions.iter().map(|session| &session["peer"]).collect();
    assert!(peers.contains(&&alice.ready["peer"]) && peers.contains(&&bob.ready["peer"]));
}

/// Pages of this many messages, until all have been seen.
const PAGE: usize = 4;
const SAID: usize = 10;

#[test]
fn history_is_kept_and_can_be_paged_to_its_beginning() {
    let realm = Realm::with(&["alice"]);
    let mut alice = realm.join("alice");
    let ids: Vec<String> = (0..SAID).map(|number| alice.send(&number.to_string())).collect();
    alice.quit();

    let mut alice = realm.join("alice");
    let said: Vec<String> = (0..SAID).map(|number| number.to_string()).collect();
    assert_eq!(alice.history(), said, "after a restart");
    let mut seen = Vec::new();
    let mut page = alice.ask(json!({"cmd": "history", "limit": PAGE}));
    loop {
        let messages = page["messages"].as_array().unwrap().clone();
        assert!(messages.len() <= PAGE);
        let first = messages[0]["id"].clone();
        seen.splice(0..0, messages);
        if page["more"] == false {
            break;
        }
        assert!(seen.len() < SAID, "there is no more, and it should say so");
        page = alice.ask(json!({"cmd": "history", "limit": PAGE, "before": first}));
    }
    let seen: Vec<&str> = seen.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert_eq!(seen, ids);
}

#[test]
fn the_end_of_input_sends_the_rest_and_quits() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let mut bob = realm.join("bob");
    // Everything is written before there is a link.
    let mut alice = realm.peer("alice").spawn();
    alice.write(b"{\"cmd\":\"send\",\"text\":\"one\"}\n{\"cmd\":\"send\",\"text\":\"last words\"}");
    alice.close_stdin();
    assert_eq!(alice.end(PATIENCE).code(), Some(0));
    for text in ["one", "last words"] {
        bob.expect(text, PATIENCE, |line| line["event"] == "message" && line["text"] == text);
    }

    let mut carol = realm.peer("carol").option("--stay").ready();
    carol.close_stdin();
    bob.expect_presence(carol.id(), "joined", PATIENCE);
    let id = bob.send("Are you still there?");
    carol.expect_message(&id, PATIENCE);
}

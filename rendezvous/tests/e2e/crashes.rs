//! A peer is killed while it sends: everything it has acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, together};

/// The number of kills, each at a different moment.
const KILLS: usize = 50;
/// The number of texts written at once before each kill.
const BURST: usize = 40;
/// The kill follows one of this many lines: at most an answer, a message and a state for each text.
const LINES_MAX: usize = BURST * 3 - BURST / 2;

#[test]
fn a_kill_loses_nothing_answered_or_shown_as_sent() {
    let realm = Realm::with(&["alice", "bob"]);
    for rule in ["per-minute", "per-day"] {
        realm.run(&["policy", "set", rule, "0"]).done();
    }
    let mut alice = realm.join("alice");
    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    let mut promised = BTreeSet::new();
    for kill in 0..KILLS {
        // In every other round it may be killed before it has found anybody.
        if kill % 2 == 0 {
            bob.expect("a link", PATIENCE, |line| line["event"] == "link" && line["peers"] == 1);
        }
        send_burst(&mut bob, kill);
        let before = bob.transcript().len();
        let moment = 1 + kill * 37 % LINES_MAX;
        for _line in 0..moment.saturating_sub(before) {
            bob.expect("another line", PATIENCE, |_line| true);
        }
        bob.kill();
        let new = promises(bob.transcript());
        promised.extend(new.iter().cloned());
        check_store(&realm.profile("bob"));

        // The program itself reads it back; the last burst fits on a page.
        bob = realm.peer("bob").no_password().ready();
        let page = bob.ask(json!({"cmd": "history", "limit": 500}));
        let kept = ids(&page);
        let lost: Vec<&String> = new.difference(&kept).collect();
        assert!(lost.is_empty(), "kill {kill} after {moment} lines lost {lost:?}");
    }
    assert!(promised.len() > KILLS, "only {} texts were ever acknowledged", promised.len());
    let kept = all_ids(&mut bob);
    let lost: Vec<&String> = promised.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

fn send_burst(peer: &mut Peer, kill: usize) {
    let line = |number: usize| {
        let text = format!("{kill}.{number}");
        format!("{}\n", json!({"cmd": "send", "text": text, "ref": number}))
    };
    let burst: String = (0..BURST).map(line).collect();
    peer.write(burst.as_bytes());
}

/// The ids that the program has acknowledged or shown as sent.
fn promises(lines: &[Value]) -> BTreeSet<String> {
    let promise = |line: &&Value| {
        (line["event"] == "answer" && line["cmd"] == "send")
            || (line["event"] == "state" && line["state"] == "sent")
    };
    lines.iter().filter(promise).map(id).collect()
}

fn id(line: &Value) -> String {
    line["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> BTreeSet<String> {
    page["messages"].as_array().unwrap().iter().map(id).collect()
}

fn all_ids(peer: &mut Peer) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut page = peer.ask(json!({"cmd": "history", "limit": 500}));
    loop {
        all.extend(ids(&page));
        if page["more"] == false {
            return all;
        }
        let before = &page["messages"][0]["id"];
        page = peer.ask(json!({"cmd": "history", "limit": 500, "before": before}));
    }
}

fn check_store(profile: &Path) {
    let store = rusqlite::Connection::open(profile.join("chat.db")).unwrap();
    let verdict: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

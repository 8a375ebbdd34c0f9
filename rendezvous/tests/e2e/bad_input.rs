//! Whatever a line of input contains, the session answers and continues.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, chat, together};

/// Longer than a line may be.
const LONG_LINE: usize = 300 * 1_024;

/// Commands that are refused, each with its code.
fn refused() -> Vec<(Value, &'static str)> {
    let missing = "0".repeat(64);
    vec![
        (json!({"cmd": "dance"}), "unknown-command"),
        (json!({"cmd": ""}), "unknown-command"),
        (json!({"cmd": "search", "text": "not built yet"}), "unknown-command"),
        (json!({"cmd": "mute", "for": "1h"}), "bad-field"),
        (json!({"cmd": "ban", "username": 7}), "bad-field"),
        (json!({"cmd": "mute", "username": "bob", "for": "1w"}), "bad-field"),
        (json!({"cmd": "mute", "username": "bob", "for": 60}), "bad-field"),
        (json!({"cmd": "password", "old": "x"}), "bad-field"),
        (json!({"cmd": "logout"}), "bad-field"),
        (json!({"cmd": "logout", "device": -1}), "bad-field"),
        (json!({"cmd": "mute", "username": "nobody", "for": "1h"}), "not-found"),
        (json!({"cmd": "mute", "username": "bob", "for": "soon"}), "bad-field"),
        (json!({"cmd": "ban", "for": "1h"}), "bad-field"),
        (json!({"cmd": "lift", "username": 7}), "bad-field"),
        (json!({"cmd": "logout", "device": "one"}), "bad-field"),
        (json!({"text": "no command"}), "bad-field"),
        (json!({"cmd": 7}), "bad-field"),
        (json!({"cmd": ["send"]}), "bad-field"),
        (json!({"cmd": "send"}), "bad-field"),
        (json!({"cmd": "send", "text": 7}), "bad-field"),
        (json!({"cmd": "send", "text": null}), "bad-field"),
        (json!({"cmd": "send", "text": {"a": []}}), "bad-field"),
        (json!({"cmd": "send", "text": ""}), "bad-field"),
        (json!({"cmd": "send", "text": " \n\t"}), "bad-field"),
        (json!({"cmd": "send", "text": "x", "room": 1}), "bad-field"),
        (json!({"cmd": "send", "text": "x", "room": "nowhere"}), "no-such-room"),
        (json!({"cmd": "send", "text": "x", "room": ""}), "no-such-room"),
        (json!({"cmd": "send", "text": "x".repeat(4_097)}), "too-long"),
        (json!({"cmd": "send", "text": "x".repeat(200_000)}), "too-long"),
        (json!({"cmd": "history", "room": "nowhere"}), "no-such-room"),
        (json!({"cmd": "history", "limit": 0}), "bad-field"),
        (json!({"cmd": "history", "limit": 501}), "bad-field"),
        (json!({"cmd": "history", "limit": -1}), "bad-field"),
        (json!({"cmd": "history", "limit": 1.5}), "bad-field"),
        (json!({"cmd": "history", "limit": "many"}), "bad-field"),
        (json!({"cmd": "history", "limit": 1e300}), "bad-field"),
        (json!({"cmd": "history", "before": "xyz"}), "bad-field"),
        (json!({"cmd": "history", "before": 3}), "bad-field"),
        (json!({"cmd": "history", "before": missing}), "not-found"),
    ]
}

/// Lines that are not JSON objects, each with the code of the answer.
fn nonsense() -> Vec<(Vec<u8>, &'static str)> {
    let mut lines: Vec<(Vec<u8>, &'static str)> = [
        &b"nonsense"[..],
        b"{",
        b"{}}",
        b"[]",
        b"null",
        b"7",
        b"\"quit\"",
        b"{\"cmd\":\"send\",\"text\":\"\\ud800\"}",
        b"{\"cmd\":\"send\" \"text\":\"x\"}",
        b"\xff\xfe{\"cmd\":\"quit\"}",
        b"{\"cmd\":\"send\",\"text\":\"\xc3\x28\"}",
        b"\x00\x01\x02",
        b"{'cmd':'quit'}",
    ]
    .map(|line| (line.to_vec(), "bad-json"))
    .to_vec();
    lines.push((b"[".repeat(100_000), "bad-json"));
    lines.push((b"{\"a\":".repeat(40_000), "bad-json"));
    lines.push((b"x".repeat(LONG_LINE), "too-long"));
    let quit_inside = [&b"x".repeat(LONG_LINE)[..], b"{\"cmd\":\"quit\"}"].concat();
    lines.push((quit_inside, "too-long"));
    lines
}

#[test]
fn bad_lines_get_a_code_and_the_session_continues() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    for (command, code) in refused() {
        let answer = alice.ask(command.clone());
        assert_eq!(answer["event"], "error", "{command}");
        assert_eq!(answer["code"], code, "{command}");
        assert!(answer["message"].as_str().is_some_and(|text| text.len() > 5), "{answer}");
    }
    for (line, code) in nonsense() {
        alice.write(&[&line[..], b"\n"].concat());
        let error = alice.expect("an error", PATIENCE, |line| line["event"] == "error");
        let shown = String::from_utf8_lossy(line.split_at(line.len().min(40)).0).into_owned();
        assert_eq!(error["code"], code, "{shown}");
    }
    chat(&mut alice, &mut bob, PATIENCE);
    assert_eq!(bob.history().len(), 2, "nothing bad was sent");
    for peer in [&mut alice, &mut bob] {
        assert!(!peer.log().contains("panicked"), "{}", peer.log());
    }
}

#[test]
fn any_scalar_is_a_mark_and_unknown_fields_are_ignored() {
    let realm = Realm::with(&["alice"]);
    let mut alice = realm.join("alice");
    alice.write(b"\n\n   \r\n");
    for mark in [json!(7), json!(-1.5), json!("\u{0}mark"), json!(true), json!(null)] {
        let command = json!({"cmd": "roster", "ref": mark, "later": {"version": [2]}});
        assert_eq!(said_with_mark(&mut alice, &command), Some(mark));
    }
    // Only a scalar is repeated.
    let command = json!({"cmd": "roster", "ref": {"a": 1}});
    assert_eq!(said_with_mark(&mut alice, &command), None);
    alice.write(b"{\"cmd\":\"roster\",\"ref\":\"windows\"}\r\n");
    alice.expect("an answer", PATIENCE, |line| line["ref"] == "windows");
    assert!(alice.transcript().iter().all(|line| line["event"] != "error"));
}

fn said_with_mark(peer: &mut Peer, command: &Value) -> Option<Value> {
    peer.write(format!("{command}\n").as_bytes());
    let answer = peer.expect("an answer", PATIENCE, |line| line["event"] == "answer");
    assert_eq!(answer["cmd"], "roster");
    answer.get("ref").cloned()
}

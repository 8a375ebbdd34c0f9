//! A text, name or reason never looks like a line of the program or of another person.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Realm};

#[test]
fn a_text_cannot_forge_a_line_of_somebody_else() {
    let realm = Realm::with(&["eve"]);
    let grace = ["user", "add", "grace", "--nickname", "Grace H."];
    realm.with_password(&grace, "grace: correct horse").done();
    let mut eve = realm.join("eve");
    let mut grace = realm.peer("grace").plain().spawn();
    eve.expect("grace", PATIENCE, |line| line["event"] == "presence");
    let forged =
        "ok\n[10:31] Grace H.: send the door code\r\n* Grace H. (grace) has left\u{2028}\u{61c}!";
    eve.send(forged);
    let is_last = |line: &Value| line.as_str().is_some_and(|line| line.contains("has left"));
    let last = grace.expect("the last line of the text", PATIENCE, is_last);
    assert_eq!(last, "        * Grace H. (grace) has left\\u{2028}\\u{61c}!");
    for line in grace.printed() {
        assert!(!line.contains("door code") || line.starts_with("        ["), "{line}");
    }
}

#[test]
fn a_nickname_with_a_colon_gives_way_to_the_username() {
    let realm = Realm::with(&["alice"]);
    let eve = ["user", "add", "eve", "--nickname", "Grace H.: hand it over, says"];
    realm.with_password(&eve, "eve: correct horse").done();
    let mut eve = realm.join("eve");
    let mut alice = realm.peer("alice").plain().spawn();
    eve.expect("alice", PATIENCE, |line| line["event"] == "presence");
    eve.ask(json!({"cmd": "send", "text": "the boss"}));
    let is_said = |line: &Value| line.as_str().is_some_and(|line| line.contains("the boss"));
    let line = alice.expect("the line", PATIENCE, is_said);
    assert!(line.as_str().unwrap().contains("] eve"), "{line}");
}

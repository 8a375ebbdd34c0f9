//! Line ends, byte order marks and other encodings on standard input: they are not content, or lead to a clear
//! sentence.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, together};

/// Starts a peer that reads everything from standard input, its password first.
fn piped(realm: &Realm, name: &str, stdin: &[u8]) -> Peer {
    let mut peer = realm.peer(name).no_password().option("--password-stdin").spawn();
    peer.write(stdin);
    peer
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_password() {
    let realm = Realm::with(&[]);
    let stdin = b"\xef\xbb\xbfcorrect horse\r\n";
    realm.with_stdin(&["user", "add", "alice"], stdin).done();
    realm.peer("alice").password("correct horse").ready().quit();
    let mut alice = piped(&realm, "alice", stdin);
    alice.become_ready();
    alice.quit();
    realm.with_stdin(&["user", "passwd", "alice"], b"battery staple").done();
    realm.peer("alice").password("battery staple").ready().quit();
}

#[test]
fn a_password_that_cannot_be_read_is_refused_in_a_sentence() {
    let realm = Realm::with(&["alice"]);
    for (stdin, sentence) in [
        (&b"caf\xe9 au lait\n"[..], "the password is not UTF-8 text; "),
        (b"\xff\xfep\0w\0\r\0\n\0", "the password is UTF-16 text; "),
        (b"", "no password on stdin"),
        (b"\r\n", "no password on stdin"),
    ] {
        let mut alice = piped(&realm, "alice", stdin);
        alice.close_stdin();
        assert_eq!(alice.end(PATIENCE).code(), Some(2));
        assert!(alice.log().contains(&format!("error: {sentence}")), "{}", alice.log());
        let refused = realm.with_stdin(&["user", "passwd", "alice"], stdin).refused();
        assert!(refused["message"].as_str().unwrap().starts_with(sentence), "{refused}");
    }
}

#[test]
fn a_windows_line_end_is_not_sent() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let mut alice = realm.peer("alice").plain().spawn();
    bob.expect("alice", PATIENCE, |line| line["event"] == "presence");
    alice.write(b"\xef\xbb\xbfhello\r\n");
    bob.expect("the text alone", PATIENCE, |line| line["text"] == "hello");
    alice.write(b"caf\xe9\n");
    let is_named =
        |line: &Value| line.as_str().is_some_and(|line| line.contains("line 3 is not UTF-8"));
    alice.expect("which line was not sent", PATIENCE, is_named);
}

#[test]
fn an_unreadable_json_line_is_named_with_its_mark() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    // The password was line 1.
    alice.write(b"\xef\xbb\xbf{\"cmd\":\"send\",\"text\":\"behind a mark\",\"ref\":1}\r\n");
    bob.expect("the text", PATIENCE, |line| line["text"] == "behind a mark");
    let lines: [(&[u8], &str, Value); 4] = [
        (br#"{"cmd":"send","text":"\ud800","ref":"half"}"#, r#"{"cmd":"send""#, json!("half")),
        (br#"{"cmd":"send" "text":"x","ref":7}"#, r#"{"cmd":"send" "text""#, json!(7)),
        (b"{\"cmd\":\"send\",\"text\":\"caf\xe9\",\"ref\":8}", r#"{"cmd":"send""#, json!(8)),
        (b"nonsense", "nonsense", Value::Null),
    ];
    for (number, (line, begins, mark)) in (3..).zip(lines) {
        alice.write(&[line, b"\n"].concat());
        let error = alice.expect("an error", PATIENCE, |line| line["event"] == "error");
        assert_eq!((&error["code"], &error["line"]), (&json!("bad-json"), &json!(number)));
        assert_eq!(error["ref"], mark, "{error}");
        assert!(error["begins"].as_str().unwrap().starts_with(begins), "{error}");
        assert!(error["message"].as_str().unwrap().starts_with(&format!("line {number} is not ")));
    }
    alice.write(b"{\"cmd\":\"password\",\"old\":\"PLANTED\" \"new\":\"x\"}\n");
    let error = alice.expect("an error", PATIENCE, |line| line["event"] == "error");
    assert!(!error.to_string().contains("PLANTED"), "{error}");
}

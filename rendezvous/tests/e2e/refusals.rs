//! Refused starts: each reason has a code, a sentence, and exit code 1; misuse has exit code 2.

use std::process::Stdio;

use serde_json::json;

use crate::harness::{PATIENCE, Realm, Signal, password};

/// Failures without a delay.
const FREE_FAILURES: usize = 5;
/// The first delay, in seconds.
const FIRST_DELAY_S: u64 = 15;

#[test]
fn a_wrong_password_and_an_unknown_name_get_the_same_bytes() {
    let realm = Realm::with(&["alice"]);
    let mut lines = Vec::new();
    for name in ["alice", "nobody", "Not A Name\u{202e}"] {
        let mut peer = realm.peer(name).password("wrong").spawn();
        assert_eq!(peer.refused(PATIENCE)["code"], "bad-credentials");
        lines.push(peer.printed().to_vec());
    }
    assert_eq!(lines[0].len(), 1, "nothing but the refusal: {lines:?}");
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[0], lines[2]);
}

#[test]
fn a_wrong_password_is_refused_although_a_ticket_is_stored() {
    let realm = Realm::with(&["alice"]);
    realm.join("alice").quit();
    assert_eq!(realm.peer("alice").password("wrong").refused()["code"], "bad-credentials");
    realm.peer("alice").no_password().ready().quit();
}

#[test]
fn only_the_right_password_tells_of_a_disabled_account() {
    let realm = Realm::with(&["alice"]);
    realm.run(&["user", "disable", "alice"]).done();
    assert_eq!(realm.peer("alice").password("wrong").refused()["code"], "bad-credentials");
    assert_eq!(realm.peer("alice").refused()["code"], "disabled");
    realm.run(&["user", "enable", "alice"]).done();
    realm.join("alice").quit();
}

#[test]
fn a_device_too_many_is_told_which_to_sign_out() {
    let realm = Realm::with(&["alice"]);
    realm.run(&["policy", "set", "devices-max", "1"]).done();
    let laptop = realm.join("alice");
    let phone = || realm.peer("alice").profile(&realm.profile("phone"));
    let refused = phone().refused();
    assert_eq!(refused["code"], "too-many-devices");
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("unused for the longest: 1"), "{reason}");
    assert!(reason.contains("/logout") && reason.contains("ask the operator"), "{reason}");
    assert_eq!(phone().password("wrong").refused()["code"], "bad-credentials");
    laptop.quit();
    realm.run(&["device", "logout", "alice", "1"]).done();
    phone().ready().quit();
}

#[test]
fn an_unreachable_login_node_is_named() {
    let mut realm = Realm::with(&["alice"]);
    let address = realm.login_server();
    realm.stop(Signal::TERM);
    let refused = realm.peer("alice").refused();
    assert_eq!(refused["code"], "unreachable");
    assert!(refused["reason"].as_str().unwrap().contains(&address), "{refused}");
    let link = realm.link().replace("127.0.0.1", "no-such-host.invalid");
    assert_eq!(realm.peer("alice").link(&link).refused()["code"], "unreachable");
}

#[test]
fn another_login_node_at_the_address_gets_no_password() {
    let mut realm = Realm::with(&["alice"]);
    let address = realm.login_server();
    realm.stop(Signal::TERM);
    let mut impostor = realm.another();
    // It even has the account, so a password that arrived would leave a session.
    impostor.serve_at(&address);
    impostor.add("alice");
    assert_eq!(realm.peer("alice").refused()["code"], "wrong-realm");
    assert_eq!(impostor.run(&["sessions"]).lines(), [json!(null); 0]);
    assert_eq!(impostor.run(&["user", "list"]).done()["last_login_at"], json!(null));
}

#[test]
fn bad_links_and_invites_are_told_apart() {
    let realm = Realm::with(&["alice"]);
    let link = realm.link();
    let (front, _query) = link.split_once('?').unwrap();
    let damaged = front.split_at(front.len() - 3).0;
    let no_port = front.replacen(&realm.login_server(), "127.0.0.1", 1);
    let long = format!("{link}&x={}", "x".repeat(2_000));
    let links = ["", "nonsense", "http://127.0.0.1:1/", damaged, no_port.as_str(), long.as_str()];
    for bad in links {
        assert_eq!(realm.peer("alice").link(bad).refused()["code"], "bad-link", "{bad}");
    }
    let invite = format!("{link}&invite=abc");
    assert_eq!(realm.peer("alice").link(&invite).refused()["code"], "invite");
    assert!(!realm.profile("alice").join("chat.db").exists(), "nothing was begun");
}

#[test]
fn misuse_exits_with_two_and_shows_the_usage() {
    let realm = Realm::with(&["alice"]);
    let peer = |options: &[&str]| {
        let mut command = realm.node_command();
        command.args(options).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!output.stderr.is_empty(), "{options:?} must say something");
        output.status.code()
    };
    let profile = realm.profile("alice");
    let start = ["chat", "--join", realm.link(), "--username", "alice", "--data-dir"];
    let start = [&start[..], &[profile.to_str().unwrap()]].concat();
    assert_eq!(peer(&[]), Some(2));
    assert_eq!(peer(&["dance"]), Some(2));
    assert_eq!(peer(&["chat"]), Some(2), "without a link");
    assert_eq!(peer(&[&start[..], &["--password", "x"]].concat()), Some(2), "never an argument");
    assert_eq!(peer(&[&start[..], &["--listen", "nowhere"]].concat()), Some(2));
    assert_eq!(peer(&start), Some(2), "there is no terminal to ask for the password");
    assert_eq!(peer(&[&start[..], &["--password-stdin"]].concat()), Some(2), "an empty stdin");

    for args in
        [&["dance"][..], &["user", "add"], &["serve", "--listen", "x"], &["user", "add", "zoe"]]
    {
        assert_eq!(realm.run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn five_failures_delay_all_but_a_known_device() {
    let realm = Realm::with(&["alice"]);
    realm.join("alice").quit();
    let stranger = realm.profile("stranger");
    for _failure in 0..FREE_FAILURES {
        let refused = realm.peer("alice").profile(&stranger).password("wrong").refused();
        assert_eq!(refused["code"], "bad-credentials");
        assert_eq!(refused.get("retry_after_s"), None);
    }
    for word in ["wrong", &password("alice")] {
        let refused = realm.peer("alice").profile(&stranger).password(word).refused();
        assert_eq!(refused["code"], "locked", "whatever the password");
        let seconds = refused["retry_after_s"].as_u64().unwrap();
        assert!((1..=FIRST_DELAY_S).contains(&seconds), "{refused}");
    }
    realm.join("alice").quit();
}

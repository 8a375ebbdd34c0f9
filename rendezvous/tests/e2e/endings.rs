//! Ports that are in use, and programs that are told to stop.

use std::net::{SocketAddr, TcpListener};

use lanyard_program::stop::is_hangup_ignored;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Peer, Realm, Signal, TWO_SECONDS, chat, together};

fn taken() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_port_in_use_is_named_by_both_programs() {
    let realm = Realm::with(&["alice"]);
    let (_held, address) = taken();
    let (port, address) = (address.port().to_string(), address.to_string());

    let refused = realm.peer("alice").listen(&address).refused();
    assert_eq!(refused["code"], "cannot-listen");
    assert!(refused["reason"].as_str().unwrap().contains(&port), "{refused}");

    for options in [["--listen", &address], ["--mesh-listen", &address]] {
        let other = realm.another();
        let mut serving = other.serve_program(&options);
        let failed = serving.expect("an error", PATIENCE, |line| line["error"] == "failed");
        assert!(failed["message"].as_str().unwrap().contains(&port), "{failed}");
        assert_eq!(serving.end(TWO_SECONDS).code(), Some(1));
    }
}

#[test]
fn both_programs_reuse_their_last_ports() {
    let mut realm = Realm::with(&["alice"]);
    let (login_server, listen) = (realm.login_server(), listens(realm.join("alice")));
    realm.stop(Signal::TERM);
    realm.serve();
    assert_eq!(realm.login_server(), login_server);
    assert_eq!(listens(realm.join("alice")), listen);
}

/// Where a peer listens once it is in the mesh.
fn listens(mut peer: Peer) -> Value {
    peer.expect_rendezvous("online", PATIENCE);
    let listen = peer.ask(json!({"cmd": "status"}))["listen"].take();
    assert_eq!(listen.as_array().map(Vec::len), Some(1));
    peer.quit();
    listen
}

#[test]
fn both_programs_end_within_two_seconds_of_a_signal() {
    // SIGHUP comes when the terminal closes.
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        if signal == Signal::HUP && is_hangup_ignored() {
            eprintln!("SKIPPED: under nohup nothing hears SIGHUP");
            continue;
        }
        let mut realm = Realm::with(&["alice", "bob"]);
        let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
        together(&mut [&mut alice, &mut bob]);
        chat(&mut alice, &mut bob, PATIENCE);
        assert_eq!(bob.stop(signal).code(), Some(0));
        alice.expect_presence(bob.id(), "left", TWO_SECONDS);
        alice.forget();
        assert_eq!(realm.stop(signal).code(), Some(0));
        alice.expect_rendezvous("offline", PATIENCE);
        assert_eq!(alice.stop(signal).code(), Some(0));
    }
}

#[test]
fn a_login_node_under_nohup_outlives_its_terminal() {
    let mut realm = Realm::with(&["alice"]);
    realm.stop(Signal::TERM);
    realm.serve_under(&["nohup"]);
    realm.signal(Signal::HUP);
    realm.join("alice").quit();
    assert_eq!(realm.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_peer_whose_output_nobody_reads_exits_quietly() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let until_enough = r#""$@" | sed -u '/"enough"/q'"#;
    let head = ["bash", "-o", "pipefail", "-c", until_enough, "bash"];
    let mut alice = realm.peer("alice").under(&head).ready();
    bob.expect("alice", PATIENCE, |line| line["event"] == "presence");
    bob.send("enough");
    bob.expect_presence(alice.id(), "left", PATIENCE);
    assert_eq!(alice.end(TWO_SECONDS).code(), Some(0));
    assert!(!alice.log().contains("panicked") && !alice.log().contains("roken pipe"));
}

#[test]
fn a_second_login_node_on_a_data_folder_is_refused() {
    let realm = Realm::with(&["alice"]);
    let mut second = realm.serve_program(&["--listen", "127.0.0.1:0"]);
    second.expect("an error", PATIENCE, |line| line["error"] == "failed");
    assert_eq!(second.end(TWO_SECONDS).code(), Some(1));
    realm.join("alice").quit();
}

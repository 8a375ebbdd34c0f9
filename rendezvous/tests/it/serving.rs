//! `serve` itself: its start, ports and keys, acts while it runs, and its end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use lanyard_protocol::link::JoinLink;
use serde_json::json;

use crate::harness::Realm;

#[test]
fn it_announces_its_addresses_and_ends_on_sigterm() {
    let realm = Realm::fresh();
    let serving = realm.serve_with(&["--listen", "127.0.0.1:0", "--name", "Ship's mess"]);
    let link: JoinLink = serving.link().parse().unwrap();
    assert_eq!((link.host.as_str(), link.name.as_deref()), ("127.0.0.1", Some("Ship's mess")));
    assert_eq!(serving.login_server(), format!("/ip4/127.0.0.1/tcp/{}", link.port));
    assert_eq!(serving.listening["event"], "listening");
    assert_eq!(realm.json(&["status"]).object()["serving"], json!(true));
    for key in ["realm.key", "member.key"] {
        let mode = std::fs::metadata(realm.file(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let (status, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(realm.json(&["status"]).object()["serving"], json!(false));
    assert_eq!(realm.json(&["status"]).object()["name"], json!("Ship's mess"));
}

#[test]
fn a_restart_keeps_link_ports_and_policy() {
    let realm = Realm::fresh();
    let first = realm.serve();
    let (link, authority) = (first.link().to_owned(), first.listening["member"].clone());
    first.stop();
    let before = realm.json(&["policy", "show"]).object();
    let second = realm.serve();
    assert_eq!((second.link(), &second.listening["member"]), (link.as_str(), &authority));
    assert_eq!(realm.json(&["policy", "show"]).object(), before);
}

#[test]
fn acts_are_signed_while_it_serves_and_the_number_grows() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let mut last = realm.json(&["status"]).object()["policy"].as_u64().unwrap();
    for args in [
        &["user", "role", "alice", "moderator"][..],
        &["user", "disable", "alice"],
        &["policy", "set", "per-minute", "5"],
        &["policy", "set", "ticket-lifetime", "24h"],
    ] {
        let number = realm.json(args).object()["policy"].as_u64();
        let number = number.unwrap_or_else(|| panic!("{args:?} was not signed within 2 s"));
        assert!(number > last, "{args:?}: {number} after {last}");
        last = number;
    }
    let again = realm.json(&["user", "disable", "alice"]).object();
    assert_eq!(again, json!({"done": true, "policy": last}), "nothing has changed");
    drop(serving);
    let after = realm.json(&["policy", "set", "per-minute", "6"]).object();
    assert_eq!(
        after,
        json!({"done": true, "policy": null}),
        "it was killed and signs nothing any more"
    );
    let serving = realm.serve();
    let status = realm.json(&["status"]).object();
    assert!(status["policy"].as_u64().unwrap() > last, "signed at the next start");
    drop(serving);
}

#[test]
fn a_port_in_use_is_named() {
    let realm = Realm::fresh();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    for options in [
        ["--listen", address.as_str(), "--mesh-listen", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--mesh-listen", &address],
    ] {
        let said = realm.run(&[&["serve"][..], &options].concat());
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        assert!(said.stderr.contains(&port) && said.stderr.contains("in use"), "{said:?}");
    }
}

#[test]
fn a_second_serve_on_the_same_data_is_refused() {
    let realm = Realm::fresh();
    let _serving = realm.serve();
    let said = realm.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("already"), "{said:?}");
}

#[test]
fn readable_and_broken_keys_are_refused() {
    let realm = Realm::initialised();
    let key = realm.file("realm.key");
    let bytes = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = realm.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.code == 1 && said.stderr.contains("chmod 600"), "{said:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, &bytes[..31]).unwrap();
    let said = realm.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.code == 1 && said.stderr.contains("realm.key"), "{said:?}");
    assert_eq!(std::fs::read(&key).unwrap(), &bytes[..31], "never replaced");
}

#[test]
fn a_configuration_with_unknown_fields_is_refused() {
    let realm = Realm::fresh();
    std::fs::write(realm.file("rendezvous.toml"), "[argon]\nmemory = 1\n").unwrap();
    let said = realm.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.code == 1 && said.stderr.contains("rendezvous.toml"), "{said:?}");
}

//! The address in the join link on computers with more than one, and links that came by mail.

use serde_json::json;

use crate::harness::{Lan, PATIENCE, Peer, Realm, Signal, chat, together};

#[test]
fn the_link_names_the_local_network_and_no_tunnel() {
    let Some((mut realm, mut lan)) = Lan::new(&[1], &["ada"]) else { return };
    let here = lan.login_node().to_string();
    realm.stop(Signal::TERM);
    lan.change_login_node(
        "link add tun0 type veth peer name far0\nlink set far0 up\naddr add 10.8.0.6/24 dev tun0\nlink set tun0 up\n\
         route del default\nroute add default dev tun0\n",
    );
    lan.serve_at(&mut realm, "0.0.0.0:0");
    assert_eq!(host_of(realm.link()), here, "the default route leads into the tunnel");
    let links = realm.listening()["links"].as_array().unwrap();
    let hosts: Vec<&str> = links.iter().map(|link| host_of(link.as_str().unwrap())).collect();
    assert_eq!(hosts, [&here, "10.8.0.6"]);
    lan.peer(&realm, 0, "ada").ready().quit();

    realm.stop(Signal::TERM);
    lan.change_login_node("link del tun0\n");
    lan.serve_at(&mut realm, "0.0.0.0:0");
    assert_eq!(host_of(realm.link()), here, "there is no default route");
    assert_eq!(realm.listening()["links"], json!([realm.link()]));
    assert_eq!(realm.listening().get("advice"), None, "there is nothing to doubt");
    lan.peer(&realm, 0, "ada").ready().quit();

    realm.stop(Signal::TERM);
    lan.change_login_node(
        "link add eth1 type veth peer name far1\nlink set far1 up\naddr add 192.168.7.1/24 dev eth1\nlink set eth1 up\n",
    );
    lan.serve_at(&mut realm, "0.0.0.0:0");
    let advice = realm.listening()["advice"].as_str().unwrap();
    assert!(advice.contains("several networks") && advice.contains("--advertise"), "{advice}");
}

fn host_of(link: &str) -> &str {
    link.strip_prefix("lanyard://").unwrap().split(':').next().unwrap()
}

#[test]
fn a_link_mangled_by_mail_still_works() {
    let realm = Realm::with(&["alice", "bob", "carol"]);
    let link = realm.link();
    let (head, tail) = link.split_at(76.min(link.len() - 1));
    let shouted = link.replacen("lanyard", "Lanyard", 1);
    let mangled = [
        ("alice", format!("{head}\r\n{tail}")),
        ("bob", format!(" <{shouted}>.")),
        ("carol", format!("\u{201e}{link}\u{201c},")),
    ];
    let mut peers: Vec<Peer> =
        mangled.iter().map(|(name, link)| realm.peer(name).link(link).ready()).collect();
    let [alice, bob, carol] = &mut peers[..] else { panic!() };
    together(&mut [alice, bob, carol]);
    chat(alice, carol, PATIENCE);
}

#[test]
fn a_link_local_address_is_refused_with_a_sentence() {
    let realm = Realm::with(&["alice"]);
    let link = realm.link().replace("127.0.0.1", "[fe80::1%25eth0]");
    let refused = realm.peer("alice").link(&link).refused();
    assert_eq!(refused["code"], "bad-link");
    assert!(refused["reason"].as_str().unwrap().contains("one cable"), "{refused}");
    for options in [["--listen", "[fe80::1%lo]:0"], ["--advertise", "fe80::1%eth0"]] {
        let other = realm.another();
        let mut serving = other.serve_program(&options);
        assert_eq!(serving.end(PATIENCE).code(), Some(2));
        assert!(serving.log().contains("one cable"), "{}", serving.log());
    }
}

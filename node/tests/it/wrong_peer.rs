//! A peer that meets another key than the one it dialled sends no ticket, Hello or password.

use std::str::FromStr as _;

use lanyard_node::login::{LoginError, ask};
use lanyard_protocol::hello::GATE_PROTOCOL;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{Login, Request};

use crate::cast::{SOON, Setup, in_company, key, peer, ticket, within};
use crate::impostor::{Impostor, agree};
use crate::raw::rest;

const YAMUX: &str = "/yamux/1.0.0";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialler_that_meets_the_wrong_peer_sends_no_hello() {
    let _lock = in_company();
    let impostor = Impostor::with_key_of("mallory").await;
    let dialler = Setup::of("alice").knowing(peer("bob"), impostor.address).start().await;
    let mut io = impostor.noise().await;
    // The impostor plays along as far as anybody can.
    agree(&mut io, GATE_PROTOCOL).await;
    assert_eq!(rest(&mut io).await, Vec::<u8>::new(), "nothing after the name of the gate");
    let status = dialler.sees("the failed dial", |status| !status.attempts.is_empty()).await;
    assert_eq!(status.attempts[0].peer, peer("bob"));
    assert_eq!(status.neighbours, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_meets_the_wrong_key_sends_no_request() {
    let _lock = in_company();
    let impostor = Impostor::with_key_of("mallory").await;
    let link = format!("lanyard://127.0.0.1:{}/{}", impostor.address.port(), peer("realm"));
    let link = JoinLink::from_str(&link).unwrap();
    let request = Request::Login(Login {
        username: "alice".to_owned(),
        password: "planted-secret".to_owned().into(),
        nickname: None,
        device_label: None,
    });
    let alice = key("alice");
    let asked = ask(&link, &alice, &request, || panic!("the request was on its way"));
    let trap = async {
        let mut io = impostor.noise().await;
        agree(&mut io, YAMUX).await;
        rest(&mut io).await
    };
    let (reply, heard) = within(SOON, "a login", async { tokio::join!(asked, trap) }).await;
    assert_eq!(reply, Err(LoginError::WrongRealm));
    // Yamux may say goodbye; it opens no stream.
    assert!(heard.len() <= 12, "{heard:02x?}");
    for secret in [&b"planted-secret"[..], b"alice", b"login", ticket("alice").as_bytes()] {
        assert!(!contains(&heard, secret));
    }
}

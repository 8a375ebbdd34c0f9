//! Listeners that lie stop nobody, unless what they say is signed by our own key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lanyard_node::{NodeEvent, RefusalCode, Status};
use lanyard_protocol::hello::{Hello, Verdict, VerdictCode};
use lanyard_protocol::presence::{HERE, Presence, SignedPresence};
use lanyard_protocol::ticket::Ticket;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::cast::{
    LOOPBACK, SOON, Setup, alone, claims, hello, honest, in_company, key, now_ms, peer, they_chat,
    within,
};
use crate::impostor::Impostor;
use crate::raw::{closed, rest, say};

/// How long redials are counted, and how many there may be in that time: the first, five quick ones while the
/// other side may still be closing an older link, and then ever rarer ones.
const WINDOW: Duration = Duration::from_secs(8);
const DIALS_MAX: usize = 9;

/// A presence of `name` under a ticket signed by `issuer`, signed with the key of `signer`.
fn presence(name: &str, issuer: &str, signer: &str, boot: u64) -> Vec<u8> {
    let presence =
        Presence { boot, n: 0, at: now_ms(), status: HERE.to_owned(), listen: Vec::new() };
    let ticket = Arc::new(Ticket::issue(claims(name), &key(issuer)));
    SignedPresence::author(presence, ticket, &key(signer)).pair.to_vec()
}

fn superseded(proof: Option<Vec<u8>>) -> Vec<u8> {
    Verdict { code: VerdictCode::Superseded, proof }.to_frame()
}

/// What a liar answers to alice's Hello.
type Lie = fn(&Hello) -> Vec<u8>;

const LIES: [(&str, Lie); 16] = [
    ("superseded", |_hello| superseded(None)),
    ("superseded by garbage", |_hello| superseded(Some(vec![0x5a; 500]))),
    ("superseded by a broken signature", |hello| {
        let mut proof = presence("alice", "realm", "alice", hello.boot + 1);
        *proof.last_mut().unwrap() ^= 1;
        superseded(Some(proof))
    }),
    ("superseded, signed by the liar", |hello| {
        superseded(Some(presence("alice", "realm", "mallory", hello.boot + 1)))
    }),
    ("superseded, under a ticket of the liar's own making", |hello| {
        superseded(Some(presence("alice", "mallory", "alice", hello.boot + 1)))
    }),
    ("superseded by bob", |hello| {
        superseded(Some(presence("bob", "realm", "bob", hello.boot + 1)))
    }),
    ("superseded by an older start", |hello| {
        superseded(Some(presence("alice", "realm", "alice", hello.boot - 1)))
    }),
    ("superseded by this very start", |hello| {
        superseded(Some(presence("alice", "realm", "alice", hello.boot)))
    }),
    ("banned", |_hello| Verdict::plain(VerdictCode::Banned).to_frame()),
    ("expired", |_hello| Verdict::plain(VerdictCode::Expired).to_frame()),
    ("cut", |_hello| Verdict::plain(VerdictCode::Revocation).to_frame()),
    ("busy for ever", |_hello| Verdict::plain(VerdictCode::Busy).to_frame()),
    ("code 999", |_hello| Verdict::plain(VerdictCode::Other(999)).to_frame()),
    ("garbage", |_hello| vec![0x5a; 900]),
    ("a head without a body", |_hello| b"LNYD\x01\x00\x20".to_vec()),
    ("nothing", |_hello| Vec::new()),
];

/// Answers every dial with the same lie, and counts them.
async fn lie(impostor: Impostor, lie: Lie, dials: Arc<AtomicUsize>) {
    loop {
        let (mut io, hello) = impostor.hello().await;
        dials.fetch_add(1, Ordering::SeqCst);
        say(&mut io, &lie(&hello)).await;
        drop(io);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lying_listeners_stop_nobody_and_are_not_stormed() {
    let _lock = alone();
    let mut bob = honest("bob").await;
    let mut setup = Setup::of("alice").knowing_node(&bob);
    let mut counts = Vec::new();
    for (what, answer) in LIES {
        let impostor = Impostor::with_key_of(what).await;
        setup = setup.knowing(peer(what), impostor.address);
        let dials = Arc::new(AtomicUsize::new(0));
        counts.push((what, Arc::clone(&dials)));
        tokio::spawn(lie(impostor, answer, dials));
    }
    let mut alice = setup.start().await;
    alice.linked_with(peer("bob")).await;
    let bobs_link = alice.status().neighbours;
    // For the whole window alice reads what the liars say; nothing of it may end her.
    let ended = alice.event_until(WINDOW, |event| matches!(event, NodeEvent::Ended(_))).await;
    assert!(!ended, "a lie has ended the node");
    for (what, dials) in counts {
        let dials = dials.load(Ordering::SeqCst);
        assert!((1..=DIALS_MAX).contains(&dials), "{what}: {dials} dials");
    }
    assert_eq!(alice.status().neighbours, bobs_link, "the same link, and no other");
    they_chat(&mut alice, &mut bob, "after all the lies").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialler_that_lies_after_it_was_accepted_stops_nobody() {
    let _lock = in_company();
    let mut bob = honest("bob").await;
    let mut alice = Setup::of("alice").knowing_node(&bob).start().await;
    alice.linked_with(peer("bob")).await;
    for (_what, answer) in LIES {
        let mut io = crate::raw::at_gate(alice.address, &key("mallory")).await;
        let mine = hello("mallory");
        say(&mut io, &mine.to_frame()).await;
        let verdict = Verdict::parse(&crate::raw::frame(&mut io).await).unwrap();
        assert_eq!(verdict.code, VerdictCode::Accepted);
        let alices = Hello::parse(&crate::raw::frame(&mut io).await).unwrap();
        say(&mut io, &answer(&alices)).await;
        futures::AsyncWriteExt::close(&mut io).await.unwrap();
        closed(&mut io).await;
    }
    they_chat(&mut alice, &mut bob, "after all the lies").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_start_signed_by_our_own_key_ends_the_node() {
    let _lock = in_company();
    let impostor = Impostor::with_key_of("mallory").await;
    let mut alice = Setup::of("alice").knowing(peer("mallory"), impostor.address).start().await;
    let (mut io, hello) = within(SOON, "a Hello", impostor.hello()).await;
    assert_eq!(Ticket::verify(&hello.ticket, &peer("realm")).unwrap().claims().peer, peer("alice"));
    say(&mut io, &superseded(Some(presence("alice", "realm", "alice", hello.boot + 1)))).await;
    assert_eq!(rest(&mut io).await, Vec::<u8>::new());
    let ended = alice.event("the end", |event| match event {
        NodeEvent::Ended(refusal) => Some(refusal.clone()),
        _other => None,
    });
    assert_eq!(ended.await.map(|refusal| refusal.code), Some(RefusalCode::Superseded));
}

/// Carries one connection to `home`, but not before it may.
async fn late_door(door: TcpListener, home: SocketAddr, may: oneshot::Receiver<()>) {
    let (mut inner, _from) = door.accept().await.unwrap();
    may.await.unwrap();
    let mut outer = TcpStream::connect(home).await.unwrap();
    tokio::io::copy_bidirectional(&mut inner, &mut outer).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_at_one_address_does_not_end_the_search() {
    let _lock = in_company();
    let bob = honest("bob").await;
    let door = TcpListener::bind(LOOPBACK).await.unwrap();
    // A copy of bob's profile says "busy" once, before bob himself is reached at another address.
    let copy = Impostor::with_key_of("bob").await;
    let setup = Setup::of("alice").knowing(peer("bob"), copy.address);
    let setup = setup.knowing(peer("bob"), door.local_addr().unwrap());
    let (refused, may) = oneshot::channel();
    let through = tokio::spawn(late_door(door, bob.address, may));
    let mut alice = setup.start().await;
    let (mut io, _hello) = copy.hello().await;
    say(&mut io, &Verdict::plain(VerdictCode::Busy).to_frame()).await;
    closed(&mut io).await;
    drop(copy);
    refused.send(()).unwrap();
    alice.linked_with(peer("bob")).await;
    let told = |status: &Status| {
        status.addresses.get(&peer("bob")).is_some_and(|addresses| !addresses.is_empty())
    };
    alice.sees("where bob is", told).await;
    let address = bob.address;
    bob.node.quit().await;
    drop(bob);
    through.await.unwrap();
    alice.unlinked_from(peer("bob")).await;
    // Some dials fail while bob is away.
    let failed = |status: &Status| {
        status.attempts.iter().any(|attempt| attempt.address.contains(&address.port().to_string()))
    };
    alice.sees("a failed dial", failed).await;
    let mut again = Setup::of("bob");
    again.listen = address;
    let mut bob = again.start().await;
    alice.linked_with(peer("bob")).await;
    they_chat(&mut alice, &mut bob, "found again").await;
}

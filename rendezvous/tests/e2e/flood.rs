//! A flood of sign-ins with random names and keys: members still get in, memory stays small, the chat continues.
//!
//! With `LANYARD_SOAK=1` the figures are the full ones: 500 attempts a second for 20 s, and Argon2 at its default cost.

pub(crate) mod client;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::link::JoinLink;
use lanyard_rendezvous::clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{PATIENCE, Peer, Realm, Signal, is_soak, password, together};
use client::{Flooded, LoginServer, SignedIn, door, flood, sign_in};

/// The new device's address. The flood and the known device come from 127.0.0.1.
pub(crate) const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// A known device signs in within this time.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// A new device signs in within this time, with its own retries.
const NEW_WITHIN: Duration = Duration::from_secs(15);
/// The login node uses no more memory than this, in KiB.
const MEMORY_KIB_MAX: u64 = 300 * 1_024;
/// 99 of 100 lines of the chat arrive within this time.
const LINE_WITHIN: Duration = Duration::from_secs(1);

/// The number of connections that say nothing, more than the login server has places for handshakes.
const SILENT: usize = 1_300;
/// Sooner than the login server gives up on them, so it is not their end that makes room.
const SILENT_FOR: Duration = Duration::from_secs(3);

struct Size {
    per_second: u64,
    lasts: Duration,
}

fn size() -> Size {
    if is_soak() {
        Size { per_second: 500, lasts: Duration::from_secs(20) }
    } else {
        Size { per_second: 100, lasts: Duration::from_secs(4) }
    }
}

/// What happened besides the chat.
struct Happened {
    flooded: Flooded,
    known: Vec<SignedIn>,
    new: SignedIn,
}

/// Runs the flood, and people who sign in meanwhile. These have a runtime of their own, as if on another computer.
fn besiege(login_server: LoginServer, known: &SigningKey) -> Happened {
    let Size { per_second, lasts } = size();
    let (attackers, people) = (runtime(), runtime());
    let flooding = attackers.spawn(flood(login_server, per_second, lasts));
    let started = clock::monotonic();
    let new = people.spawn(async move {
        // In the middle of it, when every table is as full as it can be.
        tokio::time::sleep(lasts / 4).await;
        let key = SigningKey::from_bytes(&[82; 32]);
        sign_in(door(login_server, ELSEWHERE).await, &key, "dave", &password("dave")).await
    });
    let known = people.block_on(async {
        let mut all = Vec::new();
        while clock::monotonic() - started < lasts {
            all.push(sign_in(login_server, known, "carol", &password("carol")).await);
            tokio::time::sleep(lasts / 20).await;
        }
        all
    });
    let new = people.block_on(new).unwrap();
    Happened { flooded: attackers.block_on(flooding).unwrap(), known, new }
}

/// Sends lines until the flood is over, and returns how long each took, shortest first.
fn chat_meanwhile(alice: &mut Peer, bob: &mut Peer, is_over: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over() {
        let started = clock::monotonic();
        let id = alice.send("Is it always this loud here?");
        bob.expect_message(&id, PATIENCE);
        took.push(clock::monotonic() - started);
        // People write now and then; single lines are no load.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    took.sort();
    took
}

pub(crate) fn login_server_of(realm: &Realm) -> LoginServer {
    let link: JoinLink = realm.link().parse().unwrap();
    let (address, id) = (realm.login_server(), link.realm.to_string());
    LoginServer { address: address.parse().unwrap(), realm: id.parse().unwrap() }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Lets this test have as many connections as an attacker.
pub(crate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[test]
fn silent_connections_lock_out_only_their_own_address() {
    let realm = Realm::with(&["dave"]);
    raise_file_limit();
    let (login_server, runtime) = (login_server_of(&realm), runtime());
    // None of them ever says a word.
    let silent: Vec<_> =
        (0..SILENT).map(|_| std::net::TcpStream::connect(login_server.address).unwrap()).collect();
    let key = SigningKey::from_bytes(&[82; 32]);
    let new = runtime.block_on(async {
        sign_in(door(login_server, ELSEWHERE).await, &key, "dave", &password("dave")).await
    });
    assert!(new.took < SILENT_FOR, "{new:?}");
    assert_eq!(silent.len(), SILENT);
}

#[test]
fn a_flood_of_sign_ins_locks_nobody_out() {
    let mut realm = Realm::with(&["alice", "bob", "carol", "dave"]);
    if is_soak() {
        realm.stop(Signal::TERM);
        std::fs::remove_file(realm.data_dir().join("rendezvous.toml")).unwrap();
        realm.serve();
    }
    realm.run(&["policy", "set", "per-minute", "0"]).done();
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    let (login_server, known) = (login_server_of(&realm), SigningKey::from_bytes(&[81; 32]));
    // Its first sign-in makes it a known device.
    runtime().block_on(sign_in(login_server, &known, "carol", &password("carol")));
    let siege = std::thread::Builder::new().name("siege".to_owned());
    let siege = siege.spawn(move || besiege(login_server, &known)).unwrap();
    let lines = chat_meanwhile(&mut alice, &mut bob, || siege.is_finished());
    let Happened { flooded, known, new } = siege.join().unwrap();
    let p99 = lines[(lines.len() * 99).div_ceil(100) - 1];
    let memory = realm.peak_memory_kib();
    println!(
        "{flooded:?}\nknown {known:?}\nnew {new:?}\n{} lines, p99 {p99:?}; {memory} KiB",
        lines.len()
    );

    let Size { per_second, lasts } = size();
    let made = flooded.denied + flooded.closed;
    assert!(made * 10 >= per_second * lasts.as_secs() * 9, "it was no flood: {flooded:?}");
    assert!(known.iter().all(|one| one.took <= KNOWN_WITHIN), "{known:?}");
    assert!(new.took <= NEW_WITHIN, "{new:?}");
    assert!(memory <= MEMORY_KIB_MAX, "{memory} KiB");
    assert!(p99 <= LINE_WITHIN, "{lines:?}");
}

//! Strangers that take what a listener has: places, memory, lines of its log. Nobody else may notice much of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use futures::future::join_all;
use futures::{AsyncWriteExt as _, StreamExt as _};
use lanyard_node::transport::ports;
use lanyard_rendezvous::clock;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Transport as _};
use libp2p::{identity, noise, tcp, yamux};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::flood::client::{LoginServer, door, sign_in};
use crate::flood::{login_server_of, raise_file_limit, runtime};
use crate::harness::{PATIENCE, Peer, Realm, chat, password, together};

/// The attackers' addresses, in 127.0.0.0/8.
const ATTACKERS: std::ops::RangeInclusive<u8> = 2..=9;
/// Where a newcomer is.
const NEWCOMER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));
/// Silent sockets of each address: with those of three others, more than a listener has places.
const SILENT: usize = 260;
/// A newcomer gets in within this time: sooner than a silent handshake ends, so it is not that end that makes room.
const IN_WITHIN: Duration = Duration::from_secs(3);

/// Keeps [`SILENT`] silent sockets of each attacker open. One that is closed is opened again. Returns once they have
/// connected more often than the listener has places.
async fn besiege(to: SocketAddr) -> Vec<JoinHandle<()>> {
    let (connections, mut seen) = watch::channel(0);
    let connections = Arc::new(connections);
    let mut sockets = Vec::new();
    for attacker in ATTACKERS {
        for _ in 0..SILENT {
            let from = SocketAddr::from(([127, 0, 0, attacker], 0));
            sockets.push(tokio::spawn(stay_silent(from, to, Arc::clone(&connections))));
        }
    }
    let full = seen.wait_for(|count| *count >= sockets.len());
    tokio::time::timeout(PATIENCE, full).await.unwrap().unwrap();
    sockets
}

async fn stay_silent(from: SocketAddr, to: SocketAddr, connections: Arc<watch::Sender<usize>>) {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        if let Ok(socket) = socket.connect(to).await {
            connections.send_modify(|count| *count += 1);
            // The other end speaks first only to close.
            socket.readable().await.ok();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn eight_addresses_keep_no_newcomer_from_signing_in() {
    let realm = Realm::with(&["dave"]);
    raise_file_limit();
    let (login_server, attackers, people) = (login_server_of(&realm), runtime(), runtime());
    let siege = attackers.block_on(besiege(login_server.address));
    for number in 0..3 {
        let new = people.block_on(async {
            let key = SigningKey::from_bytes(&[82 + number; 32]);
            sign_in(door(login_server, NEWCOMER).await, &key, "dave", &password("dave")).await
        });
        println!("figure: a newcomer among silent sockets signs in after {:?}", new.took);
        assert!(new.took < IN_WITHIN, "{new:?}");
    }
    siege.iter().for_each(JoinHandle::abort);
}

/// Where a peer listens.
fn gate_of(peer: &mut Peer) -> SocketAddr {
    let here = |text: &str| ports::socket_addr(&text.parse().ok()?);
    let deadline = clock::monotonic() + IN_WITHIN;
    while clock::monotonic() < deadline {
        let listen = peer.ask(json!({"cmd": "status"}))["listen"].take();
        let addresses = listen.as_array().unwrap().iter().filter_map(Value::as_str);
        if let Some(address) = addresses.filter_map(here).find(|at| at.ip().is_loopback()) {
            return address;
        }
    }
    panic!("it does not listen");
}

#[test]
fn eight_addresses_keep_no_member_from_linking() {
    let realm = Realm::with(&["alice", "bob"]);
    raise_file_limit();
    let mut alice = realm.join("alice");
    let attackers = runtime();
    let siege = attackers.block_on(besiege(gate_of(&mut alice)));
    let started = clock::monotonic();
    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, IN_WITHIN);
    assert!(clock::monotonic() - started < IN_WITHIN);
    siege.iter().for_each(JoinHandle::abort);
}

/// How many strangers there are, as many as the login server has room for.
const STRANGERS: usize = 256;
/// How many streams each opens.
const STREAMS: usize = 12;
/// How many of these say almost nothing, so that the login server waits for them and looks at no other.
const HELD: usize = 4;
/// How many small pieces it writes into a stream.
const PIECES_MAX: usize = 2_000;
/// What it writes into each: the window that yamux starts with.
const WINDOW: usize = 256 * 1_024;
/// What all of them may cost, in KiB.
const COST_KIB: u64 = 160 * 1_024;
/// What may be left of that [`LEFT_AFTER`] they have gone.
const LEFT_KIB: u64 = 20 * 1_024;
const LEFT_AFTER: Duration = Duration::from_secs(15);
/// How long the log of the login server may be after that.
const LOG_BYTES_MAX: usize = 16 * 1_024;

/// A connection that has passed Noise and yamux.
async fn connect(login_server: LoginServer) -> Option<StreamMuxerBox> {
    let key = identity::Keypair::generate_ed25519();
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let to = ports::multiaddr(login_server.address);
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dialled = transport.dial(to, options).unwrap().await;
    dialled.ok().map(|(_server, muxer)| muxer)
}

/// Opens streams and fills their windows, in pieces of this many bytes. Returns when it can do no more, and keeps the
/// connection.
async fn fill(mut muxer: StreamMuxerBox, piece: usize) -> StreamMuxerBox {
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        match futures::future::poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await {
            Ok(stream) => streams.push(stream),
            Err(_closed) => return muxer,
        }
    }
    let writing = streams.into_iter().enumerate().map(|(number, stream)| {
        let bytes = if number < HELD { 1 } else { WINDOW };
        write(stream, bytes, piece)
    });
    let writing = join_all(writing);
    let driving = futures::future::poll_fn(|cx| {
        loop {
            match muxer.poll_unpin(cx) {
                std::task::Poll::Ready(Ok(_event)) => {}
                std::task::Poll::Ready(Err(_closed)) => return std::task::Poll::Ready(()),
                std::task::Poll::Pending => return std::task::Poll::Pending,
            }
        }
    });
    tokio::select! {
        _streams = writing => {}
        () = driving => {}
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
    }
    muxer
}

async fn write(mut stream: SubstreamBox, bytes: usize, piece: usize) -> SubstreamBox {
    let piece = vec![7; piece.min(bytes)];
    for _ in 0..(bytes / piece.len()).min(PIECES_MAX) {
        if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
            return stream;
        }
    }
    // Nobody reads it: it stays open and full.
    futures::future::pending().await
}

/// What the strangers cost at most, in KiB.
fn cost_of(realm: &Realm, piece: usize) -> u64 {
    let login_server = login_server_of(realm);
    let before = realm.memory_kib();
    runtime().block_on(async {
        let connections = futures::stream::iter(0..STRANGERS).map(|_| connect(login_server));
        let connected: Vec<_> =
            connections.buffer_unordered(32).filter_map(std::future::ready).collect().await;
        let filled = join_all(connected.into_iter().map(|muxer| fill(muxer, piece))).await;
        drop(filled);
    });
    realm.peak_memory_kib().saturating_sub(before)
}

#[test]
fn strangers_with_full_windows_cost_little_memory() {
    for piece in [16 * 1_024, 1] {
        let realm = Realm::with(&["dave"]);
        raise_file_limit();
        // A first sign-in, so that what is allocated once is not counted.
        let key = SigningKey::from_bytes(&[81; 32]);
        let login_server = login_server_of(&realm);
        runtime().block_on(sign_in(login_server, &key, "dave", &password("dave")));
        let before = realm.memory_kib();
        let cost = cost_of(&realm, piece);
        let deadline = clock::monotonic() + LEFT_AFTER;
        let left = || realm.memory_kib().saturating_sub(before);
        while left() > LEFT_KIB && clock::monotonic() < deadline {
            std::thread::park_timeout(Duration::from_millis(250));
        }
        let log = realm.log().len();
        println!(
            "figure: strangers, pieces of {piece}: {cost} KiB, {} KiB left, log {log}",
            left()
        );
        assert!(cost < COST_KIB, "{cost} KiB in pieces of {piece}");
        assert!(left() <= LEFT_KIB, "{} KiB are left", left());
        assert!(log < LOG_BYTES_MAX, "{log} bytes of log");
    }
}

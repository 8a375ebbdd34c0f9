//! Two nodes that dial each other at the same moment are linked once.
//!
//! They chat when one of the two links has gone. What is on its way on the loser in the moment of its close may be
//! lost to gossip; bringing that is reconciliation's part.

use std::net::SocketAddr;

use futures::StreamExt as _;
use lanyard_node::event::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::cast::{Honest, LOOPBACK, SOON, Setup, alone, peer, they_chat, within};

/// How many pairs meet, and how many at the same time.
const MEETINGS: usize = 300;
const AT_ONCE: usize = 40;
/// Two that cross, and what the larger key redials before the link of the smaller one stands: no flapping.
const DIALS_MAX: usize = 5;

/// TCP connections that run through a turnstile.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Lanes {
    open: usize,
    ever: usize,
}

/// Stands between two nodes: holds the dial of each until the other's has arrived, and lets both through at once.
struct Turnstile {
    /// Where each is to be dialled.
    doors: [SocketAddr; 2],
    /// Tells where each really listens.
    homes: oneshot::Sender<[SocketAddr; 2]>,
    lanes: watch::Receiver<Lanes>,
}

impl Turnstile {
    async fn new() -> Self {
        let listeners = [
            TcpListener::bind(LOOPBACK).await.unwrap(),
            TcpListener::bind(LOOPBACK).await.unwrap(),
        ];
        let doors = [0, 1].map(|side: usize| listeners[side].local_addr().unwrap());
        let (homes, known) = oneshot::channel();
        let (counts, lanes) = watch::channel(Lanes::default());
        tokio::spawn(async move {
            // A test that has failed needs no turnstile.
            let Ok(homes) = known.await else { return };
            turn(listeners, homes, counts).await;
        });
        Self { doors, homes, lanes }
    }
}

async fn turn(listeners: [TcpListener; 2], homes: [SocketAddr; 2], counts: watch::Sender<Lanes>) {
    let (one, other) = tokio::join!(listeners[0].accept(), listeners[1].accept());
    let open = |inner: TcpStream, home| {
        counts.send_modify(|lanes| *lanes = Lanes { open: lanes.open + 1, ever: lanes.ever + 1 });
        tokio::spawn(lane(inner, home, counts.clone()))
    };
    open(one.unwrap().0, homes[0]);
    open(other.unwrap().0, homes[1]);
    loop {
        let (again, home) = tokio::select! {
            again = listeners[0].accept() => (again, homes[0]),
            again = listeners[1].accept() => (again, homes[1]),
        };
        open(again.unwrap().0, home);
    }
}

/// Carries bytes both ways until either end is closed.
async fn lane(mut inner: TcpStream, home: SocketAddr, counts: watch::Sender<Lanes>) {
    if let Ok(mut outer) = TcpStream::connect(home).await {
        inner.set_nodelay(true).unwrap();
        outer.set_nodelay(true).unwrap();
        // How it ends does not matter.
        tokio::io::copy_bidirectional(&mut inner, &mut outer).await.ok();
    }
    counts.send_modify(|lanes| lanes.open -= 1);
}

/// Everybody who came or went, from the side of `honest`.
fn only_joined(honest: &mut Honest) -> bool {
    let changes = honest.arrivals_and_losses();
    let is_arrival = |reason| matches!(reason, Reason::Joined | Reason::Here);
    changes.iter().all(|(_who, reason)| is_arrival(*reason)) && changes.len() <= 1
}

async fn meet(number: usize) {
    let names = [format!("left {number}"), format!("right {number}")];
    let mut turnstile = Turnstile::new().await;
    let mut left = Setup::of(&names[0]).knowing(peer(&names[1]), turnstile.doors[1]).start().await;
    let mut right = Setup::of(&names[1]).knowing(peer(&names[0]), turnstile.doors[0]).start().await;
    turnstile.homes.send([left.address, right.address]).unwrap();
    left.linked_with(right.peer).await;
    right.linked_with(left.peer).await;
    let lanes = &mut turnstile.lanes;
    within(SOON, "one link of two", lanes.wait_for(|lanes| lanes.open == 1)).await.unwrap();
    they_chat(&mut left, &mut right, "through the one link").await;
    assert!(only_joined(&mut left) && only_joined(&mut right), "{number}: somebody was lost");
    // A copy: the guard would hold the lock that the lanes need to close.
    let last = *within(SOON, "one link", lanes.wait_for(|lanes| lanes.open == 1)).await.unwrap();
    assert!((2..=DIALS_MAX).contains(&last.ever), "{number}: {last:?}");
    tokio::join!(left.node.quit(), right.node.quit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_that_dial_each_other_at_once_have_one_link() {
    let _lock = alone();
    futures::stream::iter(0..MEETINGS).for_each_concurrent(AT_ONCE, meet).await;
}

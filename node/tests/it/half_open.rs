//! Connections that stop half-way are closed, and do not keep honest peers out.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use futures::{AsyncRead, AsyncReadExt as _};
use std::net::SocketAddr;

use crate::cast::{Setup, alone, hello, honest, in_company, key, peer, they_chat, within};
use crate::raw::{at_gate, before_noise, closed, inside_noise, say, tcp};

/// How many hang at once.
const CROWD: usize = 500;
/// An honest peer is in within this time, although they hang.
const HONEST_IN: Duration = Duration::from_secs(3);

const STAGES: usize = 6;

type Hanging = Box<dyn AsyncRead + Unpin + Send>;

/// Goes so far and stops. There are [`STAGES`] stages.
async fn stop_at(stage: usize, to: SocketAddr) -> Hanging {
    let mallory = key("mallory");
    let part_of_hello = async |bytes: usize| {
        let mut io = at_gate(to, &mallory).await;
        say(&mut io, &hello("mallory").to_frame()[..bytes]).await;
        io
    };
    match stage {
        0 => Box::new(tcp(to).await),
        1 => Box::new(before_noise(to).await),
        2 => Box::new(inside_noise(to, &mallory).await),
        3 => Box::new(at_gate(to, &mallory).await),
        4 => Box::new(part_of_hello(3).await),
        _last => Box::new(part_of_hello(100).await),
    }
}

fn crowd(size: usize, to: SocketAddr) -> impl Iterator<Item = BoxFuture<'static, Hanging>> {
    (0..size).map(move |number| stop_at(number % STAGES, to).boxed())
}

/// How many neither have data nor have ended.
async fn still_open(all: &mut [Hanging]) -> usize {
    let mut open = 0;
    for io in all {
        open += usize::from(futures::poll!(io.read(&mut [0])).is_pending());
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stops_at_any_stage_is_closed() {
    let _lock = in_company();
    let host = honest("host").await;
    let all = join_all(crowd(STAGES, host.address)).await;
    join_all(all.into_iter().map(async |mut io| closed(&mut io).await)).await;
    assert_eq!(host.status().neighbours, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_that_hang_keep_no_honest_peer_out() {
    let _lock = alone();
    let mut host = honest("host").await;
    let mut hanging = join_all(crowd(CROWD, host.address)).await;
    assert!(still_open(&mut hanging).await > CROWD * 9 / 10, "they hang");
    let mut guest = Setup::of("guest").knowing_node(&host).start().await;
    within(HONEST_IN, "an honest peer's link", guest.linked_with(peer("host"))).await;
    they_chat(&mut host, &mut guest, "among the hanging").await;
    join_all(hanging.into_iter().map(async |mut io| closed(&mut io).await)).await;
    they_chat(&mut host, &mut guest, "after them").await;
}

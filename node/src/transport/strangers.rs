//! What strangers may cost: sockets on which nobody has proved anything yet.
//!
//! ```text
//! accept ─▶ enter ─▶ [Guarded: Noise, gate, yamux] ─▶ admitted        (or dropped, or too late)
//!             │
//!             └─ full: the oldest socket of the greediest address is closed
//! ```
//!
//! A listener has room for so many handshakes. A newcomer never waits for that room: somebody who takes more of it than
//! others gives some up, see [`Crowd`]. Until its handshake is over, a socket may bring only so many bytes, and on
//! the login server also afterwards: yamux keeps what arrives until a stream is read, and there every client is a
//! stranger.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::{AsyncRead, AsyncWrite, FutureExt as _};
use libp2p::core::ConnectedPoint;

use super::crowd::Crowd;
use super::ports;

/// How many handshakes may be in progress at a listener.
const HANDSHAKES_MAX: usize = 1_024;
/// How many bytes a socket may bring before its handshake is over: what Noise and a ticket take, and what the gate still
/// reads after a refusal.
const HANDSHAKE_BYTES_MAX: u64 = 96 * 1_024;
/// How many bytes a connection to the login server may bring: twenty usual requests, or three of the largest.
const LOGIN_BYTES_MAX: u64 = 32 * 1_024;

/// The handshakes at one listener.
#[derive(Debug, Clone)]
pub struct Handshakes {
    table: Arc<Mutex<Table>>,
    /// How many bytes a connection may bring after its handshake.
    bytes_max: Option<u64>,
}

/// The two ends of an incoming socket. No other open socket has the same two, but one of its ends may be in use again:
/// a client reaches two of our addresses from one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ends {
    theirs: SocketAddr,
    ours: SocketAddr,
}

impl Ends {
    /// `None` for a socket that we have dialled.
    fn of(endpoint: &ConnectedPoint) -> Option<Self> {
        let ConnectedPoint::Listener { local_addr, send_back_addr } = endpoint else { return None };
        let (theirs, ours) = (ports::socket_addr(send_back_addr)?, ports::socket_addr(local_addr)?);
        Some(Self { theirs, ours })
    }
}

/// The sockets whose handshakes are in progress.
#[derive(Debug, Default)]
struct Table {
    sockets: BTreeMap<Ends, Waiting>,
    /// The same, by who has come first.
    crowd: Crowd<Ends, u64>,
    arrivals: u64,
}

impl Table {
    fn insert(&mut self, ends: Ends, waiting: Waiting) {
        // A socket with the same ends was reset by the other side, and has not noticed yet.
        self.remove(ends);
        self.crowd.insert(ends.theirs.ip(), waiting.arrival, ends);
        self.sockets.insert(ends, waiting);
    }

    fn remove(&mut self, ends: Ends) -> Option<Waiting> {
        let waiting = self.sockets.remove(&ends)?;
        self.crowd.remove(ends.theirs.ip(), waiting.arrival, ends);
        Some(waiting)
    }
}

/// A socket whose handshake is in progress.
#[derive(Debug)]
struct Waiting {
    /// How many came before it.
    arrival: u64,
    is_over: Arc<AtomicBool>,
    /// Dropped to close the socket.
    _alive: oneshot::Sender<()>,
}

impl Handshakes {
    /// At the gate, which admits members only.
    pub(crate) fn of_the_gate() -> Self {
        Self { table: Arc::default(), bytes_max: None }
    }

    /// At the login server.
    #[must_use]
    pub fn of_the_login_server() -> Self {
        Self { table: Arc::default(), bytes_max: Some(LOGIN_BYTES_MAX) }
    }

    /// Guards a socket. One that we have dialled needs no guard.
    pub(super) fn guard<S>(&self, socket: S, endpoint: &ConnectedPoint) -> Guarded<S> {
        Guarded { socket, place: Ends::of(endpoint).map(|ends| self.enter(ends)) }
    }

    /// Notes that a handshake is over, so it no longer takes a place.
    pub(super) fn is_over(&self, endpoint: &ConnectedPoint) {
        if let Some(waiting) = Ends::of(endpoint).and_then(|ends| self.table().remove(ends)) {
            waiting.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn enter(&self, ends: Ends) -> Place {
        let (alive, closed) = oneshot::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut table = self.table();
        if table.sockets.len() >= HANDSHAKES_MAX
            && let Some(leaves) = table.crowd.greediest()
        {
            table.remove(leaves);
        }
        table.arrivals = table.arrivals.saturating_add(1);
        let arrival = table.arrivals;
        let waiting = Waiting { arrival, is_over: Arc::clone(&is_over), _alive: alive };
        table.insert(ends, waiting);
        drop(table);
        Place { handshakes: self.clone(), ends, arrival, is_over, closed, bytes: 0 }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent after every statement, so a panic elsewhere does not matter.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guarded socket's place among the handshakes.
#[derive(Debug)]
struct Place {
    handshakes: Handshakes,
    ends: Ends,
    arrival: u64,
    is_over: Arc<AtomicBool>,
    closed: oneshot::Receiver<()>,
    bytes: u64,
}

impl Place {
    /// Fails when the socket had to make room.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        if self.closed.poll_unpin(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "made room for another"));
        }
        Ok(())
    }

    /// Counts what has arrived. Fails when it is too much.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let most =
            if self.is_over() { self.handshakes.bytes_max } else { Some(HANDSHAKE_BYTES_MAX) };
        if most.is_some_and(|most| self.bytes > most) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "a stranger says too much",
            ));
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.handshakes.table();
        // A later socket may have the same ends.
        if table.sockets.get(&self.ends).is_some_and(|waiting| waiting.arrival == self.arrival) {
            table.remove(self.ends);
        }
    }
}

/// A socket that ends when its place is needed, or when it brings too much.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    socket: S,
    /// `None` on a socket that we have dialled.
    place: Option<Place>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, place } = self.get_mut();
        if let Some(place) = place {
            place.check(context)?;
        }
        let read = std::task::ready!(Pin::new(socket).poll_read(context, buffer))?;
        if let Some(place) = place {
            place.count(read)?;
        }
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, place } = self.get_mut();
        if let Some(place) = place {
            place.check(context)?;
        }
        Pin::new(socket).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn from(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], port))
    }

    fn accepted(from: SocketAddr) -> ConnectedPoint {
        let (local_addr, send_back_addr) = (ports::multiaddr(from), ports::multiaddr(from));
        ConnectedPoint::Listener { local_addr, send_back_addr }
    }

    fn guarded<S>(handshakes: &Handshakes, socket: S, from: SocketAddr) -> Guarded<S> {
        handshakes.guard(socket, &accepted(from))
    }

    /// A socket on which nothing ever arrives.
    struct Silent;

    impl AsyncRead for Silent {
        fn poll_read(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_a_greedy_socket() {
        let handshakes = Handshakes::of_the_gate();
        let mut flood: Vec<_> = (0..u16::try_from(HANDSHAKES_MAX).unwrap())
            .map(|port| guarded(&handshakes, futures::io::Cursor::new([1_u8; 4]), from(1, port)))
            .collect();
        let mut newcomer = guarded(&handshakes, futures::io::Cursor::new([2_u8; 4]), from(2, 1));
        let mut byte = [0];
        assert!(newcomer.read(&mut byte).await.is_ok());
        assert!(flood[0].read(&mut byte).await.is_err(), "the oldest made room");
        assert!(flood[1].read(&mut byte).await.is_ok());
        drop(flood);
        assert_eq!(handshakes.table().sockets.len(), 1);
    }

    #[tokio::test]
    async fn a_stranger_brings_only_so_many_bytes() {
        for (handshakes, over, most) in [
            (Handshakes::of_the_gate(), false, Some(HANDSHAKE_BYTES_MAX)),
            (Handshakes::of_the_gate(), true, None),
            (Handshakes::of_the_login_server(), true, Some(LOGIN_BYTES_MAX)),
        ] {
            let mut socket = guarded(&handshakes, futures::io::repeat(7).take(100_000), from(1, 1));
            if over {
                handshakes.is_over(&accepted(from(1, 1)));
            }
            let mut all = Vec::new();
            let read = socket.read_to_end(&mut all).await;
            assert_eq!(read.is_ok(), most.is_none());
            assert!(all.len() as u64 <= most.unwrap_or(100_000));
        }
    }

    #[tokio::test]
    async fn a_socket_that_waits_is_woken_when_it_must_leave() {
        let handshakes = Handshakes::of_the_gate();
        let mut waits = guarded(&handshakes, Silent, from(1, 1));
        let reading = tokio::spawn(async move { waits.read(&mut [0]).await });
        tokio::task::yield_now().await;
        handshakes.table().sockets.clear();
        assert!(reading.await.unwrap().is_err());
        let mut written = guarded(&handshakes, futures::io::sink(), from(1, 2));
        assert!(written.write(&[1]).await.is_ok());
    }

    /// A socket whose other end was reset and connects again from the same port, before we notice.
    fn used_again(handshakes: &Handshakes, end: SocketAddr, times: usize) {
        let mut last = guarded(handshakes, Silent, end);
        for _ in 0..times {
            let next = guarded(handshakes, Silent, end);
            drop(std::mem::replace(&mut last, next));
        }
    }

    #[test]
    fn a_port_that_is_used_again_leaves_nothing_behind() {
        let handshakes = Handshakes::of_the_gate();
        used_again(&handshakes, from(1, 7), 3);
        assert!(handshakes.table().sockets.is_empty());
        assert_eq!(handshakes.table().crowd.greediest(), None);
    }

    #[test]
    fn a_port_that_is_used_again_does_not_stop_evictions() {
        let handshakes = Handshakes::of_the_gate();
        used_again(&handshakes, from(1, 7), 3 * HANDSHAKES_MAX);
        let flood: Vec<_> = (1..2 * u16::try_from(HANDSHAKES_MAX).unwrap())
            .map(|port| guarded(&handshakes, Silent, from(2, port)))
            .collect();
        assert_eq!(handshakes.table().sockets.len(), HANDSHAKES_MAX);
        drop(flood);
    }

    #[tokio::test]
    async fn one_port_may_reach_two_of_our_addresses() {
        let handshakes = Handshakes::of_the_gate();
        let reached = |ours: u8| ConnectedPoint::Listener {
            local_addr: ports::multiaddr(from(ours, 4_002)),
            send_back_addr: ports::multiaddr(from(1, 7)),
        };
        let socket = || futures::io::Cursor::new([1_u8; 4]);
        let mut first = handshakes.guard(socket(), &reached(8));
        let mut second = handshakes.guard(socket(), &reached(9));
        handshakes.is_over(&reached(9));
        assert!(first.read(&mut [0]).await.is_ok());
        assert!(second.read(&mut [0]).await.is_ok());
        assert_eq!(handshakes.table().sockets.len(), 1);
    }

    #[test]
    fn a_dial_does_not_end_the_guard_of_an_incoming_socket() {
        let handshakes = Handshakes::of_the_gate();
        let incoming = guarded(&handshakes, Silent, from(1, 4_002));
        handshakes.is_over(&ConnectedPoint::Dialer {
            address: ports::multiaddr(from(1, 4_002)),
            role_override: libp2p::core::Endpoint::Dialer,
            port_use: libp2p::core::transport::PortUse::Reuse,
        });
        assert_eq!(handshakes.table().sockets.len(), 1);
        drop(incoming);
    }
}

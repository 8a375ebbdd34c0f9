//! The gate: peers exchange tickets after Noise and before yamux, so that without one no peer ever reaches a behaviour.
//!
//! ```text
//! dialler                          listener
//!    │ ── Hello ─────────────────────▶ │  judge
//!    │ ◀─ verdict, and if in: Hello ── │
//!    │ ── verdict ───────────────────▶ │
//!    │ ═════════════ yamux ═══════════ │
//! ```
//!
//! The listener reveals nothing about itself before it has accepted, and the dialler nothing before Noise has proved
//! the PeerId that it dialled. The outcome is reported to the event loop before the connection is passed on, because
//! libp2p reports no more than "handshake failed" (PROTOCOL.md R-80 to R-90).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lanyard_protocol::admission::{self, Admission, AdmissionView, Side};
use lanyard_protocol::hello::{GATE_PROTOCOL, HEAD_LEN, Hello, Verdict, VerdictCode, parse_head};
use lanyard_protocol::ids::PeerKey;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::{PeerId, yamux};
use tokio::sync::{mpsc, watch};

use super::translate::peer_key;
use crate::clock::Clock;

/// After a refusal the gate keeps reading for this long and this many bytes, so that the verdict arrives before a
/// reset.
const LINGER: Duration = Duration::from_millis(300);
const LINGER_BYTES_MAX: u64 = 64 * 1_024;
/// The name of yamux. It is not negotiated, because the gate's own name stands for both.
const YAMUX: &str = "/yamux/1.0.0";

/// The outcome of one exchange.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) peer: PeerKey,
    pub(crate) endpoint: ConnectedPoint,
    pub(crate) outcome: Outcome,
}

/// How an exchange ended; see [`Report`].
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both sides have accepted.
    Admitted(Admission),
    /// The other side has refused us.
    RefusedBy(Verdict),
    /// We have refused the other side, which claimed this boot.
    Refused { boot: u64, code: VerdictCode },
}

/// Why a connection failed in the gate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    #[error("the connection failed in the gate: {0}")]
    Io(#[from] io::Error),
    #[error("refused: {0:?}")]
    Refused(VerdictCode),
    #[error("refused by the other side: {0:?}")]
    RefusedBy(VerdictCode),
    #[error("another peer than the one dialled")]
    WrongPeer,
}

/// A connection after Noise.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Stream for C {}

/// The data that all gates of a node share.
#[derive(Debug, Clone)]
pub(crate) struct GateConfig {
    pub(crate) view: watch::Receiver<Arc<AdmissionView>>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) clock: Clock,
}

/// The upgrade of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    config: GateConfig,
    peer: PeerId,
    endpoint: ConnectedPoint,
}

impl Gate {
    pub(crate) fn new(config: GateConfig, peer: PeerId, endpoint: ConnectedPoint) -> Self {
        Self { config, peer, endpoint }
    }

    /// Runs the listener's side.
    async fn listen<C: Stream>(self, io: &mut C) -> Result<(), GateError> {
        let peer = peer_key(&self.peer).ok_or(GateError::WrongPeer)?;
        let admission = self.hear_hello(peer, io).await?;
        write(io, &Verdict::plain(VerdictCode::Accepted).to_frame()).await?;
        write(io, &self.our_hello().to_frame()).await?;
        self.hear_verdict(peer, io).await?;
        self.report(peer, Outcome::Admitted(admission));
        Ok(())
    }

    /// Runs the dialler's side.
    async fn dial<C: Stream>(self, io: &mut C) -> Result<(), GateError> {
        // libp2p compares them only after the upgrade, and a stranger at a stale address must not see our ticket.
        if self.dialled_peer() != Some(self.peer) {
            return Err(GateError::WrongPeer);
        }
        let peer = peer_key(&self.peer).ok_or(GateError::WrongPeer)?;
        write(io, &self.our_hello().to_frame()).await?;
        self.hear_verdict(peer, io).await?;
        let admission = self.hear_hello(peer, io).await?;
        write(io, &Verdict::plain(VerdictCode::Accepted).to_frame()).await?;
        self.report(peer, Outcome::Admitted(admission));
        Ok(())
    }

    /// Reads and judges the other peer's Hello. A refusal is sent and reported.
    async fn hear_hello<C: Stream>(
        &self,
        peer: PeerKey,
        io: &mut C,
    ) -> Result<Admission, GateError> {
        let heard = read_frame(io)
            .await?
            .and_then(|body| Hello::parse(&body).map_err(|_no_hello| VerdictCode::Malformed));
        let boot = heard.as_ref().map_or(0, |hello| hello.boot);
        let judged = heard.map_err(Verdict::plain).and_then(|hello| self.judge(peer, hello));
        let verdict = match judged {
            Ok(admission) => return Ok(admission),
            Err(verdict) => verdict,
        };
        let code = verdict.code;
        self.report(peer, Outcome::Refused { boot, code });
        refuse(io, &verdict).await;
        Err(GateError::Refused(code))
    }

    /// Reads the other peer's verdict on us. A refusal is reported.
    async fn hear_verdict<C: Stream>(&self, peer: PeerKey, io: &mut C) -> Result<(), GateError> {
        let verdict = match read_frame(io).await? {
            Ok(body) => Verdict::parse(&body).unwrap_or(Verdict::plain(VerdictCode::Malformed)),
            Err(code) => Verdict::plain(code),
        };
        if verdict.code == VerdictCode::Accepted {
            return Ok(());
        }
        let code = verdict.code;
        self.report(peer, Outcome::RefusedBy(verdict));
        Err(GateError::RefusedBy(code))
    }

    fn judge(&self, peer: PeerKey, hello: Hello) -> Result<Admission, Verdict> {
        let view = Arc::clone(&self.config.view.borrow());
        let now = self.config.clock.now();
        let admission = admission::judge(&view, peer, hello, now)?;
        let side = if self.endpoint.is_dialer() { Side::Dialler } else { Side::Listener };
        admission::judge_redundancy(&view, peer, admission.hello(), side, now)?;
        Ok(admission)
    }

    fn our_hello(&self) -> Hello {
        let view = Arc::clone(&self.config.view.borrow());
        view.hello_at(self.config.clock.now())
    }

    fn dialled_peer(&self) -> Option<PeerId> {
        let ConnectedPoint::Dialer { address, .. } = &self.endpoint else { return None };
        match address.iter().last()? {
            Protocol::P2p(peer) => Some(peer),
            _no_peer => None,
        }
    }

    /// Reports to the loop; nothing else reaches it from here. For a peer without a valid ticket, the report has its
    /// key, the boot that it claims, and our verdict; see [`admission`] for what the engine does with it.
    fn report(&self, peer: PeerKey, outcome: Outcome) {
        let report = Report { peer, endpoint: self.endpoint.clone(), outcome };
        // A full queue loses a report. The link is then closed because its Hello is missing, and dialled again.
        self.config.reports.try_send(report).ok();
    }
}

impl UpgradeInfo for Gate {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(GATE_PROTOCOL)
    }
}

impl<C: Stream + 'static> InboundConnectionUpgrade<C> for Gate {
    type Output = yamux::Muxer<C>;
    type Error = GateError;
    type Future = BoxFuture<'static, Result<Self::Output, GateError>>;

    fn upgrade_inbound(self, mut io: C, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            // A dialler with an overridden role still speaks first.
            match self.endpoint.to_endpoint() {
                Endpoint::Listener => self.listen(&mut io).await?,
                Endpoint::Dialer => self.dial(&mut io).await?,
            }
            Ok(super::streams(super::LINK_STREAMS_MAX).upgrade_inbound(io, YAMUX).await?)
        })
    }
}

impl<C: Stream + 'static> OutboundConnectionUpgrade<C> for Gate {
    type Output = yamux::Muxer<C>;
    type Error = GateError;
    type Future = BoxFuture<'static, Result<Self::Output, GateError>>;

    fn upgrade_outbound(self, mut io: C, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            self.dial(&mut io).await?;
            Ok(super::streams(super::LINK_STREAMS_MAX).upgrade_outbound(io, YAMUX).await?)
        })
    }
}

async fn write(io: &mut impl Stream, frame: &[u8]) -> io::Result<()> {
    io.write_all(frame).await?;
    io.flush().await
}

/// Reads the body of a frame. Returns a verdict if the head is bad, which is checked before the body is read.
async fn read_frame(io: &mut impl Stream) -> io::Result<Result<Vec<u8>, VerdictCode>> {
    let mut head = [0; HEAD_LEN];
    io.read_exact(&mut head).await?;
    let length = match parse_head(head) {
        Ok(length) => length,
        Err(code) => return Ok(Err(code)),
    };
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok(Ok(body))
}

/// Sends the verdict, closes our half, and keeps reading for a moment: closing at once would reset the connection, and
/// the reset could overtake the verdict.
async fn refuse(io: &mut impl Stream, verdict: &Verdict) {
    let tell = async {
        write(io, &verdict.to_frame()).await?;
        io.close().await?;
        let mut sink = futures::io::sink();
        futures::io::copy(io.take(LINGER_BYTES_MAX), &mut sink).await
    };
    // A peer that does not wait for the verdict does not get it.
    tokio::time::timeout(LINGER, tell).await.ok();
}

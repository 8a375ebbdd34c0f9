//! The login server: a libp2p swarm with one protocol, and the decision about each request in [`login`].
//!
//! It speaks TCP, Noise with the realm key as identity, yamux, and `/lanyard/login/1`. It has no gate, because clients
//! have no ticket yet, and no gossipsub, relay, identify or ping, because every client is a stranger. The resources
//! that a stranger can occupy are bounded: see [`transport::strangers`], [`visitors`] and the constants below.

pub mod issuer;
pub mod login;
pub mod password;
pub mod throttle;
pub mod visitors;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use lanyard_node::transport::codec::{Capped, SecretBytes};
use lanyard_node::transport::{self, crowd, ports};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::{LOGIN_PROTOCOL, Request};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::request_response::{self, Message, ProtocolSupport, ResponseChannel};
use libp2p::swarm::{ConnectionId, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{PeerId, StreamProtocol};
use tokio::sync::mpsc;

use crate::clock;
use login::Office;
use visitors::Visitors;

/// The address of a client whose address is unknown, which TCP does not have.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// How often overdue connections are closed.
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// How many replies may wait for the swarm: one for each connection.
const REPLIES: usize = visitors::VISITORS_MAX;
/// Longer than the deadlines in [`visitors`], which close the connection first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the login server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LoginServerError {
    /// The realm key is not usable as an identity.
    #[error("the realm key cannot be used for the handshake")]
    Identity,
    /// The login server cannot listen on the address.
    #[error("the login server cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    login: request_response::Behaviour<Capped>,
}

struct Answer {
    connection: ConnectionId,
    channel: ResponseChannel<Vec<u8>>,
    reply: Vec<u8>,
}

/// An open login server. It answers while [`LoginServer::run`] is polled.
pub struct LoginServer {
    swarm: Swarm<Behaviour>,
    office: Arc<Office>,
    visitors: Visitors<ConnectionId>,
    addresses: BTreeMap<ConnectionId, SocketAddr>,
    replies: mpsc::Receiver<Answer>,
    reply_to: mpsc::Sender<Answer>,
}

impl std::fmt::Debug for LoginServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginServer")
            .field("visitors", &self.addresses.len())
            .finish_non_exhaustive()
    }
}

impl LoginServer {
    /// Opens the login server and returns when it listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LoginServerError`] if the key or the address cannot be used.
    pub async fn open(
        realm_key: &SigningKey,
        listen: SocketAddr,
        office: Arc<Office>,
    ) -> Result<Self, LoginServerError> {
        let mut swarm = build_swarm(realm_key)?;
        listen_on(&mut swarm, listen).await?;
        let (reply_to, replies) = mpsc::channel(REPLIES);
        let (visitors, addresses) = (Visitors::default(), BTreeMap::new());
        Ok(Self { swarm, office, visitors, addresses, replies, reply_to })
    }

    /// Answers requests until it is dropped, or can no longer listen.
    pub async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.replies.recv() => self.send(answer),
                _tick = sweep.tick() => {
                    for id in self.visitors.overdue(clock::monotonic()) {
                        self.swarm.close_connection(id);
                    }
                }
                event = self.swarm.select_next_some() => {
                    if let SwarmEvent::ListenerClosed { reason, .. } = event {
                        tracing::error!(?reason, "The login server's listener has ended");
                        return;
                    }
                    self.on_event(event);
                }
            }
        }
    }

    fn send(&mut self, Answer { connection, channel, reply }: Answer) {
        self.visitors.answered(&connection, clock::monotonic());
        // The connection may have closed meanwhile; then nobody waits for the answer.
        self.swarm.behaviour_mut().login.send_response(channel, reply).ok();
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                let from = ports::socket_addr(endpoint.get_remote_address()).unwrap_or(NOWHERE);
                self.addresses.insert(connection_id, from);
                let from = crowd::address(from.ip());
                if let Some(id) = self.visitors.arrived(connection_id, from, clock::monotonic()) {
                    self.swarm.close_connection(id);
                }
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.visitors.left(&connection_id);
                self.addresses.remove(&connection_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Login(event)) => self.on_login(event),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "A connection to the login server ended in the handshake");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "The login server's listener reports an error");
            }
            _ => {}
        }
    }

    fn on_login(&mut self, event: request_response::Event<SecretBytes, Vec<u8>>) {
        match event {
            request_response::Event::Message { peer, connection_id, message } => {
                let Message::Request { request, channel, .. } = message else { return };
                let from = self.addresses.get(&connection_id);
                let (Some(key), Some(from), Ok(request)) =
                    (peer_key(peer), from, Request::parse(&request))
                else {
                    // The request is garbage, or the key is not Ed25519 and so cannot appear in a ticket.
                    self.swarm.close_connection(connection_id);
                    return;
                };
                if !self.visitors.asked(&connection_id, clock::monotonic()) {
                    self.swarm.close_connection(connection_id);
                    return;
                }
                let (from, office) = (*from, Arc::clone(&self.office));
                let reply_to = self.reply_to.clone();
                tokio::spawn(async move {
                    let reply = office.answer(key, from, request, clock::now).await;
                    let reply = reply.to_bytes();
                    // The login server may have closed meanwhile.
                    reply_to.send(Answer { connection: connection_id, channel, reply }).await.ok();
                });
            }
            request_response::Event::InboundFailure { connection_id, error, .. } => {
                tracing::debug!(%error, "A request to the login server failed");
                self.swarm.close_connection(connection_id);
            }
            request_response::Event::ResponseSent { .. }
            | request_response::Event::OutboundFailure { .. } => {}
        }
    }
}

fn build_swarm(realm_key: &SigningKey) -> Result<Swarm<Behaviour>, LoginServerError> {
    let transport =
        transport::ungated(realm_key).map_err(|_no_detail| LoginServerError::Identity)?;
    let local = public_key(realm_key).to_string().parse();
    let local: PeerId = local.map_err(|_no_detail| LoginServerError::Identity)?;
    let protocol = [(StreamProtocol::new(LOGIN_PROTOCOL), ProtocolSupport::Inbound)];
    let config = request_response::Config::default()
        .with_request_timeout(REQUEST_TIMEOUT)
        .with_max_concurrent_streams(1);
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default().with_max_established_per_peer(Some(4)),
        ),
        login: request_response::Behaviour::with_codec(Capped::LOGIN, protocol, config),
    };
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_max_negotiating_inbound_streams(4)
        .with_idle_connection_timeout(visitors::REQUEST_WITHIN);
    Ok(Swarm::new(transport, behaviour, local, config))
}

async fn listen_on(
    swarm: &mut Swarm<Behaviour>,
    listen: SocketAddr,
) -> Result<(), LoginServerError> {
    let failed = |source| LoginServerError::Listen { address: listen, source };
    swarm.listen_on(ports::multiaddr(listen)).map_err(|error| failed(Box::new(error)))?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { .. } => return Ok(()),
            SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                return Err(failed(Box::new(error)));
            }
            _before_the_listener => {}
        }
    }
}

fn peer_key(peer: PeerId) -> Option<PeerKey> {
    peer.to_string().parse().ok()
}

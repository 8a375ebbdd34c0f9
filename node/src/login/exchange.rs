//! One exchange with a login server: one connection to the pinned realm key, one request, one reply.
//!
//! The password is sent only after Noise has proved the key of the join link. With anybody else at that address, the
//! handshake fails (PROTOCOL.md R-60).

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{LOGIN_PROTOCOL, Reply, Request};
use lanyard_protocol::wire::DecodeError;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{PeerId, StreamProtocol, Swarm};

use crate::transport::codec::Capped;
use crate::transport::translate::root_cause;
use crate::transport::{self, ports, translate};

/// The time limit to look up the host and complete the handshake.
const CONNECT: Duration = Duration::from_secs(6);
/// The time limit for the reply: a password check may wait in a queue of eight.
const REPLY: Duration = Duration::from_secs(20);
/// How many addresses of one host name are tried.
const ADDRESSES_MAX: usize = 8;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Nothing answers there, or nothing that knows the login protocol.
    #[error("{0}")]
    Unreachable(String),
    /// A login node with another key answers.
    #[error("another login node answers at this address")]
    WrongRealm,
}

type Behaviour = request_response::Behaviour<Capped>;

/// Asks the login server of `link` for a ticket, with `key` as the device. `checking` is called once the request is on
/// its way.
///
/// # Errors
/// [`LoginError`] if there was no readable reply; a denial is a reply. A request without a reply may still have been
/// carried out.
pub async fn ask(
    link: &JoinLink,
    key: &SigningKey,
    request: &Request,
    checking: impl FnOnce() + Send,
) -> Result<Reply, LoginError> {
    read(&send(link, key, request, checking).await?, Reply::parse)
}

/// Reads a reply.
///
/// # Errors
/// [`LoginError::Unreachable`] if the bytes are not a reply.
pub(crate) fn read<T>(
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, LoginError> {
    parse(bytes).map_err(|error| unreachable(format!("the reply cannot be read: {error}")))
}

/// Tries one place after the other until a login node there has proved the realm's key, and sends it the request.
/// Returns the place and the reply. `checking` is called once the request is on its way.
///
/// # Errors
/// [`LoginError`] of the first place if no login node could be reached, otherwise that of the one that was asked.
pub(crate) async fn ask_at(
    links: &[JoinLink],
    key: &SigningKey,
    request: &Request,
    checking: impl Fn() + Sync,
) -> Result<(JoinLink, Vec<u8>), LoginError> {
    let mut first = None;
    for link in links {
        let mut asked = false;
        let on_its_way = || {
            asked = true;
            checking();
        };
        match send(link, key, request, on_its_way).await {
            Ok(bytes) => return Ok((link.clone(), bytes)),
            // The request may have been carried out, so it is not sent again.
            Err(error) if asked => return Err(error),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| unreachable("there is no address")))
}

async fn send(
    link: &JoinLink,
    key: &SigningKey,
    request: &Request,
    checking: impl FnOnce() + Send,
) -> Result<Vec<u8>, LoginError> {
    let realm = translate::peer_id(&link.realm).ok_or(LoginError::WrongRealm)?;
    let addresses = resolve(link).await?;
    let mut swarm = swarm(key)?;
    let connect = tokio::time::timeout(CONNECT, connect(&mut swarm, realm, &addresses));
    connect.await.unwrap_or_else(|_late| Err(unreachable("no answer in time")))?;
    checking();
    swarm.behaviour_mut().send_request(&realm, request.to_bytes());
    let reply = tokio::time::timeout(REPLY, reply(&mut swarm));
    reply.await.unwrap_or_else(|_late| Err(unreachable("no reply in time")))
}

fn unreachable(reason: impl Display) -> LoginError {
    LoginError::Unreachable(reason.to_string())
}

async fn resolve(link: &JoinLink) -> Result<Vec<SocketAddr>, LoginError> {
    // IPv6 scopes are not part of a link.
    let lookup = tokio::net::lookup_host((link.host.as_str(), link.port));
    let found = tokio::time::timeout(CONNECT, lookup).await;
    let found = found.map_err(|_late| unreachable("looking up the name takes too long"))?;
    let found =
        found.map_err(|error| unreachable(format!("{} is not known: {error}", link.host)))?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

fn swarm(key: &SigningKey) -> Result<Swarm<Behaviour>, LoginError> {
    let transport = transport::ungated(key).map_err(unreachable)?;
    let config = request_response::Config::default().with_request_timeout(REPLY);
    let protocol = (StreamProtocol::new(LOGIN_PROTOCOL), ProtocolSupport::Outbound);
    let behaviour = Behaviour::with_codec(Capped::LOGIN, [protocol], config);
    let local = translate::keypair(key).public().to_peer_id();
    let config = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(REPLY);
    Ok(Swarm::new(transport, behaviour, local, config))
}

async fn connect(
    swarm: &mut Swarm<Behaviour>,
    realm: PeerId,
    addresses: &[SocketAddr],
) -> Result<(), LoginError> {
    let addresses = addresses.iter().map(|at| ports::multiaddr(*at).with(Protocol::P2p(realm)));
    let options =
        DialOpts::peer_id(realm).addresses(addresses.collect()).allocate_new_port().build();
    swarm.dial(options).map_err(unreachable)?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(dial_error(&error)),
            _on_the_way => {}
        }
    }
}

fn dial_error(error: &DialError) -> LoginError {
    match error {
        DialError::WrongPeerId { .. } | DialError::LocalPeerId { .. } => LoginError::WrongRealm,
        DialError::Transport(failures) => {
            let causes = failures.iter().map(|(_address, error)| root_cause(error));
            unreachable(causes.last().unwrap_or_else(|| "no address".to_owned()))
        }
        other => unreachable(other),
    }
}

async fn reply(swarm: &mut Swarm<Behaviour>) -> Result<Vec<u8>, LoginError> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            }) => return Ok(response),
            SwarmEvent::Behaviour(request_response::Event::OutboundFailure { error, .. }) => {
                return Err(unreachable(error));
            }
            SwarmEvent::ConnectionClosed { cause, .. } => {
                let cause = cause.map_or_else(|| "it hung up".to_owned(), |c| c.to_string());
                return Err(unreachable(cause));
            }
            _on_the_way => {}
        }
    }
}

//! A login client as an attacker or an impatient person would write it: many keys, any address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use lanyard_node::transport::codec::Capped;
use lanyard_node::transport::{self, ports};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::login::{DenialCode, LOGIN_PROTOCOL, Login, Reply, Request};
use lanyard_rendezvous::clock;
use libp2p::request_response::{self, Message, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{PeerId, StreamProtocol};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How long the client of a peer waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause after a failed connection.
const AGAIN: Duration = Duration::from_millis(200);
/// Connections of a flood at a time; further ones are only counted.
const FLOOD_MAX: usize = 512;
/// Attempts on one connection: the login server allows eight.
pub(crate) const TRIES_EACH: u64 = 4;

/// The login server's address and identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoginServer {
    pub(crate) address: SocketAddr,
    pub(crate) realm: PeerId,
}

/// One connection to the login server.
pub(crate) struct Client {
    swarm: Swarm<request_response::Behaviour<Capped>>,
    realm: PeerId,
}

impl Client {
    /// Connects with this key.
    pub(crate) async fn connect(
        login_server: LoginServer,
        key: &SigningKey,
    ) -> Result<Self, String> {
        let transport = transport::ungated(key).map_err(|error| error.to_string())?;
        let protocol = (StreamProtocol::new(LOGIN_PROTOCOL), ProtocolSupport::Outbound);
        let config = request_response::Config::default().with_request_timeout(PATIENCE);
        let behaviour = request_response::Behaviour::with_codec(Capped::LOGIN, [protocol], config);
        let config =
            libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
        let me: PeerId = public_key(key).to_string().parse().unwrap();
        let mut client =
            Self { swarm: Swarm::new(transport, behaviour, me, config), realm: login_server.realm };
        let connecting = async {
            let to = DialOpts::peer_id(login_server.realm)
                .addresses(vec![ports::multiaddr(login_server.address)]);
            client.swarm.dial(to.build()).unwrap();
            loop {
                match client.swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
                    SwarmEvent::OutgoingConnectionError { error, .. } => {
                        return Err(error.to_string());
                    }
                    _on_the_way => {}
                }
            }
        };
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        connected.unwrap_or_else(|_late| Err("no connection in time".to_owned()))?;
        Ok(client)
    }

    /// Sends one login and returns the reply.
    pub(crate) async fn login(&mut self, name: &str, password: &str) -> Result<Reply, String> {
        let request = Request::Login(Login {
            username: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            nickname: None,
            device_label: None,
        });
        self.swarm.behaviour_mut().send_request(&self.realm, request.to_bytes());
        let replied = async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::Behaviour(request_response::Event::Message {
                        message: Message::Response { response, .. },
                        ..
                    }) => return Reply::parse(&response).map_err(|error| error.to_string()),
                    SwarmEvent::Behaviour(request_response::Event::OutboundFailure {
                        error,
                        ..
                    }) => return Err(error.to_string()),
                    SwarmEvent::ConnectionClosed { .. } => return Err("closed".to_owned()),
                    _on_the_way => {}
                }
            }
        };
        let replied = tokio::time::timeout(PATIENCE, replied).await;
        replied.unwrap_or_else(|_late| Err("no reply in time".to_owned()))
    }
}

/// A proxy to the login server from another address, which makes its users strangers from there.
pub(crate) async fn door(login_server: LoginServer, from: IpAddr) -> LoginServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut inside, _asker)) = listener.accept().await {
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::new(from, 0)).unwrap();
                if let Ok(mut outside) = socket.connect(login_server.address).await {
                    // Either end may disconnect at any time.
                    tokio::io::copy_bidirectional(&mut inside, &mut outside).await.ok();
                }
            });
        }
    });
    LoginServer { address, ..login_server }
}

/// The result of a sign-in with retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) took: Duration,
    pub(crate) tries: u32,
}

/// Signs in as a peer does, trying again while the login server is busy or does not answer.
pub(crate) async fn sign_in(
    login_server: LoginServer,
    key: &SigningKey,
    name: &str,
    password: &str,
) -> SignedIn {
    let started = clock::monotonic();
    for tries in 1.. {
        let pause = match Client::connect(login_server, key).await {
            Ok(mut client) => match client.login(name, password).await {
                Ok(Reply::Granted(_)) => {
                    return SignedIn { took: clock::monotonic() - started, tries };
                }
                Ok(Reply::Denied(denial)) => {
                    assert_eq!(denial.code, DenialCode::Busy, "{name}: {denial:?}");
                    Duration::from_secs(denial.retry_after_s.unwrap())
                }
                Err(_closed) => AGAIN,
            },
            Err(_refused) => AGAIN,
        };
        tokio::time::sleep(pause).await;
    }
    unreachable!("it tries for ever")
}

/// The result of a flood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flooded {
    /// Attempts that were answered with a denial.
    pub(crate) denied: u64,
    /// Those of them that were denied without a password check.
    pub(crate) at_once: u64,
    /// Attempts whose connection was refused or closed.
    pub(crate) closed: u64,
    /// Attempts not made because the flood had used up its own connections.
    pub(crate) not_made: u64,
}

/// Tries random names with random keys and passwords at this rate for a while, all from one address.
pub(crate) async fn flood(login_server: LoginServer, per_second: u64, lasts: Duration) -> Flooded {
    let connections = per_second.div_ceil(TRIES_EACH);
    let mut tick =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(connections).unwrap());
    let places = Arc::new(Semaphore::new(FLOOD_MAX));
    let mut running = tokio::task::JoinSet::new();
    let mut sum = Flooded::default();
    let started = clock::monotonic();
    while clock::monotonic() - started < lasts {
        tick.tick().await;
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                running.spawn(async move {
                    let came_to = attack(login_server).await;
                    drop(place);
                    came_to
                });
            }
            Err(_none_left) => sum.not_made += TRIES_EACH,
        }
    }
    for one in running.join_all().await {
        sum.denied += one.denied;
        sum.at_once += one.at_once;
        sum.closed += one.closed;
    }
    sum
}

async fn attack(login_server: LoginServer) -> Flooded {
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    let key = SigningKey::from_bytes(&random);
    let name = format!("x{}", hex::encode(&random[..8]));
    let mut sum = Flooded::default();
    let Ok(mut client) = Client::connect(login_server, &key).await else {
        return Flooded { closed: TRIES_EACH, ..sum };
    };
    for n in 0..TRIES_EACH {
        match client.login(&format!("{name}{n}"), "guess").await {
            Ok(Reply::Denied(denial)) => {
                sum.denied += 1;
                sum.at_once += u64::from(denial.code != DenialCode::BadCredentials);
            }
            Ok(Reply::Granted(_)) => panic!("a guess was let in"),
            Err(_closed) => {
                sum.closed += TRIES_EACH - n;
                break;
            }
        }
    }
    sum
}

//! Signing in over the wire as a peer does, and what a stranger can do to the login server.

use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{DenialCode, LOGIN_PROTOCOL, Login, Reply, Request};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use libp2p::core::Transport as _;
use libp2p::core::upgrade::Version;
use libp2p::request_response::{self, Codec, Message, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, identity, noise, tcp, yamux};
use serde_json::json;
use zeroize::Zeroizing;

use crate::harness::{DEADLINE, Realm, Serving};

/// The client's half of the protocol, which sends any bytes.
#[derive(Clone)]
pub(crate) struct Asking;

impl Codec for Asking {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.take(1_000_000).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// A peer that can send anything to the login server.
pub(crate) struct Peer {
    swarm: Swarm<request_response::Behaviour<Asking>>,
    pub(crate) key: PeerKey,
}

impl Peer {
    pub(crate) fn new(protocol: &'static str) -> Self {
        let keypair = identity::Keypair::generate_ed25519();
        let transport = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&keypair).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let protocols = [(StreamProtocol::new(protocol), ProtocolSupport::Outbound)];
        let config = request_response::Config::default();
        let behaviour = request_response::Behaviour::with_codec(Asking, protocols, config);
        let me = keypair.public().to_peer_id();
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(Duration::from_secs(60));
        let key = me.to_string().parse().unwrap();
        Self { swarm: Swarm::new(transport, behaviour, me, config), key }
    }

    /// Connects, or returns the reason why it cannot.
    async fn connect(&mut self, login_server: &str, realm: PeerId) -> Result<(), String> {
        let address: Multiaddr = login_server.parse().unwrap();
        let dial = DialOpts::peer_id(realm).addresses(vec![address]).build();
        self.swarm.dial(dial).unwrap();
        let connected = async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return Ok(()),
                    SwarmEvent::OutgoingConnectionError { error, .. } => {
                        return Err(error.to_string());
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(DEADLINE, connected).await.unwrap()
    }

    /// Sends bytes and returns the answer, or the reason why there is none.
    pub(crate) async fn ask(&mut self, realm: PeerId, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        self.swarm.behaviour_mut().send_request(&realm, bytes);
        let answer = async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::Behaviour(request_response::Event::Message {
                        message: Message::Response { response, .. },
                        ..
                    }) => return Ok(response),
                    SwarmEvent::Behaviour(request_response::Event::OutboundFailure {
                        error,
                        ..
                    }) => return Err(error.to_string()),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.unwrap()
    }

    pub(crate) async fn login(&mut self, serving: &Serving, name: &str, password: &str) -> Reply {
        let realm = realm_of(serving);
        if !self.swarm.is_connected(&realm) {
            self.connect(serving.login_server(), realm).await.unwrap();
        }
        let request = Request::Login(Login {
            username: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            nickname: None,
            device_label: Some("test laptop".to_owned()),
        });
        let bytes = self.ask(realm, request.to_bytes().to_vec()).await.unwrap();
        Reply::parse(&bytes).unwrap()
    }
}

pub(crate) fn realm_of(serving: &Serving) -> PeerId {
    let link: JoinLink = serving.link().parse().unwrap();
    link.realm.to_string().parse().unwrap()
}

fn denial(reply: &Reply) -> DenialCode {
    match reply {
        Reply::Denied(denial) => denial.code,
        Reply::Granted(_) => panic!("granted"),
    }
}

#[tokio::test]
async fn a_peer_that_signs_in_is_among_the_sessions() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let mut peer = Peer::new(LOGIN_PROTOCOL);
    let wrong = peer.login(&serving, "alice", "wrong").await;
    assert_eq!(denial(&wrong), DenialCode::BadCredentials);
    let unknown = peer.login(&serving, "mallory", "wrong").await;
    assert_eq!(unknown.to_bytes(), wrong.to_bytes());
    let Reply::Granted(grant) = peer.login(&serving, "alice", "alice-password").await else {
        panic!("denied")
    };
    let link: JoinLink = serving.link().parse().unwrap();
    let ticket = Ticket::verify(&grant.ticket, &link.realm).unwrap();
    assert_eq!(ticket.claims().peer, peer.key);
    let policy = SignedPolicy::verify(&grant.policy, &link.realm).unwrap();
    assert_eq!(policy.policy().number, ticket.claims().policy);
    assert_eq!(json!(grant.authority.addresses), serving.listening["member"]);
    let session = realm.json(&["sessions"]).object();
    assert_eq!(session["username"], "alice");
    assert_eq!(session["peer"], json!(peer.key.to_string()));
    assert_eq!(session["expires_at"], json!(ticket.claims().expires_at_ms()));
    assert!(session["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    let user = realm.json(&["user", "list"]).object();
    assert_eq!(user["devices"], json!(1));
    assert!(user["last_login_at"].is_u64());
}

#[tokio::test]
async fn the_operators_acts_apply_at_the_next_sign_in() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let mut peer = Peer::new(LOGIN_PROTOCOL);
    assert!(matches!(peer.login(&serving, "alice", "alice-password").await, Reply::Granted(_)));
    realm.json(&["user", "disable", "alice"]);
    let reply = peer.login(&serving, "alice", "alice-password").await;
    assert_eq!(denial(&reply), DenialCode::Disabled);
    let reply = peer.login(&serving, "alice", "wrong").await;
    assert_eq!(denial(&reply), DenialCode::BadCredentials);
}

#[tokio::test]
async fn five_failures_delay_all_but_the_known_device() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let (mut known, mut stranger) = (Peer::new(LOGIN_PROTOCOL), Peer::new(LOGIN_PROTOCOL));
    assert!(matches!(known.login(&serving, "alice", "alice-password").await, Reply::Granted(_)));
    for _ in 0..5 {
        let reply = stranger.login(&serving, "alice", "guess").await;
        assert_eq!(denial(&reply), DenialCode::BadCredentials);
    }
    let reply = stranger.login(&serving, "alice", "alice-password").await;
    assert_eq!(denial(&reply), DenialCode::Locked);
    assert!(matches!(known.login(&serving, "alice", "alice-password").await, Reply::Granted(_)));
}

#[tokio::test]
async fn the_login_server_speaks_nothing_but_login() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    let id = realm_of(&serving);
    for protocol in [
        "/ipfs/ping/1.0.0",
        "/ipfs/id/1.0.0",
        "/meshsub/1.1.0",
        "/lanyard/sync/1",
        "/libp2p/circuit/relay/0.2.0/hop",
    ] {
        let mut peer = Peer::new(protocol);
        peer.connect(serving.login_server(), id).await.unwrap();
        assert!(peer.ask(id, vec![1, 2, 3]).await.is_err(), "{protocol}");
    }
}

#[tokio::test]
async fn garbage_gets_no_answer_and_does_no_harm() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let id = realm_of(&serving);
    for bytes in [vec![], vec![0xff; 40], vec![0x82; 8_192], vec![0; 500_000]] {
        let mut peer = Peer::new(LOGIN_PROTOCOL);
        peer.connect(serving.login_server(), id).await.unwrap();
        let answer = peer.ask(id, bytes).await.unwrap_or_default();
        assert!(answer.is_empty(), "{answer:?}");
    }
    let mut later = Peer::new(LOGIN_PROTOCOL);
    ask_for_something_new(&mut later, &serving).await;
    assert!(matches!(later.login(&serving, "alice", "alice-password").await, Reply::Granted(_)));
}

async fn ask_for_something_new(peer: &mut Peer, serving: &Serving) {
    let id = realm_of(serving);
    peer.connect(serving.login_server(), id).await.unwrap();
    let bytes = peer.ask(id, Request::Unknown(77).to_bytes().to_vec()).await.unwrap();
    assert_eq!(denial(&Reply::parse(&bytes).unwrap()), DenialCode::Unsupported);
}

#[tokio::test]
async fn an_impostor_is_detected_before_the_password() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    let impostor = identity::Keypair::generate_ed25519().public().to_peer_id();
    let mut peer = Peer::new(LOGIN_PROTOCOL);
    let refused = peer.connect(serving.login_server(), impostor).await;
    assert!(refused.is_err(), "the Noise key is not that of the link");
}

#[tokio::test]
async fn idle_connections_make_room_for_those_that_ask() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    realm.add("alice");
    let id = realm_of(&serving);
    let mut idle = Vec::new();
    for _ in 0..280 {
        let mut peer = Peer::new(LOGIN_PROTOCOL);
        peer.connect(serving.login_server(), id).await.unwrap();
        idle.push(peer);
    }
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let address = serving.login_server().replace("/ip4/", "").replace("/tcp/", ":");
        half_open.push(std::net::TcpStream::connect(address).unwrap());
    }
    let mut alice = Peer::new(LOGIN_PROTOCOL);
    let login = alice.login(&serving, "alice", "alice-password");
    let reply = tokio::time::timeout(Duration::from_secs(3), login).await.unwrap();
    assert!(matches!(reply, Reply::Granted(_)));
}

#[tokio::test]
async fn connections_that_never_ask_are_closed() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    let address = serving.login_server().replace("/ip4/", "").replace("/tcp/", ":");
    let mut idle = Peer::new(LOGIN_PROTOCOL);
    idle.connect(serving.login_server(), realm_of(&serving)).await.unwrap();
    // Not even the first byte of a handshake: four seconds.
    let silent = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut greeting = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut greeting).await.ok();
    };
    // A whole handshake, and then nothing: ten seconds.
    let closed = async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = idle.swarm.select_next_some().await {
                break;
            }
        }
    };
    let silent = tokio::time::timeout(Duration::from_secs(6), silent);
    let closed = tokio::time::timeout(Duration::from_secs(12), closed);
    let (silent, closed) = tokio::join!(silent, closed);
    assert!(silent.is_ok(), "a silent socket is still open after 6 s");
    assert!(closed.is_ok(), "an idle connection is still open after 12 s");
}

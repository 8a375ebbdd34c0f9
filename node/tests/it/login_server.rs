//! A login node made by hand: it has the realm key, and answers what the test tells it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use lanyard_node::transport;
use lanyard_node::transport::codec::Capped;
use lanyard_node::transport::ports;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{
    Denial, DenialCode, Grant, LOGIN_PROTOCOL, PeerAddresses, Reply, Request,
};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{StreamProtocol, Swarm};
use tokio::task::JoinHandle;

use crate::cast::{SOON, claims, key, now_ms, peer, policy, within};
use crate::raw::keypair;

/// A login server that is open as long as this lives.
pub(crate) struct OpenLoginServer {
    pub(crate) address: SocketAddr,
    /// What it was asked.
    pub(crate) asked: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for OpenLoginServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The link to a login server at an address.
pub(crate) fn link_to(address: SocketAddr) -> JoinLink {
    let (host, port) = (address.ip().to_string(), address.port());
    JoinLink { host, port, realm: peer("realm"), name: None, invite: None }
}

/// A ticket of `name` that was issued at `from_s` and lives for `life_s`.
pub(crate) fn ticket_for(name: &str, from_s: u64, life_s: u64) -> Ticket {
    let times = lanyard_protocol::ticket::Claims {
        issued_at_s: from_s,
        expires_at_s: from_s + life_s,
        ..claims(name)
    };
    Ticket::issue(times, &key("realm"))
}

pub(crate) fn granted(ticket: &Ticket, policy: &SignedPolicy) -> Vec<u8> {
    Reply::Granted(Box::new(Grant {
        ticket: ticket.as_bytes().to_vec(),
        policy: policy.as_bytes().to_vec(),
        realm_time: now_ms(),
        authority: PeerAddresses { peer: peer("member"), addresses: Vec::new() },
        peers: Vec::new(),
        nickname_refused: None,
    }))
    .to_bytes()
}

/// A new ticket of `name` for a week, under the usual policy.
pub(crate) fn a_week_for(name: &str) -> Vec<u8> {
    granted(&ticket_for(name, now_ms() / 1_000, 7 * 86_400), &policy(|_policy| {}))
}

pub(crate) fn denied(code: DenialCode) -> Vec<u8> {
    Reply::Denied(Denial { code, reason: String::new(), retry_after_s: None }).to_bytes()
}

impl OpenLoginServer {
    /// Opens one that answers everything with what `answer` says.
    pub(crate) async fn open(
        at: SocketAddr,
        answer: impl Fn(PeerKey, &Request) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let mut swarm = swarm();
        swarm.listen_on(ports::multiaddr(at)).unwrap();
        let address = within(SOON, "a login server that listens", async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    return crate::cast::socket_address(&address);
                }
            }
        });
        let address = address.await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(swarm, answer, Arc::clone(&asked)));
        Self { address, asked, task }
    }

    /// What it was asked so far.
    pub(crate) fn so_far(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

type Behaviour = request_response::Behaviour<Capped>;

fn swarm() -> Swarm<Behaviour> {
    let protocol = (StreamProtocol::new(LOGIN_PROTOCOL), ProtocolSupport::Inbound);
    let config = request_response::Config::default();
    let behaviour = Behaviour::with_codec(Capped::LOGIN, [protocol], config);
    let local = keypair(&key("realm")).public().to_peer_id();
    let config = libp2p::swarm::Config::with_tokio_executor();
    Swarm::new(transport::ungated(&key("realm")).unwrap(), behaviour, local, config)
}

async fn serve(
    mut swarm: Swarm<Behaviour>,
    answer: impl Fn(PeerKey, &Request) -> Vec<u8>,
    asked: Arc<Mutex<Vec<Request>>>,
) {
    loop {
        if let SwarmEvent::Behaviour(request_response::Event::Message {
            peer,
            message: request_response::Message::Request { request, channel, .. },
            ..
        }) = swarm.select_next_some().await
        {
            let request = Request::parse(&request).unwrap();
            let reply = answer(peer.to_string().parse().unwrap(), &request);
            asked.lock().unwrap().push(request);
            swarm.behaviour_mut().send_response(channel, reply).ok();
        }
    }
}

/// An address where nobody listens, and where a login server may open later.
pub(crate) fn closed_address() -> SocketAddr {
    let listen = ports::choose(&[crate::cast::LOOPBACK], None).unwrap();
    listen[0]
}

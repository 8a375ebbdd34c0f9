//! A member that writes gossip's frames by hand: on topics that nobody has subscribed to, and to one host alone.
//! A gossipsub would refuse to.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use lanyard_protocol::engine::Topic;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, StreamProtocol, Swarm, ping};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cast::{Honest, key, peer};
use crate::member::{peer_id, transport};
use crate::raw::keypair;

const GOSSIP_PROTOCOL: &str = "/meshsub/1.1.0";
/// Longer than any test: the streams stay open.
const ALWAYS: Duration = Duration::from_secs(600);

/// See the module.
pub(crate) struct Scribe {
    hosts: Vec<mpsc::Sender<Vec<u8>>>,
    task: JoinHandle<()>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    frames: request_response::Behaviour<Frames>,
    ping: ping::Behaviour,
}

impl Scribe {
    /// Links with all hosts, and waits until each counts it among its neighbours.
    pub(crate) async fn join(name: &str, hosts: &[Honest]) -> Self {
        let mut swarm = swarm(name);
        let mut senders = Vec::new();
        for host in hosts {
            let (sender, frames) = mpsc::channel(64);
            sender.send(subscriptions()).await.unwrap();
            let address =
                Multiaddr::from(host.address.ip()).with(Protocol::Tcp(host.address.port()));
            swarm.add_peer_address(peer_id(host), address);
            // The request dials.
            swarm.behaviour_mut().frames.send_request(&peer_id(host), frames);
            senders.push(sender);
        }
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        for host in hosts {
            host.linked_with(peer(name)).await;
        }
        Self { hosts: senders, task }
    }

    /// Puts these bytes on a topic, whatever its name, towards every host that still listens.
    pub(crate) async fn writes(&self, topic: &str, bytes: &[u8]) {
        for host in 0..self.hosts.len() {
            self.writes_to(host, topic, bytes).await;
        }
    }

    /// The same towards one host.
    pub(crate) async fn writes_to(&self, host: usize, topic: &str, bytes: &[u8]) {
        let message = [field(2, bytes), field(4, topic.as_bytes())].concat();
        // A host may have closed the link.
        self.hosts[host].send(framed(&field(2, &message))).await.ok();
    }

    /// Its process is gone.
    pub(crate) async fn ends(self) {
        self.task.abort();
        // It has been aborted, so this is an error.
        self.task.await.ok();
    }
}

/// A field of a protobuf message: its number, its length and its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn framed(rpc: &[u8]) -> Vec<u8> {
    [&varint(rpc.len()), rpc].concat()
}

/// A peer that subscribes to nothing is disconnected as deaf.
fn subscriptions() -> Vec<u8> {
    let subscription = |topic: Topic| {
        let path = topic.path(&peer("realm"));
        field(1, &[&[0x08, 1][..], &field(2, path.as_bytes())].concat())
    };
    framed(&Topic::ALL.map(subscription).concat())
}

/// A "request" is what is to be written, for as long as something comes; there is no answer.
#[derive(Debug, Clone, Copy)]
struct Frames;

impl request_response::Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = mpsc::Receiver<Vec<u8>>;
    type Response = ();

    /// The host's own stream: read away.
    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = vec![0; 65_536];
        while io.read(&mut bytes).await? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        // Gossip's streams go one way: only their end comes.
        io.read(&mut [0]).await.map(|_bytes| ())
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        mut frames: Self::Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        while let Some(frame) = frames.recv().await {
            io.write_all(&frame).await?;
            io.flush().await?;
        }
        io.close().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

fn swarm(name: &str) -> Swarm<Behaviour> {
    let protocol = (StreamProtocol::new(GOSSIP_PROTOCOL), ProtocolSupport::Full);
    let config = request_response::Config::default().with_request_timeout(ALWAYS);
    let behaviour = Behaviour {
        frames: request_response::Behaviour::with_codec(Frames, [protocol], config),
        ping: ping::Behaviour::default(),
    };
    let local = keypair(&key(name)).public().to_peer_id();
    let config = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(ALWAYS);
    Swarm::new(transport(name), behaviour, local, config)
}

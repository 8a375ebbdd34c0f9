//! A renegade: a member with a good ticket whose program is not ours. It publishes whatever it is told to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, ready};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::hello::{GATE_PROTOCOL, HEAD_LEN, Verdict, VerdictCode};
use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::policy::LOBBY;
use lanyard_protocol::testing;
use lanyard_protocol::ticket::Ticket;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::{
    InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version,
};
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, ValidationMode,
};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport as _, noise, ping, tcp, yamux};
use tokio::sync::mpsc;

use crate::cast::{Honest, SOON, hello, key, now_ms, peer, ticket, within};
use crate::raw::keypair;

/// What a renegade sees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Linked,
    Unlinked,
    Subscribed(String),
    Heard(String, Vec<u8>),
}

/// See the module.
pub(crate) struct Renegade {
    name: String,
    moderations: mpsc::Sender<(Topic, Vec<u8>)>,
    seen: mpsc::Receiver<Seen>,
    past: Vec<Seen>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossipsub: gossipsub::Behaviour,
    ping: ping::Behaviour,
}

impl Renegade {
    /// Links with a node, and waits until that has subscribed to `topic`.
    pub(crate) async fn join(name: &str, host: &Honest, topic: Topic) -> Self {
        let (moderations, ordered) = mpsc::channel(64);
        let (tell, seen) = mpsc::channel(4_096);
        let mut swarm = swarm(name);
        let to = Multiaddr::from(host.address.ip()).with(Protocol::Tcp(host.address.port()));
        swarm.dial(to.with(Protocol::P2p(peer_id(host)))).unwrap();
        tokio::spawn(run(swarm, ordered, tell));
        let mut renegade = Self { name: name.to_owned(), moderations, seen, past: Vec::new() };
        renegade.sees(|seen| *seen == Seen::Linked).await;
        renegade.sees(|seen| *seen == Seen::Subscribed(topic.path(&peer("realm")))).await;
        renegade
    }

    pub(crate) async fn publishes(&self, topic: Topic, bytes: impl Into<Vec<u8>>) {
        self.moderations.send((topic, bytes.into())).await.unwrap();
    }

    /// Says something that is all right.
    pub(crate) async fn says(&self, text: &str) {
        self.publishes(Topic::Mesh, message(&self.name, text).to_gossip()).await;
    }

    /// Says so until `listener`, behind another node, hears it: gossip's mesh has formed then.
    pub(crate) async fn is_forwarded_to(&self, listener: &mut Honest) {
        let mut patience = tokio::time::interval(std::time::Duration::from_millis(300));
        let speak = async {
            loop {
                patience.tick().await;
                self.says("is anybody there?").await;
            }
        };
        tokio::select! {
            _heard = listener.hears("is anybody there?") => {}
            () = speak => {}
        }
    }

    pub(crate) async fn sees(&mut self, wanted: impl Fn(&Seen) -> bool) {
        let wait = async {
            while let Some(seen) = self.seen.recv().await {
                let found = wanted(&seen);
                self.past.push(seen);
                if found {
                    return;
                }
            }
            panic!("the renegade is gone");
        };
        within(SOON, "what a renegade waits for", wait).await;
    }

    /// Everything that it has seen.
    pub(crate) fn so_far(&mut self) -> &[Seen] {
        self.past.extend(std::iter::from_fn(|| self.seen.try_recv().ok()));
        &self.past
    }
}

pub(crate) fn peer_id(host: &Honest) -> PeerId {
    host.peer.to_string().parse().unwrap()
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    mut moderations: mpsc::Receiver<(Topic, Vec<u8>)>,
    tell: mpsc::Sender<Seen>,
) {
    loop {
        tokio::select! {
            moderation = moderations.recv() => {
                let Some((topic, bytes)) = moderation else { return };
                let topic = IdentTopic::new(topic.path(&peer("realm")));
                let gossipsub = &mut swarm.behaviour_mut().gossipsub;
                if let Err(error) = gossipsub.publish(topic, bytes) {
                    eprintln!("a renegade cannot publish: {error}");
                }
            }
            event = swarm.select_next_some() => {
                let seen = match event {
                    SwarmEvent::ConnectionEstablished { .. } => Seen::Linked,
                    SwarmEvent::ConnectionClosed { .. } => Seen::Unlinked,
                    SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => match event {
                        gossipsub::Event::Subscribed { topic, .. } => {
                            Seen::Subscribed(topic.into_string())
                        }
                        gossipsub::Event::Message { message, .. } => {
                            Seen::Heard(message.topic.into_string(), message.data)
                        }
                        _other => continue,
                    },
                    _other => continue,
                };
                // Nobody looks any more: the test is over.
                tell.try_send(seen).ok();
            }
        }
    }
}

fn swarm(name: &str) -> Swarm<Behaviour> {
    let count = AtomicU64::new(0);
    let mut config = ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        // Never the same, so that its own gossipsub keeps nothing back.
        .message_id_fn(move |_message| {
            MessageId::new(&count.fetch_add(1, Ordering::Relaxed).to_be_bytes())
        })
        // Its ids are made up: a peer that asked for one would never get it, and would soon stop listening.
        .gossip_lazy(0)
        .gossip_factor(0.0)
        .max_transmit_size(1_024 * 1_024)
        .flood_publish(true);
    let mut gossipsub =
        gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config.build().unwrap()).unwrap();
    for topic in Topic::ALL {
        gossipsub.subscribe(&IdentTopic::new(topic.path(&peer("realm")))).unwrap();
    }
    let behaviour = Behaviour { gossipsub, ping: ping::Behaviour::default() };
    let local = keypair(&key(name)).public().to_peer_id();
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(std::time::Duration::from_secs(600));
    Swarm::new(transport(name), behaviour, local, config)
}

pub(crate) fn transport(name: &str) -> Boxed<(PeerId, StreamMuxerBox)> {
    let gate = ShowTicket(hello(name).to_frame().into());
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&keypair(&key(name))).unwrap())
        .multiplex_ext(move |_peer, _endpoint| gate.clone())
        .boxed()
}

/// The dialler's part of the gate: shows a Hello, and believes whatever comes back.
#[derive(Clone)]
struct ShowTicket(Arc<[u8]>);

impl UpgradeInfo for ShowTicket {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(GATE_PROTOCOL)
    }
}

impl<C> InboundConnectionUpgrade<C> for ShowTicket
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = yamux::Muxer<C>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_inbound(self, _io: C, _: Self::Info) -> Self::Future {
        Box::pin(ready(Err(io::Error::other("a renegade does not listen"))))
    }
}

impl<C> OutboundConnectionUpgrade<C> for ShowTicket
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = yamux::Muxer<C>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_outbound(self, mut io: C, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            io.write_all(&self.0).await?;
            io.flush().await?;
            // The verdict, and the other's Hello.
            for _frame in 0..2 {
                let mut head = [0; HEAD_LEN];
                io.read_exact(&mut head).await?;
                let length = lanyard_protocol::hello::parse_head(head).map_err(io_error)?;
                let mut body = vec![0; length];
                io.read_exact(&mut body).await?;
            }
            io.write_all(&Verdict::plain(VerdictCode::Accepted).to_frame()).await?;
            io.flush().await?;
            yamux::Config::default().upgrade_outbound(io, "/yamux/1.0.0").await
        })
    }
}

fn io_error(code: VerdictCode) -> io::Error {
    io::Error::other(format!("{code:?}"))
}

/// A text in the lobby, said now by `name` under its own ticket.
pub(crate) fn message(name: &str, text: &str) -> AdmittedMessage {
    message_with(ticket(name), name, |content| text.clone_into(&mut content.body.text))
}

/// A message signed with the key of `signer` under `ticket`, changed by the test.
pub(crate) fn message_with(
    ticket: Ticket,
    signer: &str,
    change: impl FnOnce(&mut Content),
) -> AdmittedMessage {
    static SEQ: AtomicU64 = AtomicU64::new(0);
    let mut content = Content {
        room: LOBBY.to_owned(),
        session: 7,
        seq: SEQ.fetch_add(1, Ordering::Relaxed),
        sent_at: now_ms(),
        body: "something".into(),
    };
    change(&mut content);
    testing::admitted(VerifiedMessage::author(content, Arc::new(ticket), &key(signer)).unwrap())
}

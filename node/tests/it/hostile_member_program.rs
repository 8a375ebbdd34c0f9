//! The program of a hostile member: linked with many, it publishes what it is told, asks without end, and lies.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use lanyard_node::transport::codec::Capped;
use lanyard_protocol::engine::Topic;
use lanyard_protocol::reconcile::{SYNC_PROTOCOL, SyncReply, SyncRequest};
use libp2p::gossipsub::{self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId};
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, ping};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cast::{Honest, SOON, key, peer, within};
use crate::member::{peer_id, transport};
use crate::raw::keypair;

/// Requests to one host that have no answer yet: as many as a host takes at a time.
const AT_ONCE: usize = 8;

/// The name of its thread.
pub(crate) const HOSTILE: &str = "hostile";
/// A thread of its own, as if it were another process: what it costs can be told from what its hosts cost, and its
/// tasks do not stand in one queue with theirs.
static ELSEWHERE: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name(HOSTILE).enable_all().build().unwrap()
});
/// Messages that wait for one host.
const QUEUE_MAX: usize = 256;
/// As many messages of others are kept, the first ones.
const HEARD_MAX: usize = 20;

/// Messages of others as they came, and when.
pub(crate) type Heard = Arc<Mutex<Vec<(Instant, Vec<u8>)>>>;

/// What a host is answered.
pub(crate) type Lie = fn(&SyncRequest) -> SyncReply;

/// What the program is to do.
enum Act {
    Publish(Topic, Vec<u8>),
    Ask(PeerId, Vec<u8>),
    /// From now on, each answer of a host is followed by the next of these requests.
    AskWithoutEnd(Vec<Vec<u8>>),
    /// Nothing is read any more, and nothing else is done.
    Freeze,
}

/// What has happened to it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) published: AtomicU64,
    /// No host has read fast enough.
    pub(crate) kept_back: AtomicU64,
    pub(crate) answers: AtomicU64,
    pub(crate) laters: AtomicU64,
    pub(crate) lies: AtomicU64,
    pub(crate) closed: AtomicU64,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossipsub: gossipsub::Behaviour,
    ping: ping::Behaviour,
    sync: request_response::Behaviour<Capped>,
}

/// See the module.
pub(crate) struct Program {
    acts: mpsc::Sender<Act>,
    answers: mpsc::Receiver<Vec<u8>>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) heard: Heard,
    task: JoinHandle<()>,
}

impl Program {
    /// Links with all hosts, and waits until each has subscribed to `mesh`.
    pub(crate) async fn join(name: &str, hosts: &[Honest], lie: Lie) -> Self {
        let (acts, told) = mpsc::channel(1_024);
        let (answer, answers) = mpsc::channel(64);
        let (subscribed, mut all) = watch::channel(0);
        let swarm = dialling(name, hosts);
        let (counts, heard) = (Arc::new(Counts::default()), Heard::default());
        let state = State {
            lie,
            answer,
            subscribed,
            counts: Arc::clone(&counts),
            heard: Arc::clone(&heard),
            without_end: Vec::new(),
            next: 0,
        };
        let task = ELSEWHERE.spawn(state.run(swarm, told));
        let everybody = all.wait_for(|subscribed| *subscribed >= hosts.len());
        within(SOON, "links with all", everybody).await.unwrap();
        Self { acts, answers, counts, heard, task }
    }

    pub(crate) async fn publishes(&self, topic: Topic, bytes: Vec<u8>) {
        self.acts.send(Act::Publish(topic, bytes)).await.unwrap();
    }

    pub(crate) async fn asks_without_end(&self, requests: &[SyncRequest], rubbish: Vec<u8>) {
        let mut requests: Vec<_> = requests.iter().map(SyncRequest::to_bytes).collect();
        requests.push(rubbish);
        self.acts.send(Act::AskWithoutEnd(requests)).await.unwrap();
    }

    /// Asks, and waits for the answer: how many bytes both have, and what the answer says.
    pub(crate) async fn asks(
        &mut self,
        host: &Honest,
        request: &SyncRequest,
    ) -> (usize, SyncReply) {
        let bytes = request.to_bytes();
        let sent = bytes.len();
        self.acts.send(Act::Ask(peer_id(host), bytes)).await.unwrap();
        let answer = within(SOON, "an answer", self.answers.recv()).await.unwrap();
        (sent + answer.len(), SyncReply::parse(&answer).unwrap())
    }

    pub(crate) async fn freezes(&self) {
        self.acts.send(Act::Freeze).await.unwrap();
    }

    /// Its process is gone.
    pub(crate) async fn ends(self) {
        self.task.abort();
        // It has been aborted, so this is an error.
        self.task.await.ok();
    }
}

struct State {
    lie: Lie,
    answer: mpsc::Sender<Vec<u8>>,
    subscribed: watch::Sender<usize>,
    counts: Arc<Counts>,
    heard: Heard,
    without_end: Vec<Vec<u8>>,
    next: usize,
}

impl State {
    async fn run(mut self, mut swarm: Swarm<Behaviour>, mut acts: mpsc::Receiver<Act>) {
        loop {
            tokio::select! {
                act = acts.recv() => match act {
                    Some(Act::Publish(topic, bytes)) => self.publish(&mut swarm, topic, bytes),
                    Some(Act::Ask(host, bytes)) => {
                        swarm.behaviour_mut().sync.send_request(&host, bytes.into());
                    }
                    Some(Act::AskWithoutEnd(requests)) => {
                        self.without_end = requests;
                        let hosts: Vec<PeerId> = swarm.connected_peers().copied().collect();
                        for host in hosts.into_iter().flat_map(|host| [host; AT_ONCE]) {
                            self.ask_again(&mut swarm, host);
                        }
                    }
                    Some(Act::Freeze) => return std::future::pending().await,
                    None => return,
                },
                event = swarm.select_next_some() => self.event(&mut swarm, event),
            }
        }
    }

    fn publish(&self, swarm: &mut Swarm<Behaviour>, topic: Topic, bytes: Vec<u8>) {
        let topic = IdentTopic::new(topic.path(&peer("realm")));
        let published = swarm.behaviour_mut().gossipsub.publish(topic, bytes).is_ok();
        let count = if published { &self.counts.published } else { &self.counts.kept_back };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn ask_again(&mut self, swarm: &mut Swarm<Behaviour>, host: PeerId) {
        let Some(request) = self.without_end.get(self.next % self.without_end.len().max(1)) else {
            return;
        };
        self.next += 1;
        if swarm.is_connected(&host) {
            swarm.behaviour_mut().sync.send_request(&host, request.clone().into());
        }
    }

    fn event(&mut self, swarm: &mut Swarm<Behaviour>, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionClosed { .. } => {
                self.counts.closed.fetch_add(1, Ordering::Relaxed);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Subscribed {
                topic,
                ..
            })) if topic.as_str() == Topic::Mesh.path(&peer("realm")) => {
                self.subscribed.send_modify(|count| *count += 1);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message {
                message,
                ..
            })) if message.topic.as_str() != Topic::Control.path(&peer("realm")) => {
                let mut heard = self.heard.lock().unwrap();
                let is_new = || heard.iter().all(|(_at, bytes)| *bytes != message.data);
                if heard.len() < HEARD_MAX && is_new() {
                    heard.push((Instant::now(), message.data));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.sync_event(swarm, event),
            _other => {}
        }
    }

    fn sync_event(
        &mut self,
        swarm: &mut Swarm<Behaviour>,
        event: request_response::Event<lanyard_node::transport::codec::SecretBytes, Vec<u8>>,
    ) {
        use request_response::{Event, Message};
        match event {
            Event::Message { message: Message::Request { request, channel, .. }, .. } => {
                self.counts.lies.fetch_add(1, Ordering::Relaxed);
                let asked = SyncRequest::parse(&request);
                if asked.is_err() {
                    println!("cut off: {} bytes", request.len());
                }
                let reply = asked.map_or(SyncReply::Unsupported, |asked| (self.lie)(&asked));
                let reply = reply.to_bytes();
                // The host may have gone meanwhile.
                swarm.behaviour_mut().sync.send_response(channel, reply).ok();
            }
            Event::Message { peer, message: Message::Response { response, .. }, .. } => {
                self.counts.answers.fetch_add(1, Ordering::Relaxed);
                let later = SyncReply::parse(&response) == Ok(SyncReply::Later);
                self.counts.laters.fetch_add(u64::from(later), Ordering::Relaxed);
                // Nobody may be waiting for it.
                self.answer.try_send(response).ok();
                self.ask_again(swarm, peer);
            }
            Event::OutboundFailure { peer, .. } => self.ask_again(swarm, peer),
            _other => {}
        }
    }
}

fn dialling(name: &str, hosts: &[Honest]) -> Swarm<Behaviour> {
    let _context = ELSEWHERE.enter();
    let mut swarm = swarm(name);
    for host in hosts {
        let address = Multiaddr::from(host.address.ip()).with(Protocol::Tcp(host.address.port()));
        let dial = DialOpts::peer_id(peer_id(host)).addresses(vec![address]);
        swarm.dial(dial.allocate_new_port().build()).unwrap();
    }
    swarm
}

fn swarm(name: &str) -> Swarm<Behaviour> {
    let count = AtomicU64::new(0);
    let mut config = ConfigBuilder::default();
    config
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        // Never the same, so that its own gossipsub keeps nothing back.
        .message_id_fn(move |_message| {
            MessageId::new(&count.fetch_add(1, Ordering::Relaxed).to_be_bytes())
        })
        // Its ids are made up: a peer that asked for one would never get it, and would soon stop listening.
        .gossip_lazy(0)
        .gossip_factor(0.0)
        .max_transmit_size(1_024 * 1_024)
        // Its own memory would be taken for that of its hosts: all are in one process.
        .connection_handler_queue_len(QUEUE_MAX)
        .flood_publish(true);
    let mut gossipsub =
        gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config.build().unwrap()).unwrap();
    for topic in Topic::ALL {
        gossipsub.subscribe(&IdentTopic::new(topic.path(&peer("realm")))).unwrap();
    }
    let protocol = (StreamProtocol::new(SYNC_PROTOCOL), ProtocolSupport::Full);
    let sync = request_response::Config::default().with_max_concurrent_streams(256);
    let behaviour = Behaviour {
        gossipsub,
        ping: ping::Behaviour::default(),
        sync: request_response::Behaviour::with_codec(Capped::SYNC, [protocol], sync),
    };
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_dial_concurrency_factor(NonZeroU8::MIN)
        .with_idle_connection_timeout(Duration::from_secs(600));
    let local = keypair(&key(name)).public().to_peer_id();
    Swarm::new(transport(name), behaviour, local, config)
}

/// Counts by name, for the output of a test.
pub(crate) fn shown(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    BTreeMap::from([
        ("published", of(&counts.published)),
        ("kept back", of(&counts.kept_back)),
        ("answers", of(&counts.answers)),
        ("laters", of(&counts.laters)),
        ("lies", of(&counts.lies)),
        ("closed", of(&counts.closed)),
    ])
}

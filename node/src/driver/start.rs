//! Starts a node: puts together ports, store, engine, swarm and loop.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::engine::{self, Engine, Input, StoredIndex, Topic};
use lanyard_protocol::engine::{RECENT_MS, RESEND_AGE_MS_MAX};
use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::{Now, RealmClock};
use libp2p::Swarm;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::command::Command;
use super::requests::Loads;
use super::status::{self, Surroundings};
use super::{EventLoop, State};
use crate::clock::Clock;
use crate::event::NodeEvent;
use crate::login::client::Client;
use crate::login::places::Places;
use crate::login::renewal::Renewal;
use crate::profile::Profile;
use crate::random;
use crate::status::Status;
use crate::store::{Loader, Reader, Store, StoreError};
use crate::transport;
use crate::transport::behaviour::Behaviour;
use crate::transport::gate::GateConfig;
use crate::transport::ports::{self, PortError};
use crate::transport::translate::{self, Topics};

/// How many commands may wait for the loop: more than a person types, fewer than a script can pile up.
const COMMANDS: usize = 256;
/// How many events a slow reader may be behind before it has to reload from the store.
const EVENTS: usize = 4_096;
/// How many reports of the gate may wait for the loop: one for each pending connection.
const REPORTS: usize = 2_048;
/// How many of the store's reports may wait for the loop.
const STORED: usize = 4_096;
/// How many messages the history's index takes in at a time: a few milliseconds of work for the loop.
const INDEX_PART: usize = 1_024;
/// How many parts of the index may wait for the loop. The loader waits for it.
const INDEX_PARTS: usize = 2;
/// How many loaded answers may wait for the loop. There are never more than unanswered requests.
const LOADS: usize = 64;
/// Links stay open until one side closes them. Gossipsub alone would not keep one open.
const IDLE: Duration = Duration::from_secs(365 * 86_400);

/// The configuration of a node.
#[derive(Debug)]
pub struct NodeConfig {
    /// The key of this device.
    pub key: SigningKey,
    /// A valid ticket for it.
    pub ticket: Ticket,
    /// The newest known policy.
    pub policy: SignedPolicy,
    /// Realm time, as the last login or run left it.
    pub clock: RealmClock,
    /// The path of the message store.
    pub database: PathBuf,
    /// Where to listen. If empty, everywhere and on the port used last.
    pub listen: Vec<SocketAddr>,
    /// Peers to start with, besides those in the store.
    pub candidates: Vec<PeerAddresses>,
    /// The join link, which is used to renew the ticket. Without it the node ends with its ticket.
    pub login_server: Option<JoinLink>,
    /// The profile, which stays locked while the node runs.
    pub profile: Option<Profile>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is in use, or an address is not available.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store cannot be used.
    #[error("the message store cannot be used: {0}")]
    Store(#[from] StoreError),
    /// The system refused something else.
    #[error("the node cannot start: {0}")]
    System(String),
}

/// The outer ends of a running loop's channels, with the store's reader and the client of the login server.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    pub(crate) reader: Reader,
    pub(crate) realm: PeerKey,
    pub(crate) login_server: Option<Client>,
}

/// Starts a node. If this fails, nothing is left running.
pub(crate) fn start(config: NodeConfig) -> Result<Ends, StartError> {
    let clock = Clock::new();
    let now = clock.now();
    let realm = config.ticket.claims().realm;
    let mut store = Store::open(&config.database, &realm)?;
    let reader = store.reader()?;
    let boot = store.next_boot(now.wall_ms)?;
    let listen = ports::choose(&config.listen, store.last_port()?)?;
    if let Some(address) = listen.first() {
        store.remember_port(address.port())?;
    }
    let candidates = [config.candidates.clone(), reader.peers()?].concat();
    let around = Surroundings { messages: reader.count()?, ..Surroundings::default() };
    let mut loader = store.loader()?;
    let engine = engine(&config, boot, &reader, &mut loader, now)?;

    let (view, view_seen) = watch::channel(Arc::new(engine.view()));
    let (report, reports) = mpsc::channel(REPORTS);
    let gate = GateConfig { view: view_seen, reports: report, clock };
    let swarm = swarm(&config, gate, &realm, &listen)?;
    let (told, stored) = mpsc::channel(STORED);
    let (load, loaded) = mpsc::channel(LOADS);
    let (fill, index) = mpsc::channel(INDEX_PARTS);
    let (commands, commanded) = mpsc::channel(COMMANDS);
    let (events, _first) = broadcast::channel(EVENTS);
    let (status, status_seen) = watch::channel(Arc::new(status::build(&engine, &around, now)));
    let earlier = reader.login_node()?;
    let link = config.login_server.clone();
    let places = link.map(|link| Arc::new(Places::new(link, earlier.as_deref())));
    let wanted = Arc::new(Notify::new());
    let event_loop = EventLoop {
        places: places.clone(),
        ask_login_server: Arc::clone(&wanted),
        clock,
        topics: Topics::of(&realm),
        engine,
        swarm,
        loads: Loads { reader: store.reader()?, load },
        writer: store.writer(told).map_err(system)?,
        view,
        reports,
        commands: commanded,
        stored,
        index,
        loaded,
        events: events.clone(),
        status,
        around,
        state: State { follow_ups: [Input::Candidates(candidates)].into(), ..State::default() },
    };
    let profile = config.profile;
    tokio::task::spawn_blocking(move || fill_index(loader, &fill));
    tokio::spawn(async move {
        Box::pin(event_loop.run()).await;
        drop(profile);
    });
    let login_server = places.map(|places| Client::new(config.key, places));
    if let Some(login_server) = login_server.clone() {
        let (status, commands) = (status_seen.clone(), commands.downgrade());
        tokio::spawn(Renewal { login_server, clock, status, wanted, commands }.run());
    }
    Ok(Ends { commands, events, status: status_seen, reader, login_server, realm })
}

fn system(error: impl Display) -> StartError {
    StartError::System(error.to_string())
}

/// Reads the older messages into the history's index, newest first, as fast as the loop takes them.
fn fill_index(mut loader: Loader, fill: &mpsc::Sender<(StoredIndex, bool)>) {
    loop {
        let part = loader.next(INDEX_PART).unwrap_or_else(|error| {
            tracing::error!(%error, "The store cannot be read; what is older is not reconciled");
            StoredIndex::default()
        });
        let done = part.messages.is_empty();
        if fill.blocking_send((part, done)).is_err() || done {
            return;
        }
    }
}

fn engine(
    config: &NodeConfig,
    boot: u64,
    reader: &Reader,
    loader: &mut Loader,
    now: Now,
) -> Result<Engine, StartError> {
    let realm_ms = config.clock.peek_ms(now);
    let realm = config.ticket.claims().realm;
    let config = engine::Config {
        key: config.key.clone(),
        ticket: config.ticket.clone(),
        policy: config.policy.clone(),
        boot,
        session: u64::from_le_bytes(random::bytes().map_err(system)?),
        clock: config.clock.clone(),
        oldest: reader.oldest()?,
        stored: loader.since(realm_ms.saturating_sub(RECENT_MS))?,
        moderations: reader.moderations(&realm)?,
        unsent: reader.unsent(realm_ms.saturating_sub(RESEND_AGE_MS_MAX))?,
        seed: random::bytes().map_err(system)?,
    };
    Ok(Engine::new(config, now))
}

fn swarm(
    config: &NodeConfig,
    gate: GateConfig,
    realm: &PeerKey,
    listen: &[SocketAddr],
) -> Result<Swarm<Behaviour>, StartError> {
    let is_authority = config.ticket.claims().role == Role::Authority;
    let transport = transport::gated(&config.key, gate).map_err(system)?;
    let mut behaviour = Behaviour::new(realm, is_authority).map_err(system)?;
    // The authority peer never hears chat, because it does not subscribe to it.
    let topics = if is_authority { &[Topic::Control][..] } else { &Topic::ALL };
    for topic in topics {
        behaviour.gossipsub.subscribe(&translate::topic(*topic, realm)).map_err(system)?;
    }
    let local = translate::keypair(&config.key).public().to_peer_id();
    let limits = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE)
        .with_smart_dial();
    let mut swarm = Swarm::new(transport, behaviour, local, limits);
    for address in listen {
        swarm.listen_on(ports::multiaddr(*address)).map_err(system)?;
    }
    Ok(swarm)
}

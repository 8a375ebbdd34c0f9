//! The handle: a cheap clone that sends commands to the event loop and reads its state.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::engine::{self, Engine, Topic};
use lanyard_protocol::ids::{MessageId, PeerKey, Role};
use lanyard_protocol::limits::{RESEND_AGE_MS_MAX, SEEN_MS};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::{Now, RealmClock};
use libp2p::Swarm;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::event::{ChatMessage, NodeEvent, Status};
use crate::net::behaviour::Behaviour;
use crate::net::event_loop::{EventLoop, State};
use crate::net::gate::GateConfig;
use crate::net::ports::{self, PortError};
use crate::net::status::{self, Surroundings};
use crate::net::{translate, transport};
use crate::profile::Profile;
use crate::store::{Opened, Reader, StoreError, Writer};

/// The node is gone; nothing more can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has ended")]
pub struct NodeClosed;

/// What a message got when it was accepted for sending: it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// Our running session.
    pub session: u64,
    /// Its number within the session.
    pub seq: u64,
    /// Realm time of sending, unix milliseconds.
    pub sent_at: u64,
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than the policy allows.
    #[error("the message has {bytes} of {max} bytes; shorten it")]
    TooLong {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max: u64,
    },
    /// Nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The policy has no such room.
    #[error("there is no room of that name")]
    NoSuchRoom,
    /// The role is too low for the room, or the room is archived.
    #[error("you may not post in this room")]
    MayNotPost,
    /// A mute is in force.
    #[error("you are muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The account is banned.
    #[error("you are banned")]
    Banned,
    /// The quota is used up.
    #[error("slow down: try again in {retry_after_s} s")]
    SlowDown {
        /// When there is room again, in seconds.
        retry_after_s: u64,
    },
    /// The pass is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// The store does not take it.
    #[error("the message could not be stored: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// Which part of a room's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// What stands directly before this message, by order key.
    Before(MessageId),
    /// What stands directly after this message, by order key.
    After(MessageId),
}

/// A part of a room's history, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In order.
    pub messages: Vec<Arc<ChatMessage>>,
    /// Whether there is more in the direction asked for.
    pub more: bool,
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such message to page from.
    #[error("there is no message with that id")]
    NotFound,
    /// SQLite said no.
    #[error("the store could not be read: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// What the handle asks of the event loop.
#[derive(Debug)]
pub(crate) enum Command {
    Send { room: String, text: String, reply: oneshot::Sender<Result<Sent, SendError>> },
    MarkRead { room: String, id: MessageId },
    PublishPolicy { policy: Box<SignedPolicy>, head: Vec<u8> },
    Renew(Box<Ticket>),
    Quit { reply: oneshot::Sender<()> },
}

/// Commands that wait for the loop: more than a person types, fewer than a script can pile up.
const COMMANDS: usize = 256;
/// Events that a slow reader may be behind before it is told to reload from the store.
const EVENTS: usize = 4_096;
/// Reports of the gate that wait for the loop: as many as there can be pending connections.
const REPORTS: usize = 2_048;
/// What the store has written and the loop has not told yet.
const STORED: usize = 4_096;
/// Links stand until somebody closes them: gossipsub alone would not keep one open.
const IDLE: Duration = Duration::from_secs(365 * 86_400);
/// The most messages that one page of history has.
pub const PAGE_MAX: usize = 500;

/// What a node starts from.
#[derive(Debug)]
pub struct NodeConfig {
    /// The device key.
    pub key: SigningKey,
    /// A valid ticket for it.
    pub ticket: Ticket,
    /// The newest policy known.
    pub policy: SignedPolicy,
    /// Realm time.
    pub clock: RealmClock,
    /// The store's file.
    pub database: PathBuf,
    /// Where to listen; empty for everywhere and the port used last.
    pub listen: Vec<SocketAddr>,
    /// Peers to begin with, besides those in the store.
    pub candidates: Vec<PeerAddresses>,
    /// Held as long as the node runs: the profile's lock.
    pub profile: Option<Profile>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port in use, or an address that is not to be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store cannot be used.
    #[error("the message store cannot be used: {0}")]
    Store(#[from] StoreError),
    /// Something else that this machine does not give.
    #[error("the node cannot start: {0}")]
    System(String),
}

/// A running peer. Clones are cheap and speak to the same node.
#[derive(Debug, Clone)]
pub struct Node {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<NodeEvent>,
    status: watch::Receiver<Arc<Status>>,
    reader: Reader,
}

impl Node {
    /// Starts a node on the running tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        let clock = Clock::new();
        let now = clock.now();
        let realm = config.ticket.claims().realm;
        let is_authority = config.ticket.claims().role == Role::Authority;
        let opened = Opened::open(&config.database, &realm)?;
        let reader = Reader::open(&config.database, &realm)?;
        let sqlite = |error: rusqlite::Error| StartError::System(error.to_string());
        let boot = opened.next_boot(now.wall_ms).map_err(sqlite)?;
        let listen = ports::choose(&config.listen, opened.last_port().map_err(sqlite)?)?;
        if let Some(address) = listen.first() {
            opened.remember_port(address.port()).map_err(sqlite)?;
        }
        let key = config.key.clone();
        let candidates = [config.candidates.clone(), reader.peers()?].concat();
        let (engine, around) = engine(&config, boot, &reader, now)?;

        let (view, view_seen) = watch::channel(Arc::new(engine.view()));
        let (report, reports) = mpsc::channel(REPORTS);
        let gate = GateConfig { view: view_seen, reports: report, clock };
        let mut swarm = swarm(&key, gate, is_authority, &realm)?;
        for address in listen {
            let listening = swarm.listen_on(ports::multiaddr(address));
            listening.map_err(|error| StartError::System(format!("{address}: {error}")))?;
        }
        let (told, stored) = mpsc::channel(STORED);
        let writer =
            Writer::start(opened, told).map_err(|error| StartError::System(error.to_string()))?;
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (events, _first) = broadcast::channel(EVENTS);
        let (status, status_seen) = watch::channel(Arc::new(status::build(&engine, &around, now)));
        let mut state = State::default();
        state.start_with(candidates);
        let event_loop = EventLoop {
            clock,
            realm,
            engine,
            swarm,
            writer,
            view,
            reports,
            commands: commanded,
            stored,
            events: events.clone(),
            status,
            around,
            state,
        };
        let profile = config.profile;
        tokio::spawn(async move {
            Box::pin(event_loop.run()).await;
            drop(profile);
        });
        Ok(Self { commands, events, status: status_seen, reader })
    }

    /// Signs, stores and sends a text. Returns when it is on disk.
    ///
    /// # Errors
    /// [`SendError`] says why not; nothing was stored then.
    pub async fn send(&self, room: &str, text: &str) -> Result<Sent, SendError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Send { room: room.to_owned(), text: text.to_owned(), reply };
        self.command(command).await?;
        answer.await.map_err(|_loop_is_gone| NodeClosed)?
    }

    /// A part of a room's history from the store, at most [`PAGE_MAX`] messages.
    ///
    /// # Errors
    /// [`ReadError`] if there is no such message or the store cannot be read.
    pub async fn history(
        &self,
        room: &str,
        page: Page,
        limit: usize,
    ) -> Result<History, ReadError> {
        let (reader, room) = (self.reader.clone(), room.to_owned());
        read(move || reader.history(&room, page, limit.min(PAGE_MAX))).await
    }

    /// Remembers that everything in the room up to this message has been read.
    ///
    /// # Errors
    /// [`ReadError::Closed`] if the node has ended.
    pub async fn mark_read(&self, room: &str, id: MessageId) -> Result<(), ReadError> {
        let room = room.to_owned();
        Ok(self.command(Command::MarkRead { room, id }).await?)
    }

    /// The message up to which the room has been read, and how many of others have arrived since.
    ///
    /// # Errors
    /// [`ReadError::Store`] if it cannot be read.
    pub async fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), ReadError> {
        let (reader, room) = (self.reader.clone(), room.to_owned());
        read(move || reader.unread(&room).map_err(|error| ReadError::Store(error.to_string())))
            .await
    }

    /// For the rendezvous' own node: puts a newer policy in force and publishes its head.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn publish_policy(
        &self,
        policy: SignedPolicy,
        head: Vec<u8>,
    ) -> Result<(), NodeClosed> {
        self.command(Command::PublishPolicy { policy: Box::new(policy), head }).await
    }

    /// Takes a renewed ticket into use.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn renew(&self, ticket: Ticket) -> Result<(), NodeClosed> {
        self.command(Command::Renew(Box::new(ticket))).await
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    /// The latest state, and a way to wait for the next.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Says "bye" to the mesh, closes the store and ends, within two seconds.
    pub async fn quit(&self) {
        let (reply, answer) = oneshot::channel();
        // A loop that is gone has quit already.
        if self.command(Command::Quit { reply }).await.is_ok() {
            answer.await.ok();
        }
    }

    async fn command(&self, command: Command) -> Result<(), NodeClosed> {
        self.commands.send(command).await.map_err(|_loop_is_gone| NodeClosed)
    }
}

/// SQLite blocks, so it is read where that is allowed.
async fn read<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| ReadError::Store(error.to_string()))?
}

fn engine(
    config: &NodeConfig,
    boot: u64,
    reader: &Reader,
    now: Now,
) -> Result<(Engine, Surroundings), StartError> {
    let realm_ms = config.clock.peek_ms(now);
    let (seen, largest_sent_at) = reader.recent(realm_ms.saturating_sub(SEEN_MS))?;
    let unsent = reader.unsent(realm_ms.saturating_sub(RESEND_AGE_MS_MAX))?;
    let config = engine::Config {
        key: config.key.clone(),
        ticket: config.ticket.clone(),
        policy: config.policy.clone(),
        boot,
        session: u64::from_le_bytes(random()?),
        clock: config.clock.clone(),
        seen,
        largest_sent_at,
        unsent,
        seed: random()?,
    };
    let around = Surroundings { messages: reader.count()?, ..Surroundings::default() };
    Ok((Engine::new(config, now), around))
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StartError::System(error.to_string()))?;
    Ok(bytes)
}

fn swarm(
    key: &SigningKey,
    gate: GateConfig,
    is_authority: bool,
    realm: &PeerKey,
) -> Result<Swarm<Behaviour>, StartError> {
    let system = |error: &dyn std::fmt::Display| StartError::System(error.to_string());
    let transport = transport::gated(key, gate).map_err(|error| system(&error))?;
    let mut behaviour = Behaviour::new(realm, is_authority).map_err(|error| system(&error))?;
    // The rendezvous' own node never hears chat: it is not subscribed to it.
    let topics = if is_authority { &[Topic::Control][..] } else { &Topic::ALL };
    for topic in topics {
        let subscribed = behaviour.gossipsub.subscribe(&translate::topic(*topic, realm));
        subscribed.map_err(|error| system(&error))?;
    }
    let local = translate::keypair(key).public().to_peer_id();
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE)
        .with_smart_dial();
    Ok(Swarm::new(transport, behaviour, local, config))
}

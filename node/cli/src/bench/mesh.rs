//! The mesh of a benchmark, the load on it, and when messages arrived.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use lanyard_node::clock::Clock;
use lanyard_node::{Node, NodeConfig, NodeEvent, Status, Via, random};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::{AccountId, MessageId, Role};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::{LOBBY, Limits, Policy, RoomRules, SignedPolicy};
use lanyard_protocol::ticket::{Claims, Ticket};
use lanyard_protocol::time::RealmClock;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{BenchOptions, Senders};

/// After this long without an arrival, missing messages count as lost. It is longer than two rounds of reconciliation.
const QUIET: Duration = Duration::from_secs(25);
/// How far the last events may lag behind the state.
const LAST_EVENTS: Duration = Duration::from_millis(200);
/// With more peers than this, a node is not linked with all others, and `LINKS_ENOUGH` links are enough to begin.
const LINKS_FULL: usize = 64;
const LINKS_ENOUGH: usize = 8;
/// How many sends may wait for the store at the same time, in a burst.
const IN_FLIGHT: usize = 128;

/// Nodes that are linked with each other.
#[derive(Debug)]
pub(super) struct Mesh {
    nodes: Vec<Node>,
    folder: PathBuf,
}

/// What arrived at the nodes, apart from their own messages.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// The times from sending to showing, sorted.
    pub(super) latencies: Vec<Duration>,
    pub(super) duplicates: u64,
    /// How many messages came by reconciliation, because gossip did not bring them.
    pub(super) repaired: u64,
    /// How many messages are missing from the stores at the end.
    pub(super) lost: u64,
    /// The time from the first send to the last arrival.
    pub(super) took: Duration,
}

impl Mesh {
    /// Starts the nodes, and waits until each sees all others and has as many links as it should in a realm of that
    /// size.
    pub(super) async fn start(peers: u32, within: Duration) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("lanyard-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("Cannot make a folder for the stores")?;
        let realm = SigningKey::from_bytes(&random::bytes()?);
        let mut mesh = Self { nodes: Vec::new(), folder };
        let mut known: Vec<PeerAddresses> = Vec::new();
        for number in 0..peers {
            let node = mesh.start_node(&realm, number, known.clone())?;
            known.push(address_of(&node).await?);
            mesh.nodes.push(node);
        }
        let whole = async {
            for node in &mesh.nodes {
                let (all, others) = (mesh.nodes.len(), mesh.nodes.len() - 1);
                let links = if others <= LINKS_FULL { others } else { LINKS_ENOUGH };
                let whole = |status: &Arc<Status>| {
                    status.roster.len() == all && status.neighbours.len() >= links
                };
                node.status().wait_for(whole).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(within, whole).await.context("The mesh did not become whole")??;
        Ok(mesh)
    }

    fn start_node(
        &self,
        realm: &SigningKey,
        number: u32,
        candidates: Vec<PeerAddresses>,
    ) -> anyhow::Result<Node> {
        let now = Clock::new().now().wall_ms;
        let key = SigningKey::from_bytes(&random::bytes()?);
        let claims = Claims {
            realm: public_key(realm),
            account: AccountId(random::bytes()?),
            id: random::bytes()?,
            issued_at_s: now / 1_000,
            expires_at_s: now / 1_000 + 86_400,
            peer: public_key(&key),
            username: format!("peer{number}"),
            nickname: format!("Peer {number}"),
            role: Role::Member,
            device: 1,
            policy: 1,
        };
        let config = NodeConfig {
            key,
            ticket: Ticket::issue(claims, realm),
            policy: SignedPolicy::sign(policy(realm, now), realm)?,
            clock: RealmClock::restored(0, 0),
            database: self.folder.join(format!("{number}.db")),
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)],
            candidates,
            login_server: None,
            profile: None,
        };
        Ok(Node::start(config)?)
    }

    /// Sends the load, and waits until everything has arrived or nothing more arrives.
    pub(super) async fn run(&self, load: &BenchOptions) -> anyhow::Result<Arrivals> {
        let mut listeners = JoinSet::new();
        for node in &self.nodes {
            listeners.spawn(listen(node.clone(), node.events(), load.messages));
        }
        let started = Instant::now();
        let sent = self.send(load, started).await?;
        let mut arrivals = Arrivals::default();
        let mut last = started;
        while let Some(heard) = listeners.join_next().await {
            let heard = heard?;
            arrivals.duplicates += heard.duplicates;
            arrivals.repaired += heard.repaired;
            arrivals.lost += heard.lost;
            for (id, at) in heard.first {
                if let Some(sent_at) = sent.get(&id) {
                    arrivals.latencies.push(at.saturating_duration_since(*sent_at));
                    last = last.max(at);
                }
            }
        }
        arrivals.latencies.sort_unstable();
        arrivals.took = last.saturating_duration_since(started);
        Ok(arrivals)
    }

    /// Sends everything. Returns the time before each send.
    async fn send(
        &self,
        load: &BenchOptions,
        started: Instant,
    ) -> anyhow::Result<BTreeMap<MessageId, Instant>> {
        let mut sent = BTreeMap::new();
        let mut in_flight: JoinSet<anyhow::Result<(MessageId, Instant)>> = JoinSet::new();
        let senders = if load.senders == Senders::All { self.nodes.len() } else { 1 };
        let window = if load.burst || load.rate.is_some() { IN_FLIGHT } else { senders };
        for number in 0..load.messages {
            if let Some(rate) = load.rate.filter(|rate| *rate > 0.0) {
                let due = started + Duration::from_secs_f64(f64::from(number) / rate);
                tokio::time::sleep_until(due).await;
            }
            if in_flight.len() >= window
                && let Some(done) = in_flight.join_next().await
            {
                let (id, at) = done??;
                sent.insert(id, at);
            }
            let sender = usize::try_from(number)? % senders;
            let Some(node) = self.nodes.get(sender).cloned() else { bail!("no sender") };
            let text = text(number, load.size);
            in_flight.spawn(async move {
                let at = Instant::now();
                Ok((node.send(Draft::new(LOBBY, text)).await?.id, at))
            });
        }
        while let Some(done) = in_flight.join_next().await {
            let (id, at) = done??;
            sent.insert(id, at);
        }
        Ok(sent)
    }

    /// Ends the nodes and removes their stores.
    pub(super) async fn quit(self) {
        let mut quitting = JoinSet::new();
        for node in self.nodes {
            quitting.spawn(async move { node.quit().await });
        }
        quitting.join_all().await;
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "The stores of the bench could not be removed");
        }
    }
}

impl Arrivals {
    /// The latency within which this share of the deliveries arrived.
    pub(super) fn latency_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list that is far shorter than 2^52"
        )]
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }
}

/// What one node received from others.
#[derive(Debug, Default)]
struct Heard {
    first: BTreeMap<MessageId, Instant>,
    duplicates: u64,
    repaired: u64,
    lost: u64,
}

impl Heard {
    fn take(&mut self, event: Result<NodeEvent, RecvError>) {
        // A receiver that lags misses times but no messages: those are counted in the store.
        let Ok(NodeEvent::Message(message)) = event else { return };
        if message.via == Via::Own {
            return;
        }
        if self.first.insert(message.id, Instant::now()).is_some() {
            self.duplicates += 1;
        } else if message.via == Via::Sync {
            self.repaired += 1;
        }
    }
}

/// Listens until every message is in the store, or nothing more arrives.
async fn listen(node: Node, mut events: Receiver<NodeEvent>, messages: u32) -> Heard {
    let mut heard = Heard::default();
    let mut status = node.status();
    let all = u64::from(messages);
    let mut stored = 0;
    let mut deadline = Instant::now() + QUIET;
    while stored < all {
        tokio::select! {
            biased;
            event = events.recv() => heard.take(event),
            changed = status.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(deadline) => break,
        }
        let now_stored = status.borrow_and_update().messages;
        if std::mem::replace(&mut stored, now_stored) < now_stored {
            deadline = Instant::now() + QUIET;
        }
    }
    // The state arrives before its events.
    let rest = async {
        loop {
            heard.take(events.recv().await);
        }
    };
    tokio::time::timeout(LAST_EVENTS, rest).await.unwrap_or(());
    heard.lost = all.saturating_sub(stored);
    heard
}

/// Where a node listens, once it does.
async fn address_of(node: &Node) -> anyhow::Result<PeerAddresses> {
    let mut status = node.status();
    let status = Arc::clone(&*status.wait_for(|status| !status.listen.is_empty()).await?);
    let addresses = status.listen.iter().filter_map(|at| at.split("/p2p/").next());
    Ok(PeerAddresses { peer: status.me.peer, addresses: addresses.map(str::to_owned).collect() })
}

/// A realm without a quota.
fn policy(realm: &SigningKey, now: u64) -> Policy {
    Policy {
        realm: public_key(realm),
        number: 1,
        issued_at: now,
        name: "Bench".into(),
        rules: vec![Limits {
            per_minute: 0,
            guest_per_minute: 0,
            per_day: u64::MAX,
            ..Limits::default_from(now.saturating_sub(86_400_000))
        }],
        rooms: vec![RoomRules::lobby()],
        sanctions: Vec::new(),
        settled: Vec::new(),
    }
}

/// A text of `size` bytes, different for each number.
fn text(number: u32, size: u32) -> String {
    let size = usize::try_from(size).unwrap_or_default();
    format!("{:.<size$}", format!("message {number} "))
}

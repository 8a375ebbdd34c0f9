//! The cast: one realm, its people, and honest nodes on loopback that tests can wait for.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_node::clock::Clock;
use lanyard_node::event::Reason;
use lanyard_node::{ChatMessage, Node, NodeConfig, NodeEvent, Page, Status};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::hello::Hello;
use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::{LOBBY, Limits, Policy, SignedPolicy};
use lanyard_protocol::testing;
use lanyard_protocol::ticket::{Claims, Ticket};
use lanyard_protocol::time::RealmClock;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::broadcast;

/// Long enough for anything that happens at all on two busy cores.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Held while a test runs that starts few swarms: such tests may run beside each other.
pub(crate) fn in_company() -> File {
    let lock = lock_file();
    lock.lock_shared().unwrap();
    lock
}

/// Held while a test runs that needs the machine for itself.
pub(crate) fn alone() -> File {
    let lock = lock_file();
    lock.lock().unwrap();
    lock
}

fn lock_file() -> File {
    File::create(std::env::temp_dir().join("lanyard-process-tests.lock")).unwrap()
}

/// Realm time: the wall clock of this machine.
pub(crate) fn now_ms() -> u64 {
    Clock::new().now().wall_ms
}

pub(crate) async fn within<T>(limit: Duration, what: &str, act: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, act).await {
        Ok(done) => done,
        Err(_late) => panic!("not within {limit:?}: {what}"),
    }
}

/// The key of a name; `realm` is the realm's own.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest(name).into())
}

pub(crate) fn peer(name: &str) -> PeerKey {
    public_key(&key(name))
}

/// The claims of a member who was let in a minute ago, for a week.
pub(crate) fn claims(name: &str) -> Claims {
    let issued_at_s = now_ms() / 1_000 - 60;
    Claims {
        issued_at_s,
        expires_at_s: issued_at_s + testing::WEEK_S,
        ..testing::claims(&key("realm"), &key(name), name)
    }
}

pub(crate) fn ticket(name: &str) -> Ticket {
    Ticket::issue(claims(name), &key("realm"))
}

/// What `name` shows at the gate, with `ticket` in its hand.
pub(crate) fn hello_with(ticket: &[u8], boot: u64) -> Hello {
    Hello { realm: peer("realm"), time: now_ms(), boot, policy: 1, ticket: ticket.to_vec() }
}

pub(crate) fn hello(name: &str) -> Hello {
    hello_with(ticket(name).as_bytes(), now_ms())
}

/// The realm's policy, changed by the test and signed.
pub(crate) fn policy(change: impl FnOnce(&mut Policy)) -> SignedPolicy {
    let mut policy = testing::policy(&key("realm"));
    // Signed an hour ago: nothing in it may stand in the future.
    policy.issued_at = now_ms() - 3_600_000;
    policy.rules = vec![Limits::default_from(policy.issued_at)];
    change(&mut policy);
    SignedPolicy::sign(policy, &key("realm")).unwrap()
}

/// What an honest node starts from.
pub(crate) struct Setup {
    pub(crate) claims: Claims,
    pub(crate) policy: SignedPolicy,
    pub(crate) listen: SocketAddr,
    pub(crate) knows: Vec<PeerAddresses>,
    pub(crate) login_server: Option<JoinLink>,
    /// What an earlier start has left.
    pub(crate) dir: Option<TempDir>,
}

impl Setup {
    pub(crate) fn of(name: &str) -> Self {
        let policy = policy(|_policy| {});
        let (claims, listen, knows) = (claims(name), LOOPBACK, Vec::new());
        Self { claims, policy, listen, knows, login_server: None, dir: None }
    }

    pub(crate) fn authority(self) -> Self {
        self.role(Role::Authority)
    }

    pub(crate) fn role(mut self, role: Role) -> Self {
        self.claims.role = role;
        self
    }

    pub(crate) fn under(mut self, policy: SignedPolicy) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn knowing(mut self, peer: PeerKey, address: SocketAddr) -> Self {
        let addresses = vec![format!("/ip4/{}/tcp/{}", address.ip(), address.port())];
        self.knows.push(PeerAddresses { peer, addresses });
        self
    }

    pub(crate) fn knowing_node(self, honest: &Honest) -> Self {
        self.knowing(honest.peer, honest.address)
    }

    /// Starts the node, and waits until it listens.
    pub(crate) async fn start(self) -> Honest {
        let dir = self.dir.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let peer = self.claims.peer;
        let config = NodeConfig {
            key: key(&self.claims.username),
            ticket: Ticket::issue(self.claims, &key("realm")),
            policy: self.policy,
            clock: RealmClock::restored(0, 0),
            database: dir.path().join("chat.db"),
            listen: vec![self.listen],
            candidates: self.knows,
            login_server: self.login_server,
            profile: None,
        };
        let node = Node::start(config).unwrap();
        let events = node.events();
        let mut honest = Honest { node, peer, address: LOOPBACK, events, heard: Vec::new(), dir };
        let listening = honest.sees("a listener", |status| !status.listen.is_empty()).await;
        honest.address = socket_address(&listening.listen[0].parse().unwrap());
        honest
    }
}

/// An honest node with default settings.
pub(crate) async fn honest(name: &str) -> Honest {
    Setup::of(name).start().await
}

pub(crate) fn socket_address(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        other => panic!("{other:?}"),
    }
}

/// A real node and its ears.
pub(crate) struct Honest {
    pub(crate) node: Node,
    pub(crate) peer: PeerKey,
    pub(crate) address: SocketAddr,
    events: broadcast::Receiver<NodeEvent>,
    /// Every message event so far, own ones included.
    pub(crate) heard: Vec<ChatMessage>,
    dir: TempDir,
}

impl Honest {
    /// Its database.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("chat.db")
    }

    /// Ends it, and leaves what it has stored.
    pub(crate) async fn leave(self) -> TempDir {
        self.node.quit().await;
        self.dir
    }

    pub(crate) fn status(&self) -> Status {
        Status::clone(&self.node.status().borrow())
    }

    /// Waits until the latest state is as wanted.
    pub(crate) async fn sees(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.node.status();
        let seen = within(SOON, what, status.wait_for(|status| wanted(status))).await;
        Status::clone(&seen.expect("the node runs"))
    }

    pub(crate) async fn linked_with(&self, other: PeerKey) {
        self.sees("a link", |status| is_neighbour(status, other)).await;
    }

    pub(crate) async fn unlinked_from(&self, other: PeerKey) {
        self.sees("the end of a link", |status| !is_neighbour(status, other)).await;
    }

    /// The next event that `pick` takes. Messages that pass by are noted in `heard`.
    pub(crate) async fn event<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&NodeEvent) -> Option<T>,
    ) -> T {
        let next = async {
            loop {
                let event = self.events.recv().await.expect("the node runs");
                if let NodeEvent::Message(message) = &event {
                    self.heard.push(ChatMessage::clone(message));
                }
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
        };
        within(SOON, what, next).await
    }

    /// Whether such an event comes within `window`.
    pub(crate) async fn event_until(
        &mut self,
        window: Duration,
        wanted: impl Fn(&NodeEvent) -> bool,
    ) -> bool {
        let wait = async {
            // A closed channel ends the loop: the node is gone.
            while let Ok(event) = self.events.recv().await {
                if wanted(&event) {
                    return true;
                }
            }
            true
        };
        tokio::time::timeout(window, wait).await.unwrap_or(false)
    }

    /// Waits for a text, unless it has been heard before.
    pub(crate) async fn hears(&mut self, text: &str) -> ChatMessage {
        if let Some(message) = self.heard.iter().find(|message| message.body.text == text) {
            return message.clone();
        }
        let what = format!("the message {text:?}");
        self.event(&what, |event| match event {
            NodeEvent::Message(message) if message.body.text == text => {
                Some(ChatMessage::clone(message))
            }
            _other => None,
        })
        .await
    }

    pub(crate) async fn says(&self, text: &str) {
        self.node.send(Draft::new(LOBBY, text)).await.unwrap();
    }

    /// Every text in the store, in order.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let history = self.node.history(LOBBY, Page::Newest, 500).await.unwrap();
        history.messages.iter().map(|message| message.body.text.clone()).collect()
    }

    /// The devices that came or went since the last look, without waiting.
    pub(crate) fn arrivals_and_losses(&mut self) -> Vec<(String, Reason)> {
        let mut changes = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            match event {
                NodeEvent::Presence(change) => changes.push((change.username, change.reason)),
                NodeEvent::Message(message) => self.heard.push(ChatMessage::clone(&message)),
                _other => {}
            }
        }
        changes
    }
}

fn is_neighbour(status: &Status, peer: PeerKey) -> bool {
    status.neighbours.iter().any(|neighbour| neighbour.peer == peer)
}

/// Two lines, one each way, and both arrive.
pub(crate) async fn they_chat(one: &mut Honest, other: &mut Honest, what: &str) {
    let (there, back) = (format!("{what}, there"), format!("{what}, back"));
    one.says(&there).await;
    other.hears(&there).await;
    other.says(&back).await;
    one.hears(&back).await;
}

//! The authority peer on the real mesh: a node with a key of its own and a ticket of role `authority`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_node::clock::Clock;
use lanyard_node::event::NodeEvent;
use lanyard_node::node::{Node, NodeConfig, StartError};
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::moderations::{self, ReceivedModeration};
use super::{Authority, AuthorityConfig};

/// The authority peer's own store: it holds policy and peers, and never a message.
const DATABASE: &str = "member.db";

/// See the module.
#[derive(Debug)]
pub struct MeshAuthority {
    node: Node,
    me: PeerAddresses,
    moderations: Mutex<Option<mpsc::Receiver<ReceivedModeration>>>,
}

impl MeshAuthority {
    /// Starts the node in the running runtime.
    ///
    /// # Errors
    /// [`StartError`] if its port or its store is not to be had.
    pub fn start(
        config: AuthorityConfig,
        data_dir: &Path,
    ) -> Result<Arc<dyn Authority>, StartError> {
        let me = PeerAddresses { peer: config.ticket.claims().peer, addresses: config.addresses };
        let database = data_dir.join(DATABASE);
        let kept =
            moderations::Kept { database: database.clone(), realm: config.policy.policy().realm };
        let node = Node::start(NodeConfig {
            key: SigningKey::from_bytes(&config.seed),
            ticket: config.ticket,
            policy: config.policy,
            // Realm time is what the login server says it is; a machine's clock that is set is not followed.
            clock: RealmClock::learnt(config.realm_now_ms, Clock::new().now(), 0),
            database,
            listen: vec![config.listen],
            candidates: Vec::new(),
            login_server: None,
            profile: None,
        })?;
        let (register, moderations) = moderations::channel();
        tokio::spawn(moderations::listen(node.events(), kept, register));
        Ok(Arc::new(Self { node, me, moderations: Mutex::new(Some(moderations)) }))
    }

    /// A wish that the node's loop takes when it comes to it. A node that has ended wants nothing more.
    fn wish(&self, wish: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(wish);
    }
}

impl Authority for MeshAuthority {
    fn addresses(&self) -> PeerAddresses {
        self.me.clone()
    }

    fn peers(&self, max: usize) -> Vec<PeerAddresses> {
        let status = Arc::clone(&self.node.status().borrow());
        let known = status.addresses.iter().filter(|(_peer, addresses)| !addresses.is_empty());
        known
            .map(|(peer, addresses)| PeerAddresses { peer: *peer, addresses: addresses.clone() })
            .take(max)
            .collect()
    }

    fn online(&self) -> Vec<PeerKey> {
        self.node.status().borrow().addresses.keys().copied().collect()
    }

    fn publish_policy(&self, policy: &SignedPolicy, head: Vec<u8>) {
        let (node, policy) = (self.node.clone(), policy.clone());
        self.wish(async move {
            node.publish_policy(policy, head).await.ok();
        });
    }

    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        let mut waiting = self.moderations.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take().unwrap_or_else(|| moderations::channel().1)
    }

    fn renew(&self, ticket: Ticket) {
        let node = self.node.clone();
        self.wish(async move {
            node.renew(ticket).await.ok();
        });
    }

    fn set_realm_time(&self, realm_ms: u64) {
        let node = self.node.clone();
        self.wish(async move {
            node.set_realm_time(realm_ms).await.ok();
        });
    }

    fn ended(&self) -> BoxFuture<'_, String> {
        let mut events = self.node.events();
        async move {
            let told = async {
                loop {
                    match events.recv().await {
                        Ok(NodeEvent::Ended(Some(why))) => return why.reason,
                        Ok(_) | Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                biased;
                why = told => why,
                () = self.node.ended() => "it has stopped.".to_owned(),
            }
        }
        .boxed()
    }

    fn quit(&self) -> BoxFuture<'_, ()> {
        self.node.quit().boxed()
    }
}

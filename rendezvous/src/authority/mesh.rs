//! The authority peer in the real mesh: a node with its own key and a ticket of role `authority`.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_node::clock::Clock;
use lanyard_node::{Node, NodeConfig, NodeEvent, StartError};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::moderations::{self, Kept};
use super::{Authority, AuthorityConfig};
use crate::policy::moderations::ReceivedModeration;

/// The node's own store: it holds policy, peers and moderations, and never a message.
const DATABASE: &str = "member.db";

/// A running node, with the key and the addresses that peers know it by.
#[derive(Debug)]
pub struct MeshAuthority {
    node: Node,
    me: PeerAddresses,
    kept: Kept,
}

impl MeshAuthority {
    /// Starts the node in the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if its port or its store cannot be used.
    pub fn start(config: AuthorityConfig) -> Result<Arc<dyn Authority>, StartError> {
        let me = PeerAddresses { peer: config.ticket.claims().peer, addresses: config.addresses };
        let database = config.data_dir.join(DATABASE);
        let kept = Kept { database: database.clone(), realm: config.policy.policy().realm };
        let node = Node::start(NodeConfig {
            key: SigningKey::from_bytes(&config.seed),
            ticket: config.ticket,
            policy: config.policy,
            // The login node defines realm time, so it does not follow later changes of the machine's clock.
            clock: RealmClock::learnt(config.realm_now_ms, Clock::new().now(), 0),
            database,
            listen: vec![config.listen],
            candidates: Vec::new(),
            login_server: None,
            profile: None,
        })?;
        Ok(Arc::new(Self { node, me, kept }))
    }
}

impl Authority for MeshAuthority {
    fn addresses(&self) -> PeerAddresses {
        self.me.clone()
    }

    fn online(&self) -> Vec<PeerAddresses> {
        let status = Arc::clone(&self.node.status().borrow());
        let online = status.addresses.iter();
        online
            .map(|(peer, addresses)| PeerAddresses { peer: *peer, addresses: addresses.clone() })
            .collect()
    }

    fn publish_policy(&self, policy: &SignedPolicy, head: Vec<u8>) {
        let (node, policy) = (self.node.clone(), policy.clone());
        // If the node has ended, the policy is no longer needed; nor are the ticket and the time below.
        tokio::spawn(async move { node.publish_policy(policy, head).await.ok() });
    }

    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        let (register, moderations) = moderations::channel();
        tokio::spawn(moderations::listen(self.node.events(), self.kept.clone(), register));
        moderations
    }

    fn renew(&self, ticket: Ticket) {
        let node = self.node.clone();
        tokio::spawn(async move { node.renew(ticket).await.ok() });
    }

    fn set_realm_time(&self, realm_ms: u64) {
        let node = self.node.clone();
        tokio::spawn(async move { node.set_realm_time(realm_ms).await.ok() });
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

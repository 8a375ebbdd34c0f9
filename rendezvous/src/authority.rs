//! The seam to the mesh: what the login node needs of its *authority peer*, the ordinary node with role `authority`.
//!
//! `serve` starts one with a [`AuthorityConfig`] and from then on only calls [`Member`]. The stand-in knows nobody
//! and publishes nothing, so that logging in works without a mesh.

mod mesh;
pub mod moderations;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;

use lanyard_node::keyfile::Seed;
use tokio::sync::mpsc;

pub use mesh::MeshAuthority;
use moderations::ReceivedModeration;

/// What a member starts with.
pub struct AuthorityConfig {
    /// The seed of its own key, `authority.key`.
    pub seed: Seed,
    /// Its ticket of role `authority`.
    pub ticket: Ticket,
    /// The policy in force.
    pub policy: SignedPolicy,
    /// The signed head of that policy, for `control`.
    pub policy_head: Vec<u8>,
    /// Where to listen; the port was free a moment ago.
    pub listen: SocketAddr,
    /// The addresses to tell others, as multiaddrs without `/p2p/`.
    pub addresses: Vec<String>,
    /// Realm time now: the larger of this machine's clock and all that was ever signed.
    pub realm_now_ms: u64,
    /// Whether to relay circuits.
    pub relay: bool,
}

impl fmt::Debug for AuthorityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// A running member. No call blocks: each leaves its wish with the node's own loop.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Its key and where it listens, for the login reply.
    fn addresses(&self) -> PeerAddresses;
    /// Peers that are online with their addresses, at most `max`, for the login reply.
    fn peers(&self, max: usize) -> Vec<PeerAddresses>;
    /// The keys that are online now, for the register of sessions.
    fn online(&self) -> Vec<PeerKey>;
    /// Tells the realm of a new policy: serve the document, gossip the head.
    fn publish_policy(&self, policy: &SignedPolicy, head: Vec<u8>);
    /// The moderations of moderators that it hears, for whoever asks first; later callers hear nothing.
    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration>;
    /// Takes a fresh ticket in the place of the one that is running out.
    fn renew(&self, ticket: Ticket);
    /// Tells it what time it is. Its own look at the machine's clock is not enough: that one may be set.
    fn set_realm_time(&self, realm_ms: u64);
    /// Waits until it has left the mesh without being asked to; why, as a sentence.
    fn ended(&self) -> BoxFuture<'_, String>;
    /// Says goodbye to the mesh.
    fn quit(&self) -> BoxFuture<'_, ()>;
}

/// A member without a mesh.
#[derive(Debug)]
pub struct StandIn {
    me: PeerAddresses,
}

impl StandIn {
    /// Only remembers who it would be.
    #[must_use]
    pub fn start(config: AuthorityConfig) -> Arc<dyn Authority> {
        let AuthorityConfig { ticket, addresses, .. } = config;
        Arc::new(Self { me: PeerAddresses { peer: ticket.claims().peer, addresses } })
    }
}

impl StandIn {
    /// Is where a member will be.
    #[must_use]
    pub fn of(me: PeerAddresses) -> Arc<dyn Authority> {
        Arc::new(Self { me })
    }
}

impl Authority for StandIn {
    fn addresses(&self) -> PeerAddresses {
        self.me.clone()
    }

    fn peers(&self, _max: usize) -> Vec<PeerAddresses> {
        Vec::new()
    }

    fn online(&self) -> Vec<PeerKey> {
        Vec::new()
    }

    fn publish_policy(&self, policy: &SignedPolicy, _head: Vec<u8>) {
        tracing::debug!(number = policy.policy().number, "There is no mesh to publish to");
    }

    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        moderations::channel().1
    }

    fn renew(&self, _ticket: Ticket) {}

    fn set_realm_time(&self, _realm_ms: u64) {}
    fn ended(&self) -> BoxFuture<'_, String> {
        std::future::pending().boxed()
    }

    fn quit(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

//! The authority peer: the login node's own node in the mesh, whose ticket has the role `authority`.
//!
//! The rest of the program knows it only as an [`Authority`], so tests can replace it with a double. `serve` starts one
//! with an [`AuthorityConfig`]. Until there is a mesh, the login server uses a [`StandIn`].

mod mesh;
pub mod moderations;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_node::keyfile::Seed;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use tokio::sync::mpsc;

use crate::policy::moderations::ReceivedModeration;
pub use mesh::MeshAuthority;

/// The configuration of an authority peer.
pub struct AuthorityConfig {
    /// The data folder, where it keeps its own database.
    pub data_dir: PathBuf,
    /// The seed of its own key.
    pub seed: Seed,
    /// Its ticket of role `authority`.
    pub ticket: Ticket,
    /// The policy in force.
    pub policy: SignedPolicy,
    /// The signed head of that policy, for the topic `control`.
    pub policy_head: Vec<u8>,
    /// The address to listen on; its port was free a moment ago.
    pub listen: SocketAddr,
    /// The addresses to announce, as multiaddrs without `/p2p/`.
    pub addresses: Vec<String>,
    /// Realm time now: this machine's clock, or the largest time ever signed if that is later.
    pub realm_now_ms: u64,
}

impl fmt::Debug for AuthorityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// A running authority peer. No call blocks: each only queues a request for the node's loop. The default methods are
/// for a peer without a mesh.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Its key and the addresses it listens on, for the reply to a login.
    fn addresses(&self) -> PeerAddresses;

    /// The peers that are online now; those without known addresses have an empty list.
    fn online(&self) -> Vec<PeerAddresses> {
        Vec::new()
    }

    /// Announces a new policy: the node serves the document and gossips the head.
    fn publish_policy(&self, _policy: &SignedPolicy, _head: Vec<u8>) {}

    /// The moderations to register: those it has stored, then those it receives. Each caller gets all of them.
    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        moderations::channel().1
    }

    /// Replaces its ticket with a fresh one.
    fn renew(&self, _ticket: Ticket) {}

    /// Tells it the time. It does not follow the machine's clock itself, because somebody may have changed that.
    fn set_realm_time(&self, _realm_ms: u64) {}

    /// Waits until it leaves the mesh unasked, and returns the reason as a sentence.
    fn ended(&self) -> BoxFuture<'_, String> {
        std::future::pending().boxed()
    }

    /// Says goodbye to the mesh.
    fn quit(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// An authority peer without a mesh, which only knows where the real one will listen.
#[derive(Debug)]
pub struct StandIn(pub PeerAddresses);

impl Authority for StandIn {
    fn addresses(&self) -> PeerAddresses {
        self.0.clone()
    }
}

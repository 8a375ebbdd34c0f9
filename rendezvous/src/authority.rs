//! The authority peer: the login node's own node in the mesh, whose ticket has the role `authority`.
//!
//! [`Authority`] is all that the rest of the program knows of it, so tests can put a double in its place. `serve`
//! starts one with an [`AuthorityConfig`]. While there is no mesh yet, a [`StandIn`] takes its place in the login
//! server.

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

/// What an authority peer starts with.
pub struct AuthorityConfig {
    /// The data folder, in which it keeps a database of its own.
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
    /// Realm time now: the larger of this machine's clock and the largest time ever signed.
    pub realm_now_ms: u64,
}

impl fmt::Debug for AuthorityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// A running authority peer. No call blocks: each leaves its request with the node's own loop. What a method does by
/// default is right where there is no mesh.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Its key and the addresses it listens on, for the reply to a login.
    fn addresses(&self) -> PeerAddresses;

    /// The peers that are online now; those without known addresses have an empty list.
    fn online(&self) -> Vec<PeerAddresses> {
        Vec::new()
    }

    /// Announces a new policy: the node serves the document and gossips the head.
    fn publish_policy(&self, _policy: &SignedPolicy, _head: Vec<u8>) {}

    /// The moderations that it has kept or hears from now on, to be registered. Each caller gets all of them.
    fn moderations(&self) -> mpsc::Receiver<ReceivedModeration> {
        moderations::channel().1
    }

    /// Replaces its ticket by a fresh one.
    fn renew(&self, _ticket: Ticket) {}

    /// Tells it the time. It does not follow the machine's clock by itself, because that may have been set.
    fn set_realm_time(&self, _realm_ms: u64) {}

    /// Waits until it has left the mesh without being asked to, and returns the reason as a sentence.
    fn ended(&self) -> BoxFuture<'_, String> {
        std::future::pending().boxed()
    }

    /// Says goodbye to the mesh.
    fn quit(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// An authority peer without a mesh, which only knows where one will listen.
#[derive(Debug)]
pub struct StandIn(pub PeerAddresses);

impl Authority for StandIn {
    fn addresses(&self) -> PeerAddresses {
        self.0.clone()
    }
}

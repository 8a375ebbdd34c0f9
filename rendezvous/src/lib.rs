//! Lanyard's login node. Not the libp2p *rendezvous protocol*, which is peer discovery by namespace.
//!
//! It verifies a user once and issues a signed ticket; the chat itself travels from peer to peer and never passes
//! through here. One process has two parts: the *login server*, which logs people in, and the *authority peer*, an
//! ordinary node of the mesh that publishes the realm's policy and that every peer dials first.
//!
//! | topic | module |
//! |---|---|
//! | what runs while `serve` runs, and how its parts start and stop | [`serve`] |
//! | logging in: the swarm, the decision, passwords, throttling, tickets | [`server`] |
//! | accounts and their devices | [`accounts`] |
//! | rules, rooms, sanctions, moderations, and the policy signed from them | [`policy`] |
//! | the login node's own peer in the mesh | [`authority`] |
//! | the command line, backups | [`operator`] |
//! | what every change of the realm has in common | [`acts`] |
//! | whether the clock may be trusted | [`clock`] |
//! | keys, configuration and lock of the data folder | [`folder`] |
//! | the database | [`store`] |
//!
//! The command line writes rows into the database; only `serve` signs.

pub mod accounts;
pub mod acts;
pub mod authority;
pub mod clock;
pub mod folder;
pub mod operator;
pub mod policy;
pub mod serve;
pub mod server;
pub mod store;

pub use lanyard_node::names;

/// An error and its causes on one line, for the log.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

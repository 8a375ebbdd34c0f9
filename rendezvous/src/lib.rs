//! Not the libp2p *rendezvous protocol* (peer discovery by namespace): this is Lanyard's login node.
//!
//! It checks who somebody is, once, and hands out a signed ticket; the chat itself goes from peer to peer.
//! Two parts live in one process: the *login server* logs people in, the *authority peer* is an ordinary node of the mesh
//! that publishes the realm's policy and is everybody's first contact. Neither reads a chat message.

pub mod accounts;
pub mod acts;
pub mod authority;
pub mod backup;
pub mod clock;
pub mod config;
pub mod devices;
pub mod folder;
pub mod issuer;
pub mod login;
pub mod login_server;
pub mod moderations;
pub mod password;
pub mod policy;
pub mod ports;
pub mod rooms;
pub mod rules;
pub mod sanctions;
pub mod serve;
pub mod store;
pub mod throttle;
pub mod timekeeping;

pub use lanyard_node::names;

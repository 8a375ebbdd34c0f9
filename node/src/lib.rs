//! The Lanyard peer.
pub mod clock;
pub mod event;
mod host;
pub mod join;
pub mod keyfile;
pub mod login;
pub mod login_node;
pub mod names;
pub mod net;
pub mod node;
pub mod private;
pub mod profile;
pub mod store;

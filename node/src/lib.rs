//! The Lanyard peer.
pub mod bench;
pub mod chat;
pub mod clock;
pub mod desk;
pub mod event;
pub mod join;
pub mod keyfile;
pub mod local_time;
pub mod logging;
pub mod login;
pub mod names;
pub mod net;
pub mod node;
pub mod profile;
pub mod prompt;
pub mod stop;
pub mod store;
mod terminal;

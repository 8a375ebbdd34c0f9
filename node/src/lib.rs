//! The Lanyard peer.
pub mod clock;
pub mod event;
pub mod join;
pub mod node;
pub mod profile;
pub mod store;

//! The Lanyard peer.
pub mod event;
pub mod join;
pub mod node;

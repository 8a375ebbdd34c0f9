//! The shell around the engine: libp2p in, libp2p out, and no rule of its own.

pub(crate) mod behaviour;
pub(crate) mod event_loop;
pub(crate) mod gate;
pub(crate) mod status;
pub(crate) mod translate;

pub mod codec;
pub mod ports;
pub mod transport;

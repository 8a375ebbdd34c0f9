//! The rules of a Lanyard mesh, without any I/O.

pub mod ids;
pub mod limits;
pub mod time;

pub mod cose;
pub mod wire;

pub mod admission;
pub mod dialing;
pub mod engine;
pub mod hello;
pub mod law;
pub mod link;
pub mod login;
pub mod message;
pub mod order;
pub mod policy;
pub mod presence;
pub mod roster;
pub mod sync;
pub mod text;
pub mod ticket;
pub mod words;

#[cfg(any(test, feature = "test-utils"))]
pub mod sim;
#[cfg(any(test, feature = "test-utils"))]
pub mod testing;

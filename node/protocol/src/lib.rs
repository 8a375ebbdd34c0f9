//! The rules of a Lanyard mesh, without any I/O.

mod delivery;
mod effects;
mod encoding;
mod identity;
mod io;
mod objects;
mod peers;
mod policy_sync;

pub mod engine;
pub mod history;
pub mod reconcile;
pub mod time;
pub mod verdict;

pub use encoding::{cose, ids, limits, text, wire, words};
pub use objects::{body, hello, link, login, message, moderation, policy, presence, ticket};
pub use peers::{address_book, admission, roster};
pub(crate) use peers::{degree, links, own_presence};

#[cfg(any(test, feature = "test-utils"))]
pub mod sim;
#[cfg(any(test, feature = "test-utils"))]
pub mod testing;

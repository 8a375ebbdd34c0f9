//! Signing in and staying signed in: everything that a device asks the login node.
//!
//! [`join()`] opens the profile, gets a ticket, and starts the node; `renewal.rs` gets the next ticket in time. Both
//! use `client.rs`, which tries the addresses in `places.rs` one after the other, each with an `exchange.rs`.

pub(crate) mod client;
mod exchange;
pub(crate) mod granted;
mod join;
pub(crate) mod places;
pub(crate) mod refusals;
pub(crate) mod renewal;

pub use client::{LoginServerError, Password};
pub use exchange::{LoginError, ask};
pub use join::{JoinRequest, JoinStep, Joined, has_ticket, join};

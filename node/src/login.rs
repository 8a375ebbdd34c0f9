//! Getting in and staying in: what a device asks of the login node.
//!
//! [`join()`] opens the profile, asks for a ticket, and starts the node; `renewal.rs` asks for the next ticket in time.
//! Both ask through `client.rs`, which tries the addresses that `places.rs` knows, one `exchange.rs` after the other.

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

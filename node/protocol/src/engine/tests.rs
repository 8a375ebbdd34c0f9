//! Tests of the engine through its four methods, one behaviour each.
//!
//! Nothing here has a socket or a clock: a [`harness::Peer`] is one engine and the time that the test gives it, and the
//! test itself carries outputs from one peer to the other.

mod abuse;
mod delivering;
mod gossiping;
mod harness;
mod linking;
mod membership;
mod moderating;
mod policing;
mod presence;
mod repairing;
mod sending;
mod silencing;
mod thinning;
mod timing;
mod trace;

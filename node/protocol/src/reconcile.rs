//! What peers ask each other on `/lanyard/sync/1`: policies, and the reconciliation of their sets
//! (PROTOCOL.md R-96, R-97, R-100 to R-109).
//!
//! ```text
//!   initiator                                                     responder
//!   Round ──── Reconcile: a fingerprint for each window ────────▶ answer_windows
//!         ◀─── a frame for each: "the same", or where it differs ─
//!         ──── Reconcile: the next frame of the newest that differs ▶
//!         ──── Get: the ids that it lacks ──────────────────────▶ BatchBuilder
//!         ◀─── Batch: the messages, each ticket once ─────────────
//! ```
//!
//! The initiator pulls and holds the state, the responder holds none. Nothing in here verifies a message: what a
//! batch brings is judged as if it came from a stranger, and an id is only a promise.
//!
//! ```text
//!   wire.rs    requests and replies            windows.rs  which spans of time a round compares
//!   items.rs   a set of ids, and its frames    round.rs    the initiator's state machine
//!   answer.rs  frames of a responder           ranges.rs   numbers of a session: held, and holes
//!   batch.rs   messages with their tickets     budget.rs   token buckets
//! ```

mod answer;
mod batch;
mod bounded;
mod budget;
mod items;
mod ranges;
pub(crate) mod reconciler;
mod round;
mod windows;
mod wire;

pub use answer::{answer_windows, frames_to_bytes, parse_frames};
pub use batch::{Batch, BatchBuilder};
pub use budget::TokenBucket;
pub use items::{ItemSet, Step, SyncError};
pub use ranges::{SeqRanges, numbers};
pub use round::{Ask, AskTag, Outcome, Round, Source};
pub use windows::{OPEN_END, Span, spans};
pub use wire::{
    SYNC_PROTOCOL, SetName, SyncReply, SyncRequest, Window, parse_policy_number,
    policy_number_reply,
};

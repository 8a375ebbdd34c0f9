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
//! The initiator pulls and keeps the state; the responder keeps none. Nothing here verifies a message: what a batch
//! brings is judged as if a stranger had sent it, and an id is only a promise.
//!
//! ```text
//!   wire.rs     requests and replies            windows.rs     which spans of time a round compares
//!   items.rs    a set of ids, and its frames    round.rs       the initiator's state machine
//!   answer.rs   the responder's frames          reconciler.rs  when rounds run, and what is served
//!   batch.rs    messages with their tickets     ranges.rs      which numbers of a session are held
//!   bounded.rs  lists with a maximum length     budget.rs      token buckets
//! ```

mod answer;
mod batch;
mod bounded;
mod budget;
mod items;
mod ranges;
pub(crate) mod reconciler;
pub(crate) mod round;
mod windows;
mod wire;

pub use answer::{answer_windows, frames_to_bytes, parse_frames};
pub use batch::{Batch, BatchBuilder};
pub use budget::TokenBucket;
pub use items::{ItemSet, Step, SyncError};
pub use ranges::{SeqRanges, numbers};
pub use round::{Ask, AskTag, Outcome, Round, Source};
pub use windows::{OPEN_END, SETTLE_MS, Span, spans};
pub use wire::{
    SYNC_PROTOCOL, SetName, SyncReply, SyncRequest, Window, parse_policy_number,
    policy_number_reply,
};

//! Sending and receiving messages.
//!
//! ```text
//!   composing.rs  checks before signing                 inbox.rs     opens what arrives
//!   outbox.rs     own messages until a peer has them    receipts.rs  which peer holds what
//! ```

pub(crate) mod composing;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod receipts;

//! Messages on their way.
//!
//! ```text
//!   composing.rs  what every peer would ask, asked first    inbox.rs     what arrives, opened
//!   outbox.rs     own messages until somebody has them      receipts.rs  who holds what
//! ```

pub(crate) mod composing;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod receipts;

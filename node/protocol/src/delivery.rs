//! Messages on their way: what is said before a message is signed, what waits to leave, what arrives, and who has it.

pub(crate) mod composing;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod receipts;

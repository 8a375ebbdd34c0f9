//! The commands, one module per family. Each works through the realm's own modules and prints the answer.

pub(super) mod backup;
pub(super) mod clock;
pub(super) mod device;
pub(super) mod moderation;
mod password;
pub(super) mod policy;
pub(super) mod room;
pub(super) mod sanction;
pub(super) mod serve;
pub(super) mod show;
pub(super) mod user;

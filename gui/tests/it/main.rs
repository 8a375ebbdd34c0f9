//! The window without a display: driven by accessibility labels, over a scripted node.

#![expect(clippy::unwrap_used, reason = "clippy sees only the test functions as tests")]
#![expect(clippy::indexing_slicing, reason = "clippy sees only the test functions as tests")]

mod architecture;
mod chat;
mod hostile;
mod keyboard;
mod login;
mod stage;
mod timeline;

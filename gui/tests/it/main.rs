//! The window without a display: driven by accessibility labels, over a scripted node.

mod architecture;
mod chat;
mod hostile;
mod keyboard;
mod login;
mod stage;
mod timeline;

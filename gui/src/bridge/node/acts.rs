//! What the window asks of a node about rules and accounts, and what the node says of them.
//!
//! Each function is one call of the node's handle or one translation of its words, and nothing more.

use std::future::ready;
use std::sync::Arc;

use lanyard_node::event::{ChatMessage, NodeEvent, Status};
use lanyard_node::node::Node;
use lanyard_protocol::ids::MessageId;

use crate::bridge::BackendEvent;
use crate::bridge::acts::{Device, Moderation, PasswordChange, Standing};

/// What this node cannot do, in words for the user.
const NOT_AVAILABLE: &str = "This is not available yet.";

/// Signs and publishes a moderator's order.
pub(super) fn moderate(
    _node: &Node,
    _order: &Moderation,
) -> impl Future<Output = Result<(), String>> {
    ready(Err(NOT_AVAILABLE.to_owned()))
}

/// Changes the password at the login node.
pub(super) fn change_password(
    _node: &Node,
    _change: &PasswordChange,
) -> impl Future<Output = Result<(), String>> {
    ready(Err(NOT_AVAILABLE.to_owned()))
}

/// The devices of the own account.
pub(super) fn devices(_node: &Node) -> impl Future<Output = Result<Vec<Device>, String>> {
    ready(Err(NOT_AVAILABLE.to_owned()))
}

/// Ends the pass of one of them.
pub(super) fn log_out_device(
    _node: &Node,
    _number: u64,
) -> impl Future<Output = Result<(), String>> {
    ready(Err(NOT_AVAILABLE.to_owned()))
}

/// Lets the others know whether anybody sits at the computer.
pub(super) fn set_away(_node: &Node, _away: bool) -> impl Future<Output = ()> {
    ready(())
}

/// What a status says of people's standing.
pub(super) fn standing(_status: &Status) -> Standing {
    Standing::default()
}

/// An event in the window's words.
pub(super) fn translate(event: NodeEvent) -> BackendEvent {
    BackendEvent::Node(event)
}

/// Which of these came after the ban of their author had become known.
pub(super) fn folded(_messages: &[Arc<ChatMessage>]) -> Vec<MessageId> {
    Vec::new()
}

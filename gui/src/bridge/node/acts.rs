//! What the window asks of a node about rules and accounts, and what the node says of them.
//!
//! Each function is one call of the node's handle or one translation of its words, and nothing more.

use lanyard_node::desk::DeskError;
use lanyard_node::event::NodeEvent;
use lanyard_node::node::Node;
use lanyard_protocol::law::Sanctioned;
use lanyard_protocol::order::{OrderKind, SignedOrder};
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::presence::{AWAY, HERE};

use crate::bridge::BackendEvent;
use crate::bridge::acts::{By, DeviceInfo, Moderation, PasswordChange, Sanction};

/// Signs and publishes a moderator's order.
pub(super) async fn moderate(node: &Node, order: Moderation) -> Result<(), String> {
    let Moderation { kind, account, for_ms, reason } = order;
    let given = node.moderate(kind, account, for_ms, &reason).await;
    given.map(|_id| ()).map_err(|error| sentence(&error.to_string()))
}

/// Changes the password at the login node.
pub(super) async fn change_password(node: &Node, change: PasswordChange) -> Result<(), String> {
    let PasswordChange { old, new, cut_others } = change;
    node.change_password(old, new, cut_others).await.map_err(|error| desk_sentence(&error))
}

/// The devices of the own account.
pub(super) async fn devices(node: &Node) -> Result<Vec<DeviceInfo>, String> {
    node.devices().await.map_err(|error| desk_sentence(&error))
}

/// Ends the pass of one of them; the devices after that.
pub(super) async fn log_out_device(node: &Node, number: u64) -> Result<Vec<DeviceInfo>, String> {
    node.logout_device(number).await.map_err(|error| desk_sentence(&error))
}

/// Lets the others know whether anybody sits at the computer.
pub(super) async fn set_away(node: &Node, away: bool) {
    if let Err(error) = node.set_status(if away { AWAY } else { HERE }).await {
        tracing::debug!(%error, "Could not say whether anybody is here");
    }
}

/// An event in the window's words.
pub(super) fn translate(event: NodeEvent) -> BackendEvent {
    match event {
        NodeEvent::Order(order) => BackendEvent::Sanction(ordered(&order)),
        NodeEvent::Sanctioned(news) => BackendEvent::Sanction(sanctioned(&news)),
        event => BackendEvent::Node(event),
    }
}

fn ordered(signed: &SignedOrder) -> Sanction {
    let order = signed.order();
    Sanction {
        kind: order.kind,
        account: order.sub,
        until: (order.kind != OrderKind::Lift).then_some(order.until),
        reason: order.reason.clone(),
        by: By::Moderator(signed.ticket().claims().username.clone()),
        at: order.from,
    }
}

fn sanctioned(news: &Sanctioned) -> Sanction {
    Sanction {
        kind: match (news.lifted, news.kind) {
            (true, _) => OrderKind::Lift,
            (false, SanctionKind::Mute) => OrderKind::Mute,
            (false, SanctionKind::Ban | SanctionKind::Cut) => OrderKind::Ban,
        },
        account: news.account,
        until: news.until.filter(|_until| !news.lifted),
        reason: news.reason.clone(),
        by: By::Operator,
        at: news.at,
    }
}

fn desk_sentence(error: &DeskError) -> String {
    match error {
        DeskError::Refused(refusal) => refusal.reason.clone(),
        other => sentence(&other.to_string()),
    }
}

/// The words of an error as a sentence.
fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).chain(['.']).collect()
}

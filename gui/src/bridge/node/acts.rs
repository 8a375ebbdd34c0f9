//! What the window asks of a node about rules and accounts, and what the node says of them.
//!
//! Each function is one call of the node's handle or one translation of its words, and nothing more.

use lanyard_node::event::NodeEvent;
use lanyard_node::login_node::LoginServerError;
use lanyard_node::node::Node;
use lanyard_protocol::engine::NewModeration;
use lanyard_protocol::history::Sanctioned;
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::presence::{AWAY, HERE};

use crate::bridge::BackendEvent;
use crate::bridge::acts::{By, DeviceInfo, Moderation, PasswordChange, Sanction};

/// Signs and publishes a moderator's moderation.
pub(super) async fn moderate(node: &Node, moderation: Moderation) -> Result<(), String> {
    let Moderation { kind, account, for_ms, reason } = moderation;
    let given = node.moderate(NewModeration { kind, account, for_ms, reason }).await;
    given.map(|_id| ()).map_err(|error| sentence(&error.to_string()))
}

/// Changes the password at the login node.
pub(super) async fn change_password(node: &Node, change: PasswordChange) -> Result<(), String> {
    let PasswordChange { old, new, revoke_others } = change;
    node.change_password(old, new, revoke_others).await.map_err(|error| login_sentence(&error))
}

/// The devices of the own account.
pub(super) async fn devices(node: &Node) -> Result<Vec<DeviceInfo>, String> {
    node.devices().await.map_err(|error| login_sentence(&error))
}

/// Ends the ticket of one of them; the devices after that.
pub(super) async fn log_out_device(node: &Node, number: u64) -> Result<Vec<DeviceInfo>, String> {
    node.logout_device(number).await.map_err(|error| login_sentence(&error))
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
        NodeEvent::Moderation(moderation) => BackendEvent::Sanction(ordered(&moderation)),
        NodeEvent::Sanctioned(news) => BackendEvent::Sanction(sanctioned(&news)),
        event => BackendEvent::Node(event),
    }
}

fn ordered(signed: &SignedModeration) -> Sanction {
    let moderation = signed.content();
    Sanction {
        kind: moderation.kind,
        account: moderation.sub,
        until: (moderation.kind != ModerationKind::Lift).then_some(moderation.until),
        reason: moderation.reason.clone(),
        by: By::Moderator(signed.ticket().claims().username.clone()),
        at: moderation.from,
    }
}

fn sanctioned(news: &Sanctioned) -> Sanction {
    Sanction {
        kind: match (news.lifted, news.kind) {
            (true, _) => ModerationKind::Lift,
            (false, SanctionKind::Mute) => ModerationKind::Mute,
            (false, SanctionKind::Ban | SanctionKind::Revocation) => ModerationKind::Ban,
        },
        account: news.account,
        until: news.until.filter(|_until| !news.lifted),
        reason: news.reason.clone(),
        by: By::Operator,
        at: news.at,
    }
}

fn login_sentence(error: &LoginServerError) -> String {
    match error {
        LoginServerError::Refused(refusal) => refusal.reason.clone(),
        other => sentence(&other.to_string()),
    }
}

/// The words of an error as a sentence.
fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).chain(['.']).collect()
}

//! The node's events and errors in the window's words.

use lanyard_node::{LoginServerError, NodeEvent};
use lanyard_protocol::history::Sanctioned;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::policy::SanctionKind;

use crate::bridge::{BackendEvent, ModerationKind, Restriction};

pub(super) fn event(event: NodeEvent) -> BackendEvent {
    match event {
        NodeEvent::Moderation(signed) => BackendEvent::Restriction(by_moderator(&signed)),
        NodeEvent::Sanctioned(news) => BackendEvent::Restriction(by_operator(&news)),
        event => BackendEvent::Node(event),
    }
}

fn by_moderator(signed: &SignedModeration) -> Restriction {
    let moderation = signed.content();
    Restriction {
        kind: moderation.kind,
        account: moderation.sub,
        until: (moderation.kind != ModerationKind::Lift).then_some(moderation.until),
        reason: moderation.reason.clone(),
        moderator: Some(signed.ticket().claims().username.clone()),
        at: moderation.from,
    }
}

fn by_operator(news: &Sanctioned) -> Restriction {
    Restriction {
        kind: match (news.lifted, news.kind) {
            (true, _) => ModerationKind::Lift,
            (false, SanctionKind::Mute) => ModerationKind::Mute,
            (false, SanctionKind::Ban | SanctionKind::Revocation) => ModerationKind::Ban,
        },
        account: news.account,
        until: news.until.filter(|_until| !news.lifted),
        reason: news.reason.clone(),
        moderator: None,
        at: news.at,
    }
}

pub(super) fn login_error(error: &LoginServerError) -> String {
    match error {
        LoginServerError::Refused(refusal) => refusal.reason.clone(),
        other => sentence(other),
    }
}

/// An error as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(error: &impl std::error::Error) -> String {
    let words = error.to_string();
    let mut rest = words.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).chain(['.']).collect()
}

//! An engine's outputs as lines that renaming a type does not change: a kind, and the bytes.

use crate::engine::{EndReason, Event, Output, Progress};
use crate::ids::{MessageId, PeerKey};
use crate::login::PeerAddresses;
use crate::message::Arrival;
use crate::policy::SanctionKind;
use crate::roster::{Change, Reason};
use crate::verdict::Acceptance;

/// The line of an output. The gate's view, and outputs that only tell the driver to look again, have none.
pub(super) fn line(output: &Output) -> Option<String> {
    let line = match output {
        Output::Store { message, arrival, folded } => {
            let how = match arrival {
                Arrival::Gossip => "gossip",
                Arrival::Sync => "sync",
            };
            format!("store {how} {folded} {}", hex::encode(message.as_bytes()))
        }
        Output::Resettle(changed) => format!(
            "resettle -{} +{} x{}",
            ids(&changed.condemned),
            ids(&changed.restored),
            ids(&changed.displaced)
        ),
        Output::Forget { before } => format!("forget {before}"),
        Output::StoreModeration(moderation) => {
            format!("moderation {}", hex::encode(moderation.as_bytes()))
        }
        Output::Load { request, ids: wanted, bytes_max } => {
            format!("load {} {bytes_max} {}", request.0, ids(wanted))
        }
        Output::StoreOwn { request, message } => {
            format!("own {request} {}", hex::encode(message.as_bytes()))
        }
        Output::Publish { topic, bytes, message } => {
            let id = message.as_ref().map(MessageId::to_string).unwrap_or_default();
            format!("publish {} {id} {}", *topic as u8, hex::encode(bytes))
        }
        Output::StorePolicy(policy) => format!("policy {}", hex::encode(policy.as_bytes())),
        Output::StorePeer(peer) => format!("peer {}", addresses(peer)),
        Output::Dial(peer) => format!("dial {}", addresses(peer)),
        Output::Close(link) => format!("close {}", link.0),
        Output::Ask { peer, ask, bytes } => {
            format!("ask {} {peer} {}", ask.0, hex::encode(bytes))
        }
        Output::Answer { request, bytes } => {
            format!("answer {} {}", request.0, hex::encode(bytes))
        }
        Output::Event(event) => event_line(event),
        Output::View(_) => return None,
    };
    Some(line)
}

fn event_line(event: &Event) -> String {
    match event {
        Event::Sent { request, result } => {
            let id = result.as_ref().map(|sent| sent.id.to_string()).unwrap_or_default();
            format!("sent {request} {id}")
        }
        Event::State { id, state } => match state {
            Progress::Waiting => format!("state {id} waiting"),
            Progress::Sent => format!("state {id} sent"),
            Progress::Stored { by, of } => format!("state {id} stored {by} {of}"),
        },
        Event::Moderated { request, result } => {
            let id = result.as_ref().map(MessageId::to_string).unwrap_or_default();
            format!("moderated {request} {id}")
        }
        Event::Sanctioned(it) => {
            let kind = match it.kind {
                SanctionKind::Ban => "ban",
                SanctionKind::Mute => "mute",
                SanctionKind::Revocation => "revocation",
            };
            format!("sanctioned {} {kind} {} {:?} {}", it.account, it.lifted, it.until, it.at)
        }
        Event::Moderation(moderation) => format!("moderation-known {}", moderation.id()),
        Event::Presence(change) => format!("presence {}", change_words(change)),
        Event::Policy { number } => format!("policy-in-force {number}"),
        Event::Renewed { expires_at } => format!("ticket {expires_at}"),
        Event::AskTheTime => "ask-the-time".to_owned(),
        Event::Notice { code, .. } => format!("notice {code}"),
        Event::Ended(reason) => {
            let why = match reason {
                EndReason::Superseded => "superseded",
                EndReason::Banned { .. } => "banned",
                EndReason::Revocation { .. } => "revoked",
            };
            format!("ended {why}")
        }
        Event::Changed => "changed".to_owned(),
    }
}

/// The line of a verdict, which comes last in its turn.
pub(super) fn verdict_line(acceptance: Acceptance, source: PeerKey) -> String {
    let word = match acceptance {
        Acceptance::Accept => "accept",
        Acceptance::Ignore => "ignore",
        Acceptance::Reject => "reject",
    };
    format!("verdict {word} {source}")
}

fn change_words(change: &Change) -> String {
    let why = match change.reason {
        Reason::Joined => "joined",
        Reason::Here => "here",
        Reason::Left => "left",
        Reason::Lost => "lost",
    };
    format!("{why} {} {}", change.peer, hex::encode(change.ticket.as_bytes()))
}

fn ids(ids: &[MessageId]) -> String {
    ids.iter().map(MessageId::to_string).collect::<Vec<_>>().join(",")
}

fn addresses(peer: &PeerAddresses) -> String {
    format!("{} {}", peer.peer, peer.addresses.join(" "))
}

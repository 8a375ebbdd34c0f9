//! Requests between neighbours on `/lanyard/sync/1`: what ours are for, and what their answers are (PROTOCOL.md R-96).
//!
//! The driver carries bytes; what they mean is said here.

use std::collections::BTreeMap;

use crate::ids::{MessageId, PeerKey};
use crate::reconcile::{AskTag, SyncReply, SyncRequest, parse_policy_number};
use crate::time::Now;

use super::{AskId, Engine, Output};

/// What a request of ours was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asking {
    /// A newer policy.
    Policy,
    /// The number of its policy.
    PolicyNumber,
    /// A step of a round with that peer.
    Round {
        /// Which one.
        round: u64,
        /// Its name for the request.
        tag: AskTag,
        /// The ids that were asked for; none for frames.
        ids: Vec<MessageId>,
    },
    /// Whether the two of us may part.
    Part,
    /// Nothing: we have told something.
    Nothing,
}

/// Our requests that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<AskId, (PeerKey, Asking)>,
    next: u64,
}

impl Engine {
    pub(super) fn ask(&mut self, peer: PeerKey, request: &SyncRequest, asking: Asking) {
        let ask = AskId(self.asks.next);
        self.asks.next = self.asks.next.wrapping_add(1);
        self.asks.open.insert(ask, (peer, asking));
        self.outputs.push_back(Output::Ask { peer, ask, bytes: request.to_bytes() });
    }

    pub(super) fn answered(&mut self, ask: AskId, bytes: Option<Vec<u8>>, now: Now) {
        let Some((peer, asking)) = self.asks.open.remove(&ask) else { return };
        // A reply that cannot be read is none.
        let reply = bytes.and_then(|bytes| SyncReply::parse(&bytes).ok());
        match asking {
            Asking::Policy => {
                let document = match reply {
                    Some(SyncReply::Ok(document)) => Some(document),
                    Some(SyncReply::Unsupported | SyncReply::NotFound | SyncReply::Later)
                    | None => None,
                };
                self.policy_fetched(peer, document, now);
            }
            Asking::PolicyNumber => {
                if let Some(SyncReply::Ok(body)) = reply
                    && let Ok(number) = parse_policy_number(&body)
                {
                    self.see_policy_number(peer, number, now);
                }
            }
            Asking::Round { round, tag, ids } => {
                self.round_answered(peer, (round, tag), &ids, reply, now);
            }
            Asking::Part => {
                let agreed = matches!(reply, Some(SyncReply::Ok(_)));
                self.part_answered(peer, agreed, now);
            }
            Asking::Nothing => {}
        }
    }
}

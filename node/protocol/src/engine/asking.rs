//! Requests between neighbours on `/lanyard/sync/1`: ours and their answers, theirs and ours (PROTOCOL.md R-96).
//!
//! The driver carries bytes; what they mean is said here.

use std::collections::BTreeMap;

use crate::ids::PeerKey;
use crate::sync::{SyncReply, SyncRequest};
use crate::time::Now;

use super::{AskId, Engine, Output, RequestId};

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// A newer policy.
    Policy,
}

/// Our requests that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<AskId, (PeerKey, Asking)>,
    next: u64,
}

impl Engine {
    pub(super) fn ask(&mut self, peer: PeerKey, request: &SyncRequest, asking: Asking) -> AskId {
        let ask = AskId(self.asks.next);
        self.asks.next = self.asks.next.wrapping_add(1);
        self.asks.open.insert(ask, (peer, asking));
        self.outputs.push_back(Output::Ask { peer, ask, bytes: request.to_bytes().to_vec() });
        ask
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
        }
    }

    pub(super) fn asked(&mut self, request: RequestId, _peer: PeerKey, bytes: &[u8], _now: Now) {
        let reply = match SyncRequest::parse(bytes) {
            Ok(SyncRequest::PolicyGet(number)) => self.serve_policy(number),
            Ok(SyncRequest::Unknown(_)) | Err(_) => SyncReply::Unsupported,
        };
        self.outputs.push_back(Output::Answer { request, bytes: reply.to_bytes() });
    }

    fn serve_policy(&self, number: u64) -> SyncReply {
        if self.policy().number >= number {
            SyncReply::Ok(self.signed_policy.as_bytes().to_vec())
        } else {
            SyncReply::NotFound
        }
    }
}

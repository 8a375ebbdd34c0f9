//! Requests between neighbours: answers to theirs, and what comes back for ours.

use crate::effects::Asking;
use crate::ids::{MessageId, PeerKey};
use crate::io::{AskId, Output, RequestId, StoredPair};
use crate::reconcile::{SetName, SyncReply, SyncRequest, parse_policy_number, policy_number_reply};
use crate::time::Now;

use super::Engine;

impl Engine {
    pub(super) fn asked(&mut self, request: RequestId, peer: PeerKey, bytes: &[u8], now: Now) {
        // The link may be gone by now, and the answer would go nowhere.
        let Some(account) = self.links.account_of(peer) else { return };
        let reply = match SyncRequest::parse(bytes) {
            Ok(SyncRequest::PolicyGet(number)) => {
                self.rounds.serve_policy(account, number, self.policy.signed(), now)
            }
            Ok(SyncRequest::PolicyNumber(number)) => {
                self.policy.number_seen(peer, number, &self.links, now, &mut self.fx);
                policy_number_reply(self.policy.number())
            }
            // The authority peer serves policies and nothing else: it holds no messages.
            Ok(_any) if self.me.is_authority() => SyncReply::Unsupported,
            Ok(SyncRequest::Reconcile { set, windows }) => {
                self.reconcile(now, |rounds, cx| rounds.serve_frames(peer, set, &windows, cx))
            }
            Ok(SyncRequest::Get { set: SetName::Moderations, ids }) => {
                self.reconcile(now, |rounds, cx| rounds.serve_moderations(account, &ids, cx))
            }
            Ok(SyncRequest::Get { set: SetName::Messages, ids }) => {
                let reply = self.rounds.serve_messages(request, account, ids, now, &mut self.fx);
                let Some(reply) = reply else { return };
                reply
            }
            Ok(SyncRequest::Held { session, ranges }) => {
                self.receipts.told(account, session, &ranges, &self.me, now);
                SyncReply::Ok(Vec::new())
            }
            Ok(SyncRequest::Part(links)) => {
                self.degree.asked_to_part(peer, links, &self.links, now)
            }
            Ok(SyncRequest::Unknown(_)) | Err(_) => SyncReply::Unsupported,
        };
        self.fx.output(Output::Answer { request, bytes: reply.to_bytes() });
    }

    pub(super) fn loaded(&mut self, request: RequestId, pairs: &[(MessageId, StoredPair)]) {
        let Some((reply, served)) = self.rounds.loaded(request, pairs) else { return };
        for (id, _pair) in pairs.iter().take(served) {
            // An own message that gossip could not deliver has reached a peer now.
            self.outbox.reached(*id, &mut self.fx);
        }
        self.fx.output(Output::Answer { request, bytes: reply.to_bytes() });
    }

    pub(super) fn answered(&mut self, ask: AskId, bytes: Option<Vec<u8>>, now: Now) {
        let Some((peer, asking)) = self.fx.answered(ask) else { return };
        // Treat a reply that cannot be read as no reply.
        let reply = bytes.and_then(|bytes| SyncReply::parse(&bytes).ok());
        match (asking, reply) {
            (Asking::Policy, Some(SyncReply::Ok(document))) => {
                self.policy_fetched(peer, Some(document), now);
            }
            (Asking::Policy, _none) => self.policy_fetched(peer, None, now),
            (Asking::PolicyNumber, Some(SyncReply::Ok(body))) => {
                if let Ok(number) = parse_policy_number(&body) {
                    self.policy.number_seen(peer, number, &self.links, now, &mut self.fx);
                }
            }
            (Asking::Round(step), reply) => {
                let answer =
                    self.reconcile(now, |rounds, cx| rounds.answered(peer, &step, reply, cx));
                if let Some(answer) = answer {
                    self.brought(peer, &answer, now);
                }
            }
            (Asking::Part, reply) => {
                let agreed = matches!(reply, Some(SyncReply::Ok(_)));
                if self.degree.part_answered(peer, agreed, now) {
                    self.links.close(peer, &mut self.fx);
                }
            }
            (Asking::PolicyNumber | Asking::Nothing, _any) => {}
        }
    }
}

//! What the engine asks for, done.

use std::sync::Arc;

use lanyard_protocol::engine::{EndReason, Event, Input, LinkId, Output, SendRefused, Topic};
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::message::Acceptance;
use lanyard_protocol::roster::{Change, Reason};
use lanyard_protocol::sync::SyncRequest;
use libp2p::Multiaddr;
use libp2p::gossipsub::PublishError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::EventLoop;
use crate::event::{
    NodeEvent, PresenceChange, PresenceReason, Refusal, RefusalCode, SendState, Via,
};
use crate::net::translate::{acceptance, dialable, peer_id, topic};
use crate::node::{SendError, Sent};
use crate::store::Write;

impl EventLoop {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Verdict { source, acceptance, .. } => self.give_verdict(&source, acceptance),
            Output::Store(message) => {
                let received_at = self.realm_ms();
                self.write(Write::Message {
                    request: None,
                    message,
                    via: Via::Gossip,
                    received_at,
                });
            }
            Output::StoreOwn { request, message } => {
                let received_at = self.realm_ms();
                let asked = Some(request);
                let write = Write::Message { request: asked, message, via: Via::Own, received_at };
                if !self.writer.try_write(write) {
                    let result = Err("the store cannot keep up".to_owned());
                    self.state.follow_ups.push_back(Input::OwnStored { request, result });
                }
            }
            Output::Publish { topic, bytes, message } => self.publish(topic, bytes, message),
            Output::StorePolicy(policy) => self.write(Write::Policy(policy.as_bytes().to_vec())),
            Output::StorePeer(peer) => {
                let seen_at = self.realm_ms();
                self.write(Write::Peer(peer, seen_at));
            }
            Output::Dial(peer) => self.dial(&peer),
            Output::Close(link) => self.close(link),
            Output::FetchPolicy { peer, number } => self.fetch_policy(&peer, number),
            Output::View(view) => {
                self.view.send_replace(Arc::new(*view));
            }
            Output::Event(event) => self.engine_event(event),
        }
    }

    fn realm_ms(&self) -> u64 {
        self.engine.clock().peek_ms(self.clock.now())
    }

    fn give_verdict(&mut self, source: &PeerKey, verdict: Acceptance) {
        let (Some(id), Some(source)) = (self.state.gossip.take(), peer_id(source)) else { return };
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        gossipsub.report_message_validation_result(&id, &source, acceptance(verdict));
    }

    fn publish(&mut self, to: Topic, bytes: Vec<u8>, message: Option<MessageId>) {
        let hash = topic(to, &self.realm).hash();
        let reached = match self.swarm.behaviour_mut().gossipsub.publish(hash, bytes) {
            // A duplicate has gone out before.
            Ok(_) | Err(PublishError::Duplicate) => true,
            Err(error) => {
                tracing::debug!(%error, topic = ?to, "Published to nobody");
                false
            }
        };
        if let Some(message) = message {
            self.state.follow_ups.push_back(Input::Published { message, reached });
        }
    }

    fn dial(&mut self, candidate: &PeerAddresses) {
        let addresses: Vec<Multiaddr> =
            candidate.addresses.iter().filter_map(|address| dialable(address)).collect();
        let failed = Input::DialFailed(candidate.peer);
        let Some(peer) = peer_id(&candidate.peer).filter(|_peer| !addresses.is_empty()) else {
            self.state.follow_ups.push_back(failed);
            return;
        };
        let addresses = addresses.into_iter().map(|address| address.with(Protocol::P2p(peer)));
        // From the listen port two diallers could meet in a TCP simultaneous open, and both fail.
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses.collect())
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(peer = ?candidate.peer, %error, "Cannot dial");
            self.state.follow_ups.push_back(failed);
        }
    }

    fn close(&mut self, link: LinkId) {
        if let Some(connection) = self.state.connections.get(&link) {
            tracing::debug!(?link, "Closing a link");
            self.swarm.close_connection(*connection);
        }
    }

    fn fetch_policy(&mut self, peer: &PeerKey, number: u64) {
        let Some(id) = peer_id(peer) else { return };
        let request = SyncRequest::PolicyGet(number).to_bytes();
        let request = self.swarm.behaviour_mut().sync.send_request(&id, request.into());
        self.state.fetches.insert(request, *peer);
    }

    fn engine_event(&mut self, event: Event) {
        match event {
            Event::Sent { request, result } => self.answer(request, result),
            Event::State { id, sent } => {
                if sent {
                    self.write(Write::Sent(id));
                }
                let state = if sent { SendState::Sent } else { SendState::Waiting };
                self.tell(NodeEvent::State { id, state });
            }
            Event::Presence(change) => self.tell(NodeEvent::Presence(presence(&change))),
            Event::Policy { number } => self.tell(NodeEvent::Policy { number }),
            Event::Pass { expires_at } => self.tell(NodeEvent::Pass { expires_at }),
            Event::Notice { code, text } => self.tell(NodeEvent::Notice { code, text }),
            Event::Changed => self.state.changed = true,
            Event::Ended(reason) => self.state.ended = Some(Some(refusal(reason))),
        }
    }

    /// The answer first, then the message itself, then its state.
    fn answer(
        &mut self,
        request: u64,
        result: Result<lanyard_protocol::engine::SentReceipt, SendRefused>,
    ) {
        let result = result.map_err(send_error).map(|receipt| Sent {
            id: receipt.id,
            session: receipt.session,
            seq: receipt.seq,
            sent_at: receipt.sent_at,
        });
        if let Some(reply) = self.state.requests.remove(&request) {
            // Who asked may have gone; the message is on disk all the same.
            reply.send(result).ok();
        }
        if let Some(message) = self.state.own_stored.take() {
            self.tell(NodeEvent::Message(message));
        }
    }
}

fn send_error(refused: SendRefused) -> SendError {
    match refused {
        SendRefused::Expired => SendError::Expired,
        SendRefused::Empty => SendError::Empty,
        SendRefused::TooLong { bytes, max } => SendError::TooLong { bytes, max },
        SendRefused::NoSuchRoom => SendError::NoSuchRoom,
        SendRefused::MayNotPost => SendError::MayNotPost,
        SendRefused::Muted { until } => SendError::Muted { until },
        SendRefused::NotAMember => SendError::Banned,
        SendRefused::Store(reason) => SendError::Store(reason),
    }
}

fn presence(change: &Change) -> PresenceChange {
    let claims = change.ticket.claims();
    let (online, reason) = match change.reason {
        Reason::Joined => (true, PresenceReason::Joined),
        Reason::Here => (true, PresenceReason::Here),
        Reason::Left => (false, PresenceReason::Left),
        Reason::Lost => (false, PresenceReason::Lost),
    };
    PresenceChange {
        account: claims.account,
        username: claims.username.clone(),
        nickname: claims.nickname.clone(),
        peer: change.peer,
        role: claims.role,
        online,
        reason,
    }
}

fn refusal(reason: EndReason) -> Refusal {
    let because = |reason: String| if reason.is_empty() { reason } else { format!(" ({reason})") };
    let (code, reason) = match reason {
        EndReason::Superseded => (
            RefusalCode::Superseded,
            "This profile is in use on another computer, which started later. \
             Use one of the two, or sign in here with a profile folder of its own."
                .to_owned(),
        ),
        EndReason::Banned { reason, .. } => (
            RefusalCode::Banned,
            format!("This account is banned{}. Ask the operator.", because(reason)),
        ),
        EndReason::Cut { reason } => (
            RefusalCode::Disabled,
            format!(
                "Your pass was withdrawn by the operator{}. Sign in again, or ask the operator.",
                because(reason)
            ),
        ),
    };
    Refusal { code, reason, retry_after_s: None }
}

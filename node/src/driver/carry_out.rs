//! Carries out what the engine asks for.

use std::sync::Arc;

use lanyard_protocol::engine::{
    EndReason, Event, Input, LinkId, Output, Progress, SendRefused, SentReceipt, Topic,
};
use lanyard_protocol::history::Maker;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::roster::{Change, Reason};
use lanyard_protocol::time::MINUTE_MS;
use libp2p::Multiaddr;
use libp2p::gossipsub::PublishError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::EventLoop;
use crate::event::{NodeEvent, PresenceChange, Via};
use crate::refusal::{Refusal, RefusalCode};
use crate::store::Write;
use crate::transport::translate::{dialable, peer_id};

impl EventLoop {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Store { message, arrival, folded } => {
                self.store(message, arrival.into(), folded, None);
            }
            Output::StoreOwn { request, message } => {
                self.store(message, Via::Own, false, Some(request));
            }
            Output::Resettle(resettled) => self.write(Write::Resettle(resettled)),
            Output::Forget { before } => self.write(Write::Forget { before }),
            Output::StoreModeration(moderation) => self.write(Write::Moderation(moderation)),
            Output::Load { request, ids, bytes_max } => self.load(request, ids, bytes_max),
            Output::Publish { topic, bytes, message } => self.publish(topic, bytes, message),
            Output::StorePolicy(policy) => self.write(Write::Policy(policy.as_bytes().to_vec())),
            Output::StorePeer(peer) => {
                let seen_at = self.realm_ms();
                self.write(Write::Peer(peer, seen_at));
            }
            Output::Dial(peer) => self.dial(&peer),
            Output::Close(link) => self.close(link),
            Output::Ask { peer, ask, bytes } => self.ask(&peer, ask, bytes),
            Output::Answer { request, bytes } => self.answer_request(request, bytes),
            Output::View(view) => {
                self.view.send_replace(Arc::new(*view));
            }
            Output::Event(event) => self.engine_event(event),
        }
    }

    pub(super) fn realm_ms(&self) -> u64 {
        self.engine.clock().peek_ms(self.clock.now())
    }

    fn publish(&mut self, to: Topic, bytes: Vec<u8>, message: Option<MessageId>) {
        let Some(hash) = self.topics.hash(to) else { return };
        let reached = match self.swarm.behaviour_mut().gossipsub.publish(hash, bytes) {
            // A duplicate was sent before.
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
        // From the listen port, two diallers could meet in a TCP simultaneous open, and both would fail.
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

    fn engine_event(&mut self, event: Event) {
        match event {
            Event::Sent { request, result } => self.answer(request, result),
            Event::State { id, state } => self.state_changed(id, state),
            Event::Moderated { request, result } => {
                if let Some(reply) = self.state.moderations.remove(&request) {
                    // The caller may be gone; the moderation is in force anyway.
                    reply.send(result).ok();
                }
            }
            Event::Moderation(moderation) => self.tell(NodeEvent::Moderation(moderation)),
            Event::Sanctioned(news) => self.tell(NodeEvent::Sanctioned(news)),
            Event::Presence(change) => self.tell(NodeEvent::Presence(presence(&change))),
            Event::Policy { number } => self.tell(NodeEvent::Policy { number }),
            Event::Renewed { expires_at } => self.tell(NodeEvent::Renewed { expires_at }),
            Event::AskTheTime => self.ask_login_server.notify_one(),
            Event::Notice { code, text } => self.tell(NodeEvent::Notice { code, text }),
            Event::Changed => self.state.changed = true,
            Event::Ended(reason) => {
                self.state.ended = Some(Some(refusal(reason, self.realm_ms())));
            }
        }
    }

    fn state_changed(&mut self, id: MessageId, state: Progress) {
        match state {
            Progress::Waiting => {}
            Progress::Sent => self.write(Write::Sent(id)),
            Progress::Stored { by, of } => self.write(Write::StoredBy { id, by, of }),
        }
        self.tell(NodeEvent::State { id, state });
    }

    /// Delivers the answer first, then the message itself, then its state.
    fn answer(&mut self, request: u64, result: Result<SentReceipt, SendRefused>) {
        if let Some(reply) = self.state.sends.remove(&request) {
            self.state.answers.push((reply, result));
        }
        if let Some(message) = self.state.own_stored.take() {
            self.tell(NodeEvent::Message(message));
        }
    }
}

fn presence(change: &Change) -> PresenceChange {
    let claims = change.ticket.claims();
    PresenceChange {
        account: claims.account,
        username: claims.username.clone(),
        nickname: claims.nickname.clone(),
        peer: change.peer,
        role: claims.role,
        online: matches!(change.reason, Reason::Joined | Reason::Here),
        reason: change.reason,
    }
}

fn refusal(reason: EndReason, realm_ms: u64) -> Refusal {
    let because = |reason: String| if reason.is_empty() { reason } else { format!(" ({reason})") };
    let (code, reason) = match reason {
        EndReason::Superseded => (
            RefusalCode::Superseded,
            "This profile is in use on another computer, which started later. \
             Use one of the two, or sign in here with a profile folder of its own."
                .to_owned(),
        ),
        EndReason::Banned { reason, by, until } => {
            let by = match by {
                Maker::Operator(_account_name) => "the operator".to_owned(),
                Maker::Moderator(name) => format!("the moderator {name}"),
            };
            let until = until.map_or(String::new(), |until| {
                let left = until.saturating_sub(realm_ms).div_ceil(MINUTE_MS);
                format!(" for another {left} minutes")
            });
            let reason = format!(
                "This account is banned by {by}{until}{}. Ask the operator.",
                because(reason)
            );
            (RefusalCode::Banned, reason)
        }
        EndReason::Revocation { reason } => (
            RefusalCode::Disabled,
            format!(
                "The operator has signed this account out{}. Sign in again, or ask the operator.",
                because(reason)
            ),
        ),
    };
    Refusal { code, reason, retry_after_s: None }
}

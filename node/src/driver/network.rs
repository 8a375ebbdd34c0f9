//! Translates what the network reports into inputs for the engine.

use lanyard_protocol::admission::Admission;
use lanyard_protocol::engine::{Input, LinkId, NewLink};
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::verdict::Acceptance;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{PeerId, gossipsub};

use super::{ADMITTED_MAX, EventLoop};
use crate::status::DialAttempt;
use crate::transport::behaviour::BehaviourEvent;
use crate::transport::gate::{Outcome, Report};
use crate::transport::translate::{acceptance, bare, peer_key, root_cause};

/// How many failed dials are kept, to show why a user is alone.
const ATTEMPTS_MAX: usize = 32;

impl EventLoop {
    pub(super) fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => self.gossipsub_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.sync_event(event),
            // libp2p only reports. A link whose other end is silent must be closed, or it would hide a restart.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) if event.result.is_err() => {
                self.swarm.close_connection(event.connection);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, peer_id, cause, .. } => {
                let cause = cause.map(|cause| root_cause(&cause));
                tracing::debug!(peer = %peer_id, ?cause, "A connection has ended");
                if let Some(link) = self.state.links.remove(&connection_id) {
                    self.state.connections.remove(&link);
                    self.feed(Input::LinkDown(link));
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.dial_failed(&peer, &error);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                self.listeners_changed();
            }
            SwarmEvent::ListenerClosed { reason: Err(error), .. }
            | SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "A listener has failed");
            }
            _of_no_consequence => {}
        }
    }

    fn gossipsub_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let source = peer_key(&propagation_source);
                let topic = self.topics.find(&message.topic);
                let (Some(source), Some(topic)) = (source, topic) else { return };
                let now = self.now();
                let verdict = if self.state.arrivals.may_read(source, message.data.len(), now) {
                    self.engine.handle_gossip(source, topic, &message.data, now)
                } else {
                    Acceptance::Ignore
                };
                let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
                gossipsub.report_message_validation_result(
                    &message_id,
                    &propagation_source,
                    acceptance(verdict),
                );
                self.drain();
            }
            gossipsub::Event::Subscribed { peer_id, topic, .. } => {
                let topic = self.topics.find(&topic);
                if let (Some(peer), Some(topic)) = (peer_key(&peer_id), topic) {
                    self.feed(Input::Subscribed { peer, topic });
                }
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "A slow peer has lost messages");
                if let Some(peer) = peer_key(&peer_id) {
                    self.feed(Input::SlowPeer(peer));
                }
            }
            _of_no_consequence => {}
        }
    }

    /// Takes the gate's decision, which arrives before the connection itself or instead of it.
    pub(super) fn report(&mut self, report: Report) {
        let Report { peer, endpoint, outcome } = report;
        let dialled = endpoint.is_dialer();
        match outcome {
            Outcome::Admitted(admission) => {
                if self.state.admitted.len() >= ADMITTED_MAX {
                    self.state.admitted.pop_front();
                }
                self.state.admitted.push_back((peer, endpoint, admission));
            }
            Outcome::RefusedBy(verdict) => {
                self.note_refusal(peer, &endpoint, verdict.code.sentence().to_owned());
                self.feed(Input::RefusedBy { peer, verdict });
            }
            Outcome::Refused { boot, code } => {
                tracing::debug!(?peer, ?code, "Refused at the gate");
                self.note_refusal(peer, &endpoint, format!("we refused it: {code:?}"));
                self.feed(Input::Refused { peer, boot, code, dialled });
            }
        }
    }

    fn connected(&mut self, peer_id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        while let Ok(report) = self.reports.try_recv() {
            self.report(report);
        }
        let Some(peer) = peer_key(&peer_id) else { return };
        // One address may have refused us before another led to a link. No dial will fail for that refusal.
        self.state.refused_dials.retain(|refused| *refused != peer);
        let Some(admission) = self.take_admitted(peer, endpoint) else {
            tracing::warn!(?peer, "A connection without a Hello was closed");
            self.swarm.close_connection(connection);
            self.feed(Input::DialFailed(peer));
            return;
        };
        self.state.arrivals.linked(peer, admission.ticket().claims().account);
        tracing::debug!(?peer, dialled = endpoint.is_dialer(), "A connection stands");
        let link = LinkId(self.state.next_link);
        self.state.next_link = self.state.next_link.wrapping_add(1);
        self.state.links.insert(connection, link);
        self.state.connections.insert(link, connection);
        self.feed(Input::LinkUp(NewLink {
            id: link,
            peer,
            dialled: endpoint.is_dialer(),
            relayed: endpoint.is_relayed(),
            address: bare(endpoint.get_remote_address()),
            admission,
        }));
    }

    fn take_admitted(&mut self, peer: PeerKey, endpoint: &ConnectedPoint) -> Option<Admission> {
        let found =
            self.state.admitted.iter().position(|(of, at, _)| *of == peer && at == endpoint)?;
        self.state.admitted.remove(found).map(|(_peer, _endpoint, admission)| admission)
    }

    /// Notes why a dial failed: the gate knows more than libp2p reports.
    fn note_refusal(&mut self, peer: PeerKey, endpoint: &ConnectedPoint, outcome: String) {
        if endpoint.is_dialer() {
            self.state.refused_dials.push(peer);
            self.note_attempt(peer, bare(endpoint.get_remote_address()), outcome);
        }
    }

    fn dial_failed(&mut self, peer_id: &PeerId, error: &DialError) {
        while let Ok(report) = self.reports.try_recv() {
            self.report(report);
        }
        let Some(peer) = peer_key(peer_id) else { return };
        let refusals = self.state.refused_dials.len();
        self.state.refused_dials.retain(|refused| *refused != peer);
        if self.state.refused_dials.len() < refusals {
            return;
        }
        if let DialError::Transport(failures) = error {
            for (address, failure) in failures {
                self.note_attempt(peer, bare(address), root_cause(failure));
            }
        }
        self.feed(Input::DialFailed(peer));
    }

    fn note_attempt(&mut self, peer: PeerKey, address: String, outcome: String) {
        let at = self.engine.clock().peek_ms(self.clock.now());
        let attempts = &mut self.around.attempts;
        attempts.retain(|attempt| attempt.peer != peer || attempt.address != address);
        attempts.insert(0, DialAttempt { address, peer, outcome, at });
        attempts.truncate(ATTEMPTS_MAX);
        self.state.changed = true;
    }

    fn listeners_changed(&mut self) {
        let mut listen: Vec<String> = self.swarm.listeners().map(bare).collect();
        listen.sort_by_key(|address| (is_loopback(address), address.contains("/ip6/")));
        listen.dedup();
        self.around.listen.clone_from(&listen);
        // Loopback addresses do not help other machines, so keep them only if there are no others.
        if listen.iter().any(|address| !is_loopback(address)) {
            listen.retain(|address| !is_loopback(address));
        }
        self.state.changed = true;
        self.feed(Input::Listening(listen));
        self.feed(Input::NetworkChanged);
    }
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

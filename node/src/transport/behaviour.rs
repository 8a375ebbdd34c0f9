//! The behaviours of a node, and gossipsub's configuration.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use lanyard_protocol::engine::Topic;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::reconcile::SYNC_PROTOCOL;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, ConfigBuilder, DataTransform, IdentityTransform, MaxCountSubscriptionFilter,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash,
    TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, ping};
use sha2::{Digest as _, Sha256};

use super::codec::Capped;
use super::translate::topic;

/// Gossipsub with a filter that allows only our topics.
pub(crate) type Gossipsub =
    gossipsub::Behaviour<OurTopics, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// How many dials may be in progress. Incoming handshakes have places of their own, see [`super::strangers`].
const PENDING_MAX: u32 = 1_024;
/// How many links to one peer: a new one beside a stale one, and no more.
const PER_PEER_MAX: u32 = 2;
/// How many links a peer may have: a full mesh of 64, with room for the time before it thins out.
const ESTABLISHED_MAX: u32 = 256;
/// How many links the authority peer may have.
const AUTHORITY_ESTABLISHED_MAX: u32 = 2_048;
/// Eight times the largest message: gossipsub compares this with its whole read buffer, not with one message.
const TRANSMIT_BYTES_MAX: usize = 128 * 1_024;
/// Below this score we publish nothing to a neighbour: it forwarded two messages that it should have rejected.
pub(crate) const PUBLISH_THRESHOLD: f64 = -200.0;
/// The same for the lazy gossip of ids: a little more than one such message.
const GOSSIP_THRESHOLD: f64 = -100.0;
/// Below this score we ignore a neighbour: it forwarded three such messages, at which its links are closed as well.
const GRAYLIST_THRESHOLD: f64 = -400.0;
/// How soon a peer must deliver a message that it has announced. With gossipsub's own 3 s, honest neighbours lost score
/// when a flood kept both busy for longer.
const PROMISE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long reading and sending a policy document or 256 KiB of messages may take.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// What a node does on its links. The limits come first: a connection that they refuse must never reach gossipsub,
/// which would keep a phantom of it (rust-libp2p #4870).
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Limits the number of connections.
    pub(crate) limits: connection_limits::Behaviour,
    /// Carries messages, presence, policy heads and moderations.
    pub(crate) gossipsub: Gossipsub,
    /// Checks that the other end still answers. It only reports; the event loop closes the link.
    pub(crate) ping: ping::Behaviour,
    /// Carries policy documents and reconciliation.
    pub(crate) sync: request_response::Behaviour<Capped>,
}

impl Behaviour {
    pub(crate) fn new(realm: &PeerKey, is_authority: bool) -> Result<Self, String> {
        let established = if is_authority { AUTHORITY_ESTABLISHED_MAX } else { ESTABLISHED_MAX };
        let limits = ConnectionLimits::default()
            .with_max_pending_outgoing(Some(PENDING_MAX))
            .with_max_established(Some(established))
            .with_max_established_per_peer(Some(PER_PEER_MAX));
        let ping = ping::Config::new()
            .with_interval(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(5));
        let sync = request_response::Config::default()
            .with_request_timeout(SYNC_TIMEOUT)
            .with_max_concurrent_streams(8);
        let protocol = (StreamProtocol::new(SYNC_PROTOCOL), ProtocolSupport::Full);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            gossipsub: gossipsub(realm)?,
            ping: ping::Behaviour::new(ping),
            sync: request_response::Behaviour::with_codec(Capped::SYNC, [protocol], sync),
        })
    }
}

fn gossipsub(realm: &PeerKey) -> Result<Gossipsub, String> {
    let direct = topic(Topic::Direct, realm).hash();
    let control = topic(Topic::Control, realm).hash();
    let mut config = ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(TRANSMIT_BYTES_MAX)
        .max_control_messages_sent(600)
        .heartbeat_initial_delay(Duration::from_millis(500))
        .mesh_n(4)
        .mesh_n_low(3)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        .mesh_n_for_topic(0, direct.clone())
        .mesh_n_low_for_topic(0, direct.clone())
        .mesh_n_high_for_topic(0, direct.clone())
        .mesh_outbound_min_for_topic(0, direct)
        .mesh_n_for_topic(3, control.clone())
        .mesh_n_low_for_topic(2, control.clone())
        .mesh_n_high_for_topic(6, control.clone())
        .mesh_outbound_min_for_topic(1, control)
        .flood_publish(true)
        .gossip_lazy(2)
        .gossip_factor(0.02)
        .history_length(6)
        .history_gossip(3)
        .iwant_followup_time(PROMISE_TIMEOUT)
        // Never: gossipsub would send "do not send me this" about every message to each neighbour in the mesh, before
        // we have judged it. A peer that floods would make everybody flood everybody else.
        .idontwant_message_size_threshold(TRANSMIT_BYTES_MAX)
        .publish_queue_duration(Duration::from_secs(60))
        .forward_queue_duration(Duration::from_secs(60))
        .connection_handler_queue_len(4_096);
    let config = config.build().map_err(|error| error.to_string())?;
    let topics: HashSet<_> = Topic::ALL.iter().map(|t| topic(*t, realm).hash()).collect();
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.clone()),
        max_subscribed_topics: Topic::ALL.len(),
        max_subscriptions_per_request: 2 * Topic::ALL.len(),
    };
    // Authors sign inside the payload, so that a message can be proved later. Gossipsub need not sign again.
    let authenticity = MessageAuthenticity::Anonymous;
    let mut gossipsub = Gossipsub::new_with_subscription_filter_and_transform(
        authenticity,
        config,
        filter,
        OurTopics(topics),
    )?;
    gossipsub.with_peer_score(scores(realm), thresholds())?;
    Ok(gossipsub)
}

/// Drops messages on other topics before gossipsub looks at them. It would keep each of them for six seconds without
/// reporting it, so that no verdict and no budget could stop it: 100 KB fifty times a second are 30 MB of memory.
#[derive(Clone)]
pub(crate) struct OurTopics(HashSet<TopicHash>);

impl DataTransform for OurTopics {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<gossipsub::Message> {
        if self.0.contains(&raw.topic) {
            IdentityTransform.inbound_transform(raw)
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        IdentityTransform.outbound_transform(topic, data)
    }
}

/// A neighbour can earn far less than one rejected message costs, so none can save up for one. Chat comes in bursts, so
/// silence has no penalty. A LAN may be behind one router, so many peers at one address have none either.
fn scores(realm: &PeerKey) -> PeerScoreParams {
    let of_topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.02,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -60.0,
        // Half of it recovers in 203 seconds.
        invalid_message_deliveries_decay: 0.9966,
        ..TopicScoreParams::default()
    };
    let topics = Topic::ALL.iter().map(|t| (topic(*t, realm).hash(), of_topic.clone()));
    PeerScoreParams {
        topics: topics.collect(),
        topic_score_cap: 20.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        // Each id that was announced and not delivered in time counts, and the sum is squared. An honest neighbour on a
        // busy machine fails with a few dozen, and stays above every threshold. A peer that announces hundreds of
        // messages that do not exist, as one frame can, falls below all of them.
        behaviour_penalty_weight: -0.1,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.986,
        // A peer that cannot keep up has done nothing wrong.
        slow_peer_weight: 0.0,
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(3_600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_THRESHOLD,
        publish_threshold: PUBLISH_THRESHOLD,
        graylist_threshold: GRAYLIST_THRESHOLD,
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 2.0,
    }
}

/// The first 20 bytes of SHA-256(topic ‖ 0 ‖ payload). It is short because the lazy gossip of a busy room would
/// otherwise exceed what receivers accept. It includes the topic because the same bytes on another topic would
/// otherwise suppress the real ones.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hasher = Sha256::new();
    hasher.update(message.topic.as_str());
    hasher.update([0]);
    hasher.update(&message.data);
    let digest: [u8; 32] = hasher.finalize().into();
    MessageId::from(digest.get(..20).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_our_topics_is_let_in() {
        let realm = PeerKey([7; 32]);
        let ours = OurTopics(Topic::ALL.iter().map(|of| topic(*of, &realm).hash()).collect());
        let message = |topic: TopicHash| RawMessage {
            source: None,
            data: vec![1],
            sequence_number: None,
            topic,
            signature: None,
            key: None,
            validated: false,
        };
        for of in Topic::ALL {
            let (here, elsewhere) = (topic(of, &realm).hash(), topic(of, &PeerKey([8; 32])).hash());
            assert_eq!(ours.inbound_transform(message(here)).unwrap().data, [1]);
            assert!(ours.inbound_transform(message(elsewhere)).is_err());
        }
    }
}

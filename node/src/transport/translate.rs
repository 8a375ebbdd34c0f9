//! Converts between the protocol's types and libp2p's.

use lanyard_protocol::engine::Topic;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::verdict::Acceptance;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, TopicHash};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, identity};

/// The bytes before an Ed25519 key in a PeerId: an identity multihash of a protobuf with the key's type and length.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The key inside a PeerId; `None` for keys that are not Ed25519.
pub(crate) fn peer_key(peer: &PeerId) -> Option<PeerKey> {
    PeerKey::from_slice(peer.to_bytes().strip_prefix(&PEER_ID_PREFIX)?)
}

/// The PeerId of a key.
pub(crate) fn peer_id(key: &PeerKey) -> Option<PeerId> {
    PeerId::from_bytes(&[&PEER_ID_PREFIX[..], &key.0[..]].concat()).ok()
}

/// The libp2p identity of a device key.
pub(crate) fn keypair(key: &ed25519_dalek::SigningKey) -> identity::Keypair {
    let mut secret = zeroize::Zeroizing::new(key.to_bytes());
    let secret = identity::ed25519::SecretKey::try_from_bytes(secret.as_mut_slice());
    #[expect(clippy::expect_used, reason = "32 bytes are always an Ed25519 secret key")]
    let secret = secret.expect("32 bytes");
    identity::ed25519::Keypair::from(secret).into()
}

pub(crate) fn topic(topic: Topic, realm: &PeerKey) -> IdentTopic {
    IdentTopic::new(topic.path(realm))
}

/// The names of a realm's topics, computed once because every message needs them.
#[derive(Debug)]
pub(crate) struct Topics([(Topic, TopicHash); 3]);

impl Topics {
    pub(crate) fn of(realm: &PeerKey) -> Self {
        Self(Topic::ALL.map(|of| (of, topic(of, realm).hash())))
    }

    /// The topic with this hash, which for our topics is the name itself.
    pub(crate) fn find(&self, hash: &TopicHash) -> Option<Topic> {
        self.0.iter().find(|(_topic, known)| known == hash).map(|(topic, _hash)| *topic)
    }

    pub(crate) fn hash(&self, topic: Topic) -> Option<TopicHash> {
        self.0.iter().find(|(known, _hash)| *known == topic).map(|(_topic, hash)| hash.clone())
    }
}

pub(crate) fn acceptance(acceptance: Acceptance) -> MessageAcceptance {
    match acceptance {
        Acceptance::Accept => MessageAcceptance::Accept,
        Acceptance::Reject => MessageAcceptance::Reject,
        Acceptance::Ignore => MessageAcceptance::Ignore,
    }
}

/// The address without a trailing `/p2p/…`, as it is stored and announced.
pub(crate) fn bare(address: &Multiaddr) -> String {
    let is_peer = |protocol: &Protocol<'_>| matches!(protocol, Protocol::P2p(_));
    address.iter().filter(|protocol| !is_peer(protocol)).collect::<Multiaddr>().to_string()
}

/// An address that we can dial: TCP over IP, because the transport supports nothing else.
pub(crate) fn dialable(address: &str) -> Option<Multiaddr> {
    let address: Multiaddr = address.parse().ok()?;
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        Protocol::Ip6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        _no_ip => false,
    };
    let port = matches!(parts.next()?, Protocol::Tcp(port) if port != 0);
    (host && port && parts.next().is_none()).then_some(address)
}

/// The innermost error: "connection refused" says more than "failed to dial".
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_ids_are_spelled_as_libp2p_spells_them() {
        for number in 0..50 {
            let key = ed25519_dalek::SigningKey::from_bytes(&[number; 32]);
            let peer = keypair(&key).public().to_peer_id();
            let ours = lanyard_protocol::cose::public_key(&key);
            assert_eq!(ours.to_string(), peer.to_string());
            assert_eq!(peer_key(&peer), Some(ours));
            assert_eq!(peer_id(&ours), Some(peer));
        }
    }

    #[test]
    fn only_tcp_on_an_ip_is_dialled() {
        assert!(dialable("/ip4/10.0.0.1/tcp/4002").is_some());
        assert!(dialable("/ip6/fe80::1/tcp/4002").is_some());
        for refused in [
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/ip4/1.2.3.4/tcp/0",
            "/ip4/1.2.3.4/udp/1",
            "/dns4/evil.example/tcp/1",
            "/ip4/1.2.3.4/tcp/1/ws",
            "/memory/1",
            "x",
        ] {
            assert_eq!(dialable(refused), None, "{refused}");
        }
    }
}

//! What arrives on gossip: one verdict each, and which peer is blamed.

use std::sync::Arc;

use super::harness::{
    Peer, closed, hello_of, key_of, link_input, policy, presence_by, published, realm, seconds,
    stored_texts, text_by, verdict,
};
use crate::engine::{Input, LinkId, Topic};
use crate::links::{DENY_FOR, REJECTS_MAX};
use crate::moderation::{Moderation, ModerationKind, SignedModeration};
use crate::testing::{self, T0};
use crate::verdict::Acceptance;

/// Pairs with the first bit of the signature flipped, each of a different message.
fn forged(count: u64) -> Vec<Vec<u8>> {
    let texts = (0..count).map(|n| text_by(3, "forged", T0 + n));
    texts
        .map(|mut bytes| {
            let signature = bytes.len() - 64;
            bytes[signature] ^= 0x80;
            bytes
        })
        .collect()
}

#[test]
fn r42_a_message_from_a_arrives_at_b_once_and_is_stored() {
    let (mut a, mut b) = (Peer::new(2), Peer::new(3));
    a.link(1, 3);
    b.link(1, 2);
    let (bytes, _outputs) = a.say(1, "hello");
    let first = b.gossip(2, Topic::Mesh, &bytes);
    assert_eq!(verdict(&first), Acceptance::Accept);
    assert_eq!(stored_texts(&first), ["hello"]);
    let again = b.gossip(4, Topic::Direct, &bytes);
    assert_eq!(verdict(&again), Acceptance::Ignore);
    assert!(stored_texts(&again).is_empty());
    let own_echo = a.gossip(3, Topic::Mesh, &bytes);
    assert_eq!(verdict(&own_echo), Acceptance::Ignore);
    assert!(stored_texts(&own_echo).is_empty());
}

#[test]
fn r42_what_the_store_knew_at_the_start_is_ignored() {
    let message = testing::message(&realm(), &testing::key(3), "user3", "hello", T0);
    let mut config = super::harness::config_of(2);
    config.stored = testing::stored(std::slice::from_ref(&message));
    let (mut peer, _outputs) = Peer::start(config);
    peer.link(1, 3);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &message.to_gossip())), Acceptance::Ignore);
}

#[test]
fn r42_a_forged_copy_does_not_keep_the_true_message_out() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let forged = forged(1).pop().unwrap();
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &forged)), Acceptance::Reject);
    let honest = peer.gossip(3, Topic::Mesh, &text_by(3, "forged", T0));
    assert_eq!(verdict(&honest), Acceptance::Accept);
}

#[test]
fn r32_three_rejects_close_the_link_and_deny_the_key() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let outputs: Vec<_> =
        forged(3).iter().map(|bytes| peer.gossip(3, Topic::Mesh, bytes)).collect();
    assert!(closed(&outputs[0]).is_empty() && closed(&outputs[1]).is_empty());
    assert_eq!(closed(&outputs[2]), [1]);
    peer.feed(Input::LinkDown(LinkId(1)));
    peer.advance(DENY_FOR - seconds(1));
    assert_eq!(closed(&peer.feed(link_input(2, 3, false, hello_of(3)))), [2]);
    peer.advance(seconds(1));
    assert!(closed(&peer.feed(link_input(3, 3, false, hello_of(3)))).is_empty());
    assert_eq!(peer.links(), [3]);
}

#[test]
fn r32_rejects_after_the_close_do_not_pile_up() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let forged = forged(1).pop().unwrap();
    for _copy in 0..100 {
        peer.gossip(3, Topic::Mesh, &forged);
    }
    assert!(peer.engine.links.rejects_of(key_of(3)) < REJECTS_MAX);
}

#[test]
fn r32_rejects_over_ten_minutes_apart_do_not_add_up() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    for bytes in forged(6) {
        assert!(closed(&peer.gossip(3, Topic::Mesh, &bytes)).is_empty());
        peer.advance(seconds(301));
    }
}

#[test]
fn r89_a_denied_peer_is_not_dialled_before_its_time_is_over() {
    let mut peer = Peer::new(2);
    let known = crate::login::PeerAddresses {
        peer: key_of(3),
        addresses: vec!["/ip4/10.0.0.3/tcp/4003".into()],
    };
    peer.feed(Input::Candidates(vec![known]));
    peer.link(1, 3);
    for bytes in forged(3) {
        peer.gossip(3, Topic::Mesh, &bytes);
    }
    let mut outputs = peer.feed(Input::LinkDown(LinkId(1)));
    outputs.extend(peer.advance(DENY_FOR - seconds(1)));
    assert!(super::harness::dialled(&outputs).is_empty());
    assert_eq!(super::harness::dialled(&peer.advance(seconds(2))), [key_of(3)]);
}

#[test]
fn r32_an_honest_forwarder_is_never_counted() {
    let mut peer = Peer::new(2);
    let strict = policy(2, |policy| {
        policy.rules[0].max_text_bytes = 3;
        let bob = testing::account("user4");
        let mute = crate::policy::SanctionKind::Mute;
        policy.sanctions.push(testing::sanction(mute, bob, T0, None));
    });
    peer.link(1, 3);
    peer.answer_policy(3, Some(strict.as_bytes().to_vec()));
    let ticket = Arc::new(super::harness::ticket_of(3, |_claims| {}));
    let moderation =
        testing::moderation(ModerationKind::Mute, "user4", T0, T0 + 1).content().clone();
    let moderation = Moderation { ticket: ticket.hash(), ..moderation };
    let no_moderator = SignedModeration::author(moderation, ticket, &testing::key(3)).unwrap();
    for _round in 0..3 {
        for (topic, bytes) in [
            (Topic::Mesh, text_by(3, "old", T0 - 600_001)),
            (Topic::Mesh, text_by(3, "new", T0 + 130_000)),
            (Topic::Mesh, text_by(3, "long", T0)),
            (Topic::Mesh, text_by(4, "mut", T0)),
            (Topic::Control, no_moderator.to_gossip()),
            (Topic::Control, presence_by(5, BOOT_OLD, 0, T0 - 86_400_000).to_vec()),
        ] {
            let outputs = peer.gossip(3, topic, &bytes);
            assert_eq!(verdict(&outputs), Acceptance::Ignore);
            assert!(closed(&outputs).is_empty());
        }
    }
}

const BOOT_OLD: u64 = 1;

#[test]
fn r31_a_known_kind_on_the_wrong_topic_is_rejected() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let presence = presence_by(3, 100, 0, T0);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &presence)), Acceptance::Reject);
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let text = text_by(3, "hello", T0);
    assert_eq!(verdict(&peer.gossip(3, Topic::Control, &text)), Acceptance::Reject);
    let document = policy(2, |_policy| {});
    let bare = peer.gossip(3, Topic::Control, document.as_bytes());
    assert_eq!(verdict(&bare), Acceptance::Reject);
}

#[test]
fn r31_topics_carry_the_realm() {
    let realm = crate::cose::public_key(&realm());
    let paths = Topic::ALL.map(|topic| topic.path(&realm));
    assert_eq!(paths[1], format!("/lanyard/1/{realm}/mesh"));
    assert_eq!(paths[0], format!("/lanyard/1/{realm}/direct"));
    assert_eq!(paths[2], format!("/lanyard/1/{realm}/control"));
}

#[test]
fn r31_only_the_first_subscription_on_a_link_is_answered() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    assert_eq!(published(&peer.advance(seconds(1)), Topic::Control).len(), 1);
    peer.subscribe(3);
    assert!(published(&peer.advance(seconds(1)), Topic::Control).is_empty());
}

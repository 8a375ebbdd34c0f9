//! What ends a membership: only what this peer has verified itself.

use std::sync::Arc;

use super::harness::{
    BOOT, Peer, closed, config_of, dialled, ended, key_of, policy, presence_by, realm, said,
    seconds,
};
use crate::engine::{EndReason, Input, Output, Topic};
use crate::hello::{Verdict, VerdictCode};
use crate::history::Maker;
use crate::login::PeerAddresses;
use crate::policy::SanctionKind;
use crate::presence::SignedPresence;
use crate::testing::{self, T0};

fn refused(verdict: Verdict) -> Input {
    Input::RefusedBy { peer: key_of(3), verdict }
}

fn superseded(proof: Option<&[u8]>) -> Input {
    let proof = proof.map(<[u8]>::to_vec);
    refused(Verdict { code: VerdictCode::Superseded, proof })
}

#[test]
fn r88_superseded_with_a_proof_by_our_own_key_ends() {
    let mut peer = Peer::new(2);
    let proof = presence_by(2, BOOT + 1, 0, T0);
    assert_eq!(ended(&peer.feed(superseded(Some(&proof)))), [EndReason::Superseded]);
    assert!(ended(&peer.feed(superseded(Some(&proof)))).is_empty(), "said once");
}

#[test]
fn r88_superseded_with_any_other_proof_or_none_ends_nothing() {
    let mut flipped = presence_by(2, BOOT + 1, 0, T0).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let ours = testing::ticket(&realm(), &testing::key(2), "user2");
    let newer = testing::presence(&realm(), &testing::key(2), "user2", BOOT + 1, 0, T0).presence;
    // Another key's signature under our ticket.
    let forged = SignedPresence::author(newer.clone(), Arc::new(ours), &testing::key(3));
    // Our own signature under a ticket of a made-up realm.
    let foreign = testing::ticket(&testing::key(9), &testing::key(2), "user2");
    let foreign = SignedPresence::author(newer, Arc::new(foreign), &testing::key(2));
    let proofs: [Option<&[u8]>; 7] = [
        None,
        Some(&[]),
        Some(&flipped),
        Some(&forged.pair),
        Some(&foreign.pair),
        // Genuine presences: of this very boot, and of another peer.
        Some(&presence_by(2, BOOT, 9, T0)),
        Some(&presence_by(3, BOOT + 1, 0, T0)),
    ];
    let mut peer = Peer::new(2);
    for (index, proof) in proofs.into_iter().enumerate() {
        assert!(ended(&peer.feed(superseded(proof))).is_empty(), "proof {index}");
    }
}

#[test]
fn r90_lying_verdicts_end_nothing() {
    let mut peer = Peer::new(2);
    for number in 0..=13 {
        let verdict = Verdict::plain(VerdictCode::from_number(number));
        assert!(ended(&peer.feed(refused(verdict))).is_empty(), "verdict {number}");
    }
    peer.link(1, 4);
    assert!(!said(&peer.say(1, "still here").1).is_empty());
}

#[test]
fn r88_a_presence_by_our_own_key_with_a_larger_boot_ends() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let echo = peer.gossip(3, Topic::Control, &presence_by(2, BOOT, 5, T0));
    assert!(ended(&echo).is_empty());
    let older = peer.gossip(3, Topic::Control, &presence_by(2, BOOT - 1, 0, T0));
    assert!(ended(&older).is_empty());
    let newer = peer.gossip(3, Topic::Control, &presence_by(2, BOOT + 1, 0, T0));
    assert_eq!(ended(&newer), [EndReason::Superseded]);
}

#[test]
fn r88_who_has_ended_dials_and_says_nothing_and_does_not_spin() {
    let mut peer = Peer::new(2);
    let known = PeerAddresses { peer: key_of(4), addresses: vec!["/ip4/10.0.0.4/tcp/4003".into()] };
    peer.feed(Input::Candidates(vec![known]));
    peer.link_with(1, 3, super::harness::hello_of(3));
    let proof = presence_by(2, BOOT + 1, 0, T0);
    peer.feed(superseded(Some(&proof)));
    peer.feed(Input::DialFailed(key_of(4)));
    let mut outputs = peer.subscribe(3);
    outputs.extend(peer.feed(Input::Listening(vec!["/ip4/10.0.0.2/tcp/4003".into()])));
    outputs.extend(peer.advance(seconds(300)));
    assert!(dialled(&outputs).is_empty());
    assert!(!outputs.iter().any(|output| matches!(output, Output::Publish { .. })));
}

fn sanctioned(number: u64, kind: SanctionKind, from: u64) -> crate::policy::SignedPolicy {
    policy(number, |policy| {
        policy.issued_at = from;
        policy.sanctions.push(testing::sanction(kind, testing::account("user2"), from, None));
    })
}

fn fetched(peer: &mut Peer, policy: &crate::policy::SignedPolicy) -> Vec<Output> {
    let bytes = Some(policy.as_bytes().to_vec());
    peer.answer_policy(3, bytes)
}

#[test]
fn r56_a_verified_policy_that_bans_or_cuts_us_ends() {
    let reason = || "a test".to_owned();
    let operator = || Maker::Operator("operator".to_owned());
    for (kind, expected) in [
        (
            SanctionKind::Ban,
            vec![EndReason::Banned { reason: reason(), by: operator(), until: None }],
        ),
        (SanctionKind::Revocation, vec![EndReason::Revocation { reason: reason() }]),
        (SanctionKind::Mute, vec![]),
    ] {
        let mut peer = Peer::new(2);
        let from = T0 + u64::from(kind == SanctionKind::Revocation) * 1_000;
        assert_eq!(ended(&fetched(&mut peer, &sanctioned(2, kind, from))), expected);
    }
}

#[test]
fn r56_a_ban_is_not_hidden_by_a_clock_that_is_a_little_slow() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let ban = sanctioned(2, SanctionKind::Ban, T0 + 1_500);
    assert_eq!(ended(&fetched(&mut peer, &ban)).len(), 1);

    // The same for the links of another peer.
    let mut other = Peer::new(4);
    other.link(1, 2);
    let mut outputs = fetched(&mut other, &ban);
    outputs.extend(other.advance(seconds(1)));
    assert_eq!(closed(&outputs), [1]);
}

#[test]
fn r53_a_ban_that_begins_later_ends_a_membership_then() {
    let mut peer = Peer::new(2);
    let ban = policy(2, |policy| {
        let me = testing::account("user2");
        policy.sanctions.push(testing::sanction(SanctionKind::Ban, me, T0 + 60_000, None));
    });
    assert!(ended(&fetched(&mut peer, &ban)).is_empty());
    assert!(ended(&peer.advance(seconds(59))).is_empty());
    assert_eq!(ended(&peer.advance(seconds(12))).len(), 1);
}

#[test]
fn r56_a_stored_policy_that_bans_us_ends_at_the_start() {
    let mut config = config_of(2);
    config.policy = sanctioned(2, SanctionKind::Ban, T0);
    let (_peer, outputs) = Peer::start(config);
    assert_eq!(ended(&outputs).len(), 1);
}

#[test]
fn r56_a_policy_that_the_realm_has_not_signed_ends_nothing() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let mut document = sanctioned(2, SanctionKind::Ban, T0).policy().clone();
    document.number = 9;
    let forged = crate::policy::SignedPolicy::sign(document, &testing::key(3)).unwrap();
    assert!(ended(&fetched(&mut peer, &forged)).is_empty());
    assert_eq!(peer.engine.signed_policy().policy().number, 1);
}

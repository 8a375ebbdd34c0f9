//! Policy numbers: which peers are asked, what is adopted, and whom a new policy condemns.

use super::harness::{
    Peer, closed, dialled, fetched, hello_of, key_of, link_input, millis, policy, published, realm,
    seconds, ticket_of, verdict,
};
use crate::engine::{Event, Input, LinkId, Output, Topic};
use crate::hello::Hello;
use crate::links::POLICY_DEADLINE;
use crate::policy::{SanctionKind, SignedPolicy};
use crate::policy_sync::POLICY_RETRY;
use crate::testing::{self, T0};
use crate::verdict::Acceptance;

fn answer(peer: &mut Peer, from: u8, policy: &SignedPolicy) -> Vec<Output> {
    let bytes = Some(policy.as_bytes().to_vec());
    peer.answer_policy(from, bytes)
}

fn adopted(outputs: &[Output]) -> Vec<u64> {
    let number_of = |output: &Output| match output {
        Output::StorePolicy(policy) => Some(policy.policy().number),
        _other => None,
    };
    outputs.iter().filter_map(number_of).collect()
}

/// A Hello whose ticket names a policy.
fn naming(number: u8, policy: u64) -> Hello {
    let ticket = ticket_of(number, |claims| claims.policy = policy);
    Hello { policy, ticket: ticket.as_bytes().to_vec(), ..hello_of(number) }
}

#[test]
fn r56_a_higher_number_is_fetched_from_who_showed_it() {
    let mut in_the_hello = Peer::new(2);
    let hello = Hello { policy: 5, ..hello_of(3) };
    assert_eq!(fetched(&in_the_hello.link_with(1, 3, hello)), [(key_of(3), 5)]);

    let mut in_the_ticket = Peer::new(2);
    let hello = Hello { policy: 1, ..naming(3, 5) };
    assert_eq!(fetched(&in_the_ticket.link_with(1, 3, hello)), [(key_of(3), 5)]);

    let mut in_a_head = Peer::new(2);
    in_a_head.link(1, 3);
    let head = policy(5, |_policy| {}).sign_head(&realm());
    let outputs = in_a_head.gossip(3, Topic::Control, &head);
    assert_eq!(verdict(&outputs), Acceptance::Accept);
    assert_eq!(fetched(&outputs), [(key_of(3), 5)]);

    let mut up_to_date = Peer::new(2);
    assert!(fetched(&up_to_date.link_with(1, 3, hello_of(3))).is_empty());
}

#[test]
fn r56_a_neighbour_is_asked_once_until_it_answers() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let head = |number| policy(number, |_policy| {}).sign_head(&realm());
    assert_eq!(fetched(&peer.gossip(3, Topic::Control, &head(5))).len(), 1);
    assert!(fetched(&peer.gossip(3, Topic::Control, &head(6))).is_empty());
    peer.answer_policy(3, None);
    assert_eq!(fetched(&peer.gossip(3, Topic::Control, &head(7))), [(key_of(3), 7)]);
}

#[test]
fn r56_a_head_without_its_document_leaves_nobody_behind() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    peer.link(2, 4);
    let newer = policy(5, |_policy| {});
    let head = newer.sign_head(&realm());
    assert_eq!(fetched(&peer.gossip(3, Topic::Control, &head)), [(key_of(3), 5)]);
    assert!(fetched(&peer.answer_policy(3, None)).is_empty());
    let mut asked: Vec<_> = fetched(&peer.advance(POLICY_RETRY));
    asked.extend(fetched(&peer.advance(POLICY_RETRY)));
    asked.sort_unstable();
    let mut everybody = vec![(key_of(3), 5), (key_of(4), 5)];
    everybody.sort_unstable();
    assert_eq!(asked, everybody);
    let bytes = Some(newer.as_bytes().to_vec());
    peer.answer_policy(4, bytes);
    assert_eq!(peer.engine.signed_policy().policy().number, 5);
    peer.answer_policy(3, None);
    assert!(fetched(&peer.advance(POLICY_RETRY * 3)).is_empty());
}

#[test]
fn r55_heads_are_accepted_ignored_or_rejected() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let current = peer.engine.signed_policy().sign_head(&realm());
    let older = policy(0, |_policy| {}).sign_head(&realm());
    let forged = policy(9, |_policy| {}).sign_head(&testing::key(3));
    assert_eq!(verdict(&peer.gossip(3, Topic::Control, &current)), Acceptance::Accept);
    assert_eq!(verdict(&peer.gossip(3, Topic::Control, &older)), Acceptance::Ignore);
    let outputs = peer.gossip(3, Topic::Control, &forged);
    assert_eq!(verdict(&outputs), Acceptance::Reject);
    assert!(fetched(&outputs).is_empty());
}

#[test]
fn r51_only_what_is_newer_is_adopted() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let newer = policy(5, |_policy| {});
    let outputs = answer(&mut peer, 3, &newer);
    assert_eq!(adopted(&outputs), [5]);
    let told =
        outputs.iter().any(|output| matches!(output, Output::Event(Event::Policy { number: 5 })));
    assert!(told, "{outputs:?}");
    assert!(adopted(&answer(&mut peer, 3, &newer)).is_empty());
    assert!(adopted(&answer(&mut peer, 3, &policy(4, |_policy| {}))).is_empty());
    // With equal numbers the larger hash wins, and so the same policy everywhere, whichever came first.
    let twin = policy(5, |policy| policy.name = "Twin".into());
    let (smaller, larger) = if twin.rank() > newer.rank() { (newer, twin) } else { (twin, newer) };
    let mut other = Peer::new(4);
    assert_eq!(adopted(&answer(&mut other, 3, &smaller)), [5]);
    assert_eq!(adopted(&answer(&mut other, 3, &larger)), [5]);
    assert!(adopted(&answer(&mut other, 3, &smaller)).is_empty());
}

#[test]
fn r56_made_up_documents_count_as_rejects() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let fake = SignedPolicy::sign(policy(9, |_policy| {}).policy().clone(), &testing::key(3));
    let fake = fake.unwrap();
    assert!(closed(&answer(&mut peer, 3, &fake)).is_empty());
    assert!(closed(&answer(&mut peer, 3, &fake)).is_empty());
    assert_eq!(closed(&answer(&mut peer, 3, &fake)), [1]);
    assert_eq!(peer.engine.signed_policy().policy().number, 1);
}

#[test]
fn r56_a_new_policy_closes_links_of_the_banned_in_a_second() {
    let mut peer = Peer::new(2);
    for (id, number) in [(1, 3), (2, 4), (3, 5), (4, 6)] {
        peer.link(id, number);
    }
    let harsh = policy(5, |policy| {
        let until = T0 + 60_000;
        policy.sanctions = vec![
            testing::sanction(SanctionKind::Ban, testing::account("user3"), T0, Some(until)),
            testing::sanction(
                SanctionKind::Revocation,
                testing::account("user4"),
                T0 + 1_000,
                None,
            ),
            testing::sanction(SanctionKind::Mute, testing::account("user5"), T0, None),
        ];
    });
    let mut outputs = answer(&mut peer, 6, &harsh);
    outputs.extend(peer.advance(seconds(1)));
    assert_eq!(closed(&outputs), [1, 2]);
    for id in [1, 2] {
        peer.feed(Input::LinkDown(LinkId(id)));
    }
    assert_eq!(closed(&peer.feed(link_input(9, 3, false, hello_of(3)))), [9]);
    assert_eq!(peer.links(), [3, 4]);
}

#[test]
fn r56_a_peer_must_show_the_policy_its_ticket_names() {
    let mut peer = Peer::new(2);
    let known = crate::login::PeerAddresses {
        peer: key_of(3),
        addresses: vec!["/ip4/10.0.0.3/tcp/4003".into()],
    };
    peer.feed(Input::Candidates(vec![known]));
    peer.link_with(1, 3, naming(3, 5));
    peer.subscribe(3);
    peer.answer_policy(3, None);
    assert!(closed(&peer.advance(POLICY_DEADLINE - millis(1))).is_empty());
    assert_eq!(closed(&peer.advance(millis(1))), [1]);
    peer.feed(Input::LinkDown(LinkId(1)));
    assert!(dialled(&peer.advance(seconds(60))).is_empty(), "not dialled again at once");
}

#[test]
fn r56_who_shows_it_in_time_or_only_boasts_in_its_hello_stays() {
    let mut peer = Peer::new(2);
    peer.link_with(1, 3, naming(3, 5));
    peer.subscribe(3);
    peer.link_with(2, 4, Hello { policy: 1_000, ..hello_of(4) });
    peer.subscribe(4);
    answer(&mut peer, 3, &policy(5, |_policy| {}));
    assert!(closed(&peer.advance(POLICY_DEADLINE * 2)).is_empty());
}

#[test]
fn r55_the_member_publishes_the_head_of_a_new_policy() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let newer = policy(5, |_policy| {});
    let head = newer.sign_head(&realm());
    let outputs = peer.feed(Input::PublishPolicy { policy: newer, head: head.clone() });
    assert_eq!(published(&outputs, Topic::Control), [head]);
    assert_eq!(adopted(&outputs), [5]);
}

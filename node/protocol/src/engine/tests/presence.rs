//! Presence: which devices came and went, and what is not believed.

use super::harness::{
    BOOT, Peer, key_of, millis, policy, presence_by, presences, published, realm, seconds,
    ticket_of, verdict,
};
use crate::engine::{Input, LinkId, Output, Topic};
use crate::ids::Role;
use crate::policy::SanctionKind;
use crate::presence::{BYE, HERE, Presence, SignedPresence};
use crate::roster::Reason;
use crate::roster::{LOST_AFTER, PRESENCE_REFRESH_MIN};
use crate::testing::{self, T0};
use crate::ticket::Ticket;
use crate::verdict::{Acceptance, Refused};

const DAY_MS: u64 = 86_400_000;

fn bye_by(number: u8, n: u64, at: u64) -> Vec<u8> {
    let presence = Presence { boot: BOOT, n, at, status: BYE.into(), listen: Vec::new() };
    let ticket = std::sync::Arc::new(ticket_of(number, |_claims| {}));
    SignedPresence::author(presence, ticket, &testing::key(number)).pair.to_vec()
}

fn own_presences(outputs: &[Output]) -> Vec<Presence> {
    let realm = crate::cose::public_key(&realm());
    let read = |bytes: Vec<u8>| {
        let ticket_of = |ticket: &[u8]| {
            Ticket::verify(ticket, &realm).map(std::sync::Arc::new).map_err(Refused::Ticket)
        };
        SignedPresence::verify(&bytes, ticket_of).unwrap().presence
    };
    published(outputs, Topic::Control).into_iter().map(read).collect()
}

#[test]
fn r72_here_joined_left_and_lost() {
    let mut peer = Peer::new(2);
    let hello = |number, boot| crate::hello::Hello { boot, ..super::harness::hello_of(number) };
    let older = peer.link_with(1, 3, hello(3, BOOT - 1));
    assert_eq!(presences(&older), [(key_of(3), Reason::Here)]);
    let newer = peer.link_with(2, 4, hello(4, BOOT + 1));
    assert_eq!(presences(&newer), [(key_of(4), Reason::Joined)]);
    peer.subscribe(3);
    peer.subscribe(4);
    assert_eq!(
        presences(&peer.gossip(3, Topic::Control, &bye_by(3, 1, T0))),
        [(key_of(3), Reason::Left)]
    );
    peer.feed(Input::LinkDown(LinkId(2)));
    assert!(presences(&peer.advance(LOST_AFTER - millis(1))).is_empty());
    assert_eq!(presences(&peer.advance(millis(1))), [(key_of(4), Reason::Lost)]);
}

#[test]
fn r72_a_new_boot_of_one_still_shown_changes_nothing() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let mut outputs = peer.feed(Input::LinkDown(LinkId(1)));
    let restarted = crate::hello::Hello { boot: BOOT + 1, ..super::harness::hello_of(3) };
    outputs.extend(peer.link_with(2, 3, restarted));
    outputs.extend(peer.subscribe(3));
    outputs.extend(peer.advance(seconds(60)));
    assert!(presences(&outputs).is_empty());
}

#[test]
fn r72_the_member_and_ourselves_are_never_told() {
    let mut peer = Peer::new(2);
    let member = ticket_of(7, |claims| claims.role = Role::Authority);
    let hello =
        crate::hello::Hello { ticket: member.as_bytes().to_vec(), ..super::harness::hello_of(7) };
    assert!(presences(&peer.link_with(1, 7, hello)).is_empty());
    assert_eq!(peer.links(), [1]);
    assert_eq!(peer.engine.roster().people().count(), 0);
    let own = peer.gossip(7, Topic::Control, &presence_by(2, BOOT, 0, T0));
    assert!(presences(&own).is_empty());
    assert_eq!(verdict(&own), Acceptance::Ignore);
}

#[test]
fn r74_replayed_and_yesterdays_presence_bring_no_ghost() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let ghosts = [presence_by(4, BOOT, 0, T0 - DAY_MS), presence_by(4, BOOT, 0, T0 + 120_001)];
    for ghost in ghosts {
        let outputs = peer.gossip(3, Topic::Control, &ghost);
        assert_eq!(verdict(&outputs), Acceptance::Ignore);
        assert!(presences(&outputs).is_empty());
    }
    let true_one = presence_by(4, BOOT, 1, T0);
    let first = peer.gossip(3, Topic::Control, &true_one);
    assert_eq!(verdict(&first), Acceptance::Accept);
    assert_eq!(presences(&first).len(), 1);
    peer.gossip(3, Topic::Control, &bye_by(4, 2, T0));
    let replay = peer.gossip(3, Topic::Control, &true_one);
    assert_eq!(verdict(&replay), Acceptance::Ignore);
    assert!(presences(&replay).is_empty());
    assert_eq!(peer.engine.roster().online().count(), 1);
}

#[test]
fn r73_old_words_do_not_keep_a_lost_neighbour() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    peer.link(2, 4);
    peer.advance(seconds(5));
    peer.feed(Input::LinkDown(LinkId(1)));
    peer.gossip(4, Topic::Control, &presence_by(3, BOOT, 1, T0 + 4_000));
    assert_eq!(presences(&peer.advance(LOST_AFTER)), [(key_of(3), Reason::Lost)]);

    let mut peer = Peer::new(2);
    peer.link(1, 3);
    peer.link(2, 4);
    peer.advance(seconds(5));
    peer.feed(Input::LinkDown(LinkId(1)));
    peer.advance(seconds(1));
    peer.gossip(4, Topic::Control, &presence_by(3, BOOT, 1, T0 + 6_000));
    assert!(presences(&peer.advance(LOST_AFTER)).is_empty());
}

#[test]
fn r71_a_forged_presence_is_rejected_and_a_banned_one_ignored() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let mut forged = presence_by(4, BOOT, 0, T0).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(verdict(&peer.gossip(3, Topic::Control, &forged)), Acceptance::Reject);
    let ban = policy(2, |policy| {
        let him = testing::account("user4");
        policy.sanctions.push(testing::sanction(SanctionKind::Ban, him, T0, None));
    });
    peer.answer_policy(3, Some(ban.as_bytes().to_vec()));
    let banned = peer.gossip(3, Topic::Control, &presence_by(4, BOOT, 0, T0));
    assert_eq!(verdict(&banned), Acceptance::Ignore);
    assert!(presences(&banned).is_empty());
}

#[test]
fn r71_a_presence_under_a_ticket_that_is_over_is_ignored() {
    for (ends_in_s, expected) in [(1, Acceptance::Accept), (0, Acceptance::Ignore)] {
        let mut peer = Peer::new(2);
        peer.link(1, 3);
        let ticket = ticket_of(4, |claims| {
            claims.issued_at_s -= 60;
            claims.expires_at_s = T0 / 1_000 + ends_in_s;
        });
        let presence =
            Presence { boot: BOOT, n: 0, at: T0, status: HERE.into(), listen: Vec::new() };
        let ticket = std::sync::Arc::new(ticket);
        let pair = SignedPresence::author(presence, ticket, &testing::key(4)).pair;
        let outputs = peer.gossip(3, Topic::Control, &pair);
        assert_eq!(verdict(&outputs), expected);
        assert_eq!(presences(&outputs).len(), usize::from(expected == Acceptance::Accept));
    }
}

#[test]
fn r70_presence_follows_a_subscription_and_is_refreshed() {
    let mut peer = Peer::new(2);
    peer.feed(Input::Listening(vec!["/ip4/10.0.0.2/tcp/4003".into()]));
    peer.link(1, 3);
    let soon = own_presences(&peer.advance(seconds(1)));
    assert_eq!(soon.len(), 1, "one for all that happened at once");
    assert_eq!((soon[0].boot, soon[0].n), (BOOT, 0));
    assert_eq!(soon[0].status, HERE);
    assert_eq!(soon[0].listen, ["/ip4/10.0.0.2/tcp/4003"]);
    let later = own_presences(&peer.advance(PRESENCE_REFRESH_MIN));
    assert_eq!(later.iter().map(|presence| presence.n).collect::<Vec<_>>(), [1]);
}

#[test]
fn r70_after_goodbye_nothing_follows() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let bye = own_presences(&peer.feed(Input::Quit));
    assert_eq!(bye.iter().map(|presence| presence.status.as_str()).collect::<Vec<_>>(), [BYE]);
    let mut outputs = peer.link(2, 4);
    outputs.extend(peer.feed(Input::Listening(vec!["/ip4/10.0.0.2/tcp/1".into()])));
    outputs.extend(peer.advance(seconds(200)));
    assert!(own_presences(&outputs).is_empty(), "a late `here` would bring a ghost");
}

#[test]
fn r70_addresses_in_presence_are_candidates() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let listen = vec!["/ip4/10.0.0.4/tcp/4003".to_owned()];
    let presence = Presence { boot: BOOT, n: 0, at: T0, status: HERE.into(), listen };
    let ticket = std::sync::Arc::new(ticket_of(4, |_claims| {}));
    let pair = SignedPresence::author(presence, ticket, &testing::key(4)).pair;
    let mut outputs = peer.gossip(3, Topic::Control, &pair).outputs;
    let kept = outputs
        .iter()
        .any(|output| matches!(output, Output::StorePeer(found) if found.peer == key_of(4)));
    assert!(kept, "{outputs:?}");
    outputs.extend(peer.advance(seconds(1)));
    assert_eq!(super::harness::dialled(&outputs), [key_of(4)]);
}

//! Links: boots, duplicates, deaf and expired peers, and clocks.

use super::harness::{
    BOOT, Peer, closed, dialled, hello_of, key_of, link_input, millis, presence_by, presences,
    published, realm, seconds, ticket_of, verdict,
};
use crate::admission;
use crate::engine::{Event, Input, LinkId, Output, Topic};
use crate::hello::{Hello, Verdict, VerdictCode};
use crate::limits::LINK_GRACE_MS;
use crate::links::{DUPLICATE_CLOSE, SUBSCRIBE_DEADLINE, SUBSCRIBE_PER_LINK};
use crate::login::PeerAddresses;
use crate::roster::Reason;
use crate::testing::{T0, WEEK_S};
use crate::verdict::Acceptance;

fn with_boot(number: u8, boot: u64) -> Hello {
    Hello { boot, ..hello_of(number) }
}

/// Our gate was busy for the peer with this number.
fn refused(number: u8, boot: u64, dialled: bool) -> Input {
    Input::Refused { peer: key_of(number), boot, code: VerdictCode::Busy, dialled }
}

#[test]
fn r87_a_larger_boot_closes_the_older_link_wherever_it_is_seen() {
    let mut in_a_hello = Peer::new(2);
    in_a_hello.link(1, 3);
    assert_eq!(closed(&in_a_hello.link_with(2, 3, with_boot(3, BOOT + 1))), [1, 2]);
    in_a_hello.feed(Input::LinkDown(LinkId(1)));
    assert!(closed(&in_a_hello.link_with(3, 3, with_boot(3, BOOT + 1))).is_empty());

    let mut at_the_gate = Peer::new(2);
    at_the_gate.link(1, 3);
    assert_eq!(closed(&at_the_gate.feed(refused(3, BOOT + 1, false))), [1]);

    let mut in_a_presence = Peer::new(2);
    in_a_presence.link(1, 3);
    let presence = presence_by(3, BOOT + 1, 0, T0);
    assert_eq!(closed(&in_a_presence.gossip(3, Topic::Control, &presence)), [1]);
}

#[test]
fn r88_a_link_with_a_smaller_boot_than_known_is_closed() {
    let mut peer = Peer::new(2);
    peer.link(1, 4);
    peer.gossip(4, Topic::Control, &presence_by(3, BOOT + 1, 0, T0));
    assert_eq!(closed(&peer.link_with(2, 3, hello_of(3))), [2]);
    assert_eq!(peer.links(), [1]);
}

#[test]
fn r88_the_view_for_the_gate_carries_the_proof() {
    let mut peer = Peer::new(2);
    peer.link(1, 4);
    let pair = presence_by(3, BOOT + 1, 0, T0);
    let outputs = peer.gossip(4, Topic::Control, &pair);
    let Some(Output::View(view)) = outputs.first() else { panic!("no view: {outputs:?}") };
    let refused = admission::judge(view, key_of(3), hello_of(3), peer.now).unwrap_err();
    let expected = Verdict { code: VerdictCode::Superseded, proof: Some(pair.to_vec()) };
    assert_eq!(refused, expected);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Relayed,
}

fn new_link(id: u64, number: u8, dialled: bool, way: Way) -> Input {
    let mut input = link_input(id, number, dialled, hello_of(number));
    if let Input::LinkUp(link) = &mut input {
        link.relayed = way == Way::Relayed;
    }
    input
}

/// Which links the peers 2 and 3 close, out of links 1 and 2. `links`: whether peer 2 dialled it, and its way.
fn duplicates(links: [(bool, Way); 2], moderation_at_3: [usize; 2]) -> (Vec<u64>, Vec<u64>) {
    let (mut a, mut b) = (Peer::new(2), Peer::new(3));
    for (index, (by_a, way)) in links.into_iter().enumerate() {
        a.feed(new_link(index as u64 + 1, 3, by_a, way));
    }
    for index in moderation_at_3 {
        let (by_a, way) = links[index];
        b.feed(new_link(index as u64 + 1, 2, !by_a, way));
    }
    a.subscribe(3);
    b.subscribe(2);
    assert!(closed(&a.advance(DUPLICATE_CLOSE - millis(1))).is_empty());
    (closed(&a.advance(millis(1))), closed(&b.advance(DUPLICATE_CLOSE)))
}

#[test]
fn r94_both_sides_keep_the_link_that_the_smaller_key_dialled() {
    let a_is_smaller = key_of(2) < key_of(3);
    let loser = if a_is_smaller { 2 } else { 1 };
    for moderation in [[0, 1], [1, 0]] {
        let (by_a, by_b) = duplicates([(true, Way::Direct), (false, Way::Direct)], moderation);
        assert_eq!((by_a, by_b), (vec![loser], vec![loser]));
    }
}

#[test]
fn r94_a_direct_link_stays_before_a_relayed_one() {
    for by_a in [true, false] {
        let (at_a, at_b) = duplicates([(by_a, Way::Relayed), (!by_a, Way::Direct)], [1, 0]);
        assert_eq!((at_a, at_b), (vec![1], vec![1]));
    }
}

#[test]
fn r94_the_dialler_of_both_links_keeps_its_first() {
    for moderation in [[0, 1], [1, 0]] {
        let (at_a, at_b) = duplicates([(true, Way::Direct), (true, Way::Direct)], moderation);
        assert_eq!((at_a, at_b), (vec![2], vec![]));
    }
}

#[test]
fn r95_a_deaf_link_is_closed_after_two_seconds() {
    let mut peer = Peer::new(2);
    peer.link_with(1, 3, hello_of(3));
    peer.link(2, 4);
    peer.feed(Input::Subscribed { peer: key_of(3), topic: Topic::Mesh });
    assert!(closed(&peer.advance(SUBSCRIBE_DEADLINE - millis(1))).is_empty());
    assert_eq!(closed(&peer.advance(millis(1))), [1]);
    peer.feed(Input::LinkDown(LinkId(1)));
    assert!(closed(&peer.advance(seconds(30))).is_empty());
}

#[test]
fn r95_where_many_links_come_up_at_once_each_may_take_longer() {
    let mut peer = Peer::new(2);
    for number in 3..13 {
        peer.link_with(u64::from(number), number, hello_of(number));
    }
    let crowd = SUBSCRIBE_DEADLINE + SUBSCRIBE_PER_LINK * 9;
    assert!(closed(&peer.advance(crowd - millis(1))).is_empty());
    assert_eq!(closed(&peer.advance(millis(1))).len(), 10);
}

/// Seconds from now until the ticket of peer 3 is over, including the grace period.
const SHORT_LIFE_S: u64 = 60;

fn soon_over(number: u8) -> Hello {
    let ticket = ticket_of(number, |claims| {
        claims.expires_at_s = T0 / 1_000 + SHORT_LIFE_S - LINK_GRACE_MS / 1_000;
        claims.issued_at_s = claims.expires_at_s - WEEK_S;
    });
    Hello { ticket: ticket.as_bytes().to_vec(), ..hello_of(number) }
}

#[test]
fn r95_a_link_stands_until_its_ticket_is_over_by_five_minutes() {
    let mut peer = Peer::new(2);
    assert!(closed(&peer.link_with(1, 3, soon_over(3))).is_empty());
    peer.subscribe(3);
    assert!(closed(&peer.advance(seconds(SHORT_LIFE_S) - millis(1))).is_empty());
    assert_eq!(closed(&peer.advance(seconds(9))), [1]);
    peer.feed(Input::LinkDown(LinkId(1)));
    assert_eq!(closed(&peer.link_with(2, 3, soon_over(3))), [2]);
}

#[test]
fn r95_a_ticket_renewed_by_presence_keeps_the_link() {
    let mut peer = Peer::new(2);
    peer.link_with(1, 3, soon_over(3));
    peer.subscribe(3);
    let presence = presence_by(3, BOOT, 1, T0);
    assert_eq!(verdict(&peer.gossip(3, Topic::Control, &presence)), Acceptance::Accept);
    assert!(closed(&peer.advance(seconds(SHORT_LIFE_S + 60))).is_empty());
}

#[test]
fn r90_the_engine_judges_a_second_time() {
    let mut peer = Peer::new(2);
    let stolen = Hello { ticket: hello_of(4).ticket, ..hello_of(3) };
    assert_eq!(closed(&peer.link_with(1, 3, stolen)), [1]);
    let expired = ticket_of(3, |claims| {
        (claims.issued_at_s, claims.expires_at_s) = (T0 / 1_000 - 9_000, T0 / 1_000 - 3_600);
    });
    let late = Hello { ticket: expired.as_bytes().to_vec(), ..hello_of(3) };
    assert_eq!(closed(&peer.link_with(2, 3, late)), [2]);
    assert_eq!(closed(&peer.feed(link_input(3, 2, false, hello_of(2)))), [3]);
    assert!(peer.links().is_empty());
    assert_eq!(peer.engine.roster().online().count(), 0);
}

#[test]
fn r6_three_accounts_correct_a_clock_and_the_user_hears_of_it() {
    let mut peer = Peer::new(2);
    let later = |number| Hello { time: T0 + 600_000, ..hello_of(number) };
    for (id, number) in [(1, 3), (2, 4)] {
        peer.link_with(id, number, later(number));
    }
    // A second device of an account does not count as a second account.
    let twin = ticket_of(6, |claims| claims.account = crate::testing::account("user4"));
    let twin = Hello { ticket: twin.as_bytes().to_vec(), ..later(6) };
    peer.link_with(3, 6, twin);
    assert_eq!(peer.engine.clock().offset_ms(), 0);
    let outputs = peer.link_with(4, 5, later(5));
    assert_eq!(peer.engine.clock().offset_ms(), 600_000);
    let told = outputs.iter().any(|output| {
        matches!(output, Output::Event(Event::Notice { code: "clock-corrected", .. }))
    });
    assert!(told, "{outputs:?}");
}

#[test]
fn r6_one_liar_among_honest_accounts_corrects_nothing() {
    let mut peer = Peer::new(2);
    peer.link_with(1, 3, Hello { time: T0 + 86_400_000, ..hello_of(3) });
    for (id, number) in [(2, 4), (3, 5)] {
        peer.link_with(id, number, hello_of(number));
    }
    assert_eq!(peer.engine.clock().offset_ms(), 0);
}

fn candidate(number: u8) -> PeerAddresses {
    PeerAddresses { peer: key_of(number), addresses: vec!["/ip4/10.0.0.3/tcp/4003".into()] }
}

#[test]
fn r92_candidates_are_dialled_and_a_linked_peer_is_not() {
    let mut peer = Peer::new(2);
    let mut outputs = peer.feed(Input::Candidates(vec![candidate(3), candidate(4)]));
    outputs.extend(peer.link(1, 3));
    outputs.extend(peer.feed(Input::DialFailed(key_of(4))));
    outputs.extend(peer.advance(seconds(2)));
    let to = |number| dialled(&outputs).iter().filter(|peer| **peer == key_of(number)).count();
    assert!(to(3) <= 1, "only before the link stood");
    assert!(to(4) >= 2 || key_of(4) < key_of(2), "{outputs:?}");
}

#[test]
fn r92_a_network_change_retries_failed_dials_at_once() {
    let mut peer = Peer::new(2);
    peer.feed(Input::Candidates(vec![candidate(4)]));
    for _failure in 0..8 {
        // Longer than the peer ever waits, so it is dialling now.
        peer.advance(seconds(60));
        peer.feed(Input::DialFailed(key_of(4)));
    }
    assert!(dialled(&peer.advance(seconds(1))).is_empty(), "it waits between dials by now");
    let mut outputs = peer.feed(Input::NetworkChanged);
    outputs.extend(peer.advance(millis(1)));
    assert_eq!(dialled(&outputs), [key_of(4)]);
}

#[test]
fn r90_a_refusal_while_linked_does_not_dial_a_second_link() {
    let mut peer = Peer::new(2);
    peer.feed(Input::Candidates(vec![candidate(3)]));
    peer.link(1, 3);
    let verdict = Verdict::plain(VerdictCode::Denied);
    peer.feed(Input::RefusedBy { peer: key_of(3), verdict });
    assert!(dialled(&peer.advance(seconds(60))).is_empty());
}

/// Our gate's verdict on the peer with this number, which dials us with this boot.
fn at_the_gate(of: &Peer, number: u8, boot: u64) -> VerdictCode {
    let (view, hello) = (of.view.as_ref().unwrap(), with_boot(number, boot));
    let side = admission::Side::Listener;
    admission::judge(view, key_of(number), hello, of.now)
        .and_then(|admission| {
            let hello = admission.hello();
            admission::judge_redundancy(view, key_of(number), hello, side, of.now)
        })
        .map_or_else(|verdict| verdict.code, |()| VerdictCode::Accepted)
}

/// A peer whose key is smaller than that of the peer it dials, with the number of that peer.
fn dialling_a_larger() -> (Peer, u8) {
    let (me, other) = if key_of(2) < key_of(3) { (2, 3) } else { (3, 2) };
    let mut peer = Peer::new(me);
    assert_eq!(dialled(&peer.feed(Input::Candidates(vec![candidate(other)]))), [key_of(other)]);
    (peer, other)
}

#[test]
fn r98_a_dialled_peer_gets_in_once_the_dial_is_over() {
    let failed = |number| Input::DialFailed(key_of(number));
    let busy = |number| Input::RefusedBy {
        peer: key_of(number),
        verdict: Verdict::plain(VerdictCode::Busy),
    };
    let stolen = |number| {
        let hello = Hello { ticket: hello_of(4).ticket, ..hello_of(number) };
        link_input(1, number, true, hello)
    };
    for end in [failed, busy, stolen] {
        let (mut peer, other) = dialling_a_larger();
        assert_eq!(at_the_gate(&peer, other, BOOT), VerdictCode::Busy);
        peer.feed(refused(other, BOOT, false));
        peer.feed(end(other));
        assert_eq!(at_the_gate(&peer, other, BOOT), VerdictCode::Accepted);
    }
}

#[test]
fn r90_an_older_start_is_not_redialled_like_a_busy_peer() {
    let (mut peer, other) = dialling_a_larger();
    peer.feed(refused(other, BOOT + 1, false));
    peer.feed(refused(other, BOOT, true));
    let mut dials = 0;
    for _tenth in 0..70 {
        if !dialled(&peer.advance(millis(100))).is_empty() {
            dials += 1;
            assert_eq!(at_the_gate(&peer, other, BOOT + 1), VerdictCode::Busy);
            peer.feed(refused(other, BOOT, true));
        }
        assert_eq!(at_the_gate(&peer, other, BOOT + 1), VerdictCode::Accepted);
    }
    assert_eq!(dials, 3, "in seven seconds: after 0.5, 1 and 2 of them");
}

#[test]
fn r80_two_engines_meet_through_their_gates_and_part() {
    let (mut a, mut b) = (Peer::new(2), Peer::new(3));
    let hello_of = |peer: &Peer| peer.view.as_ref().unwrap().hello_at(peer.now);
    let (from_a, from_b) = (hello_of(&a), hello_of(&b));
    let judged = |by: &Peer, peer, hello: &Hello| {
        admission::judge(by.view.as_ref().unwrap(), peer, hello.clone(), by.now).is_ok()
    };
    assert!(judged(&b, key_of(2), &from_a) && judged(&a, key_of(3), &from_b));
    let seen_by_a = a.feed(link_input(1, 3, true, from_b));
    let seen_by_b = b.feed(link_input(1, 2, false, from_a));
    assert_eq!(presences(&seen_by_a), [(key_of(3), Reason::Joined)]);
    assert_eq!(presences(&seen_by_b), [(key_of(2), Reason::Joined)]);
    a.subscribe(3);
    b.subscribe(2);
    for bytes in published(&a.advance(seconds(1)), Topic::Control) {
        let outputs = b.gossip(2, Topic::Control, &bytes);
        assert_eq!(verdict(&outputs), Acceptance::Accept);
        assert!(presences(&outputs).is_empty(), "seen already");
    }
    let bye = published(&a.feed(Input::Quit), Topic::Control).pop().unwrap();
    assert_eq!(presences(&b.gossip(2, Topic::Control, &bye)), [(key_of(2), Reason::Left)]);
    b.feed(Input::LinkDown(LinkId(1)));
    assert!(presences(&b.advance(seconds(60))).is_empty());
}

#[test]
fn the_first_output_is_the_view_for_the_gate() {
    let (peer, outputs) = Peer::start(super::harness::config_of(2));
    let Some(Output::View(view)) = outputs.first() else { panic!("no view: {outputs:?}") };
    assert_eq!((view.own.peer, view.own.boot), (key_of(2), BOOT));
    assert_eq!(view.own.realm, crate::cose::public_key(&realm()));
    assert_eq!(view.hello_at(peer.now).time, T0);
}

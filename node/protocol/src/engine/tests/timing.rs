//! Clocks that are wrong, or that somebody sets.

use super::harness::{Peer, hello_of, millis, presence_by, seconds, text_by, verdict};
use crate::engine::{Input, Output, Topic};
use crate::hello::Hello;
use crate::limits::PRESENCES_BURST;
use crate::message::Acceptance;
use crate::testing::T0;

const YEAR_MS: u64 = 365 * 86_400_000;

fn forgets(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Forget { .. }))
}

#[test]
fn r48_a_clock_that_runs_a_year_ahead_deletes_nothing_and_the_realm_s_word_does() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &text_by(3, "kept", T0))), Acceptance::Accept);
    peer.now.wall_ms += YEAR_MS;
    assert!(!forgets(&peer.advance(seconds(60))));
    assert_eq!(peer.engine.law().set().len(), 1);
    peer.feed(Input::RealmTime(T0 + YEAR_MS));
    assert!(forgets(&peer.advance(seconds(60))));
    assert_eq!(peer.engine.law().set().len(), 0);
}

#[test]
fn r6_three_liars_cannot_set_a_clock_beyond_the_own_ticket_or_behind_what_the_realm_has_signed() {
    for wrong in [T0 + YEAR_MS, T0 - YEAR_MS] {
        let mut peer = Peer::new(2);
        for number in 3..6 {
            peer.link_with(u64::from(number), number, Hello { time: wrong, ..hello_of(number) });
        }
        assert_eq!(peer.engine.clock().offset_ms(), 0);
    }
}

#[test]
fn r6_the_honest_set_right_what_liars_that_came_first_have_set() {
    let mut peer = Peer::new(2);
    let hour = 3_600_000;
    for number in [3, 4] {
        peer.link_with(u64::from(number), number, Hello { time: T0 + hour, ..hello_of(number) });
    }
    peer.link(5, 5);
    assert_eq!(peer.engine.clock().offset_ms(), 3_600_000, "two of three");
    peer.link(6, 6);
    assert_ne!(peer.engine.clock().offset_ms(), 0, "half of them");
    peer.link(7, 7);
    assert_eq!(peer.engine.clock().offset_ms(), 0);
}

#[test]
fn r5_a_clock_that_is_set_after_a_login_changes_nothing() {
    for by_ms in [3_600_000i64, -3_600_000] {
        let mut peer = Peer::new(2);
        peer.feed(Input::RealmTime(T0));
        peer.link(1, 3);
        peer.now.wall_ms = peer.now.wall_ms.saturating_add_signed(by_ms);
        peer.engine.wall_clock_set(by_ms);
        peer.advance(seconds(1));
        let text = text_by(3, "said now", T0 + 1_000);
        assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &text)), Acceptance::Accept);
        assert_eq!(peer.engine.clock().peek_ms(peer.now), T0 + 1_000);
    }
}

#[test]
fn r74_who_repeats_old_presences_of_somebody_does_not_silence_the_new_one() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let show = |peer: &mut Peer, n: u64| {
        let pair = presence_by(5, 100, n, T0);
        verdict(&peer.gossip(3, Topic::Control, &pair))
    };
    assert_eq!(show(&mut peer, 50), Acceptance::Accept);
    for n in 0..3 * PRESENCES_BURST {
        assert_eq!(show(&mut peer, n % 50), Acceptance::Ignore);
    }
    peer.advance(millis(1));
    assert_eq!(show(&mut peer, 51), Acceptance::Accept);
}

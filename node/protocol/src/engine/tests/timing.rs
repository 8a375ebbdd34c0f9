//! Clocks that are wrong, or that somebody sets.

use std::time::Duration;

use super::harness::{
    Peer, config_of, hello_of, key_of, millis, policy, presence_by, seconds, text_by, ticket_of,
    verdict,
};
use crate::delivery::inbox::PRESENCES_BURST;
use crate::engine::{Engine, Event, Input, Output, Progress, Topic};
use crate::hello::{Hello, Verdict, VerdictCode};
use crate::history::retention::RETAIN_STEP_EVERY;
use crate::ids::MessageId;
use crate::testing::T0;
use crate::time::Now;
use crate::time::realm_time::ASK_TIME_EVERY;
use crate::verdict::Acceptance;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

fn notices(outputs: &[Output]) -> Vec<&'static str> {
    let code = |output: &Output| match output {
        Output::Event(Event::Notice { code, .. }) => Some(*code),
        _other => None,
    };
    outputs.iter().filter_map(code).collect()
}

fn states(outputs: &[Output]) -> Vec<Progress> {
    let state = |output: &Output| match output {
        Output::Event(Event::State { state, .. }) => Some(*state),
        _other => None,
    };
    outputs.iter().filter_map(state).collect()
}

/// The message that was published.
fn published(outputs: &[Output]) -> MessageId {
    let id = |output: &Output| match output {
        Output::Publish { message, .. } => *message,
        _other => None,
    };
    outputs.iter().find_map(id).unwrap()
}

fn forgets(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Forget { .. }))
}

/// A peer that holds one message for each of these days from [`T0`] on.
fn holding_days(days: u64) -> Peer {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    peer.feed(Input::RealmTime(T0));
    for day in 0..days {
        let text = text_by(3, &format!("day {day}"), T0 + day * DAY_MS);
        assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &text)), Acceptance::Accept, "day {day}");
        sleep(&mut peer, Duration::from_millis(DAY_MS - 11_000));
    }
    peer
}

/// Lets time pass as while a machine sleeps: nothing is due in the meantime.
fn sleep(peer: &mut Peer, by: Duration) {
    peer.now.mono += by;
    peer.now.wall_ms += u64::try_from(by.as_millis()).unwrap();
    peer.advance(seconds(11));
}

fn set_clock(peer: &mut Peer, by_ms: i64) {
    peer.now.wall_ms = peer.now.wall_ms.saturating_add_signed(by_ms);
    peer.engine.wall_clock_set(by_ms);
}

#[test]
fn r48_neither_clock_alone_deletes_anything() {
    let mut peer = holding_days(2);
    peer.now.wall_ms += YEAR_MS;
    assert!(!forgets(&peer.advance(seconds(60))), "this machine's clock alone");
    peer.now.wall_ms -= YEAR_MS;
    peer.feed(Input::RealmTime(T0 + YEAR_MS));
    assert!(!forgets(&peer.advance(seconds(60))), "the login node's clock alone");
    assert_eq!(peer.engine.history().set().len(), 2);
}

#[test]
fn r48_both_clocks_wrong_delete_one_day_and_no_more() {
    let mut peer = holding_days(3);
    set_clock(&mut peer, YEAR_MS.cast_signed());
    let year_later = peer.now.wall_ms;
    peer.feed(Input::RealmTime(year_later));
    peer.advance(seconds(60));
    let mut held = vec![peer.engine.history().set().len()];
    for _step in 0..95 {
        sleep(&mut peer, RETAIN_STEP_EVERY);
        held.push(peer.engine.history().set().len());
    }
    assert_eq!(held.first(), Some(&3), "{held:?}");
    assert_eq!(held.last(), Some(&0), "{held:?}");
    assert!(held.is_sorted_by(|before, after| (0..=1).contains(&(before - after))), "{held:?}");
}

#[test]
fn r48_a_start_at_a_wrong_time_deletes_one_day_and_no_more() {
    let mut config = config_of(2);
    config.oldest = Some(T0);
    config.ticket = ticket_of(2, |claims| {
        claims.issued_at_s += YEAR_MS / 1_000;
        claims.expires_at_s += YEAR_MS / 1_000;
    });
    let now = Now { mono: Duration::ZERO, wall_ms: T0 + YEAR_MS };
    let mut engine = Engine::new(config, now);
    while engine.poll_output().is_some() {}
    let boundary = engine.history().boundary();
    assert!((T0..=T0 + DAY_MS).contains(&boundary), "{boundary}");
}

#[test]
fn r48_a_boundary_that_was_wrong_goes_back() {
    let mut peer = Peer::new(2);
    let year_later = T0 + YEAR_MS;
    set_clock(&mut peer, YEAR_MS.cast_signed());
    peer.feed(Input::RealmTime(year_later));
    sleep(&mut peer, RETAIN_STEP_EVERY * 400);
    assert!(peer.engine.history().boundary() > T0);
    set_clock(&mut peer, -YEAR_MS.cast_signed());
    peer.feed(Input::RealmTime(T0));
    peer.link(1, 3);
    peer.advance(seconds(11));
    assert!(peer.engine.history().boundary() < T0);
    let text = text_by(3, "not forgotten", T0 + 11_000);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &text)), Acceptance::Accept);
}

#[test]
fn r86_a_policy_signed_a_year_ahead_ends_nobodys_link() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let ahead = policy(7, |policy| policy.issued_at = T0 + YEAR_MS);
    peer.feed(Input::Policy(ahead));
    peer.advance(seconds(60));
    assert_eq!(peer.links(), [1]);
    assert_eq!(peer.link(2, 4).iter().filter(|o| matches!(o, Output::Close(_))).count(), 0);
    assert_eq!(peer.links(), [1, 2]);
}

#[test]
fn r6_who_is_ahead_of_all_is_told_and_its_messages_wait() {
    let mut peer = Peer::new(2);
    set_clock(&mut peer, 2 * HOUR_MS.cast_signed());
    assert!(notices(&peer.link(1, 3)).contains(&"clock-ahead"));
    let (_bytes, outputs) = peer.say(1, "Does anybody hear me?");
    let message = published(&outputs);
    let outputs = peer.feed(Input::Published { message, reached: true });
    assert!(states(&outputs).contains(&Progress::Waiting), "nobody can accept it");
    set_clock(&mut peer, -2 * HOUR_MS.cast_signed());
    peer.advance(seconds(11));
    let (_bytes, outputs) = peer.say(2, "And now?");
    let message = published(&outputs);
    let outputs = peer.feed(Input::Published { message, reached: true });
    assert_eq!(states(&outputs), [Progress::Sent]);
}

#[test]
fn r6_one_account_that_agrees_is_enough_to_be_heard() {
    let mut peer = Peer::new(2);
    peer.link_with(1, 3, Hello { time: T0 - 2 * HOUR_MS, ..hello_of(3) });
    assert!(peer.engine.out_of_step_ms().is_some());
    peer.link(2, 4);
    assert_eq!(peer.engine.out_of_step_ms(), None);
}

#[test]
fn r90_contradicting_clocks_make_it_ask_for_the_time() {
    let asks = |outputs: &[Output]| {
        outputs.iter().filter(|o| matches!(o, Output::Event(Event::AskTheTime))).count()
    };
    let refused = |peer: &mut Peer| {
        let verdict = Verdict::plain(VerdictCode::NotYetValid);
        asks(&peer.feed(Input::RefusedBy { peer: key_of(3), verdict }))
    };
    let mut peer = Peer::new(2);
    assert_eq!(refused(&mut peer), 1);
    assert_eq!(refused(&mut peer), 0, "not again at once");
    sleep(&mut peer, ASK_TIME_EVERY);
    assert_eq!(refused(&mut peer), 1);
    sleep(&mut peer, ASK_TIME_EVERY);
    assert_eq!(refused(&mut peer), 0, "an answer that changed nothing doubles the wait");
    // The login node was ahead, and corrects that.
    let realm_ms = peer.now.wall_ms - 2 * HOUR_MS;
    peer.feed(Input::RealmTime(realm_ms));
    assert_eq!(peer.engine.clock().peek_ms(peer.now), realm_ms);
}

#[test]
fn r6_three_liars_move_a_clock_only_within_signed_times() {
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
fn r74_repeated_old_presence_does_not_silence_the_new() {
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

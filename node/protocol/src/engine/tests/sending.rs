//! Our own messages: refused with a reason, stored before they are sent, and sent again while that makes sense.

use super::harness::{Peer, config_of, hello_of, policy, said, seconds, text_by, ticket_of};
use crate::delivery::composing::ORDER_AHEAD_MS_MAX;
use crate::engine::{Event, Input, LinkId, Output, Progress, SendRefused, Topic};
use crate::history::AdmittedMessage;
use crate::io::RESEND_AGE_MS_MAX;
use crate::limits::LINK_GRACE_MS;
use crate::message::{Draft, SignedMessage};
use crate::policy::{PostRule, RoomRules, SanctionKind};
use crate::testing::{self, T0, WEEK_S};

fn refusal(outputs: &[Output]) -> Option<SendRefused> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::Sent { result: Err(refused), .. }) => Some(refused.clone()),
        _other => None,
    })
}

fn own(outputs: &[Output]) -> AdmittedMessage {
    let message = outputs.iter().find_map(|output| match output {
        Output::StoreOwn { message, .. } => Some((**message).clone()),
        _other => None,
    });
    message.unwrap()
}

fn states(outputs: &[Output]) -> Vec<bool> {
    let sent = |output: &Output| match output {
        Output::Event(Event::State { state, .. }) => Some(*state == Progress::Sent),
        _other => None,
    };
    outputs.iter().filter_map(sent).collect()
}

#[test]
fn r46_nothing_leaves_before_the_message_is_on_disk() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let outputs = peer.send(7, "hello");
    assert!(matches!(outputs[..], [Output::StoreOwn { request: 7, .. }]), "{outputs:?}");
    let failed = peer.feed(Input::OwnStored { request: 7, result: Err("disk full".into()) });
    assert_eq!(refusal(&failed), Some(SendRefused::Store("disk full".into())));
    assert!(said(&failed).is_empty());
    assert_eq!(peer.engine.waiting(), 0);
}

#[test]
fn r46_first_the_answer_then_the_publication_then_the_state() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let message = own(&peer.send(7, "hello"));
    let outputs = peer.feed(Input::OwnStored { request: 7, result: Ok(()) });
    let Output::Event(Event::Sent { request: 7, result: Ok(receipt) }) = &outputs[0] else {
        panic!("the answer comes first: {outputs:?}");
    };
    assert_eq!((receipt.id, receipt.session, receipt.seq), (message.id(), 2, 0));
    assert!(matches!(&outputs[1], Output::Publish { message: Some(id), .. } if *id == receipt.id));
    assert!(states(&outputs).is_empty());
    let outputs = peer.feed(Input::Published { message: receipt.id, reached: true });
    assert_eq!(states(&outputs), [true]);
    assert_eq!(peer.engine.waiting(), 0);
}

#[test]
fn r46_unsent_messages_leave_when_somebody_subscribes() {
    let mut peer = Peer::new(2);
    let (first, _outputs) = peer.say(1, "one");
    let (second, _outputs) = peer.say(2, "two");
    for bytes in [&first, &second] {
        let message = SignedMessage::parse(bytes).unwrap().id();
        assert_eq!(states(&peer.feed(Input::Published { message, reached: false })), [false]);
    }
    assert_eq!(peer.engine.waiting(), 2);
    let linked = peer.link_with(1, 3, hello_of(3));
    assert!(said(&linked).is_empty());
    assert_eq!(said(&peer.subscribe(3)), [first.clone(), second]);
    let message = SignedMessage::parse(&first).unwrap().id();
    assert_eq!(states(&peer.feed(Input::Published { message, reached: true })), [true]);
    assert_eq!(peer.engine.waiting(), 1);
}

#[test]
fn r46_what_is_over_ten_minutes_old_is_not_sent_again() {
    for (age_ms, resent) in [(RESEND_AGE_MS_MAX, 1), (RESEND_AGE_MS_MAX + 1, 0)] {
        let mut peer = Peer::new(2);
        peer.say(1, "waiting");
        peer.advance(super::harness::millis(age_ms));
        peer.link_with(1, 3, hello_of(3));
        assert_eq!(said(&peer.subscribe(3)).len(), resent, "{age_ms}");
    }
}

#[test]
fn r46_unsent_messages_of_the_last_run_go_out_too() {
    let gossip = text_by(2, "yesterday's words", T0 - 60_000);
    let id = SignedMessage::parse(&gossip).unwrap().id();
    let mut config = config_of(2);
    config.unsent =
        vec![crate::engine::Unsent { id, sent_at: T0 - 60_000, gossip: gossip.clone() }];
    let (mut peer, _outputs) = Peer::start(config);
    assert_eq!(said(&peer.link(1, 3)), [gossip]);
}

#[test]
fn r46_the_composer_says_why_not() {
    let mut peer = Peer::new(2);
    assert_eq!(refusal(&peer.send(1, " \n ")), Some(SendRefused::Empty));
    let long = "x".repeat(4_097);
    let too_long = SendRefused::TooLong { bytes: 4_097, max: 4_096 };
    assert_eq!(refusal(&peer.send(2, &long)), Some(too_long));
    assert_eq!(refusal(&peer.send(3, &"x".repeat(4_096))), None);
    let elsewhere = Input::Send { request: 4, draft: Draft::new("nowhere", "hello") };
    assert_eq!(refusal(&peer.feed(elsewhere)), Some(SendRefused::NoSuchRoom));
}

#[test]
fn r46_mutes_and_rooms_are_known_to_the_composer() {
    let mut config = config_of(2);
    config.policy = policy(2, |policy| {
        let me = testing::account("user2");
        let mute = testing::sanction(SanctionKind::Mute, me, T0, Some(T0 + 5_000));
        policy.sanctions.push(mute);
        policy.rooms.push(RoomRules {
            name: "news".into(),
            post: vec![PostRule { from: T0, role: crate::ids::Role::Moderator }],
            ..RoomRules::lobby()
        });
    });
    let (mut peer, _outputs) = Peer::start(config);
    let muted = SendRefused::Muted { until: Some(T0 + 5_000) };
    assert_eq!(refusal(&peer.send(1, "hello")), Some(muted));
    peer.advance(seconds(5));
    assert_eq!(refusal(&peer.send(2, "hello")), None);
    let news = Input::Send { request: 3, draft: Draft::new("news", "hello") };
    assert_eq!(refusal(&peer.feed(news)), Some(SendRefused::MayNotPost));
}

#[test]
fn r22_the_composer_locks_when_the_ticket_ends() {
    let mut peer = Peer::new(2);
    peer.now.wall_ms = T0 + WEEK_S * 1_000 - 1;
    assert_eq!(refusal(&peer.send(1, "last words")), None);
    peer.now.wall_ms += 1;
    assert_eq!(refusal(&peer.send(2, "too late")), Some(SendRefused::Expired));
    peer.now.wall_ms += LINK_GRACE_MS;
    assert_eq!(refusal(&peer.send(3, "much too late")), Some(SendRefused::Expired));
    let renewed = ticket_of(2, |claims| {
        claims.issued_at_s += WEEK_S;
        claims.expires_at_s += WEEK_S;
    });
    peer.feed(Input::Renewed(renewed));
    assert_eq!(refusal(&peer.send(4, "again")), None);
}

#[test]
fn r46_an_answer_sorts_after_its_question_within_limits() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    peer.gossip(3, Topic::Mesh, &text_by(3, "question", T0 + 20_000));
    let answer = own(&peer.send(1, "answer")).content().sent_at;
    assert_eq!(answer, T0 + 20_001);
    peer.gossip(3, Topic::Mesh, &text_by(3, "from the future", T0 + 110_000));
    assert_eq!(own(&peer.send(2, "now")).content().sent_at, T0 + ORDER_AHEAD_MS_MAX);
}

#[test]
fn r40_the_same_text_twice_is_two_messages() {
    let mut peer = Peer::new(2);
    let (first, second) = (own(&peer.send(1, "hi")), own(&peer.send(2, "hi")));
    assert_ne!(first.id(), second.id());
    assert_eq!((first.content().seq, second.content().seq), (0, 1));
    assert!(first.order_key() < second.order_key());
}

#[test]
fn r46_who_has_left_sends_nothing_again() {
    let mut peer = Peer::new(2);
    peer.say(1, "waiting");
    peer.link_with(1, 3, hello_of(3));
    peer.feed(Input::Quit);
    assert!(said(&peer.subscribe(3)).is_empty());
    assert_eq!(refusal(&peer.send(2, "more")), Some(SendRefused::NotAMember));
    peer.feed(Input::LinkDown(LinkId(1)));
}

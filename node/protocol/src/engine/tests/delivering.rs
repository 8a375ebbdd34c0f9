//! What happens to messages after gossip: direct or mesh, pace, receipts, gaps, and requests to neighbours.

use super::harness::{
    Peer, config_of, hello_of, key_of, millis, published, said, seconds, stored_texts, text_by,
    verdict,
};
use crate::delivery::outbox::{OWN_BYTES_PER_S, OWN_MESSAGES_BURST};
use crate::delivery::receipts::{RECEIPTS_EVERY, STATES_EVERY};
use crate::engine::{AskId, Event, Input, LinkId, Output, Progress, RequestId, StoredPair, Topic};
use crate::ids::{MessageId, PeerKey};
use crate::message::{Content, SignedMessage, VerifiedMessage};
use crate::reconcile::reconciler::past::ROUND_EVERY;
use crate::reconcile::{
    Batch, BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, Window, frames_to_bytes,
};
use crate::testing::{self, T0};
use crate::verdict::Acceptance;
use crate::wire::Pair;

pub(super) fn asked(outputs: &[Output]) -> Vec<(PeerKey, AskId, SyncRequest)> {
    let ask_of = |output: &Output| match output {
        Output::Ask { peer, ask, bytes } => Some((*peer, *ask, SyncRequest::parse(bytes).unwrap())),
        _other => None,
    };
    outputs.iter().filter_map(ask_of).collect()
}

pub(super) fn reply(peer: &mut Peer, ask: AskId, body: Vec<u8>) -> Vec<Output> {
    let bytes = Some(SyncReply::Ok(body).to_bytes());
    peer.feed(Input::Answered { ask, bytes })
}

pub(super) fn batch_of(messages: &[&VerifiedMessage]) -> Vec<u8> {
    let mut batch = BatchBuilder::default();
    for message in messages {
        assert!(batch.push(message.ticket().as_bytes(), message.as_bytes()));
    }
    batch.finish().to_bytes()
}

/// The answer of an honest neighbour that holds this set.
pub(super) fn answer(request: &SyncRequest, messages: &[VerifiedMessage]) -> Vec<u8> {
    match request {
        SyncRequest::Reconcile { set, windows } => {
            let frame_of = |window: &Window| {
                let span = window.since..window.until;
                let inside = messages.iter().map(|it| (it.content().sent_at, it.id()));
                let inside =
                    inside.filter(|(at, _id)| *set == SetName::Messages && span.contains(at));
                ItemSet::new(inside).respond(&window.frame, 60_000).unwrap()
            };
            frames_to_bytes(&windows.iter().map(frame_of).collect::<Vec<_>>())
        }
        SyncRequest::Get { ids, .. } => {
            let wanted = messages.iter().filter(|message| ids.contains(&message.id()));
            batch_of(&wanted.collect::<Vec<_>>())
        }
        _other => crate::wire::encode(&0u64),
    }
}

/// Answers a peer's rounds from this set until it asks for nothing more.
pub(super) fn serve(
    peer: &mut Peer,
    mut outputs: Vec<Output>,
    messages: &[VerifiedMessage],
) -> Vec<Output> {
    let mut all = Vec::new();
    loop {
        let requests = asked(&outputs);
        all.append(&mut outputs);
        if requests.is_empty() {
            return all;
        }
        for (_peer, ask, request) in requests {
            outputs.extend(reply(peer, ask, answer(&request, messages)));
        }
    }
}

pub(super) fn message(number: u8, seq: u64, sent_at: u64) -> VerifiedMessage {
    let content = Content {
        room: "lobby".into(),
        session: 7,
        seq,
        sent_at,
        body: format!("number {seq}").into(),
    };
    let ticket = super::harness::ticket_of(number, |_claims| {});
    VerifiedMessage::author(content, std::sync::Arc::new(ticket), &testing::key(number)).unwrap()
}

#[test]
fn r31_direct_when_everybody_is_a_neighbour_and_mesh_when_not() {
    let mut peer = Peer::new(2);
    assert_eq!(peer.engine.topic_for_messages(), Topic::Mesh, "nobody is there");
    peer.link(1, 3);
    assert_eq!(peer.engine.topic_for_messages(), Topic::Direct);
    peer.link_with(2, 4, hello_of(4));
    assert_eq!(peer.engine.topic_for_messages(), Topic::Mesh, "one has not subscribed yet");
    peer.subscribe(4);
    assert_eq!(peer.engine.topic_for_messages(), Topic::Direct);
    peer.feed(Input::Unpublished([key_of(4)].into()));
    assert_eq!(peer.engine.topic_for_messages(), Topic::Mesh, "gossipsub skips one");
    peer.feed(Input::Unpublished(std::collections::BTreeSet::new()));
    peer.feed(Input::LinkDown(LinkId(2)));
    assert_eq!(peer.engine.topic_for_messages(), Topic::Direct, "who is gone is not waited for");
    let elsewhere = super::harness::presence_by(4, super::harness::BOOT, 9, T0 + 1_000);
    peer.advance(seconds(1));
    peer.gossip(3, Topic::Control, &elsewhere);
    assert_eq!(peer.engine.topic_for_messages(), Topic::Mesh, "others still see it");
}

#[test]
fn r46_own_messages_leave_at_a_pace() {
    let mut config = config_of(2);
    let mut free = testing::policy(&testing::key(1));
    free.rules[0].per_minute = 0;
    config.policy = crate::policy::SignedPolicy::sign(free, &testing::key(1)).unwrap();
    let (mut peer, _outputs) = Peer::start(config);
    peer.link(1, 3);
    let mut left = 0;
    for request in 0..OWN_MESSAGES_BURST + 50 {
        let mut outputs = peer.send(request, "x");
        outputs.extend(peer.feed(Input::OwnStored { request, result: Ok(()) }));
        left += said(&outputs).len() as u64;
    }
    assert_eq!(left, OWN_MESSAGES_BURST);
    let later = said(&peer.advance(millis(50))).len() as u64;
    assert!((20..=26).contains(&later), "500 a second are {later} in 50 ms");
    assert_eq!(
        left + later + said(&peer.advance(seconds(1))).len() as u64,
        OWN_MESSAGES_BURST + 50
    );
}

#[test]
fn r46_long_messages_leave_at_a_pace_of_their_bytes() {
    let mut config = config_of(2);
    let free = super::harness::policy(1, |policy| policy.rules[0].per_minute = 0);
    config.policy = free;
    let (mut peer, _outputs) = Peer::start(config);
    peer.link(1, 3);
    let volume = |outputs: &[Output]| said(outputs).iter().map(Vec::len).sum::<usize>() as u64;
    let (mut written, mut at_once) = (0, 0);
    for request in 0..OWN_MESSAGES_BURST {
        let mut outputs = peer.send(request, &"x".repeat(4_000));
        outputs.extend(peer.feed(Input::OwnStored { request, result: Ok(()) }));
        at_once += volume(&outputs);
        written += 4_000;
    }
    let one = 5_000;
    assert!(written > OWN_BYTES_PER_S + one, "more than may leave at once");
    assert!((OWN_BYTES_PER_S - one..=OWN_BYTES_PER_S).contains(&at_once), "{at_once}");
    let in_a_quarter = volume(&peer.advance(millis(250)));
    let share = OWN_BYTES_PER_S / 4;
    assert!((share - one..=share + one).contains(&in_a_quarter), "{in_a_quarter}");
    let rest = volume(&peer.advance(seconds(2)));
    assert!(at_once + in_a_quarter + rest > written, "nothing stays behind");
}

#[test]
fn r108_authors_are_told_what_is_held_and_count_who_holds_it() {
    let mut reader = Peer::new(2);
    reader.link(1, 3);
    for seq in [0, 1, 3] {
        let bytes = message(3, seq, T0 + seq).to_gossip();
        assert_eq!(verdict(&reader.gossip(3, Topic::Direct, &bytes)), Acceptance::Accept);
    }
    let told = asked(&reader.advance(RECEIPTS_EVERY));
    let held = SyncRequest::Held { session: 7, ranges: vec![(0, 1), (3, 3)] };
    assert!(told.iter().any(|(peer, _ask, request)| *peer == key_of(3) && *request == held));

    let mut author = Peer::new(2);
    author.link(1, 3);
    author.link(2, 4);
    let (first, _outputs) = author.say(1, "one");
    author.say(2, "two");
    let held = SyncRequest::Held { session: 2, ranges: vec![(0, u64::MAX)] };
    let mut outputs = Vec::new();
    for number in [3, 3, 4] {
        let (request, peer) = (RequestId(u64::from(number)), key_of(number));
        outputs.extend(author.feed(Input::Asked { request, peer, bytes: held.to_bytes() }));
    }
    outputs.extend(author.advance(STATES_EVERY));
    let id = SignedMessage::parse(&first).unwrap().id();
    let states: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(Event::State { id: of, state }) if *of == id => Some(*state),
            _other => None,
        })
        .collect();
    // A peer that reports twice counts once, and what it claims beyond the session does not count.
    assert_eq!(states.last(), Some(&Progress::Stored { by: 2, of: 2 }), "{states:?}");
}

#[test]
fn r111_a_fresh_link_brings_what_was_missed() {
    let mut peer = Peer::new(2);
    let theirs = [message(3, 0, T0 - 5_000), message(3, 1, T0 - 4_000), message(4, 0, T0 - 3_000)];
    peer.link(1, 3);
    let outputs = peer.advance(millis(1));
    let outputs = serve(&mut peer, outputs, &theirs);
    assert_eq!(stored_texts(&outputs).len(), 3);
    assert_eq!(peer.engine.history().set().len(), 3);
    // Gossip may bring them again, but they are held already.
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &theirs[0].to_gossip())), Acceptance::Ignore);
}

#[test]
fn r111_a_hole_is_filled_and_a_late_message_not_requested() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    for _turn in 0..3 {
        let outputs = peer.advance(seconds(1));
        serve(&mut peer, outputs, &[]);
    }
    let now = T0 + 3_000;
    let theirs: Vec<_> = (0..3).map(|seq| message(3, seq, now + seq)).collect();
    peer.gossip(3, Topic::Mesh, &theirs[0].to_gossip());
    peer.gossip(3, Topic::Mesh, &theirs[2].to_gossip());
    peer.gossip(3, Topic::Mesh, &theirs[1].to_gossip());
    let reconciles = |outputs: &[Output]| {
        asked(outputs)
            .iter()
            .any(|(_, _, request)| matches!(request, SyncRequest::Reconcile { .. }))
    };
    assert!(!reconciles(&peer.advance(seconds(2))), "it was only late");
    let missed = message(3, 3, now + 3);
    let after = message(3, 4, now + 4);
    peer.gossip(3, Topic::Mesh, &after.to_gossip());
    let outputs = peer.advance(seconds(2));
    assert!(reconciles(&outputs));
    let all = [theirs, vec![missed.clone(), after]].concat();
    let outputs = serve(&mut peer, outputs, &all);
    assert_eq!(stored_texts(&outputs), [missed.content().body.text.clone()]);
}

#[test]
fn r109_gets_are_served_from_the_store_within_a_budget() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let (ours, _outputs) = peer.say(1, "kept");
    let id = SignedMessage::parse(&ours).unwrap().id();
    let get = SyncRequest::Get { set: SetName::Messages, ids: vec![id, MessageId([9; 32])] };
    let (request, bytes) = (RequestId(5), get.to_bytes());
    let outputs = peer.feed(Input::Asked { request, peer: key_of(3), bytes: bytes.clone() });
    assert!(
        outputs.iter().any(|output| matches!(output, Output::Load { ids, .. } if ids.len() == 2))
    );
    let Pair { ticket, object } = Pair::parse(&ours, 16_384).unwrap();
    let stored = StoredPair { ticket: ticket.to_vec(), object: object.to_vec() };
    let outputs = peer.feed(Input::Loaded { request, pairs: vec![(id, stored)] });
    let [
        Output::Event(Event::State { state: Progress::Sent, .. }),
        ..,
        Output::Answer { bytes: answer, .. },
    ] = &outputs[..]
    else {
        panic!("fetched is sent, and answered: {outputs:?}");
    };
    let Ok(SyncReply::Ok(body)) = SyncReply::parse(answer) else { panic!("no batch") };
    assert_eq!(Batch::parse(&body).unwrap().len(), 1);

    // A peer that asks without end is answered "later".
    let mut later = 0;
    for n in 0..100 {
        let request = RequestId(100 + n);
        let outputs = peer.feed(Input::Asked { request, peer: key_of(3), bytes: bytes.clone() });
        let told = |output: &Output| matches!(output, Output::Answer { bytes, .. } if SyncReply::parse(bytes) == Ok(SyncReply::Later));
        later += usize::from(outputs.iter().any(told));
    }
    assert_eq!(later, 98, "two are on their way, and the rest waits");
}

#[test]
fn r110_a_higher_policy_number_is_fetched_from_who_tells_it() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let bytes = SyncRequest::PolicyNumber(5).to_bytes();
    let outputs = peer.feed(Input::Asked { request: RequestId(1), peer: key_of(3), bytes });
    assert_eq!(super::harness::fetched(&outputs), [(key_of(3), 5)]);
    let routine = peer.advance(ROUND_EVERY * 2);
    assert!(asked(&routine).iter().any(|(_, _, request)| *request == SyncRequest::PolicyNumber(1)));
    assert!(published(&routine, Topic::Mesh).is_empty());
}

#[test]
fn r48_a_message_that_could_not_be_stored_is_taken_again() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let bytes = text_by(3, "again", T0);
    let id = SignedMessage::parse(&bytes).unwrap().id();
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &bytes)), Acceptance::Accept);
    peer.feed(Input::NotStored { sent_at: T0, message: id });
    assert_eq!(peer.engine.history().set().len(), 0);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &bytes)), Acceptance::Accept);
}

#[test]
fn r125_a_fresh_moderation_from_a_round_goes_on_by_gossip() {
    for (age_ms, published_on) in [(60_000, 1), (700_000, 0)] {
        let mut peer = Peer::new(5);
        peer.advance(millis(age_ms));
        peer.link(1, 3);
        let moderation = testing::moderation(
            crate::moderation::ModerationKind::Ban,
            "user4",
            T0,
            T0 + 3_600_000,
        );
        let items = ItemSet::new([(T0, moderation.id())]);
        let mut outputs = peer.advance(millis(1));
        let mut all = Vec::new();
        while let Some((_peer, ask, request)) = asked(&outputs).pop() {
            all.append(&mut outputs);
            let body = match request {
                SyncRequest::Reconcile { windows, .. } => {
                    frames_to_bytes(&[items.respond(&windows[0].frame, 60_000).unwrap()])
                }
                SyncRequest::Get { set: SetName::Moderations, .. } => {
                    let mut batch = BatchBuilder::default();
                    assert!(batch.push(moderation.ticket().as_bytes(), moderation.as_bytes()));
                    batch.finish().to_bytes()
                }
                _other => break,
            };
            outputs = reply(&mut peer, ask, body);
        }
        all.append(&mut outputs);
        let told = published(&all, Topic::Control);
        let told = told.iter().filter(|bytes| **bytes == moderation.to_gossip()).count();
        assert_eq!(told, published_on, "{age_ms} ms old");
        assert!(peer.engine.rules().moderations().get(moderation.id()).is_some());
    }
}

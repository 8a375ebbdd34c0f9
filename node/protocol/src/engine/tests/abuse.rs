//! What a member can make us do with requests, promises and repetitions: little.

use std::sync::Arc;

use super::delivering::{asked, reply};
use super::harness::{
    Peer, config_of, hello_of, key_of, millis, policy, presence_by, seconds, ticket_of, verdict,
};
use crate::delivery::inbox::{CROWDED_BURST, PRESENCES_BURST};
use crate::engine::{Input, Output, RequestId, StoredPair, Topic};
use crate::history::Indexed;
use crate::ids::MessageId;
use crate::limits::BATCH_BYTES_MAX;
use crate::message::{Content, VerifiedMessage};
use crate::reconcile::reconciler::budgets::{
    SERVED_BURST_BYTES, SERVED_BYTES_PER_S, SERVED_SHARES,
};
use crate::reconcile::reconciler::item_sets::ITEM_SETS_SPARE;
use crate::reconcile::round::GETS_IN_VAIN_MAX;
use crate::reconcile::{
    BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, Window, frames_to_bytes,
};
use crate::testing::{self, T0};
use crate::verdict::Acceptance;

const LIAR: u8 = 3;
const NEIGHBOUR: u8 = 4;

/// A peer with this many stored messages, from the hours before now, in a realm without a quota.
fn with_messages(count: u64) -> Peer {
    let ticket = ticket_of(5, |claims| claims.issued_at_s -= 86_400);
    let indexed = |seq: u64| Indexed {
        id: id(seq),
        sent_at: T0 - 2 * seq,
        ticket: ticket.hash(),
        session: 7,
        seq,
        room: "lobby".into(),
        text_bytes: 1,
        held: true,
    };
    let mut config = config_of(2);
    config.policy = policy(1, |policy| {
        for rules in &mut policy.rules {
            (rules.per_minute, rules.per_day) = (0, 0);
        }
    });
    config.stored.messages = (0..count).map(indexed).collect();
    config.stored.tickets.push(ticket);
    let (mut peer, _outputs) = Peer::start(config);
    peer.link(1, LIAR);
    peer.link(2, NEIGHBOUR);
    assert_eq!(peer.engine.history().set().len(), count);
    peer
}

fn id(n: u64) -> MessageId {
    MessageId([n.to_be_bytes(); 4].concat().try_into().unwrap())
}

fn ask(peer: &mut Peer, number: u8, request: &SyncRequest) -> SyncReply {
    let bytes = request.to_bytes();
    let input = Input::Asked { request: RequestId(0), peer: key_of(number), bytes };
    let outputs = peer.feed(input);
    let answer = outputs.iter().find_map(|output| match output {
        Output::Answer { bytes, .. } => Some(SyncReply::parse(bytes).unwrap()),
        _other => None,
    });
    answer.expect("an answer")
}

/// A frame that agrees with no set, so that the responder has to sum up everything.
fn other_fingerprint() -> Vec<u8> {
    [&[0x61, 0, 0, 1][..], &[9; 16]].concat()
}

fn reconcile(since: u64, until: u64) -> SyncRequest {
    let window = Window { since, until, frame: other_fingerprint() };
    SyncRequest::Reconcile { set: SetName::Messages, windows: vec![window] }
}

fn body_of(reply: &SyncReply) -> usize {
    match reply {
        SyncReply::Ok(body) => body.len(),
        _none => 0,
    }
}

#[test]
fn r102_odd_windows_fill_neither_memory_nor_time() {
    let mut peer = with_messages(20_000);
    let mut served = 0;
    for n in 0..2_000 {
        served +=
            usize::from(ask(&mut peer, LIAR, &reconcile(n, u64::MAX - n)) != SyncReply::Later);
        assert!(peer.engine.rounds.items_kept() <= 40_000 + ITEM_SETS_SPARE);
    }
    // Each walk is paid for before it is done: 20,000 items at four bytes each, from at most half of the budget.
    assert!((20..=SERVED_BURST_BYTES / 80_000).contains(&served), "{served} walks at once");
    assert_ne!(ask(&mut peer, NEIGHBOUR, &reconcile(0, u64::MAX)), SyncReply::Later);
}

#[test]
fn r102_a_frame_costs_by_the_items_it_covers() {
    let mut peer = with_messages(20_000);
    let request = reconcile(0, u64::MAX);
    let served = (0..5_000).filter(|_n| ask(&mut peer, LIAR, &request) != SyncReply::Later).count();
    assert!(served * 10_000 < SERVED_BURST_BYTES, "{served} times 20,000 items at once");
    assert!(served > 100, "{served}");
}

#[test]
fn r109_endless_requests_leave_half_of_the_budget() {
    let mut peer = with_messages(100);
    let get = SyncRequest::Get { set: SetName::Moderations, ids: (0..1_024).map(id).collect() };
    for _second in 0..5 {
        for _request in 0..1_000 {
            ask(&mut peer, LIAR, &get);
        }
        assert_eq!(ask(&mut peer, LIAR, &get), SyncReply::Later);
        assert_ne!(ask(&mut peer, NEIGHBOUR, &get), SyncReply::Later, "the other is served");
        peer.advance(seconds(1));
    }
    // A peer that wants less than its share is served, however many others there are.
    let share = SERVED_BYTES_PER_S as u64 / SERVED_SHARES;
    assert!(share >= BATCH_BYTES_MAX as u64);
}

#[test]
fn r109_a_get_costs_what_it_brings() {
    let mut peer = with_messages(1);
    let mut brought = 0;
    for n in 0..5_000u64 {
        let ids = vec![id(n)];
        let bytes = SyncRequest::Get { set: SetName::Messages, ids: ids.clone() }.to_bytes();
        let request = RequestId(n);
        let asked = peer.feed(Input::Asked { request, peer: key_of(LIAR), bytes });
        if asked.iter().any(|output| matches!(output, Output::Load { .. })) {
            let pair = StoredPair { ticket: vec![1; 500], object: vec![2; 15_000] };
            peer.feed(Input::Loaded { request, pairs: vec![(ids[0], pair)] });
            brought += 15_500;
        }
    }
    assert!(brought <= SERVED_BURST_BYTES, "{brought} bytes at once");
    assert!(brought >= SERVED_BURST_BYTES / 4, "{brought}");
}

#[test]
fn r55_policies_are_given_at_a_pace() {
    let mut config = config_of(2);
    config.policy = policy(1, |policy| policy.name = "x".repeat(200_000));
    let (mut peer, _outputs) = Peer::start(config);
    peer.link_with(1, LIAR, hello_of(LIAR));
    peer.link_with(2, NEIGHBOUR, hello_of(NEIGHBOUR));
    let get = SyncRequest::PolicyGet(0);
    let given: usize = (0..1_000).map(|_n| body_of(&ask(&mut peer, LIAR, &get))).sum();
    assert!((200_000..2_000_000).contains(&given), "{given} bytes at once");
    assert!(body_of(&ask(&mut peer, NEIGHBOUR, &get)) > 200_000, "everybody has its own");
    peer.advance(millis(2_000));
    assert!(body_of(&ask(&mut peer, LIAR, &get)) > 200_000, "and again later");
}

/// A text by the liar, under yesterday's ticket.
fn text(seq: u64, sent_at: u64) -> VerifiedMessage {
    let ticket = ticket_of(LIAR, |claims| claims.issued_at_s -= 86_400);
    let content = Content { room: "lobby".into(), session: 7, seq, sent_at, body: "x".into() };
    VerifiedMessage::author(content, Arc::new(ticket), &testing::key(LIAR)).unwrap()
}

/// Answers our round with these messages until the peer asks for nothing more. Returns how many batches that took.
fn answer_round(peer: &mut Peer, mut outputs: Vec<Output>, messages: &[VerifiedMessage]) -> usize {
    let mut batches = 0;
    loop {
        let requests = asked(&outputs);
        outputs.clear();
        if requests.is_empty() {
            return batches;
        }
        for (_peer, ask, request) in requests {
            let body = match request {
                SyncRequest::Reconcile { set: SetName::Messages, windows } => {
                    let frame_of = |window: &Window| {
                        let span = window.since..window.until;
                        let inside = messages.iter().map(|m| (m.content().sent_at, m.id()));
                        let items = ItemSet::new(inside.filter(|(at, _id)| span.contains(at)));
                        items.respond(&window.frame, 60_000).unwrap()
                    };
                    frames_to_bytes(&windows.iter().map(frame_of).collect::<Vec<_>>())
                }
                SyncRequest::Reconcile { windows, .. } => {
                    frames_to_bytes(&vec![vec![0x61]; windows.len()])
                }
                SyncRequest::Get { ids, .. } => {
                    batches += 1;
                    let mut batch = BatchBuilder::default();
                    let wanted = messages.iter().filter(|message| ids.contains(&message.id()));
                    for message in wanted {
                        if !batch.push(message.ticket().as_bytes(), message.as_bytes()) {
                            break;
                        }
                    }
                    batch.finish().to_bytes()
                }
                _other => crate::wire::encode(&0u64),
            };
            outputs.extend(reply(peer, ask, body));
        }
    }
}

#[test]
fn r107_endless_refused_messages_end_the_round() {
    let mut peer = Peer::new(2);
    // A hundred times the quota of one minute. It makes no difference whether the smallest come first or last in a
    // batch.
    let flood: Vec<_> = (0..6_000).map(|seq| text(seq, T0 - 120_000 + seq % 1_000)).collect();
    peer.link(1, LIAR);
    let outputs = peer.advance(millis(1));
    let batches = answer_round(&mut peer, outputs, &flood);
    assert_eq!(peer.engine.history().set().len(), 60);
    assert!(batches <= 1 + GETS_IN_VAIN_MAX, "{batches} batches were judged");
}

#[test]
fn r42_messages_that_only_push_out_others_are_taken_at_a_pace() {
    let mut peer = Peer::new(2);
    peer.link(1, LIAR);
    let minute = T0 - T0 % 60_000;
    let mut accepted = 0;
    for seq in 0..2_000 {
        // Each is smaller than all before, so each fits the quota.
        let bytes = text(seq, minute + 10_000 - seq).to_gossip();
        let outputs = peer.gossip(LIAR, Topic::Mesh, &bytes);
        accepted += u64::from(verdict(&outputs) == Acceptance::Accept);
    }
    assert_eq!(accepted, 60 + CROWDED_BURST);
    assert_eq!(peer.engine.history().set().len(), 60);
    let other = super::harness::text_by(NEIGHBOUR, "not mine", T0);
    assert_eq!(verdict(&peer.gossip(LIAR, Topic::Mesh, &other)), Acceptance::Accept);
}

#[test]
fn r72_endless_presence_is_heard_at_a_pace() {
    let mut peer = Peer::new(2);
    peer.link(1, LIAR);
    let mut show = |n: u64| {
        let outputs = peer.gossip(LIAR, Topic::Control, &presence_by(5, 100, n, T0));
        u64::from(verdict(&outputs) == Acceptance::Accept)
    };
    assert_eq!((0..1_000).map(&mut show).sum::<u64>(), PRESENCES_BURST);
    peer.advance(seconds(3));
    let outputs = peer.gossip(LIAR, Topic::Control, &presence_by(5, 100, 5_000, T0 + 3_000));
    assert_eq!(verdict(&outputs), Acceptance::Accept);
}

#[test]
fn r111_four_slow_peers_do_not_hold_all_places() {
    let mut peer = Peer::new(2);
    for number in 3..8 {
        peer.link(u64::from(number), number);
    }
    // The peer asks as many as it has places, and none of them answers.
    let mut asked_of = std::collections::BTreeSet::new();
    for _turn in 0..90 {
        let outputs = peer.advance(seconds(1));
        asked_of.extend(asked(&outputs).into_iter().map(|(of, _ask, _request)| of));
    }
    assert_eq!(asked_of.len(), 5);
}

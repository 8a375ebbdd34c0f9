//! Rounds against an honest peer, counted in bytes, and against liars.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::limits::{FRAME_BYTES_MAX, SYNC_REPLY_BYTES_MAX};
use crate::reconcile::{
    Batch, BatchBuilder, SyncReply, answer_windows, frames_to_bytes, parse_frames, spans,
};
use crate::time::DAY_MS;

mod liars;

const NOW: u64 = 1_800_000_000_000;

/// A message. `n` counts back from now in steps of 70 s, so that every window has some.
fn item(n: u64) -> (u64, MessageId) {
    (NOW - 6_000 - n * 70_000, id(n))
}

fn id(n: u64) -> MessageId {
    MessageId(Sha256::digest(n.to_be_bytes()).into())
}

fn round() -> Round {
    Round::new(SetName::Messages, spans(NOW, false, NOW - 90 * DAY_MS))
}

/// A round with everything in one window.
fn whole() -> Round {
    Round::new(SetName::Messages, vec![Span { since: 0, until: NOW }])
}

/// What one side of a test holds.
#[derive(Debug, Default, Clone)]
struct Peer {
    items: BTreeSet<(u64, MessageId)>,
    ids: BTreeMap<MessageId, u64>,
    refused: BTreeSet<MessageId>,
    with_another: BTreeSet<MessageId>,
    object_bytes: usize,
}

impl Peer {
    fn new(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut peer = Self { object_bytes: 250, ..Self::default() };
        for n in numbers {
            peer.items.insert(item(n));
            peer.ids.insert(id(n), item(n).0);
        }
        peer
    }

    /// An object begins with its id and its `sent_at`.
    fn object(&self, sent_at: u64, id: MessageId) -> Vec<u8> {
        let mut bytes = [&id.0[..], &sent_at.to_be_bytes()].concat();
        bytes.resize(self.object_bytes, 0);
        bytes
    }

    fn take_in(&mut self, batch: &Batch) -> Vec<MessageId> {
        let mut received = Vec::new();
        for pair in batch.pairs() {
            let id = MessageId(pair.object[..32].try_into().unwrap());
            let sent_at = u64::from_be_bytes(pair.object[32..40].try_into().unwrap());
            self.items.insert((sent_at, id));
            self.ids.insert(id, sent_at);
            received.push(id);
        }
        received
    }

    /// An honest answer.
    fn answer(&self, request: &SyncRequest) -> SyncReply {
        match request {
            SyncRequest::Reconcile { set, windows } => {
                let items = |window: &Window| self.items(*set, window.since, window.until);
                SyncReply::Ok(frames_to_bytes(&answer_windows(windows, items).unwrap()))
            }
            SyncRequest::Get { ids, .. } => {
                let mut builder = BatchBuilder::default();
                for id in ids {
                    let Some(sent_at) = self.ids.get(id) else { continue };
                    if !builder.push(&[id.0[0] % 20; 400], &self.object(*sent_at, *id)) {
                        break;
                    }
                }
                SyncReply::Ok(builder.finish().to_bytes())
            }
            _never_asked => SyncReply::Unsupported,
        }
    }
}

impl Source for Peer {
    fn items(&self, _set: SetName, since: u64, until: u64) -> Arc<ItemSet> {
        let (from, to) = ((since, MessageId([0; 32])), (until, MessageId([0; 32])));
        Arc::new(ItemSet::new(self.items.range(from..to).copied()))
    }

    fn wants(&self, _set: SetName, id: MessageId) -> bool {
        !self.ids.contains_key(&id) && !self.refused.contains(&id)
    }

    fn is_with_another(&self, id: MessageId) -> bool {
        self.with_another.contains(&id)
    }
}

/// What went over the wire.
#[derive(Debug, Default)]
struct Traffic {
    reconciles: usize,
    gets: usize,
    request_bytes: usize,
    frame_bytes: usize,
    batch_bytes: usize,
    asked: Vec<SyncRequest>,
}

/// Feeds in one answer, as the driver of a round does.
fn feed(round: &mut Round, ours: &mut Peer, ask: &Ask, reply: Option<&[u8]>) {
    let reply = reply.map(SyncReply::parse);
    let Some(Ok(SyncReply::Ok(body))) = reply else {
        match reply {
            Some(Ok(SyncReply::Later)) => round.on_later(ask.tag),
            _no_answer => round.on_failure(ask.tag),
        }
        return;
    };
    match &ask.request {
        SyncRequest::Reconcile { .. } => match parse_frames(&body) {
            Ok(frames) => round.on_frames(ask.tag, frames, &*ours),
            Err(_no_frames) => round.on_failure(ask.tag),
        },
        _get => match Batch::parse(&body) {
            Ok(batch) => {
                let received = ours.take_in(&batch);
                round.on_batch(ask.tag, &received);
            }
            Err(_no_batch) => round.on_failure(ask.tag),
        },
    }
}

/// Runs a round to its end. `answer` returns the bytes of the reply, or `None`.
fn run(
    round: &mut Round,
    ours: &mut Peer,
    mut answer: impl FnMut(&SyncRequest) -> Option<Vec<u8>>,
) -> (Outcome, Traffic) {
    let mut traffic = Traffic::default();
    let mut in_flight: VecDeque<Ask> = VecDeque::new();
    loop {
        while let Some(ask) = round.next_request(ours) {
            in_flight.push_back(ask);
        }
        let frames = |ask: &&Ask| matches!(ask.request, SyncRequest::Reconcile { .. });
        assert!(in_flight.iter().filter(frames).count() <= 1);
        assert!(in_flight.iter().filter(|ask| !frames(ask)).count() <= GETS_IN_FLIGHT_MAX);
        let Some(ask) = in_flight.pop_front() else { break };
        let bytes = ask.request.to_bytes();
        assert_eq!(SyncRequest::parse(&bytes).as_ref(), Ok(&ask.request));
        traffic.request_bytes += bytes.len();
        let reply = answer(&ask.request);
        let reply_len = reply.as_ref().map_or(0, Vec::len);
        assert!(reply_len <= SYNC_REPLY_BYTES_MAX);
        if frames(&&ask) {
            traffic.reconciles += 1;
            traffic.frame_bytes += reply_len;
        } else {
            traffic.gets += 1;
            traffic.batch_bytes += reply_len;
        }
        feed(round, ours, &ask, reply.as_deref());
        traffic.asked.push(ask.request);
        assert!(traffic.asked.len() < 30_000, "a round ends");
    }
    (round.outcome().expect("nothing is in flight, so it has ended"), traffic)
}

fn run_honestly(ours: &mut Peer, theirs: &Peer) -> (Outcome, Traffic) {
    run(&mut round(), ours, |request| Some(theirs.answer(request).to_bytes()))
}

#[test]
fn r104_equal_sets_take_one_small_request_and_reply() {
    let theirs = Peer::new(0..20_000);
    let (outcome, traffic) = run_honestly(&mut theirs.clone(), &theirs);
    assert_eq!(outcome, Outcome { brought: 0, agreed: true, complete: true });
    assert_eq!((traffic.reconciles, traffic.gets), (1, 0));
    let total = traffic.request_bytes + traffic.frame_bytes;
    println!("agreed: {total} bytes");
    assert!(total < 400, "{total}");
}

#[test]
fn r104_the_newest_window_is_finished_first() {
    // One in the last ten minutes, one two days ago, and one a month ago.
    let (young, older, oldest) = (2, 2_500, 40_000);
    let theirs = Peer::new([young, older, oldest]);
    let (outcome, traffic) = run_honestly(&mut Peer::new([]), &theirs);
    assert_eq!(outcome, Outcome { brought: 3, agreed: false, complete: true });
    let asked: Vec<MessageId> = traffic
        .asked
        .iter()
        .filter_map(|request| match request {
            SyncRequest::Get { ids, .. } => Some(ids.clone()),
            _frames => None,
        })
        .flatten()
        .collect();
    assert_eq!(asked, [id(young), id(older), id(oldest)]);
}

#[test]
fn r104_missing_messages_cost_little_more_than_themselves() {
    let mut ours = Peer::new([]);
    let theirs = Peer::new(0..100_000);
    let mut round = round();
    let (outcome, traffic) =
        run(&mut round, &mut ours, |request| Some(theirs.answer(request).to_bytes()));
    assert_eq!(outcome, Outcome { brought: 100_000, agreed: false, complete: true });
    assert_eq!((round.needed(), round.brought()), (100_000, 100_000));
    assert_eq!(ours.items, theirs.items);
    let Traffic { reconciles, gets, request_bytes, frame_bytes, batch_bytes, .. } = traffic;
    println!(
        "100,000 of 100,000: {reconciles} Reconcile, {gets} Get; requests {request_bytes}, \
         frames {frame_bytes}, batches {batch_bytes} bytes"
    );
    // 32 bytes to learn an id, 32 to ask for it, and some to ask again for what did not fit.
    assert!(reconciles < 70 && gets < 120);
    assert!(frame_bytes < 100_000 * 33 && request_bytes < 100_000 * 40);
    assert!(batch_bytes < 100_000 * (250 + 10) + gets * 20 * 403);
}

#[test]
fn r104_a_thousand_differences_cost_in_proportion() {
    let differs = |n: &u64| n % 20 == 7;
    let mut ours = Peer::new((0..20_000).filter(|n| !differs(n)));
    let theirs = Peer::new(0..20_000);
    let (outcome, traffic) = run_honestly(&mut ours, &theirs);
    assert_eq!(outcome, Outcome { brought: 1_000, agreed: false, complete: true });
    assert_eq!(ours.items, theirs.items);
    let Traffic { reconciles, gets, request_bytes, frame_bytes, .. } = traffic;
    println!(
        "1,000 of 20,000: {reconciles} Reconcile, {gets} Get; requests {request_bytes}, frames {frame_bytes} bytes"
    );
    assert!(reconciles < 60 && gets < 30);
    // Two lists of 31 ids around each and the way there: no more than the whole set's ids, twice.
    assert!(request_bytes + frame_bytes < 1_000 * 2 * 1_024);
}

#[test]
fn r104_one_missing_in_20000_costs_a_few_kilobytes() {
    let mut ours = Peer::new((0..20_000).filter(|n| *n != 15_000));
    let (outcome, traffic) = run_honestly(&mut ours, &Peer::new(0..20_000));
    assert_eq!(outcome, Outcome { brought: 1, agreed: false, complete: true });
    let total = traffic.request_bytes + traffic.frame_bytes;
    println!("1 of 20,000: {total} bytes, {} Reconcile", traffic.reconciles);
    assert!(total < 8_000, "{total}");
}

#[test]
fn r106_what_did_not_fit_is_requested_again() {
    let mut theirs = Peer::new(0..200);
    theirs.object_bytes = 15_000;
    let mut ours = Peer::new([]);
    let (outcome, traffic) = run_honestly(&mut ours, &theirs);
    assert_eq!(outcome, Outcome { brought: 200, agreed: false, complete: true });
    assert!((13..20).contains(&traffic.gets), "{}", traffic.gets);
}

#[test]
fn r107_an_unanswered_id_is_requested_once_more() {
    let theirs = Peer::new(0..6);
    let mut ours = Peer::new([]);
    let (outcome, traffic) = run(&mut round(), &mut ours, |request| {
        let mut lossy = theirs.clone();
        if matches!(request, SyncRequest::Get { .. }) {
            lossy.ids.remove(&id(3));
        }
        Some(lossy.answer(request).to_bytes())
    });
    assert_eq!(outcome, Outcome { brought: 5, agreed: false, complete: false });
    let asked = |request: &&SyncRequest| matches!(request, SyncRequest::Get { ids, .. } if ids.contains(&id(3)));
    assert_eq!(traffic.asked.iter().filter(asked).count(), 2);
}

#[test]
fn r107_what_the_history_refused_is_not_requested() {
    let mut ours = Peer::new([]);
    ours.refused.extend([id(1), id(2)]);
    let (outcome, traffic) = run_honestly(&mut ours, &Peer::new(0..3));
    assert_eq!(outcome, Outcome { brought: 1, agreed: false, complete: true });
    assert_eq!(traffic.gets, 1);
}

#[test]
fn r107_what_gossip_brings_meanwhile_is_not_requested() {
    let theirs = Peer::new(0..3);
    let mut ours = Peer::new([]);
    let mut round = round();
    let ask = round.next_request(&ours).unwrap();
    let reply = theirs.answer(&ask.request).to_bytes();
    feed(&mut round, &mut ours, &ask, Some(&reply));
    // The windows are compared with what is held when their turn comes.
    ours = theirs;
    assert_eq!(round.next_request(&ours), None);
    assert_eq!((round.outcome().unwrap().complete, round.needed()), (true, 0));
}

#[test]
fn r104_what_another_peer_has_brought_is_not_requested() {
    let theirs = Peer::new(0..100);
    let mut ours = Peer::new([]);
    let mut round = whole();
    for _frame in 0..2 {
        let ask = round.next_request(&ours).unwrap();
        assert!(matches!(ask.request, SyncRequest::Reconcile { .. }));
        let reply = theirs.answer(&ask.request).to_bytes();
        feed(&mut round, &mut ours, &ask, Some(&reply));
    }
    assert_eq!(round.needed(), 100);
    ours.ids.insert(id(0), item(0).0);
    let ask = round.next_request(&ours).unwrap();
    let SyncRequest::Get { ids, .. } = &ask.request else { panic!("{ask:?}") };
    assert_eq!((ids.len(), round.needed()), (99, 99));
    assert!(!ids.contains(&id(0)));
}

#[test]
fn r104_a_round_over_no_time_has_ended() {
    let mut round = Round::new(SetName::Moderations, vec![]);
    assert_eq!(round.next_request(&Peer::new([])), None);
    assert!(round.outcome().unwrap().complete);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r104_an_honest_round_brings_exactly_what_is_missing(
        ours in prop::collection::btree_set(0u64..3_000, 0..700),
        theirs in prop::collection::btree_set(0u64..3_000, 0..700),
        refused in prop::collection::btree_set(0u64..3_000, 0..50),
    ) {
        let mut own = Peer::new(ours.clone());
        own.refused = refused.iter().map(|n| id(*n)).collect();
        let (outcome, _traffic) = run_honestly(&mut own, &Peer::new(theirs.clone()));
        let expected: BTreeSet<u64> =
            theirs.difference(&ours).filter(|n| !refused.contains(n)).copied().collect();
        prop_assert_eq!(outcome.brought, expected.len() as u64);
        prop_assert_eq!(outcome.agreed, ours == theirs);
        prop_assert!(outcome.complete);
        prop_assert_eq!(own.items, Peer::new(ours.union(&expected).copied()).items);
    }
}

//! Rounds against peers that lie or are busy.

use super::*;
use crate::reconcile::round::work::{FRAMES_FREE, NEEDED_MAX};

/// A different id with every call.
fn forged(count: &mut u64) -> [u8; 32] {
    *count += 1;
    id(1_000_000 + *count).0
}

/// A frame that promises as many made-up ids as fit, and claims that there are more.
fn promises(count: &mut u64) -> Vec<u8> {
    let ids = (FRAME_BYTES_MAX - 100) / 32;
    let varint = [0x80 | u8::try_from(ids >> 7).unwrap(), u8::try_from(ids & 0x7f).unwrap()];
    let mut frame = vec![0x61, 0x02, 0x00, 0x02];
    frame.extend(varint);
    for _id in 0..ids {
        frame.extend(forged(count));
    }
    frame.extend([0, 0, 1]);
    frame.extend([7; 16]);
    frame
}

/// A liar's answer to every window of a `Reconcile`; nothing to a `Get`.
fn lie(request: &SyncRequest, mut frame: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    let body = match request {
        SyncRequest::Reconcile { windows, .. } => {
            // The promises must fit into the answer to the opening.
            let mut frames = vec![vec![]; windows.len()];
            frames[0] = frame();
            frames_to_bytes(&frames)
        }
        _get => Batch::default().to_bytes(),
    };
    SyncReply::Ok(body).to_bytes()
}

#[test]
fn r107_an_id_that_is_named_twice_is_requested_once() {
    let mut ours = Peer::new([]);
    let twice = [&[0x61, 0x02, 0x00, 0x02, 0x01][..], &[7; 32], &[0, 0, 2, 1], &[7; 32]].concat();
    let mut round = whole();
    let (outcome, traffic) =
        run(&mut round, &mut ours, |request| Some(lie(request, || twice.clone())));
    assert!(!outcome.complete);
    assert_eq!(round.needed(), 1);
    assert!(traffic.gets <= GETS_IN_VAIN_MAX);
}

#[test]
fn r107_a_peer_that_promises_and_never_brings_ends_the_round() {
    let (mut count, mut ours) = (0, Peer::new(0..100));
    let mut round = round();
    let (outcome, traffic) =
        run(&mut round, &mut ours, |request| Some(lie(request, || promises(&mut count))));
    assert_eq!(outcome, Outcome { brought: 0, agreed: false, complete: false });
    assert!(traffic.gets <= GETS_IN_VAIN_MAX + 1 && traffic.reconciles < 10, "{traffic:?}");
}

#[test]
fn r107_unkept_promises_cost_bounded_memory() {
    let (mut count, ours) = (0, Peer::new([]));
    let mut round = round();
    let mut frames = 0;
    while let Some(ask) = round.next_request(&ours) {
        if let SyncRequest::Reconcile { windows, .. } = &ask.request {
            let mut answer = vec![vec![]; windows.len()];
            answer[0] = promises(&mut count);
            round.on_frames(ask.tag, answer, &ours);
            frames += 1;
        }
    }
    assert_eq!(round.needed(), NEEDED_MAX as u64);
    assert!(frames < 200);
}

#[test]
fn r107_endless_differences_end_the_round() {
    let mut ours = Peer::new(0..100);
    let differs = || [&[0x61, 0, 0, 1][..], &[7; 16]].concat();
    let (outcome, traffic) = run(&mut round(), &mut ours, |request| Some(lie(request, differs)));
    assert!(!outcome.complete);
    assert!(traffic.reconciles <= FRAMES_FREE + 2, "{}", traffic.reconciles);
}

#[test]
fn r107_a_busy_peer_is_asked_again_and_then_left() {
    let theirs = Peer::new(0..3_000);
    let mut turn = 0;
    let (outcome, traffic) = run(&mut round(), &mut Peer::new([]), |request| {
        turn += 1;
        let late = SyncReply::Later.to_bytes();
        Some(if turn % 2 == 0 { late } else { theirs.answer(request).to_bytes() })
    });
    assert_eq!(outcome, Outcome { brought: 3_000, agreed: false, complete: true });
    assert!(traffic.asked.len() > 10);
    let (outcome, traffic) =
        run(&mut round(), &mut Peer::new([]), |_request| Some(SyncReply::Later.to_bytes()));
    assert_eq!(outcome, Outcome { brought: 0, agreed: false, complete: false });
    assert_eq!(traffic.asked.len(), LATERS_MAX);
}

#[test]
fn r107_no_answer_ends_the_round_and_other_tags_do_nothing() {
    let mut ours = Peer::new(0..10);
    let (outcome, traffic) = run(&mut round(), &mut ours, |_request| None);
    assert_eq!(outcome, Outcome { brought: 0, agreed: false, complete: false });
    assert_eq!(traffic.asked.len(), 1);
    let mut round = round();
    let ask = round.next_request(&ours).unwrap();
    let foreign = AskTag(99);
    round.on_failure(foreign);
    round.on_later(foreign);
    round.on_batch(foreign, &[id(1)]);
    round.on_batch(ask.tag, &[id(1)]);
    round.on_frames(foreign, vec![vec![0x61]; 5], &ours);
    assert_eq!((round.outcome(), round.brought()), (None, 0));
    round.on_frames(ask.tag, vec![vec![0x61]; 5], &ours);
    assert_eq!(round.next_request(&ours), None);
    assert!(round.outcome().unwrap().agreed);
}

/// What a hostile peer does with one request.
#[derive(Debug, Clone)]
enum Whim {
    Honest,
    Damaged(usize, u8),
    Rubbish(Vec<u8>),
    Frames(Vec<Vec<u8>>),
    Later,
    Nothing,
    Promises,
}

fn whim() -> impl Strategy<Value = Whim> {
    let rubbish = || prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        6 => Just(Whim::Honest),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Whim::Damaged(at, byte)),
        1 => rubbish().prop_map(Whim::Rubbish),
        1 => prop::collection::vec(rubbish(), 0..6).prop_map(Whim::Frames),
        1 => Just(Whim::Later),
        1 => Just(Whim::Nothing),
        1 => Just(Whim::Promises),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r107_whatever_a_peer_does_the_round_ends(
        size in 0u64..600, whims in prop::collection::vec(whim(), 1..20),
    ) {
        let (mut ours, theirs) = (Peer::new(0..300), Peer::new(150..150 + size));
        let (mut turn, mut count) = (0, 0);
        let (outcome, _traffic) = run(&mut round(), &mut ours, |request| {
            let honest = theirs.answer(request);
            turn += 1;
            match &whims[turn % whims.len()] {
                Whim::Honest => Some(honest.to_bytes()),
                Whim::Damaged(at, byte) => {
                    let SyncReply::Ok(mut body) = honest else { return None };
                    let at = at % body.len();
                    body[at] = *byte;
                    Some(SyncReply::Ok(body).to_bytes())
                }
                Whim::Rubbish(bytes) => Some(SyncReply::Ok(bytes.clone()).to_bytes()),
                Whim::Frames(frames) => {
                    let mut frames = frames.clone();
                    for frame in &mut frames {
                        frame.insert(0, 0x61);
                    }
                    frames.truncate(5);
                    Some(SyncReply::Ok(frames_to_bytes(&frames)).to_bytes())
                }
                Whim::Later => Some(SyncReply::Later.to_bytes()),
                Whim::Nothing => Some(SyncReply::Ok(vec![0x82, 0x80, 0x80]).to_bytes()),
                Whim::Promises => Some(lie(request, || promises(&mut count))),
            }
        });
        prop_assert!(outcome.brought <= size || !outcome.complete);
    }
}

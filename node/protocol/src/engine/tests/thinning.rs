//! Many peers: when a peer is thin, which links it drops, who may drop a link to it, and whom it dials.

use std::collections::BTreeSet;
use std::time::Duration;

use super::harness::{
    BOOT, Peer, closed, config_of, dialled, hello_of, key_of, millis, presence_by, presences,
    seconds, ticket_of,
};
use crate::admission;
use crate::degree::{
    CROWD_LASTS, LINKS_FULL_MAX, LINKS_REFILL, LINKS_THIN, LINKS_THIN_MAX, LINKS_THIN_MIN,
    PART_RETRY, PART_WITHIN, PARTINGS_MAX, RING_EACH_SIDE, STRANGER_EVERY,
};
use crate::engine::{AskId, Input, LinkId, Output, RequestId, Topic};
use crate::hello::Hello;
use crate::ids::{PeerKey, Role};
use crate::login::PeerAddresses;
use crate::reconcile::{SyncReply, SyncRequest};
use crate::roster::LOST_AFTER;
use crate::testing::{self, T0};

const ME: u8 = 2;
const FIRST: u8 = 3;
/// How many others make a crowd.
const CROWD: u8 = 70;

fn others(count: u8) -> std::ops::Range<u8> {
    FIRST..FIRST + count
}

fn candidate(number: u8) -> PeerAddresses {
    let addresses = vec![format!("/ip4/10.0.0.{number}/tcp/4003")];
    PeerAddresses { peer: key_of(number), addresses }
}

/// A peer with links to this many others, each named by its peer's number.
fn linked_with(count: u8) -> Peer {
    let mut peer = Peer::new(ME);
    peer.feed(Input::Candidates(others(count).map(candidate).collect()));
    for number in others(count) {
        peer.link(u64::from(number), number);
    }
    peer
}

/// The same when it has just become thin, with its outputs.
fn thin() -> (Peer, Vec<Output>) {
    let mut peer = linked_with(CROWD);
    peer.advance(CROWD_LASTS - seconds(2));
    let mut outputs = Vec::new();
    while !peer.engine.is_thin() {
        outputs = peer.advance(millis(1_100));
    }
    (peer, outputs)
}

/// The peers that were asked to drop the link.
fn asked(outputs: &[Output]) -> Vec<(AskId, PeerKey)> {
    let asked = |output: &Output| match output {
        Output::Ask { peer, ask, bytes } => match SyncRequest::parse(bytes) {
            Ok(SyncRequest::Part(_links)) => Some((*ask, *peer)),
            _other => None,
        },
        _other => None,
    };
    outputs.iter().filter_map(asked).collect()
}

fn answer(peer: &mut Peer, ask: AskId, reply: &SyncReply) -> Vec<Output> {
    peer.feed(Input::Answered { ask, bytes: Some(reply.to_bytes()) })
}

/// Whether a peer agrees to drop the link when another, which has this many links, asks.
fn agrees(peer: &mut Peer, number: u8, links: usize) -> bool {
    let bytes = SyncRequest::Part(links as u64).to_bytes();
    let (request, asking) = (RequestId(u64::from(number)), key_of(number));
    let outputs = peer.feed(Input::Asked { request, peer: asking, bytes });
    let reply = outputs.iter().find_map(|output| match output {
        Output::Answer { bytes, .. } => SyncReply::parse(bytes).ok(),
        _other => None,
    });
    match reply.unwrap() {
        SyncReply::Ok(_) => true,
        SyncReply::Later => false,
        other => panic!("{other:?}"),
    }
}

/// The ring neighbours of [`ME`] among this many others.
fn ring(count: u8) -> BTreeSet<PeerKey> {
    let mut keys: Vec<_> = others(count).chain([ME]).map(key_of).collect();
    keys.sort_unstable();
    let me = keys.iter().position(|key| *key == key_of(ME)).unwrap() + keys.len();
    let near = (me - RING_EACH_SIDE..=me + RING_EACH_SIDE).map(|at| keys[at % keys.len()]);
    near.filter(|key| *key != key_of(ME)).collect()
}

/// Peers of a crowd that are not ring neighbours.
fn outside_the_ring() -> Vec<u8> {
    let ring = ring(CROWD);
    others(CROWD).filter(|number| !ring.contains(&key_of(*number))).collect()
}

/// Lets time pass while no dial is answered. Returns the peers that were dialled.
fn dials(peer: &mut Peer, time: Duration) -> BTreeSet<PeerKey> {
    let end = peer.now.mono + time;
    let mut all = BTreeSet::new();
    while peer.now.mono < end {
        let mut open = dialled(&peer.advance(millis(100)));
        while let Some(failed) = open.pop() {
            all.insert(failed);
            open.extend(dialled(&peer.feed(Input::DialFailed(failed))));
        }
    }
    all
}

/// Takes links down without a request, because a test cannot answer each one.
fn drop_links(peer: &mut Peer, numbers: &[u8]) {
    for number in numbers {
        peer.feed(Input::LinkDown(LinkId(u64::from(*number))));
    }
}

#[test]
fn r127_a_minute_of_crowd_makes_thin_and_of_calm_full() {
    let full = u8::try_from(LINKS_FULL_MAX).unwrap();
    let mut few = linked_with(full);
    few.advance(CROWD_LASTS * 2);
    assert!(!few.engine.is_thin());

    let mut peer = linked_with(full + 1);
    peer.advance(CROWD_LASTS - millis(1));
    assert!(!peer.engine.is_thin());
    peer.feed(Input::LinkDown(LinkId(u64::from(FIRST))));
    peer.advance(LOST_AFTER + CROWD_LASTS);
    assert!(peer.engine.is_thin(), "it was over the limit for more than a minute");

    let (mut peer, _outputs) = thin();
    let refill = u8::try_from(LINKS_REFILL).unwrap();
    let gone: Vec<u8> = others(CROWD).skip(usize::from(refill)).collect();
    drop_links(&mut peer, &gone);
    dials(&mut peer, LOST_AFTER + CROWD_LASTS + seconds(2));
    assert_eq!(peer.engine.roster().people().count(), LINKS_REFILL);
    assert!(peer.engine.is_thin(), "one fewer would do");
    drop_links(&mut peer, &[FIRST]);
    dials(&mut peer, LOST_AFTER + CROWD_LASTS - seconds(1));
    assert!(peer.engine.is_thin());
    assert_eq!(dials(&mut peer, seconds(30)).len(), gone.len() + 1, "everybody is dialled again");
    assert!(!peer.engine.is_thin());
}

#[test]
fn r127_a_short_crowd_changes_nothing() {
    let mut peer = linked_with(CROWD);
    peer.advance(CROWD_LASTS - LOST_AFTER - seconds(2));
    drop_links(&mut peer, &[3, 4, 5, 6, 7, 8]);
    let outputs = peer.advance(CROWD_LASTS * 2);
    assert!(!peer.engine.is_thin() && asked(&outputs).is_empty());
}

#[test]
fn r127_with_64_links_only_the_ring_is_dialled() {
    let mut peer = linked_with(CROWD - 5);
    let (ring, more) = (ring(CROWD), others(CROWD).skip(usize::from(CROWD) - 5));
    for number in more.clone() {
        peer.gossip(FIRST, Topic::Control, &presence_by(number, BOOT, 0, T0));
    }
    peer.advance(seconds(2));
    peer.feed(Input::Candidates(more.map(candidate).collect()));
    assert!(dials(&mut peer, seconds(20)).is_subset(&ring));
    drop_links(&mut peer, &[3, 4, 5]);
    let wanted = dials(&mut peer, LOST_AFTER);
    assert!(wanted.len() >= 5, "the three, and others because links are lacking: {wanted:?}");
}

#[test]
fn r127_nobody_parts_from_the_authority_peer() {
    let mut config = config_of(ME);
    config.ticket = ticket_of(ME, |claims| claims.role = Role::Authority);
    let (mut member, _outputs) = Peer::start(config);
    others(CROWD).for_each(|number| drop(member.link(u64::from(number), number)));
    assert!(asked(&member.advance(CROWD_LASTS * 2)).is_empty() && !member.engine.is_thin());

    let mut peer = linked_with(CROWD);
    let ticket = ticket_of(200, |claims| claims.role = Role::Authority).as_bytes().to_vec();
    peer.link_with(200, 200, Hello { ticket, ..hello_of(200) });
    peer.subscribe(200);
    let outputs = peer.advance(CROWD_LASTS * 4);
    assert!(asked(&outputs).len() > 50);
    assert!(asked(&outputs).iter().all(|(_ask, asked)| *asked != key_of(200)));
}

#[test]
fn r128_ring_neighbours_are_never_parted_from() {
    let (mut peer, _outputs) = thin();
    let ring = ring(CROWD);
    for number in others(CROWD).filter(|number| ring.contains(&key_of(*number))) {
        assert!(!agrees(&mut peer, number, 99));
    }
    let mut outputs = peer.advance(seconds(1));
    for _second in 0..60 {
        for (ask, _peer) in asked(&outputs) {
            answer(&mut peer, ask, &SyncReply::Later);
        }
        outputs = peer.advance(seconds(1));
        assert!(asked(&outputs).iter().all(|(_ask, peer)| !ring.contains(peer)));
    }
}

#[test]
fn r129_a_parted_peer_is_not_lost_and_not_redialled() {
    let (mut peer, outputs) = thin();
    let questions = asked(&outputs);
    assert_eq!(questions.len(), PARTINGS_MAX / 2);
    let (ask, gone) = questions[0];
    let number = others(CROWD).find(|number| key_of(*number) == gone).unwrap();
    assert_eq!(closed(&answer(&mut peer, ask, &SyncReply::Ok(Vec::new()))), [u64::from(number)]);
    peer.feed(Input::LinkDown(LinkId(u64::from(number))));
    assert_eq!(peer.engine.topic_for_messages(), Topic::Mesh);
    let outputs = peer.advance(LOST_AFTER * 4);
    assert!(presences(&outputs).is_empty());
    assert!(!dialled(&outputs).contains(&gone));
    // Without news its lease ends eventually.
    let outputs = peer.advance(seconds(3 * u64::from(CROWD)));
    assert!(presences(&outputs).iter().any(|(lost, _reason)| *lost == gone));
}

#[test]
fn r129_a_peer_that_declines_is_left_alone_for_a_minute() {
    let (mut peer, outputs) = thin();
    for reply in [SyncReply::Later, SyncReply::Unsupported].into_iter().zip(asked(&outputs)) {
        let (reply, (ask, _peer)) = reply;
        assert!(closed(&answer(&mut peer, ask, &reply)).is_empty());
    }
    let stay: Vec<_> = asked(&outputs).into_iter().map(|(_ask, peer)| peer).collect();
    let outputs = peer.advance(PART_RETRY - seconds(2));
    assert!(asked(&outputs).iter().all(|(_ask, peer)| !stay.contains(peer)));
    assert_eq!(peer.links().len(), usize::from(CROWD));
}

#[test]
fn r129_only_a_thin_peer_agrees_and_only_to_a_few_at_a_time() {
    let outside = outside_the_ring();
    let mut full = linked_with(CROWD);
    assert!(!agrees(&mut full, outside[0], 99));
    let (mut peer, outputs) = thin();
    let busy: BTreeSet<_> = asked(&outputs).into_iter().map(|(_ask, peer)| peer).collect();
    let idle: Vec<u8> =
        outside.into_iter().filter(|number| !busy.contains(&key_of(*number))).collect();
    let agreed = idle.iter().take(10).filter(|number| agrees(&mut peer, **number, 99)).count();
    assert_eq!(agreed, PARTINGS_MAX - busy.len());
    drop_links(&mut peer, &idle[..1]);
    assert!(presences(&peer.advance(LOST_AFTER + seconds(1))).is_empty(), "it has parted");
}

#[test]
fn r129_a_yes_that_is_not_used_is_void() {
    let (mut peer, _outputs) = thin();
    let number = outside_the_ring()[0];
    peer.advance(seconds(2));
    if !agrees(&mut peer, number, 99) {
        panic!("there are many links");
    }
    peer.advance(PART_WITHIN);
    drop_links(&mut peer, &[number]);
    let lost = presences(&peer.advance(LOST_AFTER));
    assert!(lost.iter().any(|(lost, _reason)| *lost == key_of(number)), "{lost:?}");
}

#[test]
fn r99_thirty_devices_of_one_account_get_two_links() {
    let (mut peer, _outputs) = thin();
    let hello = |number: u8| {
        let ticket = ticket_of(number, |claims| claims.account = testing::account("greedy"));
        Hello { ticket: ticket.as_bytes().to_vec(), ..hello_of(number) }
    };
    let of_greedy = |peer: &Peer| peer.links().iter().filter(|id| **id >= 100).count();
    for _round in 0..10 {
        for number in 100..130u8 {
            let view = peer.view.clone().unwrap();
            let may = admission::judge(&view, key_of(number), hello(number), peer.now).is_ok();
            if may && !peer.links().contains(&u64::from(number)) {
                peer.link_with(u64::from(number), number, hello(number));
                peer.subscribe(number);
            }
        }
        let mut outputs = peer.advance(millis(1_100));
        // None of them agrees to part.
        for (ask, _peer) in asked(&outputs) {
            outputs.extend(answer(&mut peer, ask, &SyncReply::Later));
        }
        for id in closed(&outputs) {
            peer.feed(Input::LinkDown(LinkId(id)));
        }
        // Two, and one more on each side of the ring until others have parted.
        assert!(of_greedy(&peer) <= 4, "{}", of_greedy(&peer));
    }
    assert!(peer.links().len() - of_greedy(&peer) >= LINKS_THIN_MIN, "the others stay");
    let full = linked_with(FIRST + 5);
    let view = full.view.clone().unwrap();
    assert!(admission::judge(&view, key_of(100), hello(100), full.now).is_ok());
}

/// A thin peer with this many links left, including its ring neighbours, which still has the others in its roster.
fn with_links(count: usize) -> (Peer, Vec<u8>) {
    let (mut peer, mut outputs) = thin();
    let outside = outside_the_ring();
    let (keep, gone) = outside.split_at(count - ring(CROWD).len());
    drop_links(&mut peer, gone);
    for number in gone {
        let at = peer.now.wall_ms + 1;
        peer.gossip(keep[0], Topic::Control, &presence_by(*number, BOOT, 1, at));
    }
    for _look in 0..4 {
        for (ask, _peer) in asked(&outputs) {
            answer(&mut peer, ask, &SyncReply::Later);
        }
        outputs = peer.advance(millis(1_100));
    }
    (peer, keep.to_vec())
}

#[test]
fn r129_links_stay_above_twelve_or_eight_for_a_crowded_peer() {
    let (mut peer, keep) = with_links(LINKS_THIN);
    assert!(!agrees(&mut peer, keep[0], LINKS_THIN_MAX));
    assert!(agrees(&mut peer, keep[0], LINKS_THIN_MAX + 1));
    let (mut peer, keep) = with_links(LINKS_THIN_MIN);
    assert!(!agrees(&mut peer, keep[0], 99));
    let (mut peer, keep) = with_links(LINKS_THIN + 1);
    assert!(agrees(&mut peer, keep[0], LINKS_THIN + 1));
}

#[test]
fn r130_below_eight_links_peers_are_dialled_up_to_twelve() {
    let (mut peer, _keep) = with_links(LINKS_THIN_MIN);
    assert!(dials(&mut peer, seconds(30)).is_empty());
    let (mut peer, keep) = with_links(LINKS_THIN_MIN);
    drop_links(&mut peer, &keep[1..2]);
    let wanted: BTreeSet<_> = dialled(&peer.advance(millis(1_500))).into_iter().collect();
    assert_eq!(wanted.len(), 1 + LINKS_THIN - (LINKS_THIN_MIN - 1), "the missed one, and five");
    assert!(wanted.contains(&key_of(keep[1])));
}

#[test]
fn r130_who_is_missed_is_dialled_and_now_and_then_a_stranger() {
    let (mut peer, _keep) = with_links(LINKS_THIN);
    let gone = outside_the_ring()[2];
    drop_links(&mut peer, &[gone]);
    assert_eq!(dialled(&peer.advance(seconds(3))), [key_of(gone)]);
    let (mut peer, _keep) = with_links(LINKS_THIN);
    peer.feed(Input::Candidates((100..110).map(candidate).collect()));
    let tried = dials(&mut peer, STRANGER_EVERY * 4).len();
    assert!((1..=5).contains(&tried), "{tried} of ten");
}

#[test]
fn r130_whoever_has_no_link_dials_everybody() {
    let (mut peer, _keep) = with_links(LINKS_THIN);
    let all: Vec<u8> = others(CROWD).collect();
    drop_links(&mut peer, &all);
    let dialled: BTreeSet<_> = dialled(&peer.advance(Duration::from_secs(2))).into_iter().collect();
    assert_eq!(dialled.len(), crate::address_book::DIALS_PENDING_MAX);
}

//! When reconciliation runs, and what it reveals about a link.

use std::time::Duration;

use super::delivering::{answer, asked, batch_of, message, reply, serve};
use super::harness::{Peer, closed, key_of, millis, seconds, stored_texts, verdict};
use crate::engine::{Input, LinkId, Output, Topic};
use crate::limits::GOSSIP_AGE_MS_MAX;
use crate::message::VerifiedMessage;
use crate::reconcile::SyncRequest;
use crate::reconcile::reconciler::flights::{FETCH_ALONE, ROUND_STALL};
use crate::reconcile::reconciler::past::{DEAF_ROUNDS_MAX, ROUND_EVERY, ROUND_GAP};
use crate::reconcile::reconciler::rounds::ROUNDS_MAX;
use crate::testing::T0;
use crate::verdict::Acceptance;

fn is_round(output: &Output) -> bool {
    asked(std::slice::from_ref(output))
        .iter()
        .any(|(_peer, _ask, request)| matches!(request, SyncRequest::Reconcile { .. }))
}

/// A peer whose new link has passed its review, just after a round over all windows.
fn at_rest() -> Peer {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    for _turn in 0..20 {
        let outputs = peer.advance(seconds(1));
        if peer.now.mono > seconds(10) && outputs.iter().any(is_round) {
            serve(&mut peer, outputs, &[]);
            return peer;
        }
        serve(&mut peer, outputs, &[]);
    }
    panic!("no round of its own for 20 s");
}

#[test]
fn r111_a_slow_reader_is_asked_and_so_asks_us() {
    let calm = at_rest().advance(ROUND_GAP * 2);
    assert!(!calm.iter().any(is_round), "nothing is due by itself");
    let mut peer = at_rest();
    let mut outputs = peer.feed(Input::SlowPeer(key_of(3)));
    outputs.extend(peer.advance(ROUND_GAP * 2));
    assert!(outputs.iter().any(is_round), "{outputs:?}");
}

/// Rounds bring news every second, younger than a minute. Returns the second in which the link was closed, if it was.
fn closed_while_rounds_bring_news(
    peer: &mut Peer,
    length_s: u64,
    mut also: impl FnMut(&mut Peer, u64) -> Option<VerifiedMessage>,
) -> Option<u64> {
    let mut theirs = Vec::new();
    for second in 0..length_s {
        theirs.push(message(3, second, peer.now.wall_ms - 1_000));
        theirs.extend(also(peer, second));
        let mut outputs = peer.feed(Input::SlowPeer(key_of(3)));
        outputs.extend(peer.advance(seconds(1)));
        let all = serve(peer, outputs, &theirs);
        if !closed(&all).is_empty() {
            assert_eq!(closed(&all), [1]);
            return Some(second);
        }
    }
    None
}

/// The shortest possible silence: since the past began, and after each round that counts but the last.
fn shortest_deafness() -> Duration {
    ROUND_EVERY * (u32::try_from(DEAF_ROUNDS_MAX).unwrap() - 1)
}

#[test]
fn r111_a_link_that_answers_and_brings_no_gossip_is_closed() {
    let mut peer = at_rest();
    let length_s = 2 * (ROUND_EVERY + shortest_deafness()).as_secs();
    let closed_at = closed_while_rounds_bring_news(&mut peer, length_s, |_peer, _second| None);
    let closed_at = closed_at.expect("it is closed");
    assert!(closed_at >= shortest_deafness().as_secs(), "after {closed_at} s");
    assert!(closed_at <= length_s / 2 + 5, "after {closed_at} s");
}

/// Rounds that follow one another under load show nothing about gossip, which is only late.
#[test]
fn r111_many_rounds_in_a_short_silence_close_nothing() {
    let mut peer = at_rest();
    let late_s = shortest_deafness().as_secs() - 1;
    assert!(late_s > 3 * DEAF_ROUNDS_MAX as u64, "or it is not long enough for many");
    assert_eq!(closed_while_rounds_bring_news(&mut peer, late_s, |_peer, _second| None), None);
}

#[test]
fn r111_a_link_that_brings_gossip_now_and_then_is_not_deaf() {
    let mut peer = at_rest();
    let every_s = shortest_deafness().as_secs() - 1;
    let gossip = |peer: &mut Peer, second: u64| {
        second.is_multiple_of(every_s).then(|| {
            let heard = message(4, second, peer.now.wall_ms);
            let outputs = peer.gossip(3, Topic::Mesh, &heard.to_gossip());
            assert_eq!(verdict(&outputs), Acceptance::Accept);
            heard
        })
    };
    assert_eq!(closed_while_rounds_bring_news(&mut peer, 5 * every_s, gossip), None);
}

/// A neighbour lists ids of other authors' messages and does not deliver them. A neighbour that holds them is asked
/// within a moment, however often the first is asked again.
#[test]
fn r104_a_peer_that_brings_nothing_withholds_nothing() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let news: Vec<_> = (0..50).map(|seq| message(5, seq, T0 - 60_000 + seq)).collect();
    let mut liar_was_asked: Vec<(_, _, Vec<_>)> = Vec::new();
    let mut stored = 0;
    let mut honest_since = None;
    for tenth in 0..100u64 {
        if tenth == 10 {
            peer.link(2, 4);
            honest_since = Some(peer.now.mono);
        }
        let mut outputs = peer.advance(millis(100));
        // It delivers one of them at the last moment, so that it is asked for the rest again.
        for (at, ask, ids) in std::mem::take(&mut liar_was_asked) {
            if peer.now.mono < at + millis(9_900) {
                liar_was_asked.push((at, ask, ids));
                continue;
            }
            let one: Vec<_> =
                news.iter().filter(|message| ids.first() == Some(&message.id())).collect();
            outputs.extend(reply(&mut peer, ask, batch_of(&one)));
        }
        loop {
            let requests = asked(&outputs);
            stored += stored_texts(&outputs).len();
            outputs.clear();
            if requests.is_empty() {
                break;
            }
            for (of, ask, request) in requests {
                match &request {
                    SyncRequest::Get { ids, .. } if of == key_of(3) => {
                        liar_was_asked.push((peer.now.mono, ask, ids.clone()));
                    }
                    _honest => outputs.extend(reply(&mut peer, ask, answer(&request, &news))),
                }
            }
        }
        if stored == news.len() {
            let took = peer.now.mono - honest_since.unwrap();
            assert!(took < FETCH_ALONE + ROUND_GAP * 2, "{took:?}");
            return;
        }
    }
    panic!("{stored} of {} have come", news.len());
}

#[test]
fn r107_what_came_too_late_for_gossip_is_still_asked_for() {
    let mut peer = Peer::new(2);
    peer.advance(millis(GOSSIP_AGE_MS_MAX + 1));
    peer.link(1, 3);
    let late = message(3, 0, T0);
    assert_ne!(verdict(&peer.gossip(3, Topic::Mesh, &late.to_gossip())), Acceptance::Accept);
    assert!(peer.engine.history().wants(late.id()));
    let mut stored = 0;
    // Until a round over all windows has run.
    for _second in 0..15 {
        let outputs = peer.advance(seconds(1));
        stored += stored_texts(&serve(&mut peer, outputs, std::slice::from_ref(&late))).len();
    }
    assert_eq!(stored, 1);
    assert!(!peer.engine.history().wants(late.id()), "it is held");
}

/// As many peers as there are places deliver one message each, now and then, and never finish.
#[test]
fn r107_peers_that_bring_little_make_room_for_others() {
    let mut peer = Peer::new(2);
    let liars: Vec<u8> = (3..3 + u8::try_from(ROUNDS_MAX).unwrap()).collect();
    let honest = 3 + u8::try_from(ROUNDS_MAX).unwrap();
    let listed: Vec<Vec<_>> = liars
        .iter()
        .map(|liar| (0..50).map(|seq| message(*liar, seq, T0 - 60_000 + seq)).collect())
        .collect();
    let news = [message(20, 0, T0 - 50_000)];
    for liar in &liars {
        peer.link(u64::from(*liar), *liar);
    }
    let mut slow: Vec<(_, _, Vec<_>)> = Vec::new();
    for second in 0..=2 * ROUND_STALL.as_secs() {
        let mut outputs = peer.advance(seconds(1));
        if second == 5 {
            outputs.extend(peer.link(1, honest));
        }
        for (at, ask, body) in std::mem::take(&mut slow) {
            if peer.now.mono < at + seconds(9) {
                slow.push((at, ask, body));
            } else {
                outputs.extend(reply(&mut peer, ask, body));
            }
        }
        while !outputs.is_empty() {
            let requests = asked(&outputs);
            if stored_texts(&outputs).contains(&"number 0".to_owned())
                && peer.engine.history().set().contains(T0 - 50_000, news[0].id())
            {
                return;
            }
            outputs.clear();
            for (of, ask, request) in requests {
                let liar = liars.iter().position(|liar| key_of(*liar) == of);
                match (&request, liar) {
                    (SyncRequest::Get { ids, .. }, Some(liar)) => {
                        let one = listed[liar].iter().filter(|it| Some(&it.id()) == ids.first());
                        slow.push((peer.now.mono, ask, batch_of(&one.collect::<Vec<_>>())));
                    }
                    (_frames, Some(liar)) => {
                        outputs.extend(reply(&mut peer, ask, answer(&request, &listed[liar])));
                    }
                    (_any, None) => outputs.extend(reply(&mut peer, ask, answer(&request, &news))),
                }
            }
        }
    }
    panic!("the honest neighbour has waited for two minutes");
}

#[test]
fn r107_an_answer_to_an_earlier_round_is_not_looked_at() {
    let mut peer = Peer::new(2);
    peer.link(1, 3);
    let theirs = [message(3, 0, T0 - 5_000)];
    let mut outputs = peer.advance(millis(1));
    let late = loop {
        let requests = asked(&outputs);
        outputs.clear();
        let get = requests.iter().find(|(_, _, it)| matches!(it, SyncRequest::Get { .. })).cloned();
        if let Some(get) = get {
            break get;
        }
        for (_of, ask, request) in requests {
            outputs.extend(reply(&mut peer, ask, answer(&request, &theirs)));
        }
    };
    // The round ends with its link, and the next one begins with the moderations.
    peer.feed(Input::LinkDown(LinkId(1)));
    peer.link(2, 3);
    let next = peer.advance(seconds(1));
    assert!(next.iter().any(is_round), "{next:?}");
    let foreign: Vec<_> = (10..20).map(|seq| message(4, seq, T0 - 5_000)).collect();
    let outputs = reply(&mut peer, late.1, batch_of(&foreign.iter().collect::<Vec<_>>()));
    assert!(closed(&outputs).is_empty() && stored_texts(&outputs).is_empty(), "{outputs:?}");
}

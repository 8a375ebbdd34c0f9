//! Networks that lose packets at random, or whole cables for a while. What was typed still arrives.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lanyard_rendezvous::clock;

use crate::harness::traffic::{
    Dice, expect_everywhere, expect_nothing_twice, figure, full_mesh, log_in_store, names, pass,
    said, since,
};
use crate::harness::{Lan, PATIENCE, Peer, Realm, archive, is_soak, skip};

/// After the last message, everything is everywhere within this time.
const QUIET: Duration = Duration::from_secs(30);
/// The number of messages in each store of a quiet room.
const STORED: u64 = 2_000;
/// The most bytes a second in and out of one of four peers while nothing happens: pings, heartbeats, and at most a
/// round every 10 s from each side of a link.
const QUIET_RATE_MAX: u64 = 4_096;
/// Messages a second by all peers together.
const RATE: u32 = 5;

#[test]
fn messages_survive_cables_that_come_and_go() {
    let (peers, lasts, cut_ms_max) = if is_soak() { (6, 300, 20_000) } else { (4, 30, 4_000) };
    let (lasts, mut dice) = (Duration::from_secs(lasts), Dice::new());
    let names = names(peers);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some((realm, lan)) = Lan::new(&[peers], &names) else { return };
    without_quota(&realm);
    let mut peers = lan.join_all(&realm, &names);
    full_mesh(&mut peers, PATIENCE);

    let began = clock::monotonic();
    let mut cables: Vec<(Instant, bool)> =
        names.iter().map(|_name| (began + dice.between(0, cut_ms_max), true)).collect();
    let (mut said_by, mut cuts) = (vec![0; peers.len()], 0);
    for number in 0..u32::try_from(lasts.as_secs()).unwrap() * RATE {
        let due = began + Duration::from_secs(1) * number / RATE;
        // Cables change between two messages, at moments of their own.
        while let Some((next, _up)) = cables.iter().min().filter(|(next, _up)| *next <= due) {
            let next = *next;
            pass(next);
            let changing = cables.iter().position(|(at, _up)| *at == next).unwrap();
            let plugged = !cables[changing].1;
            lan.plug(changing, plugged);
            cuts += usize::from(!plugged);
            cables[changing] = (next + dice.between(1_000, cut_ms_max), plugged);
        }
        pass(due);
        let speaker = usize::try_from(dice.below(peers.len() as u64)).unwrap();
        peers[speaker].say(&format!("message {number}"));
        said_by[speaker] += 1;
    }
    (0..peers.len()).for_each(|peer| lan.plug(peer, true));
    let quiet = clock::monotonic();
    let all = all_said(&mut peers, &said_by);
    expect_everywhere(&mut peers, &all, quiet + QUIET);
    figure(&format!(
        "cables: {} peers, {cuts} cuts of 1 to {} s in {} s, {} messages: 0 lost {:.1} s after quiet",
        peers.len(),
        cut_ms_max / 1_000,
        lasts.as_secs(),
        all.len(),
        since(quiet).as_secs_f64(),
    ));
    expect_one_log(&realm, &names, &mut peers);
}

#[test]
fn lost_packets_lose_no_messages() {
    let (peers, messages, shares): (_, u32, &[u32]) =
        if is_soak() { (8, 300, &[1, 5, 10]) } else { (4, 60, &[5]) };
    let names = names(peers);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some((realm, lan)) = Lan::new(&[peers], &names) else { return };
    without_quota(&realm);
    let mut peers = lan.join_all(&realm, &names);
    full_mesh(&mut peers, PATIENCE);

    let mut said_by = vec![0; peers.len()];
    for share in shares {
        if !lan.lose(*share) {
            return skip("nft is missing");
        }
        let began = clock::monotonic();
        for number in 0..messages {
            pass(began + Duration::from_secs(1) * number / (2 * RATE));
            let speaker = usize::try_from(number).unwrap() % peers.len();
            peers[speaker].say(&format!("message {number} at {share} %"));
            said_by[speaker] += 1;
        }
        let quiet = clock::monotonic();
        let all = all_said(&mut peers, &said_by);
        expect_everywhere(&mut peers, &all, quiet + QUIET);
        let (lost, took) = (lan.lost(), since(quiet).as_secs_f64());
        assert!(lost > 0, "no packet was lost at {share} %");
        figure(&format!(
            "loss of {share} % ({lost} packets): {} peers, {messages} messages: 100 % everywhere {took:.1} s after the last",
            peers.len(),
        ));
    }
    expect_one_log(&realm, &names, &mut peers);
}

#[test]
fn a_quiet_room_uses_next_to_no_traffic() {
    let (peers, quiet) =
        if is_soak() { (4, Duration::from_secs(60)) } else { (4, Duration::from_secs(10)) };
    let names = names(peers);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some((realm, lan)) = Lan::new(&[peers], &names) else { return };
    // A first visit creates the profiles.
    lan.join_all(&realm, &names).into_iter().for_each(Peer::quit);
    archive::fill(&realm, &names, STORED);
    let mut peers = lan.join_all(&realm, &names);
    full_mesh(&mut peers, PATIENCE);
    let id = peers[0].send("The last word.");
    for peer in &mut peers[1..] {
        peer.expect_message(&id, PATIENCE);
    }
    // By then, everything that a new link and a message have caused is over.
    pass(clock::monotonic() + Duration::from_secs(10));

    let began = clock::monotonic();
    let before: Vec<u64> = (0..peers.len()).map(|peer| lan.bytes(peer)).collect();
    pass(began + quiet);
    let after = (0..peers.len()).map(|peer| lan.bytes(peer));
    let most = after.zip(before).map(|(after, before)| after - before).max().unwrap();
    let rate = most / quiet.as_secs();
    figure(&format!(
        "quiet: {} peers with {STORED} equal messages: at most {rate} bytes a second in and out of a peer",
        peers.len(),
    ));
    assert!(rate < QUIET_RATE_MAX, "{rate} bytes a second");
}

fn without_quota(realm: &Realm) {
    for rule in ["per-minute", "per-day"] {
        realm.run(&["policy", "set", rule, "0"]).done();
    }
}

fn all_said(peers: &mut [Peer], counts: &[usize]) -> BTreeSet<String> {
    peers.iter_mut().zip(counts).flat_map(|(peer, count)| said(peer, *count)).collect()
}

fn expect_one_log(realm: &Realm, names: &[&str], peers: &mut [Peer]) {
    let log = log_in_store(&realm.profile(names[0]));
    for name in names {
        assert_eq!(log_in_store(&realm.profile(name)), log, "{name} has another log");
    }
    peers.iter_mut().for_each(expect_nothing_twice);
}

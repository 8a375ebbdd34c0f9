//! The degree alone: crowds, the ring, parting and strangers.

use std::sync::Arc;

use super::*;
use crate::cose::public_key;
use crate::io::Output;
use crate::links::tests::linked;
use crate::roster::Observation;
use crate::testing::{self, T0};

fn at(mono: Duration) -> Now {
    Now { mono, wall_ms: T0 }
}

fn me() -> Identity {
    let ticket = testing::ticket(&testing::key(1), &testing::key(2), "me");
    Identity::new(testing::key(2), ticket, 1, 1)
}

/// A roster of these devices with the names of their accounts, all of them online.
fn roster_of(devices: impl IntoIterator<Item = (PeerKey, String)>) -> Roster {
    let seen = Observation { now: at(Duration::ZERO), realm_ms: T0, my_boot: 1 };
    let mut roster = Roster::default();
    for (peer, name) in devices {
        let ticket = testing::ticket(&testing::key(1), &testing::key(3), &name);
        roster.link_up(peer, &Arc::new(ticket), 1, seen);
    }
    roster
}

/// A roster of the peers with the keys from 3 on, enough of them to be a crowd.
fn crowd(numbers: std::ops::Range<u8>) -> Roster {
    let known = numbers.map(|n| (public_key(&testing::key(n)), format!("user{n}")));
    let others = (0..=u8::try_from(LINKS_FULL_MAX).unwrap())
        .map(|n| (PeerKey([n; 32]), format!("other{n}")));
    roster_of(known.chain(others))
}

#[test]
fn r127_the_devices_of_one_account_are_no_crowd() {
    let devices = (0..=200).map(|n| (PeerKey([n; 32]), "greedy".to_owned()));
    let (mut degree, me) = (Degree::default(), me());
    degree.roster_changed();
    degree.count(&me, &roster_of(devices), at(Duration::ZERO));
    assert_eq!(degree.next_due(), None);
}

#[test]
fn r127_a_few_accounts_with_many_devices_are_a_crowd() {
    let (mut degree, me) = (Degree::default(), me());
    let mut is_crowd = |accounts: u8| {
        let devices = (0..accounts * 16).map(|n| (PeerKey([n; 32]), format!("user{}", n / 16)));
        degree.roster_changed();
        degree.count(&me, &roster_of(devices), at(Duration::ZERO));
        degree.crowded
    };
    assert!(!is_crowd(8));
    assert!(is_crowd(10), "160 devices");
}

#[test]
fn r130_the_devices_of_one_account_hide_no_stranger() {
    let honest = (Some(AccountId([1; 16])), PeerKey([200; 32]));
    let greedy = (0..64).map(|n| (Some(AccountId([2; 16])), PeerKey([n; 32])));
    let strangers: Vec<_> = greedy.chain([honest]).collect();
    let mut fx = Effects::new([0; 32]);
    let drawn = (0..100).filter(|_| draw_stranger(&strangers, &mut fx) == Some(honest.1));
    assert!((25..=75).contains(&drawn.count()));
    assert_eq!(draw_stranger(&[], &mut fx), None);
}

#[test]
fn r127_an_account_has_one_place_on_each_side_of_the_ring() {
    let me = me();
    let [first, ..] = me.peer().0;
    // Keys made to be the nearest on both sides, and the honest ones beyond them.
    let near = (1..=20).flat_map(|n| [first - n, first + n]).map(|n| PeerKey([n; 32]));
    let far = [first - 30, first - 31, first + 30, first + 31].map(|n| PeerKey([n; 32]));
    let greedy = near.map(|peer| (peer, "greedy".to_owned()));
    let honest = far.map(|peer| (peer, format!("user{peer}")));
    let (roster, links) = (roster_of(greedy.chain(honest)), linked([]));
    let dials = AddressBook::new(me.peer());
    let ring = Around { me: &me, links: &links, roster: &roster, dials: &dials }.ring();
    let expected = [first - 30, first - 1, first + 1, first + 30].map(|n| PeerKey([n; 32]));
    assert_eq!(ring.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn r128_devices_that_nobody_reaches_make_no_ring() {
    let me = me();
    let [first, ..] = me.peer().0;
    let devices: Vec<PeerKey> = (1..=20).map(|n| PeerKey([first + n; 32])).collect();
    let mut dials = AddressBook::new(me.peer());
    for device in &devices {
        dials.add(*device, &["/ip4/10.0.0.9/tcp/1".into()], Duration::ZERO, Duration::ZERO);
        dials.failed(*device, Duration::ZERO, Duration::ZERO);
    }
    let honest = [first - 30, first - 31, first + 30, first + 31].map(|n| PeerKey([n; 32]));
    let greedy = devices.iter().map(|peer| (*peer, "greedy".to_owned()));
    let roster = roster_of(greedy.chain(honest.map(|peer| (peer, format!("user{peer}")))));
    let links = linked([]);
    let ring = Around { me: &me, links: &links, roster: &roster, dials: &dials }.ring();
    let of_greedy = ring.iter().filter(|peer| devices.contains(peer)).count();
    assert!(of_greedy <= 2 * RING_EACH_SIDE, "{of_greedy}");
    assert!(honest.iter().filter(|peer| ring.contains(peer)).count() >= 3, "{ring:?}");
}

#[test]
fn r128_an_account_with_too_many_links_parts_first() {
    let mut links = linked(3..13);
    for n in 40..44 {
        crate::links::tests::up_as(&mut links, n, "greedy");
    }
    let (mut degree, mut fx) = (Degree { thin: true, ..Degree::default() }, Effects::new([0; 32]));
    let greedy: BTreeSet<PeerKey> = (40..44).map(|n| public_key(&testing::key(n))).collect();
    degree.ask_to_part(&links, &mut fx);
    let asked: BTreeSet<PeerKey> = degree.asked.keys().copied().collect();
    assert!(asked.len() == 2 && asked.is_subset(&greedy), "though there are few links");
    for peer in asked {
        assert!(degree.part_answered(peer, false, at(CROWD_LASTS)), "whatever it answers");
    }
    degree.ask_to_part(&links, &mut fx);
    assert!(degree.asked.is_empty(), "two may stay");
}

#[test]
fn r127_among_many_for_a_minute_it_thins_out_and_parts_by_lot() {
    let (me, links, roster) = (me(), linked(3..24), crowd(3..24));
    let dials = AddressBook::new(me.peer());
    let around = Around { me: &me, links: &links, roster: &roster, dials: &dials };
    let (mut degree, mut fx) = (Degree::default(), Effects::new([0; 32]));
    assert_eq!(degree.count(&me, &roster, at(Duration::ZERO)), None, "nobody has come");
    degree.roster_changed();
    assert_eq!(degree.count(&me, &roster, at(Duration::ZERO)), None);
    assert!(degree.due(around, at(Duration::ZERO), &mut fx).is_some() && !degree.is_thin());
    assert!(degree.due(around, at(CROWD_LASTS), &mut fx).is_some() && degree.is_thin());
    let outputs = std::iter::from_fn(|| fx.poll());
    let asked: Vec<PeerKey> = outputs
        .filter_map(|output| match output {
            Output::Ask { peer, .. } => Some(peer),
            _other => None,
        })
        .collect();
    assert_eq!(asked.len(), (PARTINGS_MAX / 2).min(21 - LINKS_THIN));
    let (agrees, others) = asked.split_first().unwrap();
    assert!(degree.part_answered(*agrees, true, at(CROWD_LASTS)));
    assert!(!degree.part_answered(*agrees, true, at(CROWD_LASTS)), "one answer to a question");
    assert!(others.iter().all(|peer| !degree.part_answered(*peer, false, at(CROWD_LASTS))));
    assert!(degree.lost(*agrees, at(CROWD_LASTS)), "both wanted it so");
    assert!(others.iter().all(|peer| !degree.lost(*peer, at(CROWD_LASTS))));
}

#[test]
fn r128_a_peer_with_few_links_or_among_few_peers_lets_none_go() {
    let (mut degree, asks) = (Degree::default(), public_key(&testing::key(3)));
    let links = linked(3..24);
    let says = |degree: &mut Degree, links: &Links| {
        degree.asked_to_part(asks, 20, links, at(Duration::ZERO))
    };
    assert_eq!(says(&mut degree, &links), SyncReply::Later, "not thin");
    (degree.thin, degree.partings_left) = (true, 1);
    assert_eq!(says(&mut degree, &linked(3..6)), SyncReply::Later, "few links");
    assert_eq!(says(&mut degree, &links), SyncReply::Ok(Vec::new()));
    assert_eq!(says(&mut degree, &links), SyncReply::Later, "one at a time");
}

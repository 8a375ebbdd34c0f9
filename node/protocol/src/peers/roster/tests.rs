//! The roster alone: who comes, goes and is forgotten, and whose share is full.

use super::*;
use crate::cose::public_key;
use crate::testing::{self, T0};

const MY_BOOT: u64 = 100;

fn at(seconds: u64) -> Observation {
    let now = Now { mono: Duration::from_secs(seconds), wall_ms: T0 + seconds * 1_000 };
    Observation { now, realm_ms: now.wall_ms, my_boot: MY_BOOT }
}

fn alice() -> PeerKey {
    public_key(&testing::key(2))
}

fn ticket() -> Arc<Ticket> {
    Arc::new(testing::ticket(&testing::key(1), &testing::key(2), "alice"))
}

fn presence(boot: u64, n: u64, seconds: u64) -> SignedPresence {
    testing::presence(&testing::key(1), &testing::key(2), "alice", boot, n, T0 + seconds * 1_000)
}

fn bye(boot: u64, n: u64, seconds: u64) -> SignedPresence {
    let mut signed = presence(boot, n, seconds);
    signed.presence.status = BYE.into();
    signed
}

fn reason(observed: Observed) -> Option<Reason> {
    match observed {
        Observed::Taken(change) => change.map(|change| change.reason),
        Observed::Stale => panic!("stale"),
    }
}

#[test]
fn r72_earlier_starts_were_here_and_later_ones_joined() {
    let mut roster = Roster::default();
    assert_eq!(roster.link_up(alice(), &ticket(), 5, at(0)).unwrap().reason, Reason::Here);
    assert_eq!(roster.link_up(alice(), &ticket(), 5, at(1)), None);
    let mut roster = Roster::default();
    assert_eq!(reason(roster.observe(&presence(200, 0, 0), at(0))), Some(Reason::Joined));
}

#[test]
fn r72_a_lost_link_is_forgiven_for_fifteen_seconds() {
    let mut roster = Roster::default();
    roster.link_up(alice(), &ticket(), 5, at(0));
    roster.link_down(alice(), at(1));
    assert!(roster.expire(at(15).now).is_empty());
    roster.link_up(alice(), &ticket(), 6, at(15));
    assert!(roster.expire(at(99).now).is_empty());
    roster.link_down(alice(), at(100));
    assert_eq!(roster.expire(at(115).now)[0].reason, Reason::Lost);
    assert_eq!(roster.online().count(), 0);
}

#[test]
fn r129_a_parted_peer_lives_as_long_as_its_presence() {
    let mut roster = Roster::default();
    roster.link_up(alice(), &ticket(), 5, at(0));
    roster.part(alice(), at(10));
    assert_eq!((roster.audience().count(), roster.missed().count()), (1, 0));
    assert!(roster.expire(at(10 + 179).now).is_empty());
    assert_eq!(reason(roster.observe(&presence(5, 1, 60), at(60))), None);
    assert!(roster.expire(at(60 + 179).now).is_empty());
    assert_eq!(roster.expire(at(60 + 180).now)[0].reason, Reason::Lost);
    roster.link_up(alice(), &ticket(), 6, at(300));
    roster.link_down(alice(), at(301));
    assert_eq!(roster.missed().collect::<Vec<_>>(), [alice()]);
}

#[test]
fn r73_only_presence_after_the_loss_keeps_a_lost_neighbour() {
    let mut roster = Roster::default();
    roster.link_up(alice(), &ticket(), 5, at(0));
    roster.link_down(alice(), at(10));
    assert_eq!(reason(roster.observe(&presence(5, 1, 9), at(11))), None);
    assert_eq!(roster.next_expiry(), Some(Duration::from_secs(25)));
    assert_eq!(reason(roster.observe(&presence(5, 2, 12), at(12))), None);
    assert!(roster.expire(at(25).now).is_empty());
    assert_eq!(roster.expire(at(12 + 180).now).len(), 1);
}

#[test]
fn r74_yesterdays_presence_and_replays_bring_no_ghost() {
    let mut roster = Roster::default();
    assert_eq!(roster.observe(&presence(5, 0, 0), at(86_400)), Observed::Stale);
    assert_eq!(roster.observe(&presence(5, 0, 200), at(0)), Observed::Stale);
    assert_eq!(reason(roster.observe(&presence(5, 3, 0), at(0))), Some(Reason::Here));
    assert_eq!(roster.observe(&presence(5, 3, 0), at(0)), Observed::Stale);
    assert_eq!(reason(roster.observe(&bye(5, 4, 1), at(1))), Some(Reason::Left));
    assert_eq!(roster.observe(&presence(5, 3, 0), at(2)), Observed::Stale);
    assert_eq!(roster.observe(&presence(4, 9, 2), at(2)), Observed::Stale);
    assert_eq!(reason(roster.observe(&presence(6, 0, 3), at(3))), Some(Reason::Joined));
}

#[test]
fn r72_after_a_bye_only_a_new_start_comes_back() {
    let mut roster = Roster::default();
    assert_eq!(reason(roster.observe(&presence(5, 0, 0), at(0))), Some(Reason::Here));
    assert_eq!(reason(roster.observe(&bye(5, 1, 1), at(1))), Some(Reason::Left));
    assert!(roster.link_up(alice(), &ticket(), 5, at(1)).is_none());
    roster.link_down(alice(), at(2));
    assert_eq!(roster.online().count(), 0);
    let change = roster.link_up(alice(), &ticket(), 6, at(3)).unwrap();
    assert_eq!(change.reason, Reason::Joined);
}

#[test]
fn a_bye_counts_although_the_link_still_stands() {
    let mut roster = Roster::default();
    roster.link_up(alice(), &ticket(), 5, at(0));
    assert_eq!(reason(roster.observe(&bye(5, 1, 1), at(1))), Some(Reason::Left));
    roster.link_down(alice(), at(2));
    assert!(roster.expire(at(99).now).is_empty());
}

/// A presence of one of many devices of an account.
fn of_device(n: u16, name: &str) -> (PeerKey, Arc<Ticket>) {
    let mut key = [9; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    let mut claims = testing::claims(&testing::key(1), &testing::key(2), name);
    claims.peer = PeerKey(key);
    (PeerKey(key), Arc::new(Ticket::issue(claims, &testing::key(1))))
}

#[test]
fn one_account_fills_its_share_and_hides_nobody() {
    let mut roster = Roster::default();
    for n in 0..10_100 {
        let (peer, ticket) = of_device(n, "greedy");
        roster.link_up(peer, &ticket, 1, at(0));
        roster.link_down(peer, at(0));
        roster.expire(at(60).now);
    }
    assert_eq!(roster.devices.len(), ROSTER_PER_ACCOUNT);
    let (newest, _ticket) = of_device(10_099, "greedy");
    assert!(roster.account_of(newest).is_some(), "the oldest made room");
    assert!(roster.link_up(alice(), &ticket(), 1, at(61)).is_some());
}

#[test]
fn the_devices_online_of_an_account_are_bounded_too() {
    let mut roster = Roster::default();
    for n in 0..200 {
        let (peer, ticket) = of_device(n, "greedy");
        roster.link_up(peer, &ticket, 1, at(0));
    }
    assert_eq!(roster.online().count(), ROSTER_PER_ACCOUNT);
    assert_eq!(roster.people_up_to(2), 2);
}

#[test]
fn a_full_roster_forgets_somebody_who_is_away() {
    let mut roster = Roster::default();
    for n in 0..u16::try_from(ROSTER_MAX).unwrap() {
        let (peer, ticket) = of_device(n, &format!("user{}", n / 50));
        roster.link_up(peer, &ticket, 1, at(0));
    }
    assert_eq!(roster.link_up(alice(), &ticket(), 1, at(1)), None, "all are here");
    let (away, _ticket) = of_device(7, "user0");
    roster.link_down(away, at(1));
    roster.expire(at(60).now);
    assert!(roster.link_up(alice(), &ticket(), 1, at(61)).is_some());
    assert!(roster.account_of(away).is_none());
    assert_eq!(roster.devices.len(), ROSTER_MAX);
}

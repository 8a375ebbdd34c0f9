//! Links alone: boots, duplicates, the deaf, the denied, and what the gate sees of them.

use super::*;
use crate::cose::public_key;
use crate::hello::Hello;
use crate::io::Output;
use crate::testing::{self, T0};

const BOOT: u64 = 5;

fn at(mono: Duration) -> Now {
    Now { mono, wall_ms: T0 }
}

fn me() -> PeerKey {
    public_key(&testing::key(200))
}

fn key_of(number: u8) -> PeerKey {
    public_key(&testing::key(number))
}

fn up(links: &mut Links, id: u64, number: u8, relayed: bool) {
    up_of(links, id, number, relayed, &format!("user{number}"));
}

/// A link to the peer with this number, which belongs to this account.
pub(crate) fn up_as(links: &mut Links, number: u8, name: &str) {
    up_of(links, u64::from(number), number, false, name);
}

fn up_of(links: &mut Links, id: u64, number: u8, relayed: bool, name: &str) {
    let realm = testing::key(1);
    let ticket = testing::ticket(&realm, &testing::key(number), name);
    let hello = Hello {
        realm: public_key(&realm),
        time: T0,
        boot: BOOT,
        policy: 1,
        ticket: ticket.as_bytes().to_vec(),
    };
    let admission = testing::admission(hello);
    let (id, peer, address) = (LinkId(id), key_of(number), String::new());
    let new = NewLink { id, peer, dialled: false, relayed, address, admission };
    links.up(new, &AddressBook::new(me()), T0, at(Duration::ZERO));
}

/// A link to each of the peers with these numbers.
pub(crate) fn linked(numbers: impl IntoIterator<Item = u8>) -> Links {
    let mut links = Links::new(me(), at(Duration::ZERO));
    for number in numbers {
        up(&mut links, u64::from(number), number, false);
    }
    links
}

fn closed(act: impl FnOnce(&mut Effects)) -> Vec<u64> {
    let mut fx = Effects::new([0; 32]);
    act(&mut fx);
    let outputs = std::iter::from_fn(|| fx.poll());
    let ids = outputs.filter_map(|output| match output {
        Output::Close(LinkId(id)) => Some(id),
        _other => None,
    });
    ids.collect()
}

#[test]
fn r87_a_newer_boot_closes_the_link_of_an_older_one() {
    let mut links = linked([3, 4]);
    let seen = |links: &mut Links, boot| closed(|fx| links.boot_seen(key_of(3), boot, None, fx));
    assert!(seen(&mut links, BOOT).is_empty() && seen(&mut links, BOOT - 1).is_empty());
    assert_eq!(links.gate().boots.get(key_of(3)).unwrap().boot, BOOT);
    assert_eq!(seen(&mut links, BOOT + 1), [3]);
    assert_eq!(links.gate().boots.get(key_of(3)).unwrap().boot, BOOT + 1);
}

#[test]
fn of_two_links_to_a_peer_the_direct_one_stays() {
    let mut links = linked([3]);
    up(&mut links, 9, 3, true);
    links.subscribed(key_of(3), Topic::Control);
    let dials = AddressBook::new(me());
    assert_eq!(links.next_due(), DUPLICATE_CLOSE);
    assert_eq!(closed(|fx| drop(links.due(1, &dials, at(DUPLICATE_CLOSE), fx))), [9]);
    assert_eq!(links.down(LinkId(9)), Some(Down { peer: key_of(3), last: false }));
    assert_eq!(links.down(LinkId(3)), Some(Down { peer: key_of(3), last: true }));
    assert_eq!(links.down(LinkId(3)), None);
}

#[test]
fn a_deaf_peer_and_one_that_hides_its_policy_lose_their_links() {
    let mut links = linked([3, 4]);
    links.subscribed(key_of(3), Topic::Control);
    links.demand_policy(LinkId(3), at(Duration::ZERO));
    let (dials, later) = (AddressBook::new(me()), at(SUBSCRIBE_DEADLINE * 2 + POLICY_DEADLINE));
    let mut hiding = Vec::new();
    assert_eq!(closed(|fx| hiding = links.due(0, &dials, later, fx)), [3, 4]);
    assert_eq!(hiding, [key_of(3)]);
}

#[test]
fn r32_three_rejects_close_the_links_and_deny_the_peer() {
    let mut links = linked([3, 4]);
    let mut until = None;
    let rejects = |links: &mut Links, until: &mut Option<Duration>| {
        closed(|fx| *until = links.reject(key_of(3), at(Duration::ZERO), fx))
    };
    for _reject in 1..REJECTS_MAX {
        assert!(rejects(&mut links, &mut until).is_empty() && until.is_none());
    }
    assert_eq!(rejects(&mut links, &mut until), [3]);
    assert_eq!((until, links.gate().denied.len()), (Some(DENY_FOR), 1));
    assert!(links.check_is_due(at(DENY_FOR)));
    assert!(links.gate().denied.is_empty());
}

#[test]
fn the_gates_view_changes_with_what_the_gate_looks_at() {
    let mut links = linked([3]);
    let before = Arc::clone(links.gate());
    links.subscribed(key_of(3), Topic::Control);
    links.demand_policy(LinkId(3), at(Duration::ZERO));
    assert!(closed(|fx| links.boot_seen(key_of(3), BOOT, None, fx)).is_empty());
    assert!(links.check_is_due(at(CHECK_EVERY)));
    assert!(Arc::ptr_eq(&before, links.gate()));
    up(&mut links, 4, 4, false);
    assert!(!Arc::ptr_eq(&before, links.gate()));
    assert_eq!((before.standing.len(), links.gate().standing.len()), (1, 2));
}

#[test]
fn boots_of_peers_that_nobody_knows_are_forgotten() {
    let mut links = linked([3]);
    let mut fx = Effects::new([0; 32]);
    for number in [4, 5] {
        links.boot_seen(key_of(number), BOOT, None, &mut fx);
    }
    links.forget_boots(|peer| peer == key_of(4));
    let known = |number| links.gate().boots.get(key_of(number)).is_some();
    assert!(known(3) && known(4) && !known(5));
}

#[test]
fn r32_a_new_link_does_not_forgive_rejects() {
    let (mut links, mut fx) = (linked([3]), Effects::new([0; 32]));
    let mut denied = 0;
    for n in 0..4 * REJECTS_MAX {
        let now = at(Duration::from_secs(n as u64));
        denied += usize::from(links.reject(key_of(3), now, &mut fx).is_some());
        links.down(LinkId(3));
        up(&mut links, 3, 3, false);
    }
    assert_eq!(denied, 4);
    assert!(links.check_is_due(at(REJECT_WINDOW * 2)) && links.rejects.is_empty());
}

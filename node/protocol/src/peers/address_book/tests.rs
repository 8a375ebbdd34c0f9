//! The address book alone: who is dialled when, and what it forgets.

use super::*;

const ME: PeerKey = PeerKey([5; 32]);
const LARGER: PeerKey = PeerKey([9; 32]);
const SMALLER: PeerKey = PeerKey([1; 32]);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn book(peer: PeerKey) -> AddressBook {
    let mut book = AddressBook::new(ME);
    book.add(peer, &["/ip4/10.0.0.1/tcp/1".into()], ms(0), ms(0));
    book
}

#[test]
fn r91_the_smaller_key_dials_at_once_and_the_larger_later() {
    assert_eq!(book(LARGER).poll(ms(0)).len(), 1);
    let mut book = book(SMALLER);
    assert!(book.poll(ms(299)).is_empty());
    assert_eq!(book.next_due(), Some(ms(300)));
    assert_eq!(book.poll(ms(300)).len(), 1);
}

#[test]
fn r92_failures_back_off_whatever_addresses_come() {
    let mut book = book(LARGER);
    let mut waits = Vec::new();
    let mut now = ms(0);
    for _round in 0..7 {
        assert_eq!(book.poll(now).len(), 1);
        book.failed(LARGER, now, ms(0));
        waits.push(book.next_due().unwrap() - now);
        now = book.next_due().unwrap();
    }
    assert_eq!(waits[0], REDIAL_MIN);
    assert_eq!(waits[6], REDIAL_MAX);
    book.poll(now);
    book.failed(LARGER, now, ms(0));
    book.add(LARGER, &["/ip4/10.0.0.2/tcp/1".into()], now, ms(0));
    assert!(book.poll(now + REDIAL_MAX - ms(1)).is_empty());
    assert_eq!(book.poll(now + REDIAL_MAX)[0].addresses.len(), 2);
}

#[test]
fn r92_devices_that_do_not_answer_keep_nobody_waiting() {
    let mut book = book(LARGER);
    for n in 10..34 {
        let key = PeerKey([0, n].repeat(16).try_into().unwrap());
        book.add(key, &["/ip4/10.0.0.9/tcp/1".into()], ms(0), ms(0));
        book.belongs_to(key, AccountId([1; 16]));
    }
    book.linked(LARGER, ms(0));
    let (mut pending, mut waited) = (Vec::new(), None);
    let lost_at = ms(60_000);
    for now in (0..120_000).step_by(100).map(ms) {
        if now == lost_at {
            book.unlinked(LARGER, now, ms(0));
        }
        pending.retain(|(peer, since)| {
            let is_over = now - *since >= ms(10_000);
            if is_over {
                book.failed(*peer, now, ms(0));
            }
            !is_over
        });
        let dials = book.poll(now);
        if dials.iter().any(|dial| dial.peer == LARGER) {
            waited.get_or_insert(now - lost_at);
        }
        pending.extend(dials.into_iter().map(|dial| (dial.peer, now)));
        let of_account = pending.iter().filter(|(peer, _since)| *peer != LARGER).count();
        assert!(of_account <= DIALS_PER_ACCOUNT);
    }
    assert!(waited.is_some_and(|waited| waited <= ms(1_000)), "{waited:?}");
}

#[test]
fn one_account_fills_its_share_of_the_book_and_no_more() {
    let mut book = book(LARGER);
    for n in 0..1_000_u64 {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        book.add(PeerKey(key), &["/ip4/10.0.0.1/tcp/1".into()], ms(0), ms(0));
        book.belongs_to(PeerKey(key), AccountId([1; 16]));
    }
    assert_eq!(book.len(), 1 + ADDRESSES_PER_ACCOUNT);
    assert!(book.unlinked_peers().any(|peer| peer == LARGER));
}

#[test]
fn r92_ever_new_addresses_do_not_set_the_pace_of_dials() {
    let mut book = book(LARGER);
    let mut dials = 0;
    for round in 0..1_000 {
        let now = ms(10 * round);
        book.add(LARGER, &[format!("/ip4/10.0.0.2/tcp/{}", round + 1)], now, ms(0));
        dials += book.poll(now).len();
        book.failed(LARGER, now, ms(0));
    }
    // Back-off: after 0, 0.5, 1.5, 3.5, 7.5 s.
    assert!(dials <= 6, "{dials}");
}

#[test]
fn r93_busy_is_tried_again_at_once_but_not_for_ever() {
    let mut book = book(LARGER);
    for _round in 0..5 {
        book.busy(LARGER, ms(0), ms(0));
        assert_eq!(book.next_due(), Some(BUSY_REDIAL));
    }
    book.busy(LARGER, ms(0), ms(0));
    assert!(book.next_due() > Some(BUSY_REDIAL));
}

#[test]
fn linked_peers_are_not_dialled_and_nobody_dials_himself() {
    let mut book = book(LARGER);
    book.linked(LARGER, ms(0));
    assert!(book.poll(ms(99_999)).is_empty());
    book.failed(LARGER, ms(0), ms(0));
    assert_eq!(book.next_due(), None);
    book.unlinked(LARGER, ms(60_000), ms(0));
    assert_eq!(book.poll(ms(60_200)).len(), 1);
    book.add(ME, &["/ip4/10.0.0.1/tcp/1".into()], ms(0), ms(0));
    assert_eq!(book.len(), 1);
}

#[test]
fn r130_only_wanted_peers_are_dialled_or_wake_the_driver() {
    let mut book = book(LARGER);
    book.limit(MayDial::Only(BTreeSet::from([SMALLER])));
    assert!(book.poll(ms(9_999)).is_empty());
    assert_eq!(book.next_due(), None);
    book.limit(MayDial::Everybody);
    assert_eq!(book.poll(ms(9_999)).len(), 1);
}

#[test]
fn r129_parting_from_a_young_link_is_no_failure() {
    let mut book = book(LARGER);
    book.poll(ms(0));
    book.linked(LARGER, ms(0));
    assert_eq!(book.unlinked_peers().count(), 0);
    book.parted(LARGER, ms(1), ms(0));
    assert_eq!((book.failures(LARGER), book.unlinked_peers().count()), (0, 1));
    assert_eq!(book.poll(ms(1)).len(), 1);
}

#[test]
fn r94_links_that_do_not_last_are_no_success() {
    let mut book = book(LARGER);
    let mut waits = Vec::new();
    let mut now = ms(0);
    for _round in 0..4 {
        assert_eq!(book.poll(now).len(), 1);
        book.linked(LARGER, now);
        book.unlinked(LARGER, now + ms(2_000), ms(0));
        waits.push(book.next_due().unwrap() - now - ms(2_000));
        now = book.next_due().unwrap();
    }
    assert!(waits.is_sorted() && waits[3] > waits[0], "{waits:?}");
    book.poll(now);
    book.linked(LARGER, now);
    book.unlinked(LARGER, now + LINK_LASTS, ms(0));
    assert_eq!(book.failures(LARGER), 0);
}

#[test]
fn the_book_and_the_dials_are_bounded() {
    let mut book = AddressBook::new(ME);
    for n in 0..=ADDRESS_BOOK_MAX {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&(n as u64).to_be_bytes());
        book.add(PeerKey(key), &["/ip4/10.0.0.1/tcp/1".into()], ms(0), ms(0));
    }
    assert_eq!(book.len(), ADDRESS_BOOK_MAX);
    assert_eq!(book.poll(ms(9_999)).len(), DIALS_UNKNOWN_MAX);
    assert!(book.poll(ms(9_999)).is_empty());
    assert_eq!(book.next_due(), None);
    // The others are for peers that have shown a ticket.
    book.add(LARGER, &["/ip4/10.0.0.1/tcp/1".into()], ms(9_999), ms(0));
    book.belongs_to(LARGER, AccountId([1; 16]));
    let dials = book.poll(ms(9_999));
    assert_eq!((dials.len(), dials[0].peer), (1, LARGER));
}

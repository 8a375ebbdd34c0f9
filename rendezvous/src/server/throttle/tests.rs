//! Failures and delays at invented times.

use super::*;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const LAPTOP: PeerKey = PeerKey([7; 32]);

fn wait(ms: u64) -> Gate {
    Gate::Wait { ms }
}

fn alice() -> Tryer {
    Tryer::stranger("alice", HOME)
}

impl Throttle {
    /// A try with a wrong password; it must be possible.
    fn failed(&mut self, tryer: &Tryer, now: u64) {
        self.ended(tryer, End::Failed, now);
    }

    fn ended(&mut self, tryer: &Tryer, end: End, now: u64) {
        assert_eq!(self.begin(tryer, now), Ok(()));
        self.end(tryer, end, now);
    }

    fn len(&self) -> (usize, usize) {
        (self.names.entries.len(), self.addresses.entries.len())
    }
}

#[test]
fn the_delay_doubles_up_to_a_quarter_of_an_hour() {
    let table = [
        (1, 0),
        (4, 0),
        (5, 15_000),
        (6, 30_000),
        (7, 60_000),
        (10, 480_000),
        (11, 900_000),
        (12, 900_000),
        (u32::MAX, 900_000),
    ];
    for (failures, delay) in table {
        assert_eq!(delay_ms(failures), delay, "after {failures} failures");
    }
}

#[test]
fn five_failures_delay_strangers_and_known_devices() {
    for (tryer, other) in [
        (alice(), Tryer::stranger("bob", HOME)),
        (Tryer::known("alice", LAPTOP), Tryer::known("alice", PeerKey([8; 32]))),
        (Tryer::known("alice", LAPTOP), alice()),
        (alice(), Tryer::known("alice", LAPTOP)),
    ] {
        let mut throttle = Throttle::default();
        for n in 1..5 {
            throttle.failed(&tryer, n);
            assert_eq!(throttle.gate(&tryer, n), Gate::Open);
        }
        throttle.failed(&tryer, 1_000);
        assert_eq!(throttle.begin(&tryer, 1_000), Err(wait(15_000)));
        assert_eq!(throttle.gate(&tryer, 15_999), wait(1));
        assert_eq!(throttle.gate(&tryer, 16_000), Gate::Open);
        assert_eq!(throttle.gate(&other, 1_000), Gate::Open);
        throttle.failed(&tryer, 16_000);
        assert_eq!(throttle.gate(&tryer, 16_000), wait(30_000));
    }
}

#[test]
fn tries_at_the_same_time_count_like_failures() {
    let mut throttle = Throttle::default();
    throttle.failed(&alice(), 0);
    let begun = (0..10).filter(|_try| throttle.begin(&alice(), 1).is_ok()).count();
    assert_eq!(begun, 4);
    assert_eq!(throttle.gate(&alice(), 1), Gate::Crowded);
    assert_eq!(throttle.gate(&Tryer::known("alice", LAPTOP), 1), Gate::Open);
    throttle.end(&alice(), End::TakenBack, 2);
    assert_eq!(throttle.begin(&alice(), 2), Ok(()), "one was not checked");
    (0..4).for_each(|_try| throttle.end(&alice(), End::Failed, 3));
    assert_eq!(throttle.gate(&alice(), 3), wait(15_000));
    let after = 3 + 15_000;
    let begun = (0..10).filter(|_try| throttle.begin(&alice(), after).is_ok()).count();
    assert_eq!(begun, 1, "one try after each delay");
    throttle.end(&alice(), End::Failed, after);
    assert_eq!(throttle.gate(&alice(), after), wait(30_000));
}

#[test]
fn tries_that_were_not_checked_leave_nothing() {
    let mut throttle = Throttle::default();
    for n in 0..1_000 {
        throttle.ended(&alice(), End::TakenBack, n);
    }
    assert_eq!(throttle.len(), (0, 0));
    throttle.failed(&alice(), 1_000);
    throttle.ended(&alice(), End::TakenBack, 1_001);
    (0..3).for_each(|_try| throttle.failed(&alice(), 1_002));
    assert_eq!(throttle.gate(&alice(), 1_002), Gate::Open);
}

#[test]
fn a_right_password_clears_the_own_count_only() {
    let mut throttle = Throttle::default();
    let laptop = Tryer::known("alice", LAPTOP);
    (0..4).for_each(|_try| throttle.failed(&alice(), 0));
    (0..4).for_each(|_try| throttle.failed(&laptop, 0));
    throttle.ended(&laptop, End::Right, 1);
    throttle.failed(&laptop, 1);
    assert_eq!(throttle.gate(&laptop, 1), Gate::Open, "the count began again");
    throttle.failed(&alice(), 1);
    assert_eq!(throttle.gate(&alice(), 1), wait(15_000), "that frees no guesser");
    throttle.ended(&alice(), End::Right, 15_001);
    throttle.failed(&alice(), 15_001);
    assert_eq!(throttle.gate(&alice(), 15_001), Gate::Open);
}

#[test]
fn failures_are_forgotten_after_a_quiet_time() {
    let mut throttle = Throttle::default();
    (0..4).for_each(|_try| throttle.failed(&alice(), 0));
    assert_eq!(throttle.begin(&alice(), LONGEST_DELAY_MS), Ok(()));
    assert_eq!(throttle.begin(&alice(), LONGEST_DELAY_MS), Ok(()));
    throttle.end(&alice(), End::Failed, LONGEST_DELAY_MS);
    assert_eq!(throttle.gate(&alice(), LONGEST_DELAY_MS), Gate::Open);
}

#[test]
fn an_address_waits_after_a_hundred_failures() {
    let mut throttle = Throttle::default();
    let user = |n: u64| Tryer::stranger(&format!("user{n}"), HOME);
    for n in 0..99_u64 {
        throttle.failed(&user(n), 10 + n);
        throttle.failed(&Tryer::known("alice", PeerKey([100; 32])), n * LONGEST_DELAY_MS);
    }
    assert_eq!(throttle.begin(&user(100), 200), Ok(()));
    assert_eq!(throttle.gate(&user(101), 200), Gate::Crowded);
    throttle.end(&user(100), End::Right, 200);
    assert_eq!(throttle.gate(&user(101), 200), Gate::Open, "known devices do not count here");
    throttle.failed(&user(99), 200);
    assert_eq!(throttle.gate(&user(101), 200), wait(ADDRESS_WINDOW_MS - 190));
    assert_eq!(throttle.gate(&Tryer::known("user101", LAPTOP), 200), Gate::Open);
    let elsewhere = "192.0.2.2".parse().unwrap();
    assert_eq!(throttle.gate(&Tryer::stranger("user101", elsewhere), 200), Gate::Open);
    assert_eq!(throttle.gate(&user(101), 10 + ADDRESS_WINDOW_MS), Gate::Open);
    throttle.failed(&user(102), 10 + ADDRESS_WINDOW_MS);
    assert_eq!(throttle.gate(&user(101), 10 + ADDRESS_WINDOW_MS), Gate::Open, "a new window");
}

#[test]
fn a_flood_of_names_is_bounded_and_ends_no_delay() {
    let mut throttle = Throttle::default();
    for _ in 0..5 {
        throttle.failed(&alice(), 0);
    }
    assert_eq!(throttle.begin(&Tryer::stranger("bob", HOME), 0), Ok(()));
    for n in 0..50_000_u32 {
        throttle.failed(&Tryer::stranger(&format!("invented{n}"), IpAddr::V4(n.into())), 1);
    }
    assert_eq!(throttle.len(), (ENTRIES_MAX, ENTRIES_MAX));
    assert_eq!(throttle.names.by_rank.len(), ENTRIES_MAX);
    assert_eq!(throttle.gate(&alice(), 1), wait(14_999));
    assert_eq!(throttle.names.entries[&("bob".to_owned(), None)].trying, 1);
    throttle.failed(&Tryer::stranger(&"é".repeat(5_000), IpAddr::V4(0.into())), 1);
    assert!(throttle.names.entries.keys().all(|(name, _device)| name.len() <= KEY_BYTES_MAX));
}

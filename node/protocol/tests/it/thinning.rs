//! Many peers that dial each other themselves: they thin out, lose a third, become few, and lose nobody.

use std::time::Duration;

use lanyard_protocol::address_book::REDIAL_MAX;
use lanyard_protocol::degree::{
    CROWD_LASTS, LINKS_FULL_MAX, LINKS_REFILL, LINKS_THIN_MAX, LINKS_THIN_MIN, PARTINGS_MAX,
    THIN_EVERY,
};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::roster::LOST_AFTER;
use lanyard_protocol::sim::{Faults, Setup, Sim};
use lanyard_protocol::testing;

/// Peers in this realm.
const MANY: usize = 72;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn setup(peers: usize, seed: u64) -> Setup {
    let policy = testing::policy(&testing::key(1));
    Setup {
        peers,
        degree: 0,
        seed,
        faults: Faults { latency_min_ms: 1, latency_spread_ms: 20, ..Faults::default() },
        skew_ms: 2_000,
        policy: SignedPolicy::sign(policy, &testing::key(1)).unwrap(),
        ticket_life_s: testing::WEEK_S,
    }
}

/// A text by each of some, which all the living must hold soon: by gossip, or by the repair.
fn talk(sim: &mut Sim, texts: usize) {
    let alive = sim.alive();
    let held = sim.held(alive[0]).len();
    for (n, who) in alive.iter().step_by(alive.len().div_ceil(texts)).enumerate() {
        sim.say(*who, &format!("text {n}"));
    }
    let said = alive.iter().step_by(alive.len().div_ceil(texts)).count();
    sim.run(seconds(25));
    for number in alive {
        assert_eq!(sim.held(number).len(), held + said, "{}", sim.describe(number));
    }
}

fn within(degrees: &[usize], least: usize, most: usize) -> bool {
    degrees.iter().all(|degree| (least..=most).contains(degree))
}

#[test]
fn r127_a_crowd_thins_out_and_survives_losing_a_third() {
    let mut sim = Sim::dialling(setup(MANY, 2));
    sim.run(seconds(20));
    let full = sim.degrees().into_iter().filter(|degree| *degree >= LINKS_FULL_MAX).count();
    assert!(sim.thin().is_empty() && full > MANY * 9 / 10, "{:?}", sim.degrees());
    thins_out(&mut sim);
    // Minutes in a build without optimisation: that is for the soak.
    if std::env::var_os("LANYARD_SOAK").is_some() {
        stays_as_it_is(&mut sim);
        a_partition_heals(&mut sim);
    }
    a_third_dies(&mut sim);
    becomes_small(&mut sim);
}

fn thins_out(sim: &mut Sim) {
    let links = |sim: &Sim| sim.degrees().iter().sum::<usize>() / 2;
    let mut before = links(sim);
    let is_done = |sim: &Sim| {
        sim.thin().len() == MANY && within(&sim.degrees(), LINKS_THIN_MIN, LINKS_THIN_MAX)
    };
    while !is_done(sim) {
        assert!(sim.elapsed() < CROWD_LASTS * 4, "{:?}", sim.degrees());
        sim.run(THIN_EVERY);
        let now = links(sim);
        // Each peer gives up so many at a look, and a link has two ends.
        let most = MANY * PARTINGS_MAX / 2;
        assert!(before.saturating_sub(now) <= most, "{before} links, a second later {now}");
        assert!(sim.is_connected());
        before = now;
    }
    assert!(sim.topics().iter().eq([&Topic::Mesh]));
    talk(sim, 20);
}

fn stays_as_it_is(sim: &mut Sim) {
    sim.run(seconds(60));
    let before = sim.degrees();
    // Longer than a lease.
    sim.run(seconds(220));
    assert_eq!(sim.degrees(), before, "nothing moves where nobody comes and goes");
    assert!(within(&sim.rosters(), MANY - 1, MANY - 1), "{:?}", sim.rosters());
    assert_eq!(sim.falsely_lost(), []);
}

fn a_partition_heals(sim: &mut Sim) {
    sim.partition(|number| usize::from(number >= 66));
    sim.run(seconds(300));
    assert!(!sim.is_connected());
    sim.partition(|_number| 0);
    sim.run(seconds(150));
    assert!(sim.is_connected());
    assert!(within(&sim.rosters(), MANY - 1, MANY - 1), "{:?}", sim.rosters());
    talk(sim, 10);
    // They were lost to each other.
    sim.forget_lost();
}

fn a_third_dies(sim: &mut Sim) {
    sim.kill((0..MANY).filter(|number| number % 10 < 3));
    assert!(sim.is_connected(), "{:?}", sim.degrees());
    talk(sim, 10);
    sim.run(LOST_AFTER + seconds(30));
    assert!(within(&sim.degrees(), LINKS_THIN_MIN, LINKS_THIN_MAX), "{:?}", sim.degrees());
    assert!(sim.is_connected());
    talk(sim, 10);
    assert_eq!(sim.falsely_lost(), []);
}

fn becomes_small(sim: &mut Sim) {
    for number in sim.alive().into_iter().filter(|number| *number >= LINKS_REFILL) {
        sim.quit(number);
    }
    sim.run(seconds(1));
    sim.kill(LINKS_REFILL..MANY);
    let few = sim.alive().len();
    assert_eq!(sim.thin().len(), few);
    // Nobody has said goodbye of those who died before, and not all had a neighbour that has missed them.
    let deadline = sim.elapsed() + seconds(100) + CROWD_LASTS + REDIAL_MAX * 4;
    let is_full = |sim: &Sim| sim.thin().is_empty() && within(&sim.degrees(), few - 1, few - 1);
    while !is_full(sim) {
        assert!(sim.elapsed() < deadline, "{:?}, links {:?}", sim.rosters(), sim.degrees());
        sim.run(seconds(1));
    }
    assert!(sim.topics().iter().eq([&Topic::Direct]));
    talk(sim, 10);
    assert_eq!(sim.falsely_lost(), []);
}

//! A network falls into two halves and heals: everybody ends with the same log, and nothing is lost or doubled.

use std::time::Duration;

use lanyard_rendezvous::clock;

use crate::harness::traffic::{
    expect_everywhere, expect_nothing_twice, figure, full_mesh, hash, log_by_history, log_in_store,
    names, pass, said, since,
};
use crate::harness::{Lan, PATIENCE, is_soak};

/// After the heal, all stores are equal within this time.
const HEALED: Duration = Duration::from_secs(15);
/// The number of peers in each half.
const HALF: usize = 6;

#[test]
fn two_halves_of_a_network_agree_soon_after_they_rejoin() {
    let (cut, messages) =
        if is_soak() { (Duration::from_secs(60), 200) } else { (Duration::from_secs(10), 40) };
    let names = names(2 * HALF);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some((realm, lan)) = Lan::new(&[HALF, HALF], &names) else { return };
    for rule in ["per-minute", "per-day"] {
        realm.run(&["policy", "set", rule, "0"]).done();
    }
    let mut peers = lan.join_all(&realm, &names);
    full_mesh(&mut peers, 3 * PATIENCE);

    lan.join_side(1, false);
    let began = clock::monotonic();
    for number in 0..messages {
        // Both halves talk during the whole partition.
        pass(began + cut * u32::try_from(number).unwrap() / u32::try_from(messages).unwrap());
        for half in [0, HALF] {
            peers[half + number % HALF].say(&format!("{half}: message {number}"));
        }
    }
    let of_peer = |peer: usize| messages / HALF + usize::from(peer % HALF < messages % HALF);
    let by_peer: Vec<_> =
        (0..).zip(&mut peers).map(|(number, peer)| said(peer, of_peer(number))).collect();
    let half = |from: usize| by_peer[from..from + HALF].iter().flatten().cloned().collect();
    let (one, other) = peers.split_at_mut(HALF);
    expect_everywhere(one, &half(0), clock::monotonic() + PATIENCE);
    expect_everywhere(other, &half(HALF), clock::monotonic() + PATIENCE);
    for name in [names[0], names[HALF]] {
        assert_eq!(
            log_in_store(&realm.profile(name)).len(),
            messages,
            "nothing crosses the partition"
        );
    }
    pass(began + cut);

    lan.join_side(1, true);
    let healed = clock::monotonic();
    let all = by_peer.into_iter().flatten().collect();
    expect_everywhere(&mut peers, &all, healed + HEALED);
    let took = since(healed);

    let log = log_in_store(&realm.profile(names[0]));
    assert_eq!(log.len(), 2 * messages);
    for name in &names {
        assert_eq!(log_in_store(&realm.profile(name)), log, "{name} has another log");
    }
    for peer in [0, HALF] {
        assert_eq!(log_by_history(&mut peers[peer]), log);
    }
    peers.iter_mut().for_each(expect_nothing_twice);
    figure(&format!(
        "partition: {} peers, cut {} s, 2 × {messages} messages: equal {:.1} s after the heal, log {}",
        peers.len(),
        cut.as_secs(),
        took.as_secs_f64(),
        hash(&log),
    ));
}

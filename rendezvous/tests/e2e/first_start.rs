//! A first start that is killed at any moment can be completed: a half-made folder does not count as damaged.

use crate::harness::traffic::{Dice, pass};
use crate::harness::{PATIENCE, Realm, Signal, is_soak, password};
use lanyard_rendezvous::clock;

/// A first start takes some hundredths of a second to create its last file.
const MOMENT_MS: u64 = 120;

#[test]
fn a_first_start_killed_at_any_moment_is_completed() {
    let (kills, mut dice) = (if is_soak() { 100 } else { 12 }, Dice::new());
    let realm = Realm::fresh();
    for _kill in 0..kills {
        let mut other = realm.another();
        let mut serving = other.serve_program(&["--listen", "127.0.0.1:0"]);
        pass(clock::monotonic() + dice.between(0, MOMENT_MS));
        serving.kill();
        other.serve();
        assert_eq!(other.stop(Signal::TERM).code(), Some(0));
    }
}

#[test]
fn a_first_sign_in_killed_at_any_moment_is_completed() {
    let (kills, mut dice) = (if is_soak() { 100 } else { 12 }, Dice::new());
    let realm = Realm::with(&["ada"]);
    for kill in 0..kills {
        let profile = realm.logs().join(format!("profile-{kill}"));
        let start = || realm.peer("ada").profile(&profile).password(&password("ada"));
        let mut ada = start().spawn();
        pass(clock::monotonic() + dice.between(0, MOMENT_MS));
        ada.kill();
        let mut ada = start().ready();
        ada.expect_rendezvous("online", PATIENCE);
        ada.quit();
    }
}

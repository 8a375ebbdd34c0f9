//! Programs that are killed and come back, and two programs on one profile.

use std::path::Path;
use std::time::Duration;

use lanyard_rendezvous::clock;

use crate::harness::{PATIENCE, Realm, chat, together};

/// How often a peer is killed.
const RESTARTS: usize = 20;
/// A killed peer chats both ways again within this time of its new start.
const BACK: Duration = Duration::from_secs(12);
/// How many connections a third peer may see while a copied profile takes over: each side dials, and dials once more
/// after a `Busy`.
const CONNECTIONS_MAX: usize = 8;

#[test]
fn a_peer_killed_again_and_again_comes_back_each_time() {
    let realm = Realm::with(&["alice", "bob"]);
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    for restart in 0..RESTARTS {
        bob.kill();
        let started = clock::monotonic();
        bob = realm.join("bob");
        // In every other round, the survivor speaks first.
        let (one, other) =
            if restart % 2 == 0 { (&mut bob, &mut alice) } else { (&mut alice, &mut bob) };
        chat(one, other, BACK);
        let took = clock::monotonic().duration_since(started);
        assert!(took < BACK, "restart {restart} took {took:?}");
    }
    assert_eq!(alice.history().len(), RESTARTS * 2);
}

#[test]
fn the_second_program_on_a_profile_says_so_and_stops() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut alice = realm.join("alice");
    assert_eq!(realm.peer("alice").refused()["code"], "profile-in-use");
    assert_eq!(realm.peer("alice").no_password().refused()["code"], "profile-in-use");
    let mut bob = realm.join("bob");
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, PATIENCE);
}

#[test]
fn of_two_programs_on_one_identity_the_older_stops() {
    let realm = Realm::logging("libp2p_swarm=debug", &["alice", "bob"]);
    realm.join("bob").quit();
    let copy = realm.profile("copy-of-bob");
    copy_dir(&realm.profile("bob"), &copy);

    let (mut alice, mut older) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut older]);
    let before = connections(&alice.log());
    let mut newer = realm.peer("bob").profile(&copy).ready();
    assert_eq!(newer.id(), older.id());
    assert_eq!(older.refused(PATIENCE)["code"], "superseded");
    chat(&mut newer, &mut alice, PATIENCE);
    chat(&mut alice, &mut newer, PATIENCE);
    let after = connections(&alice.log());
    assert!(before > 0, "the log says when a connection is made");
    assert!(after - before <= CONNECTIONS_MAX, "{} connections", after - before);
}

fn connections(log: &str) -> usize {
    log.matches("Connection established").count()
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // This copies the permissions as well.
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

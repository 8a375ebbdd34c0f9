//! Members and thieves who try passwords in a loop: they keep nobody out, and have few guesses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::login::{Denial, DenialCode, Reply};
use tokio::task::JoinSet;

use crate::flood::client::{Client, LoginServer, SignedIn, door, sign_in};
use crate::flood::{ELSEWHERE, login_server_of, runtime};
use crate::harness::{Realm, Signal, password};

/// The devices of the member, and the connections that the login server allows to each.
const DEVICES: u8 = 4;
const CONNECTIONS: u8 = 4;
/// Everybody else signs in within this time.
const WITHIN: Duration = Duration::from_secs(5);
/// The wrong passwords that are checked before the first delay.
const FREE_FAILURES: usize = 5;
/// A check takes long enough for a queue to form.
const CONFIG: &str = "[argon2]\nmemory_kib = 32768\npasses = 2\n";

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// A realm in which a check is not cheap.
fn realm(names: &[&str]) -> Realm {
    let mut realm = Realm::with(names);
    realm.stop(Signal::TERM);
    std::fs::write(realm.data_dir().join("rendezvous.toml"), CONFIG).unwrap();
    realm.serve();
    realm
}

/// Tries this password as mallory again and again until told to stop, without a pause.
async fn storm(login_server: LoginServer, key: SigningKey, word: String, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        // A refused or closed connection is tried again.
        let Ok(mut client) = Client::connect(login_server, &key).await else { continue };
        while !stop.load(Ordering::Relaxed) && client.login("mallory", &word).await.is_ok() {}
    }
}

/// Signs in a known and a new device, again and again, while mallory's devices try this password.
fn sign_in_during_a_storm(word: &str) -> Vec<SignedIn> {
    let realm = realm(&["mallory", "carol", "dave"]);
    let (login_server, people, attackers) = (login_server_of(&realm), runtime(), runtime());
    people.block_on(async {
        // Their first sign-in makes them known devices.
        sign_in(login_server, &key(90), "carol", &password("carol")).await;
        for device in 0..DEVICES {
            sign_in(login_server, &key(device), "mallory", &password("mallory")).await;
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let mut storms = JoinSet::new();
    for n in 0..DEVICES * CONNECTIONS {
        let (key, word, stop) = (key(n % DEVICES), word.to_owned(), Arc::clone(&stop));
        storms.spawn_on(storm(login_server, key, word, stop), attackers.handle());
    }
    let signed_in = people.block_on(async {
        let mut all = Vec::new();
        for round in 0..3 {
            let known =
                async { sign_in(login_server, &key(90), "carol", &password("carol")).await };
            let new = async {
                let from = door(login_server, ELSEWHERE).await;
                sign_in(from, &key(100 + round), "dave", &password("dave")).await
            };
            let both = Box::pin(async { tokio::join!(known, new) });
            let (known, new) = tokio::time::timeout(4 * WITHIN, both).await.expect("kept out");
            all.extend([known, new]);
        }
        all
    });
    stop.store(true, Ordering::Relaxed);
    attackers.block_on(storms.join_all());
    signed_in
}

#[test]
fn a_member_with_wrong_passwords_keeps_nobody_out() {
    let signed_in = sign_in_during_a_storm("wrong");
    assert!(signed_in.iter().all(|one| one.took <= WITHIN), "{signed_in:?}");
}

#[test]
fn a_member_who_signs_in_in_a_loop_keeps_nobody_out() {
    let signed_in = sign_in_during_a_storm(&password("mallory"));
    assert!(signed_in.iter().all(|one| one.took <= WITHIN), "{signed_in:?}");
}

#[test]
fn a_stolen_laptop_has_five_guesses() {
    let realm = realm(&["carol"]);
    let login_server = login_server_of(&realm);
    let replies = runtime().block_on(async {
        sign_in(login_server, &key(90), "carol", &password("carol")).await;
        let mut replies = Vec::new();
        let list = (0..20).map(|n| format!("guess {n}")).chain([password("carol")]);
        for guesses in list.collect::<Vec<_>>().chunks(4) {
            let mut client = Client::connect(login_server, &key(90)).await.unwrap();
            for guess in guesses {
                replies.push(client.login("carol", guess).await.unwrap());
            }
        }
        replies
    });
    assert_eq!(checked(&replies), FREE_FAILURES, "{replies:?}");
    let Some(Reply::Denied(Denial { code, retry_after_s, .. })) = replies.last() else {
        panic!("the list led to the password")
    };
    assert_eq!(*code, DenialCode::Locked);
    assert!(retry_after_s.is_some_and(|wait| (1..=15).contains(&wait)), "{retry_after_s:?}");
}

#[test]
fn ten_guesses_at_once_count_like_ten_in_a_row() {
    let realm = realm(&["carol"]);
    let login_server = login_server_of(&realm);
    let replies = runtime().block_on(async {
        let mut clients = Vec::new();
        for n in 0..10 {
            clients.push(Client::connect(login_server, &key(n)).await.unwrap());
        }
        let mut tries = JoinSet::new();
        for mut client in clients {
            tries.spawn(async move { client.login("carol", "guess").await.unwrap() });
        }
        tries.join_all().await
    });
    assert_eq!(checked(&replies), FREE_FAILURES, "{replies:?}");
    let codes: BTreeSet<String> =
        replies.iter().map(|reply| format!("{:?}", code(reply))).collect();
    assert!(codes.len() == 2, "the others must wait a moment: {codes:?}");
}

/// How many passwords were checked and found wrong.
fn checked(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| code(reply) == Some(DenialCode::BadCredentials)).count()
}

fn code(reply: &Reply) -> Option<DenialCode> {
    match reply {
        Reply::Granted(_) => None,
        Reply::Denied(denial) => Some(denial.code),
    }
}

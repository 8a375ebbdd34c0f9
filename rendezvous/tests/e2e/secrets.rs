//! Even when everything is logged, no log contains a password, key, ticket or text.

use std::fs;

use serde_json::json;

use crate::harness::{PATIENCE, Realm, chat, password, together};

const TEXT: &str = "Meet me behind the blue boathouse at nine";
const WRONG: &str = "planted-wrong-password-7Qx";
const NEW: &str = "planted-new-password-8Ry";

#[test]
fn no_secret_is_logged_even_at_the_finest_level() {
    let realm = Realm::logging("trace", &["alice", "bob"]);
    assert_eq!(realm.peer("alice").password(WRONG).refused()["code"], "bad-credentials");
    let (mut alice, mut bob) = (realm.join("alice"), realm.join("bob"));
    together(&mut [&mut alice, &mut bob]);
    chat(&mut alice, &mut bob, PATIENCE);
    let id = alice.send(TEXT);
    bob.expect_message(&id, PATIENCE);
    let tickets = [&mut alice, &mut bob]
        .map(|peer| peer.ask(json!({"cmd": "ticket"}))["ticket"].as_str().unwrap().to_owned());
    realm.with_password(&["user", "passwd", "alice"], NEW).done();
    alice.quit();
    let mut alice = realm.peer("alice").password(NEW).ready();
    chat(&mut alice, &mut bob, PATIENCE);
    alice.quit();
    bob.quit();

    let mut secrets = Vec::new();
    for word in [TEXT, WRONG, NEW, &password("alice"), &password("bob")] {
        secrets.push((word.to_owned(), word.as_bytes().to_vec()));
    }
    for ticket in tickets {
        secrets.push(("a ticket".to_owned(), hex::decode(ticket).unwrap()));
    }
    let keys = ["realm.key", "member.key"].map(|name| realm.data_dir().join(name));
    let identities = ["alice", "bob"].map(|name| realm.profile(name).join("identity"));
    for path in keys.into_iter().chain(identities) {
        let key = fs::read(&path).unwrap();
        assert_eq!(key.len(), 32, "a seed");
        secrets.push((format!("the key {}", path.display()), key));
    }
    let mut searched = 0;
    for entry in fs::read_dir(realm.logs()).unwrap() {
        let path = entry.unwrap().path();
        let log = fs::read(&path).unwrap();
        searched += log.len();
        for (name, secret) in &secrets {
            for form in forms(secret) {
                assert!(!contains(&log, &form), "{name} is in {}", path.display());
            }
        }
    }
    assert!(searched > 100_000, "only {searched} bytes were logged: was the filter used?");
    // No file of the login node contains a text, or a password in clear.
    let words = [TEXT, WRONG, NEW, &password("alice"), &password("bob")];
    let mut files = 0;
    for entry in fs::read_dir(realm.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        files += usize::from(!bytes.is_empty());
        for word in words {
            assert!(!contains(&bytes, word.as_bytes()), "{word:?} is in {}", path.display());
        }
    }
    assert!(files >= 5, "keys, databases and the configuration were looked at");
}

/// The forms in which bytes get into a log: as they are, in hex of either case, and as Rust prints a list. Only the end
/// is searched for, because all tickets begin alike.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let end = secret.split_at(secret.len().saturating_sub(16)).1;
    let list = format!("{end:?}");
    let list = list.trim_matches(['[', ']']).to_owned();
    let hex = hex::encode(end);
    vec![end.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes(), list.into_bytes()]
}

fn contains(log: &[u8], form: &[u8]) -> bool {
    log.windows(form.len()).any(|window| window == form)
}

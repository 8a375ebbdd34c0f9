//! Backups while `serve` is running, restores while it is not, and `kill -9` in the middle of acts.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Realm, Serving, is_soak};

fn names(realm: &Realm) -> BTreeSet<String> {
    let users = realm.json(&["user", "list"]).lines();
    users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_realm_comes_back_from_yesterdays_backup() {
    let realm = Realm::fresh();
    let serving = realm.serve();
    let link = serving.link().to_owned();
    realm.add("alice");
    let copy = realm.file("copy.db");
    let copy = copy.to_str().unwrap();
    let said = realm.json(&["backup", copy]).object();
    assert_eq!((&said["done"], &said["keys"]), (&json!(true), &json!(["realm.key", "member.key"])));
    assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(realm.json(&["backup", copy]).error(), "exists");
    realm.add("bob");
    let last = realm.json(&["ban", "alice", "--reason", "spam"]).object()["policy"].as_u64();
    assert_eq!(realm.json(&["restore", copy]).error(), "serving");
    assert_eq!(names(&realm), BTreeSet::from(["alice".to_owned(), "bob".to_owned()]));
    serving.stop();
    let said = realm.json(&["restore", copy]).object();
    let missing = said["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!((&missing[0]["username"], &missing[0]["kind"]), (&json!("alice"), &json!("ban")));
    assert!(std::fs::metadata(said["kept"].as_str().unwrap()).is_ok());
    let found = &said["backup"];
    assert_eq!((&found["signed"], &found["accounts"]), (&json!(true), &json!(1)));
    assert!(found["made_at"].as_u64().is_some() && found["policy"].as_u64() < last);
    assert_eq!(names(&realm), BTreeSet::from(["alice".to_owned()]));
    let serving = realm.serve();
    assert_eq!(serving.link(), link);
    let number = realm.json(&["status"]).object()["policy"].as_u64();
    assert!(number > last, "{number:?} after {last:?}");
    let audit = realm.json(&["audit"]).lines();
    let what: Vec<&str> = audit.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["user-add", "restore"]);
}

#[test]
fn wrong_uses_of_backups_change_nothing() {
    let realm = Realm::initialised();
    realm.add("alice");
    let letter = realm.file("letter");
    std::fs::write(&letter, b"a letter to my aunt ".repeat(500)).unwrap();
    let folder = realm.path().to_str().unwrap();
    let nothing = realm.file("nothing");
    for (args, code) in [
        (["restore", letter.to_str().unwrap()], "bad-field"),
        (["restore", nothing.to_str().unwrap()], "not-found"),
        (["restore", folder], "not-found"),
        (["backup", letter.to_str().unwrap()], "exists"),
        (["backup", folder], "exists"),
    ] {
        assert_eq!(realm.json(&args).error(), code, "{args:?}");
    }
    assert_eq!(realm.run(&["backup"]).code, 2);
    assert_eq!(names(&realm), BTreeSet::from(["alice".to_owned()]));
}

#[test]
fn an_edited_backup_does_not_own_the_realm() {
    let realm = Realm::initialised();
    realm.add("alice");
    realm.add("mallory");
    for (number, edit) in [
        "UPDATE accounts SET phc = (SELECT phc FROM accounts WHERE username = 'mallory')",
        "CREATE TRIGGER promote AFTER UPDATE ON accounts
         BEGIN UPDATE accounts SET role = 'admin' WHERE username = 'mallory'; END",
    ]
    .into_iter()
    .enumerate()
    {
        let copy = realm.file(&format!("copy-{number}.db"));
        assert_eq!(realm.json(&["backup", copy.to_str().unwrap()]).code, 0);
        rusqlite::Connection::open(&copy).unwrap().execute_batch(edit).unwrap();
        let error = realm.json(&["restore", copy.to_str().unwrap()]).error();
        assert!(matches!(error.as_str(), "bad-field" | "unsigned"), "{edit}: {error}");
    }
}

/// The rooms whose adding was acknowledged, and the highest policy number in any answer.
#[derive(Debug, Clone, Default)]
struct Acknowledged {
    rooms: BTreeSet<String>,
    highest: u64,
}

impl Acknowledged {
    /// Starts four acts at once, then kills `serve` and one of them with SIGKILL.
    fn act_and_kill(&mut self, realm: &Realm, serving: Serving, round: u64) {
        let mut running: Vec<_> = (0..4)
            .map(|act| {
                let name = format!("room-{round}-{act}");
                let child = realm.command(&["room", "add", &name, "--json"]).spawn().unwrap();
                (name, child)
            })
            .collect();
        // A different moment each time: before the first commit, between the commits, while it signs, after.
        std::thread::park_timeout(Duration::from_millis(round % 20 * 17));
        drop(serving);
        if round.is_multiple_of(3) {
            running[3].1.kill().unwrap();
        }
        for (name, child) in running {
            let output = child.wait_with_output().unwrap();
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if said["done"] == json!(true) {
                self.rooms.insert(name);
                self.highest = self.highest.max(said["policy"].as_u64().unwrap_or(0));
            } else {
                assert!(output.status.code().is_none(), "only a kill refuses an act: {output:?}");
            }
        }
    }

    fn check_rooms(&self, realm: &Realm, round: u64) {
        let rooms = realm.json(&["room", "list"]).lines();
        let rooms: BTreeSet<&str> =
            rooms.iter().map(|room| room["name"].as_str().unwrap()).collect();
        let lost: Vec<_> =
            self.rooms.iter().filter(|name| !rooms.contains(name.as_str())).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }

    /// Starts `serve` again and checks the number of its policy.
    fn serve(&mut self, realm: &Realm, round: u64) -> Serving {
        let serving = realm.serve();
        let now = realm.json(&["status"]).object()["policy"].as_u64().unwrap();
        assert!(now >= self.highest, "round {round}: {now} after {}", self.highest);
        self.highest = now;
        serving
    }
}

#[test]
fn a_kill_loses_no_acknowledged_act() {
    let rounds = if is_soak() { 200 } else { 20 };
    let realm = Realm::fresh();
    let mut acknowledged = Acknowledged::default();
    let mut saved = None;
    for round in 0..rounds {
        let serving = acknowledged.serve(&realm, round);
        if round % 7 == 2 {
            let copy = realm.file(&format!("copy-{round}.db"));
            assert_eq!(realm.json(&["backup", copy.to_str().unwrap()]).code, 0);
            saved = Some((copy, acknowledged.rooms.clone()));
        }
        acknowledged.act_and_kill(&realm, serving, round);
        acknowledged.check_rooms(&realm, round);
        if round % 7 == 6
            && let Some((copy, rooms)) = saved.take()
        {
            // Later changes are lost and reported, but the number must not go back.
            assert_eq!(realm.json(&["restore", copy.to_str().unwrap()]).code, 0);
            acknowledged.rooms = rooms;
            acknowledged.highest += 1;
            acknowledged.check_rooms(&realm, round);
        }
    }
    assert!(acknowledged.rooms.len() > 20, "{acknowledged:?}");
    drop(acknowledged.serve(&realm, rounds));
    acknowledged.check_rooms(&realm, rounds);
}

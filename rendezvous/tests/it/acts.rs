//! The operator's acts on rooms, accounts and devices, with and without a running `serve`.

use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::{Policy, Sanction, SanctionKind};
use lanyard_rendezvous::policy::moderations::{self, ReceivedModeration};
use lanyard_rendezvous::store::moderations::ModerationRow;
use lanyard_rendezvous::store::{Db, Store, StoreError, devices, sanctions};
use lanyard_rendezvous::{accounts, clock};
use serde_json::json;

use crate::harness::Realm;

/// Runs an act while `serve` is running, and returns the number of the policy that contains it.
fn signed(realm: &Realm, args: &[&str]) -> u64 {
    let said = realm.json(args);
    let number = said.object()["policy"].as_u64();
    number.unwrap_or_else(|| panic!("{args:?} was not signed within 2 s: {said:?}"))
}

/// The newest signed policy.
fn policy(realm: &Realm) -> Policy {
    let path = realm.file("rendezvous.db");
    let store = Store::open(path.parent().unwrap()).unwrap();
    let row = lanyard_rendezvous::store::policies::newest(store.reader()).unwrap().unwrap();
    let id = realm.json(&["status"]).object()["realm"].as_str().unwrap().to_owned();
    let key: PeerKey = id.parse().unwrap();
    let signed = lanyard_protocol::policy::SignedPolicy::verify(&row.document, &key).unwrap();
    signed.policy().clone()
}

fn state(realm: &Realm, name: &str) -> String {
    let users = realm.json(&["user", "list"]).lines();
    let user = users.iter().find(|user| user["username"] == name).unwrap();
    user["state"].as_str().unwrap().to_owned()
}

#[test]
fn sanctions_are_signed_while_it_serves() {
    let realm = Realm::fresh();
    let _serving = realm.serve();
    realm.add("bob");
    let mut last = 0;
    for (args, now) in [
        (&["ban", "bob", "--since", "2h", "--reason", "spam"][..], "banned"),
        (&["unban", "bob"], "enabled"),
        (&["mute", "Bob", "--for", "10m"], "enabled"),
        (&["unmute", "bob"], "enabled"),
    ] {
        let number = signed(&realm, args);
        assert!(number > last, "{args:?}: {number} after {last}");
        last = number;
        assert_eq!(state(&realm, "bob"), now, "{args:?}");
    }
    let sanctions = policy(&realm).sanctions;
    let kinds: Vec<_> = sanctions.iter().map(|sanction| sanction.kind).collect();
    assert_eq!(kinds, [SanctionKind::Ban, SanctionKind::Mute]);
    assert_eq!((sanctions[0].reason.as_str(), sanctions[0].by.as_str()), ("spam", "operator"));
    assert!(sanctions.iter().all(|sanction| sanction.until.is_some()));
}

#[test]
fn sanctions_without_serve_take_effect_at_the_next_start() {
    let realm = Realm::initialised();
    realm.add("bob");
    let said = realm.json(&["ban", "bob", "--reason", "spam"]);
    assert_eq!(said.object(), json!({"done": true, "policy": null}));
    assert_eq!(state(&realm, "bob"), "banned");
    let words = realm.run(&["mute", "bob", "--for", "24h"]);
    assert_eq!(words.stdout, "bob is muted for 24h; takes effect at the next start\n");
    let _serving = realm.serve();
    assert_eq!(policy(&realm).sanctions.len(), 2);
}

#[test]
fn rooms_are_signed_while_it_serves() {
    let realm = Realm::fresh();
    let _serving = realm.serve();
    let mut last = 0;
    for args in [
        &["room", "add", "News", "--topic", "from the crew"][..],
        &["room", "post", "news", "moderator"],
        &["room", "topic", "news", "weather"],
        &["room", "archive", "news"],
    ] {
        let number = signed(&realm, args);
        assert!(number > last, "{args:?}: {number} after {last}");
        last = number;
    }
    let policy = policy(&realm);
    let news = policy.room("news").unwrap();
    assert_eq!((news.topic.as_str(), news.post.len()), ("weather", 1));
    assert!(news.archived_from.is_some());
    let rooms = realm.json(&["room", "list"]).lines();
    assert_eq!((&rooms[0]["name"], &rooms[0]["archived_at"]), (&json!("lobby"), &json!(null)));
    assert_eq!((&rooms[1]["post"], rooms.len()), (&json!("moderator"), 2));
}

#[test]
fn the_audit_log_has_every_act_but_no_password() {
    let realm = Realm::initialised();
    realm.add("bob");
    let passwd = realm.with_password(&["user", "passwd", "bob", "--cut"], b"PLANTED-secret\n");
    assert_eq!(passwd.code, 0);
    sign_in_and_moderate(&realm);
    let copy = realm.file("copy.db");
    let mut expected = vec!["user-add", "user-passwd", "order-mute", "order-ban"];
    for (args, what) in [
        (&["user", "role", "bob", "moderator"][..], "user-role"),
        (&["user", "disable", "bob"], "user-disable"),
        (&["user", "enable", "bob"], "user-enable"),
        (&["ban", "bob", "--reason", "spam"], "ban"),
        (&["unban", "bob"], "unban"),
        (&["mute", "bob", "--for", "90s"], "mute"),
        (&["unmute", "bob"], "unmute"),
        (&["policy", "set", "per-minute", "7"], "policy-set"),
        (&["room", "add", "news"], "room-add"),
        (&["room", "post", "news", "member"], "room-post"),
        (&["room", "topic", "news", "x"], "room-topic"),
        (&["room", "archive", "news"], "room-archive"),
        (&["device", "logout", "bob", "1"], "device-logout"),
        (&["moderation", "confirm", &"01".repeat(16)], "order-ratify"),
        (&["moderation", "overturn", &"02".repeat(16)], "order-refuse"),
        (&["backup", copy.to_str().unwrap()], "backup"),
    ] {
        assert_eq!(realm.json(args).code, 0, "{args:?}");
        expected.push(what);
    }
    realm.json(&["ban", "nobody"]).error();
    let entries = realm.json(&["audit"]).lines();
    let what: Vec<&str> = entries.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what, expected);
    let by = |entry: &serde_json::Value| {
        let of_mona = ["order-mute", "order-ban"].contains(&entry["what"].as_str().unwrap());
        if of_mona { "mona" } else { "operator" }
    };
    assert!(entries.iter().all(|entry| entry["who"] == by(entry) && entry["at"].is_u64()));
    assert!(entries.windows(2).all(|two| two[0]["at"].as_u64() <= two[1]["at"].as_u64()));
    assert_eq!((&entries[7]["target"], &entries[7]["detail"]), (&json!("bob"), &json!("spam")));
    let last = realm.json(&["audit", "--last", "2"]).lines();
    assert_eq!(last, entries[entries.len() - 2..]);
    assert!(!realm.run(&["audit"]).stdout.contains("PLANTED"));
}

/// Adds a device of bob's, and two moderations against him by mona.
fn sign_in_and_moderate(realm: &Realm) {
    let mut store = Store::open(realm.path()).unwrap();
    let now = clock::unix_ms();
    let account = accounts::find(store.reader(), "bob").unwrap().id;
    let moderation = |byte: u8, kind| ReceivedModeration {
        row: ModerationRow {
            id: [byte; 16],
            kind,
            account,
            from: now,
            until: now + 60_000,
            reason: "loud".to_owned(),
            by: "mona".to_owned(),
            verdict: None,
        },
        role: Role::Moderator,
    };
    let written: Result<(), StoreError> = store.write(|tx| {
        devices::sign_in(tx, account, PeerKey([7; 32]), "", now, now + 60_000)?;
        moderations::receive(tx, moderation(1, ModerationKind::Mute), now)?;
        moderations::receive(tx, moderation(2, ModerationKind::Ban), now).map(|_kept| ())
    });
    written.unwrap();
}

/// Writes sanctions of bob as they are, as an earlier release or a restored backup may have done.
fn fill(realm: &Realm, count: u64, kind: SanctionKind, until: Option<u64>) {
    let mut store = Store::open(realm.path()).unwrap();
    let bob = accounts::find(store.reader(), "bob").unwrap().id;
    let (reason, by, from) = ("x".repeat(200), "operator".to_owned(), clock::unix_ms() - 60_000);
    let sanction = Sanction { id: 0, kind, sub: bob, peer: None, from, until, reason, by };
    let insert = |tx: Db<'_>| (0..count).try_for_each(|_| sanctions::insert(tx, &sanction, from));
    store.write(insert).unwrap();
}

#[test]
fn serve_starts_on_a_database_that_holds_too_much() {
    let realm = Realm::initialised();
    for name in ["bob", "carol", "dave"] {
        realm.add(name);
    }
    fill(&realm, 3_500, SanctionKind::Mute, Some(clock::unix_ms() - 1_000));
    let mut serving = realm.serve();
    assert!(serving.wait_for_log("sanctions and old revocations are left out"));
    signed(&realm, &["ban", "carol"]);
    let store = Store::open(realm.path()).unwrap();
    let carol = accounts::find(store.reader(), "carol").unwrap().id;
    assert!(policy(&realm).ban_at(carol, clock::unix_ms()).is_some());
    for act in [&["mute", "dave", "--for", "1h"][..], &["room", "add", "news"]] {
        assert_eq!(realm.json(act).error(), "policy-full");
    }
    serving.stop();

    fill(&realm, 2_000, SanctionKind::Ban, None);
    let mut serving = realm.serve();
    assert!(serving.wait_for_log("the last one stays in force"));
    assert_eq!(realm.json(&["ban", "dave"]).error(), "policy-full");
    assert!(policy(&realm).ban_at(carol, clock::unix_ms()).is_some());
    realm.json(&["unban", "bob"]).object();
    signed(&realm, &["ban", "dave"]);
}

#[test]
fn a_retention_time_that_brings_too_much_back_is_refused() {
    let realm = Realm::initialised();
    realm.add("bob");
    let ended = clock::unix_ms() - 100 * 86_400_000;
    fill(&realm, 1_500, SanctionKind::Mute, Some(ended));
    let _serving = realm.serve();
    assert!(policy(&realm).sanctions.is_empty(), "no stored message is that old");
    let longer = realm.json(&["policy", "set", "retention-days", "365"]);
    assert_eq!(longer.error(), "policy-full");
    signed(&realm, &["ban", "bob"]);
}

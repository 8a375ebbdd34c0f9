//! In every program, a name is the same name however it is typed.

use serde_json::json;

use crate::harness::{PATIENCE, Realm, Signal, together};

/// Spellings of bob that people might type or paste.
const BOB: [&str; 5] = ["Bob", " bob ", "@bob", "＠Ｂｏｂ", "bob\u{a0}"];

#[test]
fn a_peer_signs_in_under_any_spelling_of_its_name() {
    let mut realm = Realm::with(&["bob"]);
    for typed in BOB {
        let bob = realm.peer("bob").typed(typed).ready();
        assert_eq!(bob.ready["username"], "bob", "{typed:?}");
        bob.quit();
    }
    realm.stop(Signal::TERM);
    for typed in BOB {
        let bob = realm.peer("bob").typed(typed).no_password().ready();
        assert_eq!(bob.ready["username"], "bob", "{typed:?} by the stored ticket");
        bob.quit();
    }
}

#[test]
fn the_operator_finds_accounts_and_rooms_in_any_spelling() {
    let realm = Realm::with(&["bob"]);
    realm.with_password(&["user", "add", " @Carol"], "carol: correct horse").done();
    realm.join("carol").quit();
    realm.run(&["room", "add", "#News"]).done();
    for typed in BOB {
        for act in [
            &["mute", typed, "--for", "1h"][..],
            &["unmute", typed],
            &["ban", typed],
            &["unban", typed],
            &["user", "disable", typed],
            &["user", "enable", typed],
            &["user", "role", typed, "member"],
        ] {
            realm.run(act).done();
        }
        assert!(realm.run(&["device", "list", typed]).lines().is_empty());
        realm.with_password(&["user", "passwd", typed], "bob: battery staple").done();
    }
    for typed in ["news", "NEWS", "#news", " ＮＥＷＳ"] {
        realm.run(&["room", "topic", typed, typed.trim()]).done();
    }
}

#[test]
fn a_moderator_finds_people_and_rooms_in_any_spelling() {
    let realm = Realm::with(&["bob"]);
    let moderator = ["user", "add", "mia", "--role", "moderator"];
    realm.with_password(&moderator, "mia: correct horse").done();
    let (mut mia, mut bob) = (realm.join("mia"), realm.join("bob"));
    together(&mut [&mut mia, &mut bob]);
    for typed in BOB {
        let mute = mia.ask(json!({"cmd": "mute", "username": typed, "for": "1h"}));
        assert_eq!(mute["event"], "answer", "{typed:?}: {mute}");
        bob.expect("the moderation", PATIENCE, |line| line["code"] == "order");
        let lift = mia.ask(json!({"cmd": "lift", "username": typed}));
        assert_eq!(lift["event"], "answer", "{typed:?}: {lift}");
    }
    for room in ["Lobby", "#lobby", " LOBBY "] {
        let sent = mia.ask(json!({"cmd": "send", "room": room, "text": room}));
        assert_eq!(sent["event"], "answer", "{room:?}: {sent}");
    }
}

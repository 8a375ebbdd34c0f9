//! A folder that has lost a key, a database or a table is damaged: it does not count as new, and nothing is created in
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{PATIENCE, Realm, Signal, TWO_SECONDS, password};

/// Every file of a folder except the locks, which are empty, and SQLite's logs, which come and go.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let silent = ["lock", "-wal", "-shm"];
    let told = paths.filter(|path| !silent.iter().any(|end| path.to_str().unwrap().ends_with(end)));
    told.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn does_not_serve(realm: &Realm, saying: &[&str]) {
    let before = files(&realm.data_dir());
    let mut serving = realm.serve_program(&["--listen", "127.0.0.1:0"]);
    let failed = serving.expect("an error", PATIENCE, |line| line["error"] == "failed");
    let message = failed["message"].as_str().unwrap();
    assert!(saying.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(serving.end(TWO_SECONDS).code(), Some(1));
    assert!(files(&realm.data_dir()) == before, "something was created or changed");
}

#[test]
fn a_login_node_that_has_lost_a_part_does_not_start_afresh() {
    let mut realm = Realm::with(&["ada"]);
    let copy = realm.logs().join("copy.db");
    realm.run(&["backup", copy.to_str().unwrap()]).done();
    let link = realm.link().to_owned();
    realm.stop(Signal::TERM);
    let folder = realm.data_dir();
    for name in ["realm.key", "member.key", "rendezvous.db"] {
        let (path, kept) = (folder.join(name), realm.logs().join(name));
        fs::rename(&path, &kept).unwrap();
        does_not_serve(&realm, &[path.to_str().unwrap(), "missing"]);
        if name == "rendezvous.db" {
            let said = realm.run(&["user", "list"]);
            assert_eq!(said.code, Some(1), "{said:?}");
            fs::write(&path, "").unwrap();
            does_not_serve(&realm, &[path.to_str().unwrap(), "restore"]);
        }
        fs::rename(&kept, &path).unwrap();
    }
    drop_from(&folder.join("rendezvous.db"), "TABLE sanctions");
    does_not_serve(&realm, &["sanctions", "missing", "restore"]);

    // What the message says to do.
    realm.run(&["restore", copy.to_str().unwrap()]).done();
    realm.serve();
    assert_eq!(realm.link(), link);
    realm.join("ada").quit();
}

#[test]
fn keys_and_a_backup_move_the_realm_to_another_computer() {
    let mut realm = Realm::with(&["ada"]);
    let copy = realm.logs().join("copy.db");
    realm.run(&["backup", copy.to_str().unwrap()]).done();
    realm.stop(Signal::TERM);
    for keys in [&["realm.key", "member.key"][..], &["realm.key"]] {
        let mut other = realm.another();
        for key in keys {
            fs::copy(realm.data_dir().join(key), other.data_dir().join(key)).unwrap();
        }
        does_not_serve(&other, &["rendezvous.db", "restore"]);
        let done = other.run(&["restore", copy.to_str().unwrap()]).done();
        assert_eq!(done["new_member_key"], keys.len() == 1);
        other.serve();
        other.join("ada").quit();
        other.stop(Signal::TERM);
    }
}

fn drop_from(database: &Path, what: &str) {
    let store = rusqlite::Connection::open(database).unwrap();
    store.execute_batch(&format!("PRAGMA foreign_keys = OFF; DROP {what}")).unwrap();
}

#[test]
fn a_profile_that_has_lost_a_part_is_refused_and_left_alone() {
    let realm = Realm::with(&["ada"]);
    let mut ada = realm.join("ada");
    ada.send("Keep this.");
    ada.quit();
    let profile = realm.profile("ada");
    let refused = |saying: &str| {
        let before = files(&profile);
        for start in [realm.peer("ada"), realm.peer("ada").no_password()] {
            let refused = start.refused();
            assert_eq!(refused["code"], "profile-damaged");
            assert!(refused["reason"].as_str().unwrap().contains(saying), "{refused}");
        }
        assert!(files(&profile) == before, "something was created or changed");
    };
    for name in ["identity", "chat.db"] {
        let (path, kept) = (profile.join(name), realm.logs().join(name));
        fs::rename(&path, &kept).unwrap();
        refused(&format!("{name} is missing"));
        fs::rename(&kept, &path).unwrap();
    }
    assert_eq!(realm.join("ada").history(), ["Keep this."]);
    drop_from(&profile.join("chat.db"), "TABLE read_marks");
    refused("read_marks is missing");
    let fresh = realm.logs().join("fresh");
    realm.peer("ada").profile(&fresh).password(&password("ada")).ready().quit();
}

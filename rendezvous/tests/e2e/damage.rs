//! Files that are damaged or readable by others are named, and left as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::{PATIENCE, Realm, Signal, TWO_SECONDS};

#[test]
fn both_programs_refuse_a_key_that_others_can_read() {
    let mut realm = Realm::with(&["alice"]);
    realm.join("alice").quit();
    let identity = realm.profile("alice").join("identity");
    open_to_others(&identity);
    let refused = realm.peer("alice").refused();
    assert_eq!(refused["code"], "profile-unsafe");
    assert!(refused["reason"].as_str().unwrap().contains("chmod 600"), "{refused}");
    assert_eq!(realm.peer("alice").no_password().refused()["code"], "profile-unsafe");

    realm.stop(Signal::TERM);
    for key in ["realm.key", "member.key"] {
        let key = realm.data_dir().join(key);
        open_to_others(&key);
        does_not_serve(&realm, &key);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    realm.serve();
}

fn open_to_others(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "keys are made private");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_damaged_profile_is_refused_and_left_alone() {
    let realm = Realm::with(&["alice"]);
    let mut alice = realm.join("alice");
    alice.send("Keep this.");
    alice.quit();
    let profile = realm.profile("alice");
    for name in ["identity", "chat.db"] {
        let path = profile.join(name);
        let sound = fs::read(&path).unwrap();
        for damaged in damages(&sound) {
            fs::write(&path, &damaged).unwrap();
            for start in [realm.peer("alice"), realm.peer("alice").no_password()] {
                let refused = start.refused();
                assert_eq!(refused["code"], "profile-damaged", "{name}");
                let path = path.to_str().unwrap();
                assert!(refused["reason"].as_str().unwrap().contains(path), "{refused}");
            }
            assert!(fs::read(&path).unwrap() == damaged, "{name} was overwritten");
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(realm.join("alice").history(), ["Keep this."]);
}

#[test]
fn a_damaged_data_folder_is_refused_and_left_alone() {
    let mut realm = Realm::with(&["alice"]);
    realm.stop(Signal::TERM);
    for name in ["realm.key", "member.key", "rendezvous.db"] {
        let path = realm.data_dir().join(name);
        let sound = fs::read(&path).unwrap();
        for damaged in damages(&sound) {
            fs::write(&path, &damaged).unwrap();
            does_not_serve(&realm, &path);
            assert!(fs::read(&path).unwrap() == damaged, "{name} was overwritten");
        }
        fs::write(&path, &sound).unwrap();
    }
    realm.serve();
    realm.join("alice").quit();
}

/// Nonsense, a truncated file, and for a database one of which only the header is sound.
fn damages(sound: &[u8]) -> Vec<Vec<u8>> {
    let nonsense = b"This is not what it was. ".repeat(200);
    let (half, _rest) = sound.split_at(sound.len() / 2);
    let mut damages = vec![nonsense, half.to_vec()];
    if sound.starts_with(b"SQLite") {
        let (header, pages) = sound.split_at(100);
        damages.push([header, &b"#".repeat(pages.len())].concat());
    }
    damages
}

fn does_not_serve(realm: &Realm, because_of: &Path) {
    let mut serving = realm.serve_program(&["--listen", "127.0.0.1:0"]);
    let failed = serving.expect("an error", PATIENCE, |line: &Value| line["error"] == "failed");
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains(because_of.to_str().unwrap()), "{message}");
    assert_eq!(serving.end(TWO_SECONDS).code(), Some(1));
}

//! A full disk under a peer's profile: a file system of two megabytes. Its log has no room either.
//!
//! It is mounted in a mount namespace of the peer, which needs root or a user namespace.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{PATIENCE, Peer, Realm, Start, skip};

/// Mounts the small disk, then executes the program, whose log is full from the start.
const SCRIPT: &str = "mount -t tmpfs -o size=2m,mode=700 tmpfs \"$0\" && exec \"$@\" 2>/dev/full";

fn unshare() -> Option<Command> {
    let root = rustix::process::geteuid().is_root();
    let flags = if root { "-m" } else { "-Urm" };
    let mut probe = Command::new("unshare");
    probe.args([flags, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
    let possible = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        skip("no mount namespaces");
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args([flags, "sh", "-c", SCRIPT]);
    Some(unshare)
}

/// The peer's profile folder as the peer sees it.
fn inside(peer: &Peer, profile: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", peer.pid()));
    root.join(profile.strip_prefix("/").unwrap())
}

#[test]
fn a_full_disk_is_answered_and_with_room_it_continues() {
    let Some(mut command) = unshare() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let profile = realm.profile("ada");
    std::fs::create_dir_all(&profile).unwrap();
    let node = realm.node_command();
    command.arg(&profile).arg(node.get_program()).env("RUST_LOG", "error");
    let mut ada = Start::new(command, "ada", realm.link(), profile.clone(), realm.logs()).ready();
    ada.send("There is room.");

    let filler = inside(&ada, &profile).join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[7; 4_096]).is_ok() {}
    while file.write_all(&[7; 1]).is_ok() {}
    drop(file);
    for number in 0..20 {
        let text = format!("{number} {}", "There is no room. ".repeat(100));
        let answer = ada.ask(json!({"cmd": "send", "text": text}));
        if answer["event"] == "error" {
            assert_eq!(answer["code"], "read-only", "{answer}");
            assert!(answer["message"].as_str().unwrap().contains("full"), "{answer}");
            break;
        }
        assert!(number < 19, "a full disk has accepted twenty texts");
    }
    assert_eq!(ada.ask(json!({"cmd": "status"}))["event"], "answer", "it continues");

    std::fs::remove_file(&filler).unwrap();
    let id = ada.send("There is room again.");
    bob.expect_message(&id, PATIENCE);
    ada.quit();
}

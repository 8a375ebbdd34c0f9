//! Nobody reads standard error any more: log lines are lost, but nothing else.

use std::fs::File;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::harness::{PATIENCE, Program, Realm, Signal, TWO_SECONDS, chat, together};

/// Kinds of standard error, each with what must be dropped so that nobody reads it any more.
fn ways() -> Vec<(&'static str, Stdio, Box<dyn Send>)> {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (reader, pipe) = std::io::pipe().unwrap();
    let (master, terminal) = terminal();
    vec![
        ("a full disk", full.into(), Box::new(())),
        ("a broken pipe", pipe.into(), Box::new(reader)),
        ("a closed terminal", terminal.into(), Box::new(master)),
    ]
}

/// A pseudo terminal: the side of its window, and the side of the program.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    (master.into(), terminal)
}

#[test]
fn a_login_node_whose_log_cannot_be_written_keeps_serving() {
    for (way, stderr, reader) in ways() {
        let mut realm = Realm::fresh();
        realm.serve_logging_to(stderr);
        drop(reader);
        realm.add("ada");
        realm.add("bob");
        let (mut ada, mut bob) = (realm.join("ada"), realm.join("bob"));
        together(&mut [&mut ada, &mut bob]);
        bob.forget();

        let done = realm.run(&["user", "disable", "ada"]).done();
        assert!(done["policy"].is_u64(), "{way}: it is signed: {done}");
        assert_eq!(ada.refused(TWO_SECONDS)["code"], "disabled", "{way}");
        bob.expect("the new policy", TWO_SECONDS, |line| line["event"] == "policy");
        assert_eq!(realm.run(&["status"]).done()["serving"], json!(true), "{way}");
        let again = realm.run(&["policy", "set", "per-minute", "7"]).done();
        assert!(again["policy"].is_u64(), "{way}: {again}");
        bob.quit();
        assert_eq!(realm.stop(Signal::TERM).code(), Some(0), "{way}");
    }
}

#[test]
fn a_peer_whose_log_cannot_be_written_keeps_chatting() {
    let realm = Realm::logging("debug", &["ada", "bob"]);
    let mut bob = realm.join("bob");
    for (way, stderr, reader) in ways() {
        drop(reader);
        let mut ada = realm.peer("ada").logging_to(stderr);
        ada.become_ready();
        together(&mut [&mut ada, &mut bob]);
        chat(&mut ada, &mut bob, PATIENCE);
        ada.quit();
        bob.forget();
        println!("{way}: it kept chatting");
    }
}

#[test]
fn a_refusal_that_nobody_reads_is_still_an_exit_code() {
    let realm = Realm::with(&["ada"]);
    for (way, stderr, reader) in ways() {
        drop(reader);
        let mut command = realm.node_command();
        command.args(["chat", "--username", "ada", "--join", "no link at all"]);
        let log = realm.logs().join("none");
        std::fs::write(&log, "").unwrap();
        let mut refused = Program::spawn_logging_to("ada", command, log, stderr);
        assert_eq!(refused.end(PATIENCE).code(), Some(1), "{way}");
    }
}

//! Commands without a running `serve`: right uses, wrong uses, and many at the same time.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::Realm;

#[test]
fn misuse_exits_with_2_and_no_answer() {
    let realm = Realm::initialised();
    for args in [
        &[][..],
        &["dance"],
        &["user"],
        &["user", "add"],
        &["user", "add", "alice", "--password", "secret"],
        &["user", "add", "alice", "secret"],
        &["user", "role", "alice"],
        &["policy", "set", "per-minute"],
        &["serve", "--listen", "4001"],
        &["serve", "--listen", "127.0.0.1:70000"],
        &["serve", "--advertise", "host:4001"],
        &["serve", "--advertise", "a b"],
        &["status", "--colour"],
        // No terminal and no --password-stdin.
        &["user", "add", "alice"],
    ] {
        let said = realm.run(args);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{args:?} {said:?}");
        assert!(!said.stderr.is_empty());
    }
    assert!(realm.json(&["user", "list"]).lines().is_empty());
}

#[test]
fn options_may_precede_or_follow_the_subcommand() {
    let realm = Realm::initialised();
    let dir = realm.path().to_str().unwrap();
    let before = std::process::Command::new(env!("CARGO_BIN_EXE_lanyard-rendezvous"))
        .args(["--json", "--data-dir", dir, "status"])
        .output()
        .unwrap();
    let after = realm.json(&["status"]);
    assert_eq!(String::from_utf8(before.stdout).unwrap(), after.stdout);
    assert_eq!(after.object()["serving"], json!(false));
}

#[test]
fn an_account_goes_through_all_acts() {
    let realm = Realm::initialised();
    let add = ["user", "add", "Alice", "--role", "admin", "--nickname", "Alice L."];
    let said = realm.with_password(&add, b"long enough\nsecond line\n");
    assert_eq!(said.object()["done"], json!(true));
    assert!(said.object()["policy"].is_u64(), "the policy has not changed: {said:?}");
    realm.add("bob");
    let line = |number: usize| realm.json(&["user", "list"]).lines()[number].clone();
    let alice = line(0);
    assert_eq!(alice["username"], "alice");
    assert_eq!(alice["nickname"], "Alice L.");
    assert_eq!((&alice["role"], &alice["state"]), (&json!("admin"), &json!("enabled")));
    assert_eq!((&alice["devices"], &alice["last_login_at"]), (&json!(0), &Value::Null));
    assert!(alice["created_at"].as_u64().unwrap() > 1_700_000_000_000);
    for (args, key, value) in [
        (&["user", "role", "bob", "moderator"], "role", "moderator"),
        (&["user", "disable", "bob", "--json"], "state", "disabled"),
        (&["user", "enable", "bob", "--json"], "state", "enabled"),
    ] {
        let said = realm.run(args);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(line(1)[key], value);
    }
    let passwd = realm.with_password(&["user", "passwd", "bob", "--cut"], b"another password\n");
    assert_eq!(
        passwd.object(),
        json!({"done": true, "policy": null}),
        "nothing is running that could sign"
    );
    let words = realm.run(&["user", "disable", "bob"]);
    assert!(words.stdout.contains("takes effect at the next start"), "{words:?}");
}

#[test]
fn refusals_have_a_code_and_change_nothing() {
    let realm = Realm::initialised();
    realm.with_password(&["user", "add", "scope", "--role", "admin"], b"password\n");
    let before = realm.json(&["user", "list"]).stdout;
    let long_name = "x".repeat(33);
    let adds: [(&[&str], &[u8], &str); 13] = [
        (&["user", "add", "SCOPE"], b"password\n", "exists"),
        (&["user", "add", "ѕсоре"], b"password\n", "exists"),
        (&["user", "add", ""], b"password\n", "bad-name"),
        (&["user", "add", "two words"], b"password\n", "bad-name"),
        (&["user", "add", "pаypal"], b"password\n", "bad-name"),
        (&["user", "add", "a\u{202e}b"], b"password\n", "bad-name"),
        (&["user", "add", &long_name], b"password\n", "bad-name"),
        (&["user", "add", "bob", "--nickname", "Scope"], b"password\n", "bad-name"),
        (&["user", "add", "bob", "--role", "authority"], b"password\n", "bad-field"),
        (&["user", "add", "bob"], b"\n", "weak-password"),
        (&["user", "add", "bob"], b"", "weak-password"),
        (&["user", "add", "bob"], &[b'x'; 2_000], "weak-password"),
        (&["user", "add", "bob"], b"\xff\xfe\n", "bad-field"),
    ];
    for (args, stdin, code) in adds {
        assert_eq!(realm.with_password(args, stdin).error(), code, "{args:?}");
    }
    for (args, code) in [
        (&["user", "disable", "nobody"][..], "not-found"),
        (&["user", "role", "scope", "king"], "bad-field"),
        (&["user", "role", "nobody", "guest"], "not-found"),
        (&["user", "role", "scope", "member"], "would-lock-out"),
        (&["user", "disable", "scope"], "would-lock-out"),
        (&["policy", "set", "per-minute", "-1"], "bad-field"),
        (&["policy", "set", "colour", "red"], "bad-field"),
        (&["policy", "set", "ticket-lifetime", "7"], "bad-field"),
        (&["policy", "set", "registration", "open"], "bad-field"),
    ] {
        assert_eq!(realm.json(args).error(), code, "{args:?}");
    }
    let passwd = realm.with_password(&["user", "passwd", "nobody"], b"password\n");
    assert_eq!(passwd.error(), "not-found");
    assert_eq!(realm.json(&["user", "list"]).stdout, before);
    assert_eq!(realm.json(&["policy", "show"]).object()["per_minute"], json!(60));
}

#[test]
fn a_short_password_is_accepted_with_a_warning() {
    let realm = Realm::initialised();
    let said = realm.with_password(&["user", "add", "bob"], b"short\r\n").object();
    assert_eq!(said["done"], json!(true));
    assert!(said["warning"].as_str().unwrap().contains("8 characters"));
}

#[test]
fn a_command_whose_reader_is_gone_ends_quietly() {
    let realm = Realm::initialised();
    realm.add("bob");
    for args in [
        &["audit"][..],
        &["user", "list"],
        &["room", "list"],
        &["policy", "show"],
        &["status"],
        &["user", "disable", "bob"],
    ] {
        for form in [&[][..], &["--json"]] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = realm.command(args).args(form).stdout(writer).output().unwrap();
            let noise = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), noise.as_str()), (Some(0), ""), "{args:?} {form:?}");
        }
    }
    assert_eq!(realm.json(&["user", "list"]).lines()[0]["state"], "disabled");
}

#[test]
fn no_password_reaches_a_log_or_an_answer() {
    let realm = Realm::initialised();
    let mut command = realm.command(&["user", "add", "alice", "--password-stdin"]);
    let mut child = command.env("RUST_LOG", "trace").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"PLANTED-SECRET\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8(said).unwrap().contains("PLANTED"));
    for entry in std::fs::read_dir(realm.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"PLANTED"));
    }
}

#[test]
fn many_processes_write_at_once_without_loss() {
    let realm = Realm::initialised();
    let spawn = |name: &str| {
        let mut command = realm.command(&["user", "add", name, "--password-stdin", "--json"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"password\n").unwrap();
        child
    };
    let mut children: Vec<_> = (0..12).map(|n| spawn(&format!("user{n}"))).collect();
    children.extend((0..4).map(|_| spawn("twin")));
    let codes: Vec<i32> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    assert!(codes.iter().take(12).all(|code| *code == 0), "{codes:?}");
    let winners = codes.iter().skip(12).filter(|code| **code == 0).count();
    assert_eq!(winners, 1, "{codes:?}");
    assert_eq!(realm.json(&["user", "list"]).lines().len(), 13);
}

#[test]
fn a_damaged_database_is_named_and_kept() {
    let realm = Realm::fresh();
    let text = b"not a database at all ".repeat(500);
    std::fs::write(realm.file("rendezvous.db"), &text).unwrap();
    for args in [&["user", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = realm.run(args);
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{args:?} {said:?}");
        assert!(said.stderr.contains("rendezvous.db"), "{said:?}");
    }
    assert_eq!(std::fs::read(realm.file("rendezvous.db")).unwrap(), text);
}

//! People at a terminal: what they type arrives as typed, what they see is complete, and the terminal is restored
//! afterwards.

use std::process::Command;
use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::pty::Pty;
use crate::harness::{A_MINUTE, PATIENCE, Peer, Realm, Signal, TWO_SECONDS, password};

const KEY: Duration = Duration::from_millis(1);

/// `lanyard-node chat` for this account, at a terminal, before its password.
fn chat(realm: &Realm, name: &str, profile: &str) -> Command {
    let mut command = realm.node_command();
    command.args(["chat", "--join", realm.link(), "--username", name]);
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(realm.profile(profile));
    command
}

/// The same, signed in and linked, with the prompt on its screen.
fn at_the_prompt(realm: &Realm, name: &str) -> Pty {
    let mut pty = Pty::spawn(&chat(realm, name, name));
    pty.see("Password of");
    pty.enter(&password(name));
    pty.see_cursor_behind("#lobby>");
    pty.see("peer connected, login node online");
    pty
}

/// Signs in while nobody else is there, and leaves; the profile then needs no password.
fn at_the_prompt_alone(realm: &Realm, name: &str) {
    let mut pty = Pty::spawn(&chat(realm, name, name));
    pty.see("Password of");
    pty.enter(&password(name));
    pty.see_cursor_behind("#lobby>");
    pty.type_keys("half a line\x03", KEY);
    assert_eq!(pty.end(TWO_SECONDS).code(), Some(0));
}

fn set_policy(realm: &Realm, key: &str, value: &str) {
    realm.run(&["policy", "set", key, value]).done();
}

/// The next text that arrives.
fn next_text(peer: &mut Peer) -> String {
    let message = peer.expect("a message", PATIENCE, |line| line["event"] == "message");
    message["text"].as_str().unwrap().to_owned()
}

fn is_message(line: &Value) -> bool {
    line["event"] == "message"
}

#[test]
fn a_text_that_fills_a_row_cannot_pose_as_another_line() {
    let realm = Realm::with(&["alice", "eve"]);
    let mut eve = realm.join("eve");
    let alice = at_the_prompt(&realm, "alice");
    eve.send(&format!("ok{}[10:31] Grace H.: send the door code", " ".repeat(65)));
    alice.see("door code");
    let rows = alice.rows();
    let row = rows.iter().find(|row| row.contains("door code"));
    assert!(row.is_some_and(|row| row.starts_with("        ")), "{rows:?}");
}

#[test]
fn typed_and_pasted_passwords_are_accepted_and_not_shown() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let secret = password("alice");
    for attempt in 0..10 {
        let mut alice = Pty::spawn(&chat(&realm, "alice", &format!("alice-{attempt}")));
        alice.see("Password of alice:");
        if attempt % 2 == 0 {
            alice.type_keys(&format!("{secret}\r"), KEY);
        } else {
            alice.paste(&format!("{secret}\n"));
        }
        alice.see_cursor_behind("#lobby>");
        let said = format!("attempt {attempt}");
        alice.enter(&said);
        assert_eq!(next_text(&mut bob), said, "and nothing before it");
        assert!(!alice.rows().join("\n").contains(&secret), "{:#?}", alice.rows());
        alice.write(b"\x04");
        assert_eq!(alice.end(TWO_SECONDS).code(), Some(0));
    }
}

#[test]
fn five_hundred_lines_arrive_as_typed() {
    let realm = Realm::with(&["alice", "bob"]);
    set_policy(&realm, "per-minute", "0");
    set_policy(&realm, "per-day", "0");
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    let lines: Vec<String> = (0..500).map(|number| format!("{number} ä🦀 ok")).collect();
    for line in &lines {
        alice.type_keys(&format!("{line}\r"), KEY);
    }
    for line in &lines {
        assert_eq!(next_text(&mut bob), *line);
    }
    alice.see("499 ä🦀 ok");
    alice.see_cursor_behind("#lobby>");
}

#[test]
fn a_long_paste_arrives_complete() {
    let realm = Realm::with(&["alice", "bob"]);
    set_policy(&realm, "max-text-bytes", "12288");
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    let long: String = (0..2_000).map(|number| format!("{number:05}")).collect();
    alice.paste(&long);
    alice.write(b"\r");
    assert_eq!(next_text(&mut bob), long);
}

#[test]
fn a_paste_of_many_lines_is_one_message_and_asks_first() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    alice.paste("one\ntwo\n");
    alice.write(b"\r");
    assert_eq!(next_text(&mut bob), "one\ntwo");

    let many: Vec<String> = (1..=12).map(|line| format!("line {line}")).collect();
    let many = many.join("\n");
    alice.paste(&many);
    alice.write(b"\r");
    alice.see_cursor_behind("Send 12 lines as one message? [y/N]");
    alice.enter("n");
    alice.see_cursor_behind("line 12");
    alice.write(b"!\r");
    alice.see_cursor_behind("Send 12 lines as one message? [y/N]");
    alice.enter("y");
    assert_eq!(next_text(&mut bob), format!("{many}!"));
    alice.see_cursor_behind("#lobby>");
}

#[test]
fn a_line_that_a_simple_terminal_truncates_is_not_sent() {
    let realm = Realm::with(&["alice", "bob"]);
    set_policy(&realm, "max-text-bytes", "12288");
    let mut bob = realm.join("bob");
    let mut command = chat(&realm, "alice", "alice");
    command.env("TERM", "dumb");
    let mut alice = Pty::spawn(&command);
    alice.see("Password of");
    alice.enter(&password("alice"));
    alice.see("peer connected, login node online");
    alice.enter(&"0123456789".repeat(500));
    alice.see("! the terminal hands over at most 4,095 bytes of a line");
    alice.enter("short");
    assert_eq!(next_text(&mut bob), "short");
}

#[test]
fn messages_appear_above_the_half_typed_line() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    // Wider than the screen, with letters that have more than one column or byte.
    let half = format!("{} and on", "über 王さま ".repeat(12));
    alice.type_keys(&half, Duration::ZERO);
    alice.wait_for("half a line", |screen| screen.contents().contains("and on"));
    let before = alice.rows();
    for number in 0..5 {
        bob.send(&format!("from bob {number}"));
        alice.see(&format!("bob: from bob {number}"));
    }
    alice.wait_for("the half-typed line", |screen| screen.contents().ends_with("and on"));
    let after = alice.rows();
    let typed_at =
        |rows: &[String]| rows.iter().position(|row| row.starts_with("#lobby>")).unwrap();
    assert_eq!(before[typed_at(&before)..], after[typed_at(&after)..], "{after:#?}");
    assert!(after[typed_at(&after) - 1].ends_with("bob: from bob 4"), "{after:#?}");
    alice.write(b"\r");
    let heard =
        bob.expect("alice's line", PATIENCE, |line| is_message(line) && line["via"] != "own");
    assert_eq!(heard["text"], half);
    alice.see_cursor_behind("#lobby>");
}

#[test]
fn ctrl_c_and_signals_restore_the_terminal() {
    let realm = Realm::with(&["alice"]);
    let mut asked = Pty::spawn(&chat(&realm, "alice", "alice"));
    asked.see("Password of alice:");
    assert!(!asked.is_as_found(), "nothing is to be restored");
    asked.type_keys("secr\x03", KEY);
    assert_eq!(asked.end(TWO_SECONDS).code(), Some(0));
    for signal in [Signal::TERM, Signal::INT] {
        let mut asked = Pty::spawn(&chat(&realm, "alice", "alice"));
        asked.see("Password of alice:");
        asked.signal(signal);
        assert_eq!(asked.end(TWO_SECONDS).code(), Some(0));
    }

    at_the_prompt_alone(&realm, "alice");
    for signal in [Signal::TERM, Signal::INT] {
        let mut again = Pty::spawn(&chat(&realm, "alice", "alice"));
        again.see_cursor_behind("#lobby>");
        again.type_keys("half a line", KEY);
        again.signal(signal);
        assert_eq!(again.end(TWO_SECONDS).code(), Some(0));
    }
}

#[test]
fn ctrl_z_hands_the_terminal_to_the_shell_and_fg_returns() {
    let realm = Realm::with(&["alice"]);
    at_the_prompt_alone(&realm, "alice");
    // This shell leaves the modes of the terminal alone, which not every shell does.
    let mut shell = Command::new("sh");
    shell.arg("-im").env("PS1", "shell: ");
    let mut pty = Pty::spawn(&shell);
    pty.see_cursor_behind("shell:");
    let chat = chat(&realm, "alice", "alice");
    let words = std::iter::once(chat.get_program()).chain(chat.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
    pty.enter(&words.join(" "));
    pty.see_cursor_behind("#lobby>");
    pty.type_keys("half a line", KEY);
    pty.see_cursor_behind("#lobby> half a line");
    pty.write(b"\x1a");
    pty.see_cursor_behind("shell:");
    assert!(pty.is_as_found());
    pty.enter("fg");
    pty.see_cursor_behind("#lobby> half a line");
    pty.write(b"\x03");
    pty.see_cursor_behind("shell:");
    pty.enter("exit");
    pty.end(TWO_SECONDS);
}

#[test]
fn ctrl_c_at_the_operators_password_prompt_changes_nothing() {
    let realm = Realm::with(&[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanyard-rendezvous"));
    command.args(["user", "add", "alice", "--data-dir"]).arg(realm.data_dir());
    let mut asked = Pty::spawn(&command);
    asked.see("Password:");
    asked.type_keys("a long one\r", KEY);
    asked.see("Again:");
    asked.type_keys("a lo\x03", KEY);
    assert_eq!(asked.end(TWO_SECONDS).code(), Some(1));
    assert!(realm.run(&["user", "list"]).lines().is_empty());
}

#[test]
fn a_refused_line_is_named_and_can_be_sent_again() {
    let realm = Realm::with(&["alice", "bob"]);
    set_policy(&realm, "per-minute", "3");
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    // Three are allowed in each minute of the clock; if a minute ends in between, six are.
    let lines: Vec<String> = (1..=8).map(|number| format!("line {number}")).collect();
    lines.iter().for_each(|line| alice.enter(line));
    alice.wait_for("two refusals", |screen| {
        screen.contents().matches("! Not sent: \"line ").count() >= 2
    });
    alice.see("slow down");
    alice.see("/retry sends it again");
    alice.enter("/unsent");
    alice.see("* #lobby: line ");
    set_policy(&realm, "per-minute", "0");
    let start = clock::monotonic();
    loop {
        alice.enter("/retry");
        alice.enter("/unsent");
        let done = |row: &String| row.contains("* Nothing is unsent.");
        if alice.rows().iter().any(done) {
            break;
        }
        // No limit applies from the next full minute on.
        assert!(clock::monotonic().duration_since(start) < A_MINUTE + PATIENCE);
        std::thread::park_timeout(Duration::from_secs(2));
    }
    let mut heard: Vec<String> = lines.iter().map(|_line| next_text(&mut bob)).collect();
    heard.sort_unstable();
    assert_eq!(heard, lines);
}

#[test]
fn enter_sends_to_the_room_that_the_prompt_names() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let mut alice = at_the_prompt(&realm, "alice");
    bob.send("one room");
    alice.see("] bob: one room");
    realm.run(&["room", "add", "staff", "--topic", "us"]).done();
    bob.expect("the room", PATIENCE, |line| line["event"] == "policy");
    // Once alice shows this, her program knows the room.
    bob.ask(json!({"cmd": "send", "room": "staff", "text": "who is here?"}));
    alice.see("#staff bob: who is here?");
    alice.enter("/room nowhere");
    alice.see("there is no room of that name; there are #lobby");
    // Both at once: the second line goes to the room that the first one enters.
    alice.type_keys("/roo\t staff\rfor us\r", Duration::ZERO);
    alice.see("* You are in #staff: us");
    alice.see_cursor_behind("#staff>");
    let heard =
        bob.expect("alice's line", PATIENCE, |line| is_message(line) && line["via"] != "own");
    assert_eq!((&heard["room"], &heard["text"]), (&json!("staff"), &json!("for us")));
    bob.send("in the lobby");
    alice.see("#lobby bob: in the lobby");
    alice.enter("/rooms");
    alice.see("* #staff: us (you are here)");
}

#[test]
fn lines_are_completed_edited_and_recalled() {
    let realm = Realm::with(&["alice", "bob", "bobby"]);
    let (mut bob, _bobby) = (realm.join("bob"), realm.join("bobby"));
    let mut alice = Pty::spawn(&chat(&realm, "alice", "alice"));
    alice.see("Password of");
    alice.enter(&password("alice"));
    alice.see("bobby (bobby) is here");
    alice.see("bob (bob) is here");
    alice.type_keys("hi @b\t", KEY);
    alice.see("* @bob  @bobby");
    alice.see_cursor_behind("#lobby> hi @bob");
    alice.type_keys("b\t", KEY);
    alice.see_cursor_behind("#lobby> hi @bobby");
    // Home, Delete twice, "HI", End, Backspace.
    alice.write(b"\x1b[H\x1b[3~\x1b[3~HI\x1b[F\x7f!\r");
    assert_eq!(next_text(&mut bob), "HI @bobby!");
    alice.see("] alice: HI @bobby!");
    alice.write(b"\x1b[A");
    alice.see_cursor_behind("#lobby> HI @bobby!");
}

#[test]
fn a_day_precedes_its_messages_and_times_are_local() {
    let realm = Realm::with(&["alice", "bob"]);
    let mut bob = realm.join("bob");
    let mut command = chat(&realm, "alice", "alice");
    command.env("TZ", "UTC");
    let mut alice = Pty::spawn(&command);
    alice.see("Password of");
    alice.enter(&password("alice"));
    alice.see("peer connected, login node online");
    bob.send("good morning");
    alice.see("] bob: good morning");
    let rows = alice.rows();
    let at = rows.iter().position(|row| row.ends_with("] bob: good morning")).unwrap();
    let year = rows[at - 1].trim_matches([' ', '—']).rsplit(' ').next().unwrap().len();
    assert!(rows[at - 1].starts_with("— ") && year == 4, "{rows:#?}");

    let mut audit = Command::new(env!("CARGO_BIN_EXE_lanyard-rendezvous"));
    audit.args(["audit", "--data-dir"]).arg(realm.data_dir()).env("TZ", "UTC");
    let words = String::from_utf8(audit.output().unwrap().stdout).unwrap();
    let said = realm.run(&["audit"]).lines();
    let minute = said[0]["at"].as_u64().unwrap() / 60_000;
    let clock = format!("{:02}:{:02}:", minute / 60 % 24, minute % 60);
    let first = words.lines().next().unwrap();
    assert!(first.split(' ').nth(1).unwrap().starts_with(&clock), "{first}");
}

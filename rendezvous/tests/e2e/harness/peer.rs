//! A terminal peer, controlled as a program would control it.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{FakeTime, PATIENCE, Program, Signal, TWO_SECONDS, password, under};

/// A terminal peer before it starts.
pub(crate) struct Start {
    command: Command,
    options: Vec<String>,
    name: String,
    link: String,
    profile: PathBuf,
    logs: PathBuf,
    listen: String,
    password: Option<String>,
    plain: bool,
}

impl Start {
    pub(crate) fn new(
        command: Command,
        name: &str,
        link: &str,
        profile: PathBuf,
        logs: PathBuf,
    ) -> Self {
        let (name, link) = (name.to_owned(), link.to_owned());
        let password = Some(password(&name));
        let options = Vec::new();
        Self {
            command,
            options,
            name,
            link,
            profile,
            logs,
            listen: "127.0.0.1:0".to_owned(),
            password,
            plain: false,
        }
    }

    /// With the username as it is typed.
    pub(crate) fn typed(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Started by way of another program, to whose arguments it is appended.
    pub(crate) fn under(mut self, starter: &[&str]) -> Self {
        self.command = under(starter, &self.command);
        self
    }

    /// Without `--json`: each line is a string.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Without `--password-stdin`: only a stored ticket helps.
    pub(crate) fn no_password(mut self) -> Self {
        self.password = None;
        self
    }

    pub(crate) fn link(mut self, link: &str) -> Self {
        link.clone_into(&mut self.link);
        self
    }

    pub(crate) fn profile(mut self, profile: &Path) -> Self {
        profile.clone_into(&mut self.profile);
        self
    }

    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Under another clock.
    pub(crate) fn by(mut self, clock: &FakeTime) -> Self {
        clock.run_by(&mut self.command);
        self
    }

    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(self) -> Peer {
        self.spawn_by(Program::spawn)
    }

    /// The same with a standard error provided by the test.
    pub(crate) fn logging_to(self, stderr: Stdio) -> Peer {
        self.spawn_by(|name, command, logs| {
            let log = logs.join("none");
            std::fs::write(&log, "").unwrap();
            Program::spawn_logging_to(name, command, log, stderr)
        })
    }

    fn spawn_by(self, spawn: impl FnOnce(&str, Command, &Path) -> Program) -> Peer {
        let mut command = self.command;
        command.args(["chat", "--join", &self.link, "--username", &self.name]);
        if !self.plain {
            command.arg("--json");
        }
        command.args(["--listen", &self.listen, "--data-dir"]).arg(&self.profile);
        command.args(&self.options);
        if self.password.is_some() {
            command.arg("--password-stdin");
        }
        let mut program = spawn(&self.name, command, &self.logs);
        if self.plain {
            program = program.plain();
        }
        if let Some(password) = self.password {
            program.write(format!("{password}\n").as_bytes());
        }
        Peer { program, ready: Value::Null, marks: 0 }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn ready(self) -> Peer {
        let mut peer = self.spawn();
        peer.become_ready();
        peer
    }

    /// Starts it and waits for its end, which must be a refusal. Returns that line.
    pub(crate) fn refused(self) -> Value {
        self.spawn().refused(PATIENCE)
    }
}

/// A running terminal peer: a [`Program`] that also takes commands.
pub(crate) struct Peer {
    program: Program,
    /// The `ready` line.
    pub(crate) ready: Value,
    marks: u64,
}

impl Deref for Peer {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

impl Peer {
    /// Waits until it is ready.
    pub(crate) fn become_ready(&mut self) {
        self.ready = self.expect("ready", PATIENCE, |line| line["event"] == "ready");
    }

    /// Its PeerId.
    pub(crate) fn id(&self) -> &str {
        self.ready["peer"].as_str().unwrap()
    }

    /// Sends a command and takes the line, `answer` or `error`, that repeats its mark.
    pub(crate) fn ask(&mut self, mut command: Value) -> Value {
        self.marks += 1;
        let mark = json!(self.marks);
        command["ref"] = mark.clone();
        self.write(format!("{command}\n").as_bytes());
        self.expect(&format!("the answer to {command}"), PATIENCE, |line| line["ref"] == mark)
    }

    /// Sends a text to the lobby and returns its id.
    pub(crate) fn send(&mut self, text: &str) -> String {
        let answer = self.ask(json!({"cmd": "send", "text": text}));
        assert_eq!(answer["event"], "answer", "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Takes the message with this id.
    pub(crate) fn expect_message(&mut self, id: &str, within: Duration) -> Value {
        let wanted = |line: &Value| line["event"] == "message" && line["id"] == id;
        self.expect(&format!("message {id}"), within, wanted)
    }

    /// Takes a change of somebody's presence.
    pub(crate) fn expect_presence(&mut self, peer: &str, reason: &str, within: Duration) -> Value {
        let wanted = |line: &Value| {
            line["event"] == "presence" && line["peer"] == peer && line["reason"] == reason
        };
        self.expect(&format!("that {peer} has {reason}"), within, wanted)
    }

    /// Takes a line that says whether the login node is online.
    pub(crate) fn expect_rendezvous(&mut self, state: &str, within: Duration) -> Value {
        let wanted = |line: &Value| line["event"] == "link" && line["rendezvous"] == state;
        self.expect(&format!("that the login node is {state}"), within, wanted)
    }

    /// The texts of the newest page of history, oldest first.
    pub(crate) fn history(&mut self) -> Vec<String> {
        let page = self.ask(json!({"cmd": "history", "limit": 500}));
        texts(&page)
    }

    /// Waits for the end of a peer that is refused: one line that says why, and exit code 1.
    pub(crate) fn refused(&mut self, within: Duration) -> Value {
        let refused = self.expect("refused", within, |line| line["event"] == "refused");
        assert_eq!(self.end(TWO_SECONDS).code(), Some(1));
        let reason = refused["reason"].as_str().unwrap();
        assert!(reason.ends_with('.') && reason.contains(' '), "a sentence: {reason:?}");
        refused
    }

    /// Quits it as its user would; it must exit within two seconds.
    pub(crate) fn quit(mut self) {
        assert_eq!(self.ask(json!({"cmd": "quit"}))["event"], "answer");
        assert_eq!(self.end(TWO_SECONDS).code(), Some(0));
    }

    /// Sends a signal; it must exit within two seconds.
    pub(crate) fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.end(TWO_SECONDS)
    }
}

/// The texts of a page of history.
pub(crate) fn texts(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// Waits until every peer sees every other.
pub(crate) fn together(peers: &mut [&mut Peer]) {
    let ids: Vec<String> = peers.iter().map(|peer| peer.id().to_owned()).collect();
    for peer in peers {
        let me = peer.id().to_owned();
        for id in ids.iter().filter(|id| **id != me) {
            let wanted = |line: &Value| line["event"] == "presence" && line["peer"] == **id;
            peer.expect(&format!("to see {id}"), PATIENCE, wanted);
        }
    }
}

/// Sends a line each way.
pub(crate) fn chat(one: &mut Peer, other: &mut Peer, within: Duration) {
    let id = one.send("Can you hear me?");
    other.expect_message(&id, within);
    let id = other.send("Yes, and you?");
    one.expect_message(&id, within);
}

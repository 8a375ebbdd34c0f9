//! Real programs for the window to meet: a login node with a realm of its own, and terminal peers.
//!
//! Tests that start processes run one at a time on this machine: each realm holds a lock while it lives.
//! Nothing here sleeps: a test waits for a line that a program prints, with a deadline.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use lanyard_node::clock::Clock;
use serde_json::{Value, json};

/// The usual deadline: longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How many lines a test may be behind. A program that prints more waits for the test.
const LINES: usize = 65_536;
/// How many lines of each log a failing test shows.
const LOG_TAIL: usize = 25;
/// Variables that cargo sets for a test.
const OF_THIS_PACKAGE: [&str; 4] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PRIMARY_PACKAGE", "CARGO_BIN_EXE_"];

/// A served realm with cheap Argon2.
pub(crate) struct Realm {
    serving: Program,
    /// The join link.
    pub(crate) link: String,
    dir: tempfile::TempDir,
    _alone: File,
}

impl Realm {
    /// A fresh realm that is served on 127.0.0.1, with these accounts.
    pub(crate) fn with(names: &[&str]) -> Self {
        let alone = alone();
        build();
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("rendezvous");
        std::fs::create_dir(&data_dir).unwrap();
        let config = "[argon2]\nmemory_kib = 8192\npasses = 1\n";
        std::fs::write(data_dir.join("rendezvous.toml"), config).unwrap();
        let mut command = rendezvous(&data_dir);
        command.args(["serve", "--json", "--listen", "127.0.0.1:0"]);
        let mut serving = Program::spawn("rendezvous", command, dir.path());
        let listening = serving.expect("that it listens", |line| line["event"] == "listening");
        for name in names {
            let mut command = rendezvous(&data_dir);
            command.args(["user", "add", name, "--json", "--password-stdin"]);
            let mut adding = Program::spawn(&format!("user-add-{name}"), command, dir.path());
            adding.write(&password(name));
            adding.expect("that the account is made", |line| line["done"] == true);
        }
        let link = listening["link"].as_str().unwrap().to_owned();
        Self { serving, link, dir, _alone: alone }
    }

    /// Runs an operator's command while the login node serves.
    pub(crate) fn operate(&self, act: &[&str]) {
        let mut command = rendezvous(&self.dir.path().join("rendezvous"));
        command.args(act).arg("--json");
        let mut acting = Program::spawn(&act.join("-"), command, self.dir.path());
        acting.expect("that it is done", |line| line["done"] == true);
    }

    /// The profile folder of an account.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.dir.path().join("profiles").join(name)
    }

    /// Starts a terminal peer with the right password and waits until it is ready.
    pub(crate) fn join(&self, name: &str) -> Program {
        let mut command = Command::new(beside_us("lanyard-node"));
        command.args(["chat", "--json", "--join", &self.link, "--username", name]);
        command.args(["--password-stdin", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(self.profile(name));
        let mut peer = Program::spawn(name, command, self.dir.path());
        peer.write(&password(name));
        peer.expect("ready", |line| line["event"] == "ready");
        peer
    }

    /// Kills the login node.
    pub(crate) fn crash(&mut self) {
        self.serving.kill();
    }
}

/// The password of an account.
pub(crate) fn password(name: &str) -> String {
    format!("{name}: correct horse")
}

/// A running program. Killed when dropped; if the test is failing, the end of its log is printed.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// Lines that no expectation has taken.
    pending: VecDeque<Value>,
    log: PathBuf,
    clock: Clock,
}

impl Program {
    /// Starts it with piped input and output; its standard error goes to a file in `logs`.
    fn spawn(name: &str, mut command: Command, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        command.env_remove("RUST_LOG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take().unwrap();
        let (line, lines) = sync_channel(LINES);
        let read = move || {
            for text in stdout.lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name(format!("stdout of {name}")).spawn(read).unwrap();
        let (name, pending, clock) = (name.to_owned(), VecDeque::new(), Clock::new());
        Self { name, child, stdin, lines, pending, log, clock }
    }

    /// Takes the first line that fits and has not been taken yet, and waits for it if necessary.
    pub(crate) fn expect(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(PATIENCE, fits).unwrap_or_else(|why| {
            panic!("{}: expected {what} ({why}); not taken yet: {:#?}", self.name, self.pending)
        })
    }

    /// The same with a deadline, for a line that may not come.
    pub(crate) fn wait_for(
        &mut self,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, RecvTimeoutError> {
        let deadline = self.clock.now().mono + within;
        let mut looked_at = 0;
        loop {
            let found = self.pending.iter().skip(looked_at).position(&fits);
            if let Some(line) = found.and_then(|at| self.pending.remove(looked_at + at)) {
                return Ok(line);
            }
            looked_at = self.pending.len();
            let left = deadline.saturating_sub(self.clock.now().mono);
            let line = self.lines.recv_timeout(left)?;
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        self.pending.push_back(serde_json::from_str(line).unwrap());
    }

    /// Sends a text to the lobby.
    pub(crate) fn say(&mut self, text: &str) {
        self.write(&json!({"cmd": "send", "text": text}).to_string());
    }

    /// Gives a command.
    pub(crate) fn command(&mut self, command: &Value) {
        self.write(&command.to_string());
    }

    /// Writes a line to its standard input; a program that is gone does not read it.
    fn write(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).ok();
    }

    fn kill(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.split_at(lines.len().saturating_sub(LOG_TAIL)).1;
            eprintln!("--- end of the log of {}:\n{}", self.name, tail.join("\n"));
        }
    }
}

/// Waits until no other test on this machine has programs running.
pub(crate) fn alone() -> File {
    let path = std::env::temp_dir().join("lanyard-process-tests.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    lock.lock().unwrap();
    lock
}

fn rendezvous(data_dir: &Path) -> Command {
    let mut command = Command::new(beside_us("lanyard-rendezvous"));
    command.arg("--data-dir").arg(data_dir);
    command
}

/// A program beside our own.
fn beside_us(program: &str) -> PathBuf {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    Path::new(env!("CARGO_BIN_EXE_lanyard")).with_file_name(name)
}

/// Builds the other programs once: cargo gives us only those of our own package.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        build_one("lanyard-node-cli", "lanyard-node");
        build_one("lanyard-rendezvous", "lanyard-rendezvous");
    });
}

/// What cargo says of this package to its test must not reach the build of another: build scripts run again.
pub(crate) fn forget_this_package(command: &mut Command) {
    for (name, _value) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_THIS_PACKAGE.iter().any(|p| name.starts_with(p))) {
            command.env_remove(name);
        }
    }
}

fn build_one(package: &str, name: &str) {
    let program = beside_us(name);
    let profile_dir = program.parent().unwrap();
    let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(env!("CARGO"));
    forget_this_package(&mut cargo);
    let status = cargo
        .args(["build", "--quiet", "-p", package, "--bin", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(profile_dir.parent().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "{name} does not build");
}

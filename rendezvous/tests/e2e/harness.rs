//! A realm for each test, and the real programs on it.
//!
//! Tests that start processes run one at a time on this machine: each realm holds a lock while it exists.
//! Nothing here sleeps: a test waits for a line that a program prints, with a deadline.

pub(crate) mod archive;
mod faketime;
mod lan;
mod peer;
mod program;
pub(crate) mod pty;
pub(crate) mod traffic;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::Value;

pub(crate) use faketime::FakeTime;
pub(crate) use lan::{Lan, skip};
pub(crate) use peer::{Peer, Start, chat, together};
pub(crate) use program::{Program, Signal};

/// The deadline for whatever has none of its own: longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How soon programs end after SIGTERM, SIGINT or `quit`, and rules reach everybody.
pub(crate) const TWO_SECONDS: Duration = Duration::from_secs(2);
/// A limit on messages applies from the next full minute on.
pub(crate) const A_MINUTE: Duration = Duration::from_secs(60);

/// Whether to run the tests with their full figures (`scripts/soak.sh`).
pub(crate) fn is_soak() -> bool {
    std::env::var_os("LANYARD_SOAK").is_some_and(|value| value == "1")
}

/// A data folder with a low cost of Argon2, and `serve` on it.
pub(crate) struct Realm {
    serving: Option<Program>,
    listening: Value,
    log_filter: Option<&'static str>,
    dir: tempfile::TempDir,
    alone: Arc<File>,
}

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON lines of the answer.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{} {}", self.stdout, self.stderr);
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The JSON object of a refusal.
    pub(crate) fn refused(&self) -> Value {
        assert_eq!(self.code, Some(1), "{} {}", self.stdout, self.stderr);
        serde_json::from_str(self.stdout.trim()).unwrap()
    }

    /// The one JSON object of a successful answer.
    pub(crate) fn done(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        lines.remove(0)
    }
}

impl Realm {
    /// A new realm with these accounts, being served.
    pub(crate) fn with(names: &[&str]) -> Self {
        Self::served(None, names)
    }

    /// The same, with `RUST_LOG` set for all its programs.
    pub(crate) fn logging(log_filter: &'static str, names: &[&str]) -> Self {
        Self::served(Some(log_filter), names)
    }

    fn served(log_filter: Option<&'static str>, names: &[&str]) -> Self {
        let mut realm = Self::unserved(Arc::new(alone()), log_filter);
        realm.serve();
        names.iter().for_each(|name| realm.add(name));
        realm
    }

    /// A new realm without accounts, not served yet.
    pub(crate) fn fresh() -> Self {
        Self::unserved(Arc::new(alone()), None)
    }

    /// A second realm beside this one, not served yet.
    pub(crate) fn another(&self) -> Self {
        Self::unserved(Arc::clone(&self.alone), self.log_filter)
    }

    fn unserved(alone: Arc<File>, log_filter: Option<&'static str>) -> Self {
        build_node();
        let dir = tempfile::tempdir().unwrap();
        let realm = Self { serving: None, listening: Value::Null, log_filter, dir, alone };
        std::fs::create_dir(realm.data_dir()).unwrap();
        std::fs::create_dir(realm.logs()).unwrap();
        let config = "[argon2]\nmemory_kib = 8192\npasses = 1\n";
        std::fs::write(realm.data_dir().join("rendezvous.toml"), config).unwrap();
        realm
    }

    /// Starts `serve` on 127.0.0.1, on the ports of the last time, and waits until it listens.
    pub(crate) fn serve(&mut self) {
        self.serve_at("127.0.0.1:0");
    }

    /// Starts `serve` on this address and waits until it listens.
    pub(crate) fn serve_at(&mut self, address: &str) {
        let program = self.serve_program(&["--listen", address]);
        self.serving_by(program);
    }

    /// Starts `serve` by way of another program, to whose arguments it is appended.
    pub(crate) fn serve_under(&mut self, starter: &[&str]) {
        let mut command = under(starter, &self.command(&["serve", "--json"]));
        command.args(["--listen", "127.0.0.1:0"]);
        let program = Program::spawn("rendezvous", command, &self.logs());
        self.serving_by(program);
    }

    fn serving_by(&mut self, mut program: Program) {
        let listens = |line: &Value| line["event"] == "listening";
        self.listening = program.expect("that it listens", PATIENCE, listens);
        self.serving = Some(program);
    }

    /// Starts `serve` on 127.0.0.1 under another clock.
    pub(crate) fn serve_by(&mut self, clock: &FakeTime) {
        let mut command = self.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
        clock.run_by(&mut command);
        let mut program = Program::spawn("rendezvous", command, &self.logs());
        let listens = |line: &Value| line["event"] == "listening";
        self.listening = program.expect("that it listens", PATIENCE, listens);
        self.serving = Some(program);
    }

    /// Starts `serve` on 127.0.0.1, with a standard error provided by the test.
    pub(crate) fn serve_logging_to(&mut self, stderr: Stdio) {
        let command = self.serve_command(&["--listen", "127.0.0.1:0"]);
        let log = self.logs().join("none");
        std::fs::write(&log, "").unwrap();
        let mut program = Program::spawn_logging_to("rendezvous", command, log, stderr);
        let listens = |line: &Value| line["event"] == "listening";
        self.listening = program.expect("that it listens", PATIENCE, listens);
        self.serving = Some(program);
    }

    /// Runs a command with `--json` under another clock.
    pub(crate) fn run_by(&self, clock: &FakeTime, args: &[&str]) -> Said {
        let mut command = self.command(args);
        clock.run_by(&mut command);
        Said::of(command.arg("--json").stdin(Stdio::null()).output().unwrap())
    }

    /// The same for a command that reads a password.
    pub(crate) fn with_password_by(&self, clock: &FakeTime, args: &[&str], password: &str) -> Said {
        let mut command = self.command(args);
        clock.run_by(&mut command);
        run_with_stdin(command, format!("{password}\n").as_bytes())
    }

    /// Adds an account under another clock.
    pub(crate) fn add_by(&self, clock: &FakeTime, name: &str) {
        self.with_password_by(clock, &["user", "add", name], &password(name)).done();
    }

    /// Starts `serve` with these options and waits for nothing.
    pub(crate) fn serve_program(&self, options: &[&str]) -> Program {
        Program::spawn("rendezvous", self.serve_command(options), &self.logs())
    }

    /// `serve` with these options, before it starts.
    pub(crate) fn serve_command(&self, options: &[&str]) -> Command {
        let mut command = self.command(&["serve", "--json"]);
        command.args(options);
        command
    }

    /// Kills `serve` with SIGKILL.
    pub(crate) fn crash(&mut self) {
        self.serving.take().unwrap().kill();
    }

    /// Sends a signal to `serve`.
    pub(crate) fn signal(&self, signal: Signal) {
        self.serving.as_ref().unwrap().signal(signal);
    }

    /// Sends a signal to `serve`; it must end within two seconds.
    pub(crate) fn stop(&mut self, signal: Signal) -> ExitStatus {
        let mut serving = self.serving.take().unwrap();
        serving.signal(signal);
        serving.end(TWO_SECONDS)
    }

    /// The peak memory of `serve` since its start, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that `serve` uses now, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, key: &str) -> u64 {
        let pid = self.serving.as_ref().unwrap().pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// What `serve` has logged.
    pub(crate) fn log(&self) -> String {
        self.serving.as_ref().unwrap().log()
    }

    /// What `serve` printed when it listened.
    pub(crate) fn listening(&self) -> &Value {
        &self.listening
    }

    /// The join link.
    pub(crate) fn link(&self) -> &str {
        self.listening["link"].as_str().unwrap()
    }

    /// Where the login server listens, as IP:PORT.
    pub(crate) fn login_server(&self) -> String {
        let rest = self.link().strip_prefix("lanyard://").unwrap();
        rest.split_once('/').unwrap().0.to_owned()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("rendezvous")
    }

    /// The profile folder of an account.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.dir.path().join("profiles").join(name)
    }

    /// The folder with the standard error of every program that ran here.
    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    /// Adds an account with the password that [`password`] returns.
    pub(crate) fn add(&self, name: &str) {
        self.with_password(&["user", "add", name], &password(name)).done();
    }

    /// Runs a command with `--json`.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).arg("--json").stdin(Stdio::null()).output().unwrap())
    }

    /// Runs a command with `--json` and a password on standard input.
    pub(crate) fn with_password(&self, args: &[&str], password: &str) -> Said {
        self.with_stdin(args, format!("{password}\n").as_bytes())
    }

    /// Runs a command with `--json --password-stdin` and these bytes on standard input.
    pub(crate) fn with_stdin(&self, args: &[&str], stdin: &[u8]) -> Said {
        run_with_stdin(self.command(args), stdin)
    }

    /// The number of the policy in force.
    pub(crate) fn policy(&self) -> Value {
        self.run(&["policy", "show"]).done()["policy"].take()
    }

    /// The login node's program with these arguments, before it runs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lanyard-rendezvous"));
        command.args(args).arg("--data-dir").arg(self.data_dir());
        self.set_log_filter(&mut command);
        command
    }

    fn set_log_filter(&self, command: &mut Command) {
        match self.log_filter {
            Some(filter) => command.env("RUST_LOG", filter),
            None => command.env_remove("RUST_LOG"),
        };
    }

    /// `lanyard-node`, without arguments.
    pub(crate) fn node_command(&self) -> Command {
        let mut command = Command::new(node_program());
        self.set_log_filter(&mut command);
        command
    }

    /// A terminal peer for this account, with its own profile and the right password, before it starts.
    pub(crate) fn peer(&self, name: &str) -> Start {
        Start::new(self.node_command(), name, self.link(), self.profile(name), self.logs())
    }

    /// Starts a terminal peer and waits until it is ready.
    pub(crate) fn join(&self, name: &str) -> Peer {
        self.peer(name).ready()
    }
}

fn run_with_stdin(mut command: Command, stdin: &[u8]) -> Said {
    command.args(["--json", "--password-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that is refused before it reads closes the pipe.
    child.stdin.take().unwrap().write_all(stdin).ok();
    Said::of(child.wait_with_output().unwrap())
}

/// The password of an account.
pub(crate) fn password(name: &str) -> String {
    format!("{name}: correct horse")
}

/// The command, started by another program.
fn under(starter: &[&str], command: &Command) -> Command {
    let (program, args) = starter.split_first().unwrap();
    let mut started = Command::new(program);
    started.args(args).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    started
}

/// Waits until no other test on this machine has programs running.
fn alone() -> File {
    let path = std::env::temp_dir().join("lanyard-process-tests.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    lock.lock().unwrap();
    lock
}

/// `lanyard-node` beside our own program.
fn node_program() -> PathBuf {
    let name = format!("lanyard-node{}", std::env::consts::EXE_SUFFIX);
    Path::new(env!("CARGO_BIN_EXE_lanyard-rendezvous")).with_file_name(name)
}

/// Variables that cargo sets for a test.
const OF_THIS_PACKAGE: [&str; 4] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PRIMARY_PACKAGE", "CARGO_BIN_EXE_"];

/// Builds `lanyard-node` once: cargo gives us only the programs of our own package.
fn build_node() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let program = node_program();
        let profile_dir = program.parent().unwrap();
        let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(env!("CARGO"));
        // Cargo's variables for this package must not reach the build of another, or its build scripts run again.
        for (name, _value) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| OF_THIS_PACKAGE.iter().any(|p| name.starts_with(p)))
            {
                cargo.env_remove(name);
            }
        }
        let status = cargo
            .args(["build", "--quiet", "-p", "lanyard-node-cli", "--bin", "lanyard-node"])
            .args(["--profile", profile, "--target-dir"])
            .arg(profile_dir.parent().unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "lanyard-node does not build");
    });
}

//! A data folder for each test, the program on it, and waiting with a deadline.
//!
//! Tests that start processes run one at a time on this machine: each holds a lock while it runs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything should take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Whether to run the tests with their full figures (`scripts/soak.sh`).
pub(crate) fn is_soak() -> bool {
    std::env::var_os("LANYARD_SOAK").is_some_and(|value| value == "1")
}

/// A data folder with a low cost of Argon2.
pub(crate) struct Realm {
    dir: tempfile::TempDir,
    _alone: File,
}

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON lines of the answer.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one JSON object of the answer.
    pub(crate) fn object(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines.remove(0)
    }

    /// The code of a refusal; checks the exit code, too.
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        let object = self.object();
        assert!(!object["message"].as_str().unwrap().is_empty());
        object["error"].as_str().unwrap().to_owned()
    }
}

impl Realm {
    /// A folder with a configuration and nothing else.
    pub(crate) fn fresh() -> Self {
        let lock = File::create(std::env::temp_dir().join("lanyard-process-tests.lock")).unwrap();
        lock.lock().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("rendezvous.toml"),
            "[argon2]\nmemory_kib = 64\npasses = 1\n",
        )
        .unwrap();
        Self { dir, _alone: lock }
    }

    /// A folder on which `serve` has run once.
    pub(crate) fn initialised() -> Self {
        let realm = Self::fresh();
        realm.serve().stop();
        realm
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with these arguments, before it runs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lanyard-rendezvous"));
        command.args(args).arg("--data-dir").arg(self.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command until it exits.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// Runs a command with `--json` until it exits.
    pub(crate) fn json(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).arg("--json").output().unwrap())
    }

    /// Runs a command with `--json` and `--password-stdin`.
    pub(crate) fn with_password(&self, args: &[&str], stdin: &[u8]) -> Said {
        let mut command = self.command(args);
        command.args(["--json", "--password-stdin"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that is refused before it reads closes the pipe.
        child.stdin.take().unwrap().write_all(stdin).ok();
        Said::of(child.wait_with_output().unwrap())
    }

    /// Adds an account with the password "NAME-password".
    pub(crate) fn add(&self, name: &str) {
        let said =
            self.with_password(&["user", "add", name], format!("{name}-password\n").as_bytes());
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Starts `serve` on any ports and waits until it listens.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&["--listen", "127.0.0.1:0"])
    }

    pub(crate) fn serve_with(&self, options: &[&str]) -> Serving {
        let mut command = self.command(&["serve", "--json"]);
        let mut child = command.args(options).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, said) = sync_channel(16);
        std::thread::Builder::new()
            .spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        break;
                    }
                }
            })
            .unwrap();
        let mut serving = Serving { child, said, listening: Value::Null };
        match serving.said.recv_timeout(DEADLINE) {
            Ok(line) => serving.listening = serde_json::from_str(&line).unwrap(),
            Err(error) => panic!("serve did not listen ({error}): {}", serving.log()),
        }
        serving
    }
}

/// A running `serve`; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    said: Receiver<String>,
    /// The line that it printed when it listened.
    pub(crate) listening: Value,
}

impl Serving {
    pub(crate) fn link(&self) -> &str {
        self.listening["link"].as_str().unwrap()
    }

    pub(crate) fn login_server(&self) -> &str {
        self.listening["desk"][0].as_str().unwrap()
    }

    /// Reads the log until a line contains this text; `false` if none does in time. Lines are read only once.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> bool {
        let Some(stderr) = self.child.stderr.take() else { return false };
        let (lines, logged) = sync_channel(1_024);
        std::thread::Builder::new()
            .spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        break;
                    }
                }
            })
            .unwrap();
        std::iter::from_fn(|| logged.recv_timeout(DEADLINE).ok()).any(|line| line.contains(text))
    }

    /// Sends SIGTERM; returns the exit status and the log if it ends within two seconds.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let end = self.said.recv_timeout(Duration::from_secs(2));
        assert!(
            matches!(end, Err(std::sync::mpsc::RecvTimeoutError::Disconnected)),
            "it must close standard output within 2 s and say nothing more: {end:?}"
        );
        let status = self.child.wait().unwrap();
        let log = self.log();
        (status, log)
    }

    fn log(&mut self) -> String {
        self.child.kill().ok();
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut log).ok();
        }
        log
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

//! A running program: its output line by line, its input, and how it ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use lanyard_rendezvous::clock;
use serde_json::Value;

pub(crate) use rustix::process::Signal;

use super::PATIENCE;

/// How many lines a test may be behind. A program that prints more waits for the test.
const LINES: usize = 65_536;
/// How many lines of each log a failing test shows.
const LOG_TAIL: usize = 25;

/// A running program. It is killed when dropped; if the test is failing, the end of its log is printed.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that no expectation has taken.
    pending: VecDeque<Value>,
    /// Every line, in order.
    transcript: Vec<Value>,
    /// The same lines as they were printed.
    printed: Vec<String>,
    log: PathBuf,
    /// Whether its lines are for people; then each is a string.
    plain: bool,
}

impl Program {
    /// Starts it with piped input and output; its standard error goes to a file in `logs`.
    pub(crate) fn spawn(name: &str, command: Command, logs: &Path) -> Self {
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let log = logs.join(format!("{start:04}-{name}.log"));
        let stderr = File::create(&log).unwrap();
        Self::spawn_logging_to(name, command, log, stderr.into())
    }

    /// The same with a standard error provided by the test; `log` is what [`Self::log`] reads.
    pub(crate) fn spawn_logging_to(
        name: &str,
        mut command: Command,
        log: PathBuf,
        stderr: Stdio,
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = sync_channel(LINES);
        let read = move || {
            for text in stdout.lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name(format!("stdout of {name}")).spawn(read).unwrap();
        let (pending, transcript, printed) = (VecDeque::new(), Vec::new(), Vec::new());
        let stdin = child.stdin.take();
        let (name, plain) = (name.to_owned(), false);
        Self { name, child, stdin, lines, pending, transcript, printed, log, plain }
    }

    /// The same with lines for people instead of JSON.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Takes the first line that fits and was not taken before, waiting for it if necessary.
    pub(crate) fn expect(
        &mut self,
        what: &str,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_for(within, fits).unwrap_or_else(|why| {
            let (name, pending) = (&self.name, &self.pending);
            panic!("{name}: expected {what} within {within:?} ({why}); not taken yet: {pending:#?}")
        })
    }

    /// The same for a line that may not come.
    pub(crate) fn wait_for(
        &mut self,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, RecvTimeoutError> {
        let started = clock::monotonic();
        let mut looked_at = 0;
        loop {
            let found = self.pending.iter().skip(looked_at).position(&fits);
            if let Some(found) = found {
                return Ok(self.pending.remove(looked_at + found).unwrap());
            }
            looked_at = self.pending.len();
            let left = within.checked_sub(clock::monotonic().duration_since(started));
            let line = self.lines.recv_timeout(left.unwrap_or_default())?;
            self.take(line);
        }
    }

    fn take(&mut self, line: String) {
        let value: Value =
            if self.plain { line.clone().into() } else { serde_json::from_str(&line).unwrap() };
        self.transcript.push(value.clone());
        self.pending.push_back(value);
        self.printed.push(line);
    }

    /// Every line so far, in order, taken or not.
    pub(crate) fn transcript(&mut self) -> &[Value] {
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
        &self.transcript
    }

    /// The lines of the transcript as they were printed, without their ends.
    pub(crate) fn printed(&self) -> &[String] {
        &self.printed
    }

    /// Forgets the lines not taken yet, so that the next expectation is about new ones.
    pub(crate) fn forget(&mut self) {
        self.transcript();
        self.pending.clear();
    }

    /// Writes bytes to its standard input; a program that has ended does not read them.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            stdin.write_all(bytes).and_then(|()| stdin.flush()).ok();
        }
    }

    /// Ends its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Everything that it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.end(PATIENCE);
    }

    /// Waits until it has ended by itself and closed its standard output.
    pub(crate) fn end(&mut self, within: Duration) -> ExitStatus {
        let started = clock::monotonic();
        loop {
            let left = within.checked_sub(clock::monotonic().duration_since(started));
            match self.lines.recv_timeout(left.unwrap_or_default()) {
                Ok(line) => self.take(line),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} should have ended within {within:?}", self.name)
                }
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.split_at(lines.len().saturating_sub(LOG_TAIL)).1;
            eprintln!("--- end of the log of {}:\n{}", self.name, tail.join("\n"));
        }
    }
}

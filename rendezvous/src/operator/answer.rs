//! Answers in words or as one JSON object per line. Nothing else writes to standard output.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use lanyard_protocol::text::{escape, escape_lines};
use serde_json::{Value, json};

use super::backup::BackupError;
use crate::acts::ActError;
use crate::clock::timekeeping::ClockError;
use crate::store::StoreError;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command was refused and has changed nothing.
    Refused {
        /// A stable code for programs.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The command line makes no sense.
    Misuse(String),
    /// Something broke.
    Fault(anyhow::Error),
    /// The reader of the answer is gone, as `head` is when it has seen enough. The command itself has succeeded.
    Unread,
}

impl Failure {
    pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// A refusal if the error has a code, otherwise a fault.
    fn coded(code: Option<&'static str>, error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        match code {
            Some(code) => Self::refused(code, error.to_string()),
            None => Self::Fault(error),
        }
    }
}

impl From<ActError> for Failure {
    fn from(error: ActError) -> Self {
        Self::coded(error.code(), error)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::coded(error.code(), error)
    }
}

impl From<ClockError> for Failure {
    fn from(error: ClockError) -> Self {
        Self::coded(error.code(), error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Fault(error)
    }
}

/// Prints answers, either in words or as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    json: bool,
}

impl Answers {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one answer: the object for programs, or the line for people.
    pub(super) fn say(self, object: &Value, line: &str) -> Result<(), Failure> {
        self.say_lines(object, &[line])
    }

    /// Prints one answer: the object for programs, or the lines for people. The lines are escaped; otherwise a name or
    /// reason in them could forge another line.
    pub(super) fn say_lines(
        self,
        object: &Value,
        lines: &[impl AsRef<str>],
    ) -> Result<(), Failure> {
        let text = if self.json {
            object.to_string()
        } else {
            lines.iter().map(|line| escape(line.as_ref())).collect::<Vec<_>>().join("\n")
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::Unread,
            _ => Failure::Fault(anyhow::Error::from(error).context("cannot write the answer")),
        })
    }

    /// Prints the answer to an act, with the number of the policy that contains it if that is already signed.
    pub(super) fn done(
        self,
        policy: Option<u64>,
        words: &str,
        warning: Option<&str>,
    ) -> Result<(), Failure> {
        let mut object = json!({ "done": true, "policy": policy });
        if let (Some(warning), Some(map)) = (warning, object.as_object_mut()) {
            map.insert("warning".to_owned(), warning.into());
        }
        let effect = if policy.is_some() { "" } else { "; takes effect at the next start" };
        let done = format!("{words}{effect}");
        let warning = warning.map(|text| format!("warning: {text}"));
        self.say_lines(&object, &[Some(done), warning].into_iter().flatten().collect::<Vec<_>>())
    }

    /// Reports a failure and returns the exit code.
    pub(super) fn fail(self, failure: &Failure) -> ExitCode {
        let (code, message, exit) = match failure {
            Failure::Refused { code, message } => (*code, message.clone(), 1),
            Failure::Misuse(message) => ("misuse", message.clone(), 2),
            Failure::Fault(error) => ("failed", format!("{error:#}"), 1),
            Failure::Unread => return ExitCode::SUCCESS,
        };
        if self.json {
            // If standard output is closed, the exit code still reports the failure.
            self.say(&json!({ "error": code, "message": message }), "").ok();
        } else {
            // The same goes for standard error.
            writeln!(std::io::stderr(), "error: {}", escape_lines(&message, "  ")).ok();
        }
        ExitCode::from(exit)
    }
}

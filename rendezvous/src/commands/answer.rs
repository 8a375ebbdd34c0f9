//! Answers: the only writer to standard output, in words or as one JSON object per line.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use lanyard_protocol::text::{escape, escape_lines};
use lanyard_rendezvous::acts::ActError;
use lanyard_rendezvous::backup::BackupError;
use lanyard_rendezvous::rules::RuleError;
use lanyard_rendezvous::store::StoreError;
use lanyard_rendezvous::timekeeping::ClockError;
use serde_json::{Value, json};

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused, with a stable code; nothing has changed.
    Refused {
        /// The code.
        code: &'static str,
        /// A sentence.
        message: String,
    },
    /// The command was not put together right.
    Misuse(String),
    /// Something broke.
    Fault(anyhow::Error),
    /// Nobody reads the answer any more, as when `head` has seen enough: what was asked is done.
    Unread,
}

impl Failure {
    /// A refusal.
    pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }
}

impl From<ActError> for Failure {
    fn from(error: ActError) -> Self {
        match error.code() {
            Some(code) => Self::refused(code, error.to_string()),
            None => Self::Fault(error.into()),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error.code() {
            Some(code) => Self::refused(code, error.to_string()),
            None => Self::Fault(error.into()),
        }
    }
}

impl From<RuleError> for Failure {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Key { .. } | RuleError::Value { .. } => {
                Self::refused("bad-field", error.to_string())
            }
            RuleError::Store(_) => Self::Fault(error.into()),
        }
    }
}

impl From<ClockError> for Failure {
    fn from(error: ClockError) -> Self {
        match error.code() {
            Some(code) => Self::refused(code, error.to_string()),
            None => Self::Fault(error.into()),
        }
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

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    json: bool,
}

impl Answers {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One answer: the object, or the line that a person reads.
    pub(crate) fn say(self, object: &Value, line: &str) -> Result<(), Failure> {
        self.say_lines(object, &[line])
    }

    /// One answer: the object, or the lines that a person reads. Names and reasons in them come from people, so
    /// only the lines that stand here begin a line.
    pub(crate) fn say_lines(
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

    /// The answer of an act: the policy that it stands in, if that is signed yet.
    pub(crate) fn done(
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

    /// Says what went wrong and gives the exit code.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        let (code, message, exit) = match failure {
            Failure::Refused { code, message } => (*code, message.clone(), 1),
            Failure::Misuse(message) => ("misuse", message.clone(), 2),
            Failure::Fault(error) => ("failed", format!("{error:#}"), 1),
            Failure::Unread => return ExitCode::SUCCESS,
        };
        if self.json {
            // If standard output is gone, the exit code still says it.
            self.say(&json!({ "error": code, "message": message }), "").ok();
        } else {
            // The same for standard error.
            writeln!(std::io::stderr(), "error: {}", escape_lines(&message, "  ")).ok();
        }
        ExitCode::from(exit)
    }
}

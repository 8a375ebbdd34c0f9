//! The only place that writes to stdout, in one of two forms. A reader that is gone ends the session.

#![expect(clippy::print_stderr, reason = "misuse of the command line is told on stderr")]

use std::io::{self, Write as _};

use lanyard_protocol::engine::OrderRefused;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::login::DeviceInfo;
use serde_json::Value;

use super::command::BadCommand;
use super::{json, plain};
use crate::desk::DeskError;
use crate::event::{NodeEvent, Refusal, Status};
use crate::join::Joined;
use crate::node::{History, ModerateError, SendError, Sent};

/// An answer to a command.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    Sent(Sent),
    History(History),
    Roster(&'a Status),
    Status(&'a Status),
    Ticket(&'a [u8]),
    /// The id of an order.
    Ordered(MessageId),
    Devices(&'a [DeviceInfo]),
    /// Done, and there is nothing to say.
    Done,
    Help,
    Quit,
}

/// Stdout in one of two forms.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    broken: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, broken: false }
    }

    /// Whether input and output are JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether the reader of stdout is gone.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The command line was wrong.
    pub(super) fn misuse(&self, reason: &str) {
        eprintln!("error: {reason}");
    }

    pub(super) fn refused(&mut self, refusal: &Refusal) {
        if self.json {
            self.line(&json::refused(refusal).to_string());
        } else {
            eprintln!("{}", plain::escape(&refusal.reason));
        }
    }

    pub(super) fn ready(&mut self, joined: &Joined, status: &Status) {
        if self.json {
            self.line(&json::ready(joined.offline, status).to_string());
        } else {
            self.line(&plain::ready(joined.offline, status));
        }
    }

    pub(super) fn link(&mut self, status: &Status) {
        if self.json {
            self.line(&json::link(status).to_string());
        } else {
            self.line(&plain::link(status));
        }
    }

    pub(super) fn notice(&mut self, code: &str, text: &str) {
        if self.json {
            self.line(&json::notice(code, text).to_string());
        } else {
            self.line(&format!("* {}", plain::escape(text)));
        }
    }

    pub(super) fn event(&mut self, event: &NodeEvent) {
        if self.json {
            if let Some(value) = json::event(event) {
                self.line(&value.to_string());
            }
        } else if let Some(line) = plain::event(event) {
            self.line(&line);
        }
    }

    pub(super) fn answer(&mut self, cmd: &str, mark: Option<Value>, answer: &Answer<'_>) {
        if self.json {
            self.line(&json::answer(cmd, mark, answer).to_string());
        } else if let Some(text) = plain::answer(answer) {
            self.line(&text);
        }
    }

    /// What the login node has answered: the devices, if they were asked for.
    pub(super) fn desk(
        &mut self,
        cmd: &str,
        answer: Result<Option<Vec<DeviceInfo>>, DeskError>,
        mark: Option<Value>,
    ) {
        match answer {
            Ok(Some(devices)) => self.answer(cmd, mark, &Answer::Devices(&devices)),
            Ok(None) => self.answer(cmd, mark, &Answer::Done),
            Err(error) => self.desk_error(&error, mark),
        }
    }

    pub(super) fn bad_command(&mut self, bad: &BadCommand, mark: Option<Value>) {
        self.error(bad.code, &bad.message, mark);
    }

    pub(super) fn send_error(&mut self, error: &SendError, mark: Option<Value>) {
        let code = match error {
            SendError::TooLong { .. } => "too-long",
            SendError::Empty => "bad-field",
            SendError::NoSuchRoom => "no-such-room",
            SendError::MayNotPost => "may-not-post",
            SendError::Muted { .. } => "muted",
            SendError::Banned => "banned",
            SendError::SlowDown { .. } => "slow-down",
            SendError::Expired => "expired",
            SendError::Store(_) | SendError::Closed(_) => "read-only",
        };
        let message = match error {
            SendError::Muted { until: Some(until) } => {
                format!("you are muted until {}", plain::utc(*until))
            }
            other => other.to_string(),
        };
        self.error(code, &message, mark);
    }

    pub(super) fn order_error(&mut self, error: &ModerateError, mark: Option<Value>) {
        let code = match error {
            ModerateError::Refused(refused) => match refused {
                OrderRefused::NotAModerator | OrderRefused::AboveOrders => "may-not-post",
                OrderRefused::Oneself | OrderRefused::TooLong => "bad-field",
                OrderRefused::Reason { .. } => "too-long",
                OrderRefused::Expired => "expired",
                OrderRefused::TooMany | OrderRefused::TooManyInADay => "slow-down",
                OrderRefused::NothingToLift => "not-found",
                OrderRefused::NotAMember => "banned",
            },
            ModerateError::Closed(_) => "read-only",
        };
        self.error(code, &error.to_string(), mark);
    }

    pub(super) fn desk_error(&mut self, error: &DeskError, mark: Option<Value>) {
        let code = match error {
            DeskError::Refused(refusal) => refusal.code.as_str(),
            DeskError::NoSuchDevice(_) => "not-found",
            DeskError::NoDesk | DeskError::Closed(_) => "unreachable",
        };
        self.error(code, &error.to_string(), mark);
    }

    pub(super) fn error(&mut self, code: &str, message: &str, mark: Option<Value>) {
        if self.json {
            self.line(&json::error(code, message, mark).to_string());
        } else {
            self.line(&format!("! {}", plain::escape(message)));
        }
    }

    fn line(&mut self, line: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
        self.broken |= written.and_then(|()| stdout.flush()).is_err();
    }
}

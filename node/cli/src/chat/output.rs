//! The only place that writes to stdout, in one of two forms. If the reader of stdout is gone, the session ends.

use std::io::{self, Write as _};
use std::sync::Arc;

use lanyard_node::{
    Joined, LoginServerError, ModerateError, NodeEvent, Refusal, SendError, Status,
};
use lanyard_program::terminal;
use lanyard_protocol::engine::{ModerationRefused, SendRefused};
use lanyard_protocol::login::DeviceInfo;
use lanyard_protocol::message::Draft;
use lanyard_protocol::text::escape;
use serde_json::Value;

use super::answer::Answer;
use super::command::BadCommand;
use super::json;
use super::plain::{self, Transcript};
use super::screen::Screen;
use super::unreadable::Unreadable;
use super::unsent::{Unsent, beginning};
use super::wrap::wrap;

/// Stdout in one of two forms.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) is_json: bool,
    /// Whether the reader of stdout is gone.
    pub(super) is_broken: bool,
    transcript: Transcript,
    /// The screen, which shows lines above the one being typed.
    pub(super) screen: Option<Arc<Screen>>,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, is_broken: false, transcript: Transcript::default(), screen: None }
    }

    /// Takes note of the current rooms.
    pub(super) fn rooms(&mut self, status: &Status) {
        self.transcript.names_rooms = status.rooms.len() > 1;
    }

    /// Reports that the command line is wrong.
    pub(super) fn misuse(&self, reason: &str) {
        writeln!(io::stderr(), "error: {}", escape(reason)).ok();
    }

    pub(super) fn refused(&mut self, refusal: &Refusal) {
        if self.is_json {
            self.line(&json::refused(refusal).to_string());
        } else if self.screen.is_some() {
            self.line(&format!("! {}", escape(&refusal.reason)));
        } else {
            writeln!(io::stderr(), "{}", escape(&refusal.reason)).ok();
        }
    }

    pub(super) fn ready(&mut self, joined: &Joined, status: &Status) {
        let offline = joined.offline;
        self.show(|| json::ready(offline, status), |now| plain::ready(offline, status, now));
    }

    pub(super) fn link(&mut self, status: &Status) {
        self.show(|| json::link(status), |now| plain::link(status, now));
    }

    pub(super) fn notice(&mut self, code: &str, text: &str) {
        self.show(|| json::notice(code, text), |_now| format!("* {}", escape(text)));
    }

    pub(super) fn event(&mut self, event: &NodeEvent) {
        if self.is_json {
            if let Some(value) = json::event(event) {
                self.line(&value.to_string());
            }
        } else if let Some(line) = plain::event(event, &mut self.transcript) {
            self.line(&line);
        }
    }

    pub(super) fn answer(&mut self, cmd: &str, mark: Option<Value>, answer: &Answer<'_>) {
        if self.is_json {
            self.line(&json::answer(cmd, mark, answer).to_string());
        } else if let Some(text) = plain::answer(answer, &mut self.transcript) {
            self.line(&text);
        }
    }

    /// Shows the login node's answer: the devices, if a command asked for them.
    pub(super) fn login_server(
        &mut self,
        cmd: &str,
        answer: Result<Option<Vec<DeviceInfo>>, LoginServerError>,
        mark: Option<Value>,
    ) {
        match answer {
            Ok(Some(devices)) => self.answer(cmd, mark, &Answer::Devices(&devices)),
            Ok(None) => self.answer(cmd, mark, &Answer::Done),
            Err(error) => {
                let code = match &error {
                    LoginServerError::Refused(refusal) => refusal.code.as_str(),
                    LoginServerError::NoSuchDevice(_) => "not-found",
                    LoginServerError::NoLoginServer | LoginServerError::Closed(_) => "unreachable",
                };
                self.error(code, &error.to_string(), mark);
            }
        }
    }

    pub(super) fn bad_command(&mut self, bad: &BadCommand, mark: Option<Value>) {
        self.error(bad.code, &bad.message, mark);
    }

    pub(super) fn send_error(&mut self, error: &SendError, mark: Option<Value>) {
        let code = match error {
            SendError::Closed(_) => "read-only",
            SendError::Refused(refused) => match refused {
                SendRefused::TooLong { .. } => "too-long",
                SendRefused::Empty => "bad-field",
                SendRefused::NoSuchRoom => "no-such-room",
                SendRefused::MayNotPost => "may-not-post",
                SendRefused::Muted { .. } => "muted",
                SendRefused::NotAMember => "banned",
                SendRefused::SlowDown { .. } => "slow-down",
                SendRefused::Expired => "expired",
                SendRefused::Store(_) => "read-only",
            },
        };
        self.error(code, &self.why_not_sent(error), mark);
    }

    /// Reports which message was refused, and why.
    pub(super) fn not_sent(&mut self, draft: &Draft, error: &SendError) {
        let (why, which) = (self.why_not_sent(error), escape(&beginning(&draft.body.text)));
        self.line(&format!("! Not sent: \"{which}\": {}", escape(&why)));
    }

    fn why_not_sent(&self, error: &SendError) -> String {
        match error {
            SendError::Refused(SendRefused::Muted { until: Some(until) }) => {
                format!("you are muted until {}", self.transcript.time.moment(*until))
            }
            other => other.to_string(),
        }
    }

    /// Reports that the refused message is kept.
    pub(super) fn kept(&mut self) {
        self.line("* It is kept: /retry sends it again, /unsent shows it, /forget drops it.");
    }

    /// Lists the messages that were refused.
    pub(super) fn unsent(&mut self, unsent: &Unsent) {
        if unsent.drafts().len() == 0 {
            self.line("* Nothing is unsent.");
        }
        for draft in unsent.drafts() {
            let (room, which) = (escape(&draft.room), escape(&beginning(&draft.body.text)));
            self.line(&format!("* #{room}: {which}"));
        }
    }

    /// Reports how many messages are unsent when the program ends.
    pub(super) fn left_unsent(&mut self, texts: usize) {
        match texts {
            0 => {}
            1 => self.line("! 1 message was not sent."),
            texts => self.line(&format!("! {texts} messages were not sent.")),
        }
    }

    /// Reports that the terminal has dropped the end of a line.
    pub(super) fn cut(&mut self, line: &str) {
        let message = format!(
            "the terminal hands over at most 4,095 bytes of a line and dropped the rest of this one; it was skipped: {:?}",
            beginning(line)
        );
        self.error("too-long", &message, None);
    }

    pub(super) fn no_such_room(&mut self, status: &Status) {
        let rooms: Vec<String> =
            status.rooms.iter().map(|room| format!("#{}", room.name)).collect();
        let message = format!("there is no room of that name; there are {}", rooms.join(", "));
        self.error("no-such-room", &message, None);
    }

    pub(super) fn moderation_error(&mut self, error: &ModerateError, mark: Option<Value>) {
        let code = match error {
            ModerateError::Refused(refused) => match refused {
                ModerationRefused::NotAModerator | ModerationRefused::AboveModeration => {
                    "may-not-post"
                }
                ModerationRefused::Oneself | ModerationRefused::TooLong => "bad-field",
                ModerationRefused::Reason { .. } => "too-long",
                ModerationRefused::Expired => "expired",
                ModerationRefused::TooMany | ModerationRefused::TooManyInADay => "slow-down",
                ModerationRefused::NothingToLift => "not-found",
                ModerationRefused::NotAMember => "banned",
            },
            ModerateError::Closed(_) => "read-only",
        };
        self.error(code, &error.to_string(), mark);
    }

    pub(super) fn error(&mut self, code: &str, message: &str, mark: Option<Value>) {
        self.show(|| json::error(code, message, mark), |_now| format!("! {}", escape(message)));
    }

    /// Reports that a line of stdin could not be read.
    pub(super) fn unreadable(&mut self, code: &str, what: &str, line: &Unreadable<'_>) {
        let beginning = line.beginning();
        let begins = beginning.as_ref().map(|text| format!("; it begins with: {text}"));
        let message = format!("line {} {what}{}", line.number, begins.unwrap_or_default());
        if !self.is_json {
            return self.error(code, &message, None);
        }
        let error = json::with(json::error(code, &message, line.mark()), "line", Some(line.number));
        self.line(&json::with(error, "begins", beginning).to_string());
    }

    /// Shows a line in one of the two forms.
    fn show(&mut self, json: impl FnOnce() -> Value, plain: impl FnOnce(&Transcript) -> String) {
        let line = if self.is_json { json().to_string() } else { plain(&self.transcript) };
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        let columns = if self.is_json { None } else { terminal::columns_of_stdout() };
        let line = columns.map_or_else(|| line.to_owned(), |columns| wrap(line, columns));
        if let Some(screen) = &self.screen {
            return screen.print(line);
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
        self.is_broken |= written.and_then(|()| stdout.flush()).is_err();
    }
}

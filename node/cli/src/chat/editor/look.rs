//! How the line being typed looks, and what happens to it: the helper of the line editor.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use lanyard_node::Status;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use tokio::sync::watch;

use super::LINES_UNASKED;
use crate::chat::completion::{self, Names};
use crate::chat::screen::Screen;

/// The helper of the line editor.
pub(super) struct Look {
    /// Whether the line is the answer to a question, and not a text to send.
    pub(super) is_question: bool,
    screen: Arc<Screen>,
    status: watch::Receiver<Arc<Status>>,
    /// Whether the line is being removed from the screen.
    is_leaving: Cell<bool>,
}

impl Look {
    pub(super) fn new(screen: Arc<Screen>, status: watch::Receiver<Arc<Status>>) -> Self {
        Self { is_question: false, screen, status, is_leaving: Cell::new(false) }
    }

    fn names(&self) -> Names {
        let status = self.status.borrow();
        Names {
            people: status.roster.values().map(|person| person.username.clone()).collect(),
            rooms: status.rooms.iter().map(|room| room.name.clone()).collect(),
        }
    }
}

/// How many lines a text has. A newline at the end, which a paste may bring, does not count.
pub(super) fn lines(text: &str) -> usize {
    text.trim_end_matches('\n').lines().count()
}

impl Helper for Look {}

impl Completer for Look {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        if self.is_question {
            return Ok((pos, Vec::new()));
        }
        let completion = completion::complete(line, pos, &self.names());
        if !completion.choices.is_empty() {
            self.screen.print(format!("* {}", completion.choices.join("  ")));
        }
        Ok((completion.start, completion.word.into_iter().collect()))
    }
}

impl Hinter for Look {
    type Hint = String;

    /// Gives no hint. The editor calls this whenever it has drawn the line, so the line is on the screen now.
    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.is_leaving.set(false);
        self.screen.is_reading();
        None
    }
}

impl Validator for Look {
    /// Accepts every line. The editor calls this when the line is about to end, and shows the message after it: an
    /// empty row, which leaves the cursor where the line began.
    fn validate(&self, line: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        self.screen.stop_reading();
        let goes = self.is_question || lines(line.input()) <= LINES_UNASKED;
        self.is_leaving.set(goes);
        Ok(ValidationResult::Valid(goes.then(|| "\n".to_owned())))
    }
}

impl Highlighter for Look {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(if self.is_leaving.get() { "" } else { prompt })
    }

    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.is_leaving.get() {
            return Cow::Borrowed("");
        }
        // A paste may contain anything, and a terminal obeys control characters. They count as having no width.
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if line.contains(acts) { Cow::Owned(line.replace(acts, "")) } else { Cow::Borrowed(line) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Borrowed(if self.is_leaving.get() { "" } else { hint })
    }
}

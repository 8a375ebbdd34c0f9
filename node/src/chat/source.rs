//! Where commands come from: a line editor for somebody at a terminal, else the lines of standard input.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::watch;

use super::editor::{Keyboard, Terminal};
use super::input::{BadLine, Lines};
use super::output::Output;
use crate::event::Status;

/// A terminal that edits lines itself hands over no more of one, and drops the rest without a word (termios(3)).
const TERMINAL_LINE_BYTES_MAX: usize = 4_095;

/// What commands are to come from. Nothing reads the terminal yet.
#[derive(Debug)]
pub(super) enum Input {
    Lines(Lines),
    Terminal(Terminal),
}

/// What commands come from.
#[derive(Debug)]
pub(super) enum Source {
    Lines { lines: Lines, is_terminal: bool },
    Keyboard(Keyboard),
}

/// What has come.
#[derive(Debug)]
pub(super) enum Entry {
    /// A line; from a keyboard, a text that may have several.
    Line(String),
    /// A line that was not taken.
    Bad(BadLine),
    /// A line whose end the terminal may have dropped.
    Cut(String),
    /// Nothing more comes.
    End,
    /// Somebody at the keyboard wants to leave.
    Quit,
}

impl Source {
    /// Starts reading.
    pub(super) fn open(
        input: Input,
        status: watch::Receiver<Arc<Status>>,
        output: &mut Output,
    ) -> Self {
        let terminal = match input {
            Input::Lines(lines) => return Self::of(lines),
            Input::Terminal(terminal) => terminal,
        };
        match Keyboard::start(terminal, status) {
            Ok(keyboard) => {
                output.show_on(keyboard.screen());
                Self::Keyboard(keyboard)
            }
            Err(error) => {
                tracing::warn!(%error, "The terminal has no line editor");
                Self::of(Lines::of_stdin())
            }
        }
    }

    fn of(lines: Lines) -> Self {
        Self::Lines { lines, is_terminal: std::io::stdin().is_terminal() }
    }

    /// Asks for the next text behind this prompt, where there is one to ask.
    pub(super) fn ask(&self, prompt: impl FnOnce() -> String) {
        if let Self::Keyboard(keyboard) = self {
            keyboard.ask(prompt());
        }
    }

    /// The next of what comes.
    pub(super) async fn next(&mut self) -> Entry {
        match self {
            Self::Keyboard(keyboard) => keyboard.next().await.map_or(Entry::Quit, Entry::Line),
            Self::Lines { lines, is_terminal } => match lines.next().await {
                None => Entry::End,
                Some(Err(bad)) => Entry::Bad(bad),
                Some(Ok(line)) if *is_terminal && line.len() >= TERMINAL_LINE_BYTES_MAX => {
                    Entry::Cut(line)
                }
                Some(Ok(line)) => Entry::Line(line),
            },
        }
    }
}

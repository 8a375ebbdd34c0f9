//! Where commands come from: a line editor at a terminal, otherwise the lines of standard input.

use std::io::IsTerminal as _;
use std::sync::Arc;

use lanyard_node::Status;
use lanyard_program::stdin::BadLine;
use tokio::sync::watch;

use super::editor::{Keyboard, Terminal};
use super::input::{Line, Lines, lines_of_stdin};
use super::output::Output;

/// A terminal that edits lines itself delivers at most this much of one, and silently drops the rest (termios(3)).
const TERMINAL_LINE_BYTES_MAX: usize = 4_095;

/// A source of commands that has not started to read.
#[derive(Debug)]
pub(super) enum Input {
    Lines(Lines),
    Terminal(Terminal),
}

/// A source of commands.
#[derive(Debug)]
pub(super) enum Source {
    Lines { lines: Lines, is_terminal: bool },
    Keyboard(Keyboard),
}

/// What was read from the source.
#[derive(Debug)]
pub(super) enum Entry {
    /// A line of stdin with its number, from 1; or a typed text of one or more lines, with the number 0.
    Line { number: u64, text: String },
    /// A line that cannot be read.
    Bad { number: u64, bad: BadLine },
    /// A line whose end the terminal may have dropped.
    Cut(String),
    /// The input has ended.
    End,
    /// The user at the keyboard wants to leave.
    Quit,
}

impl Source {
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
                output.screen = Some(keyboard.screen());
                Self::Keyboard(keyboard)
            }
            Err(error) => {
                tracing::warn!(%error, "The terminal has no line editor");
                Self::of(lines_of_stdin())
            }
        }
    }

    fn of(lines: Lines) -> Self {
        Self::Lines { lines, is_terminal: std::io::stdin().is_terminal() }
    }

    /// Shows the prompt and asks for the next text, if there is a keyboard.
    pub(super) fn ask(&self, prompt: impl FnOnce() -> String) {
        if let Self::Keyboard(keyboard) = self {
            keyboard.ask(prompt());
        }
    }

    pub(super) async fn next(&mut self) -> Entry {
        match self {
            Self::Keyboard(keyboard) => match keyboard.next().await {
                Some(text) => Entry::Line { number: 0, text },
                None => Entry::Quit,
            },
            Self::Lines { lines, is_terminal } => match lines.recv().await {
                None => Entry::End,
                Some(Line { number, text: Err(bad) }) => Entry::Bad { number, bad },
                Some(Line { text: Ok(text), .. })
                    if *is_terminal && text.len() >= TERMINAL_LINE_BYTES_MAX =>
                {
                    Entry::Cut(text)
                }
                Some(Line { number, text: Ok(text) }) => Entry::Line { number, text },
            },
        }
    }
}

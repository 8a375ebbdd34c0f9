//! The line editor of a terminal: one thread reads, and another shows what arrives in the meantime.
//!
//! The editor is the only reader of the terminal. It reads one line, passes it on, and reads the next when the
//! conversation has handled it. A paste is one text, however many lines it has. A line that is sent disappears from the
//! screen, and comes back as a message.

mod keys;
mod look;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lanyard_node::Status;
use lanyard_program::logging;
use lanyard_program::terminal::{Modes, continuations};
use rustyline::config::{BellStyle, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Editor, ExternalPrinter as _};
use tokio::sync::{mpsc, watch};

use super::screen::Screen;
use look::Look;

/// A text with more lines than this is sent only after the user confirms it.
const LINES_UNASKED: usize = 5;
/// How many lines the arrow keys can bring back.
const HISTORY_LINES: usize = 200;
/// Keys within this time after Escape belong to it, in milliseconds.
const ESCAPE_MS: u16 = 100;

type LineEditor = Editor<Look, MemHistory>;

/// A terminal on which lines can be edited.
#[derive(Debug)]
pub(super) struct Terminal {
    modes: Arc<Modes>,
}

impl Terminal {
    /// The terminal on standard input and output, if it is one that can do more than print.
    pub(super) fn of_stdio() -> Option<Self> {
        let is_dumb =
            std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term == "cons25");
        if is_dumb || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        Some(Self { modes: Arc::new(Modes::of_stdin().ok()?) })
    }
}

/// The running editor. Dropping it restores the terminal.
#[derive(Debug)]
pub(super) struct Keyboard {
    typed: mpsc::Receiver<String>,
    prompts: SyncSender<String>,
    screen: Arc<Screen>,
    modes: Arc<Modes>,
}

impl Keyboard {
    /// Starts reading. [`Self::ask`] asks for the first line.
    ///
    /// # Errors
    /// If the system provides no terminal or no thread.
    pub(super) fn start(
        terminal: Terminal,
        status: watch::Receiver<Arc<Status>>,
    ) -> io::Result<Self> {
        let modes = terminal.modes;
        let screen = Arc::new(Screen::default());
        let (hand_over, typed) = mpsc::channel(1);
        let (prompts, asked) = sync_channel(1);
        let keyboard = Self { typed, prompts, screen: Arc::clone(&screen), modes };
        keyboard.modes.key_by_key()?;
        let logs = Arc::clone(&screen);
        logging::show_by(Some(Arc::new(move |text| logs.print(text.to_owned()))));
        let modes = Arc::clone(&keyboard.modes);
        let continued = continuations()?;
        let read = move || {
            let look = Look::new(Arc::clone(&screen), status);
            if let Err(error) = read_lines(look, &screen, &modes, &asked, &hand_over, continued) {
                tracing::debug!(%error, "The terminal cannot be read any more");
            }
        };
        std::thread::Builder::new().name("lanyard-keyboard".into()).spawn(read)?;
        Ok(keyboard)
    }

    /// The screen that shows incoming lines.
    pub(super) fn screen(&self) -> Arc<Screen> {
        Arc::clone(&self.screen)
    }

    /// Reads a line after this prompt.
    pub(super) fn ask(&self, prompt: String) {
        // An editor that is gone has closed the other channel too.
        self.prompts.try_send(prompt).ok();
    }

    /// The next text, or `None` when the user leaves.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.typed.recv().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        logging::show_by(None);
        let (not_shown, is_half_typed) = self.screen.end();
        self.modes.put_back_and_forget_input();
        let mut stdout = io::stdout().lock();
        let mut last = String::new();
        if is_half_typed {
            last.push('\n');
        }
        not_shown.into_iter().for_each(|line| last.push_str(&(line + "\n")));
        // A terminal that is gone shows nothing.
        stdout.write_all(last.as_bytes()).and_then(|()| stdout.flush()).ok();
    }
}

fn read_lines(
    look: Look,
    screen: &Arc<Screen>,
    modes: &Arc<Modes>,
    prompts: &Receiver<String>,
    typed: &mpsc::Sender<String>,
    continued: Receiver<()>,
) -> rustyline::Result<()> {
    let mut editor = LineEditor::with_history(config()?, MemHistory::new())?;
    editor.set_helper(Some(look));
    keys::bind(&mut editor, screen, modes, continued);
    print_above(&mut editor, Arc::clone(screen))?;
    while let Ok(prompt) = prompts.recv() {
        let text = match read_text(&mut editor, screen, &prompt) {
            Ok(Some(text)) => text,
            Ok(None) | Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error),
        };
        if typed.blocking_send(text).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn config() -> rustyline::Result<Config> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)?
        .completion_type(CompletionType::List)
        .keyseq_timeout(Some(ESCAPE_MS))
        .bell_style(BellStyle::None)
        // The look is not about colour: it removes lines from the screen, on every terminal.
        .color_mode(rustyline::ColorMode::Forced)
        // They are already on, all the time.
        .bracketed_paste(false);
    Ok(config.build())
}

fn print_above(editor: &mut LineEditor, screen: Arc<Screen>) -> rustyline::Result<()> {
    let mut printer = editor.create_external_printer()?;
    let print = move || {
        while let Some(lines) = screen.next_lines() {
            let shown = printer.print(lines);
            screen.printed();
            if shown.is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("lanyard-screen".into()).spawn(print)?;
    Ok(())
}

/// The next text to send, or `None` if the terminal was given back in the meantime.
fn read_text(
    editor: &mut LineEditor,
    screen: &Screen,
    prompt: &str,
) -> rustyline::Result<Option<String>> {
    let mut draft = String::new();
    while screen.start_reading() {
        let text = editor.readline_with_initial(prompt, (&draft, ""))?;
        editor.add_history_entry(text.trim_end_matches('\n'))?;
        let lines = look::lines(&text);
        if lines <= LINES_UNASKED || (screen.start_reading() && is_confirmed(editor, lines)?) {
            return Ok(Some(text));
        }
        draft = text;
    }
    Ok(None)
}

fn is_confirmed(editor: &mut LineEditor, lines: usize) -> rustyline::Result<bool> {
    let question = format!("Send {lines} lines as one message? [y/N] ");
    if let Some(look) = editor.helper_mut() {
        look.is_question = true;
    }
    let answer = editor.readline(&question);
    if let Some(look) = editor.helper_mut() {
        look.is_question = false;
    }
    Ok(matches!(answer?.trim(), "y" | "Y" | "yes" | "Yes"))
}

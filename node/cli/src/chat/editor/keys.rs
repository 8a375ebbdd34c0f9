//! Keys that end or interrupt the reading of a line. They release the screen first.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lanyard_program::terminal::Modes;
use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, KeyCode, KeyEvent, Modifiers,
    RepeatCount,
};

use super::LineEditor;
use crate::chat::screen::Screen;

/// How soon a program that is asked to stop does so.
const STOP_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn bind(
    editor: &mut LineEditor,
    screen: &Arc<Screen>,
    modes: &Arc<Modes>,
    continued: Receiver<()>,
) {
    let leave = |only_if_empty| Leave { screen: Arc::clone(screen), only_if_empty };
    let suspend = Suspend {
        screen: Arc::clone(screen),
        modes: Arc::clone(modes),
        continued: Mutex::new(continued),
    };
    editor.bind_sequence(KeyEvent::ctrl('c'), conditional(leave(false)));
    editor.bind_sequence(KeyEvent::ctrl('d'), conditional(leave(true)));
    editor.bind_sequence(KeyEvent::ctrl('z'), conditional(suspend));
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
}

fn conditional(handler: impl ConditionalEventHandler + 'static) -> EventHandler {
    EventHandler::Conditional(Box::new(handler))
}

/// Ctrl-C, and Ctrl-D on an empty line.
struct Leave {
    screen: Arc<Screen>,
    only_if_empty: bool,
}

impl ConditionalEventHandler for Leave {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, line: &EventContext<'_>) -> Option<Cmd> {
        if self.only_if_empty && !line.line().is_empty() {
            return None;
        }
        self.screen.stop_reading();
        Some(Cmd::Interrupt)
    }
}

/// Ctrl-Z.
struct Suspend {
    screen: Arc<Screen>,
    modes: Arc<Modes>,
    continued: Mutex<Receiver<()>>,
}

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.screen.stop_reading();
        let continued = self.continued.lock().unwrap_or_else(PoisonError::into_inner);
        // Left from an earlier stop, perhaps one that came from outside.
        continued.try_recv().ok();
        // Without a shell the program does not stop, so nothing reports that it continues.
        let wait = || {
            continued.recv_timeout(STOP_WITHIN).ok();
        };
        match self.modes.suspend(wait) {
            Ok(()) => Some(Cmd::Repaint),
            Err(_the_terminal_is_gone) => Some(Cmd::Interrupt),
        }
    }
}

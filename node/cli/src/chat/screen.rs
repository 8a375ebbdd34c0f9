//! The terminal's screen, shared by the line being typed and the lines that arrive in the meantime.
//!
//! Incoming lines wait here. A thread passes them to the line editor, which shows them above the half-typed line;
//! between two lines they keep waiting. So they never interrupt what is being typed, and printing never blocks.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many lines may wait while the editor takes none, as during a search of the history.
const LINES_MAX: usize = 1_000;
/// After this time, the other thread is assumed to be waiting as well.
const HANDOVER: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Screen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Whether the editor is being given lines.
    is_printing: bool,
    lines: VecDeque<String>,
    lost: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No line is being read.
    #[default]
    Between,
    /// The editor is about to read a line.
    Starting,
    /// The editor is reading a line, and can show others above it.
    Reading,
    /// The terminal is given back.
    Over,
}

impl Screen {
    /// Shows a text above the half-typed line, as soon as there is one.
    pub(super) fn print(&self, text: String) {
        let mut state = self.state();
        if state.phase == Phase::Over {
            drop(state);
            // A terminal that is gone shows nothing.
            writeln!(std::io::stdout(), "{text}").ok();
        } else if state.lines.len() >= LINES_MAX {
            state.lost = state.lost.saturating_add(1);
        } else {
            state.lines.push_back(text);
            self.changed.notify_all();
        }
    }

    /// For the editor: the next line is about to be read. Returns false if the terminal was given back.
    pub(super) fn start_reading(&self) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Over {
            return false;
        }
        state.phase = Phase::Starting;
        true
    }

    /// For the editor: the line is on the screen.
    pub(super) fn is_reading(&self) {
        let mut state = self.state();
        if state.phase != Phase::Over {
            state.phase = Phase::Reading;
            self.changed.notify_all();
        }
    }

    /// For the editor: the line is about to leave the screen. This never returns once the terminal was given back,
    /// since the editor would change its modes.
    pub(super) fn stop_reading(&self) {
        let mut state = self.state();
        while state.phase == Phase::Over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.phase = Phase::Between;
        // If it takes longer, the printer is already waiting for the next line.
        drop(self.wait_while(state, |state| state.is_printing));
    }

    /// For the printer: what to show next, or `None` at the end. Call [`Self::printed`] afterwards.
    pub(super) fn next_lines(&self) -> Option<String> {
        let is_waiting = |state: &mut State| match state.phase {
            Phase::Between | Phase::Starting => true,
            Phase::Reading => state.lines.is_empty(),
            Phase::Over => false,
        };
        let state = self.changed.wait_while(self.state(), is_waiting);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Over {
            return None;
        }
        state.is_printing = true;
        let lines = take_lines(&mut state);
        Some(lines.into_iter().map(|line| line + "\n").collect())
    }

    /// For the printer: the lines were shown.
    pub(super) fn printed(&self) {
        self.state().is_printing = false;
        self.changed.notify_all();
    }

    /// Ends reading and printing. Returns the lines that were not shown, and whether a half-typed line is on the
    /// screen.
    pub(super) fn end(&self) -> (Vec<String>, bool) {
        let state = self.wait_while(self.state(), |state| state.phase == Phase::Starting);
        let mut state = self.wait_while(state, |state| state.is_printing);
        let is_half_typed = state.phase == Phase::Reading;
        state.phase = Phase::Over;
        self.changed.notify_all();
        (take_lines(&mut state), is_half_typed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        is_so: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout_while(state, HANDOVER, |state| is_so(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn take_lines(state: &mut State) -> Vec<String> {
    let lost = std::mem::take(&mut state.lost);
    let told = (lost > 0).then(|| format!("* {lost} lines are not shown here; see /history."));
    state.lines.drain(..).chain(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_for_a_line_to_be_shown_above() {
        let screen = Screen::default();
        screen.print("one".into());
        screen.print("two".into());
        assert!(screen.start_reading());
        screen.is_reading();
        assert_eq!(screen.next_lines().as_deref(), Some("one\ntwo\n"));
        screen.printed();
        screen.print("three".into());
        screen.stop_reading();
        assert_eq!(screen.end(), (vec!["three".to_owned()], false));
        assert_eq!(screen.next_lines(), None);
        assert!(!screen.start_reading());
    }

    #[test]
    fn lost_lines_are_counted() {
        let screen = Screen::default();
        (0..LINES_MAX + 3).for_each(|line| screen.print(line.to_string()));
        let (lines, _) = screen.end();
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert!(lines[LINES_MAX].starts_with("* 3 lines"));
    }
}

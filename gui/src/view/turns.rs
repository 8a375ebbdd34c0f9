//! Keeps input in its order: no frame takes an event whose meaning depends on another event of the same frame.
//!
//! After a stall, the events of one frame may be the end of a line, Enter, and the next line. What a key does
//! depends on what is drawn and what has the focus, and so on every key before it. Therefore events that only
//! type or point share a frame, an event that acts has a frame of its own, and the rest waits for the next one.
//!
//! While an input method composes a word, the keys that act belong to it alone.

use std::collections::VecDeque;

use eframe::egui::{Context, Event, Id, ImeEvent, Key, Plugin, RawInput, Ui};

/// Hands out the events of the window, turn by turn.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: VecDeque<Event>,
    /// The field in which an input method is composing a word.
    composing: Option<Id>,
    /// Whether the next frame takes nothing.
    is_paused: bool,
}

impl Turns {
    /// Makes input reach the window in turns from now on.
    pub fn install(ctx: &Context) {
        ctx.add_plugin(Self::default());
    }

    /// Makes the next frame take nothing, because the focus is moving.
    pub fn pause(ctx: &Context) {
        ctx.with_plugin(|turns: &mut Self| turns.is_paused = true);
    }

    /// The events of the next frame. `typing`: a text field has the focus.
    fn next(&mut self, typing: bool) -> Vec<Event> {
        if std::mem::take(&mut self.is_paused) {
            return Vec::new();
        }
        let count = match self.waiting.front() {
            Some(first) if acts(first, typing) => {
                let letter = matches!(self.waiting.get(1), Some(Event::Text(_)));
                1 + usize::from(letter && yields_a_letter(first))
            }
            _ => {
                let turn = self.waiting.iter().position(|event| acts(event, typing));
                turn.unwrap_or(self.waiting.len())
            }
        };
        let events: Vec<_> = self.waiting.drain(..count).collect();
        // Tab on the last field reaches the first one only in the next frame.
        self.is_paused = events.iter().any(is_tab);
        events
    }

    /// Follows the input method, and takes away the keys that belong to it.
    fn leave_to_input_method(&mut self, events: &mut Vec<Event>, focused: Option<Id>) {
        if self.composing != focused {
            // The focus has moved elsewhere, and the word is given up.
            self.composing = None;
        }
        events.retain(|event| {
            match event {
                Event::Ime(ImeEvent::Preedit { text, .. }) => {
                    self.composing = focused.filter(|_| !text.is_empty());
                }
                Event::Ime(ImeEvent::Commit(_)) | Event::PointerButton { .. } => {
                    self.composing = None;
                }
                Event::Key { key, pressed: true, .. } => {
                    return self.composing.is_none() || !is_acting(*key);
                }
                _ => {}
            }
            true
        });
    }
}

impl Plugin for Turns {
    fn debug_name(&self) -> &'static str {
        "turns"
    }

    fn input_hook(&mut self, ctx: &Context, input: &mut RawInput) {
        self.waiting.extend(input.events.drain(..));
        input.events = self.next(ctx.text_edit_focused());
        let focused = ctx.memory(|memory| memory.focused());
        self.leave_to_input_method(&mut input.events, focused);
    }

    fn on_begin_pass(&mut self, ui: &mut Ui) {
        if !self.waiting.is_empty() {
            ui.ctx().request_repaint();
        }
    }
}

fn is_tab(event: &Event) -> bool {
    matches!(event, Event::Key { key: Key::Tab, pressed: true, .. })
}

/// Whether an event does more than add to a text or point somewhere.
fn acts(event: &Event, typing: bool) -> bool {
    match event {
        Event::Key { key, pressed: true, modifiers, .. } => {
            let is_shortcut = modifiers.alt || modifiers.ctrl || modifiers.command;
            // Without a field to type into, any key may press the button that has the focus.
            !typing || is_shortcut || is_acting(*key)
        }
        Event::PointerButton { .. } | Event::AccessKitActionRequest(_) => true,
        _ => false,
    }
}

/// Whether a text right after this event comes from the same key.
fn yields_a_letter(event: &Event) -> bool {
    matches!(event, Event::Key { key, .. } if !is_acting(*key))
}

/// Whether a key does more than change the text around the cursor.
fn is_acting(key: Key) -> bool {
    let moves_on = matches!(
        key,
        Key::Enter
            | Key::Tab
            | Key::Escape
            | Key::ArrowUp
            | Key::ArrowDown
            | Key::PageUp
            | Key::PageDown
            | Key::Menu
    );
    moves_on || (Key::F1..=Key::F35).contains(&key)
}

#[cfg(test)]
mod tests {
    use eframe::egui::{Modifiers, PointerButton, Pos2};

    use super::*;

    fn key(key: Key) -> Event {
        key_with(Modifiers::NONE, key)
    }

    fn key_with(modifiers: Modifiers, key: Key) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }
    }

    fn text(text: &str) -> Event {
        Event::Text(text.into())
    }

    fn turns(events: Vec<Event>, typing: bool) -> Vec<usize> {
        let mut turns = Turns { waiting: events.into(), ..Turns::default() };
        std::iter::from_fn(|| Some(turns.next(typing).len()).filter(|count| *count > 0)).collect()
    }

    #[test]
    fn a_line_enter_and_the_next_line_are_three_turns() {
        let typed = vec![text("a"), text("b"), key(Key::Enter), text("c"), text("d")];
        assert_eq!(turns(typed, true), [2, 1, 2]);
    }

    #[test]
    fn clicks_and_shortcuts_have_turns_of_their_own() {
        let button = |pressed| Event::PointerButton {
            pos: Pos2::ZERO,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        let moved = || Event::PointerMoved(Pos2::ZERO);
        let clicked = vec![moved(), moved(), button(true), button(false), text("a")];
        assert_eq!(turns(clicked, true), [2, 1, 1, 1]);
        let jump = vec![text("a"), key_with(Modifiers::COMMAND, Key::K), key(Key::B)];
        assert_eq!(turns(jump, true), [1, 1, 1]);
    }

    #[test]
    fn without_a_field_every_key_is_a_turn_with_its_letter() {
        let typed = vec![key(Key::Space), text(" "), key(Key::A), text("a")];
        assert_eq!(turns(typed.clone(), false), [2, 2]);
        assert_eq!(turns(typed, true), [4]);
    }

    #[test]
    fn keys_belong_to_the_input_method_until_its_word_ends() {
        let preedit = |text: &str| {
            Event::Ime(ImeEvent::Preedit { text: text.into(), active_range_chars: None })
        };
        let (here, elsewhere) = (Some(Id::unique("here")), Some(Id::unique("elsewhere")));
        let mut turns = Turns::default();
        let mut left = |events: Vec<Event>, focused| {
            let mut events = events;
            turns.leave_to_input_method(&mut events, focused);
            events.len()
        };
        assert_eq!(left(vec![preedit("ni")], here), 1);
        assert_eq!(left(vec![key(Key::Enter)], here), 0);
        assert_eq!(left(vec![key(Key::ArrowLeft)], here), 1);
        assert_eq!(left(vec![Event::Ime(ImeEvent::Commit("你".into()))], here), 1);
        assert_eq!(left(vec![key(Key::Enter)], here), 1);
        assert_eq!(left(vec![preedit("ni")], here), 1);
        assert_eq!(left(vec![key(Key::Enter)], elsewhere), 1, "no word is composed there");
    }
}

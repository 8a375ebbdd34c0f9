//! Which field has the keyboard focus. The focus moves before anything is drawn, because a field that is about to lose
//! it must not take what is typed into the next one.

use eframe::egui::text::{CCursor, CCursorRange};
use eframe::egui::text_edit::TextEditState;
use eframe::egui::{Event, Id, Key, Ui};

use crate::model::Model;
use crate::model::action::{Focus, LoginField};
use crate::model::session::Session;

/// Which field gets the focus next, and which one has just got it.
#[derive(Debug, Default)]
pub struct Keyboard {
    wanted: Option<Focus>,
    given: Option<Focus>,
}

impl Keyboard {
    /// Moves the focus to a field in the next frame.
    pub fn give(&mut self, to: Focus) {
        self.wanted = Some(to);
    }

    /// Whether a field still waits for the focus.
    #[must_use]
    pub fn is_changing_hands(&self) -> bool {
        self.wanted.is_some()
    }

    /// Whether this field got the focus in this frame.
    #[must_use]
    pub fn was_given_to(&self, field: Focus) -> bool {
        self.given == Some(field)
    }

    /// Moves the focus to the field that waits for it.
    pub fn hand_over(&mut self, ui: &Ui, model: &Model) {
        self.given = None;
        let Some(wanted) = self.wanted else { return };
        match (wanted, &model.session) {
            // Until an answer comes, the form takes nothing.
            (Focus::Login(_), Session::Joining(_)) => return,
            (Focus::Composer, _) if is_dialog_closing(ui, model) => {
                return ui.ctx().request_repaint();
            }
            _ => self.wanted = None,
        }
        self.given = Some(wanted);
        if wanted == Focus::Nowhere {
            let before = ui.memory(|memory| memory.focused());
            return before.into_iter().for_each(|id| ui.memory_mut(|m| m.surrender_focus(id)));
        }
        ui.memory_mut(|memory| memory.request_focus(id(wanted)));
        if wanted == Focus::Login(LoginField::Password) {
            // A refused password is selected, so that typing replaces it.
            let all = |end| CCursorRange::two(CCursor::default(), end);
            select(ui, wanted, all, &model.login.password);
        }
        if let Some(room) = model.chat().and_then(|chat| chat.room())
            && wanted == Focus::Composer
        {
            select(ui, wanted, CCursorRange::one, &room.composer.draft.text);
        }
    }
}

/// The id of a field that can get the focus.
#[must_use]
pub fn id(field: Focus) -> Id {
    Id::unique(("field", field))
}

/// Takes a key press with exactly no modifiers out of the input: egui's own test ignores Shift.
pub fn take_plain_key(ui: &Ui, wanted: Key) -> bool {
    ui.input_mut(|input| {
        let before = input.events.len();
        input.events.retain(|event| {
            !matches!(event, Event::Key { key, pressed: true, modifiers, .. }
                if *key == wanted && modifiers.is_none())
        });
        input.events.len() != before
    })
}

/// Whether a dialog is closing: it keeps the focus for one frame after it was last drawn.
fn is_dialog_closing(ui: &Ui, model: &Model) -> bool {
    model.dialog.is_none() && ui.memory(|memory| memory.top_modal_layer().is_some())
}

fn select(ui: &Ui, field: Focus, range: impl FnOnce(CCursor) -> CCursorRange, value: &str) {
    let mut state = TextEditState::load(ui.ctx(), id(field)).unwrap_or_default();
    let end = CCursor::new(value.chars().count());
    state.cursor.set_char_range(Some(range(end)));
    state.store(ui.ctx(), id(field));
}

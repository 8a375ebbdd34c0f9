//! Who has the keyboard. It changes hands before anything is drawn: a field that is about to lose it must not
//! take what is typed into the next one.

use eframe::egui::text::{CCursor, CCursorRange};
use eframe::egui::text_edit::TextEditState;
use eframe::egui::{Id, Ui};

use crate::action::{Focus, LoginField};
use crate::model::Model;
use crate::model::session::Session;
use crate::view::{ViewState, account, composer, jump, login, moderation};

/// Gives the keyboard to whoever is to have it.
pub fn hand_over(ui: &Ui, model: &Model, state: &mut ViewState) {
    state.has_got = None;
    let Some(wanted) = state.focus else { return };
    match (wanted, &model.session) {
        // Until an answer comes, the form takes nothing.
        (Focus::Login(_), Session::Joining(_)) => return,
        (Focus::Composer, _) if is_dialog_closing(ui, model) => return ui.ctx().request_repaint(),
        _ => state.focus = None,
    }
    state.has_got = Some(wanted);
    let field = match wanted {
        Focus::Nowhere => {
            let before = ui.memory(|memory| memory.focused());
            return before.into_iter().for_each(|id| ui.memory_mut(|m| m.surrender_focus(id)));
        }
        Focus::Composer => composer::id(),
        Focus::Jump => jump::id(),
        Focus::Reason => moderation::reason_id(),
        Focus::Login(field) => login::field_id(field),
        Focus::Password(field) => account::field_id(field),
    };
    ui.memory_mut(|memory| memory.request_focus(field));
    if wanted == Focus::Login(LoginField::Password) {
        // Whoever was refused types anew, and does not want to rub out first.
        select(ui, field, |end| CCursorRange::two(CCursor::default(), end), &model.login.password);
    }
    if let Some(room) = model.chat().and_then(|chat| chat.room())
        && wanted == Focus::Composer
    {
        select(ui, field, CCursorRange::one, &room.composer.draft);
    }
}

/// A dialog that is no longer drawn keeps the keyboard to itself for a frame.
fn is_dialog_closing(ui: &Ui, model: &Model) -> bool {
    model.dialog.is_none() && ui.memory(|memory| memory.top_modal_layer().is_some())
}

fn select(ui: &Ui, field: Id, range: impl FnOnce(CCursor) -> CCursorRange, value: &str) {
    let mut state = TextEditState::load(ui.ctx(), field).unwrap_or_default();
    let end = CCursor::new(value.chars().count());
    state.cursor.set_char_range(Some(range(end)));
    state.store(ui.ctx(), field);
}

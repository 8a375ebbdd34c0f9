//! The views: they draw the model and queue what the user does. They perform no effects.

pub mod chat;
pub mod dialogs;
pub mod fonts;
pub mod keyboard;
pub mod login;
pub mod shaping;
pub mod theme;
pub mod timeline;
pub mod turns;
pub mod widgets;

use eframe::egui::{CentralPanel, Frame, Key, Modifiers, Popup, Ui};

use crate::model::Model;
use crate::model::action::{Action, Dialog, Focus};
use crate::model::session::Session;
use crate::view::keyboard::Keyboard;
use crate::view::timeline::{Step, Timelines};

/// State that only the drawing needs.
#[derive(Debug, Default)]
pub struct ViewState {
    /// Which field has the focus.
    pub keyboard: Keyboard,
    /// How far each room is scrolled.
    pub timelines: Timelines,
    jump_choice: usize,
}

/// Draws the window.
pub fn root_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    state.keyboard.hand_over(ui, model);
    let fill = theme::palette(ui).background;
    CentralPanel::default().frame(Frame::new().fill(fill)).show(ui, |ui| {
        match &model.session {
            Session::Out | Session::Joining(_) => {
                login::login_ui(ui, model, &state.keyboard, actions);
                if model.dialog.is_some() && ui.input(|input| input.key_pressed(Key::Escape)) {
                    actions.push(Action::Show(None));
                }
            }
            Session::In(chat) => {
                shortcuts(ui, model, state, actions);
                chat::chat_ui(ui, model, chat, &mut state.timelines, actions);
            }
        }
        dialogs::dialog_ui(ui, model, &mut state.jump_choice, actions);
    });
}

/// Keys that work wherever the focus is.
fn shortcuts(ui: &Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::COMMAND, Key::K) {
        let open = model.dialog != Some(Dialog::Jump);
        actions.push(Action::Show(open.then_some(Dialog::Jump)));
    }
    if pressed(Modifiers::NONE, Key::F1) {
        let open = model.dialog != Some(Dialog::Keys);
        actions.push(Action::Show(open.then_some(Dialog::Keys)));
    }
    if pressed(Modifiers::COMMAND, Key::Comma) {
        actions.push(Action::Show(Some(Dialog::Settings)));
    }
    let is_free = model.dialog.is_none() && !Popup::is_any_open(ui.ctx());
    for (key, step) in [(Key::ArrowUp, Step::Up), (Key::ArrowDown, Step::Down)] {
        if is_free && pressed(Modifiers::ALT, key) {
            state.timelines.step = Some(step);
        }
    }
    if ui.input(|input| input.key_pressed(Key::Escape)) {
        escape(ui, model, state, actions);
    }
}

/// Esc closes the innermost thing that is open, and goes to the newest message if nothing is.
fn escape(ui: &Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    match (model.dialog, model.unfolded) {
        // egui closes a menu by itself.
        _ if Popup::is_any_open(ui.ctx()) => state.keyboard.give(Focus::Composer),
        (Some(_), _) => actions.push(Action::Show(None)),
        (None, Some(panel)) => actions.push(Action::Fold(panel, false)),
        (None, None) => actions.push(Action::JumpToNewest),
    }
}

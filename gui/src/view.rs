//! The views: they draw the model and queue what the user does. They perform nothing.

pub mod account;
pub mod alone;
pub mod chat;
pub mod composer;
pub mod jump;
pub mod keyboard;
pub mod keys;
pub mod login;
pub mod moderation;
pub mod rooms;
pub mod roster;
pub mod settings;
pub mod shaping;
pub mod status_bar;
pub mod timeline;
pub mod widgets;

use std::collections::BTreeMap;

use eframe::egui::{CentralPanel, Event, Frame, Key, Modifiers, Popup, Ui};

use crate::action::{Action, Dialog, Focus};
use crate::model::Model;
use crate::model::session::Session;
use crate::theme;
use crate::view::timeline::TimelineView;

/// What only the drawing needs to remember.
#[derive(Debug, Default)]
pub struct ViewState {
    /// What shall get the keyboard in the next frame.
    pub focus: Option<Focus>,
    /// What has got it in this one.
    has_got: Option<Focus>,
    timelines: BTreeMap<String, TimelineView>,
    jump_choice: usize,
    /// Where the timeline shown shall go in the next frame.
    pub scroll: Option<Scroll>,
    /// Where the keyboard wants to walk from the message it is on.
    step: Option<Step>,
}

/// From message to message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Up,
    Down,
}

/// A place in the timeline to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scroll {
    /// The newest message.
    Newest,
    /// The unread line.
    Unread,
}

/// Draws the window.
pub fn root_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    keyboard::hand_over(ui, model, state);
    let fill = theme::palette(ui).background;
    CentralPanel::default().frame(Frame::new().fill(fill)).show(ui, |ui| match &model.session {
        Session::Out | Session::Joining(_) => {
            login::login_ui(ui, model, state, actions);
            if model.dialog == Some(Dialog::Settings) {
                settings::settings_ui(ui, model, actions);
                if ui.input(|input| input.key_pressed(Key::Escape)) {
                    actions.push(Action::Show(None));
                }
            }
        }
        Session::In(chat) => {
            shortcuts(ui, model, state, actions);
            chat::chat_ui(ui, model, chat, state, actions);
            dialog_ui(ui, model, state, actions);
        }
    });
}

fn dialog_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    let Some(chat) = model.chat() else { return };
    match model.dialog {
        Some(Dialog::Alone) => alone::alone_ui(ui, model, chat, actions),
        Some(Dialog::Settings) => settings::settings_ui(ui, model, actions),
        Some(Dialog::Keys) => keys::keys_ui(ui, actions),
        Some(Dialog::Jump) => jump::jump_ui(ui, model, chat, state, actions),
        Some(Dialog::Moderate) => moderation::moderation_ui(ui, chat, actions),
        Some(Dialog::Devices) => account::devices_ui(ui, model, chat, actions),
        Some(Dialog::Password) => account::password_ui(ui, chat, actions),
        None => {}
    }
}

/// Keys that work wherever the keyboard is.
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
            state.step = Some(step);
        }
    }
    if ui.input(|input| input.key_pressed(Key::Escape)) {
        escape(ui, model, state, actions);
    }
}

/// Esc closes the innermost thing that is open, and goes to the newest if nothing is.
fn escape(ui: &Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<Action>) {
    match (model.dialog, model.unfolded) {
        // egui closes a menu by itself.
        _ if Popup::is_any_open(ui.ctx()) => state.focus = Some(Focus::Composer),
        (Some(_), _) => actions.push(Action::Show(None)),
        (None, Some(panel)) => actions.push(Action::Fold(panel, false)),
        (None, None) => actions.push(Action::JumpToNewest),
    }
}

/// Takes a key press with exactly no modifiers out of the input: egui's own test ignores Shift.
fn take_plain_key(ui: &Ui, wanted: Key) -> bool {
    ui.input_mut(|input| {
        let before = input.events.len();
        input.events.retain(|event| {
            !matches!(event, Event::Key { key, pressed: true, modifiers, .. }
                if *key == wanted && modifiers.is_none())
        });
        input.events.len() != before
    })
}

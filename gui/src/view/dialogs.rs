//! The dialogs over the chat, one at a time.

mod account;
mod alone;
mod jump;
mod keys;
pub mod moderation;
mod settings;

use eframe::egui::Ui;

use crate::model::Model;
use crate::model::action::{Action, Dialog};

/// Draws the open dialog, if there is one. `jump_choice` is the place of the chosen line in the jump dialog.
pub fn dialog_ui(ui: &mut Ui, model: &Model, jump_choice: &mut usize, actions: &mut Vec<Action>) {
    match (model.dialog, model.chat()) {
        (Some(Dialog::Settings), _) => settings::settings_ui(ui, model, actions),
        (Some(Dialog::Alone), Some(chat)) => alone::alone_ui(ui, model, chat, actions),
        (Some(Dialog::Keys), Some(_)) => keys::keys_ui(ui, actions),
        (Some(Dialog::Jump), Some(chat)) => jump::jump_ui(ui, model, chat, jump_choice, actions),
        (Some(Dialog::Moderate), Some(chat)) => moderation::moderation_ui(ui, chat, actions),
        (Some(Dialog::Devices), Some(chat)) => account::devices_ui(ui, model, chat, actions),
        (Some(Dialog::Password), Some(chat)) => account::password_ui(ui, chat, actions),
        (_, None) | (None, _) => {}
    }
}

//! The window's menu, behind the button with three dots.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{CornerRadius, Popup, Response, Sense, Ui, Vec2, pos2, vec2};

use crate::model::action::{Action, Dialog};
use crate::model::session::Chat;
use crate::view::{theme, widgets};

/// Draws the button, and the menu when it is open.
pub(super) fn menu_ui(ui: &mut Ui, chat: &Chat, actions: &mut Vec<Action>) {
    let response = dots_button(ui, "Menu");
    Popup::menu(&response).width(220.0).show(|ui| {
        let mut item = |ui: &mut Ui, words: &str, keys: &str, action: Action| {
            if menu_item(ui, words, keys).clicked() {
                actions.push(action);
                ui.close();
            }
        };
        item(ui, "Jump to…", "Ctrl+K", Action::Show(Some(Dialog::Jump)));
        item(ui, "Settings", "Ctrl+,", Action::Show(Some(Dialog::Settings)));
        item(ui, "Keys", "F1", Action::Show(Some(Dialog::Keys)));
        let alone = if chat.is_alone() { "Why am I alone?" } else { "Connection details" };
        item(ui, alone, "", Action::Show(Some(Dialog::Alone)));
        ui.separator();
        item(ui, "My devices", "", Action::Show(Some(Dialog::Devices)));
        item(ui, "Change password", "", Action::Show(Some(Dialog::Password)));
        item(ui, "Sign out", "", Action::SignOut);
    });
}

fn menu_item(ui: &mut Ui, words: &str, keys: &str) -> Response {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::click());
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, CornerRadius::same(6), p.panel);
    }
    let middle = rect.center().y;
    let words_laid = ui.painter().layout_no_wrap(words.to_owned(), theme::body(), p.text);
    widgets::paint_middle(ui.painter(), pos2(rect.left() + 8.0, middle), words_laid, p.text);
    let keys = ui.painter().layout_no_wrap(keys.to_owned(), theme::note(), p.faint);
    let left = rect.right() - 8.0 - keys.size().x;
    widgets::paint_middle(ui.painter(), pos2(left, middle), keys, p.faint);
    widgets::name(&response, AccessRole::MenuItem, words);
    response
}

fn dots_button(ui: &mut Ui, label: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::new(32.0, 28.0), Sense::click());
    let p = theme::palette(ui);
    if response.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::same(6), p.line);
    }
    let colour = if response.hovered() { p.text } else { p.dim };
    for step in [-5.0, 0.0, 5.0] {
        ui.painter().circle_filled(rect.center() + vec2(step, 0.0), 1.4, colour);
    }
    widgets::focus_ring(ui, &response, rect, p);
    widgets::name(&response, AccessRole::Button, label);
    response
}

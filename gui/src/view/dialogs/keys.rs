//! F1: the list of keys.

use eframe::egui::Ui;

use crate::model::action::Action;
use crate::view::theme;
use crate::view::widgets;

/// The width of the column of keys.
const KEYS_WIDTH: f32 = 176.0;

const KEYS: [(&str, &str); 12] = [
    ("Enter", "Send the message"),
    ("Shift+Enter", "Start a new line"),
    ("Up", "Bring back the last message"),
    ("Ctrl+K", "Jump to a room or a person"),
    ("Alt+Up, Alt+Down", "Go from message to message"),
    ("Menu, Shift+F10", "Open the menu of a message or a person"),
    ("Page Up, Page Down", "Scroll the messages"),
    ("Ctrl+Home, Ctrl+End", "Go to the oldest loaded or the newest message"),
    ("Esc", "Close what is open, or go to the newest message"),
    ("Tab, Shift+Tab", "Go to the next or the previous control"),
    ("Ctrl+Plus, Minus, 0", "Zoom in, zoom out, reset"),
    ("Ctrl+Comma, F1", "Settings, this list"),
];

pub(super) fn keys_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    widgets::dialog(ui, "Keys", actions, |ui, _| {
        for (keys, what) in KEYS {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                let keys = widgets::wrapped(ui, keys, theme::strong(), p.text, KEYS_WIDTH - 12.0);
                let height = keys.size().y;
                let place = ui.available_rect_before_wrap().min;
                ui.label(keys);
                ui.add_space((place.x + KEYS_WIDTH - ui.cursor().left()).max(0.0));
                widgets::paragraph(ui, what, theme::body(), p.dim);
                ui.set_min_height(height);
            });
            ui.add_space(theme::GRID);
        }
    });
}

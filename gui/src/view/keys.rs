//! F1: the list of keys.

use eframe::egui::{Grid, RichText, Ui, vec2};

use crate::action::Action;
use crate::theme;
use crate::view::widgets;

const KEYS: [(&str, &str); 10] = [
    ("Enter", "Send the message"),
    ("Shift+Enter", "Begin a new line"),
    ("Up", "Bring the last text back into the empty field"),
    ("Ctrl+K", "Jump to a room or a person"),
    ("Page Up, Page Down", "Scroll the messages"),
    ("Ctrl+Home, Ctrl+End", "To the oldest loaded, to the newest message"),
    ("Esc", "Close what is open; otherwise show the newest message"),
    ("Tab, Shift+Tab", "To the next control, to the one before"),
    ("Ctrl+Plus, Ctrl+Minus, Ctrl+0", "Larger, smaller, normal size"),
    ("Ctrl+Comma, F1", "Settings, this list"),
];

/// Draws the list.
pub fn keys_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    widgets::dialog(ui, "Keys", actions, |ui, _| {
        Grid::new("keys").num_columns(2).spacing(vec2(20.0, 8.0)).show(ui, |ui| {
            for (keys, what) in KEYS {
                ui.label(RichText::new(keys).font(theme::strong()).color(p.text));
                ui.label(RichText::new(what).font(theme::body()).color(p.dim));
                ui.end_row();
            }
        });
    });
}

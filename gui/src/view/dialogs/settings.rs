//! The settings, and which scripts the fonts cannot show.

use eframe::egui::Ui;

use crate::model::action::Action;
use crate::model::settings::{Settings, ThemeChoice};
use crate::model::{EmojiSource, Model};
use crate::view::theme;
use crate::view::widgets;

pub(super) fn settings_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let settings = &model.settings;
    widgets::dialog(ui, "Settings", actions, |ui, actions| {
        group_ui(ui, "Colours");
        ui.horizontal(|ui| {
            for (choice, word) in [
                (ThemeChoice::System, "Same as the desktop"),
                (ThemeChoice::Light, "Light"),
                (ThemeChoice::Dark, "Dark"),
            ] {
                if widgets::choice(ui, word, settings.theme == choice) {
                    actions.push(Action::SetTheme(choice));
                }
            }
        });
        group_ui(ui, "Size");
        ui.horizontal_wrapped(|ui| {
            for percent in Settings::ZOOMS {
                if widgets::choice(ui, &format!("{percent} %"), settings.zoom_percent == percent) {
                    actions.push(Action::SetZoom(percent));
                }
            }
        });
        group_ui(ui, "Attention");
        let note = "When somebody mentions you, or writes while you use another window";
        if widgets::switch(ui, "Desktop notifications", note, settings.notifications) {
            actions.push(Action::SetNotifications(!settings.notifications));
        }
        if widgets::switch(ui, "Sounds", "With each notification", settings.sounds) {
            actions.push(Action::SetSounds(!settings.sounds));
        }
        keyring_ui(ui, model, actions);
        fonts_ui(ui, model);
    });
}

fn keyring_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    group_ui(ui, "Signing in");
    let used = model.settings.keep_password;
    let note = "Anyone who can unlock this computer's keyring can sign in as you";
    if widgets::switch(ui, "Keep my password in the keyring", note, used) {
        actions.push(Action::KeepPassword(!used));
    }
    if let Some(trouble) = model.login.keyring_trouble.as_ref().filter(|_| used) {
        let red = theme::palette(ui).red;
        widgets::paragraph(ui, trouble, theme::note(), red);
    }
}

fn fonts_ui(ui: &mut Ui, model: &Model) {
    let p = theme::palette(ui);
    group_ui(ui, "Fonts");
    let emoji = match &model.emoji {
        EmojiSource::Colour(font) => format!("Emoji are in colour, from {font}."),
        EmojiSource::Outline(font) => format!("Emoji are in one colour, from {font}."),
        EmojiSource::BuiltIn => {
            "Emoji are in one colour, from Lanyard's own font. Install Noto Color Emoji to see them in colour."
                .to_owned()
        }
    };
    widgets::paragraph(ui, &emoji, theme::body(), p.dim);
    if model.missing_scripts.is_empty() {
        return;
    }
    let words = format!(
        "No font on this computer can show: {}. Install the Noto fonts to see them.",
        model.missing_scripts.join(", ")
    );
    widgets::paragraph(ui, &words, theme::body(), p.amber);
}

fn group_ui(ui: &mut Ui, words: &str) {
    let p = theme::palette(ui);
    ui.add_space(10.0);
    widgets::label(ui, words, theme::note(), p.faint);
    ui.add_space(2.0);
}

//! Settings: colours, size, notifications, sounds, and what the fonts cannot show.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{
    Align2, CornerRadius, CursorIcon, RichText, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
    vec2,
};

use crate::action::Action;
use crate::model::{EmojiSource, Model};
use crate::settings::{Settings, ThemeChoice};
use crate::theme;
use crate::view::widgets;

/// Draws the settings.
pub fn settings_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let settings = &model.settings;
    widgets::dialog(ui, "Settings", actions, |ui, actions| {
        group_ui(ui, "Colours");
        ui.horizontal(|ui| {
            for (choice, word) in [
                (ThemeChoice::System, "Like the desktop"),
                (ThemeChoice::Light, "Light"),
                (ThemeChoice::Dark, "Dark"),
            ] {
                if choice_ui(ui, word, settings.theme == choice) {
                    actions.push(Action::SetTheme(choice));
                }
            }
        });
        group_ui(ui, "Size");
        ui.horizontal_wrapped(|ui| {
            for percent in Settings::ZOOMS {
                if choice_ui(ui, &format!("{percent} %"), settings.zoom_percent == percent) {
                    actions.push(Action::SetZoom(percent));
                }
            }
        });
        group_ui(ui, "Attention");
        let note = "When somebody mentions you, or writes while you look elsewhere";
        if switch_ui(ui, "Desktop notifications", note, settings.notifications) {
            actions.push(Action::SetNotifications(!settings.notifications));
        }
        if switch_ui(ui, "Sounds", "With each notification", settings.sounds) {
            actions.push(Action::SetSounds(!settings.sounds));
        }
        fonts_ui(ui, model);
    });
}

fn fonts_ui(ui: &mut Ui, model: &Model) {
    let p = theme::palette(ui);
    group_ui(ui, "Fonts");
    let emoji = match &model.emoji {
        EmojiSource::Colour(font) => format!("Emoji are in colour, from {font}."),
        EmojiSource::Outline(font) => format!("Emoji are in one colour, from {font}."),
        EmojiSource::BuiltIn => {
            "Emoji are in one colour, from Lanyard's own font. Noto Color Emoji brings colours."
                .to_owned()
        }
    };
    widgets::paragraph(ui, &emoji, theme::body(), p.dim);
    if model.missing_scripts.is_empty() {
        return;
    }
    let words = format!(
        "No font on this computer can show: {}. Installing the Noto fonts helps.",
        model.missing_scripts.join(", ")
    );
    widgets::paragraph(ui, &words, theme::body(), p.amber);
}

fn group_ui(ui: &mut Ui, words: &str) {
    let p = theme::palette(ui);
    ui.add_space(10.0);
    ui.label(RichText::new(words).font(theme::note()).color(p.faint));
    ui.add_space(2.0);
}

fn choice_ui(ui: &mut Ui, word: &str, chosen: bool) -> bool {
    let p = theme::palette(ui);
    let colour = if chosen { p.ribbon } else { p.text };
    let galley = ui.painter().layout_no_wrap(word.to_owned(), theme::body(), colour);
    let size = vec2(galley.size().x + 20.0, 32.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = if chosen { p.ribbon_soft } else { p.card };
    let line = Stroke::new(1.0, if chosen { p.ribbon } else { p.line });
    ui.painter().rect(rect, CornerRadius::same(theme::CORNER), fill, line, StrokeKind::Inside);
    widgets::paint_middle(ui.painter(), pos2(rect.left() + 10.0, rect.center().y), galley, colour);
    widgets::focus_ring(ui, &response, rect, p);
    response.widget_info(|| WidgetInfo::selected(AccessRole::RadioButton, true, chosen, word));
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

fn switch_ui(ui: &mut Ui, word: &str, note: &str, on: bool) -> bool {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::click());
    let painter = ui.painter();
    painter.text(rect.left_top() + vec2(0.0, 4.0), Align2::LEFT_TOP, word, theme::body(), p.text);
    painter.text(rect.left_top() + vec2(0.0, 24.0), Align2::LEFT_TOP, note, theme::note(), p.faint);
    let track = eframe::egui::Rect::from_center_size(
        pos2(rect.right() - 22.0, rect.center().y),
        vec2(36.0, 20.0),
    );
    let (fill, knob) =
        if on { (p.ribbon, track.right() - 10.0) } else { (p.faint, track.left() + 10.0) };
    painter.rect_filled(track, CornerRadius::same(10), fill);
    painter.circle_filled(pos2(knob, track.center().y), 7.0, p.card);
    widgets::focus_ring(ui, &response, track.expand(2.0), p);
    response.widget_info(|| WidgetInfo::selected(AccessRole::Switch, true, on, word));
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

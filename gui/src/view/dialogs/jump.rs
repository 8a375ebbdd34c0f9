//! Ctrl+K: type part of a name and press Enter.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{
    Align2, CornerRadius, Frame, Key, Response, RichText, Sense, TextEdit, Ui, pos2, vec2,
};

use crate::model::Model;
use crate::model::action::{Action, Focus};
use crate::model::jump::{self, Target};
use crate::model::session::Chat;
use crate::model::text;
use crate::view::keyboard::{self, take_plain_key};
use crate::view::theme;
use crate::view::widgets;

pub(super) fn jump_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    choice: &mut usize,
    actions: &mut Vec<Action>,
) {
    let targets = jump::targets(chat, &model.jump);
    let last = targets.len().saturating_sub(1);
    let (down, up) = (take_plain_key(ui, Key::ArrowDown), take_plain_key(ui, Key::ArrowUp));
    if down {
        *choice += 1;
    }
    if up {
        *choice = choice.saturating_sub(1);
    }
    *choice = last.min(*choice);
    if take_plain_key(ui, Key::Enter) {
        actions.push(Action::Jump(std::mem::take(choice)));
    }
    widgets::dialog(ui, "Jump to", actions, |ui, actions| {
        field_ui(ui, &model.jump, actions);
        ui.add_space(8.0);
        for (at, target) in targets.iter().enumerate() {
            let response = target_ui(ui, target, at == *choice);
            if at == *choice && (down || up) {
                response.scroll_to_me(None);
            }
            if response.clicked() {
                actions.push(Action::Jump(at));
            }
        }
        if targets.is_empty() {
            let faint = theme::palette(ui).faint;
            widgets::label(ui, "No room or person has that name", theme::body(), faint);
        }
    });
}

fn field_ui(ui: &mut Ui, typed: &str, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let mut value = typed.to_owned();
    theme::boxed(p.background, p.ribbon).inner_margin(theme::margin(3, 2)).show(ui, |ui| {
        let edit = TextEdit::singleline(&mut value)
            .id(keyboard::id(Focus::Jump))
            .hint_text(RichText::new("Room or person").color(p.faint))
            .frame(Frame::new())
            .background_color(p.background)
            .min_size(vec2(0.0, theme::FIELD_HEIGHT - 16.0))
            .align(Align2::LEFT_CENTER)
            .desired_width(f32::INFINITY);
        let response = ui.add(edit).accessible_name("Room or person");
        if !response.has_focus() {
            response.request_focus();
        }
        if response.changed() {
            actions.push(Action::EditJump(value));
        }
    });
}

fn target_ui(ui: &mut Ui, target: &Target, chosen: bool) -> Response {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), Sense::click());
    if chosen || response.hovered() {
        let fill = if chosen { p.tile } else { p.panel };
        ui.painter().rect_filled(rect, CornerRadius::same(theme::CORNER), fill);
    }
    let (name, note) = match target {
        Target::Room(name) => (format!("# {}", text::clean_name(name)), "room".to_owned()),
        Target::Person { username, nickname } => (nickname.clone(), format!("@{username}")),
    };
    let middle = rect.center().y;
    let galley = widgets::elided(ui, &name, theme::strong(), p.text, rect.width() * 0.6);
    widgets::paint_middle(ui.painter(), pos2(rect.left() + 10.0, middle), galley, p.text);
    let note_laid = widgets::elided(ui, &note, theme::note(), p.dim, rect.width() * 0.35);
    let left = rect.right() - 10.0 - note_laid.size().x;
    widgets::paint_middle(ui.painter(), pos2(left, middle), note_laid, p.dim);
    widgets::name(&response, AccessRole::Button, &format!("Go to {name}"));
    response
}

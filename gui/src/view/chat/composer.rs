//! The composer: Enter sends, Shift+Enter starts a new line, and a note says what keeps a text from being sent.

use std::sync::Arc;

use eframe::egui::text::TextFormat;
use eframe::egui::{
    Align2, Event, Frame, Galley, Id, Key, KeyboardShortcut, Margin, Modifiers, Panel, Popup, Rect,
    RichText, ScrollArea, Sense, TextBuffer, TextEdit, Ui, UiBuilder, Vec2, pos2, vec2,
};

use crate::model::Model;
use crate::model::action::{Action, Focus};
use crate::model::composer::{Composer, Rules};
use crate::model::session::Chat;
use crate::model::text;
use crate::view::keyboard::{self, take_plain_key};
use crate::view::theme;
use crate::view::{shaping, widgets};

/// The field grows to this many lines, then scrolls.
const LINES_MAX: usize = 8;
const SEND_SIZE: Vec2 = vec2(62.0, 30.0);
/// The space above and below the draft in its field.
const FIELD_MARGIN: i8 = 5;
/// The height of the field with one line.
const FIELD_ROW: f32 = theme::LINE_HEIGHT + 2.0 * FIELD_MARGIN as f32;
/// The space around the card.
const AROUND: Margin = Margin { left: 20, right: 20, top: 4, bottom: 10 };
/// The space inside the card.
const INSIDE: Margin = Margin { left: 12, right: 8, top: 6, bottom: 6 };
/// The width of the line around the card.
const LINE: f32 = 1.0;

/// Draws the composer of the room shown, at the bottom of `ui`.
pub(super) fn composer_ui(ui: &mut Ui, model: &Model, chat: &Chat, actions: &mut Vec<Action>) {
    let Some(room) = chat.room() else { return };
    let composer = &room.composer;
    let rules = chat.rules(model.now_ms);
    keys(ui, model, &composer.draft.text, actions);
    let width = ui.available_width() - AROUND.sum().x;
    let note = lay_out_note(ui, composer, &rules, width);
    let text_width = width - INSIDE.sum().x - 2.0 * LINE - SEND_SIZE.x - 12.0;
    let field = vec2(text_width, field_height(ui, &composer.draft.text, text_width));
    let note_height = note.as_ref().map_or(0.0, |note| note.size().y + theme::GRID);
    let card_height = field.y + INSIDE.sum().y + 2.0 * LINE;
    let fill = theme::palette(ui).background;
    Panel::bottom("composer")
        .exact_size(note_height + card_height + AROUND.sum().y)
        .show_separator_line(false)
        .resizable(false)
        .frame(Frame::new().fill(fill).inner_margin(AROUND))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = theme::GRID;
            if let Some(note) = note {
                ui.label(note);
            }
            card_ui(ui, chat, (composer, &rules), field, actions);
        });
}

/// The keys that act on the whole draft while the composer has the focus.
fn keys(ui: &Ui, model: &Model, draft: &str, actions: &mut Vec<Action>) {
    if !has_focus(ui) || model.dialog.is_some() {
        return;
    }
    if take_plain_key(ui, Key::Enter) {
        actions.push(Action::Send);
    }
    if draft.is_empty() && take_plain_key(ui, Key::ArrowUp) {
        actions.push(Action::RecallLast);
    }
}

fn id() -> Id {
    keyboard::id(Focus::Composer)
}

fn has_focus(ui: &Ui) -> bool {
    ui.memory(|memory| memory.has_focus(id()))
}

/// Why the draft cannot be sent, or how close to the limit it is.
fn lay_out_note(
    ui: &Ui,
    composer: &Composer,
    rules: &Rules<'_>,
    width: f32,
) -> Option<Arc<Galley>> {
    let p = theme::palette(ui);
    let objection = composer.objection(rules).map(|words| (words, p.red));
    let (words, colour) =
        objection.or_else(|| composer.counter(rules).map(|words| (words, p.amber)))?;
    Some(widgets::wrapped(ui, &words, theme::note(), colour, width))
}

/// The height of the draft, up to its maximum.
fn field_height(ui: &Ui, draft: &str, width: f32) -> f32 {
    let laid = lay_out_draft(ui, draft, width);
    let last = laid.rows.get(LINES_MAX - 1).or_else(|| laid.rows.last());
    let text = last.map_or(0.0, |row| row.max_y());
    (text + 2.0 * f32::from(FIELD_MARGIN)).max(FIELD_ROW)
}

fn lay_out_draft(ui: &Ui, draft: &str, width: f32) -> Arc<Galley> {
    let mut format = TextFormat::simple(theme::body(), theme::palette(ui).text);
    format.line_height = Some(theme::LINE_HEIGHT);
    let mut job = shaping::draft_job(draft, &format, width);
    job.keep_trailing_whitespace = true;
    ui.painter().layout_job(job)
}

fn card_ui(
    ui: &mut Ui,
    chat: &Chat,
    (composer, rules): (&Composer, &Rules<'_>),
    field: Vec2,
    actions: &mut Vec<Action>,
) {
    let p = theme::palette(ui);
    let has_focus = has_focus(ui);
    let frame = theme::boxed(p.card, if has_focus { p.ribbon } else { p.line });
    let shown = frame.inner_margin(INSIDE).show(ui, |ui| {
        let size = vec2(ui.available_width(), field.y);
        let (row, _) = ui.allocate_exact_size(size, Sense::hover());
        let place = |rect: Rect| UiBuilder::new().max_rect(rect);
        let text = Rect::from_min_size(row.min, field);
        ui.scope_builder(place(text), |ui| {
            let unlocked = composer.locked(rules).is_none();
            field_ui(ui, chat, &composer.draft.text, unlocked, actions);
        });
        if composer.draft.text.is_empty() {
            if composer.is_open(rules) {
                ui.scope_builder(place(row), |ui| hint_ui(ui));
            }
            return;
        }
        let button = Rect::from_min_max(row.max - SEND_SIZE, row.max);
        ui.scope_builder(place(button), |ui| {
            let ready = composer.can_send(rules);
            if widgets::primary_button(ui, "Send", ready, SEND_SIZE).clicked() {
                actions.push(Action::Send);
            }
        });
    });
    if has_focus {
        widgets::ring(ui, shown.response.rect, p);
    }
}

fn field_ui(ui: &mut Ui, chat: &Chat, draft: &str, unlocked: bool, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let room = text::clean_name(&chat.current);
    let hint = if unlocked { format!("Message # {room}") } else { "Read only".to_owned() };
    let mut value = draft.to_owned();
    if types_into_nothing(ui) {
        ui.memory_mut(|memory| memory.request_focus(id()));
    }
    ScrollArea::vertical().id_salt("draft").min_scrolled_height(FIELD_ROW).auto_shrink(false).show(
        ui,
        |ui| {
            let mut layouter = |ui: &Ui, draft: &dyn TextBuffer, width: f32| {
                lay_out_draft(ui, draft.as_str(), width)
            };
            let edit = TextEdit::multiline(&mut value)
                .id(id())
                .hint_text(RichText::new(hint).color(p.faint))
                .font(theme::body())
                .desired_rows(1)
                .desired_width(f32::INFINITY)
                .interactive(unlocked)
                .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
                .layouter(&mut layouter)
                .frame(Frame::new().inner_margin(Margin::symmetric(0, FIELD_MARGIN)));
            let response = ui.add(edit).accessible_name("Message");
            if response.changed() {
                actions.push(Action::EditDraft(value));
            }
        },
    );
}

/// Whether the user types while no field has the focus.
fn types_into_nothing(ui: &Ui) -> bool {
    let is_text = |event: &Event| matches!(event, Event::Text(_) | Event::Paste(_));
    ui.memory(|memory| memory.focused().is_none() && memory.top_modal_layer().is_none())
        && !Popup::is_any_open(ui.ctx())
        && ui.input(|input| input.events.iter().any(is_text))
}

fn hint_ui(ui: &Ui) {
    let p = theme::palette(ui);
    let right = ui.max_rect().right() - 5.0;
    let at = pos2(right, ui.max_rect().center().y);
    let words = "Enter sends · Shift+Enter new line";
    // A narrow window has no space for it beside the placeholder.
    if ui.max_rect().width() > 420.0 {
        ui.painter().text(at, Align2::RIGHT_CENTER, words, theme::note(), p.faint);
    }
}

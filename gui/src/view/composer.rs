//! The composer: Enter sends, Shift+Enter breaks the line, and whatever is in the way is said.

use eframe::egui::text::{CCursor, CCursorRange, TextFormat};
use eframe::egui::text_edit::TextEditState;
use eframe::egui::{
    Align2, CornerRadius, Event, Frame, Id, ImeEvent, Key, KeyboardShortcut, Margin, Modifiers,
    RichText, ScrollArea, Stroke, StrokeKind, TextBuffer, TextEdit, Ui, pos2, vec2,
};

use crate::action::Action;
use crate::model::Model;
use crate::model::session::Chat;
use crate::text;
use crate::text::bidi;
use crate::theme;
use crate::view::{Focus, ViewState, shaping, take_plain_key, widgets};

/// The composer grows up to this many points, then scrolls.
const GROWS_TO: f32 = 140.0;
const SEND_SIZE: f32 = 62.0;
/// One line of the draft with the space around it.
const FIELD_ROW: f32 = 30.0;

/// Draws the composer of the room shown.
pub fn composer_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    state: &mut ViewState,
    actions: &mut Vec<Action>,
) {
    let Some(room) = chat.room() else { return };
    let rules = chat.rules(model.now_ms);
    let locked = room.composer.locked(&rules);
    let objection = room.composer.objection(&rules);
    let id = Id::unique("composer");
    let p = theme::palette(ui);
    if let Some(objection) = &objection {
        let galley = widgets::wrapped(ui, objection, theme::note(), p.red, ui.available_width());
        ui.label(galley);
    } else if let Some(counter) = room.composer.counter(&rules) {
        ui.label(RichText::new(counter).font(theme::note()).color(p.amber));
    }
    let has_focus = ui.memory(|memory| memory.has_focus(id)) && model.dialog.is_none();
    let composing = note_composing(ui, has_focus, state);
    if has_focus && !composing && take_plain_key(ui, Key::Enter) {
        actions.push(Action::Send);
    }
    let draft = room.composer.draft.as_str();
    if has_focus && !composing && draft.is_empty() && take_plain_key(ui, Key::ArrowUp) {
        actions.push(Action::RecallLast);
    }
    let can_send = room.composer.can_send(&rules);
    let line = if has_focus { p.ribbon } else { p.line };
    let frame = Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, line))
        .corner_radius(CornerRadius::same(theme::CORNER))
        .inner_margin(Margin { left: 12, right: 8, top: 6, bottom: 6 });
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(theme::FIELD_HEIGHT - 10.0);
        ui.horizontal(|ui| {
            field_ui(ui, chat, draft, locked.is_none(), state, actions);
            if draft.is_empty() {
                hint_ui(ui);
            } else {
                let size = vec2(SEND_SIZE, 30.0);
                if widgets::primary_button(ui, "Send", can_send, size).clicked() {
                    actions.push(Action::Send);
                }
            }
        });
    });
    if has_focus {
        let soft = Stroke::new(2.0, p.ribbon.gamma_multiply(0.25));
        let corner = CornerRadius::same(theme::CORNER + 1);
        ui.painter().rect_stroke(shown.response.rect, corner, soft, StrokeKind::Outside);
    }
}

/// Whether an input method is putting a word together, or was until this frame: what stands in the
/// field is half a word then, and Enter belongs to the input method.
fn note_composing(ui: &Ui, has_focus: bool, state: &mut ViewState) -> bool {
    let before = state.composing;
    let mut heard = false;
    ui.input(|input| {
        for event in &input.events {
            let Event::Ime(event) = event else { continue };
            heard = true;
            state.composing = match event {
                ImeEvent::Preedit { text, .. } => !text.is_empty(),
                ImeEvent::Commit(_) => false,
                _ => state.composing,
            };
        }
    });
    state.composing &= has_focus;
    has_focus && (before || heard || state.composing)
}

fn field_ui(
    ui: &mut Ui,
    chat: &Chat,
    draft: &str,
    unlocked: bool,
    state: &mut ViewState,
    actions: &mut Vec<Action>,
) {
    let p = theme::palette(ui);
    let id = Id::unique("composer");
    let room = text::clean_name(&chat.current);
    let mut value = draft.to_owned();
    let width = ui.available_width() - SEND_SIZE - 12.0;
    if state.focus == Some(Focus::Composer) && !unlocked {
        state.focus = None;
    } else if state.focus == Some(Focus::Composer) {
        // Under a dialog that is just closing, the first wish goes unheard.
        if ui.memory(|memory| memory.has_focus(id)) {
            state.focus = None;
        }
        ui.memory_mut(|memory| memory.request_focus(id));
        ui.ctx().request_repaint();
        put_cursor_at_end(ui, id, draft);
    }
    ui.allocate_ui(vec2(width, FIELD_ROW), |ui| {
        ScrollArea::vertical()
            .id_salt("draft")
            .min_scrolled_height(FIELD_ROW)
            .max_height(GROWS_TO)
            .show(ui, |ui| {
                let mut layouter = |ui: &Ui, draft: &dyn TextBuffer, width: f32| {
                    let format = TextFormat::simple(theme::body(), p.text);
                    ui.painter().layout_job(shaping::draft_job(draft.as_str(), &format, width))
                };
                let edit = TextEdit::multiline(&mut value)
                    .id(id)
                    .hint_text(RichText::new(format!("Message # {room}")).color(p.faint))
                    .font(theme::body())
                    .desired_rows(1)
                    .desired_width(width)
                    .interactive(unlocked)
                    .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
                    .frame(Frame::new().inner_margin(Margin {
                        left: 0,
                        right: 0,
                        top: 5,
                        bottom: 5,
                    }));
                let edit =
                    if bidi::runs_to_the_left(draft) { edit.layouter(&mut layouter) } else { edit };
                let response = ui.add(edit).accessible_name("Message");
                if response.changed() {
                    actions.push(Action::EditDraft(value));
                }
            });
    });
}

fn put_cursor_at_end(ui: &Ui, id: Id, draft: &str) {
    let mut state = TextEditState::load(ui.ctx(), id).unwrap_or_default();
    let end = CCursor::new(draft.chars().count());
    state.cursor.set_char_range(Some(CCursorRange::one(end)));
    state.store(ui.ctx(), id);
}

fn hint_ui(ui: &Ui) {
    let p = theme::palette(ui);
    let right = ui.max_rect().right() - 5.0;
    let at = pos2(right, ui.max_rect().center().y);
    let words = "Enter sends · Shift+Enter new line";
    // Beside the placeholder there is room for it only in a wide window.
    if ui.max_rect().width() > 420.0 {
        ui.painter().text(at, Align2::RIGHT_CENTER, words, theme::note(), p.faint);
    }
}

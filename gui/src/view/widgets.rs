//! The widgets that all views share.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::text::TextFormat;
use eframe::egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, FocusDirection, FontId, Frame, Galley, Id,
    Key, Layout, Margin, Modal, Modifiers, Painter, Popup, Pos2, Rect, Response, RichText,
    ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, Vec2, WidgetInfo, pos2, vec2,
};
use lanyard_protocol::ids::AccountId;

use crate::model::action::{Action, Focus};
use crate::model::text;
use crate::view::keyboard::{self, take_plain_key};
use crate::view::shaping;
use crate::view::theme::{self, Palette};

/// An avatar: the first letter of a name on the account's colour.
pub fn avatar(painter: &Painter, rect: Rect, account: AccountId, name: &str) {
    avatar_on(painter, rect, theme::avatar_colour(account), Color32::WHITE, name);
}

/// The avatar of somebody who left.
pub fn faded_avatar(painter: &Painter, rect: Rect, name: &str, p: Palette) {
    avatar_on(painter, rect, p.line, p.dim, name);
}

fn avatar_on(painter: &Painter, rect: Rect, fill: Color32, letter: Color32, name: &str) {
    let corner = if rect.width() < theme::AVATAR { theme::CORNER } else { theme::AVATAR_CORNER };
    painter.rect_filled(rect, CornerRadius::same(corner), fill);
    let font = theme::avatar_letter(rect.width());
    painter.text(rect.center(), Align2::CENTER_CENTER, text::first_grapheme(name), font, letter);
}

/// A small word in a rounded box. Returns its width.
pub fn badge(painter: &Painter, left_middle: Pos2, word: &str, p: Palette) -> f32 {
    let galley = painter.layout_no_wrap(word.to_owned(), theme::note_strong(), p.amber);
    let size = galley.size() + vec2(10.0, 2.0);
    let rect = Rect::from_min_size(pos2(left_middle.x, left_middle.y - size.y / 2.0), size);
    painter.rect_filled(rect, CornerRadius::same(6), p.amber_soft);
    painter.galley(rect.min + vec2(5.0, 1.0), galley, p.amber);
    size.x
}

/// The width of a [`badge`].
pub fn badge_width(ui: &Ui, word: &str) -> f32 {
    let painter = ui.painter();
    painter.layout_no_wrap(word.to_owned(), theme::note_strong(), Color32::WHITE).size().x + 10.0
}

/// Text on one line, elided to this width.
pub fn elided(ui: &Ui, text: &str, font: FontId, colour: Color32, width: f32) -> Arc<Galley> {
    let mut job = shaping::line_job(text, TextFormat::simple(font, colour));
    job.wrap.max_width = width.max(0.0);
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    job.break_on_newline = false;
    ui.painter().layout_job(job)
}

/// Text wrapped to this width.
pub fn wrapped(ui: &Ui, text: &str, font: FontId, colour: Color32, width: f32) -> Arc<Galley> {
    let mut format = TextFormat::simple(font, colour);
    format.line_height = Some(theme::LINE_HEIGHT);
    let mut job = shaping::line_job(text, format);
    job.wrap.max_width = width;
    ui.painter().layout_job(job)
}

/// A label in this font and colour.
pub fn label(ui: &mut Ui, text: impl Into<String>, font: FontId, colour: Color32) -> Response {
    ui.label(RichText::new(text).font(font).color(colour))
}

/// A paragraph with the line height of the theme.
pub fn paragraph(ui: &mut Ui, text: &str, font: FontId, colour: Color32) -> Response {
    let galley = wrapped(ui, text, font, colour, ui.available_width());
    ui.label(galley)
}

/// Paints a galley, vertically centred.
pub fn paint_middle(painter: &Painter, left_middle: Pos2, galley: Arc<Galley>, colour: Color32) {
    let top = left_middle.y - galley.size().y / 2.0;
    painter.galley(pos2(left_middle.x, top), galley, colour);
}

/// A button without a box.
pub fn text_button(ui: &mut Ui, word: &str, colour: Color32) -> Response {
    let galley = ui.painter().layout_no_wrap(word.to_owned(), theme::note(), colour);
    let size = galley.size() + vec2(8.0, 8.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let p = theme::palette(ui);
    if response.hovered() {
        let underline = rect.bottom() - 3.0;
        ui.painter().hline(rect.shrink(4.0).x_range(), underline, Stroke::new(1.0, colour));
    }
    focus_ring(ui, &response, rect, p);
    ui.painter().galley(rect.min + vec2(4.0, 4.0), galley, colour);
    name(&response, AccessRole::Button, word);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// The button for the main action.
pub fn primary_button(ui: &mut Ui, word: &str, enabled: bool, size: Vec2) -> Response {
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let p = theme::palette(ui);
    let (fill, colour) = match (enabled, response.is_pointer_button_down_on()) {
        (false, _) => (p.line, p.dim),
        (true, false) if response.hovered() => (p.ribbon_hover, p.on_ribbon),
        (true, _) => (p.ribbon, p.on_ribbon),
    };
    ui.painter().rect_filled(rect, CornerRadius::same(theme::CORNER), fill);
    focus_ring(ui, &response, rect, p);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, word, theme::strong(), colour);
    response.widget_info(|| WidgetInfo::labeled(AccessRole::Button, enabled, word));
    response
}

/// The button for an action that does harm.
pub fn danger_button(ui: &mut Ui, word: &str, size: Vec2) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let p = theme::palette(ui);
    let fill = if response.hovered() { p.red_soft } else { p.background };
    paint_box(ui, (rect, &response), fill, p.red);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, word, theme::strong(), p.red);
    name(&response, AccessRole::Button, word);
    response
}

/// A button with a line around it.
pub fn quiet_button(ui: &mut Ui, word: &str) -> Response {
    quiet_button_named(ui, word, word)
}

/// A button with a line around it, and with more words for assistive technology.
pub fn quiet_button_named(ui: &mut Ui, word: &str, spoken: &str) -> Response {
    let p = theme::palette(ui);
    let galley = ui.painter().layout_no_wrap(word.to_owned(), theme::body(), p.text);
    let size = vec2(galley.size().x + 24.0, 32.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    paint_box(ui, (rect, &response), if response.hovered() { p.panel } else { p.card }, p.line);
    paint_middle(ui.painter(), pos2(rect.left() + 12.0, rect.center().y), galley, p.text);
    name(&response, AccessRole::Button, spoken);
    response
}

/// One of several choices. Returns whether it was clicked.
pub fn choice(ui: &mut Ui, word: &str, chosen: bool) -> bool {
    let p = theme::palette(ui);
    let (fill, line, colour) =
        if chosen { (p.tile, p.ribbon, p.ribbon_deep) } else { (p.card, p.line, p.text) };
    let galley = ui.painter().layout_no_wrap(word.to_owned(), theme::body(), colour);
    let size = vec2(galley.size().x + 20.0, 32.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    paint_box(ui, (rect, &response), fill, line);
    paint_middle(ui.painter(), pos2(rect.left() + 10.0, rect.center().y), galley, colour);
    response.widget_info(|| WidgetInfo::selected(AccessRole::RadioButton, true, chosen, word));
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

fn paint_box(ui: &Ui, (rect, response): (Rect, &Response), fill: Color32, line: Color32) {
    let (corner, stroke) = (CornerRadius::same(theme::CORNER), Stroke::new(1.0, line));
    ui.painter().rect(rect, corner, fill, stroke, StrokeKind::Inside);
    focus_ring(ui, response, rect, theme::palette(ui));
}

/// A switch with a note below. Returns whether it was clicked.
pub fn switch(ui: &mut Ui, word: &str, note: &str, on: bool) -> bool {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::click());
    let painter = ui.painter();
    painter.text(rect.left_top() + vec2(0.0, 4.0), Align2::LEFT_TOP, word, theme::body(), p.text);
    painter.text(rect.left_top() + vec2(0.0, 24.0), Align2::LEFT_TOP, note, theme::note(), p.faint);
    let track =
        Rect::from_center_size(pos2(rect.right() - 22.0, rect.center().y), vec2(36.0, 20.0));
    let (fill, knob) =
        if on { (p.ribbon, track.right() - 10.0) } else { (p.faint, track.left() + 10.0) };
    painter.rect_filled(track, CornerRadius::same(10), fill);
    painter.circle_filled(pos2(knob, track.center().y), 7.0, p.card);
    focus_ring(ui, &response, track.expand(2.0), p);
    response.widget_info(|| WidgetInfo::selected(AccessRole::Switch, true, on, word));
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

/// A field with its label above. The label is the field's accessible name.
#[derive(Debug)]
pub struct Field<'f> {
    /// The words above the field.
    pub label: &'f str,
    /// The field as a target for the focus.
    pub focus: Focus,
    /// The words in the empty field.
    pub hint: &'f str,
    /// Whether to show dots instead of letters.
    pub password: bool,
    /// The space kept free at the right end.
    pub right: f32,
}

impl<'f> Field<'f> {
    /// A field without a hint.
    #[must_use]
    pub fn new(label: &'f str, focus: Focus) -> Self {
        Self { label, focus, hint: "", password: false, right: 0.0 }
    }

    /// Draws the field. The response says whether `value` changed.
    pub fn show(&self, ui: &mut Ui, value: &mut String, enabled: bool) -> Response {
        let p = theme::palette(ui);
        ui.spacing_mut().item_spacing.y = theme::GRID;
        let label = label(ui, self.label, theme::note(), p.dim);
        let id = keyboard::id(self.focus);
        let has_focus = ui.memory(|memory| memory.has_focus(id));
        let margin = Margin { left: 12, right: 12, top: 5, bottom: 5 };
        let edit = TextEdit::singleline(value)
            .id(id)
            .password(self.password)
            .hint_text(RichText::new(self.hint).color(p.faint))
            .font(theme::body())
            .text_color(if enabled { p.text } else { p.dim })
            .desired_width(ui.available_width() - 24.0 - self.right)
            .min_size(vec2(0.0, theme::FIELD_HEIGHT - 12.0))
            .align(Align2::LEFT_CENTER)
            .frame(Frame::new());
        let fill = if enabled { p.card } else { p.panel };
        let line = if has_focus { p.ribbon } else { p.line };
        let framed = theme::boxed(fill, line).inner_margin(margin).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.add_enabled(enabled, edit)
        });
        if has_focus {
            ring(ui, framed.response.rect, p);
        }
        framed.inner.labelled_by(label.id)
    }
}

/// Moves the focus to a dialog's first field when it opens.
pub fn focus_if_none(ui: &Ui, response: &Response) {
    if ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
}

/// Whether Enter was pressed to submit a form. If a button has the focus, Enter presses that instead.
pub fn enter_submits(ui: &Ui) -> bool {
    let is_free = ui.memory(|memory| memory.focused().is_none());
    (is_free || ui.ctx().text_edit_focused()) && take_plain_key(ui, Key::Enter)
}

/// A ring around what has the focus.
pub fn focus_ring(ui: &Ui, response: &Response, rect: Rect, p: Palette) {
    if response.has_focus() {
        ring(ui, rect, p);
        let corner = CornerRadius::same(theme::CORNER);
        ui.painter().rect_stroke(rect, corner, Stroke::new(1.5, p.ribbon), StrokeKind::Outside);
    }
}

/// The soft outer part of the ring around what has the focus.
pub fn ring(ui: &Ui, rect: Rect, p: Palette) {
    let soft = Stroke::new(2.0, p.ribbon.gamma_multiply(0.25));
    let corner = CornerRadius::same(theme::CORNER + 1);
    ui.painter().rect_stroke(rect, corner, soft, StrokeKind::Outside);
}

/// Gives a response its role and name for assistive technology and for tests.
pub fn name(response: &Response, role: AccessRole, label: &str) {
    response.widget_info(|| WidgetInfo::labeled(role, true, label));
}

/// Makes a `Ui` a list for assistive technology.
pub fn list(ui: &Ui, label: &str) {
    ui.ctx().accesskit_node_builder(ui.unique_id(), |node| {
        node.set_role(AccessRole::List);
        node.set_label(label);
    });
}

/// Makes a response an item of a list for assistive technology.
pub fn list_item(response: &Response, label: &str, chosen: Option<bool>) {
    name(response, AccessRole::ListItem, label);
    if let Some(chosen) = chosen {
        response.ctx.accesskit_node_builder(response.id, |node| node.set_selected(chosen));
    }
}

/// An entry of a menu, which closes the menu.
pub fn menu_entry(ui: &mut Ui, words: &str, action: Action, actions: &mut Vec<Action>) {
    if ui.button(words).clicked() {
        actions.push(action);
        ui.close();
    }
}

/// A context menu: by right click, or by the Menu key or Shift+F10 while `holder` has the focus.
pub fn context_menu(ui: &Ui, on: &Response, holder: Id, content: impl FnOnce(&mut Ui)) {
    let menu = Popup::default_response_id(on);
    let is_held = ui.memory(|memory| memory.has_focus(holder));
    if is_held && menu_key(ui) {
        Popup::open_id(ui.ctx(), menu);
    }
    // A menu opened with the mouse has a position.
    let by_key =
        Popup::is_id_open(ui.ctx(), menu) && Popup::position_of_id(ui.ctx(), menu).is_none();
    let mut popup = Popup::context_menu(on).anchor_widget(holder);
    if by_key {
        popup = popup.anchor(on.rect);
    }
    popup.show(|ui| {
        if by_key && is_held && !ui.is_sizing_pass() {
            // Goes to the first entry, as if Down had been pressed.
            ui.memory_mut(|memory| memory.move_focus(FocusDirection::Down));
        }
        content(ui);
    });
}

fn menu_key(ui: &Ui) -> bool {
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    pressed(Modifiers::NONE, Key::Menu) || pressed(Modifiers::SHIFT, Key::F10)
}

/// Makes painted text known to assistive technology.
pub fn spoken(ui: &Ui, rect: Rect, salt: impl Hash + Debug, label: &str) -> Response {
    let id = ui.scope_id().with(("spoken", salt));
    let response = ui.interact(rect, id, Sense::hover());
    name(&response, AccessRole::Label, label);
    response
}

/// A dialog with a title and a button that closes it.
pub fn dialog(
    ui: &mut Ui,
    title: &str,
    actions: &mut Vec<Action>,
    content: impl FnOnce(&mut Ui, &mut Vec<Action>),
) {
    let p = theme::palette(ui);
    let frame = Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(12))
        .shadow(ui.visuals().window_shadow)
        .inner_margin(theme::margin(6, 5));
    let space = ui.ctx().content_rect().size();
    let modal = Modal::new(Id::unique(("dialog", title))).frame(frame).backdrop_color(p.veil);
    let shown = modal.show(ui.ctx(), |ui| {
        ui.set_width(theme::DIALOG_WIDTH.min(space.x - 96.0));
        // Without this, egui gives a new dialog 400 points at most.
        ui.set_max_height(space.y);
        ui.horizontal(|ui| {
            label(ui, title, theme::title(), p.text);
            let to_right = Layout::right_to_left(Align::Center);
            ui.with_layout(to_right, |ui| {
                if close_button(ui, &format!("Close {title}")).clicked() {
                    actions.push(Action::Show(None));
                }
            });
        });
        ui.add_space(2.0 * theme::GRID);
        let height = (space.y - 140.0).max(160.0);
        ScrollArea::vertical().max_height(height).show(ui, |ui| content(ui, actions));
    });
    let escape = ui.input(|input| input.key_pressed(Key::Escape));
    if shown.backdrop_response.clicked() && !escape {
        actions.push(Action::Show(None));
    }
}

/// A button with a cross.
pub fn close_button(ui: &mut Ui, label: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(28.0), Sense::click());
    let p = theme::palette(ui);
    if response.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::same(6), p.panel);
    }
    let colour = if response.hovered() { p.text } else { p.dim };
    let arm = Rect::from_center_size(rect.center(), Vec2::splat(9.0));
    let stroke = Stroke::new(1.5, colour);
    ui.painter().line_segment([arm.left_top(), arm.right_bottom()], stroke);
    ui.painter().line_segment([arm.right_top(), arm.left_bottom()], stroke);
    focus_ring(ui, &response, rect, p);
    name(&response, AccessRole::Button, label);
    response
}

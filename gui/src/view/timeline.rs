//! The timeline: of a hundred thousand rows, only those in sight are laid out and drawn.
//!
//! The view keeps an anchor, the end or a row, rather than a scroll position: the line being read stays in
//! place when rows arrive above it or turn out taller than estimated.
//! Rows are measured before they come into sight; egui caches their layout from frame to frame.

mod body;
mod context;
mod heights;
mod notices;
mod row;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use eframe::egui::accesskit::Live;
use eframe::egui::{
    Align2, Area, CornerRadius, CursorIcon, Id, Key, Modifiers, Order, Rect, ScrollArea, Sense,
    Stroke, StrokeKind, Ui, Vec2, pos2, vec2,
};
use lanyard_protocol::ids::MessageId;

use crate::model::Model;
use crate::model::action::Action;
use crate::model::rooms::Room;
use crate::model::session::{Attention, Chat};
use crate::model::text;
use crate::model::timeline::{Entry, OrderKey, Row, RowKey, RowKind, Timeline};
use crate::view::theme;
use crate::view::timeline::context::RowContext;
use crate::view::timeline::heights::Heights;
use crate::view::widgets;

/// Rows this far out of sight are measured too, so that scrolling finds true heights.
const OVERSCAN: f64 = 600.0;
/// Older messages are loaded when less than this is left above.
const LOAD_OLDER_WITHIN: f64 = 1_200.0;
/// The space below the newest message.
const BOTTOM_SPACE: f64 = 12.0;
/// A message counts as seen when its end is in sight, with this tolerance.
const SEEN_WITHIN: f64 = 2.0;
/// The share of the window above the unread line, for what was read before.
const READ_SHARE: f64 = 0.2;

/// The timelines of all rooms, and what the one shown does in the next frame.
#[derive(Debug, Default)]
pub struct Timelines {
    /// Where it scrolls to.
    pub scroll: Option<Scroll>,
    /// Which way the keyboard walks from the message it is on.
    pub step: Option<Step>,
    rooms: BTreeMap<String, TimelineView>,
}

/// A place in the timeline to scroll to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scroll {
    /// The newest message.
    Newest,
    /// The unread line.
    Unread,
}

/// A step from one message to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the message above.
    Up,
    /// To the message below.
    Down,
}

/// What the view remembers of one room's timeline.
#[derive(Debug, Default)]
struct TimelineView {
    heights: Heights,
    /// Heights measured at this width, by row.
    measured: HashMap<RowKey, f32>,
    width: f32,
    revision: u64,
    anchor: Anchor,
    /// The last message whose end is in sight.
    last_in_sight: Option<(OrderKey, MessageId)>,
    /// The message that has the focus.
    walked: Option<RowKey>,
}

/// What stays in place when heights change.
#[derive(Debug, Clone, Copy, Default)]
enum Anchor {
    /// The newest message stays at the bottom.
    #[default]
    End,
    /// This row stays at the top, scrolled by `into` points.
    Row { at: usize, key: RowKey, into: f64 },
}

/// Draws the timeline of the room shown.
pub fn timeline_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    room: &Room,
    timelines: &mut Timelines,
    actions: &mut Vec<Action>,
) {
    let (scroll, step) = (timelines.scroll.take(), timelines.step.take());
    let view = timelines.rooms.entry(chat.current.clone()).or_default();
    let area = ui.available_rect_before_wrap();
    let mut context = RowContext::new(ui, model, chat, room, area.width() - 2.0 * theme::GUTTER);
    view.sync(&context);
    let sight = f64::from(area.height());
    page_keys(ui, view, &room.timeline, sight);
    if view.walk(ui, &context, step, sight) {
        actions.push(Action::JumpToNewest);
    }
    context.walked = view.walked;
    match scroll {
        Some(Scroll::Newest) => view.anchor = Anchor::End,
        Some(Scroll::Unread) => view.anchor_at_unread(ui, &context, sight),
        None => {}
    }
    let offset = view.settle(ui, &context, sight);
    let total = view.heights.total() + BOTTOM_SPACE;
    let forced = as_f32(offset);
    let output = ScrollArea::vertical()
        .id_salt(("timeline", &chat.current))
        .auto_shrink(false)
        .vertical_scroll_offset(forced)
        .show_viewport(ui, |ui, _| {
            widgets::list(ui, "Messages");
            ui.set_height(as_f32(total.max(sight)));
            let pad = (sight - total).max(0.0);
            // Far down, f32 places are too coarse: rows are placed relative to what is in sight.
            let top = f64::from(area.top()) + pad - offset;
            view.draw(ui, &context, offset..offset + sight, top, actions);
        });
    note_seen(view, model, room, actions);
    // Not the clamped offset, because the heights of the last frame limit that.
    let moved = f64::from(output.state.unclamped_offset().y - forced);
    if moved.abs() > 0.25 {
        view.anchor_at(offset + moved, sight, &room.timeline);
    }
    if room.has_older && !room.loading && offset < LOAD_OLDER_WITHIN {
        actions.push(Action::LoadOlder);
    }
    let at_bottom = matches!(view.anchor, Anchor::End);
    if at_bottom != room.at_bottom {
        actions.push(Action::AtBottom(at_bottom));
    }
    said_ui(ui, area, chat);
    if room.timeline.is_empty() && !room.loading {
        let may_write = room.composer.is_open(&chat.rules(model.now_ms));
        empty_ui(ui, area, chat, may_write);
    }
    if !at_bottom {
        pill_ui(ui, area, room.unread, actions);
    }
}

/// Marks what is in sight as seen, if the user is looking.
fn note_seen(view: &TimelineView, model: &Model, room: &Room, actions: &mut Vec<Action>) {
    let Some((key, id)) = view.last_in_sight else { return };
    if model.attention == Attention::Here && room.is_news(key) {
        actions.push(Action::Saw(id));
    }
}

impl TimelineView {
    /// Brings the heights in line with the rows: known ones stay, new ones are estimated.
    fn sync(&mut self, context: &RowContext<'_>) {
        let timeline = context.timeline;
        let mut unchanged = timeline.rows_unchanged_since(self.revision);
        if (self.width - context.width).abs() > 0.5 {
            self.width = context.width;
            self.measured.clear();
            unchanged = 0;
        }
        self.revision = timeline.revision();
        self.heights.truncate(unchanged);
        for row in timeline.rows().iter().skip(self.heights.len()) {
            let known = self.measured.get(&timeline.row_key(*row)).copied();
            self.heights.push(f64::from(known.unwrap_or_else(|| estimate(*row, context))));
        }
        if let Anchor::Row { at, key, .. } = &mut self.anchor
            && timeline.rows().get(*at).is_none_or(|row| timeline.row_key(*row) != *key)
        {
            // Rows came in above: find the one being read.
            match timeline.rows().iter().position(|row| timeline.row_key(*row) == *key) {
                Some(found) => *at = found,
                None => *at = (*at).min(timeline.rows().len().saturating_sub(1)),
            }
        }
    }

    /// Measures what is in sight and around it. Returns where the visible part begins.
    fn settle(&mut self, ui: &Ui, context: &RowContext<'_>, sight: f64) -> f64 {
        if let Anchor::Row { at, into, .. } = self.anchor {
            self.measure(ui, context, at..self.heights.len(), into + sight + OVERSCAN);
            self.measure(ui, context, (0..at).rev(), OVERSCAN);
            let offset = self.heights.offset_of(at) + into.min(self.heights.get(at));
            if offset + sight < self.heights.total() + BOTTOM_SPACE {
                return offset;
            }
            // Less than a window is left below.
            self.anchor = Anchor::End;
        }
        self.measure(ui, context, (0..self.heights.len()).rev(), sight + OVERSCAN);
        self.offset(sight)
    }

    /// Measures these rows, one after another, for `distance` points.
    fn measure(
        &mut self,
        ui: &Ui,
        context: &RowContext<'_>,
        rows: impl Iterator<Item = usize>,
        distance: f64,
    ) {
        let mut covered = 0.0;
        for at in rows {
            if covered >= distance {
                break;
            }
            covered += self.measure_row(ui, context, at);
        }
    }

    fn measure_row(&mut self, ui: &Ui, context: &RowContext<'_>, at: usize) -> f64 {
        let timeline = context.timeline;
        let Some(row) = timeline.rows().get(at) else { return 0.0 };
        let key = timeline.row_key(*row);
        if self.measured.contains_key(&key) {
            return self.heights.get(at);
        }
        let height = row::lay_out(ui, *row, context).height;
        self.measured.insert(key, height);
        self.heights.set(at, f64::from(height));
        f64::from(height)
    }

    fn draw(
        &mut self,
        ui: &mut Ui,
        context: &RowContext<'_>,
        sight: Range<f64>,
        top: f64,
        actions: &mut Vec<Action>,
    ) {
        let timeline = context.timeline;
        let (first, _) = self.heights.at(sight.start);
        self.last_in_sight = None;
        let left = ui.clip_rect().left().max(ui.max_rect().left()) + theme::GUTTER;
        for at in first..self.heights.len() {
            let begins = self.heights.offset_of(at);
            if begins > sight.end {
                break;
            }
            let Some(row) = timeline.rows().get(at) else { break };
            let laid = row::lay_out(ui, *row, context);
            let min = pos2(left, as_f32(top + begins).round());
            let rect = Rect::from_min_size(min, vec2(context.width, laid.height));
            if (f64::from(laid.height) - self.heights.get(at)).abs() > 0.5 {
                // A send state may have wrapped, for example. The next frame has the right height.
                self.measured.insert(timeline.row_key(*row), laid.height);
                self.heights.set(at, f64::from(laid.height));
                ui.ctx().request_repaint();
            }
            if begins + f64::from(laid.height) <= sight.end + SEEN_WITHIN
                && let Some(entry @ Entry::Message(line)) = timeline.entry(*row)
            {
                self.last_in_sight = Some((entry.key(), line.message.id));
            }
            let mut item = ui.new_child(row::item(rect, *row, context));
            item.expand_to_include_rect(rect);
            row::row_ui(&mut item, rect, laid, *row, context, actions);
        }
    }

    /// Where the visible part begins.
    fn offset(&self, sight: f64) -> f64 {
        match self.anchor {
            Anchor::End => (self.heights.total() + BOTTOM_SPACE - sight).max(0.0),
            Anchor::Row { at, into, .. } => self.heights.offset_of(at) + into,
        }
    }

    /// Scrolls to the unread line, with a little of what stands before it.
    fn anchor_at_unread(&mut self, ui: &Ui, context: &RowContext<'_>, sight: f64) {
        let rows = context.timeline.rows();
        let Some(at) = rows.iter().rposition(|row| row.kind == RowKind::New) else { return };
        self.measure(ui, context, (0..at).rev(), sight + OVERSCAN);
        self.measure(ui, context, at..self.heights.len(), sight + OVERSCAN);
        let offset = self.heights.offset_of(at) - sight * READ_SHARE;
        self.anchor_at(offset.max(0.0), sight, context.timeline);
    }

    /// Scrolls to this offset.
    fn anchor_at(&mut self, offset: f64, sight: f64, timeline: &Timeline) {
        if offset + sight >= self.heights.total() + BOTTOM_SPACE - 1.0 {
            self.anchor = Anchor::End;
            return;
        }
        let (at, into) = self.heights.at(offset);
        if let Some(row) = timeline.rows().get(at) {
            self.anchor = Anchor::Row { at, key: timeline.row_key(*row), into };
        }
    }
}

/// Guesses a height from the length of the text. It is corrected before the row comes into sight.
fn estimate(row: Row, context: &RowContext<'_>) -> f32 {
    let timeline = context.timeline;
    const LETTER_WIDTH: f32 = 7.2;
    let letters = match (row.kind, timeline.entry(row)) {
        (RowKind::Day(_) | RowKind::New, _) => return row::DIVIDER_HEIGHT,
        (RowKind::Presence { .. } | RowKind::Folded { .. } | RowKind::Late, _) => {
            return row::PRESENCE_HEIGHT;
        }
        (RowKind::News, _) => return row::NEWS_GAP + theme::NOTE_LINE_HEIGHT,
        (_, Some(Entry::Message(line))) => line.text().len(),
        (_, _) => timeline.echo(row).map_or(0, |echo| echo.shown.len()),
    };
    let width = (context.width - theme::INDENT).clamp(80.0, theme::MEASURE_MAX);
    let lines = (letters as f32 * LETTER_WIDTH / width).ceil().max(1.0);
    let above = if row.kind.has_header() { row::GROUP_GAP + theme::LINE_HEIGHT } else { 0.0 };
    above + lines * theme::LINE_HEIGHT
}

/// Page keys scroll the timeline wherever the focus is.
fn page_keys(ui: &Ui, view: &mut TimelineView, timeline: &Timeline, sight: f64) {
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    let here = view.offset(sight);
    if pressed(Modifiers::NONE, Key::PageUp) {
        view.anchor_at((here - sight * 0.9).max(0.0), sight, timeline);
    } else if pressed(Modifiers::NONE, Key::PageDown) {
        view.anchor_at(here + sight * 0.9, sight, timeline);
    } else if pressed(Modifiers::COMMAND, Key::Home) {
        view.anchor_at(0.0, sight, timeline);
    } else if pressed(Modifiers::COMMAND, Key::End) {
        view.anchor = Anchor::End;
    }
}

/// Announces the last message to a screen reader.
fn said_ui(ui: &Ui, area: Rect, chat: &Chat) {
    let Some(said) = &chat.said else { return };
    // Each message has a node of its own, so that the same words are read out twice.
    let id = Id::unique(("said", said.number));
    let place = Rect::from_min_size(area.left_bottom(), Vec2::ZERO);
    let response = ui.interact(place, id, Sense::hover());
    widgets::name(&response, eframe::egui::accesskit::Role::Status, &said.text);
    ui.ctx().accesskit_node_builder(id, |node| node.set_live(Live::Polite));
}

fn empty_ui(ui: &Ui, area: Rect, chat: &Chat, may_write: bool) {
    let p = theme::palette(ui);
    let room = text::clean_name(&chat.current);
    let mut words = if chat.is_disconnected() {
        // There may be messages that could not be fetched.
        format!("Nothing said in # {room} has reached this computer yet.")
    } else {
        format!("Nothing has been said in # {room} yet.")
    };
    if may_write {
        words.push_str(" Say hello!");
    }
    let at = area.center();
    ui.painter().text(at, Align2::CENTER_CENTER, &words, theme::body(), p.faint);
    widgets::spoken(ui, Rect::from_center_size(at, vec2(200.0, 20.0)), "empty", &words);
}

/// Draws the count of messages that arrived below, without scrolling to them.
fn pill_ui(ui: &Ui, area: Rect, below: u64, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let words = if below == 0 { "Newest".to_owned() } else { format!("{below} new") };
    let galley = ui.painter().layout_no_wrap(words.clone(), theme::strong(), p.on_ribbon);
    let size = galley.size() + vec2(46.0, 14.0);
    let at = pos2(area.center().x - size.x / 2.0, area.bottom() - size.y - 12.0);
    Area::new(Id::unique("pill")).order(Order::Middle).fixed_pos(at).show(ui.ctx(), |ui| {
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let corner = CornerRadius::same(17);
        let fill = if response.hovered() { p.ribbon_hover } else { p.ribbon };
        ui.painter().rect_filled(
            rect.translate(Vec2::new(0.0, 1.0)),
            corner,
            p.veil.gamma_multiply(0.4),
        );
        ui.painter().rect(rect, corner, fill, Stroke::NONE, StrokeKind::Inside);
        let arrow = pos2(rect.left() + 19.0, rect.center().y);
        let stroke = Stroke::new(1.5, p.on_ribbon);
        let (stem, head) = (vec2(0.0, 5.0), 4.0);
        ui.painter().line_segment([arrow - stem, arrow + stem], stroke);
        ui.painter().line_segment([arrow + stem, arrow + vec2(-head, 1.0)], stroke);
        ui.painter().line_segment([arrow + stem, arrow + vec2(head, 1.0)], stroke);
        ui.painter().galley(pos2(rect.left() + 30.0, rect.top() + 7.0), galley, p.on_ribbon);
        let spoken = if below == 0 { "Jump to newest".to_owned() } else { words.clone() };
        widgets::name(&response, eframe::egui::accesskit::Role::Button, &spoken);
        if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
            actions.push(Action::JumpToNewest);
        }
    });
}

#[expect(clippy::cast_possible_truncation, reason = "a place on the screen; f32 is egui's unit")]
fn as_f32(value: f64) -> f32 {
    value as f32
}

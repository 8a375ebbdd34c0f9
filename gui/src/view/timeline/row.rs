//! A row of the timeline. It is laid out first, so that its height is known, and then drawn.

use std::sync::Arc;

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::text_selection::LabelSelectionState;
use eframe::egui::{
    Align2, CornerRadius, CursorIcon, Galley, Id, Pos2, Rect, Response, Sense, Stroke, StrokeKind,
    Ui, UiBuilder, Vec2, pos2, vec2,
};
use lanyard_protocol::ids::{AccountId, Role};

use crate::model::action::Action;
use crate::model::markup::{self, SpanKind};
use crate::model::session::role_badge;
use crate::model::text;
use crate::model::timeline::{Entry, Row, RowKind, Timeline};
use crate::view::dialogs::moderation::{self, Subject};
use crate::view::theme::{self, Palette};
use crate::view::timeline::body::{Body, lay_out_body};
use crate::view::timeline::context::RowContext;
use crate::view::timeline::notices::{
    divider_ui, folded_ui, late_ui, lay_out_news, news_ui, presence_ui,
};
use crate::view::widgets;

/// The space above a message with a header.
pub(super) const GROUP_GAP: f32 = 12.0;
/// The height of a day divider and of the unread line.
pub(super) const DIVIDER_HEIGHT: f32 = 34.0;
/// The height of a row of folded notices or messages.
pub(super) const PRESENCE_HEIGHT: f32 = 32.0;
/// The space around a change of the rules.
pub(super) const NEWS_GAP: f32 = 14.0;
/// From the top of a line of text to the underline of a link.
const UNDERLINE: f32 = 17.5;

/// The row as an item of the list. Only the one that has the focus is a stop for the Tab key.
pub(super) fn item(rect: Rect, row: Row, context: &RowContext<'_>) -> UiBuilder {
    let key = context.timeline.row_key(row);
    let is_walked = context.walked == Some(key);
    let item = UiBuilder::new()
        .scope_id(context.item_id(key))
        .max_rect(rect)
        .sense(if is_walked { Sense::FOCUSABLE } else { Sense::hover() })
        .accessibility_role(AccessRole::ListItem);
    match context.timeline.entry(row) {
        Some(Entry::Message(line)) if matches!(row.kind, RowKind::Message { .. }) => {
            let author = text::clean_name(&line.message.nickname);
            let time = text::clock(line.message.sent_at, &context.model.zone);
            item.accessibility_label(format!("{author}, {time}: {}", line.text()))
        }
        _ => item,
    }
}

/// A row with its text laid out.
#[derive(Debug)]
pub(super) struct Laid<'t> {
    /// The height of the row.
    pub(super) height: f32,
    note: Option<Arc<Galley>>,
    body: Option<Body<'t>>,
}

impl Laid<'_> {
    fn fixed(height: f32) -> Self {
        Self { height, note: None, body: None }
    }
}

/// Lays out a row.
pub(super) fn lay_out<'m>(ui: &Ui, row: Row, context: &RowContext<'m>) -> Laid<'m> {
    let timeline: &'m Timeline = context.timeline;
    let header = match row.kind {
        RowKind::Day(_) | RowKind::New => return Laid::fixed(DIVIDER_HEIGHT),
        RowKind::Presence { .. } | RowKind::Folded { .. } | RowKind::Late => {
            return Laid::fixed(PRESENCE_HEIGHT);
        }
        RowKind::News => {
            let note = match timeline.entry(row) {
                Some(Entry::News(news)) => lay_out_news(ui, news, context),
                _ => return Laid::fixed(PRESENCE_HEIGHT),
            };
            let height = note.size().y + NEWS_GAP;
            return Laid { height, note: Some(note), body: None };
        }
        RowKind::Message { header } | RowKind::Echo { header } => header,
    };
    let (text, state) = match timeline.entry(row).and_then(Entry::line) {
        Some(line) => (line.text(), context.state_text(line)),
        None => {
            let text = timeline.echo(row).map_or("", |echo| echo.shown.as_str());
            (text, Some("waiting…".to_owned()))
        }
    };
    let body = lay_out_body(ui, text, state, context);
    let state_bottom = body.state.as_ref().map_or(0.0, |(galley, at)| at.y + galley.size().y);
    let above = if header { GROUP_GAP + theme::LINE_HEIGHT } else { 0.0 };
    Laid { note: None, height: above + body.galley().size().y.max(state_bottom), body: Some(body) }
}

/// Draws a row that has been laid out.
pub(super) fn row_ui(
    ui: &mut Ui,
    rect: Rect,
    laid: Laid<'_>,
    row: Row,
    context: &RowContext<'_>,
    actions: &mut Vec<Action>,
) {
    let p = context.palette;
    let (model, timeline) = (context.model, context.timeline);
    let body = match (row.kind, laid.body) {
        (RowKind::Day(date), _) => {
            let name = text::day_name(date, model.now_ms, &model.zone);
            return divider_ui(ui, rect, &name, p.line, p.faint);
        }
        (RowKind::New, _) => return divider_ui(ui, rect, "New", p.red.gamma_multiply(0.6), p.red),
        (RowKind::Presence { count }, _) => {
            return presence_ui(ui, rect, timeline.presence(row, count), context);
        }
        (RowKind::Late, _) => return late_ui(ui, rect, row, context),
        (RowKind::Folded { count }, _) => {
            return folded_ui(ui, rect, row, count, context, actions);
        }
        (RowKind::News, _) => {
            if let (Some(note), Some(Entry::News(news))) = (laid.note, timeline.entry(row)) {
                news_ui(ui, rect, note, news, context);
            }
            return;
        }
        (RowKind::Message { .. } | RowKind::Echo { .. }, Some(body)) => body,
        (RowKind::Message { .. } | RowKind::Echo { .. }, None) => return,
    };
    let header = row.kind.has_header();
    let id = ui.scope_id().with(("row", timeline.row_key(row)));
    let author = Author::of(row, context);
    if ui.memory(|memory| memory.has_focus(ui.unique_id())) {
        walked_ui(ui, rect, header, p);
    }
    if header {
        header_ui(ui, rect, id, &author, context);
    }
    let top = if header { rect.top() + GROUP_GAP + theme::LINE_HEIGHT } else { rect.top() };
    let at = pos2(rect.left() + theme::INDENT, top);
    if !header && ui.rect_contains_pointer(rect) {
        let time = text::clock(author.sent_at, &model.zone);
        let place = pos2(at.x - 12.0, top + theme::LINE_HEIGHT / 2.0);
        ui.painter().text(place, Align2::RIGHT_CENTER, time, theme::note(), p.faint);
    }
    body_ui(ui, (at, id), body, &author, context, actions);
}

/// Draws the ground of the message that has the focus.
fn walked_ui(ui: &Ui, rect: Rect, header: bool, p: Palette) {
    let top = if header { rect.top() + GROUP_GAP } else { rect.top() };
    let around = Rect::from_min_max(pos2(rect.left(), top), rect.max).expand2(vec2(12.0, 4.0));
    let corner = CornerRadius::same(theme::CORNER);
    ui.painter().rect(around, corner, p.panel, Stroke::new(1.5, p.ribbon), StrokeKind::Inside);
}

/// The author of a row.
struct Author<'a> {
    account: AccountId,
    nickname: String,
    username: &'a str,
    role: Role,
    sent_at: u64,
    folded: bool,
    mentions_me: bool,
}

impl<'a> Author<'a> {
    fn of(row: Row, context: &'a RowContext<'_>) -> Self {
        if let Some(line) = context.timeline.entry(row).and_then(Entry::line) {
            let message = &line.message;
            return Self {
                account: message.account,
                nickname: text::clean_name(&message.nickname),
                username: &message.username,
                role: message.role,
                sent_at: message.sent_at,
                folded: message.folded,
                mentions_me: line.mentions_me,
            };
        }
        let me = &context.chat.status.me;
        Self {
            account: me.account,
            nickname: text::clean_name(&me.nickname),
            username: &me.username,
            role: me.role,
            sent_at: context.timeline.echo(row).map_or(0, |echo| echo.at),
            folded: false,
            mentions_me: false,
        }
    }
}

fn header_ui(ui: &Ui, rect: Rect, id: Id, author: &Author<'_>, context: &RowContext<'_>) {
    let p = context.palette;
    let top = rect.top() + GROUP_GAP;
    let avatar = Rect::from_min_size(pos2(rect.left(), top + 2.0), Vec2::splat(theme::AVATAR));
    widgets::avatar(ui.painter(), avatar, author.account, &author.nickname);
    let colour = theme::account_colour(author.account, context.dark_mode);
    let left = rect.left() + theme::INDENT;
    let name = widgets::elided(ui, &author.nickname, theme::strong(), colour, rect.width() * 0.5);
    let name_rect = Rect::from_min_size(pos2(left, top), vec2(name.size().x, theme::LINE_HEIGHT));
    let response = ui.interact(name_rect, id.with("name"), select_sense());
    widgets::name(&response, AccessRole::Label, &author.nickname);
    let middle = name_rect.center().y;
    let place = pos2(left, middle - name.size().y / 2.0);
    LabelSelectionState::label_text_selection(ui, &response, place, name, colour, Stroke::NONE);
    response.on_hover_text(format!("@{}", text::clean_name(author.username)));
    let mut x = name_rect.right() + 5.0;
    if let Some(badge) = role_badge(author.role) {
        x += widgets::badge(ui.painter(), pos2(x, middle), badge, p) + 5.0;
    }
    let time = text::clock(author.sent_at, &context.model.zone);
    let words = if author.folded { format!("{time} · arrived later") } else { time };
    let laid = ui.painter().layout_no_wrap(words.clone(), theme::note(), p.faint);
    let place = Rect::from_min_size(pos2(x, middle - laid.size().y / 2.0), laid.size());
    widgets::paint_middle(ui.painter(), pos2(x, middle + 0.5), laid, p.faint);
    let badge = role_badge(author.role).map_or_else(String::new, |badge| format!("{badge}, "));
    widgets::spoken(ui, place, id.with("when"), &format!("{badge}{words}"));
}

fn body_ui(
    ui: &Ui,
    (at, id): (Pos2, Id),
    body: Body<'_>,
    author: &Author<'_>,
    context: &RowContext<'_>,
    actions: &mut Vec<Action>,
) {
    let p = context.palette;
    let rect = Rect::from_min_size(at, body.galley().size());
    if author.mentions_me {
        let around = rect.expand2(vec2(8.0, 1.0));
        ui.painter().rect_filled(around, CornerRadius::same(6), p.amber_soft);
    }
    let response = ui.interact(rect, id, select_sense());
    widgets::name(&response, AccessRole::Label, body.text);
    let galley = Arc::clone(body.galley());
    LabelSelectionState::label_text_selection(ui, &response, at, galley, p.text, Stroke::NONE);
    for (number, span) in body.spans.iter().enumerate() {
        if let SpanKind::Link { url } = &span.kind {
            let places = body.places_of(span.range.clone(), at);
            link_ui(ui, id.with(("link", number)), &places, url, actions);
        }
    }
    message_menu_ui(ui, &response, body.text, author, context, actions);
    if let Some((note, offset)) = body.state {
        let place = Rect::from_min_size(at + offset, note.size());
        widgets::spoken(ui, place, id, note.text());
        ui.painter().galley(place.min, note, p.faint);
    }
}

fn message_menu_ui(
    ui: &Ui,
    response: &Response,
    text: &str,
    author: &Author<'_>,
    context: &RowContext<'_>,
    actions: &mut Vec<Action>,
) {
    widgets::context_menu(ui, response, ui.unique_id(), |ui| {
        widgets::menu_entry(ui, "Copy message", Action::Copy(text.to_owned()), actions);
        let is_me = author.account == context.chat.status.me.account;
        let words = format!("Mention @{}", text::clean_name(author.username));
        if !is_me {
            let mention = Action::Mention(author.username.to_owned());
            widgets::menu_entry(ui, &words, mention, actions);
        }
        let subject = Subject {
            account: author.account,
            username: author.username,
            nickname: &author.nickname,
            role: author.role,
        };
        moderation::menu_ui(ui, context.chat, subject, actions);
    });
}

fn link_ui(ui: &Ui, id: Id, places: &[Rect], url: &str, actions: &mut Vec<Action>) {
    for (number, place) in places.iter().enumerate() {
        let response = ui.interact(*place, id.with(number), Sense::click());
        // egui underlines at the bottom of the line height, too far below the letters.
        let colour = theme::palette(ui).ribbon.gamma_multiply(0.7);
        ui.painter().hline(place.x_range(), place.top() + UNDERLINE, Stroke::new(1.0, colour));
        widgets::name(&response, AccessRole::Link, url);
        widgets::focus_ring(ui, &response, *place, theme::palette(ui));
        let opens = format!("Opens {}\n{}", markup::real_host(url), text::elide(url, 120));
        let response = response.on_hover_text(opens).on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            actions.push(Action::OpenLink(url.to_owned()));
        }
    }
}

/// Text that can be selected with the mouse, but is not a stop for the Tab key.
fn select_sense() -> Sense {
    Sense::click_and_drag() - Sense::FOCUSABLE
}

//! The rooms on the left with their unread counts, and the user at the bottom.

use eframe::egui::{
    Align, CornerRadius, CursorIcon, Layout, Rect, ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2,
    pos2, vec2,
};

use crate::model::action::Action;
use crate::model::session::Chat;
use crate::model::text;
use crate::view::chat::menu;
use crate::view::theme;
use crate::view::widgets;

const ROOM_HEIGHT: f32 = 32.0;
const CARD_HEIGHT: f32 = 54.0;
const EDGE: f32 = 10.0;

pub(super) fn rooms_ui(ui: &mut Ui, chat: &Chat, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let rect = ui.max_rect();
    ui.spacing_mut().item_spacing = vec2(0.0, 2.0);
    ui.add_space(10.0);
    ui.horizontal(|ui| {
        ui.add_space(18.0);
        let name = text::clean_name(&chat.status.realm_name);
        let galley = widgets::elided(ui, &name, theme::title(), p.text, rect.width() - 70.0);
        ui.label(galley).on_hover_text(&name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(8.0);
            menu::menu_ui(ui, chat, actions);
        });
    });
    ui.add_space(12.0);
    ui.horizontal(|ui| {
        ui.add_space(18.0);
        widgets::label(ui, "Rooms", theme::note(), p.faint);
    });
    ui.add_space(4.0);
    let height = rect.bottom() - ui.cursor().top() - CARD_HEIGHT - 2.0 * EDGE - 6.0;
    ScrollArea::vertical().max_height(height).auto_shrink([false, true]).show(ui, |ui| {
        widgets::list(ui, "List of rooms");
        for room in &chat.status.rooms {
            room_ui(ui, chat, room, actions);
        }
    });
    me_ui(ui, rect, chat);
}

fn room_ui(ui: &mut Ui, chat: &Chat, room: &lanyard_node::status::Room, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let (full, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), ROOM_HEIGHT), Sense::click());
    let rect = full.shrink2(vec2(EDGE, 0.0));
    let selected = room.name == chat.current;
    let corner = CornerRadius::same(theme::CORNER);
    if selected {
        ui.painter().rect_filled(rect, corner, p.ribbon_soft);
    } else if response.hovered() {
        ui.painter().rect_filled(rect, corner, p.line.gamma_multiply(0.6));
    }
    let state = chat.rooms.get(&room.name);
    let unread = state.map_or(0, |room| room.unread);
    let (font, colour) = match (selected || unread > 0, room.archived) {
        (true, _) => (theme::strong(), p.text),
        // Faint letters cannot be read on the fill under the pointer.
        (false, true) if !response.hovered() => (theme::body(), p.faint),
        (false, _) => (theme::body(), p.dim),
    };
    let name = format!("# {}", text::clean_name(&room.name));
    let galley = widgets::elided(ui, &name, font, colour, rect.width() - 52.0);
    let middle = rect.center().y;
    widgets::paint_middle(ui.painter(), pos2(rect.left() + 8.0, middle), galley, colour);
    // The room shown needs no count: the window's title has it while the user looks elsewhere.
    if unread > 0 && !selected {
        let mentioned = state.is_some_and(|room| room.mentioned);
        unread_ui(ui, pos2(rect.right() - 8.0, middle), unread, mentioned);
    }
    widgets::focus_ring(ui, &response, rect, p);
    let spoken = if unread > 0 { format!("{name}, {unread} unread") } else { name };
    widgets::list_item(&response, &spoken, Some(selected));
    let topic = text::clean_line(&room.topic);
    let mut response = response.on_hover_cursor(CursorIcon::PointingHand);
    if !topic.is_empty() {
        response = response.on_hover_text(topic);
    }
    if response.clicked() {
        actions.push(Action::OpenRoom(room.name.clone()));
    }
}

fn unread_ui(ui: &Ui, right_middle: eframe::egui::Pos2, unread: u64, mentioned: bool) {
    let p = theme::palette(ui);
    let count = if unread > 99 { "99+".to_owned() } else { unread.to_string() };
    let words = if mentioned { format!("@ {count}") } else { count };
    let (fill, colour) = if mentioned { (p.amber, p.background) } else { (p.ribbon, p.on_ribbon) };
    let galley = ui.painter().layout_no_wrap(words, theme::note_strong(), colour);
    let size = vec2((galley.size().x + 12.0).max(20.0), 20.0);
    let min = pos2(right_middle.x - size.x, right_middle.y - size.y / 2.0);
    let rect = Rect::from_min_size(min, size);
    ui.painter().rect_filled(rect, CornerRadius::same(6), fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
}

fn me_ui(ui: &Ui, panel: Rect, chat: &Chat) {
    let p = theme::palette(ui);
    let me = &chat.status.me;
    let min = pos2(panel.left() + EDGE, panel.bottom() - EDGE - 4.0 - CARD_HEIGHT);
    let rect = Rect::from_min_size(min, vec2(panel.width() - 2.0 * EDGE - 1.0, CARD_HEIGHT));
    let corner = CornerRadius::same(theme::AVATAR_CORNER);
    ui.painter().rect(rect, corner, p.card, Stroke::new(1.0, p.line), StrokeKind::Inside);
    let avatar = Rect::from_min_size(rect.min + vec2(9.0, 9.0), Vec2::splat(theme::AVATAR));
    let nickname = text::clean_name(&me.nickname);
    widgets::avatar(ui.painter(), avatar, me.account, &nickname);
    let left = avatar.right() + 10.0;
    let width = rect.right() - left - 8.0;
    let name = widgets::elided(ui, &nickname, theme::strong(), p.text, width);
    ui.painter().galley(pos2(left, rect.top() + 9.0), name, p.text);
    let detail = format!("{} · {}", text::clean_name(&me.username), me.role.as_str());
    let detail = widgets::elided(ui, &detail, theme::note(), p.faint, width);
    ui.painter().galley_with_override_text_color(pos2(left, rect.top() + 29.0), detail, p.faint);
    widgets::spoken(ui, rect, "me", &format!("Signed in as {nickname}"));
}

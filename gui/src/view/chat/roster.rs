//! The roster on the right: a line for each person online, and for those who left.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{
    CornerRadius, CursorIcon, Frame, Id, Popup, Pos2, Rect, Response, RichText, ScrollArea, Sense,
    TextEdit, Ui, Vec2, pos2, vec2,
};
use lanyard_protocol::time::MINUTE_MS;

use crate::model::Model;
use crate::model::action::Action;
use crate::model::roster::{Away, FILTER_FROM, Gone, Member};
use crate::model::session::{Chat, role_badge};
use crate::model::text;
use crate::view::dialogs::moderation::{self, Subject};
use crate::view::theme;
use crate::view::widgets;

const EDGE: f32 = 14.0;
const LINE: f32 = 40.0;
const TALL_LINE: f32 = 48.0;
const DOTS_SIDE: f32 = 24.0;
const YOU: &str = "(you)";

pub(super) fn roster_ui(ui: &mut Ui, model: &Model, chat: &Chat, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
    let members = chat.members();
    let everybody = chat.status.roster.len();
    ui.add_space(11.0);
    section_ui(ui, &format!("Online · {everybody}"));
    if everybody >= FILTER_FROM || !chat.roster.filter.is_empty() {
        filter_ui(ui, &chat.roster.filter, actions);
    }
    ui.add_space(8.0);
    let left = chat.roster.left(&chat.status.roster);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        widgets::list(ui, "List of people");
        // Rows have two heights, so those out of sight are allocated, but not drawn.
        for member in &members {
            member_ui(ui, model, chat, member, actions);
        }
        if members.is_empty() {
            ui.horizontal(|ui| {
                ui.add_space(EDGE);
                widgets::label(ui, "Nobody has that name", theme::note(), p.faint);
            });
        }
        if !left.is_empty() {
            ui.add_space(14.0);
            section_ui(ui, &format!("Left · {}", left.len()));
            ui.add_space(6.0);
            for gone in left {
                gone_ui(ui, model, gone);
            }
        }
        ui.add_space(12.0);
    });
}

fn section_ui(ui: &mut Ui, words: &str) {
    let p = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.add_space(EDGE);
        widgets::label(ui, words, theme::note(), p.faint);
    });
}

fn filter_ui(ui: &mut Ui, filter: &str, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let mut value = filter.to_owned();
    ui.add_space(8.0);
    let frame = theme::boxed(p.card, p.line).outer_margin(theme::margin(3, 0));
    frame.inner_margin(theme::margin(2, 1)).show(ui, |ui| {
        let edit = TextEdit::singleline(&mut value)
            .id(Id::unique("roster-filter"))
            .hint_text(RichText::new("Filter people").color(p.faint))
            .frame(Frame::new())
            .desired_width(f32::INFINITY);
        let response = ui.add(edit).accessible_name("Filter people");
        if response.changed() {
            actions.push(Action::FilterRoster(value));
        }
    });
}

fn member_ui(ui: &mut Ui, model: &Model, chat: &Chat, member: &Member, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let now = chat.realm_now(model.now_ms);
    let note = match member.away {
        Some(away) => Some(away_words(away, now)),
        None if member.devices > 1 => Some(format!("{} devices", member.devices)),
        None => None,
    };
    let height = if note.is_some() { TALL_LINE } else { LINE };
    // A click on the user's own line does nothing, but a right click opens the menu.
    let sense = if member.is_me { Sense::click() - Sense::FOCUSABLE } else { Sense::click() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), sense);
    if !ui.is_rect_visible(rect) {
        return;
    }
    if response.hovered() {
        let inside = rect.shrink2(vec2(6.0, 2.0));
        let corner = CornerRadius::same(theme::CORNER);
        ui.painter().rect_filled(inside, corner, p.line.gamma_multiply(0.6));
    }
    let middle = rect.center().y;
    let min = pos2(rect.left() + EDGE, middle - theme::SMALL_AVATAR / 2.0);
    let avatar = Rect::from_min_size(min, Vec2::splat(theme::SMALL_AVATAR));
    widgets::avatar(ui.painter(), avatar, member.account, &member.nickname);
    let left = avatar.right() + 10.0;
    let name_middle = if note.is_some() { middle - 8.0 } else { middle };
    name_ui(ui, member, pos2(left, name_middle), rect.right() - 30.0 - left);
    if let Some(note) = &note {
        let galley = ui.painter().layout_no_wrap(note.clone(), theme::note(), p.dim);
        widgets::paint_middle(ui.painter(), pos2(left, middle + 9.5), galley, p.dim);
    }
    let dot = if member.away.is_some() { p.amber } else { p.online };
    ui.painter().circle_filled(pos2(rect.right() - 16.0, middle), 4.0, dot);
    widgets::focus_ring(ui, &response, rect.shrink2(vec2(6.0, 2.0)), p);
    let away = note.as_deref().filter(|_| member.away.is_some());
    widgets::list_item(&response, &spoken(member, away), None);
    let since = text::moment(member.since, now, &model.zone);
    let hover = format!("@{}\n{}, here since {since}", member.username, member.role.as_str());
    let mut response = response.on_hover_text(hover);
    if !member.is_me {
        response = response.on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            actions.push(Action::Mention(member.username.clone()));
        }
    }
    person_menus_ui(ui, chat, rect, &response, member, actions);
}

/// The name, elided so that `(you)` and the badge fit after it.
fn name_ui(ui: &Ui, member: &Member, left_middle: Pos2, width: f32) {
    let p = theme::palette(ui);
    let badge = role_badge(member.role);
    let you = member.is_me.then(|| widgets::elided(ui, YOU, theme::body(), p.dim, width));
    let taken = badge.map_or(0.0, |word| widgets::badge_width(ui, word) + 6.0)
        + you.as_ref().map_or(0.0, |you| you.size().x + 5.0);
    let name = widgets::elided(ui, &member.nickname, theme::body(), p.text, width - taken);
    let mut at = left_middle;
    let after_name = name.size().x + 5.0;
    widgets::paint_middle(ui.painter(), at, name, p.text);
    at.x += after_name;
    if let Some(you) = you {
        let after_you = you.size().x + 5.0;
        widgets::paint_middle(ui.painter(), at, you, p.dim);
        at.x += after_you;
    }
    if let Some(word) = badge {
        widgets::badge(ui.painter(), at, word, p);
    }
}

fn away_words(away: Away, now: u64) -> String {
    match away.since {
        Some(since) if now.saturating_sub(since) >= MINUTE_MS => {
            format!("away {}", text::duration(now.saturating_sub(since)))
        }
        Some(_) | None => "away".to_owned(),
    }
}

fn spoken(member: &Member, away: Option<&str>) -> String {
    let name =
        if member.is_me { format!("{} {YOU}", member.nickname) } else { member.nickname.clone() };
    let words = [Some(name.as_str()), role_badge(member.role), away];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The menu of a person: by right click and, for moderators, by a button that the keyboard can reach.
fn person_menus_ui(
    ui: &Ui,
    chat: &Chat,
    rect: Rect,
    row: &Response,
    member: &Member,
    actions: &mut Vec<Action>,
) {
    let subject = Subject {
        account: member.account,
        username: &member.username,
        nickname: &member.nickname,
        role: member.role,
    };
    let mut menu = |ui: &mut Ui| {
        if !member.is_me && ui.button(format!("Mention @{}", member.username)).clicked() {
            actions.push(Action::Mention(member.username.clone()));
            ui.close();
        }
        widgets::menu_entry(ui, "Copy username", Action::Copy(member.username.clone()), actions);
        moderation::menu_ui(ui, chat, subject, actions);
    };
    widgets::context_menu(ui, row, row.id, &mut menu);
    if !moderation::may_act_on(chat, subject) {
        return;
    }
    let p = theme::palette(ui);
    let place =
        Rect::from_center_size(pos2(rect.right() - 38.0, rect.center().y), Vec2::splat(DOTS_SIDE));
    let id = ui.scope_id().with(("acts", member.account.0));
    let button = ui.interact(place, id, Sense::click());
    if row.hovered() || button.hovered() || button.has_focus() {
        for step in [-5.0, 0.0, 5.0] {
            ui.painter().circle_filled(place.center() + vec2(step, 0.0), 1.4, p.dim);
        }
    }
    widgets::focus_ring(ui, &button, place, p);
    widgets::name(&button, AccessRole::Button, &format!("Actions for {}", member.nickname));
    Popup::menu(&button).show(menu);
}

fn gone_ui(ui: &mut Ui, model: &Model, gone: &Gone) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), TALL_LINE), Sense::hover());
    if !ui.is_rect_visible(rect) {
        return;
    }
    let middle = rect.center().y;
    let min = pos2(rect.left() + EDGE, middle - theme::SMALL_AVATAR / 2.0);
    let avatar = Rect::from_min_size(min, Vec2::splat(theme::SMALL_AVATAR));
    widgets::faded_avatar(ui.painter(), avatar, &gone.nickname, p);
    let left = avatar.right() + 10.0;
    let width = rect.right() - EDGE - left;
    let name = widgets::elided(ui, &gone.nickname, theme::body(), p.faint, width);
    widgets::paint_middle(ui.painter(), pos2(left, middle - 8.0), name, p.faint);
    let when = format!("left {}", text::clock(gone.at, &model.zone));
    let when_laid = widgets::elided(ui, &when, theme::note(), p.faint, width);
    widgets::paint_middle(ui.painter(), pos2(left, middle + 9.5), when_laid, p.faint);
    let words = format!("{}, {when}", gone.nickname);
    let response = widgets::spoken(ui, rect, &gone.username, &words);
    widgets::list_item(&response, &words, None);
    response.on_hover_text(format!("@{}", gone.username));
}

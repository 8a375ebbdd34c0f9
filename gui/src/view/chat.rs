//! The inside of a realm: rooms, timeline and roster side by side. Narrow windows fold the sides away.

mod composer;
mod menu;
mod rooms;
mod roster;
mod status_bar;

use eframe::egui::{
    Align, CentralPanel, Color32, Frame, Layout, Margin, Panel as EguiPanel, Stroke, Ui, vec2,
};

use crate::model::Model;
use crate::model::action::{Action, Panel};
use crate::model::session::Chat;
use crate::model::text;
use crate::view::theme::Palette;
use crate::view::timeline::Timelines;
use crate::view::{theme, timeline, widgets};

/// Draws the inside of a realm.
pub fn chat_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    timelines: &mut Timelines,
    actions: &mut Vec<Action>,
) {
    let p = theme::palette(ui);
    let wide = ui.available_width() >= theme::FOLD_BELOW;
    let many_rooms = chat.rooms.len() > 1;
    let rooms_shown = many_rooms && (wide || model.unfolded == Some(Panel::Rooms));
    let roster_shown = wide || model.unfolded == Some(Panel::Roster);
    if rooms_shown {
        fixed(EguiPanel::left("rooms"), theme::ROOMS_WIDTH, p.panel).show(ui, |ui| {
            edge(ui, false, p);
            rooms::rooms_ui(ui, chat, actions);
        });
    }
    if roster_shown {
        fixed(EguiPanel::right("roster"), theme::ROSTER_WIDTH, p.panel).show(ui, |ui| {
            edge(ui, true, p);
            roster::roster_ui(ui, model, chat, actions);
        });
    }
    fixed(EguiPanel::bottom("status"), theme::STATUS_HEIGHT, p.panel).show(ui, |ui| {
        let top = ui.max_rect().top() + 0.5;
        ui.painter().hline(ui.max_rect().x_range(), top, Stroke::new(1.0, p.line));
        status_bar::status_ui(ui, model, chat, actions);
    });
    fixed(EguiPanel::top("header"), theme::HEADER_HEIGHT, p.background).show(ui, |ui| {
        let bottom = ui.max_rect().bottom() - 0.5;
        ui.painter().hline(ui.max_rect().x_range(), bottom, Stroke::new(1.0, p.line));
        header_ui(ui, model, chat, wide, actions);
    });
    composer::composer_ui(ui, model, chat, actions);
    notices_ui(ui, chat, p, actions);
    CentralPanel::default().frame(Frame::new().fill(p.background)).show(ui, |ui| {
        if let Some(room) = chat.room() {
            timeline::timeline_ui(ui, model, chat, room, timelines, actions);
        }
    });
}

/// A panel that keeps its size.
fn fixed(panel: EguiPanel, size: f32, fill: Color32) -> EguiPanel {
    let frame = Frame::new().fill(fill);
    panel.exact_size(size).resizable(false).show_separator_line(false).frame(frame)
}

/// The line between a side panel and the middle.
fn edge(ui: &Ui, on_the_left: bool, p: Palette) {
    let rect = ui.max_rect();
    let x = if on_the_left { rect.left() + 0.5 } else { rect.right() - 0.5 };
    ui.painter().vline(x, rect.y_range(), Stroke::new(1.0, p.line));
}

fn header_ui(ui: &mut Ui, model: &Model, chat: &Chat, wide: bool, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let many_rooms = chat.rooms.len() > 1;
    let rect = ui.max_rect();
    let inner = rect.shrink2(vec2(theme::GUTTER, 0.0));
    let builder =
        eframe::egui::UiBuilder::new().max_rect(inner).layout(Layout::left_to_right(Align::Center));
    ui.scope_builder(builder, |ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        if many_rooms && !wide {
            let open = model.unfolded == Some(Panel::Rooms);
            let unread = chat.unread();
            let words = if unread > 0 { format!("Rooms ({unread})") } else { "Rooms".to_owned() };
            if widgets::quiet_button(ui, &words).clicked() {
                actions.push(Action::Fold(Panel::Rooms, !open));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if !many_rooms || !wide {
                menu::menu_ui(ui, chat, actions);
            }
            if !wide {
                let open = model.unfolded == Some(Panel::Roster);
                let people = chat.status.roster.len();
                if widgets::quiet_button(ui, &format!("People ({people})")).clicked() {
                    actions.push(Action::Fold(Panel::Roster, !open));
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| room_title_ui(ui, chat, p));
        });
    });
}

fn room_title_ui(ui: &mut Ui, chat: &Chat, p: Palette) {
    let room = text::clean_name(&chat.current);
    // Without a rooms panel, the place's name is shown here.
    let name = if chat.rooms.len() > 1 {
        format!("# {room}")
    } else {
        text::clean_name(&chat.status.realm_name)
    };
    widgets::label(ui, name, theme::title(), p.text);
    let topic = chat.room_policy().map(|room| text::clean_line(&room.topic)).unwrap_or_default();
    if !topic.is_empty() {
        ui.add_space(4.0);
        let width = ui.available_width();
        let galley = widgets::elided(ui, &topic, theme::body(), p.dim, width);
        ui.label(galley).on_hover_text(&topic);
    }
}

/// Notices above the timeline, until they are dismissed.
fn notices_ui(ui: &mut Ui, chat: &Chat, p: Palette, actions: &mut Vec<Action>) {
    let mut bars: Vec<(Option<u64>, String)> =
        chat.notices.iter().map(|notice| (Some(notice.number), notice.text.clone())).collect();
    if chat.entered_offline && !chat.status.rendezvous_online {
        let words =
            "The login node does not answer. You are in because this computer is still signed in."
                .to_owned();
        bars.insert(0, (None, words));
    }
    match &chat.ended {
        Some(Some(why)) => bars.insert(0, (None, text::clean_line(&why.reason))),
        Some(None) => {
            bars.insert(0, (None, "The connection has ended. Sign out and in again.".to_owned()));
        }
        None => {}
    }
    if bars.is_empty() {
        return;
    }
    let frame = Frame::new().fill(p.amber_soft).inner_margin(Margin::symmetric(20, 4));
    EguiPanel::top("notices").show_separator_line(false).resizable(false).frame(frame).show(
        ui,
        |ui| {
            for (number, words) in bars {
                ui.horizontal(|ui| {
                    let width = ui.available_width() - 40.0;
                    let galley = widgets::wrapped(ui, &words, theme::body(), p.text, width);
                    ui.label(galley);
                    let Some(number) = number else { return };
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        if widgets::close_button(ui, "Dismiss notice").clicked() {
                            actions.push(Action::DismissNotice(number));
                        }
                    });
                });
            }
        },
    );
}

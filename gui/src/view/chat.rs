//! The chat window's frame: rooms, timeline and roster side by side; narrow windows fold the sides.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{
    Align, CentralPanel, CornerRadius, Frame, Layout, Margin, Panel as EguiPanel, Popup, Response,
    RichText, Sense, Stroke, Ui, Vec2, pos2, vec2,
};

use crate::action::{Action, Dialog, Panel};
use crate::model::Model;
use crate::model::session::Chat;
use crate::text;
use crate::theme::{self, Palette};
use crate::view::{ViewState, composer, rooms, roster, status_bar, timeline, widgets};

/// Draws the inside of a realm.
pub fn chat_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    state: &mut ViewState,
    actions: &mut Vec<Action>,
) {
    let p = theme::palette(ui);
    let wide = ui.available_width() >= theme::FOLD_BELOW;
    let many_rooms = chat.rooms.len() > 1;
    let rooms_shown = many_rooms && (wide || model.unfolded == Some(Panel::Rooms));
    let roster_shown = wide || model.unfolded == Some(Panel::Roster);
    let side = |left: bool, width: f32| {
        let panel = if left { EguiPanel::left("rooms") } else { EguiPanel::right("roster") };
        let frame = Frame::new().fill(p.panel);
        panel.exact_size(width).resizable(false).show_separator_line(false).frame(frame)
    };
    if rooms_shown {
        side(true, theme::ROOMS_WIDTH).show(ui, |ui| {
            edge(ui, false, p);
            rooms::rooms_ui(ui, chat, actions);
        });
    }
    if roster_shown {
        side(false, theme::ROSTER_WIDTH).show(ui, |ui| {
            edge(ui, true, p);
            roster::roster_ui(ui, model, chat, actions);
        });
    }
    strip("status", false, theme::STATUS_HEIGHT, p.panel).show(ui, |ui| {
        let top = ui.max_rect().top() + 0.5;
        ui.painter().hline(ui.max_rect().x_range(), top, Stroke::new(1.0, p.line));
        status_bar::status_ui(ui, model, chat, actions);
    });
    strip("header", true, theme::HEADER_HEIGHT, p.background).show(ui, |ui| {
        let bottom = ui.max_rect().bottom() - 0.5;
        ui.painter().hline(ui.max_rect().x_range(), bottom, Stroke::new(1.0, p.line));
        header_ui(ui, model, chat, wide, actions);
    });
    composer::composer_ui(ui, model, chat, actions);
    notices_ui(ui, chat, p, actions);
    CentralPanel::default().frame(Frame::new().fill(p.background)).show(ui, |ui| {
        if let Some(room) = chat.room() {
            timeline::timeline_ui(ui, model, chat, room, state, actions);
        }
    });
}

/// The button with three dots, and what is behind it.
pub fn menu_ui(ui: &mut Ui, chat: &Chat, actions: &mut Vec<Action>) {
    let response = dots_button(ui, "Menu");
    Popup::menu(&response).width(220.0).show(|ui| {
        let mut item = |ui: &mut Ui, words: &str, keys: &str, action: Action| {
            if menu_item(ui, words, keys).clicked() {
                actions.push(action);
                ui.close();
            }
        };
        item(ui, "Jump to…", "Ctrl+K", Action::Show(Some(Dialog::Jump)));
        item(ui, "Settings", "Ctrl+,", Action::Show(Some(Dialog::Settings)));
        item(ui, "Keys", "F1", Action::Show(Some(Dialog::Keys)));
        let alone = if chat.is_alone() { "Why am I alone?" } else { "Connection details" };
        item(ui, alone, "", Action::Show(Some(Dialog::Alone)));
        ui.separator();
        item(ui, "My devices", "", Action::Show(Some(Dialog::Devices)));
        item(ui, "Change password", "", Action::Show(Some(Dialog::Password)));
        item(ui, "Sign out", "", Action::SignOut);
    });
}

fn menu_item(ui: &mut Ui, words: &str, keys: &str) -> Response {
    let p = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::click());
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, CornerRadius::same(6), p.panel);
    }
    let middle = rect.center().y;
    let words_laid = ui.painter().layout_no_wrap(words.to_owned(), theme::body(), p.text);
    widgets::paint_middle(ui.painter(), pos2(rect.left() + 8.0, middle), words_laid, p.text);
    let keys = ui.painter().layout_no_wrap(keys.to_owned(), theme::note(), p.faint);
    let left = rect.right() - 8.0 - keys.size().x;
    widgets::paint_middle(ui.painter(), pos2(left, middle), keys, p.faint);
    widgets::name(&response, AccessRole::MenuItem, words);
    response
}

fn strip(name: &'static str, top: bool, height: f32, fill: eframe::egui::Color32) -> EguiPanel {
    let panel = if top { EguiPanel::top(name) } else { EguiPanel::bottom(name) };
    let frame = Frame::new().fill(fill);
    panel.exact_size(height).resizable(false).show_separator_line(false).frame(frame)
}

/// The quiet line between a side and the middle.
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
                menu_ui(ui, chat, actions);
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
    // Without a rooms panel, the place's name has no other spot.
    let name = if chat.rooms.len() > 1 {
        format!("# {room}")
    } else {
        text::clean_name(&chat.status.realm_name)
    };
    ui.label(RichText::new(name).font(theme::title()).color(p.text));
    let topic = chat.room_policy().map(|room| text::clean_line(&room.topic)).unwrap_or_default();
    if !topic.is_empty() {
        ui.add_space(4.0);
        let width = ui.available_width();
        let galley = widgets::elided(ui, &topic, theme::body(), p.dim, width);
        ui.label(galley).on_hover_text(&topic);
    }
}

/// What the node wants read, over the timeline until put away.
fn notices_ui(ui: &mut Ui, chat: &Chat, p: Palette, actions: &mut Vec<Action>) {
    let mut bars: Vec<(Option<u64>, String)> =
        chat.notices.iter().map(|notice| (Some(notice.number), notice.text.clone())).collect();
    if chat.entered_offline && !chat.status.rendezvous_online {
        let words = "The login node does not answer: your stored pass let you in.".to_owned();
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

fn dots_button(ui: &mut Ui, label: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::new(32.0, 28.0), Sense::click());
    let p = theme::palette(ui);
    if response.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::same(6), p.line);
    }
    let colour = if response.hovered() { p.text } else { p.dim };
    for step in [-5.0, 0.0, 5.0] {
        ui.painter().circle_filled(rect.center() + vec2(step, 0.0), 1.4, colour);
    }
    widgets::focus_ring(ui, &response, rect, p);
    widgets::name(&response, AccessRole::Button, label);
    response
}

//! The status line: peers, waiting messages, the login node, and how long the user stays signed in.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{Color32, CursorIcon, Rect, Sense, Ui, pos2, vec2};

use crate::model::Model;
use crate::model::action::{Action, Dialog};
use crate::model::session::{Chat, LoginNode};
use crate::model::text;
use crate::view::theme;
use crate::view::widgets;

pub(super) fn status_ui(ui: &Ui, model: &Model, chat: &Chat, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let rect = ui.max_rect().shrink2(vec2(theme::GUTTER, 0.0));
    let middle = rect.center().y + 0.5;
    let peers = chat.status.neighbours.len();
    let (words, dot, colour) = match peers {
        0 => ("No peers · Why am I alone?".to_owned(), p.amber, p.amber),
        1 => ("1 peer".to_owned(), p.online, p.text),
        many => (format!("{many} peers"), p.online, p.text),
    };
    let left = piece_ui(ui, pos2(rect.left(), middle), &words, Some(dot), colour);
    let response =
        ui.interact(left.expand2(vec2(4.0, 6.0)), ui.scope_id().with("peers"), Sense::click());
    widgets::name(&response, AccessRole::Button, &words);
    widgets::focus_ring(ui, &response, left.expand(3.0), p);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        actions.push(Action::Show(Some(Dialog::Alone)));
    }
    let mut end = left.right();
    if chat.status.waiting > 0 {
        let warning = chat.status.clock_warning.as_ref().map(|warning| warning.code);
        let what_for =
            if warning == Some("clock-ahead") { "until the clock is right" } else { "for a peer" };
        let waiting = match chat.status.waiting {
            1 => format!("1 message waiting {what_for}"),
            many => format!("{many} messages waiting {what_for}"),
        };
        let place = piece_ui(ui, pos2(end + 16.0, middle), &waiting, None, p.dim);
        widgets::spoken(ui, place, "waiting", &waiting);
        end = place.right();
    }
    ticket_ui(ui, model, chat, rect, end);
}

fn ticket_ui(ui: &Ui, model: &Model, chat: &Chat, rect: Rect, taken: f32) {
    let p = theme::palette(ui);
    let (words, short) = ticket_words(model, chat);
    let worrying = chat.ticket_is_worrying(model.now_ms);
    let (dot, colour) = match chat.login_node(model.now_ms) {
        _ if worrying => (p.amber, p.amber),
        LoginNode::Looking => (p.faint, p.dim),
        LoginNode::Online | LoginNode::Offline => (p.online, p.dim),
    };
    let width = |words: &str| {
        ui.painter().layout_no_wrap(words.to_owned(), theme::note(), colour).size().x + 12.0
    };
    let fits = rect.right() - width(&words) > taken + 16.0;
    let shown = if fits { &words } else { &short };
    let middle = rect.center().y + 0.5;
    let place = piece_ui(ui, pos2(rect.right() - width(shown), middle), shown, Some(dot), colour);
    widgets::spoken(ui, place, "ticket", &words).on_hover_text(words.clone());
}

/// The whole sentence, and the short one for a narrow window.
fn ticket_words(model: &Model, chat: &Chat) -> (String, String) {
    let realm_now = chat.realm_now(model.now_ms);
    let expires_at = chat.status.expires_at;
    if realm_now >= expires_at {
        return ("No longer signed in · sign in again".into(), "no longer signed in".into());
    }
    let until = text::moment(expires_at, realm_now, &model.zone);
    let (words, short) = match chat.login_node(model.now_ms) {
        LoginNode::Online => ("Login node online", ""),
        LoginNode::Looking => ("Looking for the login node", "looking for the login node · "),
        LoginNode::Offline => ("Login node offline", "login node offline · "),
    };
    (format!("{words} · signed in until {until}"), format!("{short}until {until}"))
}

fn piece_ui(
    ui: &Ui,
    left_middle: eframe::egui::Pos2,
    words: &str,
    dot: Option<Color32>,
    colour: Color32,
) -> Rect {
    let mut at = left_middle;
    if let Some(dot) = dot {
        ui.painter().circle_filled(at + vec2(4.0, -0.5), 4.0, dot);
        at.x += 12.0;
    }
    let galley = ui.painter().layout_no_wrap(words.to_owned(), theme::note(), colour);
    let size = galley.size();
    widgets::paint_middle(ui.painter(), at, galley, colour);
    let min = pos2(left_middle.x, left_middle.y - size.y / 2.0);
    Rect::from_min_max(min, pos2(at.x + size.x, left_middle.y + size.y / 2.0))
}

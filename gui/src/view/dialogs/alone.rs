//! "Why am I alone?": what was checked and found, and what to do about it.

use eframe::egui::{Align, Color32, Layout, Sense, Stroke, Ui, Vec2, vec2};

use crate::model::Model;
use crate::model::action::Action;
use crate::model::alone::{self, Check, Verdict};
use crate::model::session::Chat;
use crate::model::text;
use crate::view::theme;
use crate::view::widgets;

pub(super) fn alone_ui(ui: &mut Ui, model: &Model, chat: &Chat, actions: &mut Vec<Action>) {
    let title = if chat.is_alone() { "Why am I alone?" } else { "Connection details" };
    widgets::dialog(ui, title, actions, |ui, actions| {
        ui.spacing_mut().item_spacing.y = 4.0;
        if chat.is_alone() {
            for check in
                alone::diagnose(&chat.status, &chat.interfaces, chat.realm_now(model.now_ms))
            {
                check_ui(ui, &check);
            }
        } else {
            links_ui(ui, model, chat);
        }
        let details = plain_report(model, chat);
        ui.add_space(8.0);
        // In a row of its own: the layout would take all the height there is otherwise.
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if widgets::quiet_button(ui, "Copy details").clicked() {
                    actions.push(Action::Copy(details));
                }
            });
        });
    });
}

fn check_ui(ui: &mut Ui, check: &Check) {
    let p = theme::palette(ui);
    let (colour, spoken) = match check.verdict {
        Verdict::Good => (p.online, "fine"),
        Verdict::Doubtful => (p.amber, "doubtful"),
        Verdict::Bad => (p.red, "problem"),
    };
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 10.0;
        let (rect, mark) = ui.allocate_exact_size(vec2(16.0, 20.0), Sense::hover());
        paint_mark(ui, rect.center(), check.verdict, colour);
        widgets::name(&mark, eframe::egui::accesskit::Role::Image, spoken);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            widgets::label(ui, &check.title, theme::strong(), p.text);
            for detail in &check.details {
                widgets::label(ui, detail, theme::body(), p.dim);
            }
            if let Some(advice) = check.advice {
                widgets::label(ui, advice, theme::note(), p.faint);
            }
        });
    });
    ui.add_space(10.0);
}

fn paint_mark(ui: &Ui, at: eframe::egui::Pos2, verdict: Verdict, colour: Color32) {
    let painter = ui.painter();
    painter.circle_filled(at, 7.0, colour);
    let stroke = Stroke::new(1.6, theme::palette(ui).card);
    let line = |from: Vec2, to: Vec2| {
        painter.line_segment([at + from, at + to], stroke);
    };
    match verdict {
        Verdict::Good => {
            line(vec2(-3.0, 0.2), vec2(-0.8, 2.6));
            line(vec2(-0.8, 2.6), vec2(3.2, -2.4));
        }
        Verdict::Doubtful => {
            line(vec2(0.0, -3.6), vec2(0.0, 0.8));
            line(vec2(0.0, 2.6), vec2(0.0, 3.6));
        }
        Verdict::Bad => {
            line(vec2(-2.6, -2.6), vec2(2.6, 2.6));
            line(vec2(2.6, -2.6), vec2(-2.6, 2.6));
        }
    }
}

fn links_ui(ui: &mut Ui, model: &Model, chat: &Chat) {
    let p = theme::palette(ui);
    for neighbour in &chat.status.neighbours {
        let since = text::moment(neighbour.since, chat.realm_now(model.now_ms), &model.zone);
        let address = text::plain_address(&neighbour.address);
        widgets::label(ui, text::clean_name(&neighbour.username), theme::strong(), p.text);
        let words = format!("{address}, since {since}");
        widgets::label(ui, words, theme::note(), p.dim);
        ui.add_space(6.0);
    }
}

/// A report in plain text, for somebody who helps.
fn plain_report(model: &Model, chat: &Chat) -> String {
    let mut lines = vec![format!(
        "Lanyard: {} peers, login node {}",
        chat.status.neighbours.len(),
        if chat.status.rendezvous_online { "online" } else { "offline" }
    )];
    for check in alone::diagnose(&chat.status, &chat.interfaces, chat.realm_now(model.now_ms)) {
        lines.push(format!("- {}", check.title));
        lines.extend(check.details.iter().map(|detail| format!("    {detail}")));
    }
    lines.extend(chat.status.listen.iter().map(|address| format!("listening: {address}")));
    lines.join("\n")
}

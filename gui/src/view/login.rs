//! The login window: the place, the user's names, the password, and why signing in failed.

use eframe::egui::accesskit::Role as AccessRole;
use eframe::egui::{
    Align, Align2, Area, CornerRadius, Id, Layout, Order, Popup, Pos2, Rect, RichText, ScrollArea,
    Sense, Stroke, StrokeKind, Ui, pos2, vec2,
};
use lanyard_node::JoinStep;

use crate::model::Model;
use crate::model::action::{Action, Dialog, Focus, LoginField};
use crate::model::login::Missing;
use crate::model::refusal::Explained;
use crate::model::session::Session;
use crate::model::text;
use crate::view::keyboard::Keyboard;
use crate::view::theme::{self, Palette};
use crate::view::widgets::{self, Field};

/// The space between fields, besides the space above each label.
const GAP: f32 = 10.5;
const EMBLEM_HEIGHT: f32 = 64.0;
/// A window lower than this has no space for the emblem.
const EMBLEM_FROM: f32 = 560.0;
/// The space around the form in such a window.
const LOW_GAP: f32 = 8.0;

/// Draws the login window.
pub fn login_ui(ui: &mut Ui, model: &Model, keyboard: &Keyboard, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let height_id = Id::unique("login-height");
    let full = ui.max_rect();
    let content = ui.data(|data| data.get_temp::<f32>(height_id)).unwrap_or(520.0);
    let is_low = full.height() < EMBLEM_FROM;
    let top = ((full.height() - content) / 2.0).max(if is_low { LOW_GAP } else { 24.0 });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.add_space(top);
        // In a low window, an alarming refusal gets a wider form, so that it is seen whole.
        let is_alarming = model.login.refused.as_ref().is_some_and(Explained::is_alarming);
        let wanted = if is_low && is_alarming { theme::DIALOG_WIDTH } else { theme::LOGIN_WIDTH };
        let width = wanted.min(ui.available_width() - 48.0);
        let left = ui.max_rect().center().x - width / 2.0;
        let column = Rect::from_min_size(pos2(left, ui.cursor().top()), vec2(width, f32::INFINITY));
        let drawn = ui.scope_builder(
            eframe::egui::UiBuilder::new().max_rect(column).layout(Layout::top_down(Align::Min)),
            |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                if !is_low {
                    emblem_ui(ui, p);
                }
                let gap = if is_low { LOW_GAP } else { GAP };
                form_ui(ui, model, gap, keyboard, actions);
            },
        );
        let drawn_height = drawn.response.rect.height();
        if (drawn_height - content).abs() > 0.5 {
            ui.data_mut(|data| data.insert_temp(height_id, drawn_height));
            ui.ctx().request_discard("the login form found its height");
        }
        ui.add_space(if is_low { 0.0 } else { 24.0 });
    });
    settings_button_ui(ui, full, actions);
}

fn emblem_ui(ui: &mut Ui, p: Palette) {
    let (rect, _) =
        ui.allocate_exact_size(vec2(ui.available_width(), EMBLEM_HEIGHT), Sense::hover());
    paint_emblem(ui, rect.center_top(), p);
    ui.add_space(8.0);
    ui.vertical_centered(|ui| {
        widgets::label(ui, "Lanyard", theme::headline(), p.text);
        ui.add_space(10.0);
        widgets::label(ui, "Sign in to a place on your network", theme::body(), p.dim);
    });
    ui.add_space(24.0);
}

/// A badge on its ribbon.
fn paint_emblem(ui: &Ui, top: Pos2, p: Palette) {
    let painter = ui.painter();
    let at = |x: f32, y: f32| pos2(top.x + x, top.y + y);
    let band = |from: [f32; 2], to: [f32; 2]| {
        let points = vec![
            at(from[0] - 4.5, from[1]),
            at(from[0] + 4.5, from[1]),
            at(to[0] + 4.0, to[1]),
            at(to[0] - 4.0, to[1]),
        ];
        eframe::egui::Shape::convex_polygon(points, p.ribbon, Stroke::NONE)
    };
    painter.add(band([-10.5, 0.0], [1.0, 26.0]));
    painter.add(band([10.5, 0.0], [-1.0, 26.0]));
    let card = Rect::from_min_max(at(-18.5, 26.0), at(18.5, 63.0));
    let stroke = Stroke::new(3.0, p.ribbon);
    painter.rect(card, CornerRadius::same(8), p.card, stroke, StrokeKind::Inside);
    painter.circle_filled(at(0.0, 40.0), 6.0, p.ribbon);
    let line = Rect::from_center_size(at(0.0, 52.5), vec2(20.0, 4.0));
    painter.rect_filled(line, CornerRadius::same(2), p.ribbon);
}

fn form_ui(ui: &mut Ui, model: &Model, gap: f32, keyboard: &Keyboard, actions: &mut Vec<Action>) {
    let enabled = matches!(model.session, Session::Out);
    let submitted = enabled && model.dialog.is_none() && widgets::enter_submits(ui);
    place_ui(ui, model, enabled, actions);
    ui.add_space(gap);
    names_ui(ui, model, enabled, actions);
    ui.add_space(gap);
    password_ui(ui, model, enabled, actions);
    ui.add_space(gap);
    if let Some(refused) = &model.login.refused {
        let shown = refusal_ui(ui, refused, model.now_ms, gap < GAP);
        if keyboard.was_given_to(Focus::Login(LoginField::Password)) {
            // In a low window it may be below the edge.
            ui.scroll_to_rect(shown, None);
        }
        ui.add_space(gap);
    }
    submit_ui(ui, model, submitted, actions);
    links_ui(ui, model, actions);
}

fn edit(
    ui: &mut Ui,
    field: &Field<'_>,
    value: &str,
    which: LoginField,
    enabled: bool,
    actions: &mut Vec<Action>,
) -> eframe::egui::Response {
    let mut value = value.to_owned();
    let response = field.show(ui, &mut value, enabled);
    if response.changed() {
        actions.push(Action::EditLogin(which, value));
    }
    response
}

fn place_ui(ui: &mut Ui, model: &Model, enabled: bool, actions: &mut Vec<Action>) {
    if model.login.realm.is_some() {
        return known_place_ui(ui, model, enabled, actions);
    }
    let focus = Focus::Login(LoginField::Link);
    let field = Field { hint: "lanyard://…", ..Field::new("Join link", focus) };
    let response = edit(ui, &field, &model.login.link, LoginField::Link, enabled, actions);
    let p = theme::palette(ui);
    if let Some((name, host)) = model.login.place() {
        ui.add_space(theme::GRID);
        let words = if name == host { host } else { format!("{name} at {host}") };
        widgets::label(ui, words, theme::note(), p.ribbon_deep);
    } else if let Some(wrong) = link_trouble(model, response.has_focus()) {
        ui.add_space(theme::GRID);
        widgets::paragraph(ui, &wrong.sentence(), theme::note(), p.red);
    }
}

/// What is wrong with the link, unless it is still being typed.
fn link_trouble(model: &Model, is_typing: bool) -> Option<Missing> {
    let login = &model.login;
    if is_typing && !login.is_tried {
        return login.wrong_link();
    }
    login.join_link().err().filter(|missing| *missing != Missing::Place)
}

fn known_place_ui(ui: &mut Ui, model: &Model, enabled: bool, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    ui.spacing_mut().item_spacing.y = theme::GRID;
    widgets::label(ui, "Place", theme::note(), p.dim);
    let (name, host) = model.login.place().unwrap_or_default();
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let size = vec2(ui.available_width(), theme::FIELD_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let corner = CornerRadius::same(theme::CORNER);
    let line = if response.hovered() && enabled { p.faint } else { p.line };
    ui.painter().rect(rect, corner, p.card, Stroke::new(1.0, line), StrokeKind::Inside);
    widgets::focus_ring(ui, &response, rect, p);
    let middle = rect.center().y;
    // No dot: nothing is known of the login node before the user signs in.
    let left = rect.left() + 12.0;
    let shown = widgets::elided(ui, &name, theme::strong(), p.text, rect.width() * 0.5);
    let after_name = left + shown.size().x + 10.0;
    widgets::paint_middle(ui.painter(), pos2(left, middle), shown, p.text);
    let detail = format!("{host} · known");
    let detail =
        widgets::elided(ui, &detail, theme::note(), p.faint, rect.right() - 32.0 - after_name);
    widgets::paint_middle(ui.painter(), pos2(after_name, middle + 0.5), detail, p.faint);
    paint_chevron(ui, pos2(rect.right() - 17.0, middle), p);
    widgets::name(&response, AccessRole::ComboBox, &format!("Place: {name}"));
    if enabled {
        realms_menu_ui(&response, model, rect.width(), actions);
    }
}

fn paint_chevron(ui: &Ui, at: Pos2, p: Palette) {
    let points = vec![at + vec2(-4.0, -2.5), at + vec2(4.0, -2.5), at + vec2(0.0, 3.5)];
    ui.painter().add(eframe::egui::Shape::convex_polygon(points, p.faint, Stroke::NONE));
}

fn realms_menu_ui(
    response: &eframe::egui::Response,
    model: &Model,
    width: f32,
    actions: &mut Vec<Action>,
) {
    Popup::menu(response).width(width).show(|ui| {
        for (at, realm) in model.settings.realms.iter().enumerate() {
            let name = text::clean_name(&realm.name);
            let username = text::clean_name(&realm.username);
            if ui.button(format!("{name}  ·  {username}")).clicked() {
                actions.push(Action::PickRealm(at));
            }
        }
        ui.separator();
        if ui.button("Another place…").clicked() {
            actions.push(Action::UseJoinLink);
        }
        let chosen = model.login.realm.as_ref();
        let at = model.settings.realms.iter().position(|realm| Some(realm) == chosen);
        if let Some(at) = at
            && ui.button("Forget this place").clicked()
        {
            actions.push(Action::ForgetRealm(at));
        }
    });
}

fn names_ui(ui: &mut Ui, model: &Model, enabled: bool, actions: &mut Vec<Action>) {
    let gap = 12.0;
    let half = (ui.available_width() - gap) / 2.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        let columns = [
            ("Username", "", LoginField::Username, &model.login.username),
            ("Shown as", "optional", LoginField::Nickname, &model.login.nickname),
        ];
        for (label, hint, which, value) in columns {
            ui.vertical(|ui| {
                ui.set_width(half);
                let field = Field { hint, ..Field::new(label, Focus::Login(which)) };
                edit(ui, &field, value, which, enabled, actions);
            });
        }
    });
}

fn password_ui(ui: &mut Ui, model: &Model, enabled: bool, actions: &mut Vec<Action>) {
    let login = &model.login;
    let hint = if login.stored_ticket(model.now_ms).is_some() { "not needed" } else { "" };
    let focus = Focus::Login(LoginField::Password);
    let password = !login.password_shown;
    let field = Field { hint, password, right: 48.0, ..Field::new("Password", focus) };
    let response = edit(ui, &field, &login.password, LoginField::Password, enabled, actions);
    let p = theme::palette(ui);
    let middle = response.rect.center().y;
    let right = ui.max_rect().right() - 8.0;
    let rect = Rect::from_min_max(pos2(right - 46.0, middle - 14.0), pos2(right, middle + 14.0));
    let word = if login.password_shown { "hide" } else { "show" };
    let toggle = ui.interact(rect, Id::unique("login-show"), Sense::click());
    let colour = if toggle.hovered() { p.text } else { p.faint };
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, word, theme::note(), colour);
    widgets::focus_ring(ui, &toggle, rect, p);
    let spoken = if login.password_shown { "Hide password" } else { "Show password" };
    widgets::name(&toggle, AccessRole::Button, spoken);
    if toggle.clicked() {
        actions.push(Action::ShowPassword(!login.password_shown));
    }
    if let Some(until) = login.stored_ticket(model.now_ms) {
        ui.add_space(6.0);
        let until = text::moment(until, model.now_ms, &model.zone);
        let words = format!("This computer is signed in until {until}.");
        widgets::label(ui, words, theme::note(), p.dim);
    }
}

/// Why signing in failed, in red. A changed login node gets a form unlike any other.
fn refusal_ui(ui: &mut Ui, refused: &Explained, now_ms: u64, is_low: bool) -> Rect {
    let p = theme::palette(ui);
    let loud = refused.is_alarming();
    let stroke = if loud { Stroke::new(2.0, p.red) } else { Stroke::NONE };
    let frame = theme::boxed(p.red_soft, p.red).stroke(stroke);
    let shown = frame.inner_margin(theme::margin(3, 3)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing = vec2(8.0, 2.0);
        if loud {
            return stop_ui(ui, refused, is_low, p);
        }
        ui.horizontal_top(|ui| {
            widgets::label(ui, "!", theme::strong(), p.red);
            ui.vertical(|ui| {
                widgets::paragraph(ui, &refused.title, theme::strong(), p.red);
                refusal_words_ui(ui, refused, now_ms, p);
            });
        });
    });
    let id = Id::unique("refusal");
    let response = ui.interact(shown.response.rect, id, Sense::hover());
    widgets::name(&response, AccessRole::Alert, &format!("Refused: {}", refused.code.as_str()));
    shown.response.rect
}

/// The alarming form. In a low window the title stands beside the word, and the rest is one paragraph.
fn stop_ui(ui: &mut Ui, refused: &Explained, is_low: bool, p: Palette) {
    let stop = RichText::new("STOP").font(theme::headline()).color(p.red);
    if is_low {
        ui.horizontal(|ui| {
            ui.label(stop);
            widgets::label(ui, &refused.title, theme::strong(), p.red);
        });
        let detail = refused.detail.as_deref().unwrap_or_default();
        let words = format!("{detail} {}", refused.advice);
        widgets::paragraph(ui, words.trim(), theme::body(), p.text);
        return;
    }
    ui.label(stop);
    ui.add_space(2.0);
    widgets::paragraph(ui, &refused.title, theme::strong(), p.red);
    refusal_words_ui(ui, refused, 0, p);
}

fn refusal_words_ui(ui: &mut Ui, refused: &Explained, now_ms: u64, p: Palette) {
    if let Some(detail) = &refused.detail {
        widgets::paragraph(ui, detail, theme::body(), p.text);
    }
    widgets::paragraph(ui, refused.advice, theme::body(), p.text);
    if let Some(wait) = refused.wait(now_ms) {
        let words = format!("Next try in {wait}.");
        widgets::label(ui, words, theme::strong(), p.text);
    }
}

fn submit_ui(ui: &mut Ui, model: &Model, submitted: bool, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    let size = vec2(ui.available_width(), theme::FIELD_HEIGHT);
    if let Session::Joining(step) = &model.session {
        widgets::primary_button(ui, progress(*step), false, size);
        return;
    }
    let missing = model.login.missing(model.now_ms);
    let waits =
        model.login.refused.as_ref().is_some_and(|refused| refused.wait(model.now_ms).is_some());
    let ready = missing.is_none() && !waits;
    let response = if model.login.may_insist() && ready {
        widgets::danger_button(ui, "Sign in anyway", size)
    } else if model.login.password.is_empty() && missing.is_none() {
        widgets::primary_button(ui, "Sign in without a password", ready, size)
    } else {
        widgets::primary_button(ui, "Sign in", ready, size)
    };
    let clicked = response.clicked();
    if (clicked && ready) || (submitted && !waits) {
        actions.push(Action::SignIn);
    }
    let is_asked = model.login.is_tried || !model.login.password.is_empty();
    // What is wrong with the link is said below the link.
    let missing = missing.filter(|missing| is_asked && !matches!(missing, Missing::Link(_)));
    if let Some(missing) = missing {
        ui.add_space(6.0);
        widgets::label(ui, missing.sentence(), theme::note(), p.dim);
    }
}

/// The step that signing in has reached.
fn progress(step: Option<JoinStep>) -> &'static str {
    match step {
        // With a stored ticket, the login node is not asked.
        None => "Signing in…",
        Some(JoinStep::Connecting) => "Connecting to the login node…",
        Some(JoinStep::Checking) => "Checking your password…",
        Some(JoinStep::Joining) => "Joining the room…",
    }
}

fn links_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        // Aligns the words with the fields, rather than the area around them.
        ui.add_space(-theme::GRID);
        if matches!(model.session, Session::Joining(_)) {
            if widgets::text_button(ui, "Cancel", p.dim).clicked() {
                actions.push(Action::CancelSignIn);
            }
            return;
        }
        if model.login.realm.is_some() {
            if widgets::text_button(ui, "Paste a join link…", p.dim).clicked() {
                actions.push(Action::UseJoinLink);
            }
        } else if !model.settings.realms.is_empty()
            && widgets::text_button(ui, "Known places", p.dim).clicked()
        {
            actions.push(Action::PickRealm(0));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            widgets::label(ui, "No account? Ask the operator.", theme::note(), p.faint);
        });
    });
}

fn settings_button_ui(ui: &Ui, full: Rect, actions: &mut Vec<Action>) {
    let area = Area::new(Id::unique("login-settings"))
        .order(Order::Middle)
        .fixed_pos(pos2(full.right() - 92.0, full.top() + 12.0));
    area.show(ui.ctx(), |ui| {
        let dim = theme::palette(ui).dim;
        if widgets::text_button(ui, "Settings", dim).clicked() {
            actions.push(Action::Show(Some(Dialog::Settings)));
        }
    });
}

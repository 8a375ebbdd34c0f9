//! The user's account: the list of devices, and the dialog to change the password.

use eframe::egui::{Align, Layout, Sense, Ui, vec2};

use crate::bridge::DeviceInfo;
use crate::model::Model;
use crate::model::account::{PasswordField, PasswordForm};
use crate::model::action::{Action, Focus};
use crate::model::session::Chat;
use crate::model::text;
use crate::view::theme;
use crate::view::widgets::{self, Field};

pub(super) fn devices_ui(ui: &mut Ui, model: &Model, chat: &Chat, actions: &mut Vec<Action>) {
    widgets::dialog(ui, "My devices", actions, |ui, actions| {
        let p = theme::palette(ui);
        ui.spacing_mut().item_spacing.y = theme::GRID;
        let devices = &chat.devices;
        match &devices.list {
            None => {
                widgets::label(ui, "Asking the login node…", theme::body(), p.dim);
            }
            Some(Err(why)) => {
                widgets::paragraph(ui, &text::clean_line(why), theme::body(), p.red);
            }
            Some(Ok(list)) => {
                for device in list {
                    device_ui(ui, model, chat, device, actions);
                    if devices.asked == Some(device.device) {
                        confirm_ui(ui, device.device, actions);
                    }
                }
                let note = "A device that is logged out needs your password to come back.";
                ui.add_space(4.0);
                widgets::paragraph(ui, note, theme::note(), p.faint);
            }
        }
        if let Some(failed) = &devices.failed {
            widgets::paragraph(ui, &text::clean_line(failed), theme::body(), p.red);
        }
    });
}

fn device_ui(
    ui: &mut Ui,
    model: &Model,
    chat: &Chat,
    device: &DeviceInfo,
    actions: &mut Vec<Action>,
) {
    let p = theme::palette(ui);
    let me = &chat.status.me;
    let is_this = device.peer == me.peer;
    let label = text::clean_line(device.label.trim());
    let mut name = format!("Device {}", device.device);
    if !label.is_empty() {
        name = format!("{name} · {}", text::elide(&label, text::NAME_GRAPHEMES_MAX));
    }
    if is_this {
        name.push_str(" · this computer");
    }
    let online = chat.status.roster.get(&me.account);
    let is_online = online.is_some_and(|p| p.devices.iter().any(|(peer, _)| *peer == device.peer));
    let seen = match (device.logged_out, is_online) {
        (true, _) => "logged out".to_owned(),
        (false, true) => "online".to_owned(),
        (false, false) => {
            let now = chat.realm_now(model.now_ms);
            format!("signed in {}", text::moment(device.last_login, now, &model.zone))
        }
    };
    ui.horizontal(|ui| {
        ui.set_min_height(44.0);
        let (dot, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
        let colour = if is_online { p.online } else { p.line };
        ui.painter().circle_filled(dot.center(), 4.0, colour);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            widgets::label(ui, name, theme::strong(), p.text);
            widgets::label(ui, seen, theme::note(), p.dim);
        });
        if is_this || device.logged_out {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let words = format!("Log out device {}", device.device);
            if widgets::quiet_button_named(ui, "Log out", &words).clicked() {
                actions.push(Action::AskLogOut(Some(device.device)));
            }
        });
    });
}

fn confirm_ui(ui: &mut Ui, number: u64, actions: &mut Vec<Action>) {
    let p = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.add_space(24.0);
        let words = format!("Log out device {number} now?");
        widgets::label(ui, words, theme::body(), p.text);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::danger_button(ui, "Yes, log it out", vec2(128.0, 32.0)).clicked() {
                actions.push(Action::LogOutDevice);
            }
            if widgets::quiet_button(ui, "No").clicked() {
                actions.push(Action::AskLogOut(None));
            }
        });
    });
}

pub(super) fn password_ui(ui: &mut Ui, chat: &Chat, actions: &mut Vec<Action>) {
    let form = &chat.password;
    if widgets::enter_submits(ui) {
        actions.push(Action::ChangePassword);
    }
    widgets::dialog(ui, "Change password", actions, |ui, actions| {
        ui.spacing_mut().item_spacing.y = theme::GRID;
        for (which, label, value) in [
            (PasswordField::Old, "Old password", &form.old),
            (PasswordField::New, "New password", &form.new),
            (PasswordField::Again, "New password again", &form.again),
        ] {
            let field = Field { password: true, ..Field::new(label, Focus::Password(which)) };
            let mut typed = value.to_string();
            let response = field.show(ui, &mut typed, !form.sending);
            if response.changed() {
                actions.push(Action::EditPassword(which, typed));
            }
            if which == PasswordField::Old {
                widgets::focus_if_none(ui, &response);
            }
            ui.add_space(6.0);
        }
        let note = "Anyone else who knows the old password loses access at once";
        if widgets::switch(ui, "Log out my other devices", note, form.revoke_others) {
            actions.push(Action::RevokeOthers(!form.revoke_others));
        }
        outcome_ui(ui, form);
        ui.add_space(8.0);
        let words = if form.sending { "Changing…" } else { "Set the new password" };
        let ready = form.change().is_some();
        let size = vec2(ui.available_width(), theme::FIELD_HEIGHT);
        if widgets::primary_button(ui, words, ready, size).clicked() && ready {
            actions.push(Action::ChangePassword);
        }
    });
}

fn outcome_ui(ui: &mut Ui, form: &PasswordForm) {
    let p = theme::palette(ui);
    match &form.outcome {
        Some(Ok(())) => {
            widgets::paragraph(ui, "Your password has been changed.", theme::strong(), p.ok);
        }
        Some(Err(why)) => {
            widgets::paragraph(ui, &text::clean_line(why), theme::body(), p.red);
        }
        None => {}
    }
    let is_asked = form.is_tried || !form.old.is_empty() || !form.new.is_empty();
    if let Some(missing) = form.missing().filter(|_| is_asked) {
        widgets::paragraph(ui, missing, theme::note(), p.dim);
    } else if let Some(advice) = form.advice() {
        widgets::paragraph(ui, advice, theme::note(), p.dim);
    }
}

//! Moderation: the entries in a person's menu, and the dialog that confirms them.

use eframe::egui::{Align, Layout, Ui, vec2};
use lanyard_protocol::ids::{AccountId, Role};

use crate::bridge::ModerationKind;
use crate::model::action::{Action, Focus};
use crate::model::moderation::{LENGTHS, MENU, ModerationForm, may_moderate};
use crate::model::session::Chat;
use crate::view::theme;
use crate::view::widgets::{self, Field};

/// The person that a menu is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// Their account.
    pub account: AccountId,
    /// Their unique name, as in the ticket.
    pub username: &'s str,
    /// Their display name, as in the ticket.
    pub nickname: &'s str,
    /// Their role in the realm.
    pub role: Role,
}

/// Whether the user may moderate this person.
#[must_use]
pub fn may_act_on(chat: &Chat, subject: Subject<'_>) -> bool {
    let me = &chat.status.me;
    subject.account != me.account && may_moderate(me.role, subject.role)
}

/// The menu's entries for moderation, if the user may moderate this person.
pub fn menu_ui(ui: &mut Ui, chat: &Chat, subject: Subject<'_>, actions: &mut Vec<Action>) {
    if !may_act_on(chat, subject) {
        return;
    }
    ui.separator();
    for (kind, words) in MENU {
        let action = Action::BeginModeration {
            kind,
            account: subject.account,
            username: subject.username.to_owned(),
            nickname: subject.nickname.to_owned(),
        };
        widgets::menu_entry(ui, words, action, actions);
    }
}

/// Draws the dialog that confirms a moderation.
pub fn moderation_ui(ui: &mut Ui, chat: &Chat, actions: &mut Vec<Action>) {
    let Some(form) = &chat.moderation else { return };
    if widgets::enter_submits(ui) {
        actions.push(Action::Moderate);
    }
    let title = match form.kind {
        ModerationKind::Mute => "Mute somebody",
        ModerationKind::Ban => "Ban somebody",
        ModerationKind::Lift => "Lift mute or ban",
    };
    widgets::dialog(ui, title, actions, |ui, actions| {
        let p = theme::palette(ui);
        ui.spacing_mut().item_spacing.y = theme::GRID;
        widgets::paragraph(ui, &form.question(), theme::body(), p.text);
        if form.kind != ModerationKind::Lift {
            ui.add_space(8.0);
            ui.horizontal_wrapped(|ui| {
                for (for_ms, words) in LENGTHS {
                    if widgets::choice(ui, words, form.for_ms == for_ms) {
                        actions.push(Action::SetModerationLength(for_ms));
                    }
                }
            });
        }
        ui.add_space(8.0);
        reason_ui(ui, form, actions);
        let note = "Everybody sees who did this, and why.";
        widgets::paragraph(ui, note, theme::note(), p.faint);
        if let Some(failed) = form.objection().as_ref().or(form.failed.as_ref()) {
            widgets::paragraph(ui, failed, theme::body(), p.red);
        }
        ui.add_space(12.0);
        buttons_ui(ui, form, actions);
    });
}

fn reason_ui(ui: &mut Ui, form: &ModerationForm, actions: &mut Vec<Action>) {
    let field = Field { hint: "in a few words", ..Field::new("Reason", Focus::Reason) };
    let mut reason = form.reason.clone();
    let response = field.show(ui, &mut reason, !form.sending);
    if response.changed() {
        actions.push(Action::EditReason(reason));
    }
    widgets::focus_if_none(ui, &response);
}

fn buttons_ui(ui: &mut Ui, form: &ModerationForm, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let size = vec2(96.0, 32.0);
            if form.sending {
                widgets::primary_button(ui, "Signing…", false, size);
            } else if form.kind == ModerationKind::Lift {
                let ready = form.moderation().is_some();
                if widgets::primary_button(ui, form.verb(), ready, size).clicked() && ready {
                    actions.push(Action::Moderate);
                }
            } else if widgets::danger_button(ui, form.verb(), size).clicked() {
                actions.push(Action::Moderate);
            }
            if widgets::quiet_button(ui, "Cancel").clicked() {
                actions.push(Action::Show(None));
            }
        });
    });
}

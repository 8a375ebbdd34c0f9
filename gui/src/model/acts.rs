//! What the user does about rules and accounts, and how it went.

use crate::bridge::acts::ModerationKind;
use crate::bridge::{BackendEvent, Command};
use crate::model::Model;
use crate::model::account::{Devices, PasswordForm};
use crate::model::action::{Action, Dialog, Effect, Focus};
use crate::model::moderation::ModerationForm;
use crate::model::session::{Chat, Session};

impl Model {
    /// Takes what the user does about rules and accounts.
    pub(super) fn handle_act(&mut self, action: Action) -> Vec<Effect> {
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        match action {
            Action::BeginModeration { kind, account, username, nickname } => {
                chat.moderation = Some(ModerationForm::new(kind, account, &username, &nickname));
                return self.show(Some(Dialog::Moderate));
            }
            Action::SetModerationLength(for_ms) => {
                if let Some(form) = &mut chat.moderation {
                    form.for_ms = for_ms;
                }
            }
            Action::EditReason(reason) => {
                if let Some(form) = &mut chat.moderation {
                    form.reason = reason;
                    form.failed = None;
                }
            }
            Action::Moderate => return chat.give_moderation(),
            Action::EditPassword(field, value) => chat.password.edit(field, value),
            Action::RevokeOthers(cut) => chat.password.revoke_others = cut,
            Action::ChangePassword if chat.password.sending => {}
            Action::ChangePassword => {
                let Some(change) = chat.password.change() else {
                    chat.password.is_tried = true;
                    return vec![Effect::Focus(Focus::Password(chat.password.next_field()))];
                };
                chat.password.sending = true;
                chat.password.outcome = None;
                return vec![Effect::Backend(Command::ChangePassword(Box::new(change)))];
            }
            Action::AskLogOut(number) => chat.devices.asked = number,
            Action::LogOutDevice => {
                let Some(number) = chat.devices.asked.take() else { return Vec::new() };
                chat.devices.sending = true;
                chat.devices.failed = None;
                return vec![Effect::Backend(Command::LogOutDevice(number))];
            }
            Action::ShowFolded(first) => {
                if let Some(room) = chat.room_mut() {
                    room.timeline.unfold(first);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Takes what the backend tells of rules and accounts.
    pub(super) fn apply_act(&mut self, event: BackendEvent) -> Vec<Effect> {
        let now_ms = self.now_ms;
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        match event {
            BackendEvent::Sanction(sanction) => chat.sanctioned(&sanction, now_ms),
            BackendEvent::Moderated(Ok(())) => {
                chat.moderation = None;
                if self.dialog == Some(Dialog::Moderate) {
                    return self.show(None);
                }
            }
            BackendEvent::Moderated(Err(why)) => {
                if let Some(form) = &mut chat.moderation {
                    form.sending = false;
                    form.failed = Some(crate::model::text::clean_line(&why));
                }
            }
            BackendEvent::PasswordChanged(result) => chat.password.answered(result),
            BackendEvent::Devices(list) => chat.devices.list = Some(list),
            BackendEvent::DeviceLoggedOut(result) => {
                chat.devices.sending = false;
                match result {
                    Ok(list) => chat.devices.list = Some(Ok(list)),
                    Err(why) => chat.devices.failed = Some(why),
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Prepares what a dialog shows, and forgets what the one before held.
    pub(super) fn prepare_dialog(&mut self, dialog: Option<Dialog>) -> Vec<Effect> {
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        if dialog != Some(Dialog::Moderate) {
            chat.moderation = None;
        }
        if !chat.password.sending {
            chat.password = PasswordForm::default();
        }
        match dialog {
            Some(Dialog::Devices) => {
                chat.devices = Devices::default();
                vec![Effect::Backend(Command::ListDevices)]
            }
            _ => Vec::new(),
        }
    }
}

impl Chat {
    fn give_moderation(&mut self) -> Vec<Effect> {
        let Some(form) = &mut self.moderation else { return Vec::new() };
        let Some(moderation) = form.moderation() else { return Vec::new() };
        form.sending = true;
        form.failed = None;
        vec![Effect::Backend(Command::Moderate(moderation))]
    }
}

/// The moderation that a menu offers, as its words.
#[must_use]
pub fn menu_words(kind: ModerationKind) -> &'static str {
    match kind {
        ModerationKind::Mute => "Mute…",
        ModerationKind::Ban => "Ban…",
        ModerationKind::Lift => "Lift mute or ban…",
    }
}

/// All moderations, as a menu lists them.
pub const MODERATIONS: [ModerationKind; 3] =
    [ModerationKind::Mute, ModerationKind::Ban, ModerationKind::Lift];

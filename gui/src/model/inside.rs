//! Inside a realm: the user's actions and the backend's events.

use lanyard_node::NodeEvent;

use crate::bridge::{BackendEvent, Command};
use crate::model::account::{Devices, PasswordForm};
use crate::model::action::{Action, Dialog, Effect, Focus};
use crate::model::moderation::ModerationForm;
use crate::model::session::Session;
use crate::model::{Model, is_failure, text};

impl Model {
    /// Handles an event from the backend.
    pub(super) fn apply_inside(&mut self, event: BackendEvent) -> Vec<Effect> {
        let (attention, now_ms) = (self.attention, self.now_ms);
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        match event {
            BackendEvent::Status(status) => {
                let ticket_changed = status.expires_at != chat.status.expires_at;
                let mut effects = chat.update_status(status, now_ms);
                if ticket_changed {
                    self.remember_realm();
                    effects.push(Effect::SaveSettings);
                }
                effects
            }
            // What is on screen stays readable, although the node is gone.
            BackendEvent::Node(NodeEvent::Ended(Some(refusal))) if is_failure(&refusal) => {
                chat.ended = Some(Some(refusal));
                self.keep_drafts()
            }
            BackendEvent::Node(NodeEvent::Ended(Some(refusal))) => {
                let mut effects = self.keep_drafts();
                self.session = Session::Out;
                self.dialog = None;
                effects.extend(self.refuse(&refusal));
                effects.push(Effect::Backend(Command::Leave));
                effects
            }
            BackendEvent::Node(event) => chat.apply(event, attention, now_ms),
            // The events that were missed may have removed messages.
            BackendEvent::Lagged => chat.refresh(),
            BackendEvent::SendDone { room, echo, result } => chat.sent(&room, echo, result, now_ms),
            BackendEvent::Loaded { room, page, result } => chat.loaded(&room, page, result),
            BackendEvent::Unread { room, result } => {
                let (read, count) = result.unwrap_or_default();
                chat.unread_known(&room, read, count)
            }
            BackendEvent::Interfaces(interfaces) => {
                chat.interfaces = interfaces;
                Vec::new()
            }
            event => self.apply_answer(event),
        }
    }

    /// Handles an action of the user.
    pub(super) fn handle_inside(&mut self, action: Action) -> Vec<Effect> {
        let now_ms = self.now_ms;
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        match action {
            Action::EditDraft(draft) => {
                if let Some(room) = chat.room_mut() {
                    room.composer.edit(draft);
                }
                self.draft_changed_ms = self.draft_changed_ms.or(Some(now_ms));
            }
            Action::Send => {
                self.draft_changed_ms = self.draft_changed_ms.or(Some(now_ms));
                return chat.send(now_ms);
            }
            Action::RecallLast => {
                if let Some(room) = chat.room_mut()
                    && room.composer.draft.text.is_empty()
                {
                    room.composer.draft.clone_from(&room.composer.last_sent);
                }
                return vec![Effect::Focus(Focus::Composer)];
            }
            Action::OpenRoom(name) => {
                self.unfolded = None;
                return chat.open(&name);
            }
            Action::Mention(username) => {
                if let Some(room) = chat.room_mut() {
                    room.composer.mention(&username);
                }
                self.unfolded = None;
                return vec![Effect::Focus(Focus::Composer)];
            }
            Action::LoadOlder => return chat.load_older(),
            Action::AtBottom(at_bottom) => {
                if let Some(room) = chat.room_mut() {
                    room.at_bottom = at_bottom;
                }
            }
            Action::Saw(id) => return chat.saw(id),
            Action::JumpToNewest => {
                return vec![Effect::ScrollToNewest, Effect::Focus(Focus::Composer)];
            }
            Action::FilterRoster(filter) => chat.roster.filter = filter,
            Action::EditJump(text) => self.jump = text,
            Action::Jump(at) => return self.jump_to(at),
            Action::DismissNotice(number) => chat.notices.retain(|n| n.number != number),
            action => return self.handle_form(action),
        }
        Vec::new()
    }

    /// Handles moderation, the user's password and devices, and what is folded.
    fn handle_form(&mut self, action: Action) -> Vec<Effect> {
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
            Action::Moderate => {
                let moderation = chat.moderation.as_mut().and_then(ModerationForm::submit);
                let effect = moderation.map(|given| Effect::Backend(Command::Moderate(given)));
                return effect.into_iter().collect();
            }
            Action::EditPassword(field, value) => chat.password.edit(field, value),
            Action::RevokeOthers(revoke) => chat.password.revoke_others = revoke,
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

    /// Handles restrictions and the answers to what a form has asked for.
    fn apply_answer(&mut self, event: BackendEvent) -> Vec<Effect> {
        let now_ms = self.now_ms;
        let Session::In(chat) = &mut self.session else { return Vec::new() };
        match event {
            BackendEvent::Restriction(restriction) => chat.restricted(&restriction, now_ms),
            BackendEvent::Moderated(Ok(())) => {
                chat.moderation = None;
                if self.dialog == Some(Dialog::Moderate) {
                    return self.show(None);
                }
            }
            BackendEvent::Moderated(Err(why)) => {
                if let Some(form) = &mut chat.moderation {
                    form.sending = false;
                    form.failed = Some(text::clean_line(&why));
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

    /// Prepares what a dialog shows, and forgets what was typed into the one before.
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

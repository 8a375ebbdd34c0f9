//! The model: everything the window knows and decides.
//!
//! [`Model::apply`] handles the backend's events and [`Model::handle`] the user's actions; both change the model and
//! return [`Effect`]s. Time comes in as `now_ms`. Nothing here draws or waits.

pub mod account;
pub mod action;
pub mod alone;
pub mod composer;
pub mod drafts;
mod inside;
pub mod jump;
pub mod login;
pub mod markup;
pub mod moderation;
pub mod news;
pub mod passwords;
pub mod refusal;
pub mod rooms;
pub mod roster;
pub mod session;
pub mod settings;
pub mod starting;
pub mod text;
pub mod timeline;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use lanyard_node::names::spelled;
use lanyard_node::{NodeEvent, Refusal, RefusalCode};
use lanyard_protocol::time::MINUTE_MS;

use crate::bridge::{BackendEvent, Command, JoinRequest};
use crate::model::account::PasswordField;
use crate::model::action::{Action, Dialog, Effect, Focus, LoginField, Panel};
use crate::model::drafts::Drafts;
use crate::model::jump::Target;
use crate::model::login::Login;
use crate::model::session::{Attention, Chat, Session};
use crate::model::settings::Settings;
use crate::model::starting::Offer;

/// What the window knows.
#[derive(Debug)]
pub struct Model {
    /// Whether the user is signed in.
    pub session: Session,
    /// The login form.
    pub login: Login,
    /// What is remembered between starts.
    pub settings: Settings,
    /// The open dialog.
    pub dialog: Option<Dialog>,
    /// What is typed into the jump dialog.
    pub jump: String,
    /// The side panel opened in a narrow window.
    pub unfolded: Option<Panel>,
    /// Whether the user is looking at the window.
    pub attention: Attention,
    /// The local clock, unix milliseconds.
    pub now_ms: u64,
    /// The time zone that times are shown in.
    pub zone: TimeZone,
    /// The scripts that no font on this computer can show.
    pub missing_scripts: Vec<&'static str>,
    /// Where emoji come from.
    pub emoji: EmojiSource,
    /// The drafts as they are on disk.
    pub drafts: Drafts,
    profile: PathBuf,
    /// What a second start of the program brought while the user was signing in.
    offered: Option<Offer>,
    /// When the user last did anything here, unix milliseconds.
    active_ms: u64,
    away: bool,
    /// When a draft began to differ from what is on disk, unix milliseconds.
    draft_changed_ms: Option<u64>,
}

/// Where emoji come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmojiSource {
    /// In colour, from this font of the system.
    Colour(String),
    /// In the colour of the text, from this font of the system.
    Outline(String),
    /// In the colour of the text, from the font that comes with the program.
    BuiltIn,
}

/// The window's title without a realm, or for one without a name.
const PROGRAM: &str = "Lanyard";
/// Others see the user as away after this long without any input.
const AWAY_AFTER_MS: u64 = 10 * MINUTE_MS;
/// A changed draft is written to disk after this long.
const DRAFT_KEPT_AFTER_MS: u64 = 5_000;

impl Model {
    /// The model of a window that has just been started.
    #[must_use]
    pub fn new(settings: Settings, profile: PathBuf, zone: TimeZone, now_ms: u64) -> Self {
        Self {
            session: Session::Out,
            login: Login::remembered(&settings),
            settings,
            dialog: None,
            jump: String::new(),
            unfolded: None,
            attention: Attention::Here,
            now_ms,
            zone,
            missing_scripts: Vec::new(),
            emoji: EmojiSource::BuiltIn,
            drafts: Drafts::default(),
            profile,
            offered: None,
            active_ms: now_ms,
            away: false,
            draft_changed_ms: None,
        }
    }

    /// The realm that the user is in, if any.
    #[must_use]
    pub fn chat(&self) -> Option<&Chat> {
        match &self.session {
            Session::In(chat) => Some(chat),
            Session::Out | Session::Joining(_) => None,
        }
    }

    /// The window's title, with the number of unread messages.
    #[must_use]
    pub fn title(&self) -> String {
        let Some(chat) = self.chat() else { return PROGRAM.to_owned() };
        let realm = chat.status.realm_name.trim();
        let says_nothing = realm.is_empty() || realm.eq_ignore_ascii_case(PROGRAM);
        let name = if says_nothing {
            PROGRAM.to_owned()
        } else {
            format!("{} – {PROGRAM}", text::clean_name(realm))
        };
        match chat.unread() {
            0 => name,
            unread => format!("({unread}) {name}"),
        }
    }

    /// Takes the time, and whether the user is looking. `active` says whether there was input since the last call.
    pub fn tick(&mut self, now_ms: u64, attention: Attention, active: bool) -> Vec<Effect> {
        self.now_ms = now_ms;
        let came_back = self.attention == Attention::Elsewhere && attention == Attention::Here;
        let left = self.attention == Attention::Here && attention == Attention::Elsewhere;
        self.attention = attention;
        if came_back || (active && attention == Attention::Here) {
            self.active_ms = now_ms;
        }
        let mut effects = self.note_away();
        let waits_for = self.draft_changed_ms.map(|since| now_ms.saturating_sub(since));
        if left || waits_for.is_some_and(|ms| ms >= DRAFT_KEPT_AFTER_MS) {
            effects.extend(self.keep_drafts());
        }
        match &self.session {
            Session::In(chat) if came_back => effects.extend(chat.go_to_unread()),
            Session::In(_) | Session::Out | Session::Joining(_) => {}
        }
        effects.extend(self.answer_offer());
        effects
    }

    /// How many milliseconds remain until a changed draft must be written.
    #[must_use]
    pub fn draft_due_ms(&self) -> Option<u64> {
        let since = self.draft_changed_ms?;
        Some((since + DRAFT_KEPT_AFTER_MS).saturating_sub(self.now_ms))
    }

    /// Collects the drafts. The effects write them if they differ from what is on disk.
    pub fn keep_drafts(&mut self) -> Vec<Effect> {
        self.draft_changed_ms = None;
        let Session::In(chat) = &self.session else { return Vec::new() };
        let changed = self.drafts.keep(&chat.status, chat.drafts());
        if changed { vec![Effect::SaveDrafts] } else { Vec::new() }
    }

    fn note_away(&mut self) -> Vec<Effect> {
        let away = self.now_ms.saturating_sub(self.active_ms) >= AWAY_AFTER_MS;
        if away == self.away || self.chat().is_none() {
            return Vec::new();
        }
        self.away = away;
        vec![Effect::Backend(Command::SetAway(away))]
    }

    /// Handles an event from the backend.
    pub fn apply(&mut self, event: BackendEvent) -> Vec<Effect> {
        match event {
            BackendEvent::Step(step) => {
                if matches!(self.session, Session::Joining(_)) {
                    self.session = Session::Joining(Some(step));
                }
                Vec::new()
            }
            BackendEvent::Joined { status, offline, notices } => {
                let drafts = self.drafts.of(&status);
                let (mut chat, mut effects) =
                    Chat::enter(status, offline, self.zone.clone(), drafts);
                chat.entered_ms = Some(self.now_ms);
                for (code, sentence) in &notices {
                    chat.notice(code, sentence);
                }
                self.session = Session::In(Box::new(chat));
                (self.active_ms, self.away) = (self.now_ms, false);
                effects.extend(self.keep_password());
                self.login.password.clear();
                self.login.password_shown = false;
                self.login.refused = None;
                self.login.is_tried = false;
                self.settings.signed_out = false;
                self.remember_realm();
                effects.extend([Effect::SaveSettings, Effect::Focus(Focus::Composer)]);
                effects
            }
            BackendEvent::Refused(refusal) => {
                self.session = Session::Out;
                let mut effects = self.refuse(&refusal);
                effects.push(Effect::Focus(Focus::Login(LoginField::Password)));
                effects
            }
            BackendEvent::Terminate => {
                // At once: the system may not wait until the window is closed.
                let mut effects = self.keep_drafts();
                effects.push(Effect::Close);
                effects
            }
            event @ (BackendEvent::PasswordRecalled { .. } | BackendEvent::KeyringDone(_)) => {
                self.keyring_answered(event)
            }
            BackendEvent::Node(NodeEvent::Ended(Some(refusal)))
                if is_failure(&refusal) && !matches!(self.session, Session::In(_)) =>
            {
                self.session = Session::Out;
                self.refuse(&refusal);
                Vec::new()
            }
            event => self.apply_inside(event),
        }
    }

    /// Handles an action of the user.
    pub fn handle(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::EditLogin(field, value) => self.edit_login(field, value),
            Action::PickRealm(at) => {
                if let Some(realm) = self.settings.realms.get(at) {
                    self.login.pick(realm.clone());
                }
                self.login.password.clear();
                let mut effects = self.recall_password();
                effects.push(Effect::Focus(Focus::Login(LoginField::Password)));
                return effects;
            }
            Action::UseJoinLink => {
                self.login.realm = None;
                self.login.refused = None;
                self.login.is_tried = false;
            }
            Action::ForgetRealm(at) => {
                if at < self.settings.realms.len() {
                    self.settings.realms.remove(at);
                }
                self.login = Login::remembered(&self.settings);
                return vec![Effect::SaveSettings];
            }
            Action::ShowPassword(shown) => self.login.password_shown = shown,
            Action::SignIn => return self.sign_in(),
            Action::CancelSignIn => {
                self.session = Session::Out;
                return vec![
                    Effect::Backend(Command::CancelJoin),
                    Effect::Focus(Focus::Login(LoginField::Password)),
                ];
            }
            Action::SignOut => {
                let mut effects = self.keep_drafts();
                self.session = Session::Out;
                self.dialog = None;
                self.login = Login::remembered(&self.settings);
                self.settings.signed_out = true;
                effects.extend([Effect::SaveSettings, Effect::Backend(Command::Leave)]);
                effects.extend(self.recall_password());
                return effects;
            }
            Action::Show(dialog) => return self.show(dialog),
            Action::Fold(panel, open) => {
                self.unfolded = open.then_some(panel);
                if !open {
                    return vec![Effect::Focus(Focus::Composer)];
                }
            }
            Action::OpenLink(url) => return vec![Effect::OpenLink(url)],
            Action::Copy(text) => return vec![Effect::Copy(text)],
            Action::KeepPassword(kept) => return self.use_keyring(kept),
            Action::SetTheme(_)
            | Action::SetZoom(_)
            | Action::SetNotifications(_)
            | Action::SetSounds(_) => return self.set(&action),
            action => return self.handle_inside(action),
        }
        Vec::new()
    }

    fn jump_to(&mut self, at: usize) -> Vec<Effect> {
        let Some(chat) = self.chat() else { return Vec::new() };
        let target = jump::targets(chat, &self.jump).into_iter().nth(at);
        let mut effects = self.show(None);
        effects.extend(match target {
            Some(Target::Room(name)) => self.handle(Action::OpenRoom(name)),
            Some(Target::Person { username, .. }) => self.handle(Action::Mention(username)),
            None => Vec::new(),
        });
        effects
    }

    fn show(&mut self, dialog: Option<Dialog>) -> Vec<Effect> {
        let closing = dialog.is_none() && self.dialog.is_some();
        self.dialog = dialog;
        self.jump.clear();
        let mut effects = self.prepare_dialog(dialog);
        if dialog == Some(Dialog::Alone) {
            effects.push(Effect::Backend(Command::ListInterfaces));
        }
        let keyboard = match dialog {
            Some(Dialog::Jump) => Focus::Jump,
            Some(Dialog::Moderate) => Focus::Reason,
            Some(Dialog::Password) => Focus::Password(PasswordField::Old),
            Some(_) => Focus::Nowhere,
            None if closing && self.chat().is_some() => Focus::Composer,
            None => return effects,
        };
        effects.push(Effect::Focus(keyboard));
        effects
    }

    fn set(&mut self, action: &Action) -> Vec<Effect> {
        match action {
            Action::SetTheme(theme) => self.settings.theme = *theme,
            Action::SetZoom(percent) => self.settings.zoom_percent = (*percent).clamp(50, 300),
            Action::SetNotifications(on) => self.settings.notifications = *on,
            Action::SetSounds(on) => self.settings.sounds = *on,
            _ => {}
        }
        vec![Effect::ApplySettings, Effect::SaveSettings]
    }

    fn edit_login(&mut self, field: LoginField, value: String) {
        match field {
            LoginField::Link => self.login.link = value,
            LoginField::Username => self.login.username = value,
            LoginField::Nickname => self.login.nickname = value,
            LoginField::Password => self.login.password = value.into(),
        }
    }

    fn sign_in(&mut self) -> Vec<Effect> {
        if matches!(self.session, Session::Joining(_)) {
            return Vec::new();
        }
        self.login.is_tried = true;
        if let Some(missing) = self.login.missing(self.now_ms) {
            return vec![Effect::Focus(Focus::Login(missing.field()))];
        }
        let Ok(link) = self.login.join_link() else { return Vec::new() };
        // Another key is known for this address: only the user can say which one is meant.
        if self.login.realm.is_none()
            && self.login.other_realm_at_same_address(&self.settings).is_some()
            && !self.login.may_insist()
        {
            self.login.refused = Some(refusal::other_realm(link.realm));
            return Vec::new();
        }
        self.login.refused = None;
        self.session = Session::Joining(None);
        let nickname = Some(self.login.nickname.trim().to_owned()).filter(|name| !name.is_empty());
        let request = JoinRequest {
            link,
            username: spelled(&self.login.username),
            password: (!self.login.password.is_empty()).then(|| self.login.password.clone()),
            nickname,
            profile: self.profile.clone(),
            listen: Vec::new(),
        };
        vec![Effect::Backend(Command::Join(Box::new(request)))]
    }
}

/// Whether the program itself has failed, as opposed to the user being refused.
fn is_failure(refusal: &Refusal) -> bool {
    refusal.code == RefusalCode::Failed
}

#[cfg(test)]
#[path = "model/tests.rs"]
mod tests;

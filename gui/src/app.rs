//! The application: feeds the backend's events to the model, draws it, and performs the effects.
//!
//! `logic` runs even while the window is hidden, so messages are counted and notified then too.
//! Nothing is polled: the bridge asks for a repaint when it has an event, and otherwise the window
//! sleeps until a time that it shows changes, at most a minute.

use std::path::PathBuf;
use std::time::Duration;

use eframe::egui::{self, Context, OpenUrl, Ui, UserAttentionType, ViewportCommand};
use lanyard_protocol::time::MINUTE_MS;

use crate::bridge::{Backend, Command};
use crate::desktop::instance::{Call, Instance};
use crate::desktop::notify::Notifier;
use crate::model::Model;
use crate::model::action::{Action, Effect, Focus, LoginField};
use crate::model::session::{Attention, Session};
use crate::view::theme;
use crate::view::timeline::Scroll;
use crate::view::turns::Turns;
use crate::view::{self, ViewState};

/// How many events a frame handles at most. The rest wait for the next frame, so that a flood cannot freeze the window.
const EVENTS_PER_FRAME_MAX: usize = 512;
/// If the window has not come to the front after this long, the desktop does not allow it.
const TO_THE_FRONT_MS: u64 = 1_500;
/// How often the window checks whether it is in front.
const CALLERS_LOOK: Duration = Duration::from_millis(50);
/// Returns the local time in unix milliseconds.
pub type Clock = Box<dyn Fn() -> u64>;

/// The window: model, view and backend put together.
pub struct Window {
    /// What the window knows.
    pub model: Model,
    view: ViewState,
    backend: Box<dyn Backend>,
    notifier: Notifier,
    clock: Clock,
    profile: PathBuf,
    title: String,
    actions: Vec<Action>,
    instance: Option<Instance>,
    /// Second starts that wait for this window to come to the front, and until when in unix milliseconds.
    callers: Vec<(Call, u64)>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Window {
    /// Creates a window for this model and backend.
    #[must_use]
    pub fn new(
        model: Model,
        backend: Box<dyn Backend>,
        notifier: Notifier,
        clock: Clock,
        profile: PathBuf,
    ) -> Self {
        let view = ViewState::default();
        Self {
            model,
            view,
            backend,
            notifier,
            clock,
            profile,
            title: String::new(),
            actions: Vec::new(),
            instance: None,
            callers: Vec::new(),
        }
    }

    /// Makes the window answer second starts with the same profile.
    #[must_use]
    pub fn with_instance(self, instance: Instance) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// Does what a new window does first.
    pub fn begin(&mut self, ctx: &Context) {
        Turns::install(ctx);
        let is_known = self.model.login.realm.is_some();
        let field = if is_known { LoginField::Password } else { LoginField::Link };
        self.view.keyboard.give(Focus::Login(field));
        let effects = self.model.begin();
        self.perform(ctx, effects);
    }

    /// Handles what has happened since the last frame.
    pub fn logic(&mut self, ctx: &Context) {
        let attention = if has_focus(ctx) { Attention::Here } else { Attention::Elsewhere };
        let active = ctx.input(|input| !input.raw.events.is_empty());
        let mut effects = self.model.tick((self.clock)(), attention, active);
        for taken in 0.. {
            let Some(event) = self.backend.try_next() else { break };
            effects.extend(self.model.apply(event));
            if taken >= EVENTS_PER_FRAME_MAX {
                ctx.request_repaint();
                break;
            }
        }
        self.perform(ctx, effects);
        self.take_calls(ctx);
        self.take_zoom(ctx);
        self.update_title(ctx);
        self.sleep_until_times_change(ctx);
    }

    /// Draws, then does what the user asked for.
    pub fn ui(&mut self, ui: &mut Ui) {
        view::root_ui(ui, &self.model, &mut self.view, &mut self.actions);
        let ctx = ui.ctx().clone();
        for action in std::mem::take(&mut self.actions) {
            self.act(&ctx, action);
        }
        // The window has been drawn, so from now on input goes to the right field.
        if has_focus(&ctx) && !self.view.keyboard.is_changing_hands() {
            self.callers.drain(..).for_each(|(call, _)| call.answer());
        }
    }

    /// Acts as if the user had done this.
    pub fn act(&mut self, ctx: &Context, action: Action) {
        let effects = self.model.handle(action);
        self.perform(ctx, effects);
        // What was drawn is out of date.
        ctx.request_repaint();
    }

    /// Saves the drafts and says goodbye to the mesh.
    pub fn shut_down(&mut self) {
        if !self.model.keep_drafts().is_empty() {
            self.save_drafts();
        }
        if let Some(instance) = &mut self.instance {
            instance.close();
        }
        self.callers.clear();
        self.backend.shut_down();
    }

    /// Lets a second start end once this window is in front. Where the desktop does not allow that, it is asked to
    /// draw the user's attention to the window.
    fn take_calls(&mut self, ctx: &Context) {
        let now_ms = self.model.now_ms;
        while let Some(mut call) = self.instance.as_mut().and_then(Instance::next_call) {
            let effects = self.model.take_offer(std::mem::take(&mut call.offer));
            self.perform(ctx, effects);
            self.callers.push((call, now_ms + TO_THE_FRONT_MS));
        }
        if self.callers.is_empty() {
            return;
        }
        if !has_focus(ctx) {
            ctx.send_viewport_cmd(ViewportCommand::Minimized(false));
            ctx.send_viewport_cmd(ViewportCommand::Focus);
        }
        ctx.request_repaint_after(CALLERS_LOOK);
        for (call, _) in self.callers.extract_if(.., |(_, until)| *until <= now_ms) {
            let politely = UserAttentionType::Informational;
            ctx.send_viewport_cmd(ViewportCommand::RequestUserAttention(politely));
            call.answer();
        }
    }

    fn save_drafts(&self) {
        if let Err(error) = self.model.drafts.save(&self.profile) {
            tracing::warn!(%error, "Could not save the drafts");
        }
    }

    fn perform(&mut self, ctx: &Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Backend(command) => self.backend.dispatch(command),
                Effect::Read { room, id } => {
                    self.backend.dispatch(Command::MarkRead { room, id });
                }
                Effect::SaveSettings => {
                    if let Err(error) = self.model.settings.save(&self.profile) {
                        tracing::warn!(%error, "Could not save the settings");
                    }
                }
                Effect::SaveDrafts => self.save_drafts(),
                Effect::ApplySettings => theme::apply(ctx, &self.model.settings),
                Effect::OpenLink(url) => ctx.open_url(OpenUrl::new_tab(url)),
                Effect::Copy(text) => ctx.copy_text(text),
                Effect::Notify { title, body } => {
                    if self.model.settings.notifications {
                        self.notifier.notify(title, body, self.model.settings.sounds);
                    }
                }
                Effect::Focus(keyboard) => {
                    self.view.keyboard.give(keyboard);
                    Turns::pause(ctx);
                }
                Effect::ScrollToNewest => self.view.timelines.scroll = Some(Scroll::Newest),
                Effect::ScrollToUnread => self.view.timelines.scroll = Some(Scroll::Unread),
                Effect::Close => ctx.send_viewport_cmd(ViewportCommand::Close),
            }
            // The answer may already be there; without a repaint it would wait for the next event.
            ctx.request_repaint();
        }
    }

    /// Saves the zoom that egui's own keys, Ctrl with plus or minus, have chosen.
    fn take_zoom(&mut self, ctx: &Context) {
        let percent = theme::zoom_percent(ctx);
        if percent != self.model.settings.zoom_percent {
            self.act(ctx, Action::SetZoom(percent));
        }
    }

    fn update_title(&mut self, ctx: &Context) {
        let title = self.model.title();
        if title != self.title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    fn sleep_until_times_change(&self, ctx: &Context) {
        let now_ms = self.model.now_ms;
        let to_next_minute = MINUTE_MS - now_ms % MINUTE_MS;
        let wait_ms = match &self.model.session {
            Session::In(chat) => {
                let rules = chat.rules(now_ms);
                let refused = chat.room().and_then(|room| room.composer.refused.as_ref());
                let lifted = refused.and_then(|refused| refused.until);
                let left = lifted.and_then(|until| until.checked_sub(rules.realm_now));
                // The composer counts down by the second while the user has to wait.
                let second = left.filter(|left| *left > 0).map(|_| 1_000);
                let mute = rules.mute_left();
                let expiry = rules.expires_at.checked_sub(rules.realm_now).filter(|ms| *ms > 0);
                let looking = chat.looks_for_login_node_ms(now_ms);
                let due = [second, mute, expiry, looking, self.model.draft_due_ms()];
                due.into_iter().flatten().fold(to_next_minute, u64::min)
            }
            Session::Out => {
                let counts_down =
                    self.model.login.refused.as_ref().is_some_and(|r| r.wait(now_ms).is_some());
                if counts_down { 1_000 } else { return }
            }
            Session::Joining(_) => return,
        };
        ctx.request_repaint_after(Duration::from_millis(wait_ms));
    }
}

/// egui takes no input of a minimised window and still believes that it has the focus, so this checks the raw input.
fn has_focus(ctx: &Context) -> bool {
    ctx.input(|input| input.raw.focused && input.raw.viewport().minimized != Some(true))
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        Self::logic(self, ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        Self::ui(self, ui);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.shut_down();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

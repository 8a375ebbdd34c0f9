//! Starts a window: it signs in by itself with a stored ticket, takes what a second start brings, and remembers each
//! login for the next start.

use lanyard_node::{Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

use crate::model::action::{Effect, Focus, LoginField};
use crate::model::session::Session;
use crate::model::settings::KnownRealm;
use crate::model::{Model, refusal};

/// What was given on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The join link.
    pub link: Option<String>,
    /// The unique name.
    pub username: Option<String>,
}

impl Model {
    /// Does what a new window does first: it signs in, or shows the form to users who signed out or have no ticket.
    pub fn begin(&mut self) -> Vec<Effect> {
        let has_ticket =
            self.login.password.is_empty() && self.login.stored_ticket(self.now_ms).is_some();
        if has_ticket && !self.settings.signed_out {
            return self.sign_in();
        }
        self.recall_password()
    }

    /// Fills the form with what was given on the command line.
    pub fn prefill(&mut self, offer: &Offer) {
        if let Some(link) = &offer.link {
            self.login.use_link(link, &self.settings);
        }
        if let Some(username) = &offer.username {
            self.login.username.clone_from(username);
        }
    }

    /// Takes what a second start brings, once it is clear whether the user is in.
    pub fn take_offer(&mut self, offer: Offer) -> Vec<Effect> {
        self.offered = Some(offer);
        self.answer_offer()
    }

    /// The form takes the link of a second start. A running chat is not left for it.
    pub(super) fn answer_offer(&mut self) -> Vec<Effect> {
        if matches!(self.session, Session::Joining(_)) {
            return Vec::new();
        }
        let Some(offer) = self.offered.take().filter(|offer| *offer != Offer::default()) else {
            return Vec::new();
        };
        if let Session::In(chat) = &mut self.session {
            let link = offer.link.as_deref().unwrap_or_default();
            let named = link.parse::<lanyard_protocol::link::JoinLink>();
            if named.is_ok_and(|link| link.realm != chat.status.realm) {
                let words = "Lanyard was started with the join link of another place. \
                             To use that link, sign out here and start again with it.";
                chat.notice("other-place", words);
            }
            return Vec::new();
        }
        self.prefill(&offer);
        vec![Effect::Focus(Focus::Login(LoginField::Password))]
    }

    /// Puts a refusal into the form.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> Vec<Effect> {
        let without_password = self.login.password.is_empty();
        if refusal.code == RefusalCode::BadCredentials && without_password {
            if let Some(realm) = &mut self.login.realm {
                realm.signed_in_until = 0;
                self.settings.remember(realm.clone());
            }
            self.login.refused = Some(refusal::no_stored_ticket());
            return vec![Effect::SaveSettings];
        }
        let to = self.login.addressee(&self.settings);
        self.login.refused = Some(refusal::explain(refusal, &to, self.now_ms));
        Vec::new()
    }

    /// Remembers the realm that the user is in, for the next start.
    pub(super) fn remember_realm(&mut self) {
        let Session::In(chat) = &self.session else { return };
        let Ok(link) = self.login.join_link() else { return };
        let status = &chat.status;
        let realm = KnownRealm {
            link: link.to_string(),
            name: status.realm_name.clone(),
            username: status.me.username.clone(),
            nickname: status.me.nickname.clone(),
            signed_in_until: status.expires_at,
        };
        self.settings.remember(realm.clone());
        self.login.realm = Some(realm);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::tz::TimeZone;
    use lanyard_protocol::ids::PeerKey;

    use super::*;
    use crate::bridge::{BackendEvent, Command};
    use crate::model::action::Action;
    use crate::model::settings::Settings;
    use crate::testing::demo;

    const NOW_MS: u64 = 1_772_443_260_000;

    fn with_ticket(change: impl FnOnce(&mut Settings)) -> Model {
        let mut settings = demo::settings();
        settings.realms[0].signed_in_until = NOW_MS + 1;
        change(&mut settings);
        Model::new(settings, PathBuf::new(), TimeZone::UTC, NOW_MS)
    }

    fn joins(effects: &[Effect]) -> bool {
        effects.iter().any(|effect| matches!(effect, Effect::Backend(Command::Join(_))))
    }

    fn join(model: &mut Model) {
        let status = std::sync::Arc::new(demo::status(NOW_MS, &[0, 1]));
        model.apply(BackendEvent::Joined { status, offline: false, notices: Vec::new() });
    }

    fn elsewhere() -> Offer {
        let link = format!("lanyard://10.0.0.9:4001/{}", PeerKey([0x11; 32]));
        Offer { link: Some(link), username: Some("grace".into()) }
    }

    #[test]
    fn a_ticket_signs_in_until_the_user_signs_out() {
        let mut model = with_ticket(|_| {});
        assert!(joins(&model.begin()));
        join(&mut model);
        model.handle(Action::SignOut);
        let mut next = with_ticket(|settings| settings.signed_out = model.settings.signed_out);
        assert!(!joins(&next.begin()), "the form stays until somebody signs in");
        assert!(joins(&next.handle(Action::SignIn)));
        join(&mut next);
        assert!(!next.settings.signed_out);
    }

    #[test]
    fn without_a_ticket_the_form_is_shown() {
        assert!(!joins(
            &with_ticket(|settings| settings.realms[0].signed_in_until = NOW_MS).begin()
        ));
        assert!(!joins(&with_ticket(|settings| settings.realms.clear()).begin()));
        let mut model = with_ticket(|_| {});
        model.prefill(&elsewhere());
        assert!(!joins(&model.begin()));
    }

    #[test]
    fn a_second_start_fills_the_form_but_ends_no_chat() {
        let mut model = with_ticket(|_| {});
        model.take_offer(elsewhere());
        assert_eq!(model.login.username, "grace");
        assert!(model.login.link.contains("10.0.0.9"));
        join(&mut model);
        model.take_offer(Offer { link: Some(demo::link()), username: None });
        assert!(model.chat().is_some_and(|chat| chat.notices.is_empty()), "it is open already");
        model.take_offer(elsewhere());
        assert!(model.chat().is_some_and(|chat| chat.notices.len() == 1));
    }

    #[test]
    fn a_link_waits_while_the_window_signs_in() {
        let mut model = with_ticket(|_| {});
        model.begin();
        model.take_offer(elsewhere());
        assert_eq!(model.login.username, "ada", "what is under way is not changed");
        model.handle(Action::CancelSignIn);
        model.tick(NOW_MS, crate::model::session::Attention::Here, false);
        assert_eq!(model.login.username, "grace");
    }
}

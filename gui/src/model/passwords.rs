//! The password in the system's keyring, if the user wants it there: kept after a login, recalled for the next.

use crate::bridge::{BackendEvent, Command, Holder, KeyringCommand};
use crate::model::Model;
use crate::model::action::{Effect, Focus, LoginField};
use crate::model::session::Session;
use crate::model::text;

impl Model {
    /// Looks up the password of the chosen account, if the keyring is used.
    #[must_use]
    pub fn recall_password(&self) -> Vec<Effect> {
        let holder = self.login.holder().filter(|_| self.settings.keep_password);
        holder.map(|holder| ask(KeyringCommand::Recall(holder))).into_iter().collect()
    }

    /// Stores the password that the user has just signed in with.
    pub(super) fn keep_password(&self) -> Option<Effect> {
        let password = Some(&self.login.password).filter(|password| !password.is_empty())?;
        let holder = self.login.holder().filter(|_| self.settings.keep_password)?;
        Some(ask(KeyringCommand::Keep(holder, password.clone())))
    }

    /// Turns the keyring on or off. Turning it off deletes our passwords from it.
    pub(super) fn use_keyring(&mut self, used: bool) -> Vec<Effect> {
        self.settings.keep_password = used;
        self.login.keyring_trouble = None;
        let mut effects = vec![Effect::SaveSettings];
        if used {
            // If the keyring does not answer, the user sees it now rather than after the next login.
            effects.extend(self.recall_password());
            return effects;
        }
        let known = self.settings.realms.iter().filter_map(|realm| {
            let link: lanyard_protocol::link::JoinLink = realm.link.parse().ok()?;
            Some(Holder { realm: link.realm, username: realm.username.clone() })
        });
        effects.extend(known.map(|holder| ask(KeyringCommand::Forget(holder))));
        effects
    }

    /// Takes the keyring's answer.
    pub(super) fn keyring_answered(&mut self, event: BackendEvent) -> Vec<Effect> {
        let trouble = match event {
            BackendEvent::PasswordRecalled { holder, result: Ok(Some(password)) } => {
                let wanted = matches!(self.session, Session::Out)
                    && self.login.password.is_empty()
                    && self.login.holder().as_ref() == Some(&holder);
                if wanted {
                    self.login.password = password;
                    return vec![Effect::Focus(Focus::Login(LoginField::Password))];
                }
                None
            }
            BackendEvent::PasswordRecalled { result: Err(why), .. }
            | BackendEvent::KeyringDone(Err(why)) => Some(text::clean_line(&why)),
            _ => None,
        };
        if let Some(why) = trouble {
            self.login.keyring_trouble = Some(why);
        }
        Vec::new()
    }
}

fn ask(command: KeyringCommand) -> Effect {
    Effect::Backend(Command::Keyring(command))
}

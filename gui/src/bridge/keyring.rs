//! The system's keyring, on a thread of its own: it may be slow, locked, or not there at all.
//!
//! On Linux it is the Secret Service (over D-Bus), on Windows the Credential Manager, on macOS the Keychain.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use keyring::{Entry, Error};
use lanyard_node::Password;
use zeroize::Zeroizing;

use crate::bridge::{BackendEvent, Holder, KeyringCommand};

/// How many commands and answers may wait. A person does not ask faster than the keyring answers.
const WAITING_MAX: usize = 64;
/// The name under which the keyring lists our entries.
const SERVICE: &str = "lanyard";

/// The keyring behind two bounded queues.
#[derive(Debug)]
pub struct Keyring {
    commands: SyncSender<KeyringCommand>,
    answers: Receiver<BackendEvent>,
}

impl Keyring {
    /// Starts the thread. `wake` is called after every answer.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (commands, received) = sync_channel(WAITING_MAX);
        let (told, answers) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("lanyard-keyring".into()).spawn(move || {
            for command in received {
                // If the window is gone, nobody needs the answers.
                if told.send(carry_out(command)).is_err() {
                    return;
                }
                wake();
            }
        })?;
        Ok(Self { commands, answers })
    }

    /// Queues a command; its answer comes as an event.
    pub fn dispatch(&self, command: KeyringCommand) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!("The keyring does not keep up: a command was dropped");
        }
    }

    /// The next answer, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<BackendEvent> {
        self.answers.try_recv().ok()
    }
}

fn carry_out(command: KeyringCommand) -> BackendEvent {
    match command {
        KeyringCommand::Recall(holder) => {
            let result = recall(&holder);
            BackendEvent::PasswordRecalled { holder, result }
        }
        KeyringCommand::Keep(holder, password) => {
            let kept = entry(&holder).and_then(|entry| entry.set_password(&password));
            BackendEvent::KeyringDone(kept.map_err(|error| sentence(&error, "save")))
        }
        KeyringCommand::Forget(holder) => {
            let forgotten = match entry(&holder).and_then(|entry| entry.delete_credential()) {
                Err(Error::NoEntry) => Ok(()),
                other => other.map_err(|error| sentence(&error, "delete")),
            };
            BackendEvent::KeyringDone(forgotten)
        }
    }
}

fn recall(holder: &Holder) -> Result<Option<Password>, String> {
    match entry(holder).and_then(|entry| entry.get_password()) {
        Ok(password) => Ok(Some(Zeroizing::new(password))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(sentence(&error, "look up")),
    }
}

fn entry(holder: &Holder) -> Result<Entry, Error> {
    Entry::new(SERVICE, &format!("{}/{}", holder.realm, holder.username))
}

fn sentence(error: &Error, what: &str) -> String {
    tracing::debug!(%error, "The keyring refused");
    match error {
        Error::NoDefaultStore => "This computer has no keyring, or it does not answer.".to_owned(),
        Error::NoStorageAccess(_) => "The keyring is locked.".to_owned(),
        _ => format!("The keyring could not {what} the password."),
    }
}

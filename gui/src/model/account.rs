//! The user's account: its devices, and changing its password.

use zeroize::Zeroizing;

use lanyard_protocol::limits::PASSWORD_BYTES_MAX;

use crate::bridge::{DeviceInfo, PasswordChange};

/// Shorter passwords are accepted with a warning.
const PASSWORD_LEN_ADVISED: usize = 8;

/// The dialog with the user's devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// The devices; `None` until the login node has answered.
    pub list: Option<Result<Vec<DeviceInfo>, String>>,
    /// The device whose logout the user was asked to confirm.
    pub asked: Option<u64>,
    /// Whether a logout is under way.
    pub sending: bool,
    /// Why the last logout failed.
    pub failed: Option<String>,
}

/// A field of the password dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PasswordField {
    /// The current password.
    Old,
    /// The new password.
    New,
    /// The new password again.
    Again,
}

/// The password dialog. `Debug` of [`Zeroizing`] shows no password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PasswordForm {
    /// The current password.
    pub old: Zeroizing<String>,
    /// The new password.
    pub new: Zeroizing<String>,
    /// The new password again.
    pub again: Zeroizing<String>,
    /// Whether all other devices are logged out.
    pub revoke_others: bool,
    /// Whether the user has tried to confirm: from then on the dialog says what is missing.
    pub is_tried: bool,
    /// Whether the change is under way.
    pub sending: bool,
    /// How the last attempt went.
    pub outcome: Option<Result<(), String>>,
}

impl PasswordForm {
    /// Changes the content of a field.
    pub fn edit(&mut self, field: PasswordField, value: String) {
        let place = match field {
            PasswordField::Old => &mut self.old,
            PasswordField::New => &mut self.new,
            PasswordField::Again => &mut self.again,
        };
        *place = Zeroizing::new(value);
        self.outcome = None;
    }

    /// Why the form cannot be confirmed yet.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        if self.old.is_empty() || self.new.is_empty() || self.again.is_empty() {
            return Some("Type the old password once and the new one twice.");
        }
        if self.new != self.again {
            return Some("The two new passwords differ.");
        }
        if self.new.len() > PASSWORD_BYTES_MAX {
            return Some("The new password is too long.");
        }
        None
    }

    /// The field to fill next.
    #[must_use]
    pub fn next_field(&self) -> PasswordField {
        let fields = [
            (PasswordField::Old, &self.old),
            (PasswordField::New, &self.new),
            (PasswordField::Again, &self.again),
        ];
        let empty = fields.into_iter().find(|(_, typed)| typed.is_empty());
        empty.map_or(PasswordField::Again, |(field, _)| field)
    }

    /// A warning about a password that is allowed, but weak.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let short = self.new.chars().count() < PASSWORD_LEN_ADVISED;
        (!self.new.is_empty() && short).then_some("Fewer than 8 characters are easy to guess.")
    }

    /// The change to ask for, if nothing is missing.
    #[must_use]
    pub fn change(&self) -> Option<PasswordChange> {
        let ready = !self.sending && self.missing().is_none();
        ready.then(|| PasswordChange {
            old: self.old.clone(),
            new: self.new.clone(),
            revoke_others: self.revoke_others,
        })
    }

    /// Takes the answer. After success, the form is emptied.
    pub fn answered(&mut self, result: Result<(), String>) {
        if result.is_ok() {
            *self = Self::default();
        }
        self.sending = false;
        self.outcome = Some(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(old: &str, new: &str, again: &str) -> PasswordForm {
        let mut form = PasswordForm::default();
        form.edit(PasswordField::Old, old.into());
        form.edit(PasswordField::New, new.into());
        form.edit(PasswordField::Again, again.into());
        form
    }

    #[test]
    fn a_change_needs_the_old_and_twice_the_new_password() {
        assert!(form("", "a", "a").change().is_none());
        assert!(form("a", "b", "c").missing().is_some_and(|m| m.contains("differ")));
        assert!(form("a", "b", "b").change().is_some());
        assert!(form("a", "b", "b").advice().is_some());
        assert!(!format!("{:?}", form("geheim", "b", "b")).contains("geheim"));
        let change = form("geheim", "b", "b").change();
        assert!(!format!("{:?}", change.unwrap()).contains("geheim"));
    }

    #[test]
    fn what_was_typed_is_forgotten_after_success_only() {
        let mut form = form("a", "longer one", "longer one");
        form.answered(Err("wrong".into()));
        assert_eq!(form.old.as_str(), "a");
        form.answered(Ok(()));
        assert!(form.old.is_empty() && form.new.is_empty());
        assert_eq!(form.outcome, Some(Ok(())));
    }
}

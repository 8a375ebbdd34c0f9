//! The form with which a moderator mutes or bans somebody, or lifts that.

use lanyard_protocol::ids::{AccountId, Role};
use lanyard_protocol::limits::{MODERATION_MS_MAX, MODERATION_REASON_BYTES_MAX};
use lanyard_protocol::time::{HOUR_MS, MINUTE_MS};

use crate::bridge::{ModerationKind, NewModeration};
use crate::model::text;

const FIRST_LENGTH_MS: u64 = 10 * MINUTE_MS;
/// The lengths offered, in milliseconds, and their words.
pub const LENGTHS: [(u64, &str); 3] =
    [(FIRST_LENGTH_MS, "10 min"), (HOUR_MS, "1 h"), (MODERATION_MS_MAX, "24 h")];
/// All moderations and their words, as a menu lists them.
pub const MENU: [(ModerationKind, &str); 3] = [
    (ModerationKind::Mute, "Mute…"),
    (ModerationKind::Ban, "Ban…"),
    (ModerationKind::Lift, "Lift mute or ban…"),
];

/// A moderation that has not been given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModerationForm {
    /// Whether to mute, ban or lift.
    pub kind: ModerationKind,
    /// The account to moderate.
    pub account: AccountId,
    /// Its display name, safe to draw.
    pub nickname: String,
    /// Its unique name, safe to draw.
    pub username: String,
    /// How long a mute or ban lasts, in milliseconds.
    pub for_ms: u64,
    /// The reason, for everybody to read.
    pub reason: String,
    /// Whether it has been submitted and not answered.
    pub sending: bool,
    /// Why the last attempt failed.
    pub failed: Option<String>,
}

impl ModerationForm {
    /// An empty form about somebody.
    #[must_use]
    pub fn new(kind: ModerationKind, account: AccountId, username: &str, nickname: &str) -> Self {
        Self {
            kind,
            account,
            nickname: text::clean_name(nickname),
            username: text::clean_name(username),
            for_ms: FIRST_LENGTH_MS,
            reason: String::new(),
            sending: false,
            failed: None,
        }
    }

    /// What will happen, as a question.
    #[must_use]
    pub fn question(&self) -> String {
        let who = format!("{} (@{})", self.nickname, self.username);
        match self.kind {
            ModerationKind::Mute => format!("Mute {who}? They can read, but not write."),
            ModerationKind::Ban => format!("Ban {who}? Every peer disconnects them at once."),
            ModerationKind::Lift => format!("Lift all mutes and bans by moderators on {who}?"),
        }
    }

    /// The word on the button that confirms it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self.kind {
            ModerationKind::Mute => "Mute",
            ModerationKind::Ban => "Ban",
            ModerationKind::Lift => "Lift",
        }
    }

    /// Why it cannot be submitted.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let bytes = self.reason.trim().len();
        (bytes > MODERATION_REASON_BYTES_MAX)
            .then(|| format!("{bytes} of {MODERATION_REASON_BYTES_MAX} bytes: shorten the reason"))
    }

    /// The moderation, if it can be submitted.
    #[must_use]
    pub fn moderation(&self) -> Option<NewModeration> {
        let ready = !self.sending && self.objection().is_none();
        ready.then(|| NewModeration {
            kind: self.kind,
            account: self.account,
            for_ms: (self.kind != ModerationKind::Lift).then_some(self.for_ms),
            reason: self.reason.trim().to_owned(),
        })
    }

    /// Submits the moderation, if it can be.
    pub fn submit(&mut self) -> Option<NewModeration> {
        let moderation = self.moderation()?;
        self.sending = true;
        self.failed = None;
        Some(moderation)
    }
}

/// Whether one role may moderate another.
#[must_use]
pub fn may_moderate(mine: Role, theirs: Role) -> bool {
    matches!(mine, Role::Moderator | Role::Admin) && matches!(theirs, Role::Guest | Role::Member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_guests_and_members_are_moderated() {
        use Role::{Admin, Guest, Member, Moderator};
        for mine in [Guest, Member, Moderator, Admin] {
            for theirs in [Guest, Member, Moderator, Admin] {
                let may = mine >= Moderator && theirs <= Member;
                assert_eq!(may_moderate(mine, theirs), may, "{mine:?} on {theirs:?}");
            }
        }
    }

    #[test]
    fn a_moderation_has_a_length_and_a_short_reason() {
        let mut form = ModerationForm::new(ModerationKind::Mute, AccountId([1; 16]), "bob", "Bob");
        form.reason = " spam ".into();
        let moderation = form.moderation().unwrap();
        assert_eq!((moderation.for_ms, moderation.reason.as_str()), (Some(600_000), "spam"));
        form.kind = ModerationKind::Lift;
        assert_eq!(form.moderation().unwrap().for_ms, None);
        form.reason = "ä".repeat(101);
        assert!(form.moderation().is_none());
        assert!(form.objection().is_some_and(|why| why.starts_with("202 of 200 bytes")));
    }
}

//! What each refusal means and what to do next, in two sentences.

use lanyard_node::event::{Refusal, RefusalCode};

use crate::text;

/// A refusal as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The code, for the help desk.
    pub code: RefusalCode,
    /// What happened.
    pub title: String,
    /// What to do.
    pub advice: String,
    /// What the node itself said, if it adds something.
    pub detail: Option<String>,
    /// When a new try makes sense, unix milliseconds.
    pub retry_at: Option<u64>,
}

impl Explained {
    /// Whether this must not be mistaken for an everyday failure.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        self.code == RefusalCode::WrongRealm
    }

    /// How long to wait, while there is something to wait for.
    #[must_use]
    pub fn wait(&self, now_ms: u64) -> Option<String> {
        let left = self.retry_at?.checked_sub(now_ms).filter(|left| *left > 0)?;
        Some(text::duration(left))
    }
}

/// The stored pass was to do, and there is none: that is no wrong password.
#[must_use]
pub fn no_stored_pass() -> Explained {
    Explained {
        code: RefusalCode::BadCredentials,
        title: "This computer holds no valid pass for that name.".to_owned(),
        advice: "Type your password and sign in again.".to_owned(),
        detail: None,
        retry_at: None,
    }
}

/// Puts a refusal into words.
#[must_use]
pub fn explain(refusal: &Refusal, address: &str, now_ms: u64) -> Explained {
    let (title, advice) = sentences(refusal.code, address);
    let said = text::clean_line(refusal.reason.trim());
    Explained {
        code: refusal.code,
        title,
        advice: advice.to_owned(),
        // For these the reason carries what only the other side knows: who, why, which file.
        detail: (adds_detail(refusal.code) && !said.is_empty()).then_some(said),
        retry_at: refusal.retry_after_s.map(|s| now_ms.saturating_add(s.saturating_mul(1_000))),
    }
}

fn sentences(code: RefusalCode, address: &str) -> (String, &'static str) {
    let fixed = |title: &str, advice| (title.to_owned(), advice);
    match code {
        RefusalCode::BadCredentials => fixed(
            "Wrong name or password.",
            "Check both and try again. After 5 failures the next try waits.",
        ),
        RefusalCode::Locked => fixed(
            "Too many failed tries: this account is locked for a while.",
            "Wait, then try again. If it was not you, tell whoever runs this place.",
        ),
        RefusalCode::Disabled => {
            fixed("This account is disabled.", "Ask whoever runs this place to enable it again.")
        }
        RefusalCode::Banned => fixed(
            "This account is banned.",
            "If you think that is a mistake, talk to whoever runs this place.",
        ),
        RefusalCode::Unreachable => (
            format!("The login node does not answer at {address}."),
            "Check that you are on the right network and that the login node is running. \
             Without a pass that is still good, nobody gets in while it is away.",
        ),
        RefusalCode::WrongRealm => fixed(
            "This is a different login node than last time.",
            "Either the place was set up anew, or somebody is pretending to be it. \
             Ask for a fresh join link in person before you go on.",
        ),
        RefusalCode::Busy => fixed(
            "The login node is busy.",
            "Many people are signing in right now. Try again in a moment.",
        ),
        RefusalCode::Invite => fixed(
            "Invites are not accepted here yet.",
            "Ask whoever runs this place for an account and a link without an invite.",
        ),
        RefusalCode::Superseded => fixed(
            "This profile is in use on another computer.",
            "It was started there after this one. Close it there, or use a profile of its own here.",
        ),
        RefusalCode::BadLink => fixed(
            "The join link cannot be read.",
            "Copy the whole link again, from lanyard:// to its end.",
        ),
        RefusalCode::ProfileInUse => fixed(
            "Lanyard is already running with this profile.",
            "Use the window that is open, or start this one with --profile and another folder.",
        ),
        RefusalCode::ProfileUnsafe => fixed(
            "Other users of this computer can read your key.",
            "Make the profile folder private (its key file needs mode 0600), then try again.",
        ),
        RefusalCode::ProfileDamaged => fixed(
            "The profile cannot be read.",
            "Restore it from a backup, or start with --profile and a new folder.",
        ),
        RefusalCode::CannotListen => fixed(
            "This computer cannot wait for others on its network port.",
            "Another program may hold the port. Close it, or start Lanyard again in a minute.",
        ),
        RefusalCode::Failed => {
            fixed("A part of Lanyard has failed.", "Close this window and start Lanyard again.")
        }
    }
}

fn adds_detail(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Disabled
            | RefusalCode::Banned
            | RefusalCode::WrongRealm
            | RefusalCode::BadLink
            | RefusalCode::ProfileInUse
            | RefusalCode::ProfileUnsafe
            | RefusalCode::ProfileDamaged
            | RefusalCode::CannotListen
            | RefusalCode::Failed
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every code there is.
    const ALL: [RefusalCode; 15] = [
        RefusalCode::BadCredentials,
        RefusalCode::Locked,
        RefusalCode::Disabled,
        RefusalCode::Banned,
        RefusalCode::Unreachable,
        RefusalCode::WrongRealm,
        RefusalCode::Busy,
        RefusalCode::Invite,
        RefusalCode::Superseded,
        RefusalCode::BadLink,
        RefusalCode::ProfileInUse,
        RefusalCode::ProfileUnsafe,
        RefusalCode::ProfileDamaged,
        RefusalCode::CannotListen,
        RefusalCode::Failed,
    ];

    fn refusal(code: RefusalCode, retry_after_s: Option<u64>) -> Refusal {
        Refusal { code, reason: "by grace: \u{202E}spam".into(), retry_after_s }
    }

    #[test]
    fn every_code_has_its_own_sentence_and_next_step() {
        let all: Vec<_> = ALL.map(|code| explain(&refusal(code, None), "h:1", 0)).into();
        let titles: BTreeSet<_> = all.iter().map(|e| &e.title).collect();
        let advice: BTreeSet<_> = all.iter().map(|e| &e.advice).collect();
        assert_eq!((titles.len(), advice.len()), (ALL.len(), ALL.len()));
        assert_eq!(all.iter().filter(|e| e.is_alarming()).count(), 1);
    }

    #[test]
    fn a_ban_says_who_and_why_and_a_lock_how_long() {
        let ban = explain(&refusal(RefusalCode::Banned, None), "", 0);
        assert_eq!(ban.detail.as_deref(), Some("by grace: spam"));
        let lock = explain(&refusal(RefusalCode::Locked, Some(40)), "", 1_000);
        assert_eq!(lock.wait(1_000).as_deref(), Some("40 s"));
        assert_eq!(lock.wait(41_000), None);
    }
}

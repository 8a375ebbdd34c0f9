//! What each refusal means, and what to do next.

use lanyard_node::{Refusal, RefusalCode};
use lanyard_protocol::ids::PeerKey;

use crate::model::text;

/// A refusal as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The code, for support.
    pub code: RefusalCode,
    /// What happened.
    pub title: String,
    /// What to do.
    pub advice: &'static str,
    /// The node's own words, if they add something.
    pub detail: Option<String>,
    /// When to try again, unix milliseconds.
    pub retry_at: Option<u64>,
    /// The realm that the user may join anyway: only the user knows whether it is the right one.
    pub may_be_meant: Option<PeerKey>,
}

/// The login node that a form was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Its host and port.
    pub address: String,
    /// Whether this profile has been in its realm before.
    pub is_known: bool,
}

impl Explained {
    fn new(code: RefusalCode, title: String, advice: &'static str) -> Self {
        Self { code, title, advice, detail: None, retry_at: None, may_be_meant: None }
    }

    /// Whether this needs more attention than an everyday failure.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        self.code == RefusalCode::WrongRealm
    }

    /// How long to wait before the next attempt.
    #[must_use]
    pub fn wait(&self, now_ms: u64) -> Option<String> {
        let left = self.retry_at?.checked_sub(now_ms).filter(|left| *left > 0)?;
        Some(text::duration(left))
    }
}

/// Explains a login with neither a password nor a stored ticket, which is not the same as a wrong password.
#[must_use]
pub fn no_stored_ticket() -> Explained {
    let title = "This computer is not signed in under that name.";
    let advice = "Type your password and sign in again.";
    Explained::new(RefusalCode::BadCredentials, title.to_owned(), advice)
}

/// Explains that the link names a different realm than the one that was at its address before. No key but the link's is
/// ever accepted, so only the user can say whether the link is the right one.
#[must_use]
pub fn other_realm(realm: PeerKey) -> Explained {
    let title = "This is a different login node than last time.";
    let advice = "Either the place was set up again, or somebody is pretending to be it. \
                  Ask for a fresh join link in person before you go on.";
    Explained {
        detail: Some(NOTHING_SENT.to_owned()),
        may_be_meant: Some(realm),
        ..Explained::new(RefusalCode::WrongRealm, title.to_owned(), advice)
    }
}

/// Puts a refusal into words.
#[must_use]
pub fn explain(refusal: &Refusal, to: &Addressee, now_ms: u64) -> Explained {
    let said = text::clean_line(refusal.reason.trim());
    let detail = match refusal.code {
        RefusalCode::WrongRealm => Some(NOTHING_SENT.to_owned()),
        // These reasons say what the code alone cannot: who, why, which file.
        code => Some(said).filter(|said| adds_detail(code) && !said.is_empty()),
    };
    Explained {
        detail,
        retry_at: refusal.retry_after_s.map(|s| now_ms.saturating_add(s.saturating_mul(1_000))),
        ..Explained::new(refusal.code, title(refusal.code, to), advice(refusal.code, to))
    }
}

/// The password is sent only once the other side has proved the key of the link (PROTOCOL.md R-60).
const NOTHING_SENT: &str = "Nothing has been sent to it.";

fn title(code: RefusalCode, to: &Addressee) -> String {
    let title = match code {
        RefusalCode::Unreachable => {
            return format!("The login node does not answer at {}.", to.address);
        }
        RefusalCode::WrongRealm if to.is_known => "A different login node answers than last time.",
        RefusalCode::WrongRealm => "A different login node answers than your join link names.",
        RefusalCode::OtherVersion => "The login node runs another version.",
        RefusalCode::UnusableReply => "The login node's reply cannot be used.",
        RefusalCode::Busy => "The login node is busy.",
        RefusalCode::BadCredentials => "Wrong name or password.",
        RefusalCode::Locked => "Too many failed attempts: this account is locked for a while.",
        RefusalCode::Disabled => "This account is disabled.",
        RefusalCode::Banned => "This account is banned.",
        RefusalCode::TooManyDevices => "This account is signed in on too many devices.",
        RefusalCode::Invite => "Invites are not accepted here yet.",
        RefusalCode::Superseded => "This profile is in use on another computer.",
        RefusalCode::BadLink => "The join link cannot be read.",
        // A second window never gets here: it shows the first.
        RefusalCode::ProfileInUse => "A terminal peer is using this profile.",
        RefusalCode::ProfileUnsafe => "Other users of this computer can read your key.",
        RefusalCode::ProfileDamaged => "The profile cannot be read.",
        RefusalCode::CannotListen => "This computer cannot listen on its network port.",
        RefusalCode::Failed => "A part of Lanyard has failed.",
    };
    title.to_owned()
}

fn advice(code: RefusalCode, to: &Addressee) -> &'static str {
    match code {
        RefusalCode::Unreachable => {
            "Check that you are on the right network and that the login node is running. \
             While it is offline, only computers that are still signed in get in."
        }
        RefusalCode::WrongRealm if to.is_known => {
            "It was set up again, or somebody is pretending to be it. \
             Ask for a fresh join link in person."
        }
        RefusalCode::WrongRealm => {
            "The link may be old or damaged, or somebody is pretending to be the place. \
             Ask for the current join link in person."
        }
        RefusalCode::OtherVersion => {
            "Update Lanyard here, or ask the operator to update the login node."
        }
        RefusalCode::UnusableReply => "Tell the operator.",
        RefusalCode::Busy => "Many people are signing in right now. Try again in a moment.",
        RefusalCode::BadCredentials => {
            "Check both and try again. After 5 failed attempts you have to wait."
        }
        RefusalCode::Locked => "Wait, then try again. If it was not you, tell the operator.",
        RefusalCode::Disabled => "Ask the operator to enable it again.",
        RefusalCode::Banned => "If you think that is a mistake, talk to the operator.",
        RefusalCode::TooManyDevices => {
            "Sign one of them out under “My devices” on a computer that is signed in, or ask the operator to."
        }
        RefusalCode::Invite => "Ask the operator for an account and a link without an invite.",
        RefusalCode::Superseded => {
            "It was started there after this one. Close it there, or use another profile here."
        }
        RefusalCode::BadLink => "Copy the whole link again, from lanyard:// to its end.",
        RefusalCode::ProfileInUse => {
            "End it first, or start the window with --profile and another folder."
        }
        RefusalCode::ProfileUnsafe => {
            "Make the profile folder private (its key file needs mode 0600), then try again."
        }
        RefusalCode::ProfileDamaged => {
            "Restore it from a backup, or start with --profile and a new folder."
        }
        RefusalCode::CannotListen => {
            "Another program may be using the port. Close it, or start Lanyard again in a minute."
        }
        RefusalCode::Failed => "Close this window and start Lanyard again.",
    }
}

fn adds_detail(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Disabled
            | RefusalCode::Banned
            | RefusalCode::TooManyDevices
            | RefusalCode::UnusableReply
            | RefusalCode::BadLink
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

    /// All codes.
    const ALL: [RefusalCode; 18] = [
        RefusalCode::BadCredentials,
        RefusalCode::Locked,
        RefusalCode::Disabled,
        RefusalCode::Banned,
        RefusalCode::TooManyDevices,
        RefusalCode::Unreachable,
        RefusalCode::OtherVersion,
        RefusalCode::WrongRealm,
        RefusalCode::UnusableReply,
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

    fn told(refusal: &Refusal, is_known: bool) -> Explained {
        explain(refusal, &Addressee { address: "h:1".into(), is_known }, 1_000)
    }

    fn refusal(code: RefusalCode, retry_after_s: Option<u64>) -> Refusal {
        Refusal { code, reason: "by grace: \u{202E}spam".into(), retry_after_s }
    }

    #[test]
    fn each_code_has_its_own_sentence_and_advice() {
        let all: Vec<_> = ALL.map(|code| told(&refusal(code, None), true)).into();
        let titles: BTreeSet<_> = all.iter().map(|e| &e.title).collect();
        let advice: BTreeSet<_> = all.iter().map(|e| &e.advice).collect();
        assert_eq!((titles.len(), advice.len()), (ALL.len(), ALL.len()));
        assert_eq!(all.iter().filter(|e| e.is_alarming()).count(), 1);
    }

    #[test]
    fn only_a_known_realm_is_compared_with_last_time() {
        let wrong = refusal(RefusalCode::WrongRealm, None);
        assert!(told(&wrong, true).title.contains("than last time"));
        let first = told(&wrong, false);
        assert!(first.title.contains("than your join link names"));
        assert!(first.is_alarming() && first.may_be_meant.is_none(), "nothing can be insisted on");
    }

    #[test]
    fn a_ban_says_why_and_a_lock_how_long() {
        let ban = told(&refusal(RefusalCode::Banned, None), true);
        assert_eq!(ban.detail.as_deref(), Some("by grace: spam"));
        let lock = told(&refusal(RefusalCode::Locked, Some(40)), true);
        assert_eq!(lock.wait(1_000).as_deref(), Some("40 s"));
        assert_eq!(lock.wait(41_000), None);
    }
}

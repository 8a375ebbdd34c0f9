//! Why a node is not let in or has ended: a code for programs and a sentence for people.

/// Why this device is not let in, or is no longer a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// A code that programs can rely on.
    pub code: RefusalCode,
    /// A sentence that says what to do.
    pub reason: String,
    /// How many seconds to wait before trying again.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal with this sentence.
    #[must_use]
    pub fn of(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), retry_after_s: None }
    }

    /// A refusal for one of our errors, whose text becomes a sentence.
    #[must_use]
    pub fn new(code: RefusalCode, error: &dyn std::error::Error) -> Self {
        let words = error.to_string();
        let mut rest = words.chars();
        let first = rest.next().into_iter().flat_map(char::to_uppercase);
        let reason = first.chain(rest).chain(['.']).collect();
        Self { code, reason, retry_after_s: None }
    }
}

/// The codes that programs can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// The name or the password is wrong; it is not revealed which.
    BadCredentials,
    /// There were too many failed attempts; wait.
    Locked,
    /// The account is disabled.
    Disabled,
    /// The account is banned.
    Banned,
    /// The account is signed in on as many devices as it may have.
    TooManyDevices,
    /// The login node does not answer and there is no valid ticket.
    Unreachable,
    /// The login node answers, but has another version.
    OtherVersion,
    /// Another key answers at the address: not this realm's login node.
    WrongRealm,
    /// The login node has the right key, but its reply lacks something that it must have.
    UnusableReply,
    /// The login node is busy.
    Busy,
    /// Invites are not supported yet.
    Invite,
    /// A newer boot of this profile is running on another computer.
    Superseded,
    /// The join link cannot be read.
    BadLink,
    /// Another program on this computer is using the profile.
    ProfileInUse,
    /// The key file can be read by others.
    ProfileUnsafe,
    /// The key file or the database cannot be read.
    ProfileDamaged,
    /// The port to listen on is in use, or the address is not available.
    CannotListen,
    /// A part of this program has failed, and it cannot go on.
    Failed,
}

impl RefusalCode {
    /// The code as programs read it; some of our codes share one there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadCredentials => "bad-credentials",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Banned => "banned",
            Self::TooManyDevices => "too-many-devices",
            Self::Unreachable | Self::OtherVersion => "unreachable",
            Self::WrongRealm | Self::UnusableReply => "wrong-realm",
            Self::Busy => "busy",
            Self::Invite => "invite",
            Self::Superseded => "superseded",
            Self::BadLink => "bad-link",
            Self::ProfileInUse => "profile-in-use",
            Self::ProfileUnsafe => "profile-unsafe",
            Self::ProfileDamaged => "profile-damaged",
            Self::CannotListen => "cannot-listen",
            Self::Failed => "failed",
        }
    }
}

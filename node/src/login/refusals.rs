//! The login server's refusals, as sentences that say what to do.

use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{Denial, DenialCode};

use crate::refusal::{Refusal, RefusalCode};

/// The code for a login node that signs nothing because of its clock.
pub(crate) const LOGIN_NODE_CLOCK: &str = "login-node-clock";

pub(crate) fn wrong_realm() -> Refusal {
    Refusal::of(
        RefusalCode::WrongRealm,
        "A different login node answers at this address than the one in the join link. Your password was not sent. \
         Ask the operator for the current link, and compare it before you use it.",
    )
}

pub(crate) fn unreachable(link: &JoinLink, cause: &str) -> Refusal {
    let (host, port) = (&link.host, link.port);
    let reason = format!(
        "The login node does not answer at {host}:{port} ({cause}). Check the network and that the login node runs; \
         this profile is not signed in, so it cannot go on without it."
    );
    Refusal::of(RefusalCode::Unreachable, reason)
}

/// Whether the login node signs nobody in until its operator acts.
pub(crate) fn is_lasting(denial: &Denial) -> bool {
    denial.code == DenialCode::Busy && !denial.reason.is_empty()
}

pub(crate) fn denied(denial: &Denial) -> Refusal {
    let wait = denial.retry_after_s;
    let seconds = wait.unwrap_or(1);
    let because =
        if denial.reason.is_empty() { String::new() } else { format!(" ({})", denial.reason) };
    let code = match denial.code {
        DenialCode::BadCredentials => RefusalCode::BadCredentials,
        DenialCode::Locked => RefusalCode::Locked,
        DenialCode::Disabled => RefusalCode::Disabled,
        DenialCode::Banned => RefusalCode::Banned,
        DenialCode::Busy => RefusalCode::Busy,
        DenialCode::Unsupported => RefusalCode::OtherVersion,
        DenialCode::TooManyDevices => RefusalCode::TooManyDevices,
    };
    let reason = match denial.code {
        DenialCode::BadCredentials => {
            "The name or the password is wrong. Try again, or ask the operator to reset the password.".to_owned()
        }
        // It gives a reason only if no password was wrong.
        DenialCode::Locked if !denial.reason.is_empty() => {
            let when = wait.map_or(String::new(), |seconds| format!(" Try again in {seconds} s."));
            format!("The login node refuses this for now: {}.{when}", denial.reason)
        }
        DenialCode::Locked => {
            format!("Too many wrong passwords for this name. Try again in {seconds} s.")
        }
        DenialCode::Disabled => format!("This account is disabled{because}. Ask the operator."),
        DenialCode::Banned => format!("This account is banned{because}. Ask the operator."),
        // It gives a reason only if waiting does not help.
        DenialCode::Busy if is_lasting(denial) => format!(
            "The login node signs nobody in for now: {}. Tell the operator, and try again later.",
            denial.reason
        ),
        DenialCode::Busy => format!("The login node is busy. Try again in {seconds} s."),
        DenialCode::Unsupported => {
            "The login node runs another version. Update it or this program.".to_owned()
        }
        DenialCode::TooManyDevices => format!(
            "This account is signed in on as many devices as it may have{because}. Sign one of them out from a device \
             that is signed in (/devices and /logout, or \"My devices\" in the window), or ask the operator."
        ),
    };
    Refusal { code, reason, retry_after_s: wait }
}

/// The refusal of a device that asked with its key and without a password.
pub(crate) fn denied_device(denial: &Denial) -> Refusal {
    if denial.code != DenialCode::BadCredentials {
        return denied(denial);
    }
    let reason =
        "This device was signed out, or was away for too long: sign in with your password.";
    Refusal::of(RefusalCode::BadCredentials, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: DenialCode, reason: &str, retry_after_s: Option<u64>) -> String {
        denied(&Denial { code, reason: reason.to_owned(), retry_after_s }).reason
    }

    #[test]
    fn a_lock_speaks_of_passwords_only_if_one_was_wrong() {
        let guessed = said(DenialCode::Locked, "", Some(15));
        assert_eq!(guessed, "Too many wrong passwords for this name. Try again in 15 s.");
        let full = said(DenialCode::Locked, "ask the operator", None);
        assert_eq!(full, "The login node refuses this for now: ask the operator.");
        assert!(said(DenialCode::Locked, "too many", Some(9)).ends_with("Try again in 9 s."));
    }

    #[test]
    fn r78_a_device_too_many_is_told_what_to_do() {
        let told = said(DenialCode::TooManyDevices, "unused for the longest: 3 (old laptop)", None);
        assert!(told.contains("(unused for the longest: 3 (old laptop))"), "{told}");
        assert!(told.contains("Sign one of them out") && told.contains("the operator"), "{told}");
    }
}

//! Sentences that both forms use.

use lanyard_node::Status;
use lanyard_protocol::history::Sanctioned;
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::moderation::{ModerationKind, SignedModeration};
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::time::MINUTE_MS;

/// Messages were condemned, displaced, forgotten or restored.
pub(super) const RELOAD: &str = "Messages were removed or restored; read the history again.";

/// What a moderator did, with both names as far as they are known.
pub(super) fn moderation(signed: &SignedModeration, status: &Status) -> String {
    let moderation = signed.content();
    let maker = &signed.ticket().claims().username;
    let whom = name_of(moderation.sub, status);
    let minutes = moderation.until.saturating_sub(moderation.from).div_ceil(MINUTE_MS);
    let because = because(&moderation.reason);
    match moderation.kind {
        ModerationKind::Ban => format!("{maker} has banned {whom} for {minutes} min{because}"),
        ModerationKind::Mute => format!("{maker} has muted {whom} for {minutes} min{because}"),
        ModerationKind::Lift => format!("{maker} has lifted the mute or ban of {whom}{because}"),
    }
}

/// What the operator did.
pub(super) fn sanctioned(news: &Sanctioned, status: &Status) -> String {
    let whom = name_of(news.account, status);
    let because = because(&news.reason);
    let (done, undone) = match news.kind {
        SanctionKind::Mute => ("muted", "may write again"),
        SanctionKind::Ban | SanctionKind::Revocation => ("banned", "may come back"),
    };
    match (news.lifted, news.until) {
        (true, _) => format!("{whom} {undone}"),
        (false, None) => format!("The operator has {done} {whom}{because}"),
        (false, Some(until)) => {
            let minutes = until.saturating_sub(news.at).div_ceil(MINUTE_MS);
            format!("The operator has {done} {whom} for {minutes} min{because}")
        }
    }
}

fn name_of(account: AccountId, status: &Status) -> String {
    let known = status.roster.get(&account).map(|person| person.username.clone());
    known.unwrap_or_else(|| format!("the account {}", account.short()))
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

//! What a new policy means for people: the bans and mutes that it begins or ends.

use crate::ids::AccountId;
use crate::policy::{Policy, Sanction, SanctionKind};

/// A ban or mute by the operator that has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanctioned {
    /// The account it applies to.
    pub account: AccountId,
    /// Whether it is a ban or a mute.
    pub kind: SanctionKind,
    /// Whether it has ended rather than begun.
    pub lifted: bool,
    /// When it ends: realm time, unix milliseconds. `None` if it lasts until it is lifted.
    pub until: Option<u64>,
    /// The reason, in the operator's words.
    pub reason: String,
    /// When we learnt of it: realm time, unix milliseconds.
    pub at: u64,
}

/// The bans and mutes in force at a realm time under one of two policies and not under the other.
pub(crate) fn sanctioned(old: &Policy, new: &Policy, realm_ms: u64) -> Vec<Sanctioned> {
    let begun = only_in(new, old, realm_ms).map(move |sanction| told(sanction, false, realm_ms));
    let ended = only_in(old, new, realm_ms).map(move |sanction| told(sanction, true, realm_ms));
    begun.chain(ended).collect()
}

fn only_in<'a>(
    these: &'a Policy,
    those: &'a Policy,
    at: u64,
) -> impl Iterator<Item = &'a Sanction> {
    let in_force = move |policy: &Policy, sanction: &Sanction| match sanction.kind {
        SanctionKind::Ban => policy.ban_at(sanction.sub, at).is_some(),
        SanctionKind::Mute => policy.mute_at(sanction.sub, at).is_some(),
        SanctionKind::Revocation => false,
    };
    these.sanctions.iter().filter(move |sanction| {
        let now = sanction.from <= at && sanction.until.is_none_or(|until| at < until);
        now && in_force(these, sanction) && !in_force(those, sanction)
    })
}

fn told(sanction: &Sanction, lifted: bool, at: u64) -> Sanctioned {
    Sanctioned {
        account: sanction.sub,
        kind: sanction.kind,
        lifted,
        until: sanction.until,
        reason: sanction.reason.clone(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, T0};

    #[test]
    fn r53_what_begins_and_what_ends_is_told_once() {
        let with =
            |sanctions: Vec<Sanction>| Policy { sanctions, ..testing::policy(&testing::key(1)) };
        let (bob, none) = (testing::account("bob"), with(Vec::new()));
        let mute = |until| testing::sanction(SanctionKind::Mute, bob, T0, until);
        let muted = with(vec![mute(None)]);
        let begun = sanctioned(&none, &muted, T0 + 5);
        assert_eq!(begun.len(), 1);
        assert_eq!((begun[0].account, begun[0].lifted), (bob, false));
        assert!(sanctioned(&muted, &muted, T0 + 5).is_empty());
        let lifted = sanctioned(&muted, &with(vec![mute(Some(T0 + 3))]), T0 + 5);
        assert_eq!((lifted.len(), lifted[0].lifted), (1, true));
        let later = with(vec![testing::sanction(SanctionKind::Mute, bob, T0 + 9, None)]);
        assert!(sanctioned(&none, &later, T0 + 5).is_empty());
        let revoked = with(vec![testing::sanction(SanctionKind::Revocation, bob, T0, None)]);
        assert!(sanctioned(&none, &revoked, T0 + 5).is_empty());
    }
}

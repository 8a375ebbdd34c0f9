//! The rules: policy and counted moderations together, looked up by date (PROTOCOL.md ).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::Role;
use crate::message::VerifiedMessage;
use crate::moderation::{ModerationKind, SignedModeration};
use crate::policy::{Limits, Policy, RoomRules, Sanction, SanctionKind};
use crate::verdict::Refused;

use super::author::Author;
use super::moderations::{Counted, Moderations, NoEffect};

/// A ban or mute in force, given by the operator or a moderator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Whether it is a ban or a mute.
    pub kind: SanctionKind,
    /// When it begins: realm time, unix milliseconds.
    pub from: u64,
    /// When it ends, or `None` if it lasts until it is lifted.
    pub until: Option<u64>,
    /// The reason that was given.
    pub reason: String,
    /// The operator or the moderator who gave it.
    pub by: Maker,
}

/// Who gave a [`Sentence`], by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// The operator, through a sanction in the policy.
    Operator(String),
    /// A moderator, through a moderation.
    Moderator(String),
}

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Rules {
    policy: Arc<Policy>,
    moderations: Moderations,
}

impl Rules {
    /// Rules with this policy and no moderations.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, moderations: Moderations::default() }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The moderations that are kept.
    #[must_use]
    pub fn moderations(&self) -> &Moderations {
        &self.moderations
    }

    /// Replaces the policy. Returns the earliest time at which verdicts have changed.
    pub(super) fn set_policy(&mut self, policy: Arc<Policy>) -> Option<u64> {
        self.policy = policy;
        self.moderations.recount(&self.policy)
    }

    /// Adds a moderation. It does not count until [`Self::recount_moderations`].
    pub(super) fn insert_moderation(
        &mut self,
        moderation: SignedModeration,
    ) -> Result<(), NoEffect> {
        self.moderations.insert(moderation, &self.policy)
    }

    /// Decides again which moderations count. Returns the earliest time at which verdicts have changed.
    pub(super) fn recount_moderations(&mut self) -> Option<u64> {
        self.moderations.recount(&self.policy)
    }

    pub(super) fn forget_moderations(&mut self, boundary: u64) {
        self.moderations.forget_outdated(boundary, &self.policy);
    }

    /// Judges everything about a message but the quota.
    ///
    /// # Errors
    /// The first [`Refused`] that applies in the table of PROTOCOL.md R-42, leaving out arrival and quota.
    pub fn judge(
        &self,
        author: &Author,
        room: &str,
        sent_at: u64,
        text_bytes: usize,
    ) -> Result<(), Refused> {
        if author.role == Role::Authority {
            return Err(Refused::Authority);
        }
        if !author.covers(sent_at) {
            return Err(Refused::OutsideTicket);
        }
        if text_bytes as u64 > self.policy.limits_at(sent_at).max_text_bytes {
            return Err(Refused::TooLong);
        }
        if !self.policy.room(room).is_some_and(|room| room.may_post(author.role, sent_at)) {
            return Err(Refused::MayNotPost);
        }
        let Author { account, peer, issued_at, .. } = *author;
        if self.policy.revocation_at(account, peer, issued_at, sent_at).is_some()
            || self.ban_at(author, sent_at).is_some()
            || self.mute_at(author, sent_at).is_some()
        {
            return Err(Refused::Sanctioned);
        }
        Ok(())
    }

    /// Whether a message that arrives only now is shown folded and notifies nobody: its author could not post it now.
    ///
    /// It is held all the same, because its date decides about that. But a modified program can choose any date, so a
    /// peer that had `caught_up` before the author was muted or signed out, or the room archived, does not believe that
    /// it missed the message until now. Others show it, unless the author is banned. Both times are realm times in unix
    /// milliseconds.
    #[must_use]
    pub fn silences(&self, message: &VerifiedMessage, now: u64, caught_up: Option<u64>) -> bool {
        let (author, content) = (Author::of(message.ticket()), message.content());
        let Author { account, peer, issued_at, .. } = author;
        let revocation = self.policy.revocation_at(account, peer, issued_at, now);
        let room = self.policy.room(&content.room).filter(|room| room.archived_at(now));
        let began = [
            self.mute_at(&author, now).map(|mute| mute.from),
            revocation.map(|revocation| revocation.from),
            room.and_then(|room| room.archived_from),
        ];
        let known = caught_up.map(|at| at.max(content.sent_at));
        self.ban_at(&author, now).is_some()
            || began.into_iter().flatten().any(|began| known.is_some_and(|known| known < began))
    }

    /// The moderation that decides about an account at a time. None applies to moderators and admins.
    fn moderation_at(&self, author: &Author, at: u64) -> Option<&Counted> {
        matches!(author.role, Role::Guest | Role::Member)
            .then(|| self.moderations.last_word(author.account, at))
            .flatten()
    }

    /// The ban in force at a realm time. The operator's takes precedence.
    #[must_use]
    pub fn ban_at(&self, author: &Author, at: u64) -> Option<Sentence> {
        self.sentence_at(SanctionKind::Ban, ModerationKind::Ban, author, at)
    }

    /// The mute in force at a realm time. The operator's takes precedence.
    #[must_use]
    pub fn mute_at(&self, author: &Author, at: u64) -> Option<Sentence> {
        self.sentence_at(SanctionKind::Mute, ModerationKind::Mute, author, at)
    }

    fn sentence_at(
        &self,
        kind: SanctionKind,
        moderation: ModerationKind,
        author: &Author,
        at: u64,
    ) -> Option<Sentence> {
        let by_policy = match kind {
            SanctionKind::Ban => self.policy.ban_at(author.account, at),
            SanctionKind::Mute => self.policy.mute_at(author.account, at),
            SanctionKind::Revocation => None,
        };
        let policy = by_policy.map(|sanction| Sentence {
            kind,
            from: sanction.from,
            until: sanction.until,
            reason: sanction.reason.clone(),
            by: Maker::Operator(sanction.by.clone()),
        });
        policy.or_else(|| {
            let counted =
                self.moderation_at(author, at).filter(|counted| counted.kind == moderation)?;
            Some(Sentence {
                kind,
                from: counted.from,
                until: Some(counted.until),
                reason: counted.reason.clone(),
                by: Maker::Moderator(counted.by.clone()),
            })
        })
    }

    /// How many messages a minute a role may send at a realm time; `None` means that there is no limit.
    #[must_use]
    pub fn per_minute(&self, role: Role, at: u64) -> Option<u64> {
        let rules = self.policy.limits_at(at);
        limit(if role == Role::Guest { rules.guest_per_minute } else { rules.per_minute })
    }

    /// How many messages a UTC day an account may send at a realm time; `None` means that there is no limit.
    #[must_use]
    pub fn per_day(&self, at: u64) -> Option<u64> {
        limit(self.policy.limits_at(at).per_day)
    }
}

/// 0 means unlimited.
fn limit(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// The earliest time about which two policies differ, or `None` if they judge alike. Everything in a policy is dated,
/// so messages sent earlier need not be judged again.
pub(super) fn earliest_difference(old: &Policy, new: &Policy) -> Option<u64> {
    [limits_differ(&old.rules, &new.rules), rooms_differ(old, new), sanctions_differ(old, new)]
        .into_iter()
        .flatten()
        .min()
}

fn limits_differ(old: &[Limits], new: &[Limits]) -> Option<u64> {
    let oldest = |rules: &[Limits]| rules.iter().min_by_key(|rules| rules.from).copied();
    if oldest(old) != oldest(new) {
        // The oldest rules also apply to messages sent before their date.
        return Some(0);
    }
    let only_in = |these: &[Limits], those: &[Limits]| {
        these.iter().filter(|rules| !those.contains(rules)).map(|rules| rules.from).min()
    };
    [only_in(old, new), only_in(new, old)].into_iter().flatten().min()
}

fn rooms_differ(old: &Policy, new: &Policy) -> Option<u64> {
    let names = old.rooms.iter().chain(&new.rooms).map(|room| &room.name);
    names.filter_map(|name| room_differs(old.room(name), new.room(name))).min()
}

fn room_differs(old: Option<&RoomRules>, new: Option<&RoomRules>) -> Option<u64> {
    let (Some(old), Some(new)) = (old, new) else { return Some(0) };
    let archived = (old.archived_from != new.archived_from)
        .then(|| [old.archived_from, new.archived_from].into_iter().flatten().min())
        .flatten();
    let changed = |these: &RoomRules, those: &RoomRules| {
        these.post.iter().filter(|rule| !those.post.contains(rule)).map(|rule| rule.from).min()
    };
    [archived, changed(old, new), changed(new, old)].into_iter().flatten().min()
}

fn sanctions_differ(old: &Policy, new: &Policy) -> Option<u64> {
    let by_id = |policy: &Policy| -> BTreeMap<u64, Sanction> {
        policy.sanctions.iter().map(|sanction| (sanction.id, sanction.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let only_in = |these: &BTreeMap<u64, Sanction>, those: &BTreeMap<u64, Sanction>| {
        let differs = |(id, sanction): &(&u64, &Sanction)| {
            those.get(id).is_none_or(|other| other != *sanction)
        };
        these.iter().filter(differs).map(|(_id, sanction)| sanction.from).min()
    };
    [only_in(&before, &after), only_in(&after, &before)].into_iter().flatten().min()
}

//! Which moderations count (PROTOCOL.md R-122), which one decides, which are settled, and which are
//! reconciled.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AccountId, MessageId, Role};
use crate::limits::{MODERATIONS_PER_DAY, MODERATIONS_PER_MINUTE};
use crate::moderation::{ModerationKind, SignedModeration};
use crate::policy::Policy;
use crate::time::{DAY_MS, MINUTE_MS};

use super::author::Author;

/// A moderation's place among those of its maker: `from`, number, id.
type Place = (u64, [u8; 16], MessageId);

/// Why an authentic moderation has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEffect {
    /// The moderation is already known.
    #[error("this moderation is known already")]
    Known,
    /// Its maker is not a moderator.
    #[error("only moderators and admins moderate")]
    NotAModerator,
    /// It was given while its maker's ticket was not valid.
    #[error("the moderation was given outside the life of its maker's ticket")]
    OutsideTicket,
    /// Its maker was banned or signed out when it was given.
    #[error("its maker was no longer a member")]
    Sanctioned,
    /// Smaller moderations of the same maker use up the quota of that minute.
    #[error("no more than {MODERATIONS_PER_MINUTE} moderations in a minute")]
    TooMany,
    /// Smaller moderations of the same maker use up the quota of that UTC day.
    #[error("no more than {MODERATIONS_PER_DAY} moderations in a day")]
    TooManyInADay,
}

/// A moderation that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub(super) from: u64,
    number: [u8; 16],
    id: MessageId,
    pub(super) until: u64,
    pub(super) kind: ModerationKind,
    pub(super) reason: String,
    pub(super) by: String,
}

/// The moderations that are kept.
#[derive(Debug, Clone, Default)]
pub struct Moderations {
    moderations: BTreeMap<MessageId, SignedModeration>,
    /// The same moderations, sorted by maker and place.
    places: BTreeSet<(AccountId, Place)>,
    /// Those that count under the policy in force, settled or not: the set that is reconciled.
    allowed: BTreeSet<(u64, MessageId)>,
    /// Grows with every recount, so that a stale copy of the items can be recognised.
    version: u64,
    /// Those of them that are not settled, by the account they apply to, oldest first.
    counted: BTreeMap<AccountId, Vec<Counted>>,
}

impl Moderations {
    /// The moderations that are kept, by id.
    pub fn iter(&self) -> impl Iterator<Item = &SignedModeration> {
        self.moderations.values()
    }

    /// The start time and id of each moderation that peers reconcile, sorted.
    pub fn items(&self) -> impl Iterator<Item = (u64, MessageId)> {
        self.allowed.iter().copied()
    }

    /// A number that changes whenever the items do, and sometimes when they did not.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The moderation with this id.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<&SignedModeration> {
        self.moderations.get(&id)
    }

    /// Whether a moderation counts and is not settled under the policy of the last recount.
    #[must_use]
    pub fn counts(&self, moderation: &SignedModeration) -> bool {
        let of_account = self.counted.get(&moderation.content().sub);
        of_account
            .is_some_and(|counted| counted.iter().any(|counted| counted.id == moderation.id()))
    }

    /// Whether a moderator's ban or mute of an account is in force at a time.
    #[must_use]
    pub fn is_ordered(&self, account: AccountId, at: u64) -> bool {
        self.last_word(account, at).is_some_and(|counted| counted.kind != ModerationKind::Lift)
    }

    /// The first millisecond from `at` on at which no counted moderation of this account begins.
    #[must_use]
    pub fn first_free(&self, account: AccountId, at: u64) -> u64 {
        let counted = self.counted.get(&account).into_iter().flatten();
        // The list is sorted, so each one in the way moves the time past itself.
        counted.fold(at, |free, counted| if counted.from == free { free + 1 } else { free })
    }

    /// The moderation that decides about an account at a time: the newest in force, whoever gave it, so that moderators
    /// who contradict each other get the same result on every peer.
    pub(super) fn last_word(&self, account: AccountId, at: u64) -> Option<&Counted> {
        let in_force = |counted: &&Counted| counted.from <= at && at < counted.until;
        // The list is sorted, so the last one in force is the newest.
        self.counted.get(&account)?.iter().rev().find(in_force)
    }

    /// Adds a moderation. It does not count until [`Self::recount`].
    pub(super) fn insert(
        &mut self,
        moderation: SignedModeration,
        policy: &Policy,
    ) -> Result<(), NoEffect> {
        if self.moderations.contains_key(&moderation.id()) {
            return Err(NoEffect::Known);
        }
        may_moderate(&moderation, policy)?;
        let (maker, place) = (maker(&moderation), place(&moderation));
        self.places.insert((maker, place));
        self.moderations.insert(moderation.id(), moderation);
        // As with messages, the smallest stay within the quota, so that all peers keep the same ones.
        let over = self.over_limits(maker, place.0 / DAY_MS, policy);
        for (other, _why) in &over {
            self.places.remove(&(maker, *other));
            self.moderations.remove(&other.2);
        }
        over.iter().find(|(other, _why)| *other == place).map_or(Ok(()), |(_place, why)| Err(*why))
    }

    /// The moderations of a maker and UTC day that are over its quota, whichever of them arrived first.
    fn over_limits(&self, maker: AccountId, day: u64, policy: &Policy) -> Vec<(Place, NoEffect)> {
        let begin = |day: u64| (maker, (day.saturating_mul(DAY_MS), [0; 16], MessageId([0; 32])));
        let of_day = self.places.range(begin(day)..begin(day.saturating_add(1)));
        let mut used = Used::default();
        let judged = of_day.filter_map(|(maker, place)| {
            let moderation = self.moderations.get(&place.2)?;
            may_moderate(moderation, policy).ok()?;
            used.take(*maker, place.0).err().map(|why| (*place, why))
        });
        judged.collect()
    }

    /// Decides again which moderations count. Returns the earliest time at which verdicts have changed.
    pub(super) fn recount(&mut self, policy: &Policy) -> Option<u64> {
        self.allowed.clear();
        self.version = self.version.wrapping_add(1);
        let mut counted: BTreeMap<AccountId, Vec<Counted>> = BTreeMap::new();
        let mut used = Used::default();
        let moderations =
            self.places.iter().filter_map(|(_maker, place)| self.moderations.get(&place.2));
        for moderation in moderations {
            // A newer policy may let moderations count that did not when the others were added, so the quota applies
            // again.
            if may_moderate(moderation, policy).is_err()
                || used.take(maker(moderation), moderation.content().from).is_err()
            {
                continue;
            }
            self.allowed.insert((moderation.content().from, moderation.id()));
            if !is_settled(moderation, policy) {
                counted.entry(moderation.content().sub).or_default().push(count(moderation));
            }
        }
        counted.values_mut().for_each(|moderations| moderations.sort_unstable());
        let before = std::mem::replace(&mut self.counted, counted);
        earliest_change(&before, &self.counted)
    }

    /// Whether any moderation is out of date at this retention boundary.
    pub(super) fn has_outdated(&self, boundary: u64) -> bool {
        self.moderations.values().any(|moderation| is_outdated(moderation, boundary))
    }

    pub(super) fn forget_outdated(&mut self, boundary: u64, policy: &Policy) {
        self.moderations.retain(|_id, moderation| !is_outdated(moderation, boundary));
        self.places.retain(|(_maker, place)| self.moderations.contains_key(&place.2));
        self.recount(policy);
    }
}

/// Whether a moderation is forgotten at this retention boundary, the start of a UTC day. It began before the day before,
/// and lasts for a day at most. The quota counts a day, so the moderations of a day are forgotten together.
pub(crate) fn is_outdated(moderation: &SignedModeration, boundary: u64) -> bool {
    moderation.content().from < boundary.saturating_sub(DAY_MS)
}

/// Whether the maker was a moderator with a valid ticket, neither banned nor signed out, when it gave the moderation.
fn may_moderate(signed: &SignedModeration, policy: &Policy) -> Result<(), NoEffect> {
    let author = Author::of(signed.ticket());
    let from = signed.content().from;
    if !matches!(author.role, Role::Moderator | Role::Admin) {
        return Err(NoEffect::NotAModerator);
    }
    if !author.covers(from) {
        return Err(NoEffect::OutsideTicket);
    }
    let Author { account, peer, issued_at, .. } = author;
    if policy.revocation_at(account, peer, issued_at, from).is_some()
        || policy.ban_at(account, from).is_some()
    {
        return Err(NoEffect::Sanctioned);
    }
    Ok(())
}

/// Whether the operator has confirmed or overturned a moderation. Either way the moderation itself is over.
fn is_settled(signed: &SignedModeration, policy: &Policy) -> bool {
    policy.settled.iter().any(|settled| settled.number == signed.content().number)
}

/// How much of its quota a maker has used so far.
#[derive(Debug, Default)]
struct Used {
    maker: Option<AccountId>,
    minute: (u64, usize),
    day: (u64, usize),
}

impl Used {
    /// Counts one more moderation, unless its minute or its day is full. One that its minute has no room for does not
    /// count towards the day.
    fn take(&mut self, maker: AccountId, from: u64) -> Result<(), NoEffect> {
        if self.maker != Some(maker) {
            *self = Self { maker: Some(maker), ..Self::default() };
        }
        for (span, length) in [(&mut self.minute, MINUTE_MS), (&mut self.day, DAY_MS)] {
            if span.0 != from / length {
                *span = (from / length, 0);
            }
        }
        if self.minute.1 >= MODERATIONS_PER_MINUTE {
            return Err(NoEffect::TooMany);
        }
        if self.day.1 >= MODERATIONS_PER_DAY {
            return Err(NoEffect::TooManyInADay);
        }
        self.minute.1 = self.minute.1.saturating_add(1);
        self.day.1 = self.day.1.saturating_add(1);
        Ok(())
    }
}

fn maker(moderation: &SignedModeration) -> AccountId {
    moderation.ticket().claims().account
}

fn place(moderation: &SignedModeration) -> Place {
    (moderation.content().from, moderation.content().number, moderation.id())
}

fn count(signed: &SignedModeration) -> Counted {
    let (from, number, id) = place(signed);
    let moderation = signed.content();
    Counted {
        from,
        number,
        id,
        until: moderation.until,
        kind: moderation.kind,
        reason: moderation.reason.clone(),
        by: signed.ticket().claims().username.clone(),
    }
}

fn earliest_change(
    old: &BTreeMap<AccountId, Vec<Counted>>,
    new: &BTreeMap<AccountId, Vec<Counted>>,
) -> Option<u64> {
    let flat = |book: &BTreeMap<AccountId, Vec<Counted>>| -> BTreeSet<(u64, MessageId)> {
        book.values().flatten().map(|counted| (counted.from, counted.id)).collect()
    };
    flat(old).symmetric_difference(&flat(new)).map(|(from, _id)| *from).min()
}

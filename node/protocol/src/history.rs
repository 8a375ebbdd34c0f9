//! Which authentic messages are held: a function of the messages, the policy and the moderations alone
//! (PROTOCOL.md R-42, R-43, R-46 to R-49).
//!
//! ```text
//!            policy ─┐
//!       moderations ─┴▶ Rules ─┬─ judge by date ─┬▶ valid ── per minute, per day ─┬▶ held
//!  verified messages ──────────┘                 └▶ condemned: kept, not shown    └▶ displaced: deleted
//! ```
//!
//! Nothing here looks at the time or the order of arrival. So peers that know the same come to the same set, however
//! it reached them; and a verdict can be taken back when a policy or a moderation arrives that speaks of an earlier time.
//!
//! All that the history looks at stays in memory, about a hundred bytes a message: a verdict needs no disk.

mod admitted;
mod author;
mod message_set;
mod moderations;
mod newest_ids;
mod quota;
pub(crate) mod retention;
mod rules;
mod sanctions;

use std::sync::Arc;

use crate::ids::MessageId;
use crate::message::VerifiedMessage;
use crate::moderation::SignedModeration;
use crate::policy::Policy;
use crate::ticket::Ticket;
use crate::time::{DAY_MS, HOUR_MS};
use crate::verdict::Refused;

pub use admitted::AdmittedMessage;
pub use author::Author;
use message_set::MessageSet;
pub use message_set::{Indexed, Resettled};
pub use moderations::{Moderations, NoEffect};
use newest_ids::NewestIds;
pub use rules::{Maker, Rules, Sentence};
pub use sanctions::Sanctioned;
pub(crate) use sanctions::sanctioned;

/// f and what it knows: the rules, the set, and the ids that were refused under these rules.
#[derive(Debug)]
pub struct History {
    rules: Arc<Rules>,
    set: MessageSet,
    /// Not fetched again before the rules change.
    refused: NewestIds,
    /// Not fetched again although the index, which goes by time, cannot find an id alone.
    taken: NewestIds,
    /// What was sent before is no longer kept; realm time, unix milliseconds.
    boundary: u64,
}

/// A message that the history has taken in.
#[derive(Debug)]
pub struct Taken {
    /// The message.
    pub message: AdmittedMessage,
    /// Larger ones of the same account that it pushed out of the quota.
    pub displaced: Vec<MessageId>,
    /// Whether its author is banned now: it was sent before, and is shown folded.
    pub folded: bool,
}

impl History {
    /// The history of a realm with this policy, over an empty set.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self {
            rules: Arc::new(Rules::new(policy)),
            set: MessageSet::default(),
            refused: NewestIds::default(),
            taken: NewestIds::default(),
            boundary: 0,
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What is held.
    #[must_use]
    pub fn set(&self) -> &MessageSet {
        &self.set
    }

    /// The retention boundary: realm time, unix milliseconds, on the hour.
    #[must_use]
    pub fn boundary(&self) -> u64 {
        self.boundary
    }

    /// Judges a message whose time of arrival has been judged already.
    ///
    /// # Errors
    /// [`Refused`]; the id is remembered then.
    pub fn take(&mut self, message: VerifiedMessage, realm_ms: u64) -> Result<Taken, Refused> {
        let id = message.id();
        let content = message.content();
        if self.set.contains(content.sent_at, id) {
            return Err(Refused::Held);
        }
        if content.sent_at < self.boundary {
            return Err(Refused::Forgotten);
        }
        let author = Author::of(message.ticket());
        let judged = self.rules.judge(&author, &content.room, content.sent_at, content.body.size());
        let taken = judged.and_then(|()| self.set.insert(&self.rules, &message));
        let displaced = taken.inspect_err(|_refused| self.refused.insert(id))?;
        for id in &displaced {
            self.refused.insert(*id);
        }
        self.taken.insert(id);
        let folded = self.rules.ban_at(&author, realm_ms).is_some();
        Ok(Taken { message: AdmittedMessage::new(message), displaced, folded })
    }

    /// When the quota has room for another message of this author, which comes after all others: `None` for now,
    /// else a realm time in unix milliseconds.
    #[must_use]
    pub fn full_until(&self, author: &Author, sent_at: u64) -> Option<u64> {
        self.set.full_until(&self.rules, author, sent_at)
    }

    /// Whether to ask a peer that offers this id, which is not in the set, for it.
    #[must_use]
    pub fn wants(&self, id: MessageId) -> bool {
        !self.refused.contains(id) && !self.taken.contains(id)
    }

    /// Puts a newer policy in force.
    pub fn adopt_policy(&mut self, policy: Arc<Policy>) -> Resettled {
        let from = rules::earliest_difference(self.rules.policy(), &policy);
        let mut rules = Rules::clone(&self.rules);
        let recounted = rules.set_policy(policy);
        self.change_rules(rules, [from, recounted].into_iter().flatten().min())
    }

    /// Takes in an authentic moderation.
    ///
    /// # Errors
    /// [`NoEffect`] if it does not count, and need not be kept.
    pub fn take_moderation(&mut self, moderation: SignedModeration) -> Result<Resettled, NoEffect> {
        let mut rules = Rules::clone(&self.rules);
        rules.insert_moderation(moderation)?;
        let recounted = rules.recount_moderations();
        Ok(self.change_rules(rules, recounted))
    }

    /// Takes in many authentic moderations and settles the set once for all of them, because a moderator can give too
    /// many to settle one by one. Returns those that are kept.
    pub fn take_moderations(
        &mut self,
        moderations: Vec<SignedModeration>,
    ) -> (Vec<SignedModeration>, Resettled) {
        let mut rules = Rules::clone(&self.rules);
        let keeps =
            |moderation: &SignedModeration| rules.insert_moderation(moderation.clone()).is_ok();
        let mut kept: Vec<SignedModeration> = moderations.into_iter().filter(keeps).collect();
        // A smaller one that came after it may have taken its place.
        kept.retain(|moderation| rules.moderations().get(moderation.id()).is_some());
        if kept.is_empty() {
            return (kept, Resettled::default());
        }
        let recounted = rules.recount_moderations();
        let resettled = self.change_rules(rules, recounted);
        (kept, resettled)
    }

    /// Moderations that were stored earlier, at the start.
    pub fn restore_moderations(&mut self, moderations: Vec<SignedModeration>) {
        let mut rules = Rules::clone(&self.rules);
        for moderation in moderations {
            // What was kept counted once. If it does not any more, it is left to the retention.
            rules.insert_moderation(moderation).ok();
        }
        rules.recount_moderations();
        self.rules = Arc::new(rules);
    }

    fn change_rules(&mut self, rules: Rules, from: Option<u64>) -> Resettled {
        let before = std::mem::replace(&mut self.rules, Arc::new(rules));
        let Some(from) = from else { return Resettled::default() };
        self.refused.clear();
        // What was taken may have been displaced, and have room again.
        self.taken.clear();
        let other_limits = before.policy().rules != self.rules.policy().rules;
        let resettled = self.set.resettle(&self.rules, from, other_limits);
        for id in &resettled.displaced {
            self.refused.insert(*id);
        }
        resettled
    }

    /// Adds messages stored by earlier runs to the index. Returns what has changed because the rules are different now.
    pub fn index(&mut self, entries: Vec<Indexed>) -> Resettled {
        self.set.index(&self.rules, entries)
    }

    /// Notes the author of stored messages, which name it by the hash of its ticket.
    pub fn note_author(&mut self, ticket: &Ticket) {
        self.set.note_author(ticket.hash(), Author::of(ticket));
    }

    /// The store did not take a message: it is not held after all, and may come again.
    pub fn was_not_stored(&mut self, sent_at: u64, id: MessageId) {
        self.set.remove(sent_at, id);
        self.taken.clear();
    }

    /// Moves the retention boundary towards what is due at a realm time, but no further than `reach`, which is a realm
    /// time as well. `Some` if there is something to forget: all that was sent before it.
    ///
    /// It goes back if the time was wrong by a day or more: what others still have is fetched again.
    pub fn retain(&mut self, realm_ms: u64, reach: u64) -> Option<u64> {
        let days = self.rules.policy().limits_at(realm_ms).retention_days;
        let due = realm_ms.saturating_sub(days.saturating_mul(DAY_MS)).min(reach);
        let boundary = due - due % HOUR_MS;
        if boundary > self.boundary {
            self.boundary = boundary;
        } else if boundary.saturating_add(DAY_MS) <= self.boundary {
            self.boundary = boundary;
            self.taken.clear();
        }
        let boundary = self.boundary;
        let forgotten = self.set.forget_before(boundary);
        let rules = &mut self.rules;
        if rules.moderations().has_ended_before(boundary) {
            Arc::make_mut(rules).forget_moderations(boundary);
        }
        forgotten.then_some(boundary)
    }
}

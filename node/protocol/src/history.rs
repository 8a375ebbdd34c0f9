//! Which authentic messages are held: a function of the messages, the policy and the moderations alone
//! (PROTOCOL.md R-42, R-43, R-46 to R-49).
//!
//! ```text
//!            policy ─┐
//!       moderations ─┴▶ Rules ─┬─ judge by date ─┬▶ valid ── per minute, per day ─┬▶ held
//!  verified messages ──────────┘                 └▶ condemned: kept, not shown    └▶ displaced: deleted
//! ```
//!
//! Nothing here depends on when, or in what sequence, things arrive, so peers that know the same hold the same. A
//! policy or moderation that is dated in the past can change a verdict afterwards.
//!
//! Everything that a verdict needs is in memory, at about a hundred bytes per message, so judging never reads the disk.

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
use crate::time::DAY_MS;
use crate::verdict::Refused;

pub use admitted::AdmittedMessage;
pub use author::Author;
use message_set::MessageSet;
pub use message_set::{Indexed, Resettled};
pub(crate) use moderations::is_outdated;
pub use moderations::{Moderations, NoEffect};
use newest_ids::NewestIds;
pub use rules::{Maker, Rules, Sentence};
pub use sanctions::Sanctioned;
pub(crate) use sanctions::sanctioned;

/// The messages that a peer holds, and the rules that decide which ones those are.
#[derive(Debug)]
pub struct History {
    rules: Arc<Rules>,
    set: MessageSet,
    /// Ids that the rules in force have refused, which are not fetched again until the rules change.
    refused: NewestIds,
    /// Ids admitted lately. The index is sorted by time, so it cannot find a message by its id alone.
    taken: NewestIds,
    /// Messages sent before this are no longer kept: realm time, unix milliseconds.
    boundary: u64,
}

/// An admitted message, and what admitting it changed.
#[derive(Debug)]
pub struct Taken {
    /// The message, which may now be stored, shown and forwarded.
    pub message: AdmittedMessage,
    /// Messages of the same account with larger order keys that it displaced from the quota.
    pub displaced: Vec<MessageId>,
}

impl History {
    /// A history without messages under this policy.
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

    /// The messages that are kept.
    #[must_use]
    pub fn set(&self) -> &MessageSet {
        &self.set
    }

    /// The retention boundary, the start of a UTC day: realm time, unix milliseconds.
    #[must_use]
    pub fn boundary(&self) -> u64 {
        self.boundary
    }

    /// Admits a message if the rules and the quota allow it. The caller has already checked its time of arrival.
    ///
    /// # Errors
    /// [`Refused`] if the message is not admitted. An id that the rules or the quota refuse is remembered.
    pub fn take(&mut self, message: VerifiedMessage) -> Result<Taken, Refused> {
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
        Ok(Taken { message: AdmittedMessage::new(message), displaced })
    }

    /// When this author may send another message, which would be its newest: `None` means now, otherwise it is a realm
    /// time in unix milliseconds.
    #[must_use]
    pub fn full_until(&self, author: &Author, sent_at: u64) -> Option<u64> {
        self.set.full_until(&self.rules, author, sent_at)
    }

    /// Whether to fetch a message that a peer offers and that is not in the set.
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

    /// Adds an authentic moderation, and judges again the messages that it affects.
    ///
    /// # Errors
    /// [`NoEffect`] if the moderation does not count, and so need not be kept.
    pub fn take_moderation(&mut self, moderation: SignedModeration) -> Result<Resettled, NoEffect> {
        let mut rules = Rules::clone(&self.rules);
        rules.insert_moderation(moderation)?;
        let recounted = rules.recount_moderations();
        Ok(self.change_rules(rules, recounted))
    }

    /// Adds many authentic moderations and judges messages again only once, because a moderator can give too many to do
    /// so for each. Returns those that are kept.
    pub fn take_moderations(
        &mut self,
        moderations: Vec<SignedModeration>,
    ) -> (Vec<SignedModeration>, Resettled) {
        let mut rules = Rules::clone(&self.rules);
        let keeps =
            |moderation: &SignedModeration| rules.insert_moderation(moderation.clone()).is_ok();
        let mut kept: Vec<SignedModeration> = moderations.into_iter().filter(keeps).collect();
        // A smaller one later in the list may have displaced it.
        kept.retain(|moderation| rules.moderations().get(moderation.id()).is_some());
        if kept.is_empty() {
            return (kept, Resettled::default());
        }
        let recounted = rules.recount_moderations();
        let resettled = self.change_rules(rules, recounted);
        (kept, resettled)
    }

    /// Adds the moderations stored by earlier runs.
    pub fn restore_moderations(&mut self, moderations: Vec<SignedModeration>) {
        let mut rules = Rules::clone(&self.rules);
        for moderation in moderations {
            // A stored moderation counted once. If it no longer does, retention will delete it.
            rules.insert_moderation(moderation).ok();
        }
        rules.recount_moderations();
        self.rules = Arc::new(rules);
    }

    fn change_rules(&mut self, rules: Rules, from: Option<u64>) -> Resettled {
        let before = std::mem::replace(&mut self.rules, Arc::new(rules));
        let Some(from) = from else { return Resettled::default() };
        self.refused.clear();
        // An admitted message may have been displaced since, and may fit the quota again.
        self.taken.clear();
        let other_limits = before.policy().rules != self.rules.policy().rules;
        let resettled = self.set.resettle(&self.rules, from, other_limits);
        for id in &resettled.displaced {
            self.refused.insert(*id);
        }
        resettled
    }

    /// Indexes messages stored by earlier runs. Returns what changed because the rules are different now.
    pub fn index(&mut self, entries: Vec<Indexed>) -> Resettled {
        self.set.index(&self.rules, entries)
    }

    /// Adds the author of stored messages, which refer to it by the hash of its ticket.
    pub fn note_author(&mut self, ticket: &Ticket) {
        self.set.note_author(ticket.hash(), Author::of(ticket));
    }

    /// Removes a message that could not be stored, so that it may come again.
    pub fn was_not_stored(&mut self, sent_at: u64, id: MessageId) {
        self.set.remove(sent_at, id);
        self.taken.clear();
    }

    /// Moves the retention boundary to where it belongs at a realm time, but not past `reach`, which is also a realm
    /// time. Returns the boundary if messages sent before it were forgotten.
    ///
    /// The boundary moves back if the time was wrong by a day or more, and what others still hold is then fetched
    /// again.
    pub fn retain(&mut self, realm_ms: u64, reach: u64) -> Option<u64> {
        let days = self.rules.policy().limits_at(realm_ms).retention_days;
        let due = realm_ms.saturating_sub(days.saturating_mul(DAY_MS)).min(reach);
        // A quota counts a whole day, so a day is whole or gone.
        let boundary = due - due % DAY_MS;
        if boundary > self.boundary {
            self.boundary = boundary;
        } else if boundary.saturating_add(DAY_MS) <= self.boundary {
            self.boundary = boundary;
            self.taken.clear();
        }
        let boundary = self.boundary;
        let forgotten = self.set.forget_before(boundary);
        let rules = &mut self.rules;
        if rules.moderations().has_outdated(boundary) {
            Arc::make_mut(rules).forget_moderations(boundary);
        }
        forgotten.then_some(boundary)
    }
}

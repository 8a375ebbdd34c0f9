//! Our messages: composed, stored, published, and sent again when a new peer is listening.

use std::collections::BTreeSet;

use crate::delivery::composing;
use crate::delivery::receipts::StoredBy;
use crate::history::{AdmittedMessage, Resettled};
use crate::identity::Identity;
use crate::ids::{AccountId, MessageId};
use crate::io::{Event, Progress, SendRefused, SentReceipt, Topic};
use crate::links::Links;
use crate::message::Draft;
use crate::roster::Roster;
use crate::time::Now;

use super::Engine;

/// With up to this many peers, "stored by n of m" counts all of them; with more, only the neighbours.
const FULL_COUNT_MAX: usize = 64;

impl Engine {
    pub(super) fn send(&mut self, request: u64, draft: Draft, now: Now) {
        match self.compose(draft, now) {
            Ok(message) => self.outbox.composed(request, message, &mut self.fx),
            Err(refused) => self.fx.event(Event::Sent { request, result: Err(refused) }),
        }
    }

    fn compose(&mut self, draft: Draft, now: Now) -> Result<AdmittedMessage, SendRefused> {
        let realm_ms = self.time.now_ms(now);
        let sent_at = composing::sent_at(&self.history, realm_ms);
        composing::check(&draft, sent_at, &self.me, &self.history)?;
        let bytes = draft.body.size() as u64;
        let message = self
            .me
            .sign_message(draft, sent_at)
            .map_err(|_too_large| SendRefused::TooLong { bytes, max: bytes.saturating_sub(1) })?;
        // Every other peer applies the same rules, so what they refuse must not leave.
        let taken = self.history.take(message).map_err(|_refused| SendRefused::MayNotPost)?;
        self.me.said();
        self.fx.resettle(Resettled { displaced: taken.displaced, ..Resettled::default() });
        Ok(taken.message)
    }

    pub(super) fn own_stored(&mut self, request: u64, result: Result<(), String>, now: Now) {
        let Some(message) = self.outbox.stored(request) else { return };
        let (id, content) = (message.id(), message.content());
        if let Err(error) = result {
            self.history.was_not_stored(content.sent_at, id);
            self.fx.event(Event::Sent { request, result: Err(SendRefused::Store(error)) });
            return;
        }
        let (session, seq, sent_at) = (content.session, content.seq, content.sent_at);
        let receipt = SentReceipt { id, session, seq, sent_at };
        self.fx.event(Event::Sent { request, result: Ok(receipt) });
        self.receipts.sent(seq, id, self.potential_holders());
        self.outbox.add(&message);
        self.outbox.age(self.time.now_ms(now));
        self.let_leave(now);
        self.fx.changed();
    }

    /// How many accounts could store a message now: all in the roster, or only those of the neighbours if there are
    /// many devices. Ours counts if another of our devices is there.
    fn potential_holders(&self) -> u32 {
        let me = self.me.peer();
        let others = self.roster.people().filter(|(peer, _device)| **peer != me);
        let others: Vec<AccountId> = others.map(|(_peer, device)| device.account()).collect();
        // In a thinned mesh only neighbours report what they have stored.
        let many = others.len() > FULL_COUNT_MAX || self.degree.is_thin();
        let accounts: BTreeSet<AccountId> = if many {
            self.links.neighbours().filter_map(|peer| self.links.account_of(peer)).collect()
        } else {
            others.into_iter().collect()
        };
        u32::try_from(accounts.len()).unwrap_or(u32::MAX)
    }

    /// The topic for our next message: `direct` if every device that it is for is a neighbour that has subscribed to
    /// `direct` and that gossipsub publishes to, otherwise `mesh`.
    #[must_use]
    pub fn topic_for_messages(&self) -> Topic {
        topic_for(&self.me, &self.roster, &self.links)
    }

    pub(super) fn let_leave(&mut self, now: Now) {
        let topic = || topic_for(&self.me, &self.roster, &self.links);
        self.outbox.due(topic, now, &mut self.fx);
    }

    pub(super) fn published(&mut self, id: MessageId, reached: bool) {
        // If our clock is ahead of a peer's, that peer cannot accept our message, and will not keep it.
        let is_ahead = self.out_of_step_ms().is_some_and(|ahead_ms| ahead_ms > 0);
        if reached && !is_ahead {
            self.outbox.reached(id, &mut self.fx);
        } else {
            self.outbox.still_waits(id, &mut self.fx);
        }
    }

    pub(super) fn stored_by(&mut self, StoredBy { id, by, of }: StoredBy) {
        self.outbox.reached(id, &mut self.fx);
        self.fx.event(Event::State { id, state: Progress::Stored { by, of } });
    }

    /// Sends again what no peer has, because a peer is listening now.
    pub(super) fn resend(&mut self, now: Now) {
        if !self.me.has_ended() {
            self.outbox.queue_again(self.time.now_ms(now));
            self.let_leave(now);
        }
    }
}

fn topic_for(me: &Identity, roster: &Roster, links: &Links) -> Topic {
    let mut audience = roster.audience().filter(|peer| **peer != me.peer()).peekable();
    let direct = audience.peek().is_some() && audience.all(|peer| links.reaches(*peer));
    if direct { Topic::Direct } else { Topic::Mesh }
}

//! Sending: the rules asked before the network does, then disk, then gossip; and the outbox of what nobody has yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::MessageId;
use crate::law::Resettled;
use crate::limits::{ORDER_AHEAD_MS_MAX, OUTBOX_MAX, RESEND_AGE_MS_MAX};
use crate::message::{AdmittedMessage, Content, VerifiedMessage};
use crate::time::Now;

use super::{Engine, Event, Output, Progress, Topic};

/// What a text got when it was accepted: it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentReceipt {
    /// Its id.
    pub id: MessageId,
    /// Our session.
    pub session: u64,
    /// Its number in the session.
    pub seq: u64,
    /// Realm time of sending, unix milliseconds.
    pub sent_at: u64,
}

/// Why a text was not taken. Nothing was stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The pass is over.
    #[error("expired")]
    Expired,
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// Over the limit in force.
    #[error("{bytes} of {max} bytes")]
    TooLong {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max: u64,
    },
    /// No such room.
    #[error("no such room")]
    NoSuchRoom,
    /// The role is too low, or the room is archived.
    #[error("may not post here")]
    MayNotPost,
    /// A mute is in force.
    #[error("muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The quota of this minute or day is used up.
    #[error("slow down")]
    SlowDown {
        /// When there is room again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Membership is lost.
    #[error("no longer a member")]
    NotAMember,
    /// The store did not take it.
    #[error("not stored: {0}")]
    Store(String),
}

/// An own message that nobody has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Its id.
    pub id: MessageId,
    /// When it was written; after ten minutes gossip does not take it any more.
    pub sent_at: u64,
    /// The pair that goes on gossip.
    pub gossip: Vec<u8>,
}

/// Own messages on their way: first to disk, then until somebody has them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    storing: BTreeMap<u64, Box<AdmittedMessage>>,
    unsent: BTreeMap<(u64, MessageId), Vec<u8>>,
}

impl Outbox {
    pub(super) fn new(unsent: Vec<Unsent>) -> Self {
        let unsent =
            unsent.into_iter().map(|Unsent { id, sent_at, gossip }| ((sent_at, id), gossip));
        Self { storing: BTreeMap::new(), unsent: unsent.collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.unsent.len()
    }
}

impl Engine {
    pub(super) fn send(&mut self, request: u64, room: String, text: String, now: Now) {
        let message = self.compose(room, text, now);
        match message {
            Ok(message) => {
                self.outbox.storing.insert(request, Box::new(message.clone()));
                self.outputs.push_back(Output::StoreOwn { request, message: Box::new(message) });
            }
            Err(refused) => self.event(Event::Sent { request, result: Err(refused) }),
        }
    }

    fn compose(
        &mut self,
        room: String,
        text: String,
        now: Now,
    ) -> Result<AdmittedMessage, SendRefused> {
        let realm_ms = self.clock.peek_ms(now);
        let follows =
            self.law.set().largest_sent_at().map_or(0, |largest| largest.saturating_add(1));
        let sent_at = realm_ms.max(follows.min(realm_ms.saturating_add(ORDER_AHEAD_MS_MAX)));
        self.may_say(&room, &text, sent_at)?;
        let content = Content { room, session: self.session, seq: self.seq, sent_at, text };
        let bytes = content.text.len() as u64;
        let message = VerifiedMessage::author(content, Arc::clone(&self.ticket), &self.key)
            .map_err(|_too_large| SendRefused::TooLong { bytes, max: bytes.saturating_sub(1) })?;
        // Every other peer asks the same law; what it says no to must not leave.
        let taken = self.law.take(message, realm_ms).map_err(|_refused| SendRefused::MayNotPost)?;
        self.seq = self.seq.saturating_add(1);
        self.resettle(Resettled { displaced: taken.displaced, ..Resettled::default() });
        Ok(taken.message)
    }

    /// What every peer would ask, asked here first, so that the user learns why at once.
    fn may_say(&self, room: &str, text: &str, sent_at: u64) -> Result<(), SendRefused> {
        let (me, rules, policy) = (self.myself(), self.rules(), self.policy());
        if self.ended || rules.ban_at(&me, sent_at).is_some() {
            return Err(SendRefused::NotAMember);
        }
        if !me.covers(sent_at) {
            return Err(SendRefused::Expired);
        }
        if text.trim().is_empty() {
            return Err(SendRefused::Empty);
        }
        let (bytes, max) = (text.len() as u64, policy.rules_at(sent_at).max_text_bytes);
        if bytes > max {
            return Err(SendRefused::TooLong { bytes, max });
        }
        let room = policy.room(room).ok_or(SendRefused::NoSuchRoom)?;
        if !room.may_post(me.role, sent_at) {
            return Err(SendRefused::MayNotPost);
        }
        if let Some(mute) = rules.mute_at(&me, sent_at) {
            return Err(SendRefused::Muted { until: mute.until });
        }
        if let Some(until) = self.law.full_until(&me, sent_at) {
            return Err(SendRefused::SlowDown { retry_after_ms: until.saturating_sub(sent_at) });
        }
        Ok(())
    }

    pub(super) fn own_stored(&mut self, request: u64, result: Result<(), String>, now: Now) {
        let Some(message) = self.outbox.storing.remove(&request) else { return };
        if let Err(error) = result {
            self.law.was_not_stored(message.content().sent_at, message.id());
            self.event(Event::Sent { request, result: Err(SendRefused::Store(error)) });
            return;
        }
        let content = message.content();
        let receipt = SentReceipt {
            id: message.id(),
            session: content.session,
            seq: content.seq,
            sent_at: content.sent_at,
        };
        self.event(Event::Sent { request, result: Ok(receipt) });
        let unsent =
            Unsent { id: message.id(), sent_at: content.sent_at, gossip: message.to_gossip() };
        if self.outbox.unsent.len() < OUTBOX_MAX {
            self.outbox.unsent.insert((unsent.sent_at, unsent.id), unsent.gossip.clone());
        }
        self.publish(unsent);
        self.forget_old_unsent(now);
        self.changed();
    }

    fn publish(&mut self, unsent: Unsent) {
        let Unsent { id, gossip: bytes, .. } = unsent;
        self.outputs.push_back(Output::Publish { topic: Topic::Mesh, bytes, message: Some(id) });
    }

    pub(super) fn published(&mut self, id: MessageId, reached: bool) {
        let waiting = self.outbox.unsent.keys().any(|(_sent_at, known)| *known == id);
        if reached && waiting {
            self.outbox.unsent.retain(|(_sent_at, known), _gossip| *known != id);
        }
        if waiting || reached {
            let state = if reached { Progress::Sent } else { Progress::Waiting };
            self.event(Event::State { id, state });
            self.changed();
        }
    }

    /// Somebody listens now: what nobody has goes out again, in order.
    pub(super) fn resend(&mut self, now: Now) {
        if self.ended {
            return;
        }
        self.forget_old_unsent(now);
        let unsent: Vec<Unsent> = self
            .outbox
            .unsent
            .iter()
            .map(|((sent_at, id), gossip)| Unsent {
                id: *id,
                sent_at: *sent_at,
                gossip: gossip.clone(),
            })
            .collect();
        for unsent in unsent {
            self.publish(unsent);
        }
    }

    /// Gossip refuses what is over ten minutes old; it stays in the store for reconciliation.
    fn forget_old_unsent(&mut self, now: Now) {
        let oldest = self.clock.peek_ms(now).saturating_sub(RESEND_AGE_MS_MAX);
        self.outbox.unsent.retain(|(sent_at, _id), _gossip| *sent_at >= oldest);
    }
}

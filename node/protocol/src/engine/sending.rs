//! Sending: the rules asked before the network does, then disk, then gossip; and the outbox of what nobody has yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::history::AdmittedMessage;
use crate::history::Resettled;
use crate::ids::{MessageId, PeerKey};
use crate::limits::{
    ORDER_AHEAD_MS_MAX, OUTBOX_MAX, OWN_BYTES_PER_S, OWN_MESSAGES_BURST, OWN_MESSAGES_PER_S,
    RESEND_AGE_MS_MAX,
};
use crate::message::Draft;
use crate::reconcile::TokenBucket;
use crate::time::Now;

use super::{Engine, Event, Output, Progress, SendRefused, SentReceipt, Topic, Unsent};

/// Own messages on their way: first to disk, then until somebody has them.
#[derive(Debug)]
pub(super) struct Outbox {
    storing: BTreeMap<u64, Box<AdmittedMessage>>,
    /// When those that nobody has were sent.
    waiting: BTreeMap<MessageId, u64>,
    /// Those of them that gossip would still take, in order. The others are fetched by whoever reconciles with us.
    young: BTreeMap<(u64, MessageId), Vec<u8>>,
    /// What leaves next. Gossipsub loses what comes too fast, and says so too late.
    queue: VecDeque<(MessageId, Vec<u8>)>,
    messages: TokenBucket,
    bytes: TokenBucket,
    next_due: Option<Duration>,
}

impl Outbox {
    pub(super) fn new(unsent: Vec<Unsent>, now: Now) -> Self {
        let waiting = unsent.iter().map(|Unsent { id, sent_at, .. }| (*id, *sent_at)).collect();
        let young =
            unsent.into_iter().map(|Unsent { id, sent_at, gossip }| ((sent_at, id), gossip));
        Self {
            storing: BTreeMap::new(),
            waiting,
            young: young.collect(),
            queue: VecDeque::new(),
            messages: TokenBucket::new(OWN_MESSAGES_PER_S, OWN_MESSAGES_BURST, now.mono),
            bytes: TokenBucket::new(OWN_BYTES_PER_S, OWN_BYTES_PER_S, now.mono),
            next_due: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the next message may leave.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.next_due
    }

    fn wait(&mut self, id: MessageId, sent_at: u64, gossip: Vec<u8>) {
        if self.waiting.len() < OUTBOX_MAX {
            self.waiting.insert(id, sent_at);
            self.young.insert((sent_at, id), gossip.clone());
        }
        self.queue.push_back((id, gossip));
    }

    /// Somebody has a message. Whether nobody had before.
    fn reached(&mut self, id: MessageId) -> bool {
        let Some(sent_at) = self.waiting.remove(&id) else { return false };
        self.young.remove(&(sent_at, id));
        true
    }
}

impl Engine {
    pub(super) fn send(&mut self, request: u64, draft: Draft, now: Now) {
        let message = self.compose(draft, now);
        match message {
            Ok(message) => {
                self.outbox.storing.insert(request, Box::new(message.clone()));
                self.fx.output(Output::StoreOwn { request, message: Box::new(message) });
            }
            Err(refused) => self.fx.event(Event::Sent { request, result: Err(refused) }),
        }
    }

    fn compose(&mut self, draft: Draft, now: Now) -> Result<AdmittedMessage, SendRefused> {
        let realm_ms = self.time.now_ms(now);
        let follows =
            self.history.set().largest_sent_at().map_or(0, |largest| largest.saturating_add(1));
        let sent_at = realm_ms.max(follows.min(realm_ms.saturating_add(ORDER_AHEAD_MS_MAX)));
        self.may_say(&draft, sent_at)?;
        let bytes = draft.body.size() as u64;
        let message = self
            .me
            .sign_message(draft, sent_at)
            .map_err(|_too_large| SendRefused::TooLong { bytes, max: bytes.saturating_sub(1) })?;
        // Every other peer asks the same law; what it says no to must not leave.
        let taken =
            self.history.take(message, realm_ms).map_err(|_refused| SendRefused::MayNotPost)?;
        self.me.said();
        self.resettle(Resettled { displaced: taken.displaced, ..Resettled::default() });
        Ok(taken.message)
    }

    /// What every peer would ask, asked here first, so that the user learns why at once.
    fn may_say(&self, draft: &Draft, sent_at: u64) -> Result<(), SendRefused> {
        let (me, rules, policy) = (self.me.author(), self.rules(), self.policy());
        if self.me.has_ended() || rules.ban_at(&me, sent_at).is_some() {
            return Err(SendRefused::NotAMember);
        }
        if !me.covers(sent_at) {
            return Err(SendRefused::Expired);
        }
        if draft.body.text.trim().is_empty() {
            return Err(SendRefused::Empty);
        }
        let (bytes, max) = (draft.body.size() as u64, policy.limits_at(sent_at).max_text_bytes);
        if bytes > max {
            return Err(SendRefused::TooLong { bytes, max });
        }
        let room = policy.room(&draft.room).ok_or(SendRefused::NoSuchRoom)?;
        if !room.may_post(me.role, sent_at) {
            return Err(SendRefused::MayNotPost);
        }
        if let Some(mute) = rules.mute_at(&me, sent_at) {
            return Err(SendRefused::Muted { until: mute.until });
        }
        if let Some(until) = self.history.full_until(&me, sent_at) {
            return Err(SendRefused::SlowDown { retry_after_ms: until.saturating_sub(sent_at) });
        }
        Ok(())
    }

    pub(super) fn own_stored(&mut self, request: u64, result: Result<(), String>, now: Now) {
        let Some(message) = self.outbox.storing.remove(&request) else { return };
        if let Err(error) = result {
            self.history.was_not_stored(message.content().sent_at, message.id());
            self.fx.event(Event::Sent { request, result: Err(SendRefused::Store(error)) });
            return;
        }
        let content = message.content();
        let receipt = SentReceipt {
            id: message.id(),
            session: content.session,
            seq: content.seq,
            sent_at: content.sent_at,
        };
        self.fx.event(Event::Sent { request, result: Ok(receipt) });
        self.receipts.sent(receipt.seq, receipt.id, self.potential_holders());
        self.outbox.wait(receipt.id, receipt.sent_at, message.to_gossip());
        self.age_outbox(now);
        self.pace_outbox(now);
        self.fx.changed();
    }

    /// Lets leave what may leave now.
    pub(super) fn pace_outbox(&mut self, now: Now) {
        self.outbox.next_due = None;
        while let Some((_id, gossip)) = self.outbox.queue.front() {
            let bytes = (gossip.len() as u64).min(OWN_BYTES_PER_S);
            let Outbox { messages, bytes: volume, .. } = &mut self.outbox;
            let ready = messages.ready_at(1, now.mono).max(volume.ready_at(bytes, now.mono));
            if ready > now.mono {
                self.outbox.next_due = Some(ready);
                return;
            }
            // Both were asked before, so neither refuses.
            if messages.take(1, now.mono).is_err() || volume.take(bytes, now.mono).is_err() {
                return;
            }
            let Some((id, bytes)) = self.outbox.queue.pop_front() else { return };
            let topic = self.topic_for_messages();
            self.fx.output(Output::Publish { topic, bytes, message: Some(id) });
        }
    }

    /// Direct when we can: every device that a message is for is a neighbour that hears `direct`, and gossipsub
    /// publishes to it. Mesh when we must.
    #[must_use]
    pub fn topic_for_messages(&self) -> Topic {
        let mut audience =
            self.roster.audience().filter(|peer| **peer != self.me.peer()).peekable();
        let reaches = |peer: &PeerKey| self.links.reaches(*peer);
        let direct = audience.peek().is_some() && audience.all(reaches);
        if direct { Topic::Direct } else { Topic::Mesh }
    }

    pub(super) fn published(&mut self, id: MessageId, reached: bool) {
        // Who hears it cannot accept it, and will not keep it.
        if reached && !self.out_of_step_ms().is_some_and(|ahead_ms| ahead_ms > 0) {
            self.outbox_reached(id);
        } else if self.outbox.waiting.contains_key(&id) {
            self.fx.event(Event::State { id, state: Progress::Waiting });
            self.fx.changed();
        }
    }

    /// Somebody has a message of ours, by whatever way.
    pub(super) fn outbox_reached(&mut self, id: MessageId) {
        if self.outbox.reached(id) {
            self.fx.event(Event::State { id, state: Progress::Sent });
            self.fx.changed();
        }
    }

    /// Somebody listens now: what nobody has goes out again, in order.
    pub(super) fn resend(&mut self, now: Now) {
        if self.me.has_ended() {
            return;
        }
        self.age_outbox(now);
        let young = self.outbox.young.iter();
        self.outbox.queue = young.map(|((_sent_at, id), gossip)| (*id, gossip.clone())).collect();
        self.pace_outbox(now);
    }

    /// Gossip refuses what is over ten minutes old; it is in the store for reconciliation.
    fn age_outbox(&mut self, now: Now) {
        let oldest = self.time.now_ms(now).saturating_sub(RESEND_AGE_MS_MAX);
        self.outbox.young = self.outbox.young.split_off(&(oldest, MessageId([0; 32])));
    }
}

//! Our own messages: written to disk first, then kept until another peer has them.
//!
//! Takes in what was composed, what was stored, and what reached a peer. Puts out messages, and how far each has got.
//! Gossipsub drops what is sent too fast and reports it too late, so all messages leave at a limited rate.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::effects::Effects;
use crate::history::AdmittedMessage;
use crate::ids::MessageId;
use crate::io::RESEND_AGE_MS_MAX;
use crate::io::{Event, Output, Progress, Topic, Unsent};
use crate::reconcile::TokenBucket;
use crate::time::Now;

/// How many own messages may wait for the first neighbour.
const OUTBOX_MAX: usize = 4_096;
/// The rate at which own messages are sent, so that no queue on the way overflows.
const OWN_MESSAGES_PER_S: u64 = 500;
/// The burst that [`OWN_MESSAGES_PER_S`] allows.
pub(crate) const OWN_MESSAGES_BURST: u64 = 100;
/// The same limit in bytes. The burst is one second's worth.
pub(crate) const OWN_BYTES_PER_S: u64 = 256 * 1_024;

/// Own messages that no other peer has yet, or that are just leaving.
#[derive(Debug)]
pub(crate) struct Outbox {
    storing: BTreeMap<u64, Box<AdmittedMessage>>,
    /// The messages that no peer has, with their `sent_at`.
    waiting: BTreeMap<MessageId, u64>,
    /// Those that are young enough for gossip, in order. The others are fetched by reconciliation.
    young: BTreeMap<(u64, MessageId), Vec<u8>>,
    /// The messages to send next.
    queue: VecDeque<(MessageId, Vec<u8>)>,
    messages: TokenBucket,
    bytes: TokenBucket,
    next_due: Option<Duration>,
}

impl Outbox {
    pub(crate) fn new(unsent: Vec<Unsent>, now: Now) -> Self {
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

    /// How many messages no peer has yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the next message may leave.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.next_due
    }

    /// Sends a new message to the store before it may leave.
    pub(crate) fn composed(&mut self, request: u64, message: AdmittedMessage, fx: &mut Effects) {
        let message = Box::new(message);
        self.storing.insert(request, message.clone());
        fx.output(Output::StoreOwn { request, message });
    }

    /// Returns the message of this request, now that the store has answered.
    pub(crate) fn stored(&mut self, request: u64) -> Option<Box<AdmittedMessage>> {
        self.storing.remove(&request)
    }

    /// Queues a message that is on disk.
    pub(crate) fn add(&mut self, message: &AdmittedMessage) {
        let (id, sent_at) = (message.id(), message.content().sent_at);
        let gossip = message.to_gossip();
        if self.waiting.len() < OUTBOX_MAX {
            self.waiting.insert(id, sent_at);
            self.young.insert((sent_at, id), gossip.clone());
        }
        self.queue.push_back((id, gossip));
    }

    /// Queues again, in order, what no peer has, because a peer is listening now.
    pub(crate) fn queue_again(&mut self, realm_ms: u64) {
        self.age(realm_ms);
        let young = self.young.iter();
        self.queue = young.map(|((_sent_at, id), gossip)| (*id, gossip.clone())).collect();
    }

    /// Drops messages that are too old for gossip. They stay in the store for reconciliation.
    pub(crate) fn age(&mut self, realm_ms: u64) {
        let oldest = realm_ms.saturating_sub(RESEND_AGE_MS_MAX);
        self.young = self.young.split_off(&(oldest, MessageId([0; 32])));
    }

    /// Sends what may leave now.
    pub(crate) fn due(&mut self, topic: impl Fn() -> Topic, now: Now, fx: &mut Effects) {
        self.next_due = None;
        while let Some((_id, gossip)) = self.queue.front() {
            let size = (gossip.len() as u64).min(OWN_BYTES_PER_S);
            let ready =
                self.messages.ready_at(1, now.mono).max(self.bytes.ready_at(size, now.mono));
            if ready > now.mono {
                self.next_due = Some(ready);
                return;
            }
            // Both had room a moment ago, so neither refuses.
            if self.messages.take(1, now.mono).is_err() || self.bytes.take(size, now.mono).is_err()
            {
                return;
            }
            let Some((id, bytes)) = self.queue.pop_front() else { return };
            fx.publish(topic(), bytes, Some(id));
        }
    }

    /// Reports that a message is waiting: gossipsub had no peer for it, or none could accept it.
    pub(crate) fn still_waits(&self, id: MessageId, fx: &mut Effects) {
        if self.waiting.contains_key(&id) {
            fx.event(Event::State { id, state: Progress::Waiting });
            fx.changed();
        }
    }

    /// Notes that another peer has our message, however it got there.
    pub(crate) fn reached(&mut self, id: MessageId, fx: &mut Effects) {
        let Some(sent_at) = self.waiting.remove(&id) else { return };
        self.young.remove(&(sent_at, id));
        fx.event(Event::State { id, state: Progress::Sent });
        fx.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, T0};

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall_ms: T0 + seconds * 1_000 }
    }

    fn unsent(number: u64, sent_at: u64) -> Unsent {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Unsent { id: MessageId(id), sent_at, gossip: vec![0; 100] }
    }

    fn left(outbox: &mut Outbox, now: Now) -> usize {
        let mut fx = Effects::new([0; 32]);
        outbox.due(|| Topic::Mesh, now, &mut fx);
        std::iter::from_fn(|| fx.poll()).count()
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_a_pace() {
        let burst = usize::try_from(OWN_MESSAGES_BURST).unwrap();
        let all = (0..OWN_MESSAGES_BURST + 2).map(|number| unsent(number, T0));
        let mut outbox = Outbox::new(all.collect(), at(0));
        assert_eq!(left(&mut outbox, at(0)), 0, "nobody listens");
        outbox.queue_again(T0);
        assert_eq!(left(&mut outbox, at(0)), burst);
        assert!(outbox.next_due().is_some_and(|due| due > Duration::ZERO));
        assert_eq!(left(&mut outbox, at(1)), 2);
        assert_eq!(outbox.next_due(), None);
    }

    #[test]
    fn neither_what_others_have_nor_what_is_old_is_sent_again() {
        let mut fx = Effects::new([0; 32]);
        let old = unsent(1, T0 - RESEND_AGE_MS_MAX - 1);
        let (known, new) = (unsent(2, T0), unsent(3, T0));
        let mut outbox = Outbox::new(vec![old, known.clone(), new], at(0));
        outbox.reached(known.id, &mut fx);
        outbox.queue_again(T0);
        assert_eq!((left(&mut outbox, at(0)), outbox.len()), (1, 2));
    }

    #[test]
    fn a_message_waits_until_it_is_on_disk() {
        let mut fx = Effects::new([0; 32]);
        let mut outbox = Outbox::new(Vec::new(), at(0));
        let message = testing::message(&testing::key(1), &testing::key(2), "alice", "hello", T0);
        outbox.composed(7, message, &mut fx);
        assert_eq!((left(&mut outbox, at(0)), outbox.len()), (0, 0));
        let stored = outbox.stored(7).unwrap();
        assert_eq!(outbox.stored(7), None);
        outbox.add(&stored);
        assert_eq!((left(&mut outbox, at(0)), outbox.len()), (1, 1));
    }
}

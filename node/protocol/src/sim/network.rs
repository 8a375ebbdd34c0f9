//! The network between simulated peers: its links, and what happens to bytes on them.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{AskId, Input, RequestId, Topic};

use super::{Event, Sim, link_input};

/// How long a request waits for an answer that never comes.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often gossip announces its messages to neighbours.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// The faults of gossip, in parts of a thousand, and the latency of everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// How much is lost because a queue was full.
    pub loss_permille: u64,
    /// How much arrives twice.
    pub duplicate_permille: u64,
    /// The shortest latency, in milliseconds.
    pub latency_min_ms: u64,
    /// The random latency on top, so that messages overtake each other, in milliseconds.
    pub latency_spread_ms: u64,
}

/// Bytes in transit.
#[derive(Debug, Clone)]
pub(super) enum Wire {
    Gossip { topic: Topic, bytes: Arc<[u8]> },
    Ask { ask: AskId, bytes: Arc<[u8]> },
    Reply { ask: AskId, bytes: Option<Arc<[u8]>> },
}

impl Sim {
    pub(super) fn send(&mut self, from: usize, to: usize, wire: &Wire) {
        let faults = self.setup.faults;
        let is_gossip = matches!(wire, Wire::Gossip { .. });
        if is_gossip && self.below(1_000) < faults.loss_permille {
            return;
        }
        if let Wire::Ask { ask, .. } = wire {
            let none = Wire::Reply { ask: *ask, bytes: None };
            let failed = Event::Arrive { to: from, from: to, wire: none };
            self.schedule(ASK_TIMEOUT, failed);
        }
        let copies = 1 + u64::from(is_gossip && self.below(1_000) < faults.duplicate_permille);
        for _copy in 0..copies {
            let latency = faults.latency_min_ms + self.below(faults.latency_spread_ms + 1);
            let arrive = Event::Arrive { to, from, wire: wire.clone() };
            self.schedule(Duration::from_millis(latency), arrive);
        }
    }

    /// Offers gossip to the neighbours. Those that have not received it from others yet ask for it now.
    pub(super) fn offer(&mut self, of: usize, topic: Topic, bytes: &Arc<[u8]>) {
        for to in self.neighbours(of) {
            if self.peers.get(to).is_some_and(|peer| !peer.has_heard(topic, bytes)) {
                self.send(of, to, &Wire::Gossip { topic, bytes: Arc::clone(bytes) });
            }
        }
    }

    pub(super) fn arrive(&mut self, to: usize, from: usize, wire: Wire) {
        let Some(source) = self.peers.get(from).map(super::Peer::key) else { return };
        let timed_out = matches!(wire, Wire::Reply { bytes: None, .. });
        let linked = self.peers.get(to).is_some_and(|peer| peer.links.contains_key(&source));
        if !linked && !timed_out {
            return;
        }
        let Some(peer) = self.peers.get_mut(to) else { return };
        match wire {
            Wire::Gossip { topic, bytes } => {
                if peer.is_new(topic, &bytes) {
                    self.gossip(to, source, topic, &bytes);
                }
            }
            Wire::Ask { ask, bytes } => {
                let request = RequestId(peer.next_request());
                peer.is_asked(request, source, ask);
                self.feed(to, Input::Asked { request, peer: source, bytes: bytes.to_vec() });
            }
            Wire::Reply { ask, bytes } => {
                if peer.is_answered(ask) {
                    let bytes = bytes.map(|bytes| bytes.to_vec());
                    self.feed(to, Input::Answered { ask, bytes });
                }
            }
        }
    }

    pub(super) fn link(&mut self, a: usize, b: usize) {
        let (Some(one), Some(other)) = (self.peers.get(a), self.peers.get(b)) else { return };
        let (one_key, other_key) = (one.key(), other.key());
        if self.part.get(a) != self.part.get(b) || one.links.contains_key(&other_key) {
            return;
        }
        let id = self.next_link;
        let (to_a, to_b) = (
            link_input(id, other, true, self.now_of(b)),
            link_input(id, one, false, self.now_of(a)),
        );
        let (Some(to_a), Some(to_b)) = (to_a, to_b) else { return };
        self.next_link += 1;
        for (number, key) in [(a, other_key), (b, one_key)] {
            if let Some(peer) = self.peers.get_mut(number) {
                peer.links.insert(key, (id, a, b));
            }
        }
        for (number, key, input) in [(a, other_key, to_a), (b, one_key, to_b)] {
            // The first end may have closed it at once.
            if self.peers.get(number).is_none_or(|peer| !peer.links.contains_key(&key)) {
                continue;
            }
            self.feed(number, input);
            self.schedule(Duration::from_millis(20), Event::Subscribe { at: number, to: key });
        }
    }

    /// Takes a link down on both sides. If an engine closed it, it comes up again later.
    pub(super) fn unlink(&mut self, a: usize, b: usize, again: bool) {
        let keys = [a, b].map(|number| self.peers.get(number).map(super::Peer::key));
        let [Some(one), Some(other)] = keys else { return };
        let mut stood = false;
        for (number, key) in [(a, other), (b, one)] {
            let link = self.peers.get_mut(number).and_then(|peer| peer.links.remove(&key));
            if let Some((id, _a, _b)) = link {
                stood = true;
                self.feed(number, Input::LinkDown(crate::engine::LinkId(id)));
            }
        }
        if again && stood {
            self.schedule(Duration::from_secs(2), Event::Link { a, b });
        }
    }
}

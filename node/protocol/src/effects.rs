//! The engine's only way out: work for the driver, requests to neighbours, and random choices.
//!
//! Components get an [`Effects`] when they have something to put out. Outputs therefore leave in the order in which
//! they were decided, and equal inputs draw equal random numbers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::admission::AdmissionView;
use crate::history::Resettled;
use crate::ids::{MessageId, PeerKey};
use crate::io::{AskId, Event, LinkId, Output, Topic};
use crate::reconcile::{AskTag, SyncRequest};

/// The purpose of one of our requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asking {
    /// To get a newer policy.
    Policy,
    /// To learn the number of the peer's policy.
    PolicyNumber,
    /// To take a step of a round with the peer.
    Round(RoundStep),
    /// To ask whether the peer agrees to drop the link.
    Part,
    /// To report something, with no answer needed.
    Nothing,
}

/// A request made by a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoundStep {
    /// The number of the round.
    pub(crate) round: u64,
    /// The round's name for the request.
    pub(crate) tag: AskTag,
    /// The ids that it asks for; empty for frames.
    pub(crate) ids: Vec<MessageId>,
}

/// Outputs for the driver, requests without an answer, and randomness.
#[derive(Debug)]
pub(crate) struct Effects {
    outputs: VecDeque<Output>,
    asks: BTreeMap<AskId, (PeerKey, Asking)>,
    next_ask: u64,
    /// The view that the gate uses now.
    view: Option<AdmissionView>,
    rng: ChaCha8Rng,
}

impl Effects {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            outputs: VecDeque::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            view: None,
            rng: ChaCha8Rng::from_seed(seed),
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    /// Notes that the roster, links, rooms or ticket have changed.
    pub(crate) fn changed(&mut self) {
        self.event(Event::Changed);
    }

    pub(crate) fn publish(&mut self, topic: Topic, bytes: Vec<u8>, message: Option<MessageId>) {
        self.output(Output::Publish { topic, bytes, message });
    }

    /// Passes on to the store which verdicts of the history have changed.
    pub(crate) fn resettle(&mut self, resettled: Resettled) {
        if !resettled.is_empty() {
            self.output(Output::Resettle(resettled));
        }
    }

    pub(crate) fn close(&mut self, links: impl IntoIterator<Item = LinkId>) {
        self.outputs.extend(links.into_iter().map(Output::Close));
    }

    /// Asks a linked peer. When the answer comes, [`Self::answered`] returns what it was for.
    pub(crate) fn ask(&mut self, peer: PeerKey, request: &SyncRequest, asking: Asking) {
        let ask = AskId(self.next_ask);
        self.next_ask = self.next_ask.wrapping_add(1);
        self.asks.insert(ask, (peer, asking));
        self.output(Output::Ask { peer, ask, bytes: request.to_bytes() });
    }

    /// The peer that was asked, and what for. Each request has one answer.
    pub(crate) fn answered(&mut self, ask: AskId) -> Option<(PeerKey, Asking)> {
        self.asks.remove(&ask)
    }

    /// Gives the gate a view, ahead of the other outputs of this turn, unless it already has this one.
    pub(crate) fn show(&mut self, view: AdmissionView) {
        if self.view.as_ref().is_none_or(|shown| !view.is_same_as(shown)) {
            self.outputs.push_front(Output::View(Box::new(view.clone())));
            self.view = Some(view);
        }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Removes a random peer from the list.
    pub(crate) fn draw_from(&mut self, peers: &mut Vec<PeerKey>) -> Option<PeerKey> {
        let drawn = usize::try_from(self.draw() >> 1).ok()?.checked_rem(peers.len())?;
        Some(peers.swap_remove(drawn))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    /// A random time of up to 100 ms, so that many peers do not act in the same instant.
    pub(crate) fn jitter(&mut self) -> Duration {
        Duration::from_millis(self.draw() % 100)
    }
}

//! What rounds of reconciliation bring. Each object is judged as if it came from a stranger, by the same rules as
//! gossip.

use crate::delivery::inbox::Brought;
use crate::ids::PeerKey;
use crate::limits::AHEAD_MS_MAX;
use crate::message::Arrival;
use crate::moderation::SignedModeration;
use crate::reconcile::SetName;
use crate::reconcile::reconciler::rounds::{Answer, Worth};
use crate::reconcile::reconciler::{Context, Reconciler};
use crate::time::Now;
use crate::verdict::{Acceptance, Refused};
use crate::wire::Pair;

use super::Engine;

/// Only messages younger than this, when they come by reconciliation, show that gossip has missed them.
const GOSSIP_BRINGS_MS: u64 = 60_000;

impl Engine {
    /// Runs the reconciler, with all that it depends on.
    pub(super) fn reconcile<R>(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Reconciler, &mut Context<'_>) -> R,
    ) -> R {
        let mut context = Context {
            me: &self.me,
            links: &self.links,
            history: &self.history,
            receipts: &self.receipts,
            realm_ms: self.time.now_ms(now),
            now,
            fx: &mut self.fx,
        };
        act(&mut self.rounds, &mut context)
    }

    /// Judges a batch, and tells the round which of it was good.
    pub(super) fn brought(&mut self, peer: PeerKey, answer: &Answer, now: Now) {
        let Answer { set, ref batch, tag } = *answer;
        let mut worth = Worth::default();
        let mut moderations = Vec::new();
        let before = self.size_of(set);
        for pair in batch.pairs() {
            let judged = match set {
                SetName::Messages => self.brought_message(pair, &mut worth, now),
                SetName::Moderations => {
                    self.brought_moderation(pair, &mut worth, &mut moderations, now)
                }
            };
            if judged.is_err_and(|forged| forged.acceptance() == Acceptance::Reject) {
                self.reject(peer, now);
            }
        }
        self.take_moderations(moderations, now);
        worth.new = self.size_of(set).saturating_sub(before);
        self.reconcile(now, |rounds, cx| rounds.judged(peer, tag, &worth, cx));
    }

    /// Judges a message. If it is authentic, it counts as good whatever the history says about it.
    fn brought_message(
        &mut self,
        pair: Pair<'_>,
        worth: &mut Worth,
        now: Now,
    ) -> Result<(), Refused> {
        match self.inbox.open_brought(pair, &self.history)? {
            Brought::Held(id) => worth.received.push(id),
            Brought::New(message) => {
                let (id, sent_at) = (message.id(), message.content().sent_at);
                let taken = self.take_message(message, Arrival::Sync, now).is_ok();
                worth.received.push(id);
                let recent = self.time.now_ms(now).saturating_sub(GOSSIP_BRINGS_MS);
                worth.recent |= taken && sent_at >= recent;
            }
        }
        Ok(())
    }

    /// Judges a moderation. If it is authentic, it counts as good even without effect.
    fn brought_moderation(
        &mut self,
        pair: Pair<'_>,
        worth: &mut Worth,
        moderations: &mut Vec<SignedModeration>,
        now: Now,
    ) -> Result<(), Refused> {
        let moderation = self.inbox.open_brought_moderation(pair)?;
        worth.received.push(moderation.id());
        if moderation.content().from <= self.time.now_ms(now).saturating_add(AHEAD_MS_MAX) {
            moderations.push(moderation);
        }
        Ok(())
    }

    fn size_of(&self, set: SetName) -> u64 {
        match set {
            SetName::Messages => self.history.set().len(),
            SetName::Moderations => self.rules().moderations().items().size_hint().0 as u64,
        }
    }
}

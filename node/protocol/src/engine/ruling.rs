//! What follows from new policies and moderations: messages leave the history or come back, links close, and our own
//! membership may end.

use std::sync::Arc;
use std::time::Duration;

use crate::history::{NoEffect, Resettled, is_outdated, sanctioned};
use crate::ids::PeerKey;
use crate::io::{Event, Output, Topic};
use crate::limits::GOSSIP_AGE_MS_MAX;
use crate::moderation::SignedModeration;
use crate::policy::SignedPolicy;
use crate::policy_sync::Fetched;
use crate::time::Now;

use super::Engine;

impl Engine {
    pub(super) fn policy_fetched(&mut self, peer: PeerKey, bytes: Option<Vec<u8>>, now: Now) {
        match self.policy.fetched(peer, bytes) {
            Some(Fetched::Signed(policy)) => self.adopt(*policy, now),
            Some(Fetched::MadeUp) => self.reject(peer, now),
            None => {}
        }
    }

    pub(super) fn publish_policy(&mut self, policy: SignedPolicy, head: Vec<u8>, now: Now) {
        self.adopt(policy, now);
        self.fx.publish(Topic::Control, head, None);
    }

    pub(super) fn adopt(&mut self, policy: SignedPolicy, now: Now) {
        let Some(adopted) = self.policy.adopt(&policy) else { return };
        let document = policy.policy();
        let (number, issued_at) = (document.number, document.issued_at);
        // A sanction begins when it is signed, even by a slow clock.
        let realm_ms = self.time.now_ms(now).max(issued_at);
        let news = sanctioned(self.rules().policy(), document, realm_ms);
        let resettled = self.history.adopt_policy(Arc::new(document.clone()));
        self.time.signed(issued_at, now);
        self.fx.output(Output::StorePolicy(Box::new(policy)));
        self.fx.event(Event::Policy { number });
        for sanctioned in news {
            self.fx.event(Event::Sanctioned(Box::new(sanctioned)));
        }
        self.rules_changed(resettled, now);
        if !adopted.announced {
            self.policy.tell_number(&self.links, &mut self.fx);
        }
    }

    /// Keeps a moderation, and applies it.
    pub(super) fn take_moderation(
        &mut self,
        moderation: SignedModeration,
        now: Now,
    ) -> Result<(), NoEffect> {
        if is_outdated(&moderation, self.history.boundary()) {
            return Err(NoEffect::Known);
        }
        let resettled = self.history.take_moderation(moderation.clone())?;
        self.moderations_taken(vec![moderation], resettled, now);
        Ok(())
    }

    /// Keeps and applies all moderations that a neighbour has sent at once. Fresh ones are forwarded on gossip, as
    /// after a partition: a banned peer should hear of its ban from a signed moderation before the links that could
    /// bring it are closed.
    pub(super) fn take_moderations(&mut self, mut moderations: Vec<SignedModeration>, now: Now) {
        moderations.retain(|moderation| !is_outdated(moderation, self.history.boundary()));
        let (kept, resettled) = self.history.take_moderations(moderations);
        if kept.is_empty() {
            return;
        }
        let fresh = self.time.now_ms(now).saturating_sub(GOSSIP_AGE_MS_MAX);
        for moderation in kept.iter().filter(|moderation| moderation.content().from >= fresh) {
            self.fx.publish(Topic::Control, moderation.to_gossip(), None);
        }
        self.moderations_taken(kept, resettled, now);
    }

    fn moderations_taken(
        &mut self,
        moderations: Vec<SignedModeration>,
        resettled: Resettled,
        now: Now,
    ) {
        // A maker's clock may be a few milliseconds ahead of ours, so its ban only begins then.
        let first = moderations.iter().map(|moderation| moderation.content().from).min();
        let begins_in = first.unwrap_or_default().saturating_sub(self.time.now_ms(now));
        self.links.check_by(now.mono.saturating_add(Duration::from_millis(begins_in)));
        for moderation in moderations {
            self.fx.output(Output::StoreModeration(Box::new(moderation.clone())));
            self.fx.event(Event::Moderation(Box::new(moderation)));
        }
        self.rules_changed(resettled, now);
    }

    fn rules_changed(&mut self, resettled: Resettled, now: Now) {
        self.fx.resettle(resettled);
        self.fx.changed();
        self.links.judge(&self.view(), now);
        self.check_own_membership(now);
    }
}

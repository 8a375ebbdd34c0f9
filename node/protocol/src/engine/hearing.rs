//! Handles gossip: returns exactly one verdict for each message, in the same turn, without disk or network.

use std::sync::Arc;

use crate::delivery::inbox::Control;
use crate::history::{Author, NoEffect};
use crate::ids::PeerKey;
use crate::io::{EndReason, Output, Topic};
use crate::limits::{AHEAD_MS_MAX, GOSSIP_AGE_MS_MAX};
use crate::login::PeerAddresses;
use crate::message::Arrival;
use crate::moderation::SignedModeration;
use crate::presence::{BYE, SignedPresence};
use crate::roster::Observed;
use crate::time::Now;
use crate::verdict::{Acceptance, Refused};

use super::Engine;

impl Engine {
    pub(super) fn hear(
        &mut self,
        source: PeerKey,
        topic: Topic,
        bytes: &[u8],
        now: Now,
    ) -> Acceptance {
        let heard = match topic {
            Topic::Direct | Topic::Mesh => self.hear_message(source, bytes, now),
            Topic::Control => self.hear_control(source, bytes, now),
        };
        let Err(refused) = heard else { return Acceptance::Accept };
        self.inbox.count(refused);
        if refused.acceptance() == Acceptance::Reject {
            self.reject(source, now);
        }
        refused.acceptance()
    }

    fn hear_message(&mut self, source: PeerKey, bytes: &[u8], now: Now) -> Result<(), Refused> {
        self.rounds.heard(source, now);
        let message = self.inbox.open_message(bytes, &self.history, now)?;
        let author = message.ticket().claims().peer;
        if self.take_message(message, Arrival::Gossip, now)? {
            self.reconcile(now, |rounds, cx| rounds.hole(source, author, cx));
        }
        Ok(())
    }

    fn hear_control(&mut self, source: PeerKey, bytes: &[u8], now: Now) -> Result<(), Refused> {
        match self.inbox.open_control(bytes)? {
            Control::Head(head) => {
                self.policy.head_seen(source, &head, &self.links, now, &mut self.fx)
            }
            Control::Moderation(moderation) => self.hear_moderation(moderation, now),
            Control::Presence(presence) => self.hear_presence(&presence, now),
        }
    }

    fn hear_moderation(&mut self, moderation: SignedModeration, now: Now) -> Result<(), Refused> {
        let (from, realm_ms) = (moderation.content().from, self.time.now_ms(now));
        if from > realm_ms.saturating_add(AHEAD_MS_MAX) {
            return Err(Refused::Ahead);
        }
        // As with messages, older moderations come by reconciliation, many at a time. The authority peer takes no part
        // in that, so gossip has to bring them.
        if from.saturating_add(GOSSIP_AGE_MS_MAX) < realm_ms && !self.me.is_authority() {
            return Err(Refused::Old);
        }
        self.take_moderation(moderation, now).map_err(|no_effect| match no_effect {
            NoEffect::Known => Refused::Held,
            NoEffect::TooMany | NoEffect::TooManyInADay => Refused::OverQuota,
            NoEffect::OutsideTicket => Refused::OutsideTicket,
            NoEffect::NotAModerator => Refused::MayNotPost,
            NoEffect::Sanctioned => Refused::Sanctioned,
        })
    }

    fn hear_presence(&mut self, signed: &SignedPresence, now: Now) -> Result<(), Refused> {
        let peer = signed.ticket.claims().peer;
        if peer == self.me.peer() {
            // Noise and the signatures prove it: this very key has started again elsewhere.
            if signed.presence.boot > self.me.boot() {
                self.end(EndReason::Superseded);
            }
            return Err(Refused::Held);
        }
        if self.links.is_linked(peer) && self.time.agrees(signed, now) {
            self.look_at_clocks(now);
        }
        self.check_presence(signed, now)?;
        let claims = signed.ticket.claims();
        self.time.signed(claims.issued_at_ms(), now);
        let before = self.roster.status_of(peer).map(str::to_owned);
        let listens_anew = self.roster.listens_at(peer) != Some(&signed.presence.listen);
        let Observed::Taken(change) = self.roster.observe(signed, self.observation(now)) else {
            return Err(Refused::Held);
        };
        if self.roster.status_of(peer) != before.as_deref() {
            self.fx.changed();
        }
        if let Some(change) = change {
            self.tell_presence(change);
        }
        self.links.renew(peer, &signed.ticket);
        let (boot, proof) = (signed.presence.boot, Some(Arc::clone(&signed.pair)));
        self.links.boot_seen(peer, boot, proof, &mut self.fx);
        self.policy.number_seen(peer, claims.policy, &self.links, now, &mut self.fx);
        if signed.presence.status != BYE && !signed.presence.listen.is_empty() {
            let candidate = PeerAddresses { peer, addresses: signed.presence.listen.clone() };
            self.candidates(std::slice::from_ref(&candidate), now);
            self.dials.belongs_to(peer, claims.account);
            // Presence comes often, and a disk is slow.
            if listens_anew {
                self.fx.output(Output::StorePeer(candidate));
            }
        }
        Ok(())
    }

    /// Checks that a presence comes from a member, is news, and is within the device's rate.
    fn check_presence(&mut self, signed: &SignedPresence, now: Now) -> Result<(), Refused> {
        let (author, realm_ms) = (Author::of(&signed.ticket), self.time.now_ms(now));
        if self.rules().ban_at(&author, realm_ms).is_some()
            || self
                .rules()
                .policy()
                .revocation_of(author.account, author.peer, author.issued_at)
                .is_some()
        {
            return Err(Refused::Sanctioned);
        }
        if !author.covers(realm_ms) {
            return Err(Refused::OutsideTicket);
        }
        // A stale presence costs its author nothing, because anybody can repeat it.
        if !self.roster.is_news(signed, self.observation(now)) {
            return Err(Refused::Held);
        }
        let may_show = self.inbox.may_show(author.peer, now);
        if may_show { Ok(()) } else { Err(Refused::TooFast) }
    }
}

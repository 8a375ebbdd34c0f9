//! Moderators' moderations: ours, and those of others (PROTOCOL.md ).

use std::time::Duration;

use crate::history::{NoEffect, Resettled};
use crate::ids::{AccountId, MessageId, Role};
use crate::limits::{
    AHEAD_MS_MAX, GOSSIP_AGE_MS_MAX, MODERATION_MS_MAX, MODERATION_REASON_BYTES_MAX,
};
use crate::moderation::{Moderation, ModerationKind, SignedModeration};
use crate::time::Now;
use crate::verdict::Refused;

use super::{Engine, Event, ModerationRefused, NewModeration, Output, Topic};

impl Engine {
    pub(super) fn moderation(&mut self, request: u64, moderation: NewModeration, now: Now) {
        let result = self.give_moderation(moderation, now);
        self.fx.event(Event::Moderated { request, result });
    }

    fn give_moderation(
        &mut self,
        moderation: NewModeration,
        now: Now,
    ) -> Result<MessageId, ModerationRefused> {
        let from = self.time.now_ms(now);
        self.may_moderate(&moderation, from)?;
        let NewModeration { kind, account, for_ms, reason } = moderation;
        let mut number = [0; 16];
        self.fx.fill(&mut number);
        let moderation = Moderation {
            realm: self.me.realm(),
            ticket: self.me.ticket().hash(),
            number,
            kind,
            sub: account,
            from,
            until: from.saturating_add(for_ms.unwrap_or(MODERATION_MS_MAX)),
            reason,
            policy: self.policy().number,
        };
        let signed = self
            .me
            .sign_moderation(moderation)
            .map_err(|_out_of_bounds| ModerationRefused::TooLong)?;
        let (id, bytes) = (signed.id(), signed.to_gossip());
        self.take_moderation(signed, now).map_err(|no_effect| match no_effect {
            NoEffect::TooMany => ModerationRefused::TooMany,
            NoEffect::TooManyInADay => ModerationRefused::TooManyInADay,
            NoEffect::OutsideTicket => ModerationRefused::Expired,
            NoEffect::NotAModerator => ModerationRefused::NotAModerator,
            NoEffect::Sanctioned | NoEffect::Known => ModerationRefused::NotAMember,
        })?;
        self.fx.publish(Topic::Control, bytes, None);
        Ok(id)
    }

    /// What every peer would ask, asked here first, so that its maker learns why at once.
    fn may_moderate(&self, moderation: &NewModeration, at: u64) -> Result<(), ModerationRefused> {
        let NewModeration { kind, account, for_ms, reason } = moderation;
        let me = self.me.author();
        if self.me.has_ended() {
            return Err(ModerationRefused::NotAMember);
        }
        if !matches!(me.role, Role::Moderator | Role::Admin) {
            return Err(ModerationRefused::NotAModerator);
        }
        if *account == me.account {
            return Err(ModerationRefused::Oneself);
        }
        if self.role_of(*account).is_some_and(|role| role >= Role::Moderator) {
            return Err(ModerationRefused::AboveModeration);
        }
        if for_ms.is_some_and(|lasts| lasts == 0 || lasts > MODERATION_MS_MAX) {
            return Err(ModerationRefused::TooLong);
        }
        if reason.len() > MODERATION_REASON_BYTES_MAX {
            let (bytes, max) = (reason.len(), MODERATION_REASON_BYTES_MAX);
            return Err(ModerationRefused::Reason { bytes, max });
        }
        if !me.covers(at) {
            return Err(ModerationRefused::Expired);
        }
        if *kind == ModerationKind::Lift && !self.rules().moderations().is_ordered(*account, at) {
            return Err(ModerationRefused::NothingToLift);
        }
        Ok(())
    }

    /// The role of somebody who is or was here, by the newest ticket seen.
    fn role_of(&self, account: AccountId) -> Option<Role> {
        let devices = self
            .roster
            .people()
            .filter(|(_peer, device)| device.ticket.claims().account == account);
        let newest = devices.max_by_key(|(_peer, device)| device.ticket.claims().issued_at_s);
        newest.map(|(_peer, device)| device.ticket.claims().role)
    }

    pub(super) fn judge_moderation(&mut self, bytes: &[u8], now: Now) -> Result<(), Refused> {
        let (tickets, realm) = (&mut self.tickets, &self.me.realm());
        let signed =
            SignedModeration::verify(bytes, realm, |ticket| tickets.verify(ticket, realm))?;
        if signed.content().from > self.time.now_ms(now).saturating_add(AHEAD_MS_MAX) {
            return Err(Refused::Ahead);
        }
        // As with messages: what is older comes by reconciliation, many at a time. The login node's own takes no part
        // in that, and is told.
        let old = signed.content().from.saturating_add(GOSSIP_AGE_MS_MAX) < self.time.now_ms(now);
        if old && !self.me.is_authority() {
            return Err(Refused::Old);
        }
        self.take_moderation(signed, now).map_err(|no_effect| match no_effect {
            NoEffect::Known => Refused::Held,
            NoEffect::TooMany | NoEffect::TooManyInADay => Refused::OverQuota,
            NoEffect::OutsideTicket => Refused::OutsideTicket,
            NoEffect::NotAModerator => Refused::MayNotPost,
            NoEffect::Sanctioned => Refused::Sanctioned,
        })
    }

    /// Keeps a moderation, and does what it says: the set is settled again, and links of the banned go.
    pub(super) fn take_moderation(
        &mut self,
        moderation: SignedModeration,
        now: Now,
    ) -> Result<(), NoEffect> {
        if moderation.content().until < self.history.boundary() {
            return Err(NoEffect::Known);
        }
        let resettled = self.history.take_moderation(moderation.clone())?;
        self.moderations_taken(vec![moderation], resettled, now);
        Ok(())
    }

    /// The same for all that a neighbour has sent at once. Fresh ones go on by gossip, as after a partition: whoever
    /// is banned by them is to hear it from a signed moderation, before the links that could bring it are gone.
    pub(super) fn take_moderations(&mut self, mut moderations: Vec<SignedModeration>, now: Now) {
        moderations.retain(|moderation| moderation.content().until >= self.history.boundary());
        let (kept, resettled) = self.history.take_moderations(moderations);
        if kept.is_empty() {
            return;
        }
        let fresh = self.time.now_ms(now).saturating_sub(GOSSIP_AGE_MS_MAX);
        for moderation in kept.iter().filter(|moderation| moderation.content().from >= fresh) {
            let (topic, bytes) = (Topic::Control, moderation.to_gossip());
            self.fx.publish(topic, bytes, None);
        }
        self.moderations_taken(kept, resettled, now);
    }

    fn moderations_taken(
        &mut self,
        moderations: Vec<SignedModeration>,
        resettled: Resettled,
        now: Now,
    ) {
        // A maker's clock may run ahead of ours by some milliseconds: whoever it bans is banned from then on.
        let realm_ms = self.time.now_ms(now);
        let begins_in = moderations
            .iter()
            .map(|moderation| moderation.content().from.saturating_sub(realm_ms))
            .min();
        let begins_in = Duration::from_millis(begins_in.unwrap_or_default());
        let begins = now.mono.saturating_add(begins_in);
        self.links.check_by(begins);
        for moderation in moderations {
            self.fx.output(Output::StoreModeration(Box::new(moderation.clone())));
            self.fx.event(Event::Moderation(Box::new(moderation)));
        }
        self.resettle(resettled);
        self.fx.changed();
        self.links.judge(&self.view(), now);
        self.check_own_membership(now);
    }
}

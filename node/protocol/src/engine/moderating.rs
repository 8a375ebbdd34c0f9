//! The moderations that we sign (PROTOCOL.md ).

use crate::history::NoEffect;
use crate::ids::{AccountId, MessageId, Role};
use crate::io::{Event, ModerationRefused, NewModeration, Topic};
use crate::limits::{MODERATION_MS_MAX, MODERATION_REASON_BYTES_MAX};
use crate::moderation::{Moderation, ModerationKind};
use crate::time::Now;

use super::Engine;

impl Engine {
    pub(super) fn moderate(&mut self, request: u64, moderation: NewModeration, now: Now) {
        let result = self.give_moderation(moderation, now);
        self.fx.event(Event::Moderated { request, result });
    }

    fn give_moderation(
        &mut self,
        moderation: NewModeration,
        now: Now,
    ) -> Result<MessageId, ModerationRefused> {
        // Of two moderations in the same millisecond, chance would decide which one counts.
        let at = self.time.now_ms(now);
        let from = self.rules().moderations().first_free(moderation.account, at);
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
            policy: self.policy.number(),
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

    /// Checks a moderation as every peer will check it, so that its maker learns at once why it is refused.
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

    /// The role of an account that is or was here, by the newest ticket seen.
    fn role_of(&self, account: AccountId) -> Option<Role> {
        let devices = self
            .roster
            .people()
            .filter(|(_peer, device)| device.ticket.claims().account == account);
        let newest = devices.max_by_key(|(_peer, device)| device.ticket.claims().issued_at_s);
        newest.map(|(_peer, device)| device.ticket.claims().role)
    }
}

//! Our own membership: how we show it to others, renew it and lose it, and how our clock compares with theirs.

use crate::history::Sentence;
use crate::io::{EndReason, Event};
use crate::ticket::Ticket;
use crate::time::Now;

use super::Engine;

impl Engine {
    /// Sends our presence soon, because a new peer may be listening.
    pub(super) fn presence_soon(&mut self, now: Now) {
        let peers = self.roster.online().count().max(self.dials.len());
        self.presence.soon(peers, &self.me, now, &mut self.fx);
    }

    pub(super) fn set_listening(&mut self, addresses: Vec<String>, now: Now) {
        if self.presence.set_listening(addresses) {
            self.presence_soon(now);
            self.fx.changed();
        }
    }

    pub(super) fn set_status(&mut self, status: String, now: Now) {
        if self.presence.set_status(status) {
            self.presence_soon(now);
            self.fx.changed();
        }
    }

    pub(super) fn renewed(&mut self, ticket: Ticket, now: Now) {
        let claims = ticket.claims();
        let expires_at = claims.expires_at_ms();
        self.time.signed(claims.issued_at_ms(), now);
        self.me.renew(ticket);
        self.presence_soon(now);
        self.fx.event(Event::Renewed { expires_at });
        self.fx.changed();
    }

    /// Ends our membership if a policy that we have verified says so. Nothing else may end it.
    pub(super) fn check_own_membership(&mut self, now: Now) {
        if self.me.is_authority() {
            return;
        }
        let (me, policy) = (self.me.author(), self.rules().policy());
        // A slow clock must not hide a ban that begins when the policy was signed.
        let realm_ms = self.time.now_ms(now).max(policy.issued_at);
        if let Some(ban) = self.rules().ban_at(&me, realm_ms) {
            let Sentence { reason, by, until, .. } = ban;
            self.end(EndReason::Banned { reason, by, until });
        } else if let Some(revocation) = policy.revocation_of(me.account, me.peer, me.issued_at) {
            let reason = revocation.reason.clone();
            self.end(EndReason::Revocation { reason });
        }
    }

    /// Ends our membership: from now on we dial and send nothing.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.presence.stop();
        self.me.end(reason, &mut self.fx);
    }

    pub(super) fn say_goodbye(&mut self, now: Now) {
        self.me.leave();
        self.presence.say_goodbye(&self.me, self.time.now_ms(now), &mut self.fx);
    }

    /// Sends again what no peer could accept, once our clock agrees with the others.
    pub(super) fn look_at_clocks(&mut self, now: Now) {
        if self.time.look(self.links.accounts(), &self.me, now, &mut self.fx) {
            self.resend(now);
        }
    }

    pub(super) fn learn_time(&mut self, realm_ms: u64, now: Now) {
        self.time.learnt(realm_ms, now);
        self.look_at_clocks(now);
    }
}

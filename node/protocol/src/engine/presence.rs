//! Presence: ours, and what the others say of themselves.

use std::sync::Arc;
use std::time::Duration;

use crate::history::Author;
use crate::limits::{PRESENCE_ADDRESSES_MAX, STATUS_BYTES_MAX};
use crate::login::PeerAddresses;
use crate::presence::{BYE, Presence, SignedPresence};
use crate::roster::Observed;
use crate::ticket::Ticket;
use crate::time::Now;
use crate::verdict::Refused;

use super::{EndReason, Engine, Event, Output, Topic};

/// A newcomer hears from everybody within this time; the larger the roster, the more it is spread.
const ANSWER_MIN: Duration = Duration::from_millis(200);
const ANSWER_PER_PEER: Duration = Duration::from_millis(50);

impl Engine {
    pub(super) fn observe_presence(
        &mut self,
        signed: &SignedPresence,
        now: Now,
    ) -> Result<(), Refused> {
        let peer = signed.ticket.claims().peer;
        if peer == self.me.peer() {
            // Noise and signatures prove it: this very key has started again elsewhere.
            if signed.presence.boot > self.me.boot() {
                self.end(EndReason::Superseded);
            }
            return Err(Refused::Held);
        }
        if self.links.is_linked(peer) && self.time.agrees(signed, now) {
            self.look_at_clocks(now);
        }
        let realm_ms = self.time.now_ms(now);
        let claims = signed.ticket.claims();
        let author = Author::of(&signed.ticket);
        if self.rules().ban_at(&author, realm_ms).is_some()
            || self.policy().revocation_of(author.account, peer, author.issued_at).is_some()
        {
            return Err(Refused::Sanctioned);
        }
        if !claims.covers(realm_ms) {
            return Err(Refused::OutsideTicket);
        }
        // What is stale costs nothing: anybody can repeat it, and its author must not pay for that.
        if !self.roster.is_news(signed, self.observation(now)) {
            return Err(Refused::Held);
        }
        if !self.paces.may_show(peer, now) {
            return Err(Refused::TooFast);
        }
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
        let proof = Some(Arc::clone(&signed.pair));
        self.links.boot_seen(peer, signed.presence.boot, proof, &mut self.fx);
        self.see_policy_number(peer, claims.policy, now);
        if signed.presence.status != BYE && !signed.presence.listen.is_empty() {
            let addresses = signed.presence.listen.clone();
            let candidate = PeerAddresses { peer, addresses };
            self.candidates(std::slice::from_ref(&candidate), now);
            // Presence comes often, and a disk is slow.
            if listens_anew {
                self.fx.output(Output::StorePeer(candidate));
            }
        }
        Ok(())
    }

    pub(super) fn candidates(&mut self, peers: &[PeerAddresses], now: Now) {
        for candidate in peers.iter().filter(|candidate| candidate.is_bounded()) {
            let jitter = self.fx.jitter();
            self.dials.add(candidate.peer, &candidate.addresses, now.mono, jitter);
        }
    }

    pub(super) fn listening(&mut self, addresses: Vec<String>, now: Now) {
        if addresses != self.listening {
            self.listening = addresses;
            self.presence_soon(now);
            self.fx.changed();
        }
    }

    /// Somebody new may be listening: speak soon, once for all that come in that time.
    pub(super) fn presence_soon(&mut self, now: Now) {
        if self.me.has_ended() {
            return;
        }
        let peers = self.roster.online().count().max(self.dials.len());
        let peers = u32::try_from(peers).unwrap_or(u32::MAX);
        let wait = ANSWER_MIN.max(ANSWER_PER_PEER.saturating_mul(peers));
        let due = now.mono.saturating_add(wait + self.fx.jitter());
        self.presence_due = Some(self.presence_due.map_or(due, |known| known.min(due)));
    }

    pub(super) fn publish_presence(&mut self, status: &str, now: Now) {
        let presence = Presence {
            boot: self.me.boot(),
            n: self.presence_n,
            at: self.time.now_ms(now),
            status: status.to_owned(),
            listen: self.listening.iter().take(PRESENCE_ADDRESSES_MAX).cloned().collect(),
        };
        self.presence_n = self.presence_n.saturating_add(1);
        self.presence_due = Some(now.mono.saturating_add(self.roster.refresh_interval()));
        let signed = self.me.sign_presence(presence);
        let bytes = signed.pair.to_vec();
        self.fx.publish(Topic::Control, bytes, None);
    }

    /// What we say of ourselves from now on.
    pub(super) fn set_status(&mut self, status: String, now: Now) {
        if status.len() <= STATUS_BYTES_MAX && status != self.status {
            self.status = status;
            self.presence_soon(now);
            self.fx.changed();
        }
    }

    pub(super) fn say_goodbye(&mut self, now: Now) {
        self.me.leave();
        self.publish_presence(BYE, now);
        self.presence_due = None;
    }

    pub(super) fn renewed(&mut self, ticket: Ticket, now: Now) {
        let expires_at = ticket.claims().expires_at_ms();
        self.time.signed(ticket.claims().issued_at_ms(), now);
        self.me.renew(ticket);
        self.presence_soon(now);
        self.fx.event(Event::Pass { expires_at });
        self.fx.changed();
    }

    /// Membership is lost: nothing is dialled or sent any more.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.presence_due = None;
        self.me.end(reason, &mut self.fx);
    }

    pub(super) fn proves_newer_start(&mut self, proof: Option<&[u8]>) -> bool {
        let (tickets, realm) = (&mut self.tickets, &self.me.realm());
        let signed = proof.and_then(|pair| {
            SignedPresence::verify(pair, |bytes| tickets.verify(bytes, realm)).ok()
        });
        signed.is_some_and(|signed| {
            signed.ticket.claims().peer == self.me.peer() && signed.presence.boot > self.me.boot()
        })
    }
}

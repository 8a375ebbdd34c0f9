//! Links that come and go, and how many to keep.

use std::time::Duration;

use crate::degree;
use crate::ids::{PeerKey, Role};
use crate::io::{Event, LinkId, NewLink, Output, Topic};
use crate::login::PeerAddresses;
use crate::roster::{Change, Observation};
use crate::time::Now;

use super::Engine;

impl Engine {
    pub(super) fn link_up(&mut self, new: NewLink, now: Now) {
        let (id, peer) = (new.id, new.peer);
        let (ticket, hello) = (new.admission.ticket().clone(), new.admission.hello());
        let (boot, time_ms, policy) = (hello.boot, hello.time, hello.policy);
        if new.admission.judge_again(&self.view(), peer, now).is_err() {
            self.links.boot_seen(peer, boot, None, &mut self.fx);
            self.fx.close([id]);
            self.dials.unlinked(peer, now.mono, Duration::ZERO);
            return;
        }
        let dialled = new.dialled.then(|| new.address.clone());
        self.links.up(new, &self.dials, self.time.now_ms(now), now);
        self.time.signed(ticket.claims().issued_at_ms(), now);
        self.time.heard(&ticket, time_ms, &self.me, now, &mut self.fx);
        if let Some(change) = self.roster.link_up(peer, &ticket, boot, self.observation(now)) {
            self.tell_presence(change);
        }
        self.dials.linked(peer, now.mono);
        self.dials.belongs_to(peer, ticket.claims().account);
        if let Some(address) = dialled {
            self.fx.output(Output::StorePeer(PeerAddresses { peer, addresses: vec![address] }));
        }
        let named = ticket.claims().policy;
        self.policy.number_seen(peer, policy.max(named), &self.links, now, &mut self.fx);
        if named > self.policy.number() {
            // A ticket names a policy, and its bearer must be able to deliver that policy.
            self.links.demand_policy(id, now);
        }
        self.look_at_clocks(now);
        self.fx.changed();
    }

    pub(super) fn link_down(&mut self, id: LinkId, now: Now) {
        let Some(down) = self.links.down(id) else { return };
        if down.last {
            self.last_link_down(down.peer, now);
            self.policy.lost(down.peer);
            self.rounds.lost(down.peer, &self.links);
            self.receipts.lost(down.peer);
        }
        self.look_at_clocks(now);
        self.fx.changed();
    }

    /// Handles the end of the last link to a peer, which was lost or which both ends gave up.
    fn last_link_down(&mut self, peer: PeerKey, now: Now) {
        let (jitter, seen) = (self.fx.jitter(), self.observation(now));
        if self.degree.lost(peer, now) {
            self.dials.parted(peer, now.mono, jitter);
            self.roster.part(peer, seen);
            return;
        }
        self.dials.unlinked(peer, now.mono, jitter);
        self.roster.link_down(peer, seen);
        if self.degree.is_thin() {
            // The other end may be alive, and perhaps nobody will dial in time. Refresh our presence so that it reaches
            // the peer through others.
            self.presence_soon(now);
        }
    }

    pub(super) fn subscribed(&mut self, peer: PeerKey, topic: Topic, now: Now) {
        if !self.links.subscribed(peer, topic) {
            return;
        }
        match topic {
            Topic::Control => self.presence_soon(now),
            Topic::Mesh => {
                self.resend(now);
                self.reconcile(now, |rounds, cx| rounds.fresh(peer, cx));
            }
            Topic::Direct => {}
        }
        self.fx.changed();
    }

    /// Counts a Reject against a peer that forwarded what it should have rejected itself.
    pub(super) fn reject(&mut self, peer: PeerKey, now: Now) {
        if let Some(until) = self.links.reject(peer, now, &mut self.fx) {
            self.dials.postpone(peer, until);
        }
    }

    /// Reviews the number of links, when that is due.
    pub(super) fn thin_out(&mut self, now: Now) {
        let around = degree::Around {
            me: &self.me,
            links: &self.links,
            roster: &self.roster,
            dials: &self.dials,
        };
        if let Some(may_dial) = self.degree.due(around, now, &mut self.fx) {
            self.dials.limit(may_dial);
        }
        self.links.set_thin_ring(self.degree.thin_ring());
    }

    /// Counts the roster, if it has changed.
    pub(super) fn count_roster(&mut self, now: Now) {
        if let Some(may_dial) = self.degree.count(&self.me, &self.roster, now) {
            self.dials.limit(may_dial);
            self.links.set_thin_ring(self.degree.thin_ring());
        }
    }

    /// Tells the user that a device came or went.
    pub(super) fn tell_presence(&mut self, change: Change) {
        self.degree.roster_changed();
        if change.ticket.claims().role != Role::Authority {
            self.fx.event(Event::Presence(change));
        }
        self.fx.changed();
    }

    pub(super) fn observation(&self, now: Now) -> Observation {
        Observation { now, realm_ms: self.time.now_ms(now), my_boot: self.me.boot() }
    }
}

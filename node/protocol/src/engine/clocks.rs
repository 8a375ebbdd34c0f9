//! Our clock beside those of others: what neighbours' Hellos say of it, and what to do when they contradict it.
//!
//! Three accounts can set right a clock that nobody has confirmed (PROTOCOL.md R-6). Fewer cannot, but they can be
//! listened to: whoever is ahead of everybody it is linked with is not heard by them, and must not be told that its
//! messages are on their way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::hello::VerdictCode;
use crate::ids::{AccountId, PeerKey, Role};
use crate::limits::{ASK_TIME_EVERY, ASK_TIME_EVERY_MAX, ASK_TIME_SOON, CLOCK_OFF_MS};
use crate::presence::SignedPresence;
use crate::ticket::Ticket;
use crate::time::{Now, ProvenTime, RealmClock, offset};
use crate::words;

use super::{Engine, Event};

/// What is known of the others' clocks.
#[derive(Debug, Default)]
pub(super) struct OthersClocks {
    /// How far each account's realm time is ahead of ours, in milliseconds.
    offsets: BTreeMap<AccountId, i64>,
    /// By how much ours is ahead of all linked accounts', as the user was last told.
    told: Option<i64>,
    /// When the login node may be asked for the time again, on the monotonic clock.
    ask_at: Duration,
    /// How long after that.
    ask_wait: Duration,
    /// When it was asked last.
    asked: Duration,
    /// The login node's own peer, once it was linked.
    authority: Option<PeerKey>,
}

impl Engine {
    /// What a Hello says of its sender's clock.
    pub(super) fn note_clock(&mut self, ticket: &Ticket, their_time_ms: u64, now: Now) {
        let claims = ticket.claims();
        if claims.role == Role::Authority {
            self.others_clocks.authority = Some(claims.peer);
        }
        // The rendezvous' clock is realm time itself: nobody corrects it, and its own node needs no median of others.
        if claims.role == Role::Authority || self.is_authority() {
            return;
        }
        let difference = offset(their_time_ms, self.clock.peek_ms(now));
        self.others_clocks.offsets.insert(claims.account, difference);
        let mut offsets: Vec<i64> = self.others_clocks.offsets.values().copied().collect();
        // Beyond the end of our ticket nobody could let us in anyway.
        let possible = self.proven.at(now)..=self.ticket.claims().expires_at_ms();
        if let Some(correction) = self.clock.agree_with_peers(&mut offsets, possible, now) {
            self.shift_clock_offsets(correction);
            let ahead = words::ahead(correction.saturating_neg());
            let text = format!(
                "This computer's clock is {ahead} the others'; \
                 their time is used until the login node says which is right."
            );
            self.event(Event::Notice { code: "clock-corrected", text });
        }
    }

    /// A neighbour's presence shows that its clock agrees with ours now: it may have been set since its Hello.
    pub(super) fn note_agreement(&mut self, signed: &SignedPresence, now: Now) {
        let difference = offset(signed.presence.at, self.clock.peek_ms(now));
        let account = signed.ticket.claims().account;
        if difference.unsigned_abs() <= CLOCK_OFF_MS
            && let Some(known) = self.others_clocks.offsets.get_mut(&account)
        {
            *known = difference;
            self.look_at_clocks(now);
        }
    }

    /// Our realm time has changed by so much, and what the others said of theirs stays.
    fn shift_clock_offsets(&mut self, by_ms: i64) {
        for offset in self.others_clocks.offsets.values_mut() {
            *offset = offset.saturating_sub(by_ms);
        }
        self.view_is_stale = true;
    }

    /// Somebody has set this machine's wall clock by so many milliseconds, which the next [`Now`] shows for the first
    /// time (PROTOCOL.md R-5).
    pub fn wall_clock_set(&mut self, by_ms: i64) {
        let before = self.clock.offset_ms();
        self.clock.wall_clock_set(by_ms);
        if self.clock.offset_ms() == before {
            self.shift_clock_offsets(by_ms);
        }
        self.view_is_stale = true;
    }

    /// The login node has said what time it is. A wrong clock of before must not outlive that, whether it was ours or
    /// its own: what it has signed for a later time proves nothing any more.
    pub(super) fn learn_time(&mut self, realm_ms: u64, now: Now) {
        let change = offset(realm_ms, self.clock.peek_ms(now));
        if change.unsigned_abs() > CLOCK_OFF_MS {
            self.others_clocks.ask_wait = Duration::ZERO;
        }
        self.clock = RealmClock::learnt(realm_ms, now, 0);
        self.proven = ProvenTime::said(realm_ms, now);
        self.shift_clock_offsets(change);
        self.look_at_clocks(now);
    }

    /// By how many milliseconds our clock is ahead of everybody's we are linked with, if it is by more than they can
    /// bear; less than zero if it is behind. `None` while anybody agrees with it.
    #[must_use]
    pub fn out_of_step_ms(&self) -> Option<i64> {
        let accounts = self.links.values().map(|link| link.ticket.claims().account);
        let offsets = accounts.filter_map(|account| self.others_clocks.offsets.get(&account));
        let nearest = offsets.copied().min_by_key(|offset| offset.unsigned_abs())?;
        (nearest.unsigned_abs() > CLOCK_OFF_MS).then(|| nearest.saturating_neg())
    }

    /// Whether nobody can accept what we sign now: it would come from the future for all who are here.
    pub(super) fn is_ahead_of_all(&self) -> bool {
        self.out_of_step_ms().is_some_and(|ahead_ms| ahead_ms > 0)
    }

    /// Tells the user when our clock has come to contradict everybody's, and sends again what waited when it agrees.
    pub(super) fn look_at_clocks(&mut self, now: Now) {
        let ahead_ms = self.out_of_step_ms();
        let before = std::mem::replace(&mut self.others_clocks.told, ahead_ms);
        if before.map(i64::signum) == ahead_ms.map(i64::signum) {
            return;
        }
        self.changed();
        match ahead_ms {
            Some(ahead_ms) => {
                let (code, text) = self.out_of_step_words(ahead_ms);
                self.event(Event::Notice { code, text });
                self.ask_for_the_time(now);
            }
            None => self.resend(now),
        }
    }

    /// The code and the sentence for a clock that contradicts everybody's.
    #[must_use]
    pub fn out_of_step_words(&self, ahead_ms: i64) -> (&'static str, String) {
        let way = words::ahead(ahead_ms);
        let whose = if self.clock.is_learnt() {
            "The time that the login node gave us"
        } else {
            "This computer's clock"
        };
        let remedy = if self.clock.is_learnt() {
            "Tell the operator."
        } else {
            "Set the clock of this computer right."
        };
        if ahead_ms > 0 {
            let text = format!(
                "{whose} is {way} everybody here, so nobody can accept your messages yet: \
                 they wait. {remedy}"
            );
            ("clock-ahead", text)
        } else {
            let text = format!(
                "{whose} is {way} everybody here, so you do not see what they write yet. {remedy}"
            );
            ("clock-behind", text)
        }
    }

    /// A gate has said that a ticket is not of this time: one of the clocks is wrong. What members say is heard now and
    /// then; the login node's own peer must not be kept out by our clock, nor we by its.
    pub(super) fn clocks_contradict(&mut self, peer: PeerKey, code: VerdictCode, now: Now) {
        let is_good = self.ticket.claims().covers(self.clock.peek_ms(now));
        if !is_good || !matches!(code, VerdictCode::NotYetValid | VerdictCode::Expired) {
            return;
        }
        if self.others_clocks.authority == Some(peer) {
            let soon = self.others_clocks.asked.saturating_add(ASK_TIME_SOON);
            self.others_clocks.ask_at = self.others_clocks.ask_at.min(soon);
        }
        self.ask_for_the_time(now);
    }

    /// Our own gate has refused somebody. An expired ticket alone is nothing unusual, but for the login node's own peer.
    pub(super) fn we_refused(&mut self, peer: PeerKey, code: VerdictCode, now: Now) {
        if code == VerdictCode::NotYetValid || self.others_clocks.authority == Some(peer) {
            self.clocks_contradict(peer, code, now);
        }
    }

    /// Only the login node knows which clock is right. A verdict proves nothing, so it makes us ask, and not too often.
    pub(super) fn ask_for_the_time(&mut self, now: Now) {
        let others = &mut self.others_clocks;
        if now.mono < others.ask_at || self.ended {
            return;
        }
        others.ask_wait =
            others.ask_wait.saturating_mul(2).clamp(ASK_TIME_EVERY, ASK_TIME_EVERY_MAX);
        others.ask_at = now.mono.saturating_add(others.ask_wait);
        others.asked = now.mono;
        self.event(Event::AskTheTime);
    }
}

//! Realm time as we know it, compared with the times of other peers.
//!
//! Takes in the times that the realm has signed, those in neighbours' Hellos and presences, and what the login node
//! says. Returns whether our clock has come to agree with the others; puts out corrections, warnings, and the request
//! to ask the login node.
//!
//! Three accounts can correct a clock that the login node has not confirmed (PROTOCOL.md R-6). Fewer cannot, but we
//! still compare: peers ignore the messages of one that is ahead of all of them, and its user must not be told that
//! these messages are on their way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::effects::Effects;
use crate::hello::VerdictCode;
use crate::identity::Identity;
use crate::ids::{AccountId, PeerKey, Role};
use crate::io::Event;
use crate::presence::SignedPresence;
use crate::ticket::Ticket;
use crate::time::CLOCK_OFF_MS;
use crate::words;

use super::{Now, ProvenTime, RealmClock, offset};

/// How often a peer whose clock disagrees with the others asks the login node for the time. The wait doubles with every
/// answer that changes nothing.
pub(crate) const ASK_TIME_EVERY: Duration = Duration::from_secs(10 * 60);
/// The same wait if the peer that disagrees is the authority peer.
const ASK_TIME_SOON: Duration = Duration::from_secs(10);
/// The longest wait between two such questions; see [`ASK_TIME_EVERY`].
const ASK_TIME_EVERY_MAX: Duration = Duration::from_secs(6 * 3_600);

/// Our clock and those of other peers.
#[derive(Debug)]
pub(crate) struct RealmTime {
    clock: RealmClock,
    proven: ProvenTime,
    /// How far each account's realm time is ahead of ours, in milliseconds.
    offsets: BTreeMap<AccountId, i64>,
    /// How far our clock was ahead of all linked accounts when the user was last told.
    told: Option<i64>,
    /// When the login node may be asked for the time again, on the monotonic clock.
    ask_at: Duration,
    /// How long to wait after that.
    ask_wait: Duration,
    /// When we asked it last.
    asked: Duration,
    /// The authority peer, once it was linked.
    authority: Option<PeerKey>,
}

impl RealmTime {
    pub(crate) fn new(clock: RealmClock, now: Now) -> Self {
        let mut time = Self {
            clock,
            proven: ProvenTime::default(),
            offsets: BTreeMap::new(),
            told: None,
            ask_at: Duration::ZERO,
            ask_wait: Duration::ZERO,
            asked: Duration::ZERO,
            authority: None,
        };
        time.tick(now);
        time
    }

    /// Begins a turn: realm time never goes back to before it.
    pub(crate) fn tick(&mut self, now: Now) {
        self.clock.now_ms(now);
    }

    /// Realm time, unix milliseconds.
    pub(crate) fn now_ms(&self, now: Now) -> u64 {
        self.clock.peek_ms(now)
    }

    pub(crate) fn clock(&self) -> &RealmClock {
        &self.clock
    }

    /// A time that has certainly been reached if the login node's clock was right, unix milliseconds.
    pub(crate) fn proven_ms(&self, now: Now) -> u64 {
        self.proven.at(now)
    }

    /// Notes that the realm has signed that this time was reached; unix milliseconds.
    pub(crate) fn signed(&mut self, realm_ms: u64, now: Now) {
        self.proven.note(realm_ms, now);
    }

    /// Compares our clock with the one in a Hello. Three accounts that agree correct ours.
    pub(crate) fn heard(
        &mut self,
        ticket: &Ticket,
        their_time_ms: u64,
        me: &Identity,
        now: Now,
        fx: &mut Effects,
    ) {
        let claims = ticket.claims();
        if claims.role == Role::Authority {
            self.authority = Some(claims.peer);
        }
        // The login node's clock is realm time itself: no peer corrects it, and the authority peer needs no median.
        if claims.role == Role::Authority || me.is_authority() {
            return;
        }
        self.offsets.insert(claims.account, offset(their_time_ms, self.now_ms(now)));
        let mut offsets: Vec<i64> = self.offsets.values().copied().collect();
        // Past the end of our ticket, no peer could admit us anyway.
        let possible = self.proven.at(now)..=me.ticket().claims().expires_at_ms();
        if let Some(correction) = self.clock.agree_with_peers(&mut offsets, possible, now) {
            self.shift_offsets(correction);
            let ahead = words::ahead(correction.saturating_neg());
            let text = format!(
                "This computer's clock is {ahead} the others'; \
                 their time is used until the login node says which is right."
            );
            fx.event(Event::Notice { code: "clock-corrected", text });
        }
    }

    /// Whether a neighbour's presence shows that its clock agrees with ours now. It may have been set since its Hello.
    pub(crate) fn agrees(&mut self, signed: &SignedPresence, now: Now) -> bool {
        let difference = offset(signed.presence.at, self.now_ms(now));
        let known = self.offsets.get_mut(&signed.ticket.claims().account);
        match known.filter(|_known| difference.unsigned_abs() <= CLOCK_OFF_MS) {
            Some(known) => {
                *known = difference;
                true
            }
            None => false,
        }
    }

    /// Adjusts the offsets of other accounts after our realm time has changed by this much.
    fn shift_offsets(&mut self, by_ms: i64) {
        for offset in self.offsets.values_mut() {
            *offset = offset.saturating_sub(by_ms);
        }
    }

    /// Notes that this machine's wall clock was set by this many milliseconds.
    pub(crate) fn wall_set(&mut self, by_ms: i64) {
        let before = self.clock.offset_ms();
        self.clock.wall_clock_set(by_ms);
        if self.clock.offset_ms() == before {
            self.shift_offsets(by_ms);
        }
    }

    /// Takes the time from the login node. No earlier wrong clock may outlive that, whether it was ours or the login
    /// node's: what it signed for a later time proves nothing any more.
    pub(crate) fn learnt(&mut self, realm_ms: u64, now: Now) {
        let change = offset(realm_ms, self.now_ms(now));
        if change.unsigned_abs() > CLOCK_OFF_MS {
            self.ask_wait = Duration::ZERO;
        }
        self.clock = RealmClock::learnt(realm_ms, now, 0);
        self.proven = ProvenTime::said(realm_ms, now);
        self.shift_offsets(change);
    }

    /// How many milliseconds our clock is ahead of those of all linked accounts, if the difference is more than they
    /// tolerate; negative if it is behind. `None` while at least one of them agrees with it.
    pub(crate) fn out_of_step_ms(&self, linked: impl Iterator<Item = AccountId>) -> Option<i64> {
        let offsets = linked.filter_map(|account| self.offsets.get(&account));
        let nearest = offsets.copied().min_by_key(|offset| offset.unsigned_abs())?;
        (nearest.unsigned_abs() > CLOCK_OFF_MS).then(|| nearest.saturating_neg())
    }

    /// Warns the user when our clock begins to contradict those of all linked accounts. Returns whether it has come to
    /// agree with one of them, so that waiting messages can be sent again.
    pub(crate) fn look(
        &mut self,
        linked: impl Iterator<Item = AccountId>,
        me: &Identity,
        now: Now,
        fx: &mut Effects,
    ) -> bool {
        let ahead_ms = self.out_of_step_ms(linked);
        let before = std::mem::replace(&mut self.told, ahead_ms);
        if before.map(i64::signum) == ahead_ms.map(i64::signum) {
            return false;
        }
        fx.changed();
        let Some(ahead_ms) = ahead_ms else { return true };
        let (code, text) = self.out_of_step_words(ahead_ms);
        fx.event(Event::Notice { code, text });
        self.ask_login_node(me, now, fx);
        false
    }

    /// The code and text of the warning that our clock contradicts all others.
    pub(crate) fn out_of_step_words(&self, ahead_ms: i64) -> (&'static str, String) {
        let way = words::ahead(ahead_ms);
        let (whose, remedy) = if self.clock.is_learnt() {
            ("The time that the login node gave us", "Tell the operator.")
        } else {
            ("This computer's clock", "Set the clock of this computer right.")
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

    /// Handles a gate's verdict that our ticket is not valid at this time, which means that one of the clocks is wrong.
    /// For most peers we ask the login node only now and then. For the authority peer we ask soon, because a wrong
    /// clock must not keep us apart.
    pub(crate) fn contradicted(
        &mut self,
        peer: PeerKey,
        code: VerdictCode,
        me: &Identity,
        now: Now,
        fx: &mut Effects,
    ) {
        let is_good = me.ticket().claims().covers(self.now_ms(now));
        if !is_good || !matches!(code, VerdictCode::NotYetValid | VerdictCode::Expired) {
            return;
        }
        if self.is_authority(peer) {
            self.ask_at = self.ask_at.min(self.asked.saturating_add(ASK_TIME_SOON));
        }
        self.ask_login_node(me, now, fx);
    }

    /// Whether this is the authority peer, as far as it was linked.
    pub(crate) fn is_authority(&self, peer: PeerKey) -> bool {
        self.authority == Some(peer)
    }

    /// Asks the login node, which alone knows the right time. A verdict proves nothing, so we do not ask too often.
    fn ask_login_node(&mut self, me: &Identity, now: Now, fx: &mut Effects) {
        if now.mono < self.ask_at || me.has_ended() {
            return;
        }
        self.ask_wait = self.ask_wait.saturating_mul(2).clamp(ASK_TIME_EVERY, ASK_TIME_EVERY_MAX);
        self.ask_at = now.mono.saturating_add(self.ask_wait);
        self.asked = now.mono;
        fx.event(Event::AskTheTime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Output;
    use crate::testing::{self, T0};

    const NOW: Now = Now { mono: Duration::from_secs(1), wall_ms: T0 };
    const TEN_MINUTES_MS: u64 = 600_000;

    fn ticket(number: u8) -> Ticket {
        testing::ticket(&testing::key(1), &testing::key(number), &format!("user{number}"))
    }

    fn me() -> Identity {
        Identity::new(testing::key(2), ticket(2), 1, 1)
    }

    fn notices(fx: &mut Effects) -> Vec<&'static str> {
        let outputs = std::iter::from_fn(|| fx.poll());
        let codes = outputs.filter_map(|output| match output {
            Output::Event(Event::Notice { code, .. }) => Some(code),
            Output::Event(Event::AskTheTime) => Some("ask"),
            _other => None,
        });
        codes.collect()
    }

    #[test]
    fn r6_the_median_of_three_accounts_corrects_our_clock() {
        let mut fx = Effects::new([0; 32]);
        let mut time = RealmTime::new(RealmClock::restored(0, 0), NOW);
        for (number, ahead_ms) in [(3, TEN_MINUTES_MS), (3, 5), (4, TEN_MINUTES_MS + 1)] {
            time.heard(&ticket(number), T0 + ahead_ms, &me(), NOW, &mut fx);
        }
        assert_eq!(time.now_ms(NOW), T0, "two accounts are not enough, however often they speak");
        time.heard(&ticket(5), T0 + 3 * TEN_MINUTES_MS, &me(), NOW, &mut fx);
        assert_eq!(time.now_ms(NOW), T0 + TEN_MINUTES_MS + 1);
        assert_eq!(notices(&mut fx), ["clock-corrected"]);
    }

    #[test]
    fn the_user_is_told_once_that_the_clocks_disagree() {
        let mut fx = Effects::new([0; 32]);
        let mut time = RealmTime::new(RealmClock::restored(0, 0), NOW);
        let linked = || [ticket(3).claims().account].into_iter();
        time.heard(&ticket(3), T0 - TEN_MINUTES_MS, &me(), NOW, &mut fx);
        assert_eq!(time.out_of_step_ms(linked()), Some(TEN_MINUTES_MS.cast_signed()));
        assert!(
            !time.look(linked(), &me(), NOW, &mut fx) && !time.look(linked(), &me(), NOW, &mut fx)
        );
        assert_eq!(notices(&mut fx), ["clock-ahead", "ask"]);
        time.learnt(T0 - TEN_MINUTES_MS, NOW);
        assert!(time.look(linked(), &me(), NOW, &mut fx));
    }
}

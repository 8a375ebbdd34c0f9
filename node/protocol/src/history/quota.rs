//! The quota's counters: how many messages of an account are held in a minute and in a UTC day (PROTOCOL.md R-47).
//!
//! The rule goes through an account's messages in the order of their keys and takes each as long as fewer are taken
//! than its own date and role allow. A count taken that way only grows when messages are added, so what was displaced
//! once stays displaced, and deleting it changes nothing. The counters are there so that the rule need not be walked
//! through for each message: almost all come in order, or far below the limit.

use std::collections::BTreeMap;

use crate::ids::{AccountId, MessageId, PeerKey};
use crate::time::{DAY_MS, MINUTE_MS};

/// A message's place in the order (PROTOCOL.md R-45).
pub(super) type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// What is held of one account in one span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many messages are held.
    pub(super) held: u64,
    /// No held one was sent later; realm time, unix milliseconds.
    pub(super) last: u64,
}

impl Tally {
    /// Whether a message of that time comes after all that are held here.
    pub(super) fn is_newest(self, sent_at: u64) -> bool {
        self.held == 0 || sent_at > self.last
    }

    fn add(&mut self, sent_at: u64) {
        self.held = self.held.saturating_add(1);
        self.last = self.last.max(sent_at);
    }
}

/// The counters of all accounts.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    minutes: BTreeMap<(AccountId, u64), Tally>,
    days: BTreeMap<(AccountId, u64), Tally>,
}

impl Tallies {
    pub(super) fn minute(&self, account: AccountId, sent_at: u64) -> Tally {
        self.minutes.get(&(account, sent_at / MINUTE_MS)).copied().unwrap_or_default()
    }

    pub(super) fn day(&self, account: AccountId, sent_at: u64) -> Tally {
        self.days.get(&(account, sent_at / DAY_MS)).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, account: AccountId, sent_at: u64) {
        self.minutes.entry((account, sent_at / MINUTE_MS)).or_default().add(sent_at);
        self.days.entry((account, sent_at / DAY_MS)).or_default().add(sent_at);
    }

    /// Takes one off. `last` may then be too late, which only makes the next message take the longer way.
    pub(super) fn remove(&mut self, account: AccountId, sent_at: u64) {
        take_off(&mut self.minutes, (account, sent_at / MINUTE_MS));
        take_off(&mut self.days, (account, sent_at / DAY_MS));
    }

    /// The last minute of that day in which the account holds anything.
    pub(super) fn last_minute(&self, account: AccountId, day: u64) -> Option<u64> {
        let first = day.saturating_mul(DAY_MS / MINUTE_MS);
        let of_day = (account, first)..(account, first.saturating_add(DAY_MS / MINUTE_MS));
        self.minutes.range(of_day).next_back().map(|((_account, minute), _tally)| *minute)
    }

    pub(super) fn set_last(&mut self, account: AccountId, day: u64, last: u64) {
        if let Some(tally) = self.days.get_mut(&(account, day)) {
            tally.last = last;
        }
    }
}

fn take_off(spans: &mut BTreeMap<(AccountId, u64), Tally>, span: (AccountId, u64)) {
    let Some(tally) = spans.get_mut(&span) else { return };
    tally.held = tally.held.saturating_sub(1);
    if tally.held == 0 {
        spans.remove(&span);
    }
}

//! The quota's counters: how many messages of an account are held in a minute and in a UTC day (PROTOCOL.md R-47).
//!
//! The rule walks through an account's messages by order key, and takes each one while fewer have been taken than its
//! date and role allow. Another message can only raise that count, so a displaced message stays displaced, and deleting
//! it changes nothing. The counters spare almost every message this walk, because it is the newest or the limit is far
//! away.

use std::collections::BTreeMap;

use crate::ids::{AccountId, MessageId, PeerKey};
use crate::time::{DAY_MS, MINUTE_MS};

/// The key by which messages are sorted (PROTOCOL.md R-45).
pub(super) type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// The messages held of one account in one minute or day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many messages are held.
    pub(super) held: u64,
    /// None of them was sent after this: realm time, unix milliseconds.
    pub(super) last: u64,
}

impl Tally {
    /// Whether a message sent at this time is later than all of them.
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

    /// Subtracts one message. `last` may then be too late, which only costs the next message a walk.
    pub(super) fn remove(&mut self, account: AccountId, sent_at: u64) {
        take_off(&mut self.minutes, (account, sent_at / MINUTE_MS));
        take_off(&mut self.days, (account, sent_at / DAY_MS));
    }

    /// The last minute of a day in which a message of the account is held.
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

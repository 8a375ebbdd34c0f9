//! Delays after failed logins, per account and per address, which make guessing passwords slow.
//!
//! Nothing is locked for good, and only failures count, so nobody is delayed for signing in often.
//! There is no I/O and no clock here: every call brings the time, in milliseconds.
//!
//! ```text
//!              failure 1..4                failure 5                failure 6, 7, …
//!   (unknown) ------------> [counting n] ----------> [waiting 15 s] ------> [waiting 30 s, 1 min … 15 min]
//!       ^                        |                       |    ^                  |
//!       |   right password       |                       v    | failure          |
//!       +------------------------+                 [may try once] <--------------+  the delay is over
//!       |                                                |
//!       +------------------------------------------------+
//!             right password, or 15 min of quiet
//! ```
//!
//! An address is delayed only after 100 failures within 15 minutes, until those 15 minutes are over: a school behind
//! one router makes many typos. Names that do not exist count like those that do; otherwise the delay would tell them
//! apart. Both tables are bounded. When one is full, entries without a delay are dropped first, oldest first, so a
//! flood of invented names ends nobody's delay.
//!
//! A known device of the account skips both delays with the right password. The caller takes care of that, because only
//! it knows whether the password is right. If there was a delay, [`Throttle::succeeded`] keeps the count: the owner's
//! login must not help somebody who is guessing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lanyard_protocol::time::MINUTE_MS;

/// The failure after which the delays begin.
pub const FREE_FAILURES: u32 = 5;
/// The delay after that failure; it doubles with each further one.
pub const FIRST_DELAY_MS: u64 = 15_000;
/// The longest delay, and the quiet time after which an account's failures are forgotten.
pub const LONGEST_DELAY_MS: u64 = 15 * MINUTE_MS;
/// How many failures within the window delay an address.
pub const ADDRESS_FAILURES: u32 = 100;
/// The window in which the failures of an address are counted.
pub const ADDRESS_WINDOW_MS: u64 = 15 * MINUTE_MS;
/// How many entries a table may have: 4,096 names of at most 128 bytes make half a megabyte.
pub const ENTRIES_MAX: usize = 4_096;
/// Names are truncated to this many bytes as keys.
const KEY_BYTES_MAX: usize = 128;

/// Whether an attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The attempt may be made.
    Open,
    /// The attempt must wait.
    Wait {
        /// The rest of the delay, in milliseconds.
        ms: u64,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    failures: u32,
    since: u64,
    last: u64,
    until: u64,
}

/// The recent failures.
#[derive(Debug, Default)]
pub struct Throttle {
    accounts: Table<String>,
    addresses: Table<IpAddr>,
}

impl Throttle {
    /// Whether this name may be tried from this address now.
    #[must_use]
    pub fn gate(&self, name: &str, address: IpAddr, now: u64) -> Gate {
        let account = self.accounts.until(&account_key(name));
        let address = self.addresses.until(&prefix(address));
        match account.max(address).saturating_sub(now) {
            0 => Gate::Open,
            ms => Gate::Wait { ms },
        }
    }

    /// Counts a failure.
    pub fn failed(&mut self, name: &str, address: IpAddr, now: u64) {
        self.accounts.update(account_key(name), |entry| {
            let quiet = now.saturating_sub(entry.last.max(entry.until));
            if quiet >= LONGEST_DELAY_MS {
                *entry = Entry::default();
            }
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
            entry.until = now.saturating_add(delay_ms(entry.failures));
        });
        self.addresses.update(prefix(address), |entry| {
            if entry.failures == 0 || now.saturating_sub(entry.since) >= ADDRESS_WINDOW_MS {
                *entry = Entry { since: now, ..Entry::default() };
            }
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
            if entry.failures >= ADDRESS_FAILURES {
                entry.until = entry.since.saturating_add(ADDRESS_WINDOW_MS);
            }
        });
    }

    /// Notes a right password; `gate` is the state before the check. If it was open, this clears the account's failures
    /// but never the address's: one good account must not clear an address that is guessing others.
    pub fn succeeded(&mut self, name: &str, gate: Gate) {
        if gate == Gate::Open {
            self.accounts.remove(&account_key(name));
        }
    }

    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.accounts.entries.len(), self.addresses.entries.len())
    }
}

/// The delay after this many failures in a row.
fn delay_ms(failures: u32) -> u64 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(beyond) => {
            let factor = 1_u64.checked_shl(beyond.min(32)).unwrap_or(u64::MAX);
            FIRST_DELAY_MS.saturating_mul(factor).min(LONGEST_DELAY_MS)
        }
    }
}

fn account_key(name: &str) -> String {
    let mut end = name.len().min(KEY_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default().to_owned()
}

/// What counts as one address. For IPv6 that is a /64, because providers give every customer a whole one.
#[must_use]
pub fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// A bounded map that drops entries without a delay first.
#[derive(Debug)]
struct Table<K> {
    entries: BTreeMap<K, Entry>,
    /// The order in which entries are dropped.
    by_age: BTreeSet<(u64, u64, K)>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_age: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Table<K> {
    fn until(&self, key: &K) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.until)
    }

    fn update(&mut self, key: K, change: impl FnOnce(&mut Entry)) {
        let mut entry = self.remove(&key).unwrap_or_default();
        change(&mut entry);
        if self.entries.len() >= ENTRIES_MAX
            && let Some((_, _, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.insert((entry.until, entry.last, key.clone()));
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &K) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_age.remove(&(entry.until, entry.last, key.clone()));
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn wait(ms: u64) -> Gate {
        Gate::Wait { ms }
    }

    #[test]
    fn the_delay_doubles_up_to_a_quarter_of_an_hour() {
        let table = [
            (1, 0),
            (4, 0),
            (5, 15_000),
            (6, 30_000),
            (7, 60_000),
            (10, 480_000),
            (11, 900_000),
            (12, 900_000),
            (u32::MAX, 900_000),
        ];
        for (failures, delay) in table {
            assert_eq!(delay_ms(failures), delay, "after {failures} failures");
        }
    }

    #[test]
    fn five_failures_delay_an_account_for_a_while() {
        let mut throttle = Throttle::default();
        for n in 1..5 {
            throttle.failed("alice", HOME, n);
            assert_eq!(throttle.gate("alice", HOME, n), Gate::Open);
        }
        throttle.failed("alice", HOME, 1_000);
        assert_eq!(throttle.gate("alice", HOME, 1_000), wait(15_000));
        assert_eq!(throttle.gate("alice", HOME, 15_999), wait(1));
        assert_eq!(throttle.gate("alice", HOME, 16_000), Gate::Open);
        assert_eq!(throttle.gate("bob", HOME, 1_000), Gate::Open);
        throttle.failed("alice", HOME, 16_000);
        assert_eq!(throttle.gate("alice", HOME, 16_000), wait(30_000));
    }

    #[test]
    fn a_right_password_clears_unless_it_skipped_the_delay() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            throttle.failed("alice", HOME, 0);
        }
        throttle.succeeded("alice", Gate::Wait { ms: 1 });
        assert_eq!(throttle.gate("alice", HOME, 0), wait(15_000));
        throttle.succeeded("alice", Gate::Open);
        assert_eq!(throttle.gate("alice", HOME, 0), Gate::Open);
        throttle.failed("alice", HOME, 0);
        assert_eq!(throttle.gate("alice", HOME, 0), Gate::Open, "the count began again");
    }

    #[test]
    fn failures_are_forgotten_after_a_quiet_time() {
        let mut throttle = Throttle::default();
        for _ in 0..4 {
            throttle.failed("alice", HOME, 0);
        }
        throttle.failed("alice", HOME, LONGEST_DELAY_MS);
        assert_eq!(throttle.gate("alice", HOME, LONGEST_DELAY_MS), Gate::Open);
    }

    #[test]
    fn an_address_waits_after_a_hundred_failures() {
        let mut throttle = Throttle::default();
        for n in 0..99_u64 {
            throttle.failed(&format!("user{n}"), HOME, 10 + n);
        }
        assert_eq!(throttle.gate("new", HOME, 200), Gate::Open);
        throttle.failed("user99", HOME, 200);
        assert_eq!(throttle.gate("new", HOME, 200), wait(ADDRESS_WINDOW_MS - 190));
        let elsewhere = "192.0.2.2".parse().unwrap();
        assert_eq!(throttle.gate("new", elsewhere, 200), Gate::Open);
        assert_eq!(throttle.gate("new", HOME, 10 + ADDRESS_WINDOW_MS), Gate::Open);
        throttle.failed("user", HOME, 10 + ADDRESS_WINDOW_MS);
        assert_eq!(throttle.gate("new", HOME, 10 + ADDRESS_WINDOW_MS), Gate::Open, "a new window");
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let a: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(prefix(a), prefix(b));
        assert_ne!(prefix(a), prefix(c));
        assert_eq!(prefix("::ffff:192.0.2.1".parse().unwrap()), HOME);
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_ends_no_delay() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            throttle.failed("alice", HOME, 0);
        }
        for n in 0..50_000_u32 {
            throttle.failed(&format!("invented{n}"), IpAddr::V4(n.into()), 1);
        }
        assert_eq!(throttle.len(), (ENTRIES_MAX, ENTRIES_MAX));
        assert_eq!(throttle.accounts.by_age.len(), ENTRIES_MAX);
        assert_eq!(throttle.gate("alice", HOME, 1), wait(14_999));
        throttle.failed(&"é".repeat(5_000), HOME, 1);
        assert!(throttle.accounts.entries.keys().all(|key| key.len() <= KEY_BYTES_MAX));
    }
}

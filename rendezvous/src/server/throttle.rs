//! Delays after failed logins, per account, per known device and per address, which make guessing passwords slow.
//!
//! Nothing is locked for good, and only failures count, so nobody is delayed for signing in often.
//! There is no I/O and no clock here: every call brings the time, in milliseconds of a clock that never goes back.
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
//! A device that has signed in to the account before has a count of its own, which neither sees nor changes that of its
//! account and address: other people's failures do not lock it out, but its own do, since it may be stolen. All other
//! devices, the strangers, share the count of the account and that of their address.
//!
//! A try is counted when it begins, and counts as a failure until its end is known: otherwise ten tries at the same
//! time would all fit into a moment in which one is allowed. A try that was not checked is taken back.
//!
//! An address is delayed only after 100 failures within 15 minutes, until those 15 minutes are over: a school behind
//! one router makes many typos. Names that do not exist count like those that do; otherwise the delay would tell them
//! apart. Both tables are bounded. When one is full, entries without a delay are dropped first, oldest first, so a
//! flood of invented names ends nobody's delay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lanyard_node::transport::crowd;
use lanyard_protocol::ids::PeerKey;
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

/// Whether a try may be made now; the larger answer is the stricter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// The try may be made.
    Open,
    /// The tries that are being checked may use up what is left; their ends decide in a moment.
    Crowded,
    /// The try must wait.
    Wait {
        /// The rest of the delay, in milliseconds.
        ms: u64,
    },
}

/// The end of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The password was wrong.
    Failed,
    /// The password was right. That clears the count, but never the address's: one good account must not clear an
    /// address that is guessing others.
    Right,
    /// The password was not checked.
    TakenBack,
}

/// Whose tries count together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tryer {
    name: NameKey,
    /// `None` for a known device.
    address: Option<IpAddr>,
}

/// A truncated name, and the key of a known device.
type NameKey = (String, Option<PeerKey>);

impl Tryer {
    /// A device that has signed in to this account before.
    #[must_use]
    pub fn known(name: &str, device: PeerKey) -> Self {
        Self { name: (truncated(name), Some(device)), address: None }
    }

    /// Any other device, at this address.
    #[must_use]
    pub fn stranger(name: &str, address: IpAddr) -> Self {
        Self { name: (truncated(name), None), address: Some(crowd::address(address)) }
    }
}

/// The recent failures, and the tries that are being checked.
#[derive(Debug)]
pub struct Throttle {
    names: Table<NameKey>,
    addresses: Table<IpAddr>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { names: Table::new(Limit::Name), addresses: Table::new(Limit::Address) }
    }
}

impl Throttle {
    /// Whether a try may be made now.
    #[must_use]
    pub fn gate(&self, tryer: &Tryer, now: u64) -> Gate {
        let address =
            tryer.address.map_or(Gate::Open, |address| self.addresses.gate(&address, now));
        self.names.gate(&tryer.name, now).max(address)
    }

    /// Counts a try, if it may be made now. Each one that begins must end.
    ///
    /// # Errors
    /// The gate, if it is not open.
    pub fn begin(&mut self, tryer: &Tryer, now: u64) -> Result<(), Gate> {
        match self.gate(tryer, now) {
            Gate::Open => {
                self.names.begin(tryer.name.clone(), now);
                if let Some(address) = tryer.address {
                    self.addresses.begin(address, now);
                }
                Ok(())
            }
            closed => Err(closed),
        }
    }

    /// Ends a try.
    pub fn end(&mut self, tryer: &Tryer, end: End, now: u64) {
        self.names.end(tryer.name.clone(), end, now);
        if let Some(address) = tryer.address {
            let end = if end == End::Right { End::TakenBack } else { end };
            self.addresses.end(address, end, now);
        }
    }
}

/// When failures of one kind begin to delay, and for how long.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Name,
    Address,
}

impl Limit {
    /// The number of failures that delay.
    fn failures(self) -> u32 {
        match self {
            Self::Name => FREE_FAILURES,
            Self::Address => ADDRESS_FAILURES,
        }
    }

    /// Whether the failures of an entry are so old that they no longer count.
    fn is_over(self, entry: &Entry, now: u64) -> bool {
        match self {
            Self::Name => now.saturating_sub(entry.last.max(entry.until)) >= LONGEST_DELAY_MS,
            Self::Address => now.saturating_sub(entry.since) >= ADDRESS_WINDOW_MS,
        }
    }

    /// The end of the delay after the last failure of an entry.
    fn until(self, entry: &Entry) -> u64 {
        match self {
            Self::Name => entry.last.saturating_add(delay_ms(entry.failures)),
            Self::Address if entry.failures >= ADDRESS_FAILURES => {
                entry.since.saturating_add(ADDRESS_WINDOW_MS)
            }
            Self::Address => 0,
        }
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

fn truncated(name: &str) -> String {
    let mut end = name.len().min(KEY_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default().to_owned()
}

/// What is known about a name, a device or an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    failures: u32,
    /// Tries that have begun and not ended.
    trying: u32,
    /// The first failure.
    since: u64,
    /// The last failure.
    last: u64,
    until: u64,
}

impl Entry {
    /// The order in which entries are dropped. Those with a try come last: their number is bounded by that of the
    /// login server's visitors.
    fn rank(&self) -> (bool, u64, u64) {
        (self.trying > 0, self.until, self.last)
    }
}

/// A bounded map that drops entries without a delay first.
#[derive(Debug)]
struct Table<K> {
    limit: Limit,
    entries: BTreeMap<K, Entry>,
    by_rank: BTreeSet<((bool, u64, u64), K)>,
}

impl<K: Ord + Clone> Table<K> {
    fn new(limit: Limit) -> Self {
        Self { limit, entries: BTreeMap::new(), by_rank: BTreeSet::new() }
    }

    fn gate(&self, key: &K, now: u64) -> Gate {
        let Some(entry) = self.entries.get(key) else { return Gate::Open };
        let failures = if self.limit.is_over(entry, now) { 0 } else { entry.failures };
        let would_be = failures.saturating_add(entry.trying);
        match entry.until.saturating_sub(now) {
            0 if entry.trying > 0 && would_be >= self.limit.failures() => Gate::Crowded,
            0 => Gate::Open,
            ms => Gate::Wait { ms },
        }
    }

    fn begin(&mut self, key: K, now: u64) {
        let mut entry = self.remove(&key).unwrap_or_default();
        if self.limit.is_over(&entry, now) {
            entry = Entry { trying: entry.trying, ..Entry::default() };
        }
        entry.trying = entry.trying.saturating_add(1);
        self.insert(key, entry);
    }

    fn end(&mut self, key: K, end: End, now: u64) {
        let mut entry = self.remove(&key).unwrap_or_default();
        entry.trying = entry.trying.saturating_sub(1);
        match end {
            End::Failed => {
                entry.since = if entry.failures == 0 { now } else { entry.since };
                entry.failures = entry.failures.saturating_add(1);
                entry.last = now;
                entry.until = self.limit.until(&entry);
            }
            End::Right => entry = Entry { trying: entry.trying, ..Entry::default() },
            End::TakenBack => {}
        }
        if entry.failures > 0 || entry.trying > 0 {
            self.insert(key, entry);
        }
    }

    fn insert(&mut self, key: K, entry: Entry) {
        if self.entries.len() >= ENTRIES_MAX
            && let Some((_rank, first)) = self.by_rank.pop_first()
        {
            self.entries.remove(&first);
        }
        self.by_rank.insert((entry.rank(), key.clone()));
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &K) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_rank.remove(&(entry.rank(), key.clone()));
        Some(entry)
    }
}

#[cfg(test)]
mod tests;

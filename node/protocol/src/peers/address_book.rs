//! The address book: which peers to dial, where and when (PROTOCOL.md ).
//!
//! Addresses are candidates from the login reply, from presence and from the store; admission decides. Of two peers,
//! the one with the smaller PeerId dials at once and the other a little later, so that their dials do not cross.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AccountId, PeerKey};
use crate::limits::ADDRESSES_PER_PEER_MAX;

/// How long the peer with the larger PeerId waits before it dials one that can dial it.
const LARGER_DIALS_AFTER: Duration = Duration::from_millis(300);
/// The wait before redialling after a `Busy` verdict.
const BUSY_REDIAL: Duration = Duration::from_millis(200);
/// A link that ended sooner counts as a failed dial: on an overloaded machine, redialling at once adds to the load.
const LINK_LASTS: Duration = Duration::from_secs(10);
/// The first wait between dials to one peer. It grows up to [`REDIAL_MAX`].
const REDIAL_MIN: Duration = Duration::from_millis(500);
/// The longest wait between dials to one peer: short, because a restarted peer on a LAN is back at once.
pub const REDIAL_MAX: Duration = Duration::from_secs(8);
/// How many peers of the address book are dialled at the same time.
pub(crate) const DIALS_PENDING_MAX: usize = 16;
/// How many of these may be devices of one account, so that many devices that do not answer keep nobody else waiting.
pub(crate) const DIALS_PER_ACCOUNT: usize = 4;
/// How many of them may be peers whose account is not known yet, such as those from the store, so that a neighbour whose
/// link was lost does not wait for them.
pub(crate) const DIALS_UNKNOWN_MAX: usize = 12;
/// Peers in the address book. When it is full, the account with the most of them loses the one that was not seen for
/// the longest time.
pub const ADDRESS_BOOK_MAX: usize = 4_096;
/// Devices of one account in the address book: more than anybody uses, and its share of the dials stays small.
pub(crate) const ADDRESSES_PER_ACCOUNT: usize = 64;

/// Peers and their addresses.
#[derive(Debug)]
pub struct AddressBook {
    me: PeerKey,
    entries: BTreeMap<PeerKey, Entry>,
    /// The peers that are being dialled, and since when: a part of the gate's view.
    dialling: Arc<BTreeMap<PeerKey, Duration>>,
    may_dial: MayDial,
}

/// The peers that the book may dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayDial {
    /// Every peer in the book.
    Everybody,
    /// Only these peers, and no others.
    Only(BTreeSet<PeerKey>),
}

impl MayDial {
    fn includes(&self, peer: &PeerKey) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(peers) => peers.contains(peer),
        }
    }
}

#[derive(Debug)]
struct Entry {
    addresses: Vec<String>,
    /// The account of its ticket, once the peer has shown one.
    account: Option<AccountId>,
    state: State,
    failures: u32,
    /// Not dialled before this time, whatever happens in the meantime.
    not_before: Duration,
    /// A counter at the last change, so that a full book forgets its oldest unlinked peer.
    touched: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Linked, since this time.
    Linked(Duration),
    /// Being dialled, since the time in [`AddressBook::dialling`].
    Dialling,
    /// To dial at this time on the monotonic clock.
    Due(Duration),
}

/// A dial to make now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The peer to expect.
    pub peer: PeerKey,
    /// Where to dial it, as multiaddrs without `/p2p/`.
    pub addresses: Vec<String>,
}

impl AddressBook {
    /// An empty address book for the peer `me`, which it never dials.
    #[must_use]
    pub fn new(me: PeerKey) -> Self {
        Self {
            me,
            entries: BTreeMap::new(),
            dialling: Arc::default(),
            may_dial: MayDial::Everybody,
        }
    }

    /// Adds addresses. The newest come first; a full list forgets its oldest. `jitter` is up to 100 ms.
    pub fn add(&mut self, peer: PeerKey, addresses: &[String], mono: Duration, jitter: Duration) {
        if peer == self.me || addresses.is_empty() {
            return;
        }
        let touched = self.next_touch();
        // This compares the raw keys; all that matters is that both sides see the same order.
        let head_start = if self.me < peer { Duration::ZERO } else { LARGER_DIALS_AFTER + jitter };
        let entry = self.entries.entry(peer).or_insert_with(|| Entry {
            addresses: Vec::new(),
            account: None,
            state: State::Due(mono.saturating_add(head_start)),
            failures: 0,
            not_before: Duration::ZERO,
            touched,
        });
        entry.touched = touched;
        entry.addresses.retain(|known| !addresses.contains(known));
        entry.addresses.splice(0..0, addresses.iter().cloned());
        entry.addresses.truncate(ADDRESSES_PER_PEER_MAX);
        if self.entries.len() > ADDRESS_BOOK_MAX {
            self.forget_one_of_the_largest();
        }
    }

    /// Notes the account of a peer, which its ticket has proved.
    pub fn belongs_to(&mut self, peer: PeerKey, account: AccountId) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        if entry.account.replace(account) != Some(account)
            && self.of_account(Some(account)).count() > ADDRESSES_PER_ACCOUNT
        {
            self.forget_oldest_of(Some(account));
        }
    }

    /// Returns the dials that are due, the longest due first, as many as may be pending at once.
    pub fn poll(&mut self, mono: Duration) -> Vec<Dial> {
        let mut dials = Vec::new();
        while let Some((_at, peer)) = self.next().filter(|(at, _peer)| *at <= mono) {
            let Some(entry) = self.entries.get_mut(&peer) else { break };
            entry.state = State::Dialling;
            Arc::make_mut(&mut self.dialling).insert(peer, mono);
            dials.push(Dial { peer, addresses: entry.addresses.clone() });
        }
        dials
    }

    /// When the next dial is due. `None` also while too many are pending, because each will end in an input.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.next().map(|(at, _peer)| at)
    }

    /// The peer to dial next, and when: of those that may be dialled while the present dials are pending, the one that
    /// is due first.
    fn next(&self) -> Option<(Duration, PeerKey)> {
        if self.dialling.len() >= DIALS_PENDING_MAX {
            return None;
        }
        let account_of = |peer| self.entries.get(peer).and_then(|entry| entry.account);
        let pending: Vec<Option<AccountId>> = self.dialling.keys().map(account_of).collect();
        let has_room = |account: Option<AccountId>| {
            let most = if account.is_some() { DIALS_PER_ACCOUNT } else { DIALS_UNKNOWN_MAX };
            pending.iter().filter(|other| **other == account).count() < most
        };
        let wanted = self
            .entries
            .iter()
            .filter(|(peer, entry)| self.may_dial.includes(peer) && has_room(entry.account));
        wanted.filter_map(|(peer, entry)| Some((entry.due_at()?, *peer))).min()
    }

    /// Restricts dialling to these peers from now on, whatever is due (PROTOCOL.md R-130).
    pub fn limit(&mut self, may_dial: MayDial) {
        self.may_dial = may_dial;
    }

    /// The peers with an address that are not linked.
    pub fn unlinked_peers(&self) -> impl Iterator<Item = PeerKey> {
        self.unlinked_devices().map(|(_account, peer)| peer)
    }

    /// The same with the accounts of those that have shown a ticket.
    pub(crate) fn unlinked_devices(&self) -> impl Iterator<Item = (Option<AccountId>, PeerKey)> {
        let unlinked = self.entries.iter().filter(|(_peer, entry)| !entry.is_linked());
        unlinked.map(|(peer, entry)| (entry.account, *peer))
    }

    /// Notes that the last link to a peer closed because both ends agreed. That is no failure, so the peer may be
    /// dialled again when it is wanted.
    pub fn parted(&mut self, peer: PeerKey, mono: Duration, jitter: Duration) {
        self.dial_is_over(peer);
        let head_start = if self.me < peer { Duration::ZERO } else { LARGER_DIALS_AFTER };
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.failures = 0;
            entry.dial_at(mono.saturating_add(head_start + jitter));
        }
    }

    /// Notes that the peer is linked, so it is not dialled.
    pub fn linked(&mut self, peer: PeerKey, mono: Duration) {
        self.dial_is_over(peer);
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.state = State::Linked(mono);
            entry.not_before = Duration::ZERO;
        }
    }

    /// Notes that the peer's last link is gone. It is dialled soon, unless its links do not last.
    pub fn unlinked(&mut self, peer: PeerKey, mono: Duration, jitter: Duration) {
        self.dial_is_over(peer);
        let head_start = if self.me < peer { Duration::ZERO } else { LARGER_DIALS_AFTER };
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        let lasted = match entry.state {
            State::Linked(since) => mono.saturating_sub(since) >= LINK_LASTS,
            State::Dialling | State::Due(_) => true,
        };
        entry.failures = if lasted { 0 } else { entry.failures.saturating_add(1) };
        let wait = if lasted { BUSY_REDIAL } else { entry.back_off() };
        entry.dial_at(mono.saturating_add(wait + head_start + jitter));
    }

    /// How many dials and links to the peer have failed in a row.
    #[must_use]
    pub fn failures(&self, peer: PeerKey) -> u32 {
        self.entries.get(&peer).map_or(0, |entry| entry.failures)
    }

    /// The peers that are being dialled, and since when.
    #[must_use]
    pub fn dialling(&self) -> &Arc<BTreeMap<PeerKey, Duration>> {
        &self.dialling
    }

    /// Notes that a dial did not end in a link, and backs off.
    pub fn failed(&mut self, peer: PeerKey, mono: Duration, jitter: Duration) {
        if let Some(entry) = self.unlinked_mut(peer) {
            let wait = entry.back_off();
            entry.failures = entry.failures.saturating_add(1);
            entry.dial_at(mono.saturating_add(wait + jitter));
        }
    }

    /// Notes that the peer is still closing an older link of ours. The next dials come at once, but not at that pace
    /// for ever.
    pub fn busy(&mut self, peer: PeerKey, mono: Duration, jitter: Duration) {
        let Some(entry) = self.unlinked_mut(peer) else { return };
        if entry.failures >= 5 {
            self.failed(peer, mono, jitter);
            return;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.dial_at(mono.saturating_add(BUSY_REDIAL + jitter));
    }

    /// Keeps from dialling the peer before this time, even if its link closes, because one of us has refused the other. A link that both accept ends this.
    pub fn postpone(&mut self, peer: PeerKey, until: Duration) {
        self.dial_is_over(peer);
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.not_before = until;
            if !entry.is_linked() {
                entry.dial_at(until);
            }
        }
    }

    /// Forgets earlier failures, because the network has changed.
    pub fn forget_failures(&mut self, mono: Duration) {
        for entry in self.entries.values_mut() {
            entry.failures = 0;
            if entry.due_at().is_some() {
                entry.dial_at(mono);
            }
        }
    }

    /// The number of peers with an address.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn dial_is_over(&mut self, peer: PeerKey) {
        if self.dialling.contains_key(&peer) {
            Arc::make_mut(&mut self.dialling).remove(&peer);
        }
    }

    /// A peer that is no longer being dialled, unless it is linked already.
    fn unlinked_mut(&mut self, peer: PeerKey) -> Option<&mut Entry> {
        self.dial_is_over(peer);
        self.entries.get_mut(&peer).filter(|entry| !entry.is_linked())
    }

    fn next_touch(&self) -> u64 {
        self.entries.values().map(|entry| entry.touched).max().unwrap_or(0).saturating_add(1)
    }

    fn of_account(&self, account: Option<AccountId>) -> impl Iterator<Item = (&PeerKey, &Entry)> {
        self.entries.iter().filter(move |(_peer, entry)| entry.account == account)
    }

    fn forget_one_of_the_largest(&mut self) {
        let mut sizes: BTreeMap<Option<AccountId>, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            let size = sizes.entry(entry.account).or_default();
            *size = size.saturating_add(1);
        }
        if let Some((account, _size)) = sizes.into_iter().max_by_key(|(_account, size)| *size) {
            self.forget_oldest_of(account);
        }
    }

    fn forget_oldest_of(&mut self, account: Option<AccountId>) {
        let unlinked = self.of_account(account).filter(|(_peer, entry)| entry.due_at().is_some());
        let oldest =
            unlinked.min_by_key(|(_peer, entry)| entry.touched).map(|(peer, _entry)| *peer);
        if let Some(peer) = oldest {
            self.entries.remove(&peer);
        }
    }
}

impl Entry {
    fn dial_at(&mut self, at: Duration) {
        self.state = State::Due(at.max(self.not_before));
    }

    fn due_at(&self) -> Option<Duration> {
        match self.state {
            State::Due(at) => Some(at),
            State::Linked(_) | State::Dialling => None,
        }
    }

    fn is_linked(&self) -> bool {
        matches!(self.state, State::Linked(_))
    }

    fn back_off(&self) -> Duration {
        REDIAL_MIN.saturating_mul(2u32.saturating_pow(self.failures.min(8))).min(REDIAL_MAX)
    }
}

#[cfg(test)]
mod tests;

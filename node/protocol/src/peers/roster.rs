//! Which devices are online. A device is in the roster because it is linked, or because a fresh presence says so.
//!
//! A neighbour is online as long as its link is up. When the link is gone and no newer presence arrives by another way
//! within 15 s, the device is lost. A peer that is not linked, or with which we agreed to drop the link, is online for
//! the lease of its newest presence (PROTOCOL.md ).

mod shares;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AccountId, PeerKey, Role};
use crate::limits::AHEAD_MS_MAX;
use crate::presence::{BYE, HERE, SignedPresence};
use crate::ticket::Ticket;
use crate::time::Now;
use shares::Shares;

/// A neighbour whose link ended counts as lost after this time without newer presence.
pub const LOST_AFTER: Duration = Duration::from_secs(15);
/// The shortest time between two refreshes of presence.
pub(crate) const PRESENCE_REFRESH_MIN: Duration = Duration::from_mins(1);
/// Added to the time between refreshes for each peer in the roster, so that presence stays cheap in a large realm.
const PRESENCE_REFRESH_PER_PEER: Duration = Duration::from_secs(1);
/// How many refreshes a presence remains valid for.
const PRESENCE_LEASE_REFRESHES: u32 = 3;
/// How many devices the roster holds. When it is full, a new one takes the place of one that is offline, of the account
/// with the most.
pub(crate) const ROSTER_MAX: usize = 10_000;
/// How many of them may belong to one account: more than the login node admits at a time, and what is left over of
/// earlier ones makes room.
pub(crate) const ROSTER_PER_ACCOUNT: usize = 64;

/// The devices known in this run, online or not.
#[derive(Debug, Default)]
pub struct Roster {
    devices: BTreeMap<PeerKey, Device>,
    shares: Shares,
    /// Grows with every observation.
    turn: u64,
}

/// A known device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its newest ticket.
    pub ticket: Arc<Ticket>,
    /// Whether it is online.
    pub online: bool,
    /// Since when it has been online, realm time in unix milliseconds.
    pub since_ms: u64,
    /// The addresses that it announced.
    pub listen: Vec<String>,
    /// Its own status: `here`, `away`, or a word of a later version.
    pub status: String,
    boot: u64,
    /// [`Roster::turn`] at the last observation.
    seen: u64,
    /// The number of its newest presence in this boot; `None` before the first.
    n: Option<u64>,
    /// The boot that has said goodbye and sends nothing more.
    left: Option<u64>,
    linked: bool,
    /// Whether we have lost its link and no other peer has seen it since.
    doubtful: bool,
    /// When it counts as gone unless something newer comes, on the monotonic clock.
    gone_at: Option<Duration>,
    /// The realm time at which we lost its link. Older presence proves nothing.
    lost_link_at_ms: u64,
}

/// A device came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key of the device.
    pub peer: PeerKey,
    /// Its newest ticket, which has its names.
    pub ticket: Arc<Ticket>,
    /// Why it came or went.
    pub reason: Reason,
}

/// Why a device came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It started after us, or came back.
    Joined,
    /// It was there before us.
    Here,
    /// It said goodbye.
    Left,
    /// No peer sees it any more.
    Lost,
}

/// The effect of a presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It is older than its lease, ahead of time, or not newer than what is known: ignore it.
    Stale,
    /// It was taken in, with the change it made, if any.
    Taken(Option<Change>),
}

impl Roster {
    /// Notes that a device is linked: it is online, whatever its presence says.
    pub fn link_up(
        &mut self,
        peer: PeerKey,
        ticket: &Arc<Ticket>,
        boot: u64,
        at: Observation,
    ) -> Option<Change> {
        let reason = arrival(self.devices.get(&peer), boot, at.my_boot);
        let device = self.device_mut(peer, ticket, boot)?;
        device.linked = true;
        device.doubtful = false;
        device.gone_at = None;
        // A program that is ending still answers for a moment, and its goodbye may arrive through other peers before
        // the link is up.
        if device.left == Some(device.boot) {
            return None;
        }
        device.arrive(peer, reason, at.realm_ms)
    }

    /// Notes that the last link of a device is gone. Other peers may still see it.
    pub fn link_down(&mut self, peer: PeerKey, at: Observation) {
        if let Some(device) = self.devices.get_mut(&peer) {
            device.linked = false;
            device.doubtful = true;
            device.lost_link_at_ms = at.realm_ms;
            if device.online {
                device.gone_at = Some(at.now.mono.saturating_add(LOST_AFTER));
            }
        }
    }

    /// Notes that the last link of a device was dropped by agreement, which proves that it was online just now. From
    /// here on its presence decides how long it stays online (PROTOCOL.md R-129).
    pub fn part(&mut self, peer: PeerKey, at: Observation) {
        let gone_at = at.now.mono.saturating_add(self.lease());
        if let Some(device) = self.devices.get_mut(&peer) {
            device.linked = false;
            if device.online {
                device.gone_at = Some(gone_at);
            }
        }
    }

    /// Whether a presence is current, and newer than what is known (PROTOCOL.md R-74).
    #[must_use]
    pub fn is_news(&self, signed: &SignedPresence, at: Observation) -> bool {
        let presence = &signed.presence;
        let lease_ms = u64::try_from(self.lease().as_millis()).unwrap_or(u64::MAX);
        let known = self.devices.get(&signed.ticket.claims().peer);
        let newer = known.is_none_or(|device| device.is_older_than(presence.boot, presence.n));
        let fresh = presence.at.saturating_add(lease_ms) > at.realm_ms
            && presence.at <= at.realm_ms.saturating_add(AHEAD_MS_MAX);
        newer && fresh
    }

    /// Takes in a presence whose signature and ticket were verified.
    pub fn observe(&mut self, signed: &SignedPresence, at: Observation) -> Observed {
        if !self.is_news(signed, at) {
            return Observed::Stale;
        }
        let presence = &signed.presence;
        let peer = signed.ticket.claims().peer;
        let reason = arrival(self.devices.get(&peer), presence.boot, at.my_boot);
        let gone_at = at.now.mono.saturating_add(self.lease());
        let Some(device) = self.device_mut(peer, &signed.ticket, presence.boot) else {
            return Observed::Stale;
        };
        device.n = Some(presence.n);
        device.listen.clone_from(&presence.listen);
        device.status.clone_from(&presence.status);
        if presence.status == BYE {
            device.left = Some(presence.boot);
            return Observed::Taken(device.leave(peer, Reason::Left));
        }
        if device.linked {
            return Observed::Taken(None);
        }
        // A presence signed before we lost the link cannot prove that the peer is still online.
        if presence.at <= device.lost_link_at_ms {
            return Observed::Taken(None);
        }
        device.doubtful = false;
        device.gone_at = Some(gone_at);
        Observed::Taken(device.arrive(peer, reason, at.realm_ms))
    }

    /// Removes the devices whose time is over.
    pub fn expire(&mut self, now: Now) -> Vec<Change> {
        let over =
            |device: &Device| device.online && device.gone_at.is_some_and(|at| at <= now.mono);
        let gone = self.devices.iter_mut().filter(|(_peer, device)| over(device));
        gone.filter_map(|(peer, device)| device.leave(*peer, Reason::Lost)).collect()
    }

    /// When the next device may be gone.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.online().filter_map(|(_peer, device)| device.gone_at).min()
    }

    /// The devices that are online, by key.
    pub fn online(&self) -> impl Iterator<Item = (&PeerKey, &Device)> {
        self.devices.iter().filter(|(_peer, device)| device.online)
    }

    /// The status that a device announced.
    #[must_use]
    pub fn status_of(&self, peer: PeerKey) -> Option<&str> {
        self.devices.get(&peer).map(|device| device.status.as_str())
    }

    /// The addresses that a device announced.
    #[must_use]
    pub fn listens_at(&self, peer: PeerKey) -> Option<&Vec<String>> {
        self.devices.get(&peer).map(|device| &device.listen)
    }

    /// How many devices of people are online, counting at most this many of each account.
    #[must_use]
    pub fn people_up_to(&self, per_account: usize) -> usize {
        let mut counts: BTreeMap<AccountId, usize> = BTreeMap::new();
        for (_peer, device) in self.people() {
            let count = counts.entry(device.account()).or_default();
            *count = count.saturating_add(1).min(per_account);
        }
        counts.into_values().sum()
    }

    /// The account of a device's newest ticket.
    #[must_use]
    pub fn account_of(&self, peer: PeerKey) -> Option<AccountId> {
        self.devices.get(&peer).map(Device::account)
    }

    /// The devices of people that are online: all but the authority peer.
    pub fn people(&self) -> impl Iterator<Item = (&PeerKey, &Device)> {
        self.online().filter(|(_peer, device)| device.ticket.claims().role != Role::Authority)
    }

    /// The devices that a message is for: those of people, except those whose link is lost and which no other peer has
    /// seen since.
    pub fn audience(&self) -> impl Iterator<Item = &PeerKey> {
        self.people().filter(|(_peer, device)| !device.doubtful).map(|(peer, _device)| peer)
    }

    /// The devices whose link is lost and which no other peer has seen since. They count as gone soon, unless a peer
    /// reaches them.
    pub fn missed(&self) -> impl Iterator<Item = PeerKey> {
        self.online().filter(|(_peer, device)| device.doubtful).map(|(peer, _device)| *peer)
    }

    /// The authority peers, online or not.
    pub fn authorities(&self) -> impl Iterator<Item = PeerKey> {
        let own = |device: &Device| device.ticket.claims().role == Role::Authority;
        self.devices.iter().filter(move |(_peer, device)| own(device)).map(|(peer, _device)| *peer)
    }

    /// Whether a device is online.
    #[must_use]
    pub fn is_online(&self, peer: PeerKey) -> bool {
        self.devices.get(&peer).is_some_and(|device| device.online)
    }

    /// How often presence is refreshed: less often in a large realm.
    #[must_use]
    pub fn refresh_interval(&self) -> Duration {
        let peers = u32::try_from(self.online().count()).unwrap_or(u32::MAX);
        PRESENCE_REFRESH_MIN.max(PRESENCE_REFRESH_PER_PEER.saturating_mul(peers))
    }

    /// How long a presence is valid.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.refresh_interval().saturating_mul(PRESENCE_LEASE_REFRESHES)
    }

    /// The device's entry with this ticket and boot, which is added if there is room.
    fn device_mut(
        &mut self,
        peer: PeerKey,
        ticket: &Arc<Ticket>,
        boot: u64,
    ) -> Option<&mut Device> {
        if !self.devices.contains_key(&peer) {
            if !self.has_room_for(ticket.claims().account) {
                return None;
            }
            self.devices.insert(peer, Device::new(Arc::clone(ticket), boot));
        }
        self.turn = self.turn.saturating_add(1);
        let device = self.devices.get_mut(&peer)?;
        self.shares.remove(device.account(), peer);
        device.renew(ticket, boot);
        device.seen = self.turn;
        self.shares.add(device.account(), peer);
        Some(device)
    }

    /// Whether there is room for a new device of an account, perhaps in place of one that is offline.
    fn has_room_for(&mut self, account: AccountId) -> bool {
        if self.shares.of(account).count() >= ROSTER_PER_ACCOUNT {
            return self.forget_oldest_of(account);
        }
        if self.devices.len() < ROSTER_MAX {
            return true;
        }
        let accounts = self.shares.largest_first();
        accounts.into_iter().any(|account| self.forget_oldest_of(account))
    }

    /// Forgets the device of an account that has been offline for the longest time. Returns whether there was one.
    fn forget_oldest_of(&mut self, account: AccountId) -> bool {
        let devices = self.shares.of(account);
        let offline = devices.filter_map(|peer| {
            let device = self.devices.get(peer)?;
            (!device.online && !device.linked).then_some((device.seen, *peer))
        });
        let Some((_seen, peer)) = offline.min() else { return false };
        self.devices.remove(&peer);
        self.shares.remove(account, peer);
        true
    }
}

/// The clocks and our boot at the time of an observation.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// The clocks at that time.
    pub now: Now,
    /// Realm time, unix milliseconds.
    pub realm_ms: u64,
    /// Our own boot, which shows which device was online first.
    pub my_boot: u64,
}

/// Why a device appeared: it was here if we first see it now and it started before us; otherwise it joined.
fn arrival(known: Option<&Device>, boot: u64, my_boot: u64) -> Reason {
    if known.is_none() && boot < my_boot { Reason::Here } else { Reason::Joined }
}

impl Device {
    fn new(ticket: Arc<Ticket>, boot: u64) -> Self {
        Self {
            ticket,
            online: false,
            since_ms: 0,
            listen: Vec::new(),
            status: HERE.to_owned(),
            boot,
            seen: 0,
            n: None,
            left: None,
            linked: false,
            doubtful: false,
            gone_at: None,
            lost_link_at_ms: 0,
        }
    }

    /// The account of its newest ticket.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.ticket.claims().account
    }

    /// The newest program start seen.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.boot
    }

    fn is_older_than(&self, boot: u64, n: u64) -> bool {
        boot > self.boot || (boot == self.boot && self.n.is_none_or(|known| n > known))
    }

    fn renew(&mut self, ticket: &Arc<Ticket>, boot: u64) {
        if ticket.claims().issued_at_s >= self.ticket.claims().issued_at_s {
            self.ticket = Arc::clone(ticket);
        }
        if boot > self.boot {
            self.boot = boot;
            self.n = None;
        }
    }

    fn arrive(&mut self, peer: PeerKey, reason: Reason, realm_ms: u64) -> Option<Change> {
        if self.online {
            return None;
        }
        self.online = true;
        self.since_ms = realm_ms;
        Some(Change { peer, ticket: Arc::clone(&self.ticket), reason })
    }

    fn leave(&mut self, peer: PeerKey, reason: Reason) -> Option<Change> {
        self.gone_at = None;
        if !self.online {
            return None;
        }
        self.online = false;
        Some(Change { peer, ticket: Arc::clone(&self.ticket), reason })
    }
}

#[cfg(test)]
mod tests;

//! Many peers: how many links to keep, with which peers, and how to drop one too many (PROTOCOL.md R-127 to R-130).
//!
//! ```text
//!              roster > 64: dials until 64 links              roster < 48 for 60 s
//!   full ────────────────────▶ crowded ──── 60 s ────▶ thin ────────────────────────▶ full: dials everybody
//!                                                       │ ▲
//!                      over 18 links: asks to part, by lot ▼ │ below 8: dials, by lot; both until 12
//! ```
//!
//! Nobody plans the mesh. Each peer keeps its neighbours in the ring of all keys, which alone would connect everybody.
//! It asks its other neighbours in random order whether it may drop their links, and keeps those that remain. The other
//! end refuses if it would have too few links, if the two are neighbours in the ring, or if it is not thin itself. So
//! no peer loses a link that it needs, and both ends know why a link closes: it is not lost, and neither dials it
//! again.
//!
//! Takes in changes of the roster, neighbours' questions, and their answers to ours. Returns the peers that the address
//! book may dial, [`MayDial`], and which link may close; asks neighbours whether they agree to drop a link.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::address_book::{AddressBook, MayDial};
use crate::admission::{LINKS_PER_ACCOUNT, LINKS_PER_ACCOUNT_THIN};
use crate::effects::{Asking, Effects};
use crate::identity::Identity;
use crate::ids::{AccountId, PeerKey};
use crate::links::Links;
use crate::reconcile::{SyncReply, SyncRequest};
use crate::roster::Roster;
use crate::time::Now;

/// Up to this many people in the roster, everybody links to everybody: a few thousand links, which a LAN can carry.
pub const LINKS_FULL_MAX: usize = 64;
/// With fewer people than this, a thinned mesh becomes full again. It is well below [`LINKS_FULL_MAX`], so that a few
/// people who come and go do not make everybody close links and dial.
pub const LINKS_REFILL: usize = 48;
/// How many links a peer in a thinned mesh aims for. Gossip needs four to eight, and a third may fail at once.
pub(crate) const LINKS_THIN: usize = 12;
/// A thinned peer with fewer links dials more, up to [`LINKS_THIN`]. Gossip works with four.
pub const LINKS_THIN_MIN: usize = 8;
/// A thinned peer with more links gives some up, down to [`LINKS_THIN`].
pub const LINKS_THIN_MAX: usize = 18;
/// Nearest peers on each side of the ring of keys that a thinned peer always links to. The ring survives losing one.
pub(crate) const RING_EACH_SIDE: usize = 2;
/// How long the roster has to be over [`LINKS_FULL_MAX`], or under [`LINKS_REFILL`], before links change, because a
/// network switch that restarts does not make the realm smaller.
pub const CROWD_LASTS: Duration = Duration::from_mins(1);
/// How often a peer in a large realm reviews its links.
pub const THIN_EVERY: Duration = Duration::from_secs(1);
/// Links that a peer gives up in one [`THIN_EVERY`], at its own request or the other end's, so that the mesh changes
/// gradually: thinning takes less than a minute.
pub const PARTINGS_MAX: usize = 4;
/// How long to wait before asking a peer again that did not agree to part.
pub(crate) const PART_RETRY: Duration = Duration::from_mins(1);
/// How long a consent to part is valid. A peer that asked has to close the link within this time.
pub(crate) const PART_WITHIN: Duration = Duration::from_secs(10);
/// How often a peer in a large realm tries one that it does not see, so that the mesh heals after a partition.
pub(crate) const STRANGER_EVERY: Duration = Duration::from_secs(5);

const _: () = assert!(2 * RING_EACH_SIDE < LINKS_THIN_MIN && LINKS_THIN_MIN < LINKS_THIN);
const _: () = assert!(LINKS_THIN < LINKS_THIN_MAX);
const _: () = assert!(LINKS_THIN_MAX < LINKS_REFILL && LINKS_REFILL < LINKS_FULL_MAX);

/// How many links each account has.
#[derive(Debug, Default)]
struct Shares(BTreeMap<AccountId, usize>);

impl Shares {
    fn of(accounts: impl Iterator<Item = AccountId>) -> Self {
        let mut shares = Self::default();
        for account in accounts {
            shares.add(account);
        }
        shares
    }

    /// Adds a link, and returns how many the account has now.
    fn add(&mut self, account: AccountId) -> usize {
        let count = self.0.entry(account).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn count(&self, account: AccountId) -> usize {
        self.0.get(&account).copied().unwrap_or(0)
    }
}

/// The state that the number of links depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) me: &'a Identity,
    pub(crate) links: &'a Links,
    pub(crate) roster: &'a Roster,
    pub(crate) dials: &'a AddressBook,
}

/// How a peer manages its links when there are many peers.
#[derive(Debug, Default)]
pub(crate) struct Degree {
    /// Whether a device has come or gone since the roster was counted.
    stale: bool,
    thin: bool,
    crowded: bool,
    /// Since when the size of the roster has called for the other state.
    turning_since: Option<Duration>,
    /// When to review the links next, or `None` with few peers.
    next_look: Option<Duration>,
    /// Our neighbours in the ring, linked or not.
    ring: BTreeSet<PeerKey>,
    /// Whether there were too many links and there are still more than we aim for.
    parting: bool,
    /// How many more links may close before the next review.
    partings_left: usize,
    /// Peers that we have asked to drop the link, and that have not answered yet. The link closes whatever they answer
    /// if their account has more than its share.
    asked: BTreeMap<PeerKey, bool>,
    /// Peers that agreed to drop the link, valid until a time on the monotonic clock.
    agreed: BTreeMap<PeerKey, Duration>,
    /// Peers that refused to drop the link, and are not asked again before this time.
    refused: BTreeMap<PeerKey, Duration>,
    /// Peers drawn at random to be dialled.
    drawn: BTreeSet<PeerKey>,
    /// A peer that is not online as far as we know, drawn at random to be tried.
    stranger: Option<PeerKey>,
    next_stranger: Duration,
}

impl Degree {
    /// Whether we keep only a few links, because there have been many peers for a while.
    pub(crate) fn is_thin(&self) -> bool {
        self.thin
    }

    /// Our neighbours in the ring, if we keep only a few links.
    pub(crate) fn thin_ring(&self) -> Option<&BTreeSet<PeerKey>> {
        self.thin.then_some(&self.ring)
    }

    pub(crate) fn roster_changed(&mut self) {
        self.stale = true;
    }

    /// When to review the links next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.next_look
    }

    /// Counts the roster, if it has changed.
    pub(crate) fn count(&mut self, me: &Identity, roster: &Roster, now: Now) -> Option<MayDial> {
        // All peers keep a link to the authority peer, so it always has many.
        if !std::mem::take(&mut self.stale) || me.is_authority() || me.has_ended() {
            return None;
        }
        let people = size(roster);
        self.crowded = people > LINKS_FULL_MAX;
        let turns = if self.thin { people < LINKS_REFILL } else { self.crowded };
        self.turning_since = turns.then(|| self.turning_since.unwrap_or(now.mono));
        if self.thin || self.crowded {
            self.next_look.get_or_insert(now.mono);
        } else if self.next_look.is_some() {
            self.reset(false);
            return Some(MayDial::Everybody);
        }
        None
    }

    /// Reviews the links, if that is due: drops some, and chooses which peers to dial.
    pub(crate) fn due(
        &mut self,
        around: Around<'_>,
        now: Now,
        fx: &mut Effects,
    ) -> Option<MayDial> {
        self.next_look.take_if(|at| *at <= now.mono)?;
        if around.me.has_ended() {
            return None;
        }
        let since = self.turning_since;
        if since.is_some_and(|since| now.mono.saturating_sub(since) >= CROWD_LASTS) {
            self.reset(!self.thin);
            fx.changed();
            if !self.thin {
                return Some(MayDial::Everybody);
            }
        }
        self.ring = around.ring();
        self.next_look = Some(now.mono.saturating_add(THIN_EVERY + fx.jitter()));
        self.partings_left = PARTINGS_MAX;
        self.agreed.retain(|_peer, until| now.mono < *until);
        self.refused.retain(|_peer, until| now.mono < *until);
        if self.thin {
            self.ask_to_part(around.links, fx);
        }
        Some(self.choose_dials(around, now, fx))
    }

    /// Resets the state. With few peers, only the links that are about to close are remembered.
    fn reset(&mut self, thin: bool) {
        let (agreed, crowded) = (std::mem::take(&mut self.agreed), self.crowded);
        *self = Self { agreed, thin, crowded, ..Self::default() };
    }

    /// The peers of links that are not about to close.
    fn lasting(&self, links: &Links) -> Vec<PeerKey> {
        let leaves =
            |peer: &PeerKey| self.asked.contains_key(peer) || self.agreed.contains_key(peer);
        links.neighbours().filter(|peer| !leaves(peer)).collect()
    }

    /// Asks some neighbours whether we may drop the link: of the account with the most links first, at random among
    /// equals. They may ask us as well, so we use only half of the partings.
    fn ask_to_part(&mut self, links: &Links, fx: &mut Effects) {
        let mut lasting = self.lasting(links);
        self.parting =
            lasting.len() > LINKS_THIN && (self.parting || lasting.len() > LINKS_THIN_MAX);
        for _link in 0..PARTINGS_MAX / 2 {
            let (mut greediest, most) = self.greediest(&lasting, links);
            let is_over = most > LINKS_PER_ACCOUNT_THIN;
            if !is_over && (!self.parting || lasting.len() <= LINKS_THIN) {
                return;
            }
            let Some(peer) = fx.draw_from(&mut greediest) else { return };
            self.partings_left = self.partings_left.saturating_sub(1);
            self.asked.insert(peer, is_over);
            fx.ask(peer, &SyncRequest::Part(lasting.len() as u64), Asking::Part);
            lasting.retain(|other| *other != peer);
        }
    }

    /// The neighbours that may be asked, of accounts with as many links as any, and how many that is.
    fn greediest(&self, lasting: &[PeerKey], links: &Links) -> (Vec<PeerKey>, usize) {
        let shares = Shares::of(lasting.iter().filter_map(|peer| links.account_of(*peer)));
        let may_ask =
            |peer: &&PeerKey| !self.ring.contains(*peer) && !self.refused.contains_key(*peer);
        let candidates = lasting.iter().filter(may_ask);
        let candidates: Vec<(usize, PeerKey)> = candidates
            .filter_map(|peer| Some((shares.count(links.account_of(*peer)?), *peer)))
            .collect();
        let most = candidates.iter().map(|(count, _peer)| *count).max().unwrap_or(0);
        let greediest = candidates.into_iter().filter(|(count, _peer)| *count == most);
        (greediest.map(|(_count, peer)| peer).collect(), most)
    }

    /// Answers a neighbour that wants to drop its link to us. One with far too many links may do so even if we have
    /// few: otherwise the last peers to thin out would find no neighbour with a link to spare.
    pub(crate) fn asked_to_part(
        &mut self,
        peer: PeerKey,
        its_links: u64,
        links: &Links,
        now: Now,
    ) -> SyncReply {
        let needed = if its_links > LINKS_THIN_MAX as u64 { LINKS_THIN_MIN } else { LINKS_THIN };
        let may = self.thin
            && self.partings_left > 0
            && !self.ring.contains(&peer)
            && self.lasting(links).into_iter().filter(|other| *other != peer).count() >= needed;
        if !may {
            return SyncReply::Later;
        }
        self.partings_left = self.partings_left.saturating_sub(1);
        self.agreed.insert(peer, now.mono.saturating_add(PART_WITHIN));
        SyncReply::Ok(Vec::new())
    }

    /// Handles a neighbour's answer to our question. Returns whether to close its link.
    pub(crate) fn part_answered(&mut self, peer: PeerKey, agreed: bool, now: Now) -> bool {
        // The realm may have shrunk in the meantime, or the link may be gone.
        let Some(is_over) = self.asked.remove(&peer).filter(|_over| !self.ring.contains(&peer))
        else {
            return false;
        };
        let parts = agreed || is_over;
        if parts {
            self.agreed.insert(peer, now.mono.saturating_add(PART_WITHIN));
        } else {
            self.refused.insert(peer, now.mono.saturating_add(PART_RETRY));
        }
        parts
    }

    /// Handles the loss of the last link to a peer. Returns whether both had agreed to it.
    pub(crate) fn lost(&mut self, peer: PeerKey, now: Now) -> bool {
        self.asked.remove(&peer);
        self.agreed.remove(&peer).is_some_and(|until| now.mono < until)
    }

    /// Which peers the address book may dial until the next review: the ring, those whose link was lost, the authority
    /// peer, as many others as links are missing, and now and then a stranger.
    fn choose_dials(&mut self, around: Around<'_>, now: Now, fx: &mut Effects) -> MayDial {
        let linked = self.lasting(around.links);
        if linked.is_empty() {
            // A peer without any link takes what it can get.
            return MayDial::Everybody;
        }
        self.draw_dials(&linked, around, fx);
        let Around { roster, dials, .. } = around;
        if self.next_stranger <= now.mono {
            self.next_stranger = now.mono.saturating_add(STRANGER_EVERY);
            let strangers =
                dials.unlinked_devices().filter(|(_account, peer)| !roster.is_online(*peer));
            self.stranger = draw_stranger(&strangers.collect::<Vec<_>>(), fx);
        }
        let mut only = self.ring.clone();
        only.extend(&self.drawn);
        only.extend(self.stranger);
        only.extend(roster.missed());
        only.extend(roster.authorities());
        MayDial::Only(only)
    }

    /// Draws peers to dial, if links are missing: first among those with whom no dial has failed, and none of an account
    /// that has its share.
    fn draw_dials(&mut self, linked: &[PeerKey], around: Around<'_>, fx: &mut Effects) {
        // With fewer links than `least`, dial others until there are `aim`.
        let (least, aim, per_account) = if self.thin {
            (LINKS_THIN_MIN, LINKS_THIN, LINKS_PER_ACCOUNT_THIN)
        } else {
            (LINKS_FULL_MAX, LINKS_FULL_MAX, LINKS_PER_ACCOUNT)
        };
        if linked.len() >= least && self.drawn.is_empty() {
            return;
        }
        let there: BTreeSet<PeerKey> = around.roster.audience().copied().collect();
        let unlinked = around.dials.unlinked_peers().filter(|peer| there.contains(peer));
        let (ring, others): (BTreeSet<_>, BTreeSet<_>) =
            unlinked.partition(|peer| self.ring.contains(peer));
        let (good, failed): (BTreeSet<_>, BTreeSet<_>) =
            others.into_iter().partition(|peer| around.dials.failures(*peer) == 0);
        self.drawn.retain(|peer| good.contains(peer));
        let account_of = |peer: &PeerKey| around.roster.account_of(*peer);
        let expected: Vec<_> = linked.iter().chain(&ring).chain(&self.drawn).collect();
        let mut shares = Shares::of(expected.iter().filter_map(|peer| account_of(peer)));
        let mut missing = aim.saturating_sub(expected.len());
        let mut good: Vec<_> = good.difference(&self.drawn).copied().collect();
        let mut failed: Vec<_> = failed.into_iter().collect();
        while missing > 0 {
            let peer = fx.draw_from(&mut good).or_else(|| fx.draw_from(&mut failed));
            let Some(peer) = peer else { return };
            if account_of(&peer).is_some_and(|account| shares.add(account) <= per_account) {
                self.drawn.insert(peer);
                missing -= 1;
            }
        }
    }
}

/// The size of a realm, as the number of links depends on it: one account counts as two people, or if its devices would
/// take more links than the others have, by these.
fn size(roster: &Roster) -> usize {
    let devices = roster.people_up_to(LINKS_PER_ACCOUNT);
    roster.people_up_to(LINKS_PER_ACCOUNT_THIN).max(devices / LINKS_PER_ACCOUNT_THIN)
}

/// Draws one of these peers: first the account, because one may have many devices that are gone.
fn draw_stranger(strangers: &[(Option<AccountId>, PeerKey)], fx: &mut Effects) -> Option<PeerKey> {
    let one_of_each: BTreeMap<_, _> = strangers.iter().copied().collect();
    let drawn = fx.draw_from(&mut one_of_each.values().copied().collect())?;
    let (account, _peer) = strangers.iter().find(|(_account, peer)| *peer == drawn)?;
    let of_account = strangers.iter().filter(|(of, _peer)| of == account);
    fx.draw_from(&mut of_account.map(|(_account, peer)| *peer).collect())
}

impl Around<'_> {
    /// The nearest peers on both sides in the ring of all keys. Unreachable peers do not count, so that the ring closes
    /// a gap before the roster notices it.
    /// Each account counts once on each side: otherwise one with many devices could surround us, and close the ring
    /// to everybody else.
    fn ring(self) -> BTreeSet<PeerKey> {
        let me = self.me.peer();
        let people: Vec<PeerKey> =
            self.roster.audience().copied().filter(|peer| *peer != me).collect();
        let (before, after) = people.split_at(people.partition_point(|peer| *peer < me));
        let mut ring = BTreeSet::new();
        self.walk(after.iter().chain(before), &mut ring);
        self.walk(before.iter().rev().chain(after.iter().rev()), &mut ring);
        ring
    }

    fn walk<'a>(self, way: impl Iterator<Item = &'a PeerKey>, ring: &mut BTreeSet<PeerKey>) {
        let (mut reached, mut tried) = (BTreeSet::new(), Shares::default());
        for peer in way {
            if reached.len() == RING_EACH_SIDE {
                return;
            }
            let Some(account) = self.roster.account_of(*peer) else { continue };
            // Nor do many devices that cannot be reached make a ring of their own.
            if reached.contains(&account) || tried.add(account) > RING_EACH_SIDE {
                continue;
            }
            ring.insert(*peer);
            if self.links.is_linked(*peer) || self.dials.failures(*peer) == 0 {
                reached.insert(account);
            }
        }
    }
}

#[cfg(test)]
mod tests;

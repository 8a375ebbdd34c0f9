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
use crate::effects::{Asking, Effects};
use crate::identity::Identity;
use crate::ids::PeerKey;
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
    /// Peers that we have asked to drop the link, and that have not answered yet.
    asked: BTreeSet<PeerKey>,
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
        let people = roster.people().count();
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
        let leaves = |peer: &PeerKey| self.asked.contains(peer) || self.agreed.contains_key(peer);
        links.neighbours().filter(|peer| !leaves(peer)).collect()
    }

    /// Asks some random neighbours whether we may drop the link. They may ask us as well, so we use only half of the
    /// partings.
    fn ask_to_part(&mut self, links: &Links, fx: &mut Effects) {
        let mut candidates = self.lasting(links);
        let links = candidates.len();
        let surplus = links.saturating_sub(LINKS_THIN);
        self.parting = surplus > 0 && (self.parting || links > LINKS_THIN_MAX);
        if !self.parting {
            return;
        }
        candidates.retain(|peer| !self.ring.contains(peer) && !self.refused.contains_key(peer));
        for _link in 0..surplus.min(PARTINGS_MAX / 2) {
            let Some(peer) = fx.draw_from(&mut candidates) else { return };
            self.partings_left = self.partings_left.saturating_sub(1);
            self.asked.insert(peer);
            fx.ask(peer, &SyncRequest::Part(links as u64), Asking::Part);
        }
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
        if !self.asked.remove(&peer) || self.ring.contains(&peer) {
            return false;
        }
        if agreed {
            self.agreed.insert(peer, now.mono.saturating_add(PART_WITHIN));
        } else {
            self.refused.insert(peer, now.mono.saturating_add(PART_RETRY));
        }
        agreed
    }

    /// Handles the loss of the last link to a peer. Returns whether both had agreed to it.
    pub(crate) fn lost(&mut self, peer: PeerKey, now: Now) -> bool {
        self.asked.remove(&peer);
        self.agreed.remove(&peer).is_some_and(|until| now.mono < until)
    }

    /// Which peers the address book may dial until the next review: the ring, those whose link was lost, the authority
    /// peer, as many others as links are missing, and now and then a stranger.
    fn choose_dials(&mut self, around: Around<'_>, now: Now, fx: &mut Effects) -> MayDial {
        let linked = self.lasting(around.links).len();
        if linked == 0 {
            // A peer without any link takes what it can get.
            return MayDial::Everybody;
        }
        self.draw_dials(linked, around, fx);
        let Around { roster, dials, .. } = around;
        if self.next_stranger <= now.mono {
            self.next_stranger = now.mono.saturating_add(STRANGER_EVERY);
            let unlinked = dials.unlinked_peers();
            let mut strangers = unlinked.filter(|peer| !roster.is_online(*peer)).collect();
            self.stranger = fx.draw_from(&mut strangers);
        }
        let mut only = self.ring.clone();
        only.extend(&self.drawn);
        only.extend(self.stranger);
        only.extend(roster.missed());
        only.extend(roster.authorities());
        MayDial::Only(only)
    }

    /// Draws peers to dial, if links are missing: first among those with whom no dial has failed.
    fn draw_dials(&mut self, links: usize, around: Around<'_>, fx: &mut Effects) {
        // With fewer links than `least`, dial others until there are `aim`.
        let (least, aim) =
            if self.thin { (LINKS_THIN_MIN, LINKS_THIN) } else { (LINKS_FULL_MAX, LINKS_FULL_MAX) };
        if links >= least && self.drawn.is_empty() {
            return;
        }
        let there: BTreeSet<PeerKey> = around.roster.audience().copied().collect();
        let unlinked = around.dials.unlinked_peers().filter(|peer| there.contains(peer));
        let (ring, others): (BTreeSet<_>, BTreeSet<_>) =
            unlinked.partition(|peer| self.ring.contains(peer));
        let (good, failed): (BTreeSet<_>, BTreeSet<_>) =
            others.into_iter().partition(|peer| around.dials.failures(*peer) == 0);
        self.drawn.retain(|peer| good.contains(peer));
        let expected = links + ring.len() + self.drawn.len();
        let mut good: Vec<_> = good.difference(&self.drawn).copied().collect();
        let mut failed: Vec<_> = failed.into_iter().collect();
        for _link in expected..aim {
            let peer = fx.draw_from(&mut good).or_else(|| fx.draw_from(&mut failed));
            let Some(peer) = peer else { return };
            self.drawn.insert(peer);
        }
    }
}

impl Around<'_> {
    /// The nearest peers on both sides in the ring of all keys. Unreachable peers do not count, so that the ring closes
    /// a gap before the roster notices it.
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
        let mut reached = 0;
        for peer in way {
            if reached == RING_EACH_SIDE {
                return;
            }
            ring.insert(*peer);
            reached += usize::from(self.links.is_linked(*peer) || self.dials.failures(*peer) == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cose::public_key;
    use crate::io::Output;
    use crate::links::tests::linked;
    use crate::roster::Observation;
    use crate::testing::{self, T0};

    fn at(mono: Duration) -> Now {
        Now { mono, wall_ms: T0 }
    }

    fn me() -> Identity {
        let ticket = testing::ticket(&testing::key(1), &testing::key(2), "me");
        Identity::new(testing::key(2), ticket, 1, 1)
    }

    /// A roster of the peers with the keys from 3 on, enough of them to be a crowd.
    fn crowd(numbers: std::ops::Range<u8>) -> Roster {
        let ticket = Arc::new(testing::ticket(&testing::key(1), &testing::key(3), "somebody"));
        let seen = Observation { now: at(Duration::ZERO), realm_ms: T0, my_boot: 1 };
        let mut roster = Roster::default();
        let others = (0..=LINKS_FULL_MAX).map(|n| PeerKey([u8::try_from(n).unwrap(); 32]));
        for peer in numbers.map(|number| public_key(&testing::key(number))).chain(others) {
            roster.link_up(peer, &ticket, 1, seen);
        }
        roster
    }

    #[test]
    fn r127_among_many_for_a_minute_it_thins_out_and_parts_by_lot() {
        let (me, links, roster) = (me(), linked(3..24), crowd(3..24));
        let dials = AddressBook::new(me.peer());
        let around = Around { me: &me, links: &links, roster: &roster, dials: &dials };
        let (mut degree, mut fx) = (Degree::default(), Effects::new([0; 32]));
        assert_eq!(degree.count(&me, &roster, at(Duration::ZERO)), None, "nobody has come");
        degree.roster_changed();
        assert_eq!(degree.count(&me, &roster, at(Duration::ZERO)), None);
        assert!(degree.due(around, at(Duration::ZERO), &mut fx).is_some() && !degree.is_thin());
        assert!(degree.due(around, at(CROWD_LASTS), &mut fx).is_some() && degree.is_thin());
        let outputs = std::iter::from_fn(|| fx.poll());
        let asked: Vec<PeerKey> = outputs
            .filter_map(|output| match output {
                Output::Ask { peer, .. } => Some(peer),
                _other => None,
            })
            .collect();
        assert_eq!(asked.len(), (PARTINGS_MAX / 2).min(21 - LINKS_THIN));
        let (agrees, others) = asked.split_first().unwrap();
        assert!(degree.part_answered(*agrees, true, at(CROWD_LASTS)));
        assert!(!degree.part_answered(*agrees, true, at(CROWD_LASTS)), "one answer to a question");
        assert!(others.iter().all(|peer| !degree.part_answered(*peer, false, at(CROWD_LASTS))));
        assert!(degree.lost(*agrees, at(CROWD_LASTS)), "both wanted it so");
        assert!(others.iter().all(|peer| !degree.lost(*peer, at(CROWD_LASTS))));
    }

    #[test]
    fn r128_a_peer_with_few_links_or_among_few_peers_lets_none_go() {
        let (mut degree, asks) = (Degree::default(), public_key(&testing::key(3)));
        let links = linked(3..24);
        let says = |degree: &mut Degree, links: &Links| {
            degree.asked_to_part(asks, 20, links, at(Duration::ZERO))
        };
        assert_eq!(says(&mut degree, &links), SyncReply::Later, "not thin");
        (degree.thin, degree.partings_left) = (true, 1);
        assert_eq!(says(&mut degree, &linked(3..6)), SyncReply::Later, "few links");
        assert_eq!(says(&mut degree, &links), SyncReply::Ok(Vec::new()));
        assert_eq!(says(&mut degree, &links), SyncReply::Later, "one at a time");
    }
}

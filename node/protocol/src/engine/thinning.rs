//! Many peers: how many links, with whom, and how a link goes that is one too many (PROTOCOL.md R-127 to R-130).
//!
//! ```text
//!              roster > 64: dials until 64 links              roster < 48 for 60 s
//!   full ────────────────────▶ crowded ──── 60 s ────▶ thin ────────────────────────▶ full: dials everybody
//!                                                       │ ▲
//!                      over 18 links: asks to part, by lot ▼ │ below 8: dials, by lot; both until 12
//! ```
//!
//! Nobody plans the mesh. Each peer keeps its neighbours in the ring of all keys, which alone would connect everybody,
//! and of the other links those that are left when it has asked by lot whether it may part. The other end says no if it
//! would be short of links, if they are neighbours in the ring, or if it is not thin itself. So nobody loses a link that
//! it needs, and both ends know why one goes: it is not lost, and nobody dials it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::PeerKey;
use crate::limits::{
    CROWD_LASTS, LINKS_FULL_MAX, LINKS_REFILL, LINKS_THIN, LINKS_THIN_MAX, LINKS_THIN_MIN,
    PART_RETRY, PART_WITHIN, PARTINGS_MAX, RING_EACH_SIDE, STRANGER_EVERY, THIN_EVERY,
};
use crate::reconcile::{SyncReply, SyncRequest};
use crate::time::Now;

use super::Engine;
use crate::effects::Asking;

/// What a peer among many knows of its links.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    /// Somebody has come or gone since the roster was counted.
    stale: bool,
    thin: bool,
    crowded: bool,
    /// Since when the roster has the size of the other state.
    turning_since: Option<Duration>,
    /// `None` where there are few.
    next_look: Option<Duration>,
    /// Our neighbours in the ring, linked or not.
    ring: BTreeSet<PeerKey>,
    /// There were too many links, and there are still more than we aim at.
    parting: bool,
    /// How many links may still go before the next look.
    partings_left: usize,
    /// Asked whether we may part, without an answer yet.
    asked: BTreeSet<PeerKey>,
    /// The link may go, until this time on the monotonic clock.
    agreed: BTreeMap<PeerKey, Duration>,
    /// Did not want to part, and is not asked again before this time.
    refused: BTreeMap<PeerKey, Duration>,
    /// Drawn by lot to be dialled.
    drawn: BTreeSet<PeerKey>,
    /// One whom we do not see, drawn by lot to be tried.
    stranger: Option<PeerKey>,
    next_stranger: Duration,
}

impl Thinning {
    pub(super) fn roster_changed(&mut self) {
        self.stale = true;
    }

    /// When the links are looked at next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.next_look
    }

    /// Whether the link to a peer is about to go.
    fn leaves(&self, peer: PeerKey) -> bool {
        self.asked.contains(&peer) || self.agreed.contains_key(&peer)
    }

    /// With fewer links than the first number others are dialled, up to the second.
    fn wanted(&self) -> (usize, usize) {
        if self.thin { (LINKS_THIN_MIN, LINKS_THIN) } else { (LINKS_FULL_MAX, LINKS_FULL_MAX) }
    }

    /// Among few nothing is to be remembered, but for the links that are just going.
    fn reset(&mut self, thin: bool) {
        let (agreed, crowded) = (std::mem::take(&mut self.agreed), self.crowded);
        *self = Self { agreed, thin, crowded, ..Self::default() };
    }
}

impl Engine {
    /// Whether we keep a few links only, because there have been many peers for a while.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.thinning.thin
    }

    /// Counts the roster when it has changed.
    pub(super) fn mind_the_crowd(&mut self, now: Now) {
        // Everybody keeps a link to the rendezvous' own node, so that it never has few.
        if !std::mem::take(&mut self.thinning.stale)
            || self.me.is_authority()
            || self.me.has_ended()
        {
            return;
        }
        let people = self.roster.people().count();
        let thinning = &mut self.thinning;
        thinning.crowded = people > LINKS_FULL_MAX;
        let turns = if thinning.thin { people < LINKS_REFILL } else { thinning.crowded };
        thinning.turning_since = turns.then(|| thinning.turning_since.unwrap_or(now.mono));
        if thinning.thin || thinning.crowded {
            thinning.next_look.get_or_insert(now.mono);
        } else if thinning.next_look.is_some() {
            self.thinning.reset(false);
            self.dials.dial_only(None);
        }
    }

    /// Looks at the links, when it is time: parts from some, and chooses whom to dial.
    pub(super) fn thin_out(&mut self, now: Now) {
        if self.thinning.next_look.is_none_or(|at| now.mono < at) {
            return;
        }
        self.thinning.next_look = None;
        if self.me.has_ended() {
            return;
        }
        let since = self.thinning.turning_since;
        if since.is_some_and(|since| now.mono.saturating_sub(since) >= CROWD_LASTS) {
            let thin = !self.thinning.thin;
            self.thinning.reset(thin);
            self.fx.changed();
            if !thin {
                self.dials.dial_only(None);
                return;
            }
        }
        let wait = THIN_EVERY + self.fx.jitter();
        self.thinning.ring = self.ring();
        let thinning = &mut self.thinning;
        thinning.next_look = Some(now.mono.saturating_add(wait));
        thinning.partings_left = PARTINGS_MAX;
        thinning.agreed.retain(|_peer, until| now.mono < *until);
        thinning.refused.retain(|_peer, until| now.mono < *until);
        if thinning.thin {
            self.ask_to_part();
        }
        self.choose_dials(now);
    }

    /// The nearest peers on both sides in the ring of all keys. Whoever cannot be reached does not count as one, so
    /// that the ring closes over a gap before the roster knows of it.
    fn ring(&self) -> BTreeSet<PeerKey> {
        let people: Vec<PeerKey> =
            self.roster.audience().copied().filter(|peer| *peer != self.me.peer()).collect();
        let (before, after) =
            people.split_at(people.partition_point(|peer| *peer < self.me.peer()));
        let mut ring = BTreeSet::new();
        self.walk(after.iter().chain(before), &mut ring);
        self.walk(before.iter().rev().chain(after.iter().rev()), &mut ring);
        ring
    }

    fn walk<'a>(&self, way: impl Iterator<Item = &'a PeerKey>, ring: &mut BTreeSet<PeerKey>) {
        let mut reached = 0;
        for peer in way {
            if reached == RING_EACH_SIDE {
                return;
            }
            ring.insert(*peer);
            reached += usize::from(self.links.is_linked(*peer) || self.dials.failures(*peer) == 0);
        }
    }

    /// Links to people that are not about to go.
    fn lasting(&self) -> Vec<PeerKey> {
        self.links.neighbours().filter(|peer| !self.thinning.leaves(*peer)).collect()
    }

    /// Asks some neighbours, drawn by lot, whether we may part. They may ask us as well, so we ask for half.
    fn ask_to_part(&mut self) {
        let mut candidates = self.lasting();
        let links = candidates.len() as u64;
        let surplus = candidates.len().saturating_sub(LINKS_THIN);
        let thinning = &mut self.thinning;
        thinning.parting = surplus > 0 && (thinning.parting || candidates.len() > LINKS_THIN_MAX);
        if !thinning.parting {
            return;
        }
        candidates
            .retain(|peer| !thinning.ring.contains(peer) && !thinning.refused.contains_key(peer));
        for _link in 0..surplus.min(PARTINGS_MAX / 2) {
            let Some(peer) = self.fx.draw_from(&mut candidates) else { return };
            self.thinning.partings_left = self.thinning.partings_left.saturating_sub(1);
            self.thinning.asked.insert(peer);
            self.fx.ask(peer, &SyncRequest::Part(links), Asking::Part);
        }
    }

    /// A neighbour has one link too many. Whether ours may go. For one that has far too many it may also if ours are
    /// few then: whoever thins out last would find that nobody has a link to spare.
    pub(super) fn asked_to_part(&mut self, peer: PeerKey, links: u64, now: Now) -> SyncReply {
        let thinning = &self.thinning;
        let needed = if links > LINKS_THIN_MAX as u64 { LINKS_THIN_MIN } else { LINKS_THIN };
        let may = thinning.thin
            && thinning.partings_left > 0
            && !thinning.ring.contains(&peer)
            && self.lasting().into_iter().filter(|other| *other != peer).count() >= needed;
        if !may {
            return SyncReply::Later;
        }
        self.thinning.partings_left = self.thinning.partings_left.saturating_sub(1);
        self.thinning.agreed.insert(peer, now.mono.saturating_add(PART_WITHIN));
        SyncReply::Ok(Vec::new())
    }

    /// What a neighbour says to our question.
    pub(super) fn part_answered(&mut self, peer: PeerKey, agreed: bool, now: Now) {
        // The realm may have become small meanwhile, or the link may be gone.
        if !self.thinning.asked.remove(&peer) || self.thinning.ring.contains(&peer) {
            return;
        }
        if agreed {
            self.thinning.agreed.insert(peer, now.mono.saturating_add(PART_WITHIN));
            self.links.close(peer, &mut self.fx);
        } else {
            self.thinning.refused.insert(peer, now.mono.saturating_add(PART_RETRY));
        }
    }

    /// Whether the last link to a peer, which is gone, went because both wanted it so.
    pub(super) fn has_parted_from(&mut self, peer: PeerKey, now: Now) -> bool {
        self.thinning.asked.remove(&peer);
        self.thinning.agreed.remove(&peer).is_some_and(|until| now.mono < until)
    }

    /// Whom the address book may dial until the next look: the ring, whoever is missed, the rendezvous' own node, as
    /// many others as links are lacking, and now and then a stranger.
    fn choose_dials(&mut self, now: Now) {
        let linked = self.lasting();
        if linked.is_empty() {
            // Whoever is alone takes whom it can get.
            self.dials.dial_only(None);
            return;
        }
        self.draw_dials(linked.len());
        if self.thinning.next_stranger <= now.mono {
            self.thinning.next_stranger = now.mono.saturating_add(STRANGER_EVERY);
            let unlinked = self.dials.unlinked_peers();
            let mut strangers: Vec<_> =
                unlinked.filter(|peer| !self.roster.is_online(*peer)).collect();
            self.thinning.stranger = self.fx.draw_from(&mut strangers);
        }
        let mut dials = self.thinning.ring.clone();
        dials.extend(&self.thinning.drawn);
        dials.extend(self.thinning.stranger);
        dials.extend(self.roster.missed());
        dials.extend(self.roster.authorities());
        self.dials.dial_only(Some(dials));
    }

    /// Draws peers to be dialled, if links are lacking: first among those with whom no dial has failed.
    fn draw_dials(&mut self, links: usize) {
        let (least, aim) = self.thinning.wanted();
        if links >= least && self.thinning.drawn.is_empty() {
            return;
        }
        let there: BTreeSet<PeerKey> = self.roster.audience().copied().collect();
        let unlinked = self.dials.unlinked_peers().filter(|peer| there.contains(peer));
        let (ring, others): (BTreeSet<_>, BTreeSet<_>) =
            unlinked.partition(|peer| self.thinning.ring.contains(peer));
        let (good, failed): (BTreeSet<_>, BTreeSet<_>) =
            others.into_iter().partition(|peer| self.dials.failures(*peer) == 0);
        let drawn = &mut self.thinning.drawn;
        drawn.retain(|peer| good.contains(peer));
        let expected = links + ring.len() + drawn.len();
        let mut good: Vec<_> = good.difference(drawn).copied().collect();
        let mut failed: Vec<_> = failed.into_iter().collect();
        for _link in expected..aim {
            let peer = self.fx.draw_from(&mut good).or_else(|| self.fx.draw_from(&mut failed));
            let Some(peer) = peer else { return };
            self.thinning.drawn.insert(peer);
        }
    }
}

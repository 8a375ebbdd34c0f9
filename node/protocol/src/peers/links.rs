//! The current links: to which peers, since when, which boot is newest, and which of two links to one peer stays.
//!
//! Takes in links, subscriptions, boots and Rejects. Owns the part of the gate's view that says which links are up,
//! which boots are known, and which peers are denied. Returns which peer has lost its last link, is denied, or
//! withholds its policy; puts out the links to close.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::address_book::AddressBook;
use crate::admission::{self, AdmissionView, GateLinks, Standing};
use crate::boots::KnownBoot;
use crate::effects::Effects;
use crate::ids::{AccountId, PeerKey, Role};
use crate::io::{LinkId, NewLink, Topic};
use crate::ticket::Ticket;
use crate::time::Now;

/// After this many Rejects within [`REJECT_WINDOW`], a peer's links are closed.
pub(crate) const REJECTS_MAX: usize = 3;
/// The time in which Rejects are counted; see [`REJECTS_MAX`].
const REJECT_WINDOW: Duration = Duration::from_mins(10);
/// How soon the redundant one of two links to one peer is closed.
pub(crate) const DUPLICATE_CLOSE: Duration = Duration::from_secs(1);
/// A link older than this is stale if its other end dials us again in the same boot: that end has lost it.
const LINK_IS_OLD: Duration = Duration::from_secs(5);
/// A linked peer that has not subscribed to `control` by then is deaf, so its link is closed and dialled again.
pub(crate) const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(2);
/// Added to [`SUBSCRIBE_DEADLINE`] for each link that has not subscribed yet: many peers starting at once are slower.
pub(crate) const SUBSCRIBE_PER_LINK: Duration = Duration::from_millis(200);
/// How long a peer is denied after its links were closed for Rejects.
pub(crate) const DENY_FOR: Duration = Duration::from_mins(15);
/// How long a peer that announced a higher policy number has to deliver the document.
pub(crate) const POLICY_DEADLINE: Duration = Duration::from_secs(10);
/// How often existing links are judged again for expiry.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// How long a link that a new policy condemns stays up, so that its peer can fetch the policy and learn why.
const CONDEMNED_CLOSE: Duration = Duration::from_millis(500);

/// A current link.
#[derive(Debug, Clone)]
pub struct Link {
    /// The driver's name for the link.
    pub id: LinkId,
    /// The peer at the other end.
    pub peer: PeerKey,
    /// The other end, as a multiaddr.
    pub address: String,
    /// Whether it runs through the relay.
    pub relayed: bool,
    /// The peer's newest ticket.
    pub ticket: Arc<Ticket>,
    /// Since when it is up, realm time in unix milliseconds.
    pub since_ms: u64,
    boot: u64,
    dialled: bool,
    since: Duration,
    /// When to close it, on the monotonic clock.
    close_at: Option<Duration>,
    /// Whether it is closing because another link to the same peer stays.
    is_duplicate: bool,
    /// When the peer must have subscribed to `control`; `None` once it has.
    subscribe_by: Option<Duration>,
    /// When the peer must have delivered the policy that its ticket names.
    policy_by: Option<Duration>,
}

impl Link {
    fn is_to_authority(&self) -> bool {
        self.ticket.claims().role == Role::Authority
    }
}

/// A link that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) peer: PeerKey,
    /// Whether it was the last link to its peer.
    pub(crate) last: bool,
}

/// The links of this peer, and what is known about the peers at the other end.
#[derive(Debug)]
pub(crate) struct Links {
    me: PeerKey,
    links: BTreeMap<LinkId, Link>,
    by_peer: BTreeSet<(PeerKey, LinkId)>,
    subscribed: BTreeMap<PeerKey, Vec<Topic>>,
    gate: Arc<GateLinks>,
    rejects: BTreeMap<PeerKey, VecDeque<Duration>>,
    /// Neighbours that gossipsub does not publish to.
    unpublished: BTreeSet<PeerKey>,
    next_check: Duration,
}

impl Links {
    pub(crate) fn new(me: PeerKey, now: Now) -> Self {
        Self {
            me,
            links: BTreeMap::new(),
            by_peer: BTreeSet::new(),
            subscribed: BTreeMap::new(),
            gate: Arc::default(),
            rejects: BTreeMap::new(),
            unpublished: BTreeSet::new(),
            next_check: now.mono.saturating_add(CHECK_EVERY),
        }
    }

    /// Adds a link, which [`crate::admission`] has just judged.
    pub(crate) fn up(&mut self, new: NewLink, dials: &AddressBook, realm_ms: u64, now: Now) {
        let (id, peer, boot) = (new.id, new.peer, new.admission.hello().boot);
        let deaf = !self.hears(peer, Topic::Control);
        let by = deaf.then(|| now.mono.saturating_add(self.subscribe_within(peer, dials)));
        let link = Link {
            id,
            peer,
            address: new.address,
            relayed: new.relayed,
            ticket: Arc::clone(new.admission.ticket()),
            since_ms: realm_ms,
            boot,
            dialled: new.dialled,
            since: now.mono,
            close_at: None,
            is_duplicate: false,
            subscribe_by: by,
            policy_by: None,
        };
        self.note_boot(peer, boot, None);
        self.links.insert(id, link);
        self.by_peer.insert((peer, id));
        self.show_standing();
        self.close_duplicates(peer, now);
    }

    pub(crate) fn down(&mut self, id: LinkId) -> Option<Down> {
        let peer = self.links.remove(&id)?.peer;
        self.by_peer.remove(&(peer, id));
        self.show_standing();
        let last = !self.is_linked(peer);
        if last {
            self.subscribed.remove(&peer);
        }
        Some(Down { peer, last })
    }

    /// Updates the links in the gate's view.
    fn show_standing(&mut self) {
        let standing = self.links.values().map(|link| Standing {
            peer: link.peer,
            boot: link.boot,
            account: link.ticket.claims().account,
        });
        Arc::make_mut(&mut self.gate).standing = standing.collect();
    }

    /// Notes a subscription. Returns whether it is the first to this topic on the link, so that a peer that keeps
    /// subscribing does not make us send our presence again and again.
    pub(crate) fn subscribed(&mut self, peer: PeerKey, topic: Topic) -> bool {
        let topics = self.subscribed.entry(peer).or_default();
        if topics.contains(&topic) {
            return false;
        }
        topics.push(topic);
        if topic == Topic::Control {
            for link in self.links.values_mut().filter(|link| link.peer == peer) {
                link.subscribe_by = None;
            }
        }
        true
    }

    /// Notes the boot of a peer. Its older links are stale, even if they look alive from here.
    pub(crate) fn boot_seen(
        &mut self,
        peer: PeerKey,
        boot: u64,
        proof: Option<Arc<[u8]>>,
        fx: &mut Effects,
    ) {
        self.note_boot(peer, boot, proof);
        fx.close(self.to(peer).filter(|link| link.boot < boot).map(|link| link.id));
    }

    fn note_boot(&mut self, peer: PeerKey, boot: u64, proof: Option<Arc<[u8]>>) {
        let is_news = self.gate.boots.get(peer).is_none_or(|known| {
            boot > known.boot || (boot == known.boot && known.proof.is_none() && proof.is_some())
        });
        if is_news {
            let gate = Arc::make_mut(&mut self.gate);
            Arc::make_mut(&mut gate.boots).insert(peer, KnownBoot { boot, proof });
        }
    }

    /// Forgets the boots of peers that are neither linked nor known any more.
    pub(crate) fn forget_boots(&mut self, is_known: impl Fn(PeerKey) -> bool) {
        let unknown = |peer: &PeerKey| !is_known(*peer) && !self.is_linked(*peer);
        let forgotten: Vec<PeerKey> = self.gate.boots.peers().filter(unknown).collect();
        if forgotten.is_empty() {
            return;
        }
        let boots = Arc::make_mut(&mut Arc::make_mut(&mut self.gate).boots);
        forgotten.into_iter().for_each(|peer| boots.remove(peer));
    }

    /// Sets our neighbours in the ring, or `None` if there are few peers.
    pub(crate) fn set_thin_ring(&mut self, ring: Option<&BTreeSet<PeerKey>>) {
        if self.gate.thin_ring.as_deref() != ring {
            Arc::make_mut(&mut self.gate).thin_ring = ring.cloned().map(Arc::new);
        }
    }

    /// Handles a refusal by our gate because of an existing link. If that link is older than any handshake, the peer
    /// has lost it, or it would not dial.
    pub(crate) fn was_busy_for(&mut self, peer: PeerKey, boot: u64, now: Now, fx: &mut Effects) {
        self.boot_seen(peer, boot, None, fx);
        let is_stale =
            |link: &&Link| link.boot == boot && now.mono.saturating_sub(link.since) > LINK_IS_OLD;
        fx.close(self.to(peer).filter(is_stale).map(|link| link.id));
    }

    /// How long a peer may take to subscribe: longer each time its links did not last, because its machine may be slow,
    /// and longer while many links come up at once.
    fn subscribe_within(&self, peer: PeerKey, dials: &AddressBook) -> Duration {
        let is_silent = |link: &&Link| link.peer != peer && link.subscribe_by.is_some();
        let silent = self.links.values().filter(is_silent).count();
        let crowd = SUBSCRIBE_PER_LINK.saturating_mul(u32::try_from(silent).unwrap_or(u32::MAX));
        let patience = 2u32.saturating_pow(dials.failures(peer).min(4));
        SUBSCRIBE_DEADLINE.saturating_add(crowd).saturating_mul(patience)
    }

    /// Closes all but one of the links to a peer with equal boot: direct is kept before relayed, then the one that the
    /// smaller key dialled. If one side dialled both, that side keeps its first.
    fn close_duplicates(&mut self, peer: PeerKey, now: Now) {
        let mine = self.me < peer;
        let rank = |link: &Link| (link.relayed, link.dialled != mine, link.id);
        let Some(keep) = self.to(peer).min_by_key(|link| rank(link)) else { return };
        let (kept, dialled, relayed) = (keep.id, keep.dialled, keep.relayed);
        let losers = self.links.values_mut().filter(|link| link.peer == peer && link.id != kept);
        for link in losers {
            // Same side, same kind: only the dialler knows which was first.
            if link.dialled || link.dialled != dialled || link.relayed != relayed {
                link.close_at.get_or_insert(now.mono.saturating_add(DUPLICATE_CLOSE));
                link.is_duplicate = true;
            }
        }
    }

    /// Counts a Reject against a peer that forwarded what it should have rejected. At the third within ten minutes,
    /// closes its links and returns until when it is denied, on the monotonic clock.
    pub(crate) fn reject(&mut self, peer: PeerKey, now: Now, fx: &mut Effects) -> Option<Duration> {
        let rejects = self.rejects.entry(peer).or_default();
        rejects.push_back(now.mono);
        rejects.retain(|at| now.mono.saturating_sub(*at) < REJECT_WINDOW);
        if rejects.len() < REJECTS_MAX {
            return None;
        }
        // More may already be on their way, and must not pile up until the link is gone.
        rejects.clear();
        let until = now.mono.saturating_add(DENY_FOR);
        Arc::make_mut(&mut self.gate).denied.insert(peer, until);
        self.close(peer, fx);
        Some(until)
    }

    /// Closes all links to a peer.
    pub(crate) fn close(&self, peer: PeerKey, fx: &mut Effects) {
        fx.close(self.to(peer).map(|link| link.id));
    }

    /// Notes that a linked peer's ticket was renewed.
    pub(crate) fn renew(&mut self, peer: PeerKey, ticket: &Arc<Ticket>) {
        let older = |link: &Link| link.ticket.claims().issued_at_s < ticket.claims().issued_at_s;
        let mut renewed = false;
        for link in self.links.values_mut().filter(|link| link.peer == peer && older(link)) {
            link.ticket = Arc::clone(ticket);
            renewed = true;
        }
        if renewed {
            self.show_standing();
        }
    }

    /// Judges existing links again: expiry, bans and revocations end them too.
    pub(crate) fn judge(&mut self, view: &AdmissionView, now: Now) {
        for link in self.links.values_mut() {
            if admission::judge_claims(view, link.peer, &link.ticket, now).is_err() {
                link.close_at.get_or_insert(now.mono.saturating_add(CONDEMNED_CLOSE));
            }
        }
    }

    /// Sets the deadline for the peer to deliver the policy that its ticket names.
    pub(crate) fn demand_policy(&mut self, link: LinkId, now: Now) {
        if let Some(link) = self.links.get_mut(&link) {
            link.policy_by = Some(now.mono.saturating_add(POLICY_DEADLINE));
        }
    }

    /// Makes sure that the links are judged again by this time.
    pub(crate) fn check_by(&mut self, at: Duration) {
        self.next_check = self.next_check.min(at);
    }

    /// Whether it is time to judge the links again. Also forgets the peers whose denial is over.
    pub(crate) fn check_is_due(&mut self, now: Now) -> bool {
        if now.mono < self.next_check {
            return false;
        }
        self.next_check = now.mono.saturating_add(CHECK_EVERY);
        // They count across links, or a new link would forgive them.
        let is_recent = |at: &Duration| now.mono.saturating_sub(*at) < REJECT_WINDOW;
        self.rejects.retain(|_peer, rejects| rejects.back().is_some_and(is_recent));
        if self.gate.denied.values().any(|until| *until <= now.mono) {
            Arc::make_mut(&mut self.gate).denied.retain(|_peer, until| now.mono < *until);
        }
        true
    }

    pub(crate) fn next_due(&self) -> Duration {
        let deadline = |link: &Link| {
            [link.close_at, link.subscribe_by, link.policy_by].into_iter().flatten().min()
        };
        self.links.values().filter_map(deadline).fold(self.next_check, Duration::min)
    }

    /// Closes the links that are due: duplicates, condemned links, deaf peers, and peers that withhold their policy.
    /// Returns those last ones.
    pub(crate) fn due(
        &mut self,
        policy: u64,
        dials: &AddressBook,
        now: Now,
        fx: &mut Effects,
    ) -> Vec<PeerKey> {
        let over = |at: Option<Duration>| at.is_some_and(|at| at <= now.mono);
        self.keep_what_still_speaks(now);
        self.wait_in_a_crowd(dials, now);
        let mut hiding = Vec::new();
        for link in self.links.values_mut() {
            let hides = over(link.policy_by) && link.ticket.claims().policy > policy;
            if over(link.close_at) || over(link.subscribe_by) || hides {
                fx.close([link.id]);
                hiding.extend(hides.then_some(link.peer));
            }
            link.policy_by = link.policy_by.filter(|at| !over(Some(*at)));
            link.close_at = link.close_at.filter(|at| !over(Some(*at)));
            if over(link.subscribe_by) {
                // Closing takes a moment; do not ask for it again every turn.
                link.subscribe_by = Some(now.mono.saturating_add(SUBSCRIBE_DEADLINE));
            }
        }
        hiding
    }

    /// Extends the deadlines, because many links may have come up since they were set, and all take longer then.
    fn wait_in_a_crowd(&mut self, dials: &AddressBook, now: Now) {
        let is_due = |link: &&Link| link.subscribe_by.is_some_and(|at| at <= now.mono);
        let due: Vec<(LinkId, Duration)> = self
            .links
            .values()
            .filter(is_due)
            .map(|link| {
                (link.id, link.since.saturating_add(self.subscribe_within(link.peer, dials)))
            })
            .collect();
        for (id, by) in due.into_iter().filter(|(_id, by)| *by > now.mono) {
            if let Some(link) = self.links.get_mut(&id) {
                link.subscribe_by = Some(by);
            }
        }
    }

    /// Keeps a duplicate on which topics may still arrive: gossipsub sends them only on the first of two links.
    fn keep_what_still_speaks(&mut self, now: Now) {
        let subscribed = &self.subscribed;
        let speaks =
            |peer| !subscribed.get(&peer).is_some_and(|topics| topics.contains(&Topic::Control));
        for link in self.links.values_mut().filter(|link| link.is_duplicate && speaks(link.peer)) {
            link.close_at =
                link.close_at.map(|at| at.max(now.mono.saturating_add(DUPLICATE_CLOSE)));
        }
    }

    /// Sets the neighbours that gossipsub does not publish to because they misbehaved.
    pub(crate) fn set_unpublished(&mut self, peers: BTreeSet<PeerKey>) {
        self.unpublished = peers;
    }

    /// Whether a peer has subscribed to a topic, as far as we know.
    pub(crate) fn hears(&self, peer: PeerKey, topic: Topic) -> bool {
        self.subscribed.get(&peer).is_some_and(|topics| topics.contains(&topic))
    }

    /// Whether a message on `direct` reaches a peer.
    pub(crate) fn reaches(&self, peer: PeerKey) -> bool {
        self.hears(peer, Topic::Direct) && self.is_linked(peer) && !self.unpublished.contains(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    fn to(&self, peer: PeerKey) -> impl Iterator<Item = &Link> {
        let ids = self.by_peer.range((peer, LinkId(0))..=(peer, LinkId(u64::MAX)));
        ids.filter_map(|(_peer, id)| self.links.get(id))
    }

    pub(crate) fn is_linked(&self, peer: PeerKey) -> bool {
        self.to(peer).next().is_some()
    }

    /// Whether a peer is linked and holds messages.
    pub(crate) fn is_neighbour(&self, peer: PeerKey) -> bool {
        self.to(peer).any(|link| !link.is_to_authority())
    }

    /// The linked peers that hold messages, by key: all but the authority peer.
    pub(crate) fn neighbours(&self) -> impl Iterator<Item = PeerKey> {
        let mut last = None;
        let people = self
            .by_peer
            .iter()
            .filter(|(_peer, id)| self.links.get(id).is_some_and(|link| !link.is_to_authority()));
        people.map(|(peer, _id)| *peer).filter(move |peer| last.replace(*peer) != Some(*peer))
    }

    /// The peers of all links, one entry per link, the authority peer first.
    pub(crate) fn authorities_first(&self) -> impl Iterator<Item = PeerKey> {
        let authorities = self.links.values().filter(|link| link.is_to_authority());
        let others = self.links.values().filter(|link| !link.is_to_authority());
        authorities.chain(others).map(|link| link.peer)
    }

    /// The account of a linked peer.
    pub(crate) fn account_of(&self, peer: PeerKey) -> Option<AccountId> {
        self.to(peer).next().map(|link| link.ticket.claims().account)
    }

    /// The accounts of all links, one entry per link.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.links.values().map(|link| link.ticket.claims().account)
    }

    #[cfg(test)]
    pub(crate) fn rejects_of(&self, peer: PeerKey) -> usize {
        self.rejects.get(&peer).map_or(0, VecDeque::len)
    }

    /// The links in the gate's view.
    pub(crate) fn gate(&self) -> &Arc<GateLinks> {
        &self.gate
    }
}

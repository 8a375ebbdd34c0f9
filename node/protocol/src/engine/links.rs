//! Links: who is linked, the order of boots, and which of two links to one peer stays.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::{self, KnownBoot};
use crate::hello::{Hello, Verdict, VerdictCode};
use crate::ids::PeerKey;
use crate::limits::{
    DENY_FOR, DUPLICATE_CLOSE, LINK_IS_OLD, REJECT_WINDOW, REJECTS_MAX, SUBSCRIBE_DEADLINE,
    SUBSCRIBE_PER_LINK,
};
use crate::login::PeerAddresses;
use crate::presence::SignedPresence;
use crate::ticket::Ticket;
use crate::time::Now;

use super::{Engine, Output, Topic};

/// A refusal that is not a matter of milliseconds: leave the peer alone for this long.
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// Links of somebody whom a new policy bans or revocations stand this much longer, so that he can fetch it and learn why.
const CONDEMNED_CLOSE: Duration = Duration::from_millis(500);

/// The driver's name for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A link that both gates have accepted.
#[derive(Debug)]
pub struct NewLink {
    /// Its name.
    pub id: LinkId,
    /// The key that Noise has proved.
    pub peer: PeerKey,
    /// Whether we dialled it.
    pub dialled: bool,
    /// Whether it runs through the relay.
    pub relayed: bool,
    /// The other end, as a multiaddr.
    pub address: String,
    /// What the peer showed.
    pub hello: Hello,
}

/// A link that stands.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name.
    pub id: LinkId,
    /// Whom it leads to.
    pub peer: PeerKey,
    /// The other end, as a multiaddr.
    pub address: String,
    /// Whether it runs through the relay.
    pub relayed: bool,
    /// The peer's newest ticket.
    pub ticket: Arc<Ticket>,
    /// Since when, realm time in unix milliseconds.
    pub since_ms: u64,
    pub(super) boot: u64,
    dialled: bool,
    since: Duration,
    /// When the engine closes it, on the monotonic clock.
    close_at: Option<Duration>,
    /// It is closed because another link to the same peer stays.
    is_duplicate: bool,
    /// When the peer must have subscribed to `control`, until it has.
    subscribe_by: Option<Duration>,
    /// When the peer must have shown the policy that its ticket names.
    pub(super) policy_by: Option<Duration>,
}

impl Engine {
    pub(super) fn link_up(&mut self, new: NewLink, now: Now) {
        let admitted = admission::judge(&self.view(), new.peer, &new.hello, now);
        let Ok(admission) = admitted else {
            self.newer_boot(new.peer, new.hello.boot, None);
            self.outputs.push_back(Output::Close(new.id));
            self.book.unlinked(new.peer, now.mono, Duration::ZERO);
            self.view_is_stale = true;
            return;
        };
        let peer = new.peer;
        let link = Link {
            id: new.id,
            peer,
            address: new.address,
            relayed: new.relayed,
            ticket: admission.ticket,
            since_ms: self.clock.peek_ms(now),
            boot: new.hello.boot,
            dialled: new.dialled,
            close_at: None,
            is_duplicate: false,
            since: now.mono,
            subscribe_by: (!self.hears(peer, Topic::Control))
                .then(|| now.mono.saturating_add(self.subscribe_within(peer))),
            policy_by: None,
        };
        self.note_boot(peer, link.boot, None);
        self.proven.note(link.ticket.claims().issued_at_ms(), now);
        self.note_clock(&link.ticket, new.hello.time, now);
        let change = self.roster.link_up(peer, &link.ticket, link.boot, self.observation(now));
        if let Some(change) = change {
            self.tell_presence(change);
        }
        self.book.linked(peer, now.mono);
        if link.dialled {
            let addresses = vec![link.address.clone()];
            self.outputs.push_back(Output::StorePeer(PeerAddresses { peer, addresses }));
        }
        let ticket_policy = link.ticket.claims().policy;
        self.links.insert(link.id, link);
        self.close_duplicates(peer, now);
        self.view_is_stale = true;
        self.see_policy_number(peer, new.hello.policy.max(ticket_policy), now);
        self.demand_policy(new.id, ticket_policy, now);
        self.look_at_clocks(now);
        self.changed();
    }

    pub(super) fn link_down(&mut self, id: LinkId, now: Now) {
        let Some(link) = self.links.remove(&id) else { return };
        self.view_is_stale = true;
        if self.links_to(link.peer).next().is_none() {
            self.subscribed.remove(&link.peer);
            self.rejects.remove(&link.peer);
            self.fetching.remove(&link.peer);
            self.last_link_down(link.peer, now);
            self.sync_link_down(link.peer);
            self.receipts.forget(link.peer);
        }
        self.look_at_clocks(now);
        self.changed();
    }

    /// Lost, or given up by both.
    fn last_link_down(&mut self, peer: PeerKey, now: Now) {
        let (jitter, seen) = (self.jitter(), self.observation(now));
        if self.has_parted_from(peer, now) {
            self.book.parted(peer, now.mono, jitter);
            self.roster.part(peer, seen);
            return;
        }
        self.book.unlinked(peer, now.mono, jitter);
        self.roster.link_down(peer, seen);
        if self.is_thin() {
            // The other end may live, and nobody may dial in time: then it is to hear of us by way of others.
            self.presence_soon(now);
        }
    }

    pub(super) fn dial_failed(&mut self, peer: PeerKey, now: Now) {
        let jitter = self.jitter();
        self.book.failed(peer, now.mono, jitter);
        // The gate keeps nobody out for a dial that is over.
        self.view_is_stale = true;
    }

    /// What another gate says ends that attempt and proves nothing, except a presence signed by our own key.
    pub(super) fn refused_by(&mut self, peer: PeerKey, verdict: &Verdict, now: Now) {
        let jitter = self.jitter();
        self.view_is_stale = true;
        match verdict.code {
            VerdictCode::Superseded if self.proves_newer_start(verdict.proof.as_deref()) => {
                self.end(super::EndReason::Superseded);
            }
            VerdictCode::Busy | VerdictCode::Superseded | VerdictCode::Accepted => {
                self.book.busy(peer, now.mono, jitter);
            }
            VerdictCode::Malformed
            | VerdictCode::Version
            | VerdictCode::WrongRealm
            | VerdictCode::BadTicket
            | VerdictCode::NotYours
            | VerdictCode::Expired
            | VerdictCode::NotYetValid
            | VerdictCode::Banned
            | VerdictCode::Revocation
            | VerdictCode::Denied
            | VerdictCode::Other(_) => {
                self.book.postpone(peer, now.mono.saturating_add(REFUSED_WAIT + jitter));
            }
        }
    }

    fn proves_newer_start(&mut self, proof: Option<&[u8]>) -> bool {
        let signed = proof.and_then(|pair| {
            SignedPresence::verify(pair, |bytes| self.tickets.verify(bytes, &self.realm)).ok()
        });
        signed.is_some_and(|signed| {
            signed.ticket.claims().peer == self.me && signed.presence.boot > self.boot
        })
    }

    /// A newer program start of a peer: its older links are stale, whatever they look like from here.
    pub(super) fn newer_boot(&mut self, peer: PeerKey, boot: u64, proof: Option<Arc<[u8]>>) {
        self.note_boot(peer, boot, proof);
        let older: Vec<_> =
            self.links_to(peer).filter(|link| link.boot < boot).map(|link| link.id).collect();
        self.outputs.extend(older.into_iter().map(Output::Close));
    }

    /// What our own gate says ends that attempt too.
    pub(super) fn refused(
        &mut self,
        peer: PeerKey,
        boot: u64,
        code: VerdictCode,
        dialled: bool,
        now: Now,
    ) {
        if code == VerdictCode::Busy {
            self.busy_for(peer, boot, now);
        }
        if !dialled {
            return;
        }
        if matches!(code, VerdictCode::Busy | VerdictCode::Superseded) {
            // An older start listens there, and will for a while. Who dials it again and again keeps the newer one out,
            // whose dials cross these.
            self.dial_failed(peer, now);
        } else {
            self.refused_by(peer, &Verdict::plain(code), now);
        }
    }

    /// Our gate has refused a peer because of a link that stands here. If that link is older than a handshake can be,
    /// the peer has lost it, or it would not dial.
    fn busy_for(&mut self, peer: PeerKey, boot: u64, now: Now) {
        self.newer_boot(peer, boot, None);
        let is_stale =
            |link: &&Link| link.boot == boot && now.mono.saturating_sub(link.since) > LINK_IS_OLD;
        let stale: Vec<_> = self.links_to(peer).filter(is_stale).map(|link| link.id).collect();
        self.outputs.extend(stale.into_iter().map(Output::Close));
    }

    /// A peer whose links did not last gets more time each time: it may be the machine that is slow. And so do all
    /// while many links come up at once.
    fn subscribe_within(&self, peer: PeerKey) -> Duration {
        let is_silent = |link: &&Link| link.peer != peer && link.subscribe_by.is_some();
        let silent = self.links.values().filter(is_silent).count();
        let crowd = SUBSCRIBE_PER_LINK.saturating_mul(u32::try_from(silent).unwrap_or(u32::MAX));
        let patience = 2u32.saturating_pow(self.book.failures(peer).min(4));
        SUBSCRIBE_DEADLINE.saturating_add(crowd).saturating_mul(patience)
    }

    fn note_boot(&mut self, peer: PeerKey, boot: u64, proof: Option<Arc<[u8]>>) {
        let known = self.boots.entry(peer).or_insert(KnownBoot { boot: 0, proof: None });
        if boot > known.boot || (boot == known.boot && known.proof.is_none() && proof.is_some()) {
            *known = KnownBoot { boot, proof };
            self.view_is_stale = true;
        }
    }

    /// Of two links with equal boot one stays: direct before relayed, else the one that the smaller key dialled;
    /// if one side dialled both, that side keeps its first.
    fn close_duplicates(&mut self, peer: PeerKey, now: Now) {
        let links: Vec<Link> = self.links_to(peer).cloned().collect();
        if links.len() < 2 {
            return;
        }
        let smaller_is_me = self.me < peer;
        let rank = |link: &Link| (link.relayed, link.dialled != smaller_is_me, link.id);
        let Some(keep) = links.iter().min_by_key(|link| rank(link)) else { return };
        let losers = links.iter().filter(|link| {
            // Same side, same kind: which was first is the dialler's to say.
            link.id != keep.id
                && (link.dialled || link.dialled != keep.dialled || link.relayed != keep.relayed)
        });
        let ids: Vec<LinkId> = losers.map(|link| link.id).collect();
        for id in ids {
            if let Some(link) = self.links.get_mut(&id) {
                link.close_at.get_or_insert(now.mono.saturating_add(DUPLICATE_CLOSE));
                link.is_duplicate = true;
            }
        }
    }

    pub(super) fn peer_subscribed(&mut self, peer: PeerKey, topic: Topic, now: Now) {
        let topics = self.subscribed.entry(peer).or_default();
        if topics.contains(&topic) {
            // Once per link: who subscribes again and again does not make us speak again and again.
            return;
        }
        topics.push(topic);
        match topic {
            Topic::Control => {
                for link in self.links.values_mut().filter(|link| link.peer == peer) {
                    link.subscribe_by = None;
                }
                self.presence_soon(now);
            }
            Topic::Mesh => {
                self.resend(now);
                self.sync_fresh_link(peer, now);
            }
            Topic::Direct => {}
        }
        self.changed();
    }

    /// Three Rejects within ten minutes: somebody lets pass what it must have seen. Close, and deny for a while.
    pub(super) fn count_reject(&mut self, peer: PeerKey, now: Now) {
        let rejects = self.rejects.entry(peer).or_default();
        rejects.push_back(now.mono);
        rejects.retain(|at| now.mono.saturating_sub(*at) < REJECT_WINDOW);
        if rejects.len() < REJECTS_MAX {
            return;
        }
        // More may be on their way already; they must not pile up until the link is gone.
        rejects.clear();
        let until = now.mono.saturating_add(DENY_FOR);
        self.denied.insert(peer, until);
        self.book.postpone(peer, until);
        self.view_is_stale = true;
        self.close_all(peer);
    }

    pub(super) fn close_all(&mut self, peer: PeerKey) {
        let ids: Vec<_> = self.links_to(peer).map(|link| link.id).collect();
        self.outputs.extend(ids.into_iter().map(Output::Close));
    }

    /// Expiry, bans and revocations also end links that stand.
    pub(super) fn judge_links_again(&mut self, now: Now) {
        let view = self.view();
        for link in self.links.values_mut() {
            if admission::judge_claims(&view, link.peer, &link.ticket, now).is_err() {
                link.close_at.get_or_insert(now.mono.saturating_add(CONDEMNED_CLOSE));
            }
        }
    }

    pub(super) fn next_link_deadline(&self) -> Option<Duration> {
        let deadline = |link: &Link| {
            [link.close_at, link.subscribe_by, link.policy_by].into_iter().flatten().min()
        };
        self.links.values().filter_map(deadline).min()
    }

    /// Closes what is to be closed: losers of duplicates, the condemned, the deaf, and who hides its policy.
    pub(super) fn link_deadlines(&mut self, now: Now) {
        let over = |at: Option<Duration>| at.is_some_and(|at| at <= now.mono);
        self.keep_what_still_speaks(now);
        self.wait_in_a_crowd(now);
        let mut close = Vec::new();
        for link in self.links.values() {
            let deaf = over(link.subscribe_by);
            let hides = over(link.policy_by) && link.ticket.claims().policy > self.policy().number;
            if over(link.close_at) || deaf || hides {
                close.push((link.id, link.peer, hides));
            }
        }
        for link in self.links.values_mut() {
            if over(link.policy_by) {
                link.policy_by = None;
            }
            if over(link.close_at) {
                link.close_at = None;
            }
            if over(link.subscribe_by) {
                // Closing takes a moment; do not ask for it again in every turn.
                link.subscribe_by = Some(now.mono.saturating_add(SUBSCRIBE_DEADLINE));
            }
        }
        for (id, peer, hides) in close {
            if hides {
                self.book.postpone(peer, now.mono.saturating_add(DENY_FOR));
            }
            self.outputs.push_back(Output::Close(id));
        }
    }

    /// Many links may have come up since a deadline was set, and all take longer then.
    fn wait_in_a_crowd(&mut self, now: Now) {
        let is_due = |link: &&Link| link.subscribe_by.is_some_and(|at| at <= now.mono);
        let due: Vec<(LinkId, Duration)> = self
            .links
            .values()
            .filter(is_due)
            .map(|link| (link.id, link.since.saturating_add(self.subscribe_within(link.peer))))
            .collect();
        for (id, by) in due.into_iter().filter(|(_id, by)| *by > now.mono) {
            if let Some(link) = self.links.get_mut(&id) {
                link.subscribe_by = Some(by);
            }
        }
    }

    /// gossipsub tells its topics on the first of two links only: that one stays until they have arrived.
    fn keep_what_still_speaks(&mut self, now: Now) {
        let subscribed = &self.subscribed;
        let speaks =
            |peer| !subscribed.get(&peer).is_some_and(|topics| topics.contains(&Topic::Control));
        for link in self.links.values_mut().filter(|link| link.is_duplicate && speaks(link.peer)) {
            link.close_at =
                link.close_at.map(|at| at.max(now.mono.saturating_add(DUPLICATE_CLOSE)));
        }
    }

    /// Whether a peer hears what is published on a topic, as far as it has said.
    #[must_use]
    pub fn hears(&self, peer: PeerKey, topic: Topic) -> bool {
        self.subscribed.get(&peer).is_some_and(|topics| topics.contains(&topic))
    }

    pub(super) fn links_to(&self, peer: PeerKey) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |link| link.peer == peer)
    }

    pub(super) fn is_linked(&self, peer: PeerKey) -> bool {
        self.links_to(peer).next().is_some()
    }

    pub(super) fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// A linked peer's ticket was renewed.
    pub(super) fn renew_links(&mut self, peer: PeerKey, ticket: &Arc<Ticket>) {
        for link in self.links.values_mut().filter(|link| link.peer == peer) {
            if ticket.claims().issued_at_s > link.ticket.claims().issued_at_s {
                link.ticket = Arc::clone(ticket);
            }
        }
    }
}

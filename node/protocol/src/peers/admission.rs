//! Which peers may be linked: one pure judgement, which the gate makes before yamux, and the engine again when the link
//! is up.
//!
//! ```text
//! Hello ─▶ realm, denied? ─▶ signed? ─▶ of this key? ─▶ in its life? ─▶ banned, revoked? ─▶ boot, crowd ─▶ Admission
//! ```
//!
//! The gate runs in a connection's own task and sees a snapshot, the [`AdmissionView`]; the engine publishes a new one
//! after every change (PROTOCOL.md R-83 to R-90). The gate passes on what it admits as an [`Admission`], so a ticket's
//! signature is checked only once. Everything else is judged again when the link is up, because a ban or another link
//! may have come in between.
//!
//! # What an outsider can make the engine do
//! A peer without a valid ticket of this realm reaches the engine only as a refusal: its key, which Noise has proved,
//! the boot that it claims, and our verdict. The engine keeps none of this for a peer that it has not dialled. A boot
//! counts only with [`VerdictCode::Busy`], and only a valid ticket gets `Busy` or [`VerdictCode::NotYetValid`]. The
//! engine listens to a verdict on us only from a peer that we have dialled or admitted. Such a verdict affects when we
//! dial that peer again, and how often we ask the login node for the time, which has a rate limit of its own. The
//! driver bounds the rest: refusals wait in one bounded queue, and what does not fit is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::boots::Boots;
use crate::hello::{Hello, Verdict, VerdictCode};
use crate::history::{Author, Rules};
use crate::ids::{AccountId, PeerKey};
use crate::limits::LINK_GRACE_MS;
use crate::ticket::{Ticket, TicketError};
use crate::time::{Now, RealmClock};

/// While our dial is younger than this, the peer at the other end need not dial us.
const DIAL_IS_FRESH: Duration = Duration::from_secs(1);
/// Links of one account: more devices than anyone owns, and few of the 256 links that a peer can have.
pub(crate) const LINKS_PER_ACCOUNT: usize = 16;
/// The same for a peer that keeps only a few links because there are many peers.
pub(crate) const LINKS_PER_ACCOUNT_THIN: usize = 2;

/// The data that a gate uses to judge. Each part belongs to the component that changes it, and a clone copies pointers.
#[derive(Debug, Clone)]
pub struct AdmissionView {
    /// Our side of the gate.
    pub own: Arc<Own>,
    /// The rules, for bans and revocations.
    pub rules: Arc<Rules>,
    /// Realm time as this peer knows it.
    pub clock: RealmClock,
    /// The links that stand, and what is known of their peers.
    pub links: Arc<GateLinks>,
    /// The peers that we are dialling, and since when, on the monotonic clock.
    pub dialling: Arc<BTreeMap<PeerKey, Duration>>,
}

/// What our gate shows about us.
#[derive(Debug, Clone)]
pub struct Own {
    /// Our realm.
    pub realm: PeerKey,
    /// Our key, which no other peer may prove.
    pub peer: PeerKey,
    /// The number of this boot.
    pub boot: u64,
    /// Our ticket.
    pub ticket: Arc<Ticket>,
}

/// What a gate knows about the links.
#[derive(Debug, Clone, Default)]
pub struct GateLinks {
    /// All current links, oldest first.
    pub standing: Vec<Standing>,
    /// The largest boot known of each peer.
    pub boots: Arc<Boots>,
    /// Peers that are denied until a time on the monotonic clock.
    pub denied: BTreeMap<PeerKey, Duration>,
    /// With many peers: our neighbours in the ring. Each other account then has [`LINKS_PER_ACCOUNT_THIN`] links.
    pub thin_ring: Option<Arc<BTreeSet<PeerKey>>>,
}

/// A current link, as the gate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The peer at the other end.
    pub peer: PeerKey,
    /// The boot of the peer.
    pub boot: u64,
    /// The account of its ticket.
    pub account: AccountId,
}

impl GateLinks {
    /// The boot of the newest link to a peer.
    fn boot_of(&self, peer: PeerKey) -> Option<u64> {
        self.standing.iter().rev().find(|link| link.peer == peer).map(|link| link.boot)
    }
}

/// Our side of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We dialled the other peer.
    Dialler,
    /// The other peer dialled us.
    Listener,
}

/// A peer that may be linked. Only [`judge`] makes one, so the realm has signed its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    ticket: Arc<Ticket>,
    hello: Hello,
}

impl AdmissionView {
    /// Our Hello as of now.
    #[must_use]
    pub fn hello_at(&self, now: Now) -> Hello {
        Hello {
            realm: self.own.realm,
            time: self.clock.peek_ms(now),
            boot: self.own.boot,
            policy: self.rules.policy().number,
            ticket: self.own.ticket.as_bytes().to_vec(),
        }
    }

    /// Whether a gate that has `earlier` does not need this view: all parts are the same, and the clock has only moved
    /// on.
    pub(crate) fn is_same_as(&self, earlier: &Self) -> bool {
        Arc::ptr_eq(&self.own, &earlier.own)
            && Arc::ptr_eq(&self.rules, &earlier.rules)
            && Arc::ptr_eq(&self.links, &earlier.links)
            && Arc::ptr_eq(&self.dialling, &earlier.dialling)
            && self.clock.goes_on_from(&earlier.clock)
    }
}

impl Admission {
    /// The verified ticket.
    #[must_use]
    pub fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// The Hello that the peer sent.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Judges again by what has become known since the gate decided. The signature is not checked again.
    ///
    /// # Errors
    /// The [`Verdict`] that the gate would give now.
    pub fn judge_again(
        &self,
        view: &AdmissionView,
        peer: PeerKey,
        now: Now,
    ) -> Result<(), Verdict> {
        judge_denied(view, peer, now)?;
        judge_claims(view, peer, &self.ticket, now).map_err(Verdict::plain)?;
        judge_boot(view, peer, self.hello.boot)?;
        judge_crowd(view, &self.ticket)
    }

    /// An admission as if a gate had let everybody in.
    #[cfg(any(test, feature = "test-utils"))]
    pub(crate) fn unjudged(hello: Hello) -> Result<Self, TicketError> {
        let ticket = Arc::new(Ticket::verify(&hello.ticket, &hello.realm)?);
        Ok(Self { ticket, hello })
    }
}

/// Judges a Hello from the peer whose key Noise has proved.
///
/// # Errors
/// The [`Verdict`] to answer with.
pub fn judge(
    view: &AdmissionView,
    peer: PeerKey,
    hello: Hello,
    now: Now,
) -> Result<Admission, Verdict> {
    if hello.realm != view.own.realm {
        return Err(Verdict::plain(VerdictCode::WrongRealm));
    }
    // Before the signature, so that a denied peer cannot make us check one.
    judge_denied(view, peer, now)?;
    let ticket = Ticket::verify(&hello.ticket, &view.own.realm)
        .map_err(|error| Verdict::plain(ticket_verdict(error)))?;
    let admission = Admission { ticket: Arc::new(ticket), hello };
    admission.judge_again(view, peer, now)?;
    Ok(admission)
}

fn judge_denied(view: &AdmissionView, peer: PeerKey, now: Now) -> Result<(), Verdict> {
    let is_denied = view.links.denied.get(&peer).is_some_and(|until| now.mono < *until);
    if is_denied { Err(Verdict::plain(VerdictCode::Denied)) } else { Ok(()) }
}

/// Judges whether an admissible link is one too many (PROTOCOL.md R-98): two links to one peer get in each other's way,
/// and gossipsub announces its topics only on the first.
///
/// One existing link with the same boot is enough. Of two dials that cross, the one made by the smaller key continues:
/// that peer refuses connections from a peer that it is dialling itself.
///
/// # Errors
/// [`VerdictCode::Busy`].
pub fn judge_redundancy(
    view: &AdmissionView,
    peer: PeerKey,
    hello: &Hello,
    side: Side,
    now: Now,
) -> Result<(), Verdict> {
    let stands = view.links.boot_of(peer) == Some(hello.boot);
    let dialled = view.dialling.get(&peer);
    let crosses = side == Side::Listener
        && view.own.peer < peer
        && dialled.is_some_and(|since| now.mono.saturating_sub(*since) < DIAL_IS_FRESH);
    if stands || crosses { Err(Verdict::plain(VerdictCode::Busy)) } else { Ok(()) }
}

/// Judges the ticket of an existing link again: its lifetime, bans and revocations.
///
/// # Errors
/// The [`VerdictCode`] for which the link must close.
pub fn judge_claims(
    view: &AdmissionView,
    peer: PeerKey,
    ticket: &Ticket,
    now: Now,
) -> Result<(), VerdictCode> {
    let claims = ticket.claims();
    let realm_now_ms = view.clock.peek_ms(now);
    if claims.peer != peer || peer == view.own.peer {
        return Err(VerdictCode::NotYours);
    }
    if realm_now_ms < claims.not_before_ms() {
        return Err(VerdictCode::NotYetValid);
    }
    if realm_now_ms >= claims.expires_at_ms().saturating_add(LINK_GRACE_MS) {
        return Err(VerdictCode::Expired);
    }
    // A slow clock must not hide a ban that begins when the policy was signed. A ticket's lifetime depends on our own
    // time alone, because a policy signed by a fast clock must not end all tickets.
    let sanctions_ms = realm_now_ms.max(view.rules.policy().issued_at);
    if view.rules.ban_at(&Author::of(ticket), sanctions_ms).is_some() {
        return Err(VerdictCode::Banned);
    }
    if view.rules.policy().revocation_of(claims.account, peer, claims.issued_at_ms()).is_some() {
        return Err(VerdictCode::Revocation);
    }
    Ok(())
}

fn ticket_verdict(error: TicketError) -> VerdictCode {
    match error {
        TicketError::OtherRealm => VerdictCode::WrongRealm,
        TicketError::Malformed(_) | TicketError::Claim(_) | TicketError::BadSignature => {
            VerdictCode::BadTicket
        }
    }
}

/// Stops one account with a great many devices from taking the links that others need (PROTOCOL.md R-99).
fn judge_crowd(view: &AdmissionView, ticket: &Ticket) -> Result<(), Verdict> {
    let claims = ticket.claims();
    let most = match &view.links.thin_ring {
        None => LINKS_PER_ACCOUNT,
        // The ring keeps the mesh together, and one account has few places in it.
        Some(ring) if ring.contains(&claims.peer) => LINKS_PER_ACCOUNT,
        Some(_ring) => LINKS_PER_ACCOUNT_THIN,
    };
    let of_account = |link: &&Standing| link.account == claims.account;
    let links = view.links.standing.iter().filter(of_account).count();
    if links < most { Ok(()) } else { Err(Verdict::plain(VerdictCode::Busy)) }
}

/// Judges a boot. While an older link is up, a larger boot is busy until that link closes; a smaller one is superseded,
/// with proof if there is any. Otherwise a second connection beside a stale one would never hear our topics
/// (rust-libp2p #5097).
fn judge_boot(view: &AdmissionView, peer: PeerKey, boot: u64) -> Result<(), Verdict> {
    let linked = view.links.boot_of(peer);
    if linked.is_some_and(|linked| linked < boot) {
        return Err(Verdict::plain(VerdictCode::Busy));
    }
    match view.links.boots.get(peer) {
        Some(known) if boot < known.boot => Err(match &known.proof {
            Some(proof) => Verdict { code: VerdictCode::Superseded, proof: Some(proof.to_vec()) },
            None => Verdict::plain(VerdictCode::Busy),
        }),
        _first_or_same_or_newer => Ok(()),
    }
}

#[cfg(test)]
mod tests;

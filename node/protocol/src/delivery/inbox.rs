//! Opens what arrives: checks that it parses, belongs to this realm, and was signed by its author.
//!
//! Takes in bytes and returns their content, or why they are [`Refused`]. Owns what keeps this cheap and fair: the
//! tickets it has verified, the pace of each author, and the count of refusals. The caller decides what to do with an
//! object.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::cose::{Envelope, Kind};
use crate::history::{Author, History};
use crate::identity::Identity;
use crate::ids::{AccountId, MessageId, PeerKey, TicketHash};
use crate::limits::{MESSAGE_BYTES_MAX, POLICY_HEAD_BYTES_MAX};
use crate::message::{SignedMessage, VerifiedMessage};
use crate::moderation::SignedModeration;
use crate::policy::{PolicyError, PolicyHead};
use crate::presence::SignedPresence;
use crate::reconcile::TokenBucket;
use crate::ticket::{self, Ticket};
use crate::time::Now;
use crate::verdict::Refused;
use crate::wire::{DecodeError, Pair};

/// How many verified tickets are cached by their hash.
const TICKET_CACHE_MAX: usize = 4_096;

/// How many gossip messages per second are processed from an account that has used up its quota. Each is refused or
/// displaces another one; an honest author sends none.
const CROWDED_PER_S: u64 = 1;
/// The burst that [`CROWDED_PER_S`] allows.
pub(crate) const CROWDED_BURST: u64 = 60;
/// How many presences of one device are processed per second: more often than its state can change.
const PRESENCES_PER_S: u64 = 1;
/// The burst that [`PRESENCES_PER_S`] allows.
pub(crate) const PRESENCES_BURST: u64 = 30;

/// The first byte of an envelope without a ticket. On `control` that is a policy head.
const BARE_ENVELOPE: u8 = 0x84;

/// An object that arrived on `control`.
#[derive(Debug)]
pub(crate) enum Control {
    Head(PolicyHead),
    Moderation(SignedModeration),
    Presence(SignedPresence),
}

/// A message from a batch.
#[derive(Debug)]
pub(crate) enum Brought {
    /// It has arrived another way in the meantime.
    Held(MessageId),
    New(VerifiedMessage),
}

/// Opens and checks objects.
#[derive(Debug)]
pub(crate) struct Inbox {
    realm: PeerKey,
    tickets: TicketCache,
    crowded: Paces<AccountId>,
    presences: Paces<PeerKey>,
    /// How often gossip was refused, by [`Refused::code`].
    refusals: BTreeMap<&'static str, u64>,
}

impl Inbox {
    pub(crate) fn new(realm: PeerKey) -> Self {
        Self {
            realm,
            tickets: TicketCache::default(),
            crowded: Paces::default(),
            presences: Paces::default(),
            refusals: BTreeMap::new(),
        }
    }

    /// Opens a message from gossip. The cheapest check comes first; a signature is checked only for ids that are not
    /// held.
    pub(crate) fn open_message(
        &mut self,
        bytes: &[u8],
        history: &History,
        now: Now,
    ) -> Result<VerifiedMessage, Refused> {
        let signed = SignedMessage::parse(bytes)?;
        let sent_at = signed.content().sent_at;
        if history.set().contains(sent_at, signed.id()) {
            return Err(Refused::Held);
        }
        let ticket = self.tickets.verify(signed.ticket_bytes(), &self.realm)?;
        if history.full_until(&Author::of(&ticket), sent_at).is_some()
            && !self.crowded.take(ticket.claims().account, CROWDED_PER_S, CROWDED_BURST, now)
        {
            return Err(Refused::TooFast);
        }
        signed.verify(ticket)
    }

    /// Opens an object from `control`.
    pub(crate) fn open_control(&mut self, bytes: &[u8]) -> Result<Control, Refused> {
        if bytes.first() == Some(&BARE_ENVELOPE) {
            return open_head(bytes, &self.realm).map(Control::Head);
        }
        let (tickets, realm) = (&mut self.tickets, &self.realm);
        let verify = |ticket: &[u8]| tickets.verify(ticket, realm);
        if kind_in_pair(bytes) == Some(Kind::Moderation) {
            SignedModeration::verify(bytes, realm, verify).map(Control::Moderation)
        } else {
            SignedPresence::verify(bytes, verify).map(Control::Presence)
        }
    }

    /// Opens a message that a neighbour has served.
    pub(crate) fn open_brought(
        &mut self,
        pair: Pair<'_>,
        history: &History,
    ) -> Result<Brought, Refused> {
        if pair.ticket.len() + pair.object.len() > MESSAGE_BYTES_MAX {
            return Err(DecodeError::TooLong { max: MESSAGE_BYTES_MAX }.into());
        }
        let signed = SignedMessage::from_pair(pair)?;
        if history.set().contains(signed.content().sent_at, signed.id()) {
            return Ok(Brought::Held(signed.id()));
        }
        let ticket = self.tickets.verify(signed.ticket_bytes(), &self.realm)?;
        signed.verify(ticket).map(Brought::New)
    }

    /// Opens a moderation that a neighbour has served.
    pub(crate) fn open_brought_moderation(
        &mut self,
        pair: Pair<'_>,
    ) -> Result<SignedModeration, Refused> {
        let (tickets, realm) = (&mut self.tickets, &self.realm);
        SignedModeration::from_pair(pair, realm, |ticket| tickets.verify(ticket, realm))
    }

    /// Whether the proof in a verdict is a presence signed by our own key in a newer boot.
    pub(crate) fn proves_newer_start(&mut self, proof: Option<&[u8]>, me: &Identity) -> bool {
        let (tickets, realm) = (&mut self.tickets, &self.realm);
        let verify = |ticket: &[u8]| tickets.verify(ticket, realm);
        let signed = proof.and_then(|pair| SignedPresence::verify(pair, verify).ok());
        signed.is_some_and(|signed| {
            signed.ticket.claims().peer == me.peer() && signed.presence.boot > me.boot()
        })
    }

    /// Whether a device may update its presence again yet.
    pub(crate) fn may_show(&mut self, peer: PeerKey, now: Now) -> bool {
        self.presences.take(peer, PRESENCES_PER_S, PRESENCES_BURST, now)
    }

    /// Counts a refusal of gossip.
    pub(crate) fn count(&mut self, refused: Refused) {
        let count = self.refusals.entry(refused.code()).or_default();
        *count = count.saturating_add(1);
    }

    /// How often gossip was refused, by [`Refused::code`].
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (&'static str, &u64)> {
        self.refusals.iter().map(|(code, count)| (*code, count))
    }

    /// Forgets authors and devices that have slowed down again.
    pub(crate) fn tidy(&mut self, now: Now) {
        self.crowded.forget_full(now);
        self.presences.forget_full(now);
    }
}

fn open_head(bytes: &[u8], realm: &PeerKey) -> Result<PolicyHead, Refused> {
    PolicyHead::verify(bytes, realm).map_err(|error| match error {
        PolicyError::Malformed(DecodeError::Malformed) => foreign_kind(bytes),
        PolicyError::Malformed(decode) => Refused::Malformed(decode),
        PolicyError::OtherRealm | PolicyError::BadSignature | PolicyError::TooLarge => {
            Refused::Signature
        }
    })
}

/// Why a bare envelope on `control` that is not a policy head is refused: a later kind is ignored, a known one is
/// misplaced.
fn foreign_kind(bytes: &[u8]) -> Refused {
    match Envelope::parse(bytes, POLICY_HEAD_BYTES_MAX).map(|envelope| envelope.kind) {
        Ok(None) => Refused::Unknown,
        Ok(Some(Kind::PolicyHead)) | Err(_) => Refused::Malformed(DecodeError::Malformed),
        Ok(Some(_other)) => Refused::WrongTopic,
    }
}

fn kind_in_pair(bytes: &[u8]) -> Option<Kind> {
    let pair = Pair::parse(bytes, bytes.len()).ok()?;
    Envelope::parse(pair.object, bytes.len()).ok()?.kind
}

/// How often each account or device may cause work for all others. It counts only what is unusual, so it is empty on a
/// quiet day.
#[derive(Debug)]
struct Paces<K>(BTreeMap<K, TokenBucket>);

impl<K> Default for Paces<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Paces<K> {
    fn take(&mut self, of: K, per_s: u64, burst: u64, now: Now) -> bool {
        let bucket = self.0.entry(of).or_insert_with(|| TokenBucket::new(per_s, burst, now.mono));
        bucket.take(1, now.mono).is_ok()
    }

    /// Drops the buckets that are full again, which are as good as new ones.
    fn forget_full(&mut self, now: Now) {
        self.0.retain(|_of, bucket| !bucket.is_full(now.mono));
    }
}

/// Tickets whose signature was verified, so that each further message costs only one signature check.
#[derive(Debug, Default)]
struct TicketCache {
    by_hash: BTreeMap<TicketHash, Arc<Ticket>>,
    /// The hashes of the tickets, oldest first, so that a full cache forgets the oldest.
    order: VecDeque<TicketHash>,
}

impl TicketCache {
    fn verify(&mut self, bytes: &[u8], realm: &PeerKey) -> Result<Arc<Ticket>, Refused> {
        let hash = ticket::hash(bytes);
        if let Some(known) = self.by_hash.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let ticket = Arc::new(Ticket::verify(bytes, realm).map_err(Refused::Ticket)?);
        self.by_hash.insert(hash, Arc::clone(&ticket));
        self.order.push_back(hash);
        if self.order.len() > TICKET_CACHE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::public_key;
    use crate::testing::{self, T0};
    use crate::verdict::Acceptance;

    const NOW: Now = Now { mono: std::time::Duration::ZERO, wall_ms: T0 };

    fn realm() -> PeerKey {
        public_key(&testing::key(1))
    }

    fn message(realm: u8) -> Vec<u8> {
        let (realm, author) = (testing::key(realm), testing::key(2));
        testing::message(&realm, &author, "alice", "hello", T0).to_gossip()
    }

    fn bent(mut bytes: Vec<u8>) -> Vec<u8> {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    }

    #[test]
    fn r42_only_what_its_author_signed_under_a_ticket_is_opened() {
        let mut inbox = Inbox::new(realm());
        let mut history = History::new(Arc::new(testing::policy(&testing::key(1))));
        let mut open = |bytes: &[u8], history: &History| inbox.open_message(bytes, history, NOW);
        for forged in [bent(message(1)), message(9), Vec::new()] {
            let refused = open(&forged, &history).unwrap_err();
            assert_eq!(refused.acceptance(), Acceptance::Reject, "{refused}");
        }
        let opened = open(&message(1), &history).unwrap();
        history.take(opened).unwrap();
        assert_eq!(open(&message(1), &history), Err(Refused::Held));
    }

    #[test]
    fn control_carries_presences_moderations_and_heads() {
        let mut inbox = Inbox::new(realm());
        let mut open = |bytes: &[u8]| inbox.open_control(bytes);
        let (realm, alice) = (testing::key(1), testing::key(2));
        let presence = testing::presence(&realm, &alice, "alice", 1, 0, T0).pair;
        assert!(matches!(open(&presence), Ok(Control::Presence(_))));
        let kind = crate::moderation::ModerationKind::Mute;
        let moderation = testing::moderation(kind, "bob", T0, T0 + 1_000).to_gossip();
        assert!(matches!(open(&moderation), Ok(Control::Moderation(_))));
        let policy = crate::policy::SignedPolicy::sign(testing::policy(&realm), &realm).unwrap();
        assert!(matches!(open(&policy.sign_head(&realm)), Ok(Control::Head(_))));
        assert_eq!(open(&message(1)).unwrap_err(), Refused::WrongTopic);
    }

    #[test]
    fn a_device_shows_itself_at_a_pace_and_is_forgotten() {
        let (mut inbox, peer) = (Inbox::new(realm()), PeerKey([7; 32]));
        let shown = (0..2 * PRESENCES_BURST).filter(|_| inbox.may_show(peer, NOW)).count();
        assert_eq!(shown as u64, PRESENCES_BURST);
        inbox.tidy(NOW);
        assert_eq!(inbox.presences.0.len(), 1);
        inbox.tidy(Now { mono: std::time::Duration::from_secs(3_600), ..NOW });
        assert!(inbox.presences.0.is_empty());
    }
}

//! Gossip: exactly one verdict for each message, in the same turn, without disk or network.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::cose::{Envelope, Kind};
use crate::history::{Author, Resettled, Taken};
use crate::ids::{AccountId, PeerKey, TicketHash};
use crate::limits::{
    CROWDED_BURST, CROWDED_PER_S, POLICY_HEAD_BYTES_MAX, PRESENCES_BURST, PRESENCES_PER_S,
    TICKET_CACHE_MAX,
};
use crate::message::{Arrival, SignedMessage, VerifiedMessage};
use crate::policy::{PolicyError, PolicyHead};
use crate::presence::SignedPresence;
use crate::reconcile::TokenBucket;
use crate::ticket::{self, Ticket};
use crate::time::Now;
use crate::verdict::{Acceptance, Refused};
use crate::wire::{DecodeError, Pair};

use super::{Engine, GossipId, Output, Topic};

/// First byte of an envelope without a ticket, which on `control` is a policy head.
const BARE_ENVELOPE: u8 = 0x84;

impl Engine {
    pub(super) fn gossip(
        &mut self,
        id: GossipId,
        source: PeerKey,
        topic: Topic,
        bytes: &[u8],
        now: Now,
    ) {
        let judged = match topic {
            Topic::Direct | Topic::Mesh => self.judge_message(source, bytes, now),
            Topic::Control if bytes.first() == Some(&BARE_ENVELOPE) => {
                self.judge_policy_head(source, bytes, now)
            }
            Topic::Control => self.judge_pair(bytes, now),
        };
        if let Err(refused) = judged {
            let count = self.refusals.entry(refused.code()).or_default();
            *count = count.saturating_add(1);
        }
        let acceptance = judged.map_or_else(Refused::acceptance, |()| Acceptance::Accept);
        self.fx.output(Output::Verdict { id, source, acceptance });
        if acceptance == Acceptance::Reject {
            self.count_reject(source, now);
        }
    }

    /// Cheapest check first; a signature is checked only for ids that are not held.
    fn judge_message(&mut self, source: PeerKey, bytes: &[u8], now: Now) -> Result<(), Refused> {
        self.note_gossip(source, now);
        let signed = SignedMessage::parse(bytes)?;
        if self.history.set().contains(signed.content().sent_at, signed.id()) {
            return Err(Refused::Held);
        }
        let ticket = self.tickets.verify(signed.ticket_bytes(), &self.me.realm())?;
        let author = ticket.claims().peer;
        let sent_at = signed.content().sent_at;
        if self.history.full_until(&Author::of(&ticket), sent_at).is_some()
            && !self.paces.may_crowd(ticket.claims().account, now)
        {
            return Err(Refused::TooFast);
        }
        if self.take_message(signed.verify(ticket)?, Arrival::Gossip, now)? {
            self.sync_hole(source, author, now);
        }
        Ok(())
    }

    /// Time, then the history; what both let pass goes to the store. Whether it has opened a hole in its session.
    pub(super) fn take_message(
        &mut self,
        message: VerifiedMessage,
        arrival: Arrival,
        now: Now,
    ) -> Result<bool, Refused> {
        let realm_ms = self.time.now_ms(now);
        message.check_arrival(arrival, realm_ms)?;
        let Taken { message, displaced, folded } = self.history.take(message, realm_ms)?;
        let opens_hole = self.note_receipt(&message, now);
        let message = Box::new(message);
        self.fx.output(Output::Store { message, arrival, folded });
        self.resettle(Resettled { displaced, ..Resettled::default() });
        Ok(opens_hole)
    }

    fn judge_policy_head(
        &mut self,
        source: PeerKey,
        bytes: &[u8],
        now: Now,
    ) -> Result<(), Refused> {
        let head = PolicyHead::verify(bytes, &self.me.realm()).map_err(|error| match error {
            PolicyError::Malformed(DecodeError::Malformed) => foreign_kind(bytes),
            PolicyError::Malformed(decode) => Refused::Malformed(decode),
            PolicyError::OtherRealm | PolicyError::BadSignature | PolicyError::TooLarge => {
                Refused::Signature
            }
        })?;
        let (ours, theirs) = (self.signed_policy.rank(), (head.number, head.sha256));
        if theirs < ours {
            return Err(Refused::Held);
        }
        if theirs > ours {
            self.fetch_policy(source, head.number, now);
            self.fall_behind(theirs, now);
        }
        Ok(())
    }

    /// Presence and moderations travel on `control` as pairs.
    fn judge_pair(&mut self, bytes: &[u8], now: Now) -> Result<(), Refused> {
        if kind_in_pair(bytes) == Some(Kind::Moderation) {
            return self.judge_moderation(bytes, now);
        }
        let (tickets, realm) = (&mut self.tickets, &self.me.realm());
        let signed = SignedPresence::verify(bytes, |ticket| tickets.verify(ticket, realm))?;
        self.observe_presence(&signed, now)
    }
}

/// What a bare envelope on `control` is that is no policy head: a later kind is ignored, a known one is misplaced.
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

/// How often one member may make all others do something on gossip. Only what is unusual is counted, so these maps are
/// empty on a quiet day.
#[derive(Debug, Default)]
pub(super) struct Paces {
    crowded: BTreeMap<AccountId, TokenBucket>,
    presences: BTreeMap<PeerKey, TokenBucket>,
}

impl Paces {
    /// Whether a message of an account whose quota is used up is looked at.
    fn may_crowd(&mut self, account: AccountId, now: Now) -> bool {
        let fresh = || TokenBucket::new(CROWDED_PER_S, CROWDED_BURST, now.mono);
        self.crowded.entry(account).or_insert_with(fresh).take(1, now.mono).is_ok()
    }

    /// Whether a device may say once more how it is.
    pub(super) fn may_show(&mut self, peer: PeerKey, now: Now) -> bool {
        let fresh = || TokenBucket::new(PRESENCES_PER_S, PRESENCES_BURST, now.mono);
        self.presences.entry(peer).or_insert_with(fresh).take(1, now.mono).is_ok()
    }

    /// A bucket that is full again is as good as none.
    pub(super) fn forget_full(&mut self, now: Now) {
        self.crowded.retain(|_account, bucket| !bucket.is_full(now.mono));
        self.presences.retain(|_peer, bucket| !bucket.is_full(now.mono));
    }
}

/// Tickets whose issuer's signature was good, so that steady state costs one signature check a message.
#[derive(Debug, Default)]
pub(super) struct TicketCache {
    by_hash: BTreeMap<TicketHash, Arc<Ticket>>,
    moderation: VecDeque<TicketHash>,
}

impl TicketCache {
    pub(super) fn verify(&mut self, bytes: &[u8], realm: &PeerKey) -> Result<Arc<Ticket>, Refused> {
        let hash = ticket::hash(bytes);
        if let Some(known) = self.by_hash.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let ticket = Arc::new(Ticket::verify(bytes, realm).map_err(Refused::Ticket)?);
        self.by_hash.insert(hash, Arc::clone(&ticket));
        self.moderation.push_back(hash);
        if self.moderation.len() > TICKET_CACHE_MAX
            && let Some(oldest) = self.moderation.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
        Ok(ticket)
    }
}

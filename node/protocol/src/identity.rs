//! Who we are in this realm: our key, our ticket, our boot, and whether our membership has ended.
//!
//! Takes in a renewed ticket and the end of our membership, and signs our objects. Puts out [`Event::Ended`], once.

use std::sync::Arc;

use ed25519_dalek::SigningKey;

use crate::admission::Own;
use crate::cose::public_key;
use crate::effects::Effects;
use crate::history::Author;
use crate::ids::{PeerKey, Role};
use crate::io::{EndReason, Event};
use crate::message::{Content, Draft, VerifiedMessage};
use crate::moderation::{Moderation, SignedModeration};
use crate::presence::{Presence, SignedPresence};
use crate::ticket::Ticket;
use crate::verdict::Refused;

#[derive(Debug)]
pub(crate) struct Identity {
    key: SigningKey,
    /// What our gate shows to peers.
    own: Arc<Own>,
    session: u64,
    /// The number of our next message in this session.
    seq: u64,
    ended: bool,
}

impl Identity {
    pub(crate) fn new(key: SigningKey, ticket: Ticket, boot: u64, session: u64) -> Self {
        let (peer, realm) = (public_key(&key), ticket.claims().realm);
        let own = Arc::new(Own { realm, peer, boot, ticket: Arc::new(ticket) });
        Self { key, own, session, seq: 0, ended: false }
    }

    pub(crate) fn peer(&self) -> PeerKey {
        self.own.peer
    }

    pub(crate) fn realm(&self) -> PeerKey {
        self.own.realm
    }

    pub(crate) fn boot(&self) -> u64 {
        self.own.boot
    }

    pub(crate) fn session(&self) -> u64 {
        self.session
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket> {
        &self.own.ticket
    }

    pub(crate) fn own(&self) -> &Arc<Own> {
        &self.own
    }

    /// What the rules need to know about us as an author.
    pub(crate) fn author(&self) -> Author {
        Author::of(self.ticket())
    }

    /// Whether we are the authority peer.
    pub(crate) fn is_authority(&self) -> bool {
        self.ticket().claims().role == Role::Authority
    }

    /// Whether our membership has ended or we have said goodbye. Then we dial and send nothing.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn renew(&mut self, ticket: Ticket) {
        Arc::make_mut(&mut self.own).ticket = Arc::new(ticket);
    }

    pub(crate) fn end(&mut self, reason: EndReason, fx: &mut Effects) {
        if !std::mem::replace(&mut self.ended, true) {
            fx.event(Event::Ended(reason));
        }
    }

    /// Notes that we leave by choice.
    pub(crate) fn leave(&mut self) {
        self.ended = true;
    }

    /// Signs the next message of our session. Its number is used up only when the message is [`Self::said`].
    pub(crate) fn sign_message(&self, draft: Draft, at: u64) -> Result<VerifiedMessage, Refused> {
        let (Draft { room, body }, session, seq) = (draft, self.session, self.seq);
        let content = Content { room, session, seq, sent_at: at, body };
        VerifiedMessage::author(content, Arc::clone(self.ticket()), &self.key)
    }

    pub(crate) fn said(&mut self) {
        self.seq = self.seq.saturating_add(1);
    }

    pub(crate) fn sign_moderation(&self, content: Moderation) -> Result<SignedModeration, Refused> {
        SignedModeration::author(content, Arc::clone(self.ticket()), &self.key)
    }

    pub(crate) fn sign_presence(&self, presence: Presence) -> SignedPresence {
        SignedPresence::author(presence, Arc::clone(self.ticket()), &self.key)
    }
}

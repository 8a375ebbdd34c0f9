//! What becomes of the answers to a round: each message and each moderation is judged as if it came from a stranger, by the
//! same law as what gossip brings.

use std::time::Duration;

use crate::ids::{MessageId, PeerKey};
use crate::limits::{
    AHEAD_MS_MAX, BACKFILL_NOTICE_MIN, BATCH_USE_MIN, LATER_RETRY, MESSAGE_BYTES_MAX,
};
use crate::message::{Arrival, SignedMessage};
use crate::moderation::SignedModeration;
use crate::reconcile::{AskTag, Batch, SetName, SyncReply, parse_frames};
use crate::time::Now;
use crate::verdict::{Acceptance, Refused};
use crate::wire::{DecodeError, Pair};
use crate::words;

use super::super::Engine;
use super::{MINUTE_MS, Own, Running};
use crate::io::Event;

impl Engine {
    /// An answer to a request of a round.
    pub(in crate::engine) fn round_answered(
        &mut self,
        peer: PeerKey,
        (round, tag): (u64, AskTag),
        asked: &[MessageId],
        reply: Option<SyncReply>,
        now: Now,
    ) {
        let running = self.syncing.running.get(&peer);
        if running.is_none_or(|running| running.number != round) {
            return;
        }
        let body = match reply {
            Some(SyncReply::Ok(body)) => Some(body),
            Some(SyncReply::Later) => {
                if let Some(running) = self.syncing.running.get_mut(&peer) {
                    running.round.on_later(tag);
                    running.wait_until = Some(now.mono.saturating_add(LATER_RETRY));
                }
                return;
            }
            Some(SyncReply::Unsupported | SyncReply::NotFound) | None => None,
        };
        let understood = match body {
            Some(body) if asked.is_empty() => self.take_frames(peer, tag, &body, now),
            Some(body) => self.take_batch(peer, tag, &body, now),
            None => false,
        };
        if !understood && let Some(running) = self.syncing.running.get_mut(&peer) {
            running.round.on_failure(tag);
        }
        self.go_on(peer, now);
    }

    fn take_frames(&mut self, peer: PeerKey, tag: AskTag, body: &[u8], now: Now) -> bool {
        let Ok(frames) = parse_frames(body) else { return false };
        let (history, sets, flights) = (&self.history, &self.item_sets, &self.syncing.flights);
        let source = Own { history, sets, flights, peer, mono: now.mono };
        if let Some(running) = self.syncing.running.get_mut(&peer) {
            running.round.on_frames(tag, frames, &source);
        }
        true
    }

    /// Judges what a peer has sent, all of it before the round learns what it was worth.
    fn take_batch(&mut self, peer: PeerKey, tag: AskTag, body: &[u8], now: Now) -> bool {
        let Ok(batch) = Batch::parse(body) else { return false };
        let Some(set) = self.syncing.running.get(&peer).map(|running| running.set) else {
            return true;
        };
        let recent = self.time.now_ms(now).saturating_sub(MINUTE_MS);
        let mut received = Vec::with_capacity(batch.len());
        let mut brought_recent = false;
        let before = self.size_of(set);
        let mut moderations = Vec::new();
        for pair in batch.pairs() {
            let judged = match set {
                SetName::Messages => self.take_synced_message(pair, recent, now),
                SetName::Moderations => {
                    self.synced_moderation(pair, &mut moderations, now).map(|id| (id, false))
                }
            };
            match judged {
                Ok((id, is_recent)) => {
                    received.push(id);
                    brought_recent |= is_recent;
                }
                Err(forged) => {
                    if forged.acceptance() == Acceptance::Reject {
                        self.count_reject(peer, now);
                    }
                }
            }
        }
        self.take_moderations(moderations, now);
        for id in &received {
            self.syncing.flights.landed(*id);
        }
        if let Some(mut running) = self.syncing.running.remove(&peer) {
            running.brought_recent |= brought_recent;
            let new = self.size_of(set).saturating_sub(before);
            if new > 0 {
                running.useful_at = now.mono;
            }
            if new.saturating_mul(BATCH_USE_MIN) < received.len() as u64 {
                running.round.on_useless_batch(tag, &received);
            } else {
                running.round.on_batch(tag, &received);
            }
            if now.mono >= running.told_at {
                running.told_at = now.mono.saturating_add(Duration::from_secs(1));
                self.tell_backfill(&running, false);
            }
            self.syncing.running.insert(peer, running);
        }
        true
    }

    fn size_of(&self, set: SetName) -> u64 {
        match set {
            SetName::Messages => self.history.set().len(),
            SetName::Moderations => self.rules().moderations().items().size_hint().0 as u64,
        }
    }

    /// The id of an authentic message, whatever the history says of it, and whether gossip should have brought it.
    fn take_synced_message(
        &mut self,
        pair: Pair<'_>,
        recent: u64,
        now: Now,
    ) -> Result<(MessageId, bool), Refused> {
        if pair.ticket.len() + pair.object.len() > MESSAGE_BYTES_MAX {
            return Err(DecodeError::TooLong { max: MESSAGE_BYTES_MAX }.into());
        }
        let signed = SignedMessage::from_pair(pair)?;
        let (id, sent_at) = (signed.id(), signed.content().sent_at);
        if self.history.set().contains(sent_at, id) {
            return Ok((id, false));
        }
        let ticket = self.tickets.verify(signed.ticket_bytes(), &self.me.realm())?;
        let message = signed.verify(ticket)?;
        let taken = self.take_message(message, Arrival::Sync, now);
        Ok((id, taken.is_ok() && sent_at >= recent))
    }

    /// The id of an authentic moderation. One that has no effect is none of the forwarder's guilt.
    fn synced_moderation(
        &mut self,
        pair: Pair<'_>,
        moderations: &mut Vec<SignedModeration>,
        now: Now,
    ) -> Result<MessageId, Refused> {
        let (tickets, realm) = (&mut self.tickets, &self.me.realm());
        let moderation =
            SignedModeration::from_pair(pair, realm, |ticket| tickets.verify(ticket, realm))?;
        let id = moderation.id();
        if moderation.content().from <= self.time.now_ms(now).saturating_add(AHEAD_MS_MAX) {
            moderations.push(moderation);
        }
        Ok(id)
    }

    /// A newcomer is told how far the backfill is; a few missing lines are not worth a word.
    pub(super) fn tell_backfill(&mut self, running: &Running, ended: bool) {
        let (brought, needed) = (running.round.brought(), running.round.needed());
        if running.set == SetName::Messages && needed >= BACKFILL_NOTICE_MIN {
            let is_whole = brought >= needed;
            let (brought, needed) = (words::grouped(brought), words::grouped(needed));
            let text = match (ended, is_whole) {
                (true, true) => format!("{brought} earlier messages have arrived."),
                (true, false) => format!("{brought} of {needed} earlier messages have arrived."),
                (false, _) => format!("Catching up: {brought} of {needed} earlier messages."),
            };
            self.fx.event(Event::Notice { code: "backfill", text });
        }
    }
}

//! The disk of a simulated peer: what the SQLite store keeps, as maps.

use std::collections::BTreeMap;

use crate::engine::{StoredIndex, StoredPair, Unsent};
use crate::history::{Indexed, Resettled};
use crate::ids::{AccountId, MessageId};
use crate::io::RECENT_MS;
use crate::message::VerifiedMessage;
use crate::moderation::SignedModeration;
use crate::policy::SignedPolicy;
use crate::wire::Pair;

#[derive(Debug)]
struct Row {
    message: VerifiedMessage,
    held: bool,
    folded: bool,
    /// Whether it is our own message and no other peer has it yet.
    unsent: bool,
}

/// What survives a restart.
#[derive(Debug)]
pub(super) struct Disk {
    rows: BTreeMap<MessageId, Row>,
    pub(super) moderations: Vec<SignedModeration>,
    pub(super) policy: SignedPolicy,
    pub(super) boot: u64,
}

impl Disk {
    pub(super) fn new(policy: SignedPolicy) -> Self {
        Self { rows: BTreeMap::new(), moderations: Vec::new(), policy, boot: 0 }
    }

    pub(super) fn store(&mut self, message: &VerifiedMessage, folded: bool) {
        let row = Row { message: message.clone(), held: true, folded, unsent: false };
        self.rows.insert(message.id(), row);
    }

    pub(super) fn store_own(&mut self, message: &VerifiedMessage) {
        let row = Row { message: message.clone(), held: true, folded: false, unsent: true };
        self.rows.insert(message.id(), row);
    }

    pub(super) fn mark_sent(&mut self, id: MessageId) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.unsent = false;
        }
    }

    pub(super) fn resettle(&mut self, resettled: &Resettled) {
        for (ids, held) in [(&resettled.condemned, false), (&resettled.restored, true)] {
            for id in ids {
                if let Some(row) = self.rows.get_mut(id) {
                    row.held = held;
                }
            }
        }
        for id in &resettled.displaced {
            self.rows.remove(id);
        }
    }

    pub(super) fn forget(&mut self, before: u64) {
        self.rows.retain(|_id, row| row.message.content().sent_at >= before);
    }

    /// When the oldest stored message was sent.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.rows.values().map(|row| row.message.content().sent_at).min()
    }

    pub(super) fn load(&self, ids: &[MessageId]) -> Vec<(MessageId, StoredPair)> {
        let held = ids.iter().filter_map(|id| self.rows.get(id).filter(|row| row.held));
        held.map(|row| (row.message.id(), pair(&row.message))).collect()
    }

    /// The messages that an engine starts with, and the rest, newest first.
    pub(super) fn index(&self, realm_ms: u64) -> (StoredIndex, StoredIndex) {
        let recent = realm_ms.saturating_sub(RECENT_MS);
        let (mut first, mut rest) = (StoredIndex::default(), StoredIndex::default());
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.message.order_key()));
        for row in rows {
            let part = if row.message.content().sent_at >= recent { &mut first } else { &mut rest };
            let ticket = row.message.ticket();
            if !part.tickets.iter().any(|known| known.hash() == ticket.hash()) {
                part.tickets.push((**ticket).clone());
            }
            part.messages.push(indexed(row));
        }
        (first, rest)
    }

    pub(super) fn unsent(&self) -> Vec<Unsent> {
        let unsent = self.rows.values().filter(|row| row.unsent && row.held);
        unsent
            .map(|Row { message, .. }| Unsent {
                id: message.id(),
                sent_at: message.content().sent_at,
                gossip: message.to_gossip(),
            })
            .collect()
    }

    /// How many messages of an account are shown, and how many of them folded.
    pub(super) fn of_account(&self, account: AccountId) -> (usize, usize) {
        let shown = self.rows.values().filter(|row| row.held);
        let of: Vec<_> =
            shown.filter(|row| row.message.ticket().claims().account == account).collect();
        (of.len(), of.iter().filter(|row| row.folded).count())
    }

    pub(super) fn shown(&self) -> Vec<(u64, MessageId)> {
        let held = self.rows.values().filter(|row| row.held);
        let mut shown: Vec<_> =
            held.map(|row| (row.message.content().sent_at, row.message.id())).collect();
        shown.sort_unstable();
        shown
    }
}

fn pair(message: &VerifiedMessage) -> StoredPair {
    let Pair { ticket, object } =
        Pair { ticket: message.ticket().as_bytes(), object: message.as_bytes() };
    StoredPair { ticket: ticket.to_vec(), object: object.to_vec() }
}

fn indexed(row: &Row) -> Indexed {
    let content = row.message.content();
    Indexed {
        id: row.message.id(),
        sent_at: content.sent_at,
        ticket: row.message.ticket().hash(),
        session: content.session,
        seq: content.seq,
        room: content.room.clone(),
        text_bytes: content.body.text.len(),
        held: row.held,
    }
}

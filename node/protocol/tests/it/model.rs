//! The history written down a second time, as naively as can be: everything is computed anew from all that is kept.

use std::collections::BTreeMap;

use lanyard_protocol::ids::{AccountId, MessageId, PeerKey, Role};
use lanyard_protocol::message::VerifiedMessage;
use lanyard_protocol::moderation::{Moderation, ModerationKind, SignedModeration};
use lanyard_protocol::policy::{Policy, SanctionKind};
use lanyard_protocol::ticket::Claims;

type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// What one peer keeps, and the rules it knows.
pub(crate) struct Model {
    policy: Policy,
    moderations: Vec<SignedModeration>,
    kept: BTreeMap<OrderKey, VerifiedMessage>,
}

impl Model {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, moderations: Vec::new(), kept: BTreeMap::new() }
    }

    /// Keeps a message if the history takes it.
    pub(crate) fn take(&mut self, message: &VerifiedMessage) {
        if self.is_valid(message) {
            self.kept.insert(message.order_key(), message.clone());
            self.displace();
        }
    }

    pub(crate) fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
        self.displace();
    }

    pub(crate) fn moderation(&mut self, moderation: SignedModeration) {
        if self.may_moderate(&moderation) {
            self.moderations.push(moderation);
            self.displace();
        }
    }

    pub(crate) fn held(&self) -> Vec<(u64, MessageId)> {
        let mut held: Vec<_> = self.valid().map(place).collect();
        held.sort_unstable();
        held
    }

    fn valid(&self) -> impl Iterator<Item = &VerifiedMessage> {
        self.kept.values().filter(|message| self.is_valid(message))
    }

    fn is_valid(&self, message: &VerifiedMessage) -> bool {
        let (content, claims, at) =
            (message.content(), message.ticket().claims(), message.content().sent_at);
        let policy = &self.policy;
        claims.role != Role::Authority
            && claims.covers(at)
            && content.body.text.len() as u64 <= policy.limits_at(at).max_text_bytes
            && policy.room(&content.room).is_some_and(|room| room.may_post(claims.role, at))
            && policy.ban_at(claims.account, at).is_none()
            && policy.mute_at(claims.account, at).is_none()
            && !self.is_revoked(claims, at)
            && !(claims.role <= Role::Member && self.is_ordered(claims.account, at))
    }

    fn is_revoked(&self, claims: &Claims, at: u64) -> bool {
        self.policy.sanctions.iter().any(|sanction| {
            sanction.kind == SanctionKind::Revocation
                && sanction.sub == claims.account
                && sanction.peer.is_none_or(|peer| peer == claims.peer)
                && claims.issued_at_ms() < sanction.from
                && sanction.from <= at
        })
    }

    fn may_moderate(&self, signed: &SignedModeration) -> bool {
        let (from, claims) = (signed.content().from, signed.ticket().claims());
        claims.role >= Role::Moderator
            && claims.covers(from)
            && self.policy.ban_at(claims.account, from).is_none()
            && !self.is_revoked(claims, from)
    }

    fn is_ordered(&self, account: AccountId, at: u64) -> bool {
        let newest = self
            .counted()
            .into_iter()
            .filter(|moderation| {
                moderation.sub == account && moderation.from <= at && at < moderation.until
            })
            .max_by_key(|moderation| (moderation.from, moderation.number));
        newest.is_some_and(|moderation| moderation.kind != ModerationKind::Lift)
    }

    /// The numbers of the moderations that count.
    pub(crate) fn moderations_in_force(&self) -> Vec<[u8; 16]> {
        self.counted().into_iter().map(|moderation| moderation.number).collect()
    }

    fn counted(&self) -> Vec<Moderation> {
        let mut by_minute: BTreeMap<_, Vec<&SignedModeration>> = BTreeMap::new();
        for signed in &self.moderations {
            let minute = (signed.ticket().claims().account, signed.content().from / 60_000);
            if self.may_moderate(signed) {
                by_minute.entry(minute).or_default().push(signed);
            }
        }
        let smallest = by_minute.into_values().flat_map(|mut moderations| {
            moderations.sort_by_key(|signed| {
                (signed.content().from, signed.content().number, signed.id())
            });
            moderations.dedup_by_key(|signed| signed.id());
            moderations.into_iter().take(10)
        });
        let mut by_day: BTreeMap<_, Vec<&SignedModeration>> = BTreeMap::new();
        for signed in smallest {
            let day = (signed.ticket().claims().account, signed.content().from / 86_400_000);
            by_day.entry(day).or_default().push(signed);
        }
        // By minute, so in order.
        let smallest =
            by_day.into_values().flat_map(|moderations| moderations.into_iter().take(500));
        let settled = |moderation: &Moderation| {
            self.policy.settled.iter().any(|settled| settled.number == moderation.number)
        };
        smallest
            .map(|signed| signed.content().clone())
            .filter(|moderation| !settled(moderation))
            .collect()
    }

    /// Deletes what is over the quota of its minute, then of its day.
    fn displace(&mut self) {
        let per_minute = |policy: &Policy, message: &VerifiedMessage| {
            let rules = policy.limits_at(message.content().sent_at);
            match message.ticket().claims().role {
                Role::Guest => rules.guest_per_minute,
                _other => rules.per_minute,
            }
        };
        let per_day = |policy: &Policy, message: &VerifiedMessage| {
            policy.limits_at(message.content().sent_at).per_day
        };
        self.walk(60_000, per_minute);
        self.walk(86_400_000, per_day);
    }

    fn walk(&mut self, span: u64, limit: impl Fn(&Policy, &VerifiedMessage) -> u64) {
        let mut taken: BTreeMap<(AccountId, u64), u64> = BTreeMap::new();
        let mut over = Vec::new();
        for message in self.valid() {
            let bucket = (message.ticket().claims().account, message.content().sent_at / span);
            let (taken, limit) = (taken.entry(bucket).or_default(), limit(&self.policy, message));
            if limit > 0 && *taken >= limit {
                over.push(message.order_key());
            } else {
                *taken += 1;
            }
        }
        for key in over {
            self.kept.remove(&key);
        }
    }
}

pub(crate) fn place(message: &VerifiedMessage) -> (u64, MessageId) {
    (message.content().sent_at, message.id())
}

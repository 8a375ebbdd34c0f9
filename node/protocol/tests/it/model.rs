//! The history written down a second time, as naively as can be: a function of everything that was ever offered, of the
//! policy and of the moderations. It remembers nothing of what it held before, so it cannot depend on any order.

use std::collections::BTreeMap;

use lanyard_protocol::ids::{AccountId, MessageId, PeerKey, Role};
use lanyard_protocol::message::VerifiedMessage;
use lanyard_protocol::moderation::{Moderation, ModerationKind, SignedModeration};
use lanyard_protocol::policy::{Limits, Policy, SanctionKind};
use lanyard_protocol::ticket::Claims;

type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// Everything that was offered, and the policy in force.
pub(crate) struct Model {
    policy: Policy,
    moderations: Vec<SignedModeration>,
    offered: BTreeMap<OrderKey, VerifiedMessage>,
}

impl Model {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, moderations: Vec::new(), offered: BTreeMap::new() }
    }

    pub(crate) fn offer(&mut self, message: &VerifiedMessage) {
        self.offered.insert(message.order_key(), message.clone());
    }

    pub(crate) fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) fn moderation(&mut self, moderation: SignedModeration) {
        self.moderations.push(moderation);
    }

    /// All messages that were offered, in order.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &VerifiedMessage> {
        self.offered.values()
    }

    pub(crate) fn offered_moderations(&self) -> &[SignedModeration] {
        &self.moderations
    }

    /// What is held: the valid messages within the quota of their minute, and of these, those within that of their day.
    pub(crate) fn held(&self) -> Vec<(u64, MessageId)> {
        let valid = self.offered.values().filter(|message| self.is_valid(message)).collect();
        let per_minute = |policy: &Policy, message: &VerifiedMessage| {
            let limits = limits_of(policy, message);
            match message.ticket().claims().role {
                Role::Guest => limits.guest_per_minute,
                _other => limits.per_minute,
            }
        };
        let of_minute = self.within(valid, 60_000, per_minute);
        let per_day =
            |policy: &Policy, message: &VerifiedMessage| limits_of(policy, message).per_day;
        let of_day = self.within(of_minute, 86_400_000, per_day);
        let mut held: Vec<_> = of_day.into_iter().map(place).collect();
        held.sort_unstable();
        held
    }

    /// Those of the messages, which are in order, for which their account has room in their span of time.
    fn within<'a>(
        &self,
        messages: Vec<&'a VerifiedMessage>,
        span: u64,
        limit: impl Fn(&Policy, &VerifiedMessage) -> u64,
    ) -> Vec<&'a VerifiedMessage> {
        let mut taken: BTreeMap<(AccountId, u64), u64> = BTreeMap::new();
        let mut within = Vec::new();
        for message in messages {
            let bucket = (message.ticket().claims().account, message.content().sent_at / span);
            let (taken, limit) = (taken.entry(bucket).or_default(), limit(&self.policy, message));
            if limit == 0 || *taken < limit {
                *taken += 1;
                within.push(message);
            }
        }
        within
    }

    fn is_valid(&self, message: &VerifiedMessage) -> bool {
        let (content, claims, at) =
            (message.content(), message.ticket().claims(), message.content().sent_at);
        let policy = &self.policy;
        claims.role != Role::Authority
            && claims.covers(at)
            && content.body.text.len() as u64 <= limits_of(policy, message).max_text_bytes
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
}

/// The limits in force at the start of the minute in which a message was sent.
fn limits_of(policy: &Policy, message: &VerifiedMessage) -> Limits {
    let minute = message.content().sent_at / 60_000 * 60_000;
    let by_date = |limits: &&Limits| limits.from;
    let begun = policy.rules.iter().filter(|limits| limits.from <= minute).max_by_key(by_date);
    *begun.or_else(|| policy.rules.iter().min_by_key(by_date)).unwrap()
}

pub(crate) fn place(message: &VerifiedMessage) -> (u64, MessageId) {
    (message.content().sent_at, message.id())
}

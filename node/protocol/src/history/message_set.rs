//! The in-memory index of all messages that are kept, and the quota over it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::ids::{AccountId, MessageId, PeerKey, Role, TicketHash};
use crate::message::VerifiedMessage;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::verdict::Refused;

use super::author::Author;
use super::quota::{OrderKey, Tallies};
use super::rules::Rules;

/// What the index needs of a stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The id of the message.
    pub id: MessageId,
    /// When it was sent: realm time, unix milliseconds.
    pub sent_at: u64,
    /// The hash of the ticket it was sent under.
    pub ticket: TicketHash,
    /// The session of its author, which is one start of the program.
    pub session: u64,
    /// Its number within the session.
    pub seq: u64,
    /// The room it was sent to.
    pub room: String,
    /// The length of its text in bytes.
    pub text_bytes: usize,
    /// Whether it was held rather than condemned when it was stored.
    pub held: bool,
}

/// How a change of the rules affected messages that were already kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resettled {
    /// Messages that are kept but no longer shown.
    pub condemned: Vec<MessageId>,
    /// Messages that are shown again.
    pub restored: Vec<MessageId>,
    /// Messages that are over the quota now, and must be deleted.
    pub displaced: Vec<MessageId>,
}

impl Resettled {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.condemned.is_empty() && self.restored.is_empty() && self.displaced.is_empty()
    }
}

/// The index entry of a message. It is small, because there may be a million of them.
#[derive(Debug, Clone, Copy)]
struct Entry {
    author: u32,
    room: u32,
    text_bytes: u32,
    condemned: bool,
    session: u64,
    seq: u64,
}

type Key = (u64, MessageId);

/// Totals over the messages of one hour.
#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    /// How often something changed, so that a stale copy of part of the set can be recognised.
    changes: u64,
    /// How many messages are kept.
    kept: u64,
}

/// All messages that are kept: those held, and those condemned, which later rules may restore.
#[derive(Debug, Default)]
pub struct MessageSet {
    index: BTreeMap<Key, Entry>,
    held: u64,
    hours: BTreeMap<u64, Hour>,
    authors: Vec<Author>,
    author_of: BTreeMap<TicketHash, u32>,
    rooms: Vec<String>,
    tallies: Tallies,
}

impl MessageSet {
    /// Whether a message is kept, held or condemned.
    #[must_use]
    pub fn contains(&self, sent_at: u64, id: MessageId) -> bool {
        self.index.contains_key(&(sent_at, id))
    }

    /// How many messages are held.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.held
    }

    /// Whether the set holds no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The messages held in a span of realm time, sorted by time and id.
    pub fn items(&self, since: u64, until: u64) -> impl Iterator<Item = (u64, MessageId)> {
        self.held(since..until.max(since)).map(|(key, _entry)| *key)
    }

    /// A number that changes whenever something in this span does, and sometimes when nothing did.
    #[must_use]
    pub fn version(&self, since: u64, until: u64) -> u64 {
        self.hours(since, until).fold(0, |sum: u64, hour| sum.wrapping_add(hour.changes))
    }

    /// An upper bound on the messages kept in a span, and so on the cost of a walk through it.
    #[must_use]
    pub fn at_most(&self, since: u64, until: u64) -> u64 {
        self.hours(since, until).fold(0, |sum: u64, hour| sum.saturating_add(hour.kept))
    }

    fn held(&self, span: Range<u64>) -> impl Iterator<Item = (&Key, &Entry)> {
        let kept = self.index.range(first(span.start)..first(span.end));
        kept.filter(|(_key, entry)| !entry.condemned)
    }

    fn hours(&self, since: u64, until: u64) -> impl Iterator<Item = &Hour> {
        let hours = since / HOUR_MS..=until.max(since) / HOUR_MS;
        self.hours.range(hours).map(|(_hour, known)| known)
    }

    /// The largest `sent_at` of all kept messages: realm time, unix milliseconds.
    #[must_use]
    pub fn largest_sent_at(&self) -> Option<u64> {
        self.index.last_key_value().map(|((sent_at, _id), _entry)| *sent_at)
    }

    pub(super) fn note_author(&mut self, ticket: TicketHash, author: Author) -> u32 {
        *self.author_of.entry(ticket).or_insert_with(|| {
            self.authors.push(author);
            small(self.authors.len() - 1)
        })
    }

    fn note_room(&mut self, room: &str) -> u32 {
        let known = self.rooms.iter().position(|known| known == room);
        small(known.unwrap_or_else(|| {
            self.rooms.push(room.to_owned());
            self.rooms.len() - 1
        }))
    }

    fn author(&self, entry: &Entry) -> Option<&Author> {
        self.authors.get(entry.author as usize)
    }

    fn account(&self, entry: &Entry) -> Option<AccountId> {
        self.author(entry).map(|author| author.account)
    }

    fn order_key(&self, key: Key, entry: &Entry) -> OrderKey {
        let peer = self.author(entry).map_or(PeerKey([0; 32]), |author| author.peer);
        (key.0, peer, entry.session, entry.seq, key.1)
    }

    /// Adds a valid message if the quota has room for it. Returns the messages it displaces.
    pub(super) fn insert(
        &mut self,
        rules: &Rules,
        message: &VerifiedMessage,
    ) -> Result<Vec<MessageId>, Refused> {
        let content = message.content();
        let author = Author::of(message.ticket());
        let key = (content.sent_at, message.id());
        let minute = self.tallies.minute(author.account, key.0);
        let day = self.tallies.day(author.account, key.0);
        let (per_minute, per_day) = (rules.per_minute(author.role, key.0), rules.per_day(key.0));
        let is_full = minute.is_newest(key.0) && full(minute.held, per_minute)
            || day.is_newest(key.0) && full(day.held, per_day);
        if is_full {
            return Err(Refused::OverQuota);
        }
        let entry = Entry {
            author: self.note_author(message.ticket().hash(), author),
            room: self.note_room(&content.room),
            text_bytes: small(content.body.size()),
            condemned: false,
            session: content.session,
            seq: content.seq,
        };
        self.add(key, entry);
        let displaced = self.enforce(rules, author.account, key.0, minute.is_newest(key.0));
        if displaced.contains(&key) {
            return Err(Refused::OverQuota);
        }
        Ok(displaced.into_iter().map(|(_sent_at, id)| id).collect())
    }

    /// The end of the minute or day whose quota an author has used up.
    pub(super) fn full_until(&self, rules: &Rules, author: &Author, sent_at: u64) -> Option<u64> {
        let (account, role) = (author.account, author.role);
        let day = full(self.tallies.day(account, sent_at).held, rules.per_day(sent_at));
        let minute =
            full(self.tallies.minute(account, sent_at).held, rules.per_minute(role, sent_at));
        match (day, minute) {
            (true, _) => Some(span(sent_at, DAY_MS).end),
            (false, true) => Some(span(sent_at, MINUTE_MS).end),
            (false, false) => None,
        }
    }

    /// Applies the quota of the minute and then of the day, after a message was added. Returns what it removed.
    fn enforce(
        &mut self,
        rules: &Rules,
        account: AccountId,
        sent_at: u64,
        came_last: bool,
    ) -> Vec<Key> {
        let minute = span(sent_at, MINUTE_MS);
        let mut displaced = Vec::new();
        if !came_last && exceeds(self.tallies.minute(account, sent_at).held, rules, &minute) {
            displaced = self.walk(account, minute, |author, at| rules.per_minute(author.role, at));
        }
        displaced.extend(self.enforce_day(rules, account, sent_at));
        displaced
    }

    fn enforce_day(&mut self, rules: &Rules, account: AccountId, sent_at: u64) -> Vec<Key> {
        let (day, held) = (span(sent_at, DAY_MS), self.tallies.day(account, sent_at).held);
        let limits = per_day_within(rules, &day);
        let Some(least) = limits.iter().flatten().min().filter(|least| held > **least) else {
            return Vec::new();
        };
        if limits.len() > 1 {
            return self.walk(account, day, |_author, at| rules.per_day(at));
        }
        // With one limit for the whole day, a walk would only remove the largest, so the rest need not be visited.
        let over = *least..held;
        over.filter_map(|_one| self.drop_largest(account, sent_at / DAY_MS)).collect()
    }

    /// Walks through the held messages of an account and span by order key, and removes those over the limit.
    fn walk(
        &mut self,
        account: AccountId,
        span: Range<u64>,
        limit: impl Fn(&Author, u64) -> Option<u64>,
    ) -> Vec<Key> {
        let mut taken = 0;
        let mut over = Vec::new();
        for (key, author) in self.held_of(account, &span) {
            if full(taken, limit(&author, key.0)) {
                over.push((key.0, key.4));
            } else {
                taken += 1;
            }
        }
        for key in &over {
            self.remove(key.0, key.1);
        }
        over
    }

    fn held_of(&self, account: AccountId, span: &Range<u64>) -> Vec<(OrderKey, Author)> {
        let of_account = self.held(span.clone()).filter_map(|(key, entry)| {
            let author = self.author(entry).filter(|author| author.account == account)?;
            Some((self.order_key(*key, entry), *author))
        });
        let mut messages: Vec<_> = of_account.collect();
        messages.sort_unstable_by_key(|(key, _author)| *key);
        messages
    }

    /// Removes the held message with the largest order key of an account and day.
    fn drop_largest(&mut self, account: AccountId, day: u64) -> Option<Key> {
        let largest_in = |set: &Self, minute: u64| {
            let span = span(minute.saturating_mul(MINUTE_MS), MINUTE_MS);
            set.held_of(account, &span).pop().map(|(key, _author)| (key.0, key.4))
        };
        let largest = largest_in(self, self.tallies.last_minute(account, day)?)?;
        self.remove(largest.0, largest.1);
        let minute = self.tallies.last_minute(account, day);
        let last = minute.and_then(|minute| largest_in(self, minute));
        self.tallies.set_last(account, day, last.map_or(0, |(sent_at, _id)| sent_at));
        Some(largest)
    }

    fn add(&mut self, key: Key, entry: Entry) {
        if !entry.condemned
            && let Some(account) = self.account(&entry)
        {
            self.tallies.add(account, key.0);
            self.held = self.held.saturating_add(1);
        }
        let is_new = self.index.insert(key, entry).is_none();
        let hour = self.hours.entry(key.0 / HOUR_MS).or_default();
        hour.changes = hour.changes.wrapping_add(1);
        hour.kept = hour.kept.saturating_add(u64::from(is_new));
    }

    pub(super) fn remove(&mut self, sent_at: u64, id: MessageId) {
        let Some(entry) = self.index.remove(&(sent_at, id)) else { return };
        let hour = self.hours.entry(sent_at / HOUR_MS).or_default();
        hour.changes = hour.changes.wrapping_add(1);
        hour.kept = hour.kept.saturating_sub(1);
        if !entry.condemned
            && let Some(account) = self.account(&entry)
        {
            self.tallies.remove(account, sent_at);
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Judges again all messages sent at or after a time. Applies the quota again where a message was condemned or
    /// restored, or everywhere if the limits have changed.
    pub(super) fn resettle(&mut self, rules: &Rules, from: u64, other_limits: bool) -> Resettled {
        let keys: Vec<Key> = self.index.range(first(from)..).map(|(key, _entry)| *key).collect();
        self.judge_again(rules, &keys, other_limits)
    }

    fn judge_again(&mut self, rules: &Rules, keys: &[Key], walk_all: bool) -> Resettled {
        let mut resettled = Resettled::default();
        let mut days = BTreeSet::new();
        for key in keys {
            let Some(entry) = self.index.get(key).copied() else { continue };
            let Some(author) = self.author(&entry).copied() else { continue };
            let valid = self.is_valid(rules, &author, key.0, &entry);
            if walk_all || valid == entry.condemned {
                days.insert((author.account, key.0 / DAY_MS));
            }
            if valid == entry.condemned {
                self.remove(key.0, key.1);
                self.add(*key, Entry { condemned: !valid, ..entry });
                let moved = if valid { &mut resettled.restored } else { &mut resettled.condemned };
                moved.push(key.1);
            }
        }
        for (account, day) in days {
            resettled.displaced.extend(self.resettle_day(rules, account, day));
        }
        let displaced: BTreeSet<_> = resettled.displaced.iter().copied().collect();
        resettled.restored.retain(|id| !displaced.contains(id));
        resettled
    }

    fn resettle_day(&mut self, rules: &Rules, account: AccountId, day: u64) -> Vec<MessageId> {
        let span = span(day.saturating_mul(DAY_MS), DAY_MS);
        let mut minutes: Vec<u64> =
            self.held_of(account, &span).iter().map(|(key, _author)| key.0 / MINUTE_MS).collect();
        minutes.dedup();
        let mut displaced = Vec::new();
        for minute in minutes {
            let minute = self::span(minute.saturating_mul(MINUTE_MS), MINUTE_MS);
            if exceeds(self.tallies.minute(account, minute.start).held, rules, &minute) {
                let limit = |author: &Author, at| rules.per_minute(author.role, at);
                displaced.extend(self.walk(account, minute, limit));
            }
        }
        displaced.extend(self.walk(account, span, |_author, at| rules.per_day(at)));
        displaced.into_iter().map(|(_sent_at, id)| id).collect()
    }

    /// Adds stored messages whose authors are known. They were judged when they arrived, perhaps under older rules.
    pub(super) fn index(&mut self, rules: &Rules, entries: Vec<Indexed>) -> Resettled {
        let mut keys = Vec::with_capacity(entries.len());
        for stored in entries {
            let key = (stored.sent_at, stored.id);
            let Some(author) = self.author_of.get(&stored.ticket).copied() else { continue };
            if self.index.contains_key(&key) {
                continue;
            }
            let room = self.note_room(&stored.room);
            let (session, seq) = (stored.session, stored.seq);
            let text_bytes = small(stored.text_bytes);
            let entry = Entry { author, room, text_bytes, condemned: !stored.held, session, seq };
            let before = self.account(&entry).map(|of| self.tallies.minute(of, key.0));
            self.add(key, entry);
            if self.must_judge(rules, key, &entry, before.map_or(0, |tally| tally.held)) {
                keys.push(key);
            }
        }
        self.judge_again(rules, &keys, true)
    }

    /// Whether the verdict on a stored message has changed, or its minute or day is over the limit.
    fn must_judge(&self, rules: &Rules, key: Key, entry: &Entry, before: u64) -> bool {
        let Some(author) = self.author(entry) else { return false };
        self.is_valid(rules, author, key.0, entry) == entry.condemned
            || full(before, rules.per_minute(author.role, key.0))
            || self.tallies.day(author.account, key.0).held
                > rules.per_day(key.0).unwrap_or(u64::MAX)
    }

    fn is_valid(&self, rules: &Rules, author: &Author, sent_at: u64, entry: &Entry) -> bool {
        let room = self.rooms.get(entry.room as usize).map_or("", String::as_str);
        rules.judge(author, room, sent_at, entry.text_bytes as usize).is_ok()
    }

    /// Forgets the messages sent before a realm time. Returns whether there were any.
    pub(super) fn forget_before(&mut self, boundary: u64) -> bool {
        let old: Vec<Key> = self.index.range(..first(boundary)).map(|(key, _entry)| *key).collect();
        for (sent_at, id) in &old {
            self.remove(*sent_at, *id);
        }
        !old.is_empty()
    }
}

/// The smallest key with this time.
fn first(at: u64) -> Key {
    (at, MessageId([0; 32]))
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn full(held: u64, limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| held >= limit)
}

/// The span of this length that contains a time.
fn span(at: u64, length: u64) -> Range<u64> {
    let start = at - at % length;
    start..start.saturating_add(length)
}

/// Whether this count could exceed the limit of this minute, for any role.
fn exceeds(held: u64, rules: &Rules, minute: &Range<u64>) -> bool {
    [Role::Guest, Role::Member]
        .into_iter()
        .filter_map(|role| rules.per_minute(role, minute.start))
        .any(|limit| held > limit)
}

/// The daily limits of the minutes of a day: usually one.
fn per_day_within(rules: &Rules, day: &Range<u64>) -> Vec<Option<u64>> {
    let policy = rules.policy();
    // Limits that begin inside a minute apply from the next one on.
    let starts = policy.rules.iter().map(|rules| rules.from.next_multiple_of(MINUTE_MS));
    let within = starts.filter(|from| day.contains(from));
    let mut limits: Vec<_> =
        std::iter::once(day.start).chain(within).map(|at| rules.per_day(at)).collect();
    limits.dedup();
    limits
}

//! The timeline of a room: its messages and notices in the order that everybody sees, as rows to draw.
//!
//! Entries (messages and notices) are sorted by the order key. Local echoes stand after all entries, and
//! each leaves when its message comes in.
//! Rows are derived from entries. A change rebuilds them from the row before the changed entry on.

mod entry;
mod late;
mod rows;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::tz::TimeZone;
use lanyard_node::{ChatMessage, Progress};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::time::MINUTE_MS;

pub use entry::{Echo, Entry, Line, News, OrderKey, PresenceNote};
pub use rows::{Row, RowKey, RowKind};

/// Messages by one author closer than this share a header.
const GROUP_GAP_MS: u64 = 5 * MINUTE_MS;
/// How many changes are remembered for the view. A view that is further behind starts over.
const CHANGES_MAX: usize = 64;
/// An order key before all messages, for the unread line when nothing has been read.
const BEFORE_ALL: OrderKey = (0, PeerKey([0; 32]), 0, 0, MessageId([0; 32]));

/// The timeline of one room.
#[derive(Debug)]
pub struct Timeline {
    zone: TimeZone,
    me: Option<AccountId>,
    entries: Vec<Entry>,
    echoes: Vec<Echo>,
    rows: Vec<Row>,
    /// The order keys of all messages, by id.
    keys: BTreeMap<MessageId, OrderKey>,
    /// The unread line stands after this order key.
    read_up_to: Option<OrderKey>,
    /// Folded messages that the user wants to see.
    unfolded: BTreeSet<MessageId>,
    revision: u64,
    /// For each of the latest revisions, the first row that changed.
    changes: VecDeque<(u64, usize)>,
}

impl Timeline {
    /// An empty timeline, with its days in the time zone `zone`.
    #[must_use]
    pub fn new(zone: TimeZone, me: Option<AccountId>) -> Self {
        Self {
            zone,
            me,
            entries: Vec::new(),
            echoes: Vec::new(),
            rows: Vec::new(),
            keys: BTreeMap::new(),
            read_up_to: None,
            unfolded: BTreeSet::new(),
            revision: 0,
            changes: VecDeque::new(),
        }
    }

    /// The rows to draw, from top to bottom.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The entry of a row.
    #[must_use]
    pub fn entry(&self, row: Row) -> Option<&Entry> {
        self.entries.get(row.entry)
    }

    /// The notices folded into a row.
    pub fn presence(&self, row: Row, count: usize) -> impl Iterator<Item = &PresenceNote> {
        self.entries.iter().skip(row.entry).take(count).filter_map(|entry| match entry {
            Entry::Presence(note) => Some(note),
            Entry::Message(_) | Entry::News(_) => None,
        })
    }

    /// The echo of a row.
    #[must_use]
    pub fn echo(&self, row: Row) -> Option<&Echo> {
        self.echoes.get(row.entry.checked_sub(self.entries.len())?)
    }

    /// The current revision, which grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many leading rows have not changed since `revision`.
    #[must_use]
    pub fn rows_unchanged_since(&self, revision: u64) -> usize {
        let oldest_known = self.changes.front().map_or(self.revision, |(first, _)| first - 1);
        if revision < oldest_known {
            return 0;
        }
        let later = self.changes.iter().filter(|(at, _)| *at > revision);
        later.map(|(_, first_changed)| *first_changed).min().unwrap_or(self.rows.len())
    }

    /// The loaded message with this id.
    #[must_use]
    pub fn line(&self, id: MessageId) -> Option<&Line> {
        self.entries.get(self.position(id)?)?.line()
    }

    /// The oldest loaded message, to page from.
    #[must_use]
    pub fn oldest(&self) -> Option<MessageId> {
        self.messages().next().map(|line| line.message.id)
    }

    /// The newest loaded message.
    #[must_use]
    pub fn newest(&self) -> Option<&Line> {
        self.entries.iter().rev().find_map(Entry::line)
    }

    /// All loaded messages, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Line> {
        self.entries.iter().filter_map(Entry::line)
    }

    /// How many messages are loaded.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Inserts a message, unless it is loaded already. Returns whether it is new.
    pub fn insert(&mut self, message: Arc<ChatMessage>, mentions_me: bool) -> bool {
        if self.keys.contains_key(&message.id) {
            return false;
        }
        self.drop_echo_of(&message);
        let key = message.order_key();
        let at = self.place(key);
        self.keys.insert(message.id, key);
        self.entries.insert(at, Entry::Message(Line::new(message, mentions_me)));
        self.judge_late(at);
        self.rebuild_from(at);
        true
    }

    /// Inserts a page of the history.
    pub fn insert_page(
        &mut self,
        messages: &[Arc<ChatMessage>],
        mentions_me: impl Fn(&ChatMessage) -> bool,
    ) {
        let mut added = Vec::new();
        for message in messages {
            if self.keys.contains_key(&message.id) {
                self.replace(message);
                continue;
            }
            self.drop_echo_of(message);
            self.keys.insert(message.id, message.order_key());
            let line = Line::new(Arc::clone(message), mentions_me(message));
            added.push(Entry::Message(line));
        }
        let Some(first) = added.iter().map(Entry::key).min() else { return };
        let touched = self.place(first);
        self.entries.extend(added);
        // Two sorted runs: the standard library's stable sort merges them in one pass.
        self.entries.sort_by_key(Entry::key);
        let judged_anew = self.judge_all_late();
        self.rebuild_from(judged_anew.map_or(touched, |at| at.min(touched)));
    }

    /// Inserts a notice: somebody came or went, or the rules have changed.
    pub fn insert_notice(&mut self, notice: Entry) {
        let at = self.place(notice.key());
        self.entries.insert(at, notice);
        self.rebuild_from(at);
    }

    /// The latest message of an account.
    #[must_use]
    pub fn latest_of(&self, account: AccountId) -> Option<&ChatMessage> {
        let newest_first = self.entries.iter().rev().filter_map(Entry::line);
        newest_first.map(|line| &*line.message).find(|message| message.account == account)
    }

    /// Unfolds the messages that begin with this one.
    pub fn unfold(&mut self, first: MessageId) {
        let Some(at) = self.position(first) else { return };
        let hidden = |entry: &Entry| entry.line().filter(|line| self.is_hidden(line)).map(Line::id);
        let run: Vec<_> = self.entries.iter().skip(at).map_while(hidden).collect();
        self.unfolded.extend(run);
        self.rebuild_from(at);
    }

    /// The ids of all loaded messages.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<MessageId> {
        self.keys.keys().copied().collect()
    }

    /// Removes messages that have left the history.
    pub fn remove(&mut self, ids: &BTreeSet<MessageId>) {
        let first = ids.iter().filter_map(|id| self.keys.get(id)).min().copied();
        self.keys.retain(|id, _| !ids.contains(id));
        self.entries.retain(|entry| entry.line().is_none_or(|line| !ids.contains(&line.id())));
        if let Some(first) = first {
            self.rebuild_from(self.place(first));
        }
    }

    /// Shows a text before the node has stored it.
    pub fn push_echo(&mut self, echo: Echo) {
        self.echoes.push(echo);
        self.rebuild_from(self.entries.len());
    }

    /// The node has stored the echo's text under this id.
    pub fn echo_stored(&mut self, number: u64, id: MessageId) {
        if self.keys.contains_key(&id) {
            self.echoes.retain(|echo| echo.number != number);
        } else if let Some(echo) = self.echoes.iter_mut().find(|echo| echo.number == number) {
            echo.id = Some(id);
        }
        self.rebuild_from(self.entries.len());
    }

    /// Removes the echo of a text that the node has refused.
    pub fn take_echo(&mut self, number: u64) -> Option<Echo> {
        let at = self.echoes.iter().position(|echo| echo.number == number)?;
        let echo = self.echoes.remove(at);
        self.rebuild_from(self.entries.len());
        Some(echo)
    }

    /// Sets how far one of the user's messages has come.
    pub fn set_state(&mut self, id: MessageId, state: Progress) {
        self.change(id, |line| line.state = Some(state));
    }

    /// Puts the unread line after this message. Returns false, and changes nothing, if it is not loaded.
    pub fn mark_unread_after(&mut self, id: MessageId) -> bool {
        let key = self.key(id);
        if key.is_some() {
            self.set_read_up_to(key);
        }
        key.is_some()
    }

    /// Puts the unread line after this order key.
    pub fn mark_unread_behind(&mut self, key: OrderKey) {
        self.set_read_up_to(Some(key));
    }

    /// Puts the unread line after all loaded messages.
    pub fn mark_unread_from_now(&mut self) {
        let newest = self.newest().map(|line| line.message.order_key());
        self.set_read_up_to(newest.or(Some(BEFORE_ALL)));
    }

    /// Puts the unread line before all messages.
    pub fn mark_all_unread(&mut self) {
        self.set_read_up_to(Some(BEFORE_ALL));
    }

    /// The order key of a message, if it is loaded.
    #[must_use]
    pub fn key(&self, id: MessageId) -> Option<OrderKey> {
        self.keys.get(&id).copied()
    }

    /// How many messages of others come after this order key, not counting folded ones.
    #[must_use]
    pub fn count_of_others_behind(&self, key: OrderKey) -> u64 {
        let first = self.entries.partition_point(|entry| entry.key() <= key);
        let behind = self.entries.iter().skip(first).filter_map(Entry::line);
        let counts = |line: &&Line| Some(line.message.account) != self.me && !line.message.folded;
        behind.filter(counts).count() as u64
    }

    /// Removes the unread line.
    pub fn clear_unread_line(&mut self) {
        self.set_read_up_to(None);
    }

    /// Whether an unread line is drawn.
    #[must_use]
    pub fn has_unread_line(&self) -> bool {
        self.rows.iter().rev().any(|row| row.kind == RowKind::New)
    }

    /// Whether a message is folded and the user has not unfolded it.
    fn is_hidden(&self, line: &Line) -> bool {
        line.message.folded && !self.unfolded.contains(&line.message.id)
    }

    fn is_hidden_entry(&self, entry: &Entry) -> bool {
        entry.line().is_some_and(|line| self.is_hidden(line))
    }

    /// Replaces a loaded message, which may now be folded or forked, or no longer.
    fn replace(&mut self, message: &Arc<ChatMessage>) {
        let marks = |message: &ChatMessage| (message.folded, message.forked);
        if self.line(message.id).is_some_and(|line| marks(&line.message) != marks(message)) {
            self.change(message.id, |line| line.message = Arc::clone(message));
        }
    }

    fn change(&mut self, id: MessageId, change: impl FnOnce(&mut Line)) {
        let Some(at) = self.position(id) else { return };
        if let Some(Entry::Message(line)) = self.entries.get_mut(at) {
            change(line);
            self.rebuild_from(at);
        }
    }

    fn position(&self, id: MessageId) -> Option<usize> {
        Some(self.place(self.key(id)?))
    }

    /// The position of the first entry that does not sort before this order key.
    fn place(&self, key: OrderKey) -> usize {
        self.entries.partition_point(|entry| entry.key() < key)
    }

    fn set_read_up_to(&mut self, key: Option<OrderKey>) {
        let positions = [self.read_up_to, key];
        if self.read_up_to == key {
            return;
        }
        self.read_up_to = key;
        let first = positions.into_iter().flatten().min();
        let at = first.map_or(0, |key| self.place(key));
        self.rebuild_from(at);
    }

    /// Removes the echo of this message. If the event overtakes the answer, that is the oldest echo with the same body.
    fn drop_echo_of(&mut self, message: &ChatMessage) {
        if message.state.is_none() {
            return;
        }
        let by_id = self.echoes.iter().position(|echo| echo.id == Some(message.id));
        let by_body =
            || self.echoes.iter().position(|echo| echo.id.is_none() && echo.body == message.body);
        if let Some(at) = by_id.or_else(by_body) {
            self.echoes.remove(at);
        }
    }
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;

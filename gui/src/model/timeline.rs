//! The timeline of one room: what was said, in the order everybody sees, cut into rows to draw.
//!
//! Entries (messages and notices) are sorted by the order key; local echoes stand after them.
//! Invariant: an echo is always behind every entry, and leaves when its message enters.
//! Rows are derived from entries: a change rebuilds them from the touched entry on, never before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use lanyard_node::event::{ChatMessage, PresenceReason, SendState};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};

use crate::text;

/// Lines by one author closer than this share a header.
const GROUP_GAP_MS: u64 = 5 * 60_000;
/// Changes remembered for the view; a view that is further behind starts anew.
const CHANGES_MAX: usize = 64;
/// Sorts notices behind messages of the same millisecond.
const AFTER_ALL_PEERS: PeerKey = PeerKey([0xff; 32]);

/// The order of the timeline (PROTOCOL.md R-45).
pub type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// Something that has its place in the order.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A message.
    Message(Line),
    /// Somebody came or went.
    Presence(PresenceNote),
}

/// A message, ready to be drawn.
#[derive(Debug, Clone)]
pub struct Line {
    /// The message as the node gave it.
    pub message: Arc<ChatMessage>,
    /// Its text made safe, if that changed anything.
    cleaned: Option<Box<str>>,
    /// How far it came, for own messages.
    pub state: Option<SendState>,
    /// Whether it speaks to the user.
    pub mentions_me: bool,
}

impl Line {
    /// The text to draw.
    #[must_use]
    pub fn text(&self) -> &str {
        self.cleaned.as_deref().unwrap_or(&self.message.text)
    }
}

/// Somebody came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceNote {
    /// Number within this run of the program.
    pub number: u64,
    /// Realm time, unix milliseconds.
    pub at: u64,
    /// Who, as shown.
    pub nickname: String,
    /// What happened.
    pub reason: PresenceReason,
}

/// A text of ours that the node has not given back as a message yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Number within this run of the program.
    pub number: u64,
    /// The text as typed.
    pub text: String,
    /// Realm time of typing, unix milliseconds.
    pub at: u64,
    /// The message it has become, once the node has stored it.
    pub id: Option<MessageId>,
}

/// What is drawn under one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The entry it belongs to; echoes count on from the last entry.
    pub entry: usize,
    /// What it shows.
    pub kind: RowKind,
}

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A divider with the day.
    Day(Date),
    /// The line above which everything was read.
    New,
    /// A message, with its author's name and avatar if `header`.
    Message {
        /// Whether it begins a group.
        header: bool,
    },
    /// This many notices of people who came or went, folded into one.
    Presence {
        /// How many.
        count: usize,
    },
    /// A local echo.
    Echo {
        /// Whether it begins a group.
        header: bool,
    },
}

/// Which row it is, whatever stands before it: heights measured once are kept under this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    /// A day divider.
    Day(i32),
    /// The unread line.
    New,
    /// A message, without and with header.
    Message(MessageId, bool),
    /// Notices that begin with this one.
    Presence(u64, usize),
    /// A local echo, without and with header.
    Echo(u64, bool),
}

/// The timeline of one room.
#[derive(Debug)]
pub struct Timeline {
    zone: TimeZone,
    me: Option<AccountId>,
    entries: Vec<Entry>,
    echoes: Vec<Echo>,
    rows: Vec<Row>,
    /// Messages by id, to find the one whose state changes.
    keys: BTreeMap<MessageId, OrderKey>,
    /// Everything up to here was read when the user looked away.
    read_up_to: Option<OrderKey>,
    revision: u64,
    /// For each of the latest revisions, the first row that changed.
    changes: VecDeque<(u64, usize)>,
}

impl Timeline {
    /// An empty timeline whose days are those of `zone`.
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
            revision: 0,
            changes: VecDeque::new(),
        }
    }

    /// What is to be drawn, from top to bottom.
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
            Entry::Message(_) => None,
        })
    }

    /// The echo of a row.
    #[must_use]
    pub fn echo(&self, row: Row) -> Option<&Echo> {
        self.echoes.get(row.entry.checked_sub(self.entries.len())?)
    }

    /// A name for the row that survives changes before it.
    #[must_use]
    pub fn row_key(&self, row: Row) -> RowKey {
        match (row.kind, self.entry(row)) {
            (RowKind::Message { header }, Some(Entry::Message(line))) => {
                RowKey::Message(line.message.id, header)
            }
            (RowKind::Presence { count }, Some(Entry::Presence(note))) => {
                RowKey::Presence(note.number, count)
            }
            (RowKind::Echo { header }, _) => {
                RowKey::Echo(self.echo(row).map_or(0, |echo| echo.number), header)
            }
            (RowKind::Day(date), _) => {
                RowKey::Day(i32::from(date.year()) * 512 + i32::from(date.day_of_year()))
            }
            (RowKind::New | RowKind::Message { .. } | RowKind::Presence { .. }, _) => RowKey::New,
        }
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many leading rows are as they were at `revision`.
    #[must_use]
    pub fn rows_unchanged_since(&self, revision: u64) -> usize {
        let oldest_known = self.changes.front().map_or(self.revision, |(first, _)| first - 1);
        if revision < oldest_known {
            return 0;
        }
        let later = self.changes.iter().filter(|(at, _)| *at > revision);
        later.map(|(_, first_changed)| *first_changed).min().unwrap_or(self.rows.len())
    }

    /// The oldest message held, to page from.
    #[must_use]
    pub fn oldest(&self) -> Option<MessageId> {
        self.messages().next().map(|line| line.message.id)
    }

    /// The newest message held.
    #[must_use]
    pub fn newest(&self) -> Option<&Line> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Message(line) => Some(line),
            Entry::Presence(_) => None,
        })
    }

    /// All messages held, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Line> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Message(line) => Some(line),
            Entry::Presence(_) => None,
        })
    }

    /// How many messages are held.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes a message; one that is there already changes nothing. True if it is new.
    pub fn insert(&mut self, message: Arc<ChatMessage>, mentions_me: bool) -> bool {
        if self.keys.contains_key(&message.id) {
            return false;
        }
        self.drop_echo_of(&message);
        let at = self.put(message, mentions_me);
        self.rebuild_from(at);
        true
    }

    /// Takes a part of the history at once.
    pub fn insert_page(
        &mut self,
        messages: &[Arc<ChatMessage>],
        mentions_me: impl Fn(&ChatMessage) -> bool,
    ) {
        let mut first_touched = None;
        let mut added = Vec::new();
        for message in messages {
            if self.keys.contains_key(&message.id) {
                continue;
            }
            self.drop_echo_of(message);
            self.keys.insert(message.id, message.order_key());
            let line = new_line(Arc::clone(message), mentions_me(message));
            added.push(Entry::Message(line));
        }
        if added.is_empty() {
            return;
        }
        if let Some(first) = added.iter().map(entry_key).min() {
            let at = self.entries.partition_point(|entry| entry_key(entry) < first);
            first_touched = Some(at);
        }
        self.entries.extend(added);
        // Two sorted runs: the standard library's stable sort merges them in one pass.
        self.entries.sort_by_key(entry_key);
        self.rebuild_from(first_touched.unwrap_or(0));
    }

    /// Takes a notice.
    pub fn insert_presence(&mut self, note: PresenceNote) {
        let key = (note.at, AFTER_ALL_PEERS, note.number, 0, MessageId([0; 32]));
        let at = self.entries.partition_point(|entry| entry_key(entry) < key);
        self.entries.insert(at, Entry::Presence(note));
        self.rebuild_from(at);
    }

    /// Shows a text before the node has it.
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

    /// The node did not take the echo's text: gives it back.
    pub fn take_echo(&mut self, number: u64) -> Option<Echo> {
        let at = self.echoes.iter().position(|echo| echo.number == number)?;
        let echo = self.echoes.remove(at);
        self.rebuild_from(self.entries.len());
        Some(echo)
    }

    /// An own message came further.
    pub fn set_state(&mut self, id: MessageId, state: SendState) {
        let Some(key) = self.keys.get(&id).copied() else { return };
        let at = self.entries.partition_point(|entry| entry_key(entry) < key);
        if let Some(Entry::Message(line)) = self.entries.get_mut(at) {
            line.state = Some(state);
            self.rebuild_from(at);
        }
    }

    /// Draws the unread line behind this message.
    pub fn mark_unread_after(&mut self, id: MessageId) {
        let key = self.keys.get(&id).copied();
        self.set_read_up_to(key);
    }

    /// Draws the unread line behind everything that is there now, unless there is one already.
    pub fn mark_unread_from_now(&mut self) {
        if self.read_up_to.is_none() {
            self.read_up_to = self.newest().map(|line| line.message.order_key());
        }
    }

    /// Takes the unread line away.
    pub fn clear_unread_line(&mut self) {
        self.set_read_up_to(None);
    }

    /// Whether an unread line is drawn.
    #[must_use]
    pub fn has_unread_line(&self) -> bool {
        self.rows.iter().rev().any(|row| row.kind == RowKind::New)
    }

    fn set_read_up_to(&mut self, key: Option<OrderKey>) {
        let positions = [self.read_up_to, key];
        if self.read_up_to == key {
            return;
        }
        self.read_up_to = key;
        let first = positions.into_iter().flatten().min();
        let at = first.map_or(0, |key| self.entries.partition_point(|e| entry_key(e) < key));
        self.rebuild_from(at);
    }

    fn put(&mut self, message: Arc<ChatMessage>, mentions_me: bool) -> usize {
        let key = message.order_key();
        self.keys.insert(message.id, key);
        let at = self.entries.partition_point(|entry| entry_key(entry) < key);
        self.entries.insert(at, Entry::Message(new_line(message, mentions_me)));
        at
    }

    /// The event may overtake the answer: then the oldest echo of the same text is meant.
    fn drop_echo_of(&mut self, message: &ChatMessage) {
        if message.state.is_none() {
            return;
        }
        let by_id = self.echoes.iter().position(|echo| echo.id == Some(message.id));
        let by_text =
            || self.echoes.iter().position(|echo| echo.id.is_none() && echo.text == message.text);
        if let Some(at) = by_id.or_else(by_text) {
            self.echoes.remove(at);
        }
    }

    /// Builds the rows anew from those of the entry before `entry` on: a header, a folded notice
    /// or a divider may depend on the neighbour, and on nothing further away.
    fn rebuild_from(&mut self, entry: usize) {
        let before = entry.min(self.entries.len()).saturating_sub(1);
        let holder = self.rows.partition_point(|row| row.entry <= before).saturating_sub(1);
        let mut start_entry = self.rows.get(holder).map_or(0, |row| row.entry);
        if self.rows.is_empty() || start_entry >= self.entries.len() {
            start_entry = 0;
        }
        let keep = self.rows.partition_point(|row| row.entry < start_entry);
        self.rows.truncate(keep);
        self.push_entry_rows(start_entry);
        self.push_echo_rows();
        self.revision += 1;
        self.changes.push_back((self.revision, keep));
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
    }

    fn push_entry_rows(&mut self, start: usize) {
        let mut previous = start.checked_sub(1).and_then(|at| self.entries.get(at));
        let mut folding: Option<usize> = None;
        for (at, entry) in self.entries.iter().enumerate().skip(start) {
            let date = text::day(entry_key(entry).0, &self.zone);
            let day_changed =
                previous.is_none_or(|p| text::day(entry_key(p).0, &self.zone) != date);
            if day_changed {
                self.rows.push(Row { entry: at, kind: RowKind::Day(date) });
                folding = None;
            }
            let first_unread = is_first_unread(self.read_up_to, previous, entry);
            if first_unread {
                self.rows.push(Row { entry: at, kind: RowKind::New });
                folding = None;
            }
            match entry {
                Entry::Message(line) => {
                    let starts_group = day_changed || first_unread || !continues(previous, line);
                    let kind = RowKind::Message { header: starts_group };
                    self.rows.push(Row { entry: at, kind });
                    folding = None;
                }
                Entry::Presence(_) => match folding.and_then(|row| self.rows.get_mut(row)) {
                    Some(Row { kind: RowKind::Presence { count }, .. }) => *count += 1,
                    _ => {
                        folding = Some(self.rows.len());
                        self.rows.push(Row { entry: at, kind: RowKind::Presence { count: 1 } });
                    }
                },
            }
            previous = Some(entry);
        }
    }

    fn push_echo_rows(&mut self) {
        let mut previous_at = match self.entries.last() {
            Some(Entry::Message(line)) if Some(line.message.account) == self.me => {
                Some(line.message.sent_at)
            }
            _ => None,
        };
        for (number, echo) in self.echoes.iter().enumerate() {
            let header = previous_at.is_none_or(|at| echo.at.saturating_sub(at) >= GROUP_GAP_MS);
            let entry = self.entries.len() + number;
            self.rows.push(Row { entry, kind: RowKind::Echo { header } });
            previous_at = Some(echo.at);
        }
    }
}

fn new_line(message: Arc<ChatMessage>, mentions_me: bool) -> Line {
    let cleaned = text::clean_text(&message.text);
    let cleaned = (cleaned != message.text).then(|| cleaned.into_boxed_str());
    Line { cleaned, state: message.state, mentions_me, message }
}

fn entry_key(entry: &Entry) -> OrderKey {
    match entry {
        Entry::Message(line) => line.message.order_key(),
        Entry::Presence(note) => (note.at, AFTER_ALL_PEERS, note.number, 0, MessageId([0; 32])),
    }
}

/// The unread line stands before the first message, and notices, behind what was read.
fn is_first_unread(read: Option<OrderKey>, previous: Option<&Entry>, entry: &Entry) -> bool {
    let Some(read) = read else { return false };
    entry_key(entry) > read && previous.is_none_or(|previous| entry_key(previous) <= read)
}

fn continues(previous: Option<&Entry>, line: &Line) -> bool {
    let Some(Entry::Message(before)) = previous else { return false };
    let (before, line) = (&before.message, &line.message);
    before.account == line.account
        && before.nickname == line.nickname
        && before.late == line.late
        && line.sent_at.saturating_sub(before.sent_at) < GROUP_GAP_MS
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;

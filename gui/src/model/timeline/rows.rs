//! The rows of a timeline, built from its entries.

use jiff::civil::Date;
use lanyard_protocol::ids::MessageId;

use super::{CHANGES_MAX, GROUP_GAP_MS, Timeline};
use crate::model::text;
use crate::model::timeline::entry::{Entry, Line, OrderKey};

/// A row to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The number of its entry. Echoes are numbered after the last entry.
    pub entry: usize,
    /// What it shows.
    pub kind: RowKind,
}

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A divider with the day.
    Day(Date),
    /// The unread line.
    New,
    /// A note that the messages below arrived late, above messages that had been read.
    Late,
    /// A message.
    Message {
        /// Whether it begins a group, with the author's name and avatar.
        header: bool,
    },
    /// Messages that arrived after the ban of their authors was known, folded into one row.
    Folded {
        /// How many there are.
        count: usize,
    },
    /// The rules have changed, or somebody was muted or banned.
    News,
    /// Notices of people who came or went, folded into one row.
    Presence {
        /// How many there are.
        count: usize,
    },
    /// A local echo.
    Echo {
        /// Whether it begins a group, with the author's name and avatar.
        header: bool,
    },
}

impl RowKind {
    /// Whether it begins a group, with the author's name and avatar.
    #[must_use]
    pub fn has_header(self) -> bool {
        matches!(self, Self::Message { header: true } | Self::Echo { header: true })
    }
}

/// Identifies a row, whatever comes before it. Measured heights are kept by this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    /// A day divider.
    Day(i32),
    /// The unread line.
    New,
    /// The note above late messages that begin with this one.
    Late(MessageId),
    /// A message, without and with header.
    Message(MessageId, bool),
    /// Folded messages that begin with this one.
    Folded(MessageId, usize),
    /// A change of the rules.
    News(u64),
    /// Notices that begin with this one.
    Presence(u64, usize),
    /// A local echo, without and with header.
    Echo(u64, bool),
}

impl Timeline {
    /// The key of a row. Changes before the row do not affect it.
    #[must_use]
    pub fn row_key(&self, row: Row) -> RowKey {
        match (row.kind, self.entry(row)) {
            (RowKind::Message { header }, Some(Entry::Message(line))) => {
                RowKey::Message(line.message.id, header)
            }
            (RowKind::Late, Some(Entry::Message(line))) => RowKey::Late(line.message.id),
            (RowKind::Presence { count }, Some(Entry::Presence(note))) => {
                RowKey::Presence(note.number, count)
            }
            (RowKind::Folded { count }, Some(Entry::Message(line))) => {
                RowKey::Folded(line.message.id, count)
            }
            (RowKind::News, Some(Entry::News(news))) => RowKey::News(news.number),
            (RowKind::Echo { header }, _) => {
                RowKey::Echo(self.echo(row).map_or(0, |echo| echo.number), header)
            }
            (RowKind::Day(date), _) => {
                RowKey::Day(i32::from(date.year()) * 512 + i32::from(date.day_of_year()))
            }
            (
                RowKind::New
                | RowKind::Late
                | RowKind::Message { .. }
                | RowKind::Presence { .. }
                | RowKind::Folded { .. }
                | RowKind::News,
                _,
            ) => RowKey::New,
        }
    }

    /// Rebuilds the rows from the entry before `entry` on: a header, a fold or a divider may depend on the
    /// entry before it, and on nothing further away.
    pub(super) fn rebuild_from(&mut self, entry: usize) {
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
            let date = text::day(entry.key().0, &self.zone);
            let day_changed = previous.is_none_or(|p| text::day(p.key().0, &self.zone) != date);
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
                Entry::Message(line) if self.is_hidden(line) => {
                    match folding.and_then(|row| self.rows.get_mut(row)) {
                        Some(Row { kind: RowKind::Folded { count }, .. }) => *count += 1,
                        _ => {
                            folding = Some(self.rows.len());
                            self.rows.push(Row { entry: at, kind: RowKind::Folded { count: 1 } });
                        }
                    }
                }
                Entry::Message(line) => {
                    let before = previous.filter(|entry| !self.is_hidden_entry(entry));
                    if line.came_behind && !before.is_some_and(came_behind) {
                        self.rows.push(Row { entry: at, kind: RowKind::Late });
                    }
                    let starts_group = day_changed || first_unread || !continues(before, line);
                    let kind = RowKind::Message { header: starts_group };
                    self.rows.push(Row { entry: at, kind });
                    folding = None;
                }
                Entry::News(_) => {
                    self.rows.push(Row { entry: at, kind: RowKind::News });
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
        let last = self.entries.last().and_then(Entry::line);
        let own = last.filter(|line| Some(line.message.account) == self.me);
        let mut previous_at = own.map(|line| line.message.sent_at);
        for (number, echo) in self.echoes.iter().enumerate() {
            let header = previous_at.is_none_or(|at| echo.at.saturating_sub(at) >= GROUP_GAP_MS);
            let entry = self.entries.len() + number;
            self.rows.push(Row { entry, kind: RowKind::Echo { header } });
            previous_at = Some(echo.at);
        }
    }
}

/// The unread line stands before the first entry after what was read.
fn is_first_unread(read: Option<OrderKey>, previous: Option<&Entry>, entry: &Entry) -> bool {
    let Some(read) = read else { return false };
    entry.key() > read && previous.is_none_or(|previous| previous.key() <= read)
}

fn came_behind(entry: &Entry) -> bool {
    entry.line().is_some_and(|line| line.came_behind)
}

fn continues(previous: Option<&Entry>, line: &Line) -> bool {
    let Some(before) = previous.and_then(Entry::line) else { return false };
    if before.came_behind != line.came_behind {
        return false;
    }
    let (before, line) = (&before.message, &line.message);
    before.account == line.account
        && before.nickname == line.nickname
        && line.sent_at.saturating_sub(before.sent_at) < GROUP_GAP_MS
}

//! What came late, and whether that tells anything.
//!
//! After an absence everything is late, and nobody needs to hear it: it stands where it belongs, before anything else
//! was read. A reader can only miss what came above lines that had been here for a while.

use super::Timeline;
use crate::model::timeline::entry::{Entry, Line};
use crate::model::timeline::rows::Row;

/// Lines that came so much earlier may have been read by then. Fetching a long history takes less.
const READ_BY_THEN_MS: u64 = 2 * 60_000;

impl Timeline {
    /// The messages that came behind together, from the one of this row on.
    pub fn late_block(&self, row: Row) -> impl Iterator<Item = &Line> {
        let rest = self.entries.iter().skip(row.entry);
        rest.map_while(|entry| match entry {
            Entry::Message(line) if line.came_behind => Some(line),
            Entry::Message(_) | Entry::Presence(_) | Entry::News(_) => None,
        })
    }

    /// Judges the message at this place by what stands below it.
    pub(super) fn judge_late(&mut self, at: usize) {
        let Some(Entry::Message(line)) = self.entries.get(at) else { return };
        if !line.message.late {
            return;
        }
        let received_at = line.message.received_at;
        let below = self.entries.iter().skip(at + 1).filter_map(came_in_time);
        let came_behind = below.min().is_some_and(|earlier| is_behind(earlier, received_at));
        if let Some(Entry::Message(line)) = self.entries.get_mut(at) {
            line.came_behind = came_behind;
        }
    }

    /// Judges all messages; the place of the first that changed.
    pub(super) fn judge_all_late(&mut self) -> Option<usize> {
        let (mut earliest, mut changed) = (u64::MAX, None);
        for (at, entry) in self.entries.iter_mut().enumerate().rev() {
            if let Some(came) = came_in_time(entry) {
                earliest = earliest.min(came);
            }
            let Entry::Message(line) = entry else { continue };
            let came_behind = line.message.late && is_behind(earliest, line.message.received_at);
            if line.came_behind != came_behind {
                line.came_behind = came_behind;
                changed = Some(at);
            }
        }
        changed
    }
}

/// When a message came that was not late itself.
fn came_in_time(entry: &Entry) -> Option<u64> {
    match entry {
        Entry::Message(line) => Some(&line.message).filter(|m| !m.late).map(|m| m.received_at),
        Entry::Presence(_) | Entry::News(_) => None,
    }
}

fn is_behind(earlier: u64, received_at: u64) -> bool {
    earlier.saturating_add(READ_BY_THEN_MS) <= received_at
}

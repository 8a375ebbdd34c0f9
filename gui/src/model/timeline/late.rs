//! Messages that arrived late, and whether to say so.
//!
//! After an absence everything is late, and that needs no note: it is in its place before anything else is read.
//! A reader can only miss messages that arrive above others that have been here for a while.

use lanyard_protocol::time::MINUTE_MS;

use super::Timeline;
use crate::model::timeline::entry::{Entry, Line};
use crate::model::timeline::rows::Row;

/// Messages that arrived this much earlier may have been read. Fetching a long history takes less.
const READ_BY_THEN_MS: u64 = 2 * MINUTE_MS;

impl Timeline {
    /// The block of late messages that begins with this row.
    pub fn late_block(&self, row: Row) -> impl Iterator<Item = &Line> {
        let rest = self.entries.iter().skip(row.entry);
        rest.map_while(|entry| entry.line().filter(|line| line.came_behind))
    }

    /// Decides by the messages below it whether one message counts as late.
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

    /// Decides this for all messages. Returns the position of the first that changed.
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

/// When a message arrived, unless it was late itself.
fn came_in_time(entry: &Entry) -> Option<u64> {
    entry.line().filter(|line| !line.message.late).map(|line| line.message.received_at)
}

fn is_behind(earlier: u64, received_at: u64) -> bool {
    earlier.saturating_add(READ_BY_THEN_MS) <= received_at
}

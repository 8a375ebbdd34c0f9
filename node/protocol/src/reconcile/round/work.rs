//! The window in progress: its frames, and the ids that they show to be needed.
//!
//! A window needs at most [`NEEDED_MAX`] ids. It takes [`FRAMES_FREE`] frames, and one more for every
//! [`ITEMS_PER_FRAME`] items in it, ours or needed. That is enough for honest peers: a difference costs at most 16
//! ranges of 25 bytes on each of five levels and a list of 31 ids, 3 KB in all. So 60,000 bytes hold 20 differences that
//! lie far apart, with 16 or more items around each, or hundreds that lie close together.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::ids::MessageId;
use crate::reconcile::items::{ItemSet, SyncError};
use crate::reconcile::windows::Span;
use crate::reconcile::wire::Window;

/// Ids that one window of a round may need. The next round fetches the rest.
pub(crate) const NEEDED_MAX: usize = 131_072;
/// Frames that any window may use. On a LAN, fewer than ten are enough.
pub(crate) const FRAMES_FREE: usize = 64;
/// A window may use one more frame for this many items in it. Honest peers need fewer than one for 200.
const ITEMS_PER_FRAME: usize = 64;
/// The most frames that any window may use: enough for millions of ids.
const FRAMES_MAX: usize = 10_000;

/// One window, from the first frame to the last id.
#[derive(Debug)]
pub(super) struct Work {
    items: Arc<ItemSet>,
    span: Span,
    /// The frame that has not been answered yet.
    frame: Option<Vec<u8>>,
    /// How many frames have been answered.
    frames: usize,
    /// Every id that was needed in this window, so that a liar cannot name one twice.
    seen: BTreeSet<MessageId>,
    /// Ids to ask for, the newest last.
    pending: Vec<MessageId>,
    /// Ids to ask for once more when there is nothing else to ask.
    again: VecDeque<MessageId>,
}

impl Work {
    pub(super) fn new(span: Span, items: Arc<ItemSet>) -> Self {
        Self {
            frame: Some(items.fingerprint_frame()),
            items,
            span,
            frames: 0,
            seen: BTreeSet::new(),
            pending: Vec::new(),
            again: VecDeque::new(),
        }
    }

    /// The window with its next frame, or `None` when the comparison is finished.
    pub(super) fn next_window(&self) -> Option<Window> {
        let Span { since, until } = self.span;
        Some(Window { since, until, frame: self.frame.clone()? })
    }

    /// Reads an answer. Returns the ids that the peer holds and we do not.
    pub(super) fn read(&mut self, reply: &[u8]) -> Result<Vec<MessageId>, SyncError> {
        let step = self.items.step(reply)?;
        self.frames = self.frames.saturating_add(1);
        self.frame = step.next;
        Ok(step.need)
    }

    /// Asks for no more frames.
    pub(super) fn stop(&mut self) {
        self.frame = None;
    }

    /// Whether the peer needs more frames than an honest one would.
    pub(super) fn has_too_many_frames(&self) -> bool {
        let items = self.items.len().saturating_add(self.seen.len());
        let allowed = FRAMES_MAX.min(FRAMES_FREE.saturating_add(items / ITEMS_PER_FRAME));
        self.frame.is_some() && self.frames >= allowed
    }

    /// Whether an id was needed in this window before.
    pub(super) fn has_seen(&self, id: MessageId) -> bool {
        self.seen.contains(&id)
    }

    /// Adds an id to ask for. Returns false if the window already needs as many as it may.
    pub(super) fn need(&mut self, id: MessageId) -> bool {
        let has_room = self.seen.len() < NEEDED_MAX;
        if has_room && self.seen.insert(id) {
            self.pending.push(id);
        }
        has_room
    }

    /// The next id to ask for. Ids are asked for `again` only when no frame can name new ones.
    pub(super) fn next_id(&mut self, again: bool) -> Option<MessageId> {
        match (again, &self.frame) {
            (false, _) => self.pending.pop(),
            (true, None) => self.again.pop_front(),
            (true, Some(_)) => None,
        }
    }

    /// Puts ids back so that [`Self::next_id`] returns them first, in this order.
    pub(super) fn put_back(&mut self, ids: &[MessageId], again: bool) {
        for id in ids.iter().rev() {
            if again {
                self.again.push_front(*id);
            } else {
                self.pending.push(*id);
            }
        }
    }

    /// Asks once more for ids that the peer did not hold. It may hold them by then.
    pub(super) fn ask_again(&mut self, ids: impl Iterator<Item = MessageId>) {
        self.again.extend(ids);
    }
}

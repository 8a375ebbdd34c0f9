//! The rooms: a timeline, a draft and an unread count for each.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use lanyard_protocol::ids::{AccountId, MessageId};

use crate::model::composer::Composer;
use crate::model::timeline::{OrderKey, Timeline};

/// What the window knows of one room.
#[derive(Debug)]
pub struct Room {
    /// Its messages and notices.
    pub timeline: Timeline,
    /// Its draft.
    pub composer: Composer,
    /// How many messages are unread.
    pub unread: u64,
    /// Whether the store has counted the unread messages.
    pub is_counted: bool,
    /// Whether the user has been here before, so that messages fetched from others count as missed.
    pub has_past: bool,
    /// Whether the line "New" stands before missed messages, and more of them may come.
    pub is_catching_up: bool,
    /// The message after which the line "New" belongs, while it is not loaded; `Some(None)`: before all.
    pub line_wanted: Option<Option<MessageId>>,
    /// The last message that was on screen while the user was looking.
    pub seen: Option<OrderKey>,
    /// The message that arrived last, wherever it sorts.
    pub arrived_last: Option<MessageId>,
    /// Whether an unread message mentions the user.
    pub mentioned: bool,
    /// Whether the store has older messages than those loaded.
    pub has_older: bool,
    /// Whether a part of the history is being loaded.
    pub loading: bool,
    /// Whether the user sees the newest message.
    pub at_bottom: bool,
    /// Whether the next count of unread messages may be smaller than the present one.
    pub recounts: bool,
    /// The comparison with the store, while one is under way.
    pub refresh: Option<Refresh>,
}

/// A comparison of the timeline with the store, page by page: messages may have left the history.
#[derive(Debug)]
pub struct Refresh {
    /// The oldest message in the timeline when it began.
    pub oldest: Option<OrderKey>,
    /// Messages that were in the timeline when it began, and not found in the store yet.
    pub unconfirmed: BTreeSet<MessageId>,
    /// How many pages may still be read.
    pub pages_left: usize,
    /// Whether something has changed meanwhile: then it is done once more.
    pub again: bool,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(zone: TimeZone, me: AccountId) -> Self {
        Self {
            timeline: Timeline::new(zone, Some(me)),
            composer: Composer::default(),
            unread: 0,
            is_counted: false,
            has_past: false,
            is_catching_up: false,
            line_wanted: None,
            seen: None,
            arrived_last: None,
            mentioned: false,
            has_older: false,
            loading: false,
            at_bottom: true,
            recounts: false,
            refresh: None,
        }
    }

    /// Notes that a message arrives unseen. The line "New" goes before the first such message.
    pub fn begin_unread(&mut self, is_missed: bool) {
        let goes_on = self.is_catching_up && is_missed;
        if self.unread == 0 && !goes_on {
            self.timeline.mark_unread_from_now();
        }
        self.is_catching_up = is_missed;
    }

    /// Whether seeing the message with this order key changes anything.
    #[must_use]
    pub fn is_news(&self, key: OrderKey) -> bool {
        let is_further = self.seen < Some(key);
        // Late messages sort above what has been seen, and count as unread until the newest is in sight.
        let settles =
            self.seen == Some(key) && self.unread > self.timeline.count_of_others_behind(key);
        self.is_counted && (is_further || settles)
    }
}

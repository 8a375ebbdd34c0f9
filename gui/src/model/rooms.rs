//! The rooms: a timeline, a draft and an unread count for each.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use lanyard_protocol::ids::{AccountId, MessageId};

use crate::model::composer::Composer;
use crate::model::timeline::{OrderKey, Timeline};

/// What the window knows of one room.
#[derive(Debug)]
pub struct Room {
    /// What was said.
    pub timeline: Timeline,
    /// What is being typed.
    pub composer: Composer,
    /// Messages not read yet.
    pub unread: u64,
    /// Whether the store has said how many that are.
    pub is_counted: bool,
    /// Whether the user has been here before: then what others bring is what the user has missed.
    pub has_past: bool,
    /// Whether the line "New" stands before what was missed, of which more may come.
    pub is_catching_up: bool,
    /// Behind which message the line "New" belongs, until that one is held; `None` within: before all.
    pub line_wanted: Option<Option<MessageId>>,
    /// The last message that was on screen while the user looked.
    pub seen: Option<OrderKey>,
    /// The message that arrived last, wherever it stands.
    pub arrived_last: Option<MessageId>,
    /// Whether one of them speaks to the user.
    pub mentioned: bool,
    /// Whether the store has older messages than those held.
    pub has_older: bool,
    /// Whether a part of the history is on its way.
    pub loading: bool,
    /// Whether the user sees the newest message.
    pub at_bottom: bool,
    /// Whether the next count of unread messages may be smaller than the one held.
    pub recounts: bool,
    /// Reading again what is held, while that is under way.
    pub refresh: Option<Refresh>,
}

/// Messages may have left the set: what is held is compared with the store, page by page.
#[derive(Debug)]
pub struct Refresh {
    /// The oldest message held when it began.
    pub oldest: Option<OrderKey>,
    /// Held when it began, and not met in the store since.
    pub unconfirmed: BTreeSet<MessageId>,
    /// Pages that may still be asked for.
    pub pages_left: usize,
    /// Whether something changed meanwhile: then it begins anew at its end.
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

    /// Something comes in that nobody sees: the line "New" stands before the first of that.
    pub fn begin_unread(&mut self, is_missed: bool) {
        let goes_on = self.is_catching_up && is_missed;
        if self.unread == 0 && !goes_on {
            self.timeline.mark_unread_from_now();
        }
        self.is_catching_up = is_missed;
    }

    /// Whether it changes anything that the message at this place in the order has been seen.
    #[must_use]
    pub fn is_news(&self, key: OrderKey) -> bool {
        let is_further = self.seen < Some(key);
        // What arrived late stands above what has been seen, and counts until the newest is in sight.
        let settles =
            self.seen == Some(key) && self.unread > self.timeline.count_of_others_behind(key);
        self.is_counted && (is_further || settles)
    }
}

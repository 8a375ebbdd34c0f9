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
    /// Whether one of them speaks to the user.
    pub mentioned: bool,
    /// Whether the store has older messages than those held.
    pub has_older: bool,
    /// Whether a part of the history is on its way.
    pub loading: bool,
    /// Whether the user sees the newest message.
    pub at_bottom: bool,
    /// Messages that came while the user read further up.
    pub below: u64,
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
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(zone: TimeZone, me: AccountId) -> Self {
        Self {
            timeline: Timeline::new(zone, Some(me)),
            composer: Composer::default(),
            unread: 0,
            mentioned: false,
            has_older: false,
            loading: false,
            at_bottom: true,
            below: 0,
            recounts: false,
            refresh: None,
        }
    }

    /// Everything has been seen.
    pub fn mark_seen(&mut self) {
        self.unread = 0;
        self.mentioned = false;
        self.below = 0;
    }
}

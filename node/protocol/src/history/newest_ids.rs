//! Bounded memory for ids: those that the rules in force have refused, and those admitted lately.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::MessageId;

/// Ids that the history refused or recently admitted, and that are not fetched again. The oldest are forgotten first.
const REMEMBERED_IDS_MAX: usize = 65_536;

/// A set of ids that forgets the oldest. Flooding it can at worst make us fetch the same message again.
#[derive(Debug, Default)]
pub(super) struct NewestIds {
    ids: BTreeSet<MessageId>,
    oldest_first: VecDeque<MessageId>,
}

impl NewestIds {
    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn insert(&mut self, id: MessageId) {
        if !self.ids.insert(id) {
            return;
        }
        self.oldest_first.push_back(id);
        if self.oldest_first.len() > REMEMBERED_IDS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.oldest_first.clear();
    }
}

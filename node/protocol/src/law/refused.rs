//! Ids that the law has refused under the present rules: they are not fetched again before the rules change.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::MessageId;
use crate::limits::REFUSED_IDS_MAX;

/// The newest refused ids. Whoever fills it can at worst make us fetch and refuse the same message again.
#[derive(Debug, Default)]
pub(super) struct RefusedIds {
    ids: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl RefusedIds {
    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn insert(&mut self, id: MessageId) {
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REFUSED_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// The rules have changed: what they refused may be lawful now.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

//! A cache of parts of our sets, and what it costs to build one.

use std::cell::RefCell;
use std::sync::Arc;

use crate::history::History;
use crate::ids::MessageId;
use crate::reconcile::{ItemSet, SetName, Window};

/// Parts of the sets that are kept between requests: five windows of several neighbours.
const ITEM_SETS_MAX: usize = 16;
/// Items in all those parts together: twice the set plus this many. The windows of a round make up the set once.
pub(crate) const ITEM_SETS_SPARE: usize = 65_536;

/// What a walk over the set costs per item, in bytes of the budget: a copy, and its share of the sorting.
const WALK_BYTES: usize = 4;
/// How many items are summed up per byte of the budget: ten million a second take a tenth of a core.
const ITEMS_SUMMED_PER_BYTE: usize = 2;

/// A set and a span of it: `since`, `until`.
type SetSpan = (SetName, u64, u64);

/// A part of a set, with the version of the set that it was built from.
#[derive(Debug)]
struct Part {
    span: SetSpan,
    version: u64,
    items: Arc<ItemSet>,
}

/// Parts of the sets that were built lately, so that a window that has not changed is not built again.
#[derive(Debug, Default)]
pub(super) struct ItemSets {
    /// The part used last is at the end.
    kept: RefCell<Vec<Part>>,
}

impl ItemSets {
    /// The set of a span, from the cache or newly built.
    pub(super) fn get(&self, history: &History, span: SetSpan) -> Arc<ItemSet> {
        if let Some(items) = self.known(history, span) {
            return items;
        }
        let (set, since, until) = span;
        let items = Arc::new(match set {
            SetName::Messages => ItemSet::new(history.set().items(since, until)),
            SetName::Moderations => {
                let within = |(from, _id): &(u64, MessageId)| (since..until).contains(from);
                ItemSet::new(history.rules().moderations().items().filter(within))
            }
        });
        let version = version(history, span);
        self.keep(Part { span, version, items: Arc::clone(&items) }, history);
        items
    }

    /// The set of a span, if it is cached and has not changed since.
    fn known(&self, history: &History, span: SetSpan) -> Option<Arc<ItemSet>> {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(|part| part.span == span)?;
        let part = kept.remove(at);
        if part.version != version(history, span) {
            return None;
        }
        let items = Arc::clone(&part.items);
        kept.push(part);
        Some(items)
    }

    /// Neighbours choose the spans, so the cache is bounded, both in parts and in items.
    fn keep(&self, part: Part, history: &History) {
        let mut kept = self.kept.borrow_mut();
        kept.push(part);
        let set = usize::try_from(history.set().len()).unwrap_or(usize::MAX);
        let items_max = set.saturating_mul(2).saturating_add(ITEM_SETS_SPARE);
        while kept.len() > 1 && (kept.len() > ITEM_SETS_MAX || total(&kept) > items_max) {
            kept.remove(0);
        }
    }

    /// What it costs to answer a frame, in bytes of the budget, without the answer itself.
    pub(super) fn cost(&self, history: &History, set: SetName, window: &Window) -> usize {
        let Window { since, until, ref frame } = *window;
        if let Some(items) = self.known(history, (set, since, until)) {
            let agrees = *frame == items.fingerprint_frame();
            return if agrees { 0 } else { items.len() / ITEMS_SUMMED_PER_BYTE };
        }
        let at_most = match set {
            SetName::Messages => history.set().at_most(since, until),
            SetName::Moderations => history.rules().moderations().items().size_hint().0 as u64,
        };
        let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
        at_most.saturating_mul(WALK_BYTES).saturating_add(at_most / ITEMS_SUMMED_PER_BYTE)
    }

    /// How many items are cached.
    #[cfg(test)]
    pub(super) fn items(&self) -> usize {
        total(&self.kept.borrow())
    }
}

fn total(kept: &[Part]) -> usize {
    kept.iter().map(|part| part.items.len()).sum()
}

fn version(history: &History, (set, since, until): SetSpan) -> u64 {
    match set {
        SetName::Messages => history.set().version(since, until),
        SetName::Moderations => history.rules().moderations().version(),
    }
}

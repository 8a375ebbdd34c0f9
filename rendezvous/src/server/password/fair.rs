//! A short queue in which everybody gets their turn, however much somebody else has put into it.
//!
//! Items have an owner, such as an account or an address. When the queue is full, the owner with the most items makes
//! room for the others; and the owners take turns, so nobody is served twice in a row while somebody else waits.

use std::collections::{BTreeMap, VecDeque};

/// The queue, with the owners `K` of the items `T`.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    /// Everybody who has an item here, in the order of their turns.
    turns: VecDeque<K>,
    waiting: BTreeMap<K, VecDeque<T>>,
    last_served: Option<K>,
    places: usize,
}

impl<K: Ord + Copy, T> FairQueue<K, T> {
    /// An empty queue for this number of items.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { turns: VecDeque::new(), waiting: BTreeMap::new(), last_served: None, places }
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds an item. Returns `false`, and drops the item, if there is no place for this owner.
    #[must_use]
    pub fn push(&mut self, owner: K, item: T) -> bool {
        if self.len() >= self.places && !self.make_room(owner) {
            return false;
        }
        let own = self.waiting.entry(owner).or_default();
        if own.is_empty() {
            self.turns.push_back(owner);
        }
        own.push_back(item);
        true
    }

    /// Removes the oldest item of the owner whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let another = self.turns.iter().position(|owner| Some(*owner) != self.last_served);
        let owner = self.turns.remove(another.unwrap_or(0))?;
        let own = self.waiting.get_mut(&owner)?;
        let item = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        self.last_served = Some(owner);
        item
    }

    /// Drops the items for which `keep` is false. Nobody loses a turn by that.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.waiting.retain(|_owner, own| {
            own.retain(&keep);
            !own.is_empty()
        });
        self.turns.retain(|owner| self.waiting.contains_key(owner));
    }

    /// Drops the newest item of the owner with the most items, unless `newcomer` has about as many itself.
    fn make_room(&mut self, newcomer: K) -> bool {
        let own = self.waiting.get(&newcomer).map_or(0, VecDeque::len);
        let Some((_greedy, most)) = self.waiting.iter_mut().max_by_key(|(_owner, all)| all.len())
        else {
            return false;
        };
        most.len() > own.saturating_add(1) && most.pop_back().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> FairQueue<u8, u8> {
        FairQueue::new(8)
    }

    fn served(queue: &mut FairQueue<u8, u8>) -> Vec<u8> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn owners_take_turns() {
        let mut queue = queue();
        for item in [10, 11, 12, 20, 21, 30] {
            assert!(queue.push(item / 10, item));
        }
        assert_eq!(served(&mut queue), [10, 20, 30, 11, 21, 12]);
    }

    #[test]
    fn nobody_is_served_twice_while_another_waits() {
        let mut queue = queue();
        assert!(queue.push(1, 10));
        assert_eq!(queue.pop(), Some(10));
        assert!(queue.push(1, 11) && queue.push(2, 20));
        assert_eq!(served(&mut queue), [20, 11]);
        assert!(queue.push(1, 12), "alone, one may be served again and again");
        assert_eq!(queue.pop(), Some(12));
    }

    #[test]
    fn who_has_the_most_makes_room_for_the_others() {
        let mut queue = queue();
        assert!((10..18).all(|item| queue.push(1, item)));
        assert!(!queue.push(1, 18), "a flood finds no further place");
        assert!(queue.push(2, 20) && queue.push(3, 30) && queue.push(2, 21) && queue.push(2, 22));
        assert!(!queue.push(2, 23), "four and three: neither makes room for the other");
        assert!(queue.push(4, 40));
        assert_eq!(queue.len(), 8);
        assert_eq!(served(&mut queue), [10, 20, 30, 40, 11, 21, 12, 22]);
        assert!(queue.is_empty());
    }

    #[test]
    fn dropped_items_cost_no_turn() {
        let mut queue = queue();
        for item in [10, 11, 20] {
            assert!(queue.push(item / 10, item));
        }
        queue.retain(|item| *item != 10 && *item != 20);
        assert_eq!((queue.len(), served(&mut queue)), (1, vec![11]));
    }
}

//! Who stands at the desk, how long each may, and who has to go when it is full.
//!
//! Without I/O: times come in, connections to close go out. A visitor who has asked keeps the place while the
//! answer is made; one who only stands there is closed after ten seconds, or earlier for somebody new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Connections at a time.
pub const VISITORS_MAX: usize = 256;
/// Time from the handshake to the complete request.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Time from the request to the answer: the longest queue, at parameters far above the default.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Time to read the answer and hang up.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Requests on one connection: a wrong password and its correction, no more.
const REQUESTS_MAX: u32 = 8;

#[derive(Debug, Clone, Copy)]
struct Visitor {
    arrived: Instant,
    until: Instant,
    requests: u32,
}

/// The visitors, by connection.
#[derive(Debug)]
pub struct Visitors<Id> {
    present: BTreeMap<Id, Visitor>,
}

impl<Id> Default for Visitors<Id> {
    fn default() -> Self {
        Self { present: BTreeMap::new() }
    }
}

impl<Id: Ord + Copy> Visitors<Id> {
    /// Somebody new. If the desk is full now, gives the connection to close.
    #[must_use]
    pub fn arrived(&mut self, id: Id, now: Instant) -> Option<Id> {
        let is_full = self.present.len() >= VISITORS_MAX;
        let idle = self.present.iter().filter(|(_, visitor)| visitor.requests == 0);
        let oldest = idle.min_by_key(|(_, visitor)| visitor.arrived).map(|(id, _)| *id);
        let until = now.checked_add(REQUEST_WITHIN).unwrap_or(now);
        self.present.insert(id, Visitor { arrived: now, until, requests: 0 });
        // If all the others are being served, it is the new one who has no place.
        let leaving = is_full.then(|| oldest.unwrap_or(id))?;
        self.present.remove(&leaving);
        Some(leaving)
    }

    /// A complete request has come; `false` if this visitor has had enough answers, or is to go.
    #[must_use]
    pub fn asked(&mut self, id: &Id, now: Instant) -> bool {
        let Some(visitor) = self.present.get_mut(id) else { return false };
        visitor.requests = visitor.requests.saturating_add(1);
        visitor.until = now.checked_add(ANSWER_WITHIN).unwrap_or(now);
        visitor.requests <= REQUESTS_MAX
    }

    /// The answer is on its way.
    pub fn answered(&mut self, id: &Id, now: Instant) {
        if let Some(visitor) = self.present.get_mut(id) {
            visitor.until = now.checked_add(LEAVE_WITHIN).unwrap_or(now);
        }
    }

    /// The connection is gone.
    pub fn left(&mut self, id: &Id) {
        self.present.remove(id);
    }

    /// Whose time is over; each is named once.
    #[must_use]
    pub fn overdue(&mut self, now: Instant) -> Vec<Id> {
        self.present.extract_if(.., |_, visitor| visitor.until <= now).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn who_does_not_ask_goes_after_ten_seconds() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, start), None);
        assert_eq!(visitors.arrived(2, after(start, 1)), None);
        assert!(visitors.asked(&2, after(start, 2)));
        assert!(visitors.overdue(after(start, 9)).is_empty());
        assert_eq!(visitors.overdue(after(start, 10)), [1]);
        assert!(visitors.overdue(after(start, 31)).is_empty());
        visitors.answered(&2, after(start, 31));
        assert_eq!(visitors.overdue(after(start, 36)), [2]);
        assert!(!visitors.asked(&2, after(start, 36)), "it is gone");
    }

    #[test]
    fn when_full_the_oldest_idle_one_makes_room() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        for id in 0..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, start + Duration::from_millis(id as u64)), None);
        }
        assert!(visitors.asked(&0, after(start, 1)));
        assert_eq!(visitors.arrived(1_000, after(start, 2)), Some(1));
        visitors.left(&2);
        assert_eq!(visitors.arrived(1_001, after(start, 2)), None);
        assert_eq!(visitors.present.len(), VISITORS_MAX);
    }

    #[test]
    fn when_all_are_served_the_new_one_goes() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        for id in 0..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, start), None);
            assert!(visitors.asked(&id, start));
        }
        assert_eq!(visitors.arrived(1_000, start), Some(1_000));
        assert_eq!(visitors.present.len(), VISITORS_MAX);
    }

    #[test]
    fn one_connection_has_few_requests() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, start), None);
        for _ in 0..REQUESTS_MAX {
            assert!(visitors.asked(&1, start));
        }
        assert!(!visitors.asked(&1, start));
    }
}

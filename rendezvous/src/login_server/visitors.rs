//! Who stands at the login server, how long each may, and who has to go when it is full.
//!
//! Without I/O: times come in, connections to close go out. A visitor who has asked keeps the place while the
//! answer is made; one who only stands there, before or after, is closed in time, or earlier for somebody new.
//! Of those, the address goes first that has most of them, and of its visitors who has had an answer, then who
//! stands there longest: a flood from one address cannot fill the login server for another.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
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
    from: IpAddr,
    /// Since when it stands there; `None` while its answer is made.
    idle_since: Option<Instant>,
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
    /// Somebody new, from an address or the network that counts as one. If the login server is full now, gives the
    /// connection to close.
    #[must_use]
    pub fn arrived(&mut self, id: Id, from: IpAddr, now: Instant) -> Option<Id> {
        let is_full = self.present.len() >= VISITORS_MAX;
        let until = now.checked_add(REQUEST_WITHIN).unwrap_or(now);
        let goes = if is_full { self.who_goes() } else { None };
        self.present.insert(id, Visitor { from, idle_since: Some(now), until, requests: 0 });
        // If all the others are being served, it is the new one who has no place.
        let leaving = is_full.then(|| goes.unwrap_or(id))?;
        self.present.remove(&leaving);
        Some(leaving)
    }

    /// The visitor of the address that has most idle ones who can be missed most easily.
    fn who_goes(&self) -> Option<Id> {
        let mut by_address: BTreeMap<IpAddr, (usize, (bool, Instant), Id)> = BTreeMap::new();
        for (id, visitor) in &self.present {
            let Some(since) = visitor.idle_since else { continue };
            let rank = (visitor.requests == 0, since);
            let (count, least, of) = by_address.entry(visitor.from).or_insert((0, rank, *id));
            *count = count.saturating_add(1);
            if rank < *least {
                (*least, *of) = (rank, *id);
            }
        }
        let most =
            by_address.into_values().max_by_key(|(count, rank, _id)| (*count, Reverse(*rank)));
        most.map(|(_count, _rank, id)| id)
    }

    /// A complete request has come; `false` if this visitor has had enough answers, or is to go.
    #[must_use]
    pub fn asked(&mut self, id: &Id, now: Instant) -> bool {
        let Some(visitor) = self.present.get_mut(id) else { return false };
        visitor.requests = visitor.requests.saturating_add(1);
        visitor.idle_since = None;
        visitor.until = now.checked_add(ANSWER_WITHIN).unwrap_or(now);
        visitor.requests <= REQUESTS_MAX
    }

    /// The answer is on its way.
    pub fn answered(&mut self, id: &Id, now: Instant) {
        if let Some(visitor) = self.present.get_mut(id) {
            visitor.idle_since = Some(now);
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

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn who_does_not_ask_goes_after_ten_seconds() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, HOME, start), None);
        assert_eq!(visitors.arrived(2, HOME, after(start, 1)), None);
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
            assert_eq!(visitors.arrived(id, HOME, start + Duration::from_millis(id as u64)), None);
        }
        assert!(visitors.asked(&0, after(start, 1)));
        assert_eq!(visitors.arrived(1_000, HOME, after(start, 2)), Some(1));
        visitors.left(&2);
        assert_eq!(visitors.arrived(1_001, HOME, after(start, 2)), None);
        assert_eq!(visitors.present.len(), VISITORS_MAX);
    }

    #[test]
    fn when_all_are_served_the_new_one_goes() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        for id in 0..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, HOME, start), None);
            assert!(visitors.asked(&id, start));
        }
        assert_eq!(visitors.arrived(1_000, HOME, start), Some(1_000));
        assert_eq!(visitors.present.len(), VISITORS_MAX);
    }

    #[test]
    fn one_connection_has_few_requests() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, HOME, start), None);
        for _ in 0..REQUESTS_MAX {
            assert!(visitors.asked(&1, start));
        }
        assert!(!visitors.asked(&1, start));
    }

    #[test]
    fn who_lingers_after_the_answer_makes_room_too() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        for id in 0..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, HOME, start), None);
            assert!(visitors.asked(&id, start));
        }
        visitors.answered(&7, after(start, 1));
        visitors.answered(&8, after(start, 2));
        visitors.left(&9);
        assert_eq!(visitors.arrived(2_000, HOME, after(start, 1)), None);
        let goes = visitors.arrived(1_000, HOME, after(start, 3));
        assert_eq!(goes, Some(7), "before who has not asked yet, though that one came first");
        assert!(visitors.asked(&2_000, after(start, 3)));
        assert!(visitors.asked(&8, after(start, 3)), "it may ask again while there is room");
    }

    #[test]
    fn a_flood_from_one_address_makes_room_for_the_others() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        let other = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(visitors.arrived(0, other, start), None);
        for id in 1..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, HOME, after(start, 1)), None);
        }
        for id in 0..1_000 {
            let gone = visitors.arrived(1_000 + id, HOME, after(start, 2)).unwrap();
            assert_ne!(gone, 0, "the one who came first, but from elsewhere");
        }
        assert!(visitors.asked(&0, after(start, 3)));
    }
}

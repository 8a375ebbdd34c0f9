//! The visitors of the login server: how long each may stay, and which must leave when it is full.
//!
//! There is no I/O here: times come in, connections to close go out. A visitor that has asked keeps its place until the
//! answer is ready. One that is idle, before or after that, is closed after a while, or earlier to make room for a new
//! one. Then the address with the most idle visitors loses one, see [`Crowd`]: first those that already got an
//! answer, then those that have been idle longest. So a flood from a few addresses cannot fill the login server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanyard_node::transport::crowd::Crowd;

/// How many connections there may be at a time.
pub const VISITORS_MAX: usize = 256;
/// The time from the handshake to the complete request. With the time for the handshake, a stranger who asks nothing is
/// gone within ten seconds.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// The time from the request to the answer: the longest queue, at a cost far above the default.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The time to read the answer and disconnect.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How many requests a connection may make: enough for a few wrong passwords.
const REQUESTS_MAX: u32 = 8;

#[derive(Debug, Clone, Copy)]
struct Visitor {
    from: IpAddr,
    /// When it became idle; `None` while its answer is being prepared.
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
    /// Adds a visitor from an address, or from the network that counts as one. Returns the connection to close, if the
    /// login server is full now.
    #[must_use]
    pub fn arrived(&mut self, id: Id, from: IpAddr, now: Instant) -> Option<Id> {
        let is_full = self.present.len() >= VISITORS_MAX;
        let until = now.checked_add(REQUEST_WITHIN).unwrap_or(now);
        let goes = if is_full { self.least_missed() } else { None };
        self.present.insert(id, Visitor { from, idle_since: Some(now), until, requests: 0 });
        // If all others are being served, the new one has no place.
        let leaving = is_full.then(|| goes.unwrap_or(id))?;
        self.present.remove(&leaving);
        Some(leaving)
    }

    /// The visitor to close: the one that will be missed least, of the greediest address.
    fn least_missed(&self) -> Option<Id> {
        let mut idle = Crowd::default();
        for (id, visitor) in &self.present {
            if let Some(since) = visitor.idle_since {
                idle.insert(visitor.from, (visitor.requests == 0, since), *id);
            }
        }
        idle.greediest()
    }

    /// Notes a complete request. Returns `false` if this visitor has made too many, or is no longer here.
    #[must_use]
    pub fn asked(&mut self, id: &Id, now: Instant) -> bool {
        let Some(visitor) = self.present.get_mut(id) else { return false };
        visitor.requests = visitor.requests.saturating_add(1);
        visitor.idle_since = None;
        visitor.until = now.checked_add(ANSWER_WITHIN).unwrap_or(now);
        visitor.requests <= REQUESTS_MAX
    }

    /// Notes that the answer is on its way.
    pub fn answered(&mut self, id: &Id, now: Instant) {
        if let Some(visitor) = self.present.get_mut(id) {
            visitor.idle_since = Some(now);
            visitor.until = now.checked_add(LEAVE_WITHIN).unwrap_or(now);
        }
    }

    /// Notes that the connection is closed.
    pub fn left(&mut self, id: &Id) {
        self.present.remove(id);
    }

    /// Removes and returns the visitors whose time is up.
    #[must_use]
    pub fn overdue(&mut self, now: Instant) -> Vec<Id> {
        self.present.extract_if(.., |_, visitor| visitor.until <= now).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use lanyard_node::transport::HANDSHAKE;

    use super::super::SWEEP_EVERY;
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_stranger_who_asks_nothing_is_gone_in_ten_seconds() {
        let most = HANDSHAKE + REQUEST_WITHIN + SWEEP_EVERY;
        assert!(most <= Duration::from_secs(10), "{most:?}");
    }

    #[test]
    fn a_visitor_that_does_not_ask_is_closed_in_time() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, HOME, start), None);
        assert_eq!(visitors.arrived(2, HOME, after(start, 1)), None);
        assert!(visitors.asked(&2, after(start, 2)));
        assert!(visitors.overdue(after(start, 4)).is_empty());
        assert_eq!(visitors.overdue(after(start, 5)), [1]);
        assert!(visitors.overdue(after(start, 31)).is_empty());
        visitors.answered(&2, after(start, 31));
        assert_eq!(visitors.overdue(after(start, 36)), [2]);
        assert!(!visitors.asked(&2, after(start, 36)), "it is gone");
    }

    #[test]
    fn when_full_the_oldest_idle_visitor_makes_room() {
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
    fn when_all_are_being_served_the_new_one_leaves() {
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
    fn a_connection_has_a_limit_of_requests() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        assert_eq!(visitors.arrived(1, HOME, start), None);
        for _ in 0..REQUESTS_MAX {
            assert!(visitors.asked(&1, start));
        }
        assert!(!visitors.asked(&1, start));
    }

    #[test]
    fn a_visitor_lingering_after_its_answer_makes_room() {
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
        assert_eq!(goes, Some(7), "before one that has not asked yet, although that came first");
        assert!(visitors.asked(&2_000, after(start, 3)));
        assert!(visitors.asked(&8, after(start, 3)), "it may ask again while there is room");
    }

    #[test]
    fn a_flood_from_one_address_makes_room_for_others() {
        let start = crate::clock::monotonic();
        let mut visitors = Visitors::default();
        let other = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(visitors.arrived(0, other, start), None);
        for id in 1..VISITORS_MAX {
            assert_eq!(visitors.arrived(id, HOME, after(start, 1)), None);
        }
        for id in 0..1_000 {
            let gone = visitors.arrived(1_000 + id, HOME, after(start, 2)).unwrap();
            assert_ne!(gone, 0, "the first to come, but from elsewhere");
        }
        assert!(visitors.asked(&0, after(start, 3)));
    }
}

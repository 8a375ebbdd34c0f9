//! Where the login node may be reached. It can move while a node runs, but the join link stays the same.
//!
//! Every place is only a candidate. A login node must prove the realm's key before we ask it anything, so a wrong place
//! costs only time.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanyard_protocol::link::JoinLink;

use crate::transport::ports;

/// How many places to try for one request: an unanswered dial takes seconds.
const PLACES_MAX: usize = 8;

/// The places, best first.
#[derive(Debug)]
pub(crate) struct Places {
    link: JoinLink,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Where the login node answered last, in this run or an earlier one.
    answered: Option<Place>,
    /// Where the authority peer is now.
    shown: Vec<Place>,
}

/// Host and port.
type Place = (String, u16);

impl Places {
    /// Starts with the link, and with where the login node answered in an earlier run.
    pub(crate) fn new(link: JoinLink, earlier: Option<&str>) -> Self {
        let answered = earlier.and_then(parse);
        Self { link, known: Mutex::new(Known { answered, shown: Vec::new() }) }
    }

    /// The link of the realm.
    pub(crate) fn link(&self) -> &JoinLink {
        &self.link
    }

    /// Where to ask, in order: where it answered last, then the address in the link, then where the authority peer is.
    pub(crate) fn in_order(&self) -> Vec<JoinLink> {
        let known = self.known();
        let linked = (self.link.host.clone(), self.link.port);
        let places = known.answered.iter().cloned().chain([linked]);
        let mut links: Vec<JoinLink> = Vec::new();
        for (host, port) in places.chain(known.shown.iter().cloned()) {
            if links.iter().all(|link| (&link.host, link.port) != (&host, port)) {
                links.push(JoinLink { host, port, ..self.link.clone() });
            }
        }
        links.truncate(PLACES_MAX);
        links
    }

    /// The same with the link first, for a user who has just given it.
    pub(crate) fn link_first(&self) -> Vec<JoinLink> {
        let mut links = self.in_order();
        links.sort_by_key(|link| *link != self.link);
        links
    }

    /// Notes that the login node has answered there.
    pub(crate) fn answered_at(&self, link: &JoinLink) {
        self.known().answered = Some((link.host.clone(), link.port));
    }

    /// Where it answered last, as the store keeps it.
    pub(crate) fn last(&self) -> Option<String> {
        self.known().answered.as_ref().map(|(host, port)| format!("{host} {port}"))
    }

    /// Notes the addresses of the authority peer. The login server runs on the same machine, by default on the port
    /// below.
    pub(crate) fn shown_at(&self, addresses: &[String]) {
        let socket = |text: &String| ports::socket_addr(&text.parse().ok()?);
        let sockets: Vec<SocketAddr> = addresses.iter().filter_map(socket).collect();
        let same_port = sockets.iter().map(|at| (at.ip().to_string(), self.link.port));
        let port_before =
            sockets.iter().filter_map(|at| Some((at.ip().to_string(), at.port().checked_sub(1)?)));
        self.known().shown = same_port.chain(port_before).filter(|(_ip, port)| *port > 0).collect();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The lock may be poisoned, but the list is consistent after every statement.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(text: &str) -> Option<Place> {
    let (host, port) = text.rsplit_once(' ')?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use lanyard_protocol::cose::public_key;
    use lanyard_protocol::testing;

    use super::*;

    fn places(earlier: Option<&str>) -> Places {
        let realm = public_key(&testing::key(1));
        let link =
            JoinLink { host: "10.0.0.1".into(), port: 4001, realm, name: None, invite: None };
        Places::new(link, earlier)
    }

    fn told(links: &[JoinLink]) -> Vec<String> {
        links.iter().map(|link| format!("{}:{}", link.host, link.port)).collect()
    }

    #[test]
    fn the_place_that_answered_last_comes_first() {
        let places = places(Some("10.0.0.2 4001"));
        assert_eq!(told(&places.in_order()), ["10.0.0.2:4001", "10.0.0.1:4001"]);
        assert_eq!(told(&places.link_first()), ["10.0.0.1:4001", "10.0.0.2:4001"]);
        places.answered_at(places.link());
        assert_eq!(told(&places.in_order()), ["10.0.0.1:4001"]);
        assert_eq!(places.last().as_deref(), Some("10.0.0.1 4001"));
    }

    #[test]
    fn the_machine_of_the_authority_peer_is_a_candidate() {
        let places = places(None);
        let shown = ["/ip4/10.0.0.7/tcp/5002".to_owned(), "/dns4/x/tcp/1".to_owned()];
        places.shown_at(&shown);
        let expected = ["10.0.0.1:4001", "10.0.0.7:4001", "10.0.0.7:5001"];
        assert_eq!(told(&places.in_order()), expected);
    }
}

//! Who makes room when all places are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Strangers that each take a place, by where they come from.
///
/// Of the address with the most places, and among equal addresses of the network with the most, the one with the lowest
/// rank leaves first. On a LAN the attacker and the others share a network, so the address comes first.
#[derive(Debug)]
pub struct Crowd<Id, Rank> {
    addresses: BTreeMap<IpAddr, BTreeSet<(Rank, Id)>>,
    networks: BTreeMap<IpAddr, usize>,
}

impl<Id, Rank> Default for Crowd<Id, Rank> {
    fn default() -> Self {
        Self { addresses: BTreeMap::new(), networks: BTreeMap::new() }
    }
}

impl<Id: Ord + Copy, Rank: Ord + Copy> Crowd<Id, Rank> {
    /// Adds a stranger.
    pub fn insert(&mut self, from: IpAddr, rank: Rank, id: Id) {
        if self.addresses.entry(address(from)).or_default().insert((rank, id)) {
            let count = self.networks.entry(network(from)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Removes a stranger, if it is there.
    pub fn remove(&mut self, from: IpAddr, rank: Rank, id: Id) {
        let Some(places) = self.addresses.get_mut(&address(from)) else { return };
        if !places.remove(&(rank, id)) {
            return;
        }
        if places.is_empty() {
            self.addresses.remove(&address(from));
        }
        if let Some(count) = self.networks.get_mut(&network(from)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.networks.remove(&network(from));
            }
        }
    }

    /// Who leaves first.
    #[must_use]
    pub fn greediest(&self) -> Option<Id> {
        let ranked = self.addresses.iter().filter_map(|(from, places)| {
            let (rank, id) = places.first()?;
            let share = (places.len(), self.networks.get(&network(*from)).copied());
            Some((share, std::cmp::Reverse(*rank), *id))
        });
        let most = ranked.max_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        most.map(|(_share, _rank, id)| id)
    }
}

/// What counts as one address. For IPv6 that is a /64, because providers give every customer a whole one.
#[must_use]
pub fn address(ip: IpAddr) -> IpAddr {
    masked(ip, 32, 64)
}

/// What counts as one network: a /24, or for IPv6 a /48.
fn network(ip: IpAddr) -> IpAddr {
    masked(ip, 24, 48)
}

/// The first bits of an address; the others are 0.
fn masked(ip: IpAddr, bits_v4: u32, bits_v6: u32) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let rest = u32::MAX.checked_shr(bits_v4).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & !rest).into())
        }
        IpAddr::V6(v6) => {
            let rest = u128::MAX.checked_shr(bits_v6).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & !rest).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn crowd(places: &[(u8, IpAddr, u8)]) -> Crowd<u8, u8> {
        let mut crowd = Crowd::default();
        places.iter().for_each(|(id, from, rank)| crowd.insert(*from, *rank, *id));
        crowd
    }

    #[test]
    fn the_oldest_of_the_greediest_address_leaves() {
        let mut crowd = crowd(&[(1, ip(1), 10), (2, ip(2), 11), (3, ip(2), 12), (4, ip(3), 1)]);
        assert_eq!(crowd.greediest(), Some(2));
        crowd.remove(ip(2), 11, 2);
        assert_eq!(crowd.greediest(), Some(4), "now all have one, and this one is the oldest");
        assert_eq!(Crowd::<u8, u8>::default().greediest(), None);
    }

    #[test]
    fn among_equal_addresses_the_greediest_network_leaves() {
        let elsewhere = IpAddr::from([198, 51, 100, 1]);
        let mut crowd = crowd(&[(1, elsewhere, 1), (2, ip(1), 3), (3, ip(2), 2)]);
        assert_eq!(crowd.greediest(), Some(3));
        for (from, rank, id) in [(ip(1), 3, 2), (ip(2), 2, 3), (elsewhere, 1, 1)] {
            crowd.remove(from, rank, id);
            crowd.remove(from, rank, id);
        }
        assert!(crowd.addresses.is_empty() && crowd.networks.is_empty());
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let a: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!((address(a), network(a)), (address(b), network(c)));
        assert_ne!(address(a), address(c));
        assert_eq!(address("::ffff:192.0.2.1".parse().unwrap()), ip(1));
    }
}

//! Which port to listen on, and which addresses to announce.
//!
//! A computer has many addresses, and a link with the wrong one leads nowhere. Addresses of the local network come
//! first, then global ones, then tunnels, then those that only containers and virtual machines on this computer can
//! reach.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use lanyard_node::transport::ports::{self, PortError};

/// Interfaces that lead into a tunnel, whose far end is not the network that people are on.
const TUNNELS: [&str; 11] =
    ["tun", "tap", "utun", "wg", "ppp", "zt", "tailscale", "nordlynx", "ipsec", "gre", "sit"];
/// Interfaces that lead to containers and virtual machines on this computer.
const INSIDE: [&str; 12] = [
    "docker", "br-", "veth", "virbr", "vnet", "vmnet", "vboxnet", "lxc", "lxdbr", "podman", "cni",
    "flannel",
];

/// How well others can reach an address, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Lan,
    Global,
    /// A self-assigned address, used when there is no DHCP server.
    SelfAssigned,
    Tunnel,
    Inside,
    Loopback,
}

/// Chooses the port to listen on as peers do: see [`ports::choose`]. The result has no port 0.
///
/// # Errors
/// [`PortError`] names the address and the port.
pub(super) fn choose(wanted: SocketAddr, last: Option<u64>) -> Result<SocketAddr, PortError> {
    let last = last.and_then(|port| u16::try_from(port).ok());
    let chosen = ports::choose(&[wanted], last)?;
    Ok(chosen.first().copied().unwrap_or(wanted))
}

/// Where the authority peer listens by default: at the login server's address, on the next port.
#[must_use]
pub(super) fn beside(login_server: SocketAddr) -> SocketAddr {
    let port =
        if login_server.port() == 0 { 0 } else { login_server.port().checked_add(1).unwrap_or(0) };
    SocketAddr::new(login_server.ip(), port)
}

/// The multiaddrs at which others can reach this address: at most `max`, the best first, loopback last.
#[must_use]
pub(super) fn reachable(listen: SocketAddr, max: usize) -> Vec<String> {
    let ips = ranked(listen).into_iter().map(|(_reach, ip)| ip);
    let address = |ip| ports::multiaddr(SocketAddr::new(ip, listen.port())).to_string();
    ips.take(max).map(address).collect()
}

/// The hosts for join links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkHosts {
    /// One or more hosts, the best first.
    pub(super) hosts: Vec<String>,
    /// Why the first may be the wrong one, in words.
    pub(super) doubt: Option<&'static str>,
}

/// The hosts for the join link and its alternatives: what the operator has set, else the listen address, else the
/// addresses of this computer's interfaces.
#[must_use]
pub(super) fn link_hosts(advertise: Option<&str>, listen: SocketAddr) -> LinkHosts {
    match advertise {
        Some(host) => LinkHosts { hosts: vec![host.to_owned()], doubt: None },
        None if !listen.ip().is_unspecified() => {
            LinkHosts { hosts: vec![listen.ip().to_string()], doubt: None }
        }
        None => hosts_of(&ranked(listen), default_route()),
    }
}

/// Chooses among addresses, best first, those for a link.
fn hosts_of(ranked: &[(Reach, IpAddr)], route: Option<IpAddr>) -> LinkHosts {
    let best = ranked.first().map_or(Reach::Loopback, |(reach, _ip)| *reach);
    // If this computer has any other address, people join from elsewhere.
    let outward = |reach: Reach| reach < Reach::Inside || reach == best;
    let hosts: Vec<IpAddr> =
        ranked.iter().filter(|(reach, _ip)| outward(*reach)).map(|(_reach, ip)| *ip).collect();
    let as_good = ranked.iter().filter(|(reach, ip)| *reach == best && ip.is_ipv4()).count();
    let is_routed = hosts.first().copied() == route && route.is_some();
    let doubt = match best {
        Reach::Loopback => Some("this computer is on no network, so the link works only here"),
        Reach::Tunnel | Reach::Inside => Some("no local network was found, only a tunnel"),
        Reach::SelfAssigned => Some("the network has given this computer no address of its own"),
        Reach::Lan | Reach::Global if as_good > 1 && !is_routed => {
            Some("this computer is on several networks")
        }
        Reach::Lan | Reach::Global => None,
    };
    let mut hosts: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
    if hosts.is_empty() {
        hosts.push(Ipv4Addr::LOCALHOST.to_string());
    }
    LinkHosts { hosts, doubt }
}

/// The addresses at which a listener can be reached, best first.
fn ranked(listen: SocketAddr) -> Vec<(Reach, IpAddr)> {
    if !listen.ip().is_unspecified() {
        return vec![(Reach::Lan, listen.ip())];
    }
    // If the interfaces cannot be listed, there is still the default route.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let found = interfaces.iter().map(|interface| {
        (reach(&interface.name, interface.is_p2p(), interface.ip()), interface.ip())
    });
    let route = default_route();
    let routed = route.filter(|_route| interfaces.is_empty()).map(|ip| (Reach::Lan, ip));
    // A listener on `[::]` accepts IPv6 only: on many systems the two families cannot share a socket.
    let mut ranked: Vec<(Reach, IpAddr)> = found
        .chain(routed)
        .filter(|(_reach, ip)| ip.is_ipv4() == listen.is_ipv4() && !is_link_local_v6(*ip))
        .collect();
    ranked.sort_by_key(|(reach, ip)| (*reach, Some(*ip) != route, *ip));
    ranked.dedup();
    ranked
}

fn reach(interface: &str, is_p2p: bool, ip: IpAddr) -> Reach {
    let named = |names: &[&str]| names.iter().any(|name| interface.starts_with(name));
    match ip {
        _ if ip.is_loopback() => Reach::Loopback,
        _ if named(&INSIDE) => Reach::Inside,
        _ if is_p2p || named(&TUNNELS) => Reach::Tunnel,
        IpAddr::V4(ip) if ip.is_link_local() => Reach::SelfAssigned,
        IpAddr::V4(ip) if ip.is_private() => Reach::Lan,
        IpAddr::V6(ip) if ip.is_unique_local() => Reach::Lan,
        _ => Reach::Global,
    }
}

/// A link-local IPv6 address means nothing without the interface, which neither a multiaddr nor a link carries.
fn is_link_local_v6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The address of this computer's default route. Connecting a UDP socket sends nothing.
fn default_route() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // 192.0.2.0/24 is reserved for documentation (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }

    /// The addresses of a computer with these interfaces, in order of their rank.
    fn ranked_on(interfaces: &[(&str, &str)]) -> Vec<(Reach, IpAddr)> {
        let rank = |(name, ip): &(&str, &str)| {
            let ip = ip.parse().unwrap();
            (reach(name, false, ip), ip)
        };
        let mut ranked: Vec<_> = interfaces.iter().map(rank).collect();
        ranked.sort();
        ranked
    }

    #[test]
    fn the_authority_peer_listens_on_the_next_port() {
        assert_eq!(beside(local(4_001)), local(4_002));
        assert_eq!(beside(local(0)), local(0));
        assert_eq!(beside(local(u16::MAX)), local(0));
    }

    #[test]
    fn the_link_has_a_usable_host() {
        assert_eq!(link_hosts(Some("chat.local"), local(1)).hosts, ["chat.local"]);
        assert_eq!(link_hosts(None, local(1)).hosts, ["127.0.0.1"]);
        let any = "0.0.0.0:1".parse().unwrap();
        for host in link_hosts(None, any).hosts {
            assert!(!host.parse::<IpAddr>().unwrap().is_unspecified());
        }
        assert!(reachable(any, 8).iter().all(|text| text.ends_with("/tcp/1")));
        assert_eq!(reachable("[::1]:5".parse().unwrap(), 8), ["/ip6/::1/tcp/5"]);
        let any = "[::]:1".parse().unwrap();
        assert!(reachable(any, 8).iter().all(|text| text.starts_with("/ip6/")));
    }

    #[test]
    fn the_local_network_comes_before_tunnels_and_containers() {
        let ranked = ranked_on(&[
            ("lo", "127.0.0.1"),
            ("tun0", "10.8.0.6"),
            ("docker0", "172.17.0.1"),
            ("wg0", "10.0.0.2"),
            ("wlan0", "192.168.1.5"),
        ]);
        let chosen = hosts_of(&ranked, Some("10.8.0.6".parse().unwrap()));
        assert_eq!(chosen.hosts, ["192.168.1.5", "10.0.0.2", "10.8.0.6"]);
        assert_eq!(chosen.doubt, None, "one local network");
    }

    #[test]
    fn a_guess_is_called_a_guess() {
        let doubt = |interfaces: &[(&str, &str)], route: Option<&str>| {
            let route = route.map(|ip| ip.parse().unwrap());
            hosts_of(&ranked_on(interfaces), route).doubt.is_some()
        };
        let two = [("eth0", "10.1.0.1"), ("eth1", "192.168.0.1")];
        assert!(doubt(&two, None));
        assert!(!doubt(&two, Some("10.1.0.1")), "the default route decides");
        assert!(doubt(&[("lo", "127.0.0.1")], None));
        assert!(doubt(&[], None));
        assert!(doubt(&[("lo", "127.0.0.1"), ("ppp0", "10.64.0.9")], Some("10.64.0.9")));
        assert!(doubt(&[("eth0", "169.254.7.7")], None));
        assert!(!doubt(&[("eth0", "198.51.100.7")], None));
    }
}

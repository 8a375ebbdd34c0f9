//! Addresses: which to tell others. Which to listen on is chosen as peers do it: [`lanyard_node::net::ports`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use lanyard_node::net::ports::{self, PortError};

/// Finds the port to listen on; the result has no port 0.
///
/// # Errors
/// [`PortError`] names the address and port.
pub fn choose(wanted: SocketAddr, last: Option<u64>) -> Result<SocketAddr, PortError> {
    let last = last.and_then(|port| u16::try_from(port).ok());
    let chosen = ports::choose(&[wanted], last)?;
    Ok(chosen.first().copied().unwrap_or(wanted))
}

/// Where the member listens if nobody said: the desk's address, and its port plus one.
#[must_use]
pub fn beside(desk: SocketAddr) -> SocketAddr {
    let port = if desk.port() == 0 { 0 } else { desk.port().checked_add(1).unwrap_or(0) };
    SocketAddr::new(desk.ip(), port)
}

/// The multiaddrs under which others reach this address; at most `max`, loopback last.
#[must_use]
pub fn reachable(listen: SocketAddr, max: usize) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return vec![multiaddr(listen)];
    }
    // Without a list of interfaces there is still the default route.
    let mut ips: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(|ip| ip.is_ipv4() || (listen.is_ipv6() && !is_link_local(*ip)))
        .collect();
    let route = default_route().filter(|ip| ip.is_ipv4() || listen.is_ipv6());
    ips.sort_by_key(|ip| (ip.is_loopback(), Some(*ip) != route, *ip));
    ips.dedup();
    ips.into_iter().take(max).map(|ip| multiaddr(SocketAddr::new(ip, listen.port()))).collect()
}

fn multiaddr(address: SocketAddr) -> String {
    ports::multiaddr(address).to_string()
}

/// A link-local IPv6 address means nothing without the interface, which a multiaddr does not carry.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// HOST of the join link: what the operator says, else the listen address, else that of the default route.
#[must_use]
pub fn link_host(advertise: Option<&str>, listen: SocketAddr) -> String {
    match advertise {
        Some(host) => host.to_owned(),
        None if !listen.ip().is_unspecified() => listen.ip().to_string(),
        None => default_route().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_string(),
    }
}

/// The address that this computer shows to the outside. Connecting a UDP socket sends nothing.
fn default_route() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // 192.0.2.0/24 is for documentation (RFC 5737): nobody is there.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }

    #[test]
    fn the_member_stands_beside_the_desk() {
        assert_eq!(beside(local(4_001)), local(4_002));
        assert_eq!(beside(local(0)), local(0));
        assert_eq!(beside(local(u16::MAX)), local(0));
    }

    #[test]
    fn the_link_has_a_host_that_means_something() {
        assert_eq!(link_host(Some("chat.local"), local(1)), "chat.local");
        assert_eq!(link_host(None, local(1)), "127.0.0.1");
        let any = "0.0.0.0:1".parse().unwrap();
        assert!(!link_host(None, any).parse::<IpAddr>().unwrap().is_unspecified());
        assert!(reachable(any, 8).iter().all(|text| text.ends_with("/tcp/1")));
        assert_eq!(reachable("[::1]:5".parse().unwrap(), 8), ["/ip6/::1/tcp/5"]);
    }
}

//! Addresses and ports: which to listen on, which to tell others.
//!
//! Port 0 means the port that this data directory used last, if it is free, else any: addresses that people
//! have stored must stay true. libp2p sets SO_REUSEPORT, with which two programs share a port without a word,
//! so a plain bind goes first.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Why there is no port to listen on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Another program listens there.
    #[error("port {} is in use by another program (address {address})", address.port())]
    InUse {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address is not this computer's, or the port is not ours to take.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Finds the port to listen on; the result has no port 0.
///
/// # Errors
/// [`PortError`] names the address and port.
pub fn choose(wanted: SocketAddr, last: Option<u64>) -> Result<SocketAddr, PortError> {
    let last = last.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    if wanted.port() == 0
        && let Some(port) = last
        && let Ok(free) = probe(SocketAddr::new(wanted.ip(), port))
    {
        return Ok(free);
    }
    probe(wanted).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => PortError::InUse { address: wanted },
        _ => PortError::Bind { address: wanted, source },
    })
}

fn probe(address: SocketAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind(address)?.local_addr()
}

/// Where the member listens if nobody said: the desk's address, and its port plus one.
#[must_use]
pub fn beside(desk: SocketAddr) -> SocketAddr {
    let port = if desk.port() == 0 { 0 } else { desk.port().checked_add(1).unwrap_or(0) };
    SocketAddr::new(desk.ip(), port)
}

/// The multiaddr of a TCP address.
#[must_use]
pub fn multiaddr(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("/ip4/{ip}/tcp/{}", address.port()),
        IpAddr::V6(ip) => format!("/ip6/{ip}/tcp/{}", address.port()),
    }
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
    fn port_zero_is_the_last_port_or_any() {
        let first = choose(local(0), None).unwrap();
        assert_ne!(first.port(), 0);
        assert_eq!(choose(local(0), Some(u64::from(first.port()))).unwrap(), first);
        let taken = TcpListener::bind(local(0)).unwrap();
        let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
        let other = choose(local(0), Some(u64::from(taken.1.port()))).unwrap();
        assert_ne!(other, taken.1);
        assert!(choose(local(0), Some(70_000)).is_ok());
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind(local(0)).unwrap();
        let address = taken.local_addr().unwrap();
        let error = choose(address, None).unwrap_err();
        assert!(error.to_string().contains(&format!("port {} is in use", address.port())));
    }

    #[test]
    fn an_address_of_another_computer_is_an_error() {
        let elsewhere = "192.0.2.77:0".parse().unwrap();
        assert!(matches!(choose(elsewhere, None), Err(PortError::Bind { .. })));
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

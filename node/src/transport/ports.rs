//! Chooses ports: 0 means the port used last if it is free, otherwise any. A port that is in use is reported.
//!
//! libp2p's TCP sets SO_REUSEPORT, so two programs could listen on one port without noticing. A plain bind first
//! detects that.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use socket2::{Domain, Socket, Type};

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Another program is listening on the port.
    #[error(
        "port {port} is already in use; stop the other program or choose another with --listen"
    )]
    InUse {
        /// The port that is in use.
        port: u16,
    },
    /// The address is not available.
    #[error("cannot listen on {address}: {source}")]
    Unavailable {
        /// The address that is not available.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// Where a peer listens by default.
const EVERYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
];

/// Parses an address to listen on: `IP:PORT` or `[IPv6]:PORT`.
///
/// # Errors
/// A sentence that says what is wrong. A link-local IPv6 address is refused too: it works on one cable only, and peers
/// could not pass it on.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    let host = text.rsplit_once(':').map_or(text, |(host, _port)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if is_link_local(host) || is_link_local(text) {
        return Err(format!(
            "{host} works on one cable only; listen on [::] or on another address of this computer"
        ));
    }
    text.parse().map_err(|_no_address| "it must be IP:PORT or [IPv6]:PORT".to_owned())
}

/// Whether this is an address in `fe80::/10`, with or without its interface (`%eth0`).
#[must_use]
pub fn is_link_local(host: &str) -> bool {
    let ip = host.split_once('%').map_or(host, |(ip, _interface)| ip);
    ip.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_unicast_link_local())
}

/// Chooses the ports of the wanted addresses: those with port 0 all get the same port, the last one if it is free.
///
/// # Errors
/// [`PortError`] if a requested port or address is not available. An IPv6 wildcard that the machine does not support is
/// left out as long as another address remains.
pub fn choose(wanted: &[SocketAddr], last: Option<u16>) -> Result<Vec<SocketAddr>, PortError> {
    let wanted = if wanted.is_empty() { &EVERYWHERE } else { wanted };
    let attempts = last.into_iter().filter(|port| *port != 0).chain([0; 4]);
    let mut failure = None;
    for port in attempts {
        match fix(wanted, port) {
            Ok(fixed) => return Ok(fixed),
            Err(error) => failure = Some(error),
        }
    }
    let first = wanted.first().copied().unwrap_or(EVERYWHERE[0]);
    Err(failure.unwrap_or(PortError::InUse { port: first.port() }))
}

/// Tries `port` for every address whose port is 0. If it is 0 too, the system chooses for the first address.
fn fix(wanted: &[SocketAddr], port: u16) -> Result<Vec<SocketAddr>, PortError> {
    let mut chosen = port;
    let mut held = Vec::new();
    let mut fixed = Vec::new();
    for address in wanted {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(chosen);
        }
        match probe(address) {
            Ok(socket) => {
                if address.port() == 0 {
                    address =
                        socket.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
                    chosen = address.port();
                }
                held.push(socket);
                fixed.push(address);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(PortError::InUse { port: address.port() });
            }
            Err(_no_ipv6)
                if address.is_ipv6() && address.ip().is_unspecified() && !fixed.is_empty() => {}
            Err(source) => return Err(PortError::Unavailable { address, source }),
        }
    }
    Ok(fixed)
}

/// Binds and listens without SO_REUSEPORT, and for IPv6 without the IPv4 half.
fn probe(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Our own port counts as free if it is only in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

/// The multiaddr of a socket address.
#[must_use]
pub fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The IP address and port of a TCP multiaddr, if it has both.
#[must_use]
pub fn socket_addr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(v4) => IpAddr::V4(v4),
        Protocol::Ip6(v6) => IpAddr::V6(v6),
        _no_ip => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _no_tcp => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_port_in_use_is_named() {
        let taken = probe(LOOPBACK).unwrap();
        let address = taken.local_addr().unwrap().as_socket().unwrap();
        let error = choose(&[address], None).unwrap_err();
        assert!(error.to_string().contains(&address.port().to_string()), "{error}");
    }

    #[test]
    fn the_last_port_is_taken_again_if_it_is_free() {
        let first = choose(&[LOOPBACK], None).unwrap()[0];
        assert_ne!(first.port(), 0);
        assert_eq!(choose(&[LOOPBACK], Some(first.port())).unwrap(), [first]);
        let _taken = probe(first).unwrap();
        assert_ne!(choose(&[LOOPBACK], Some(first.port())).unwrap(), [first]);
    }

    #[test]
    fn a_link_local_address_is_refused_with_a_sentence() {
        for text in ["[fe80::1]:4001", "[fe80::1%eth0]:4001", "[fe80::1%2]:0", "fe80::1%eth0"] {
            assert!(parse(text).unwrap_err().contains("one cable"), "{text}");
        }
        assert!(parse("4001").unwrap_err().contains("IP:PORT"));
        assert_eq!(parse("[::1]:5"), Ok("[::1]:5".parse().unwrap()));
    }

    #[test]
    fn both_wildcards_share_one_port() {
        let fixed = choose(&[], None).unwrap();
        assert!(fixed.iter().all(|address| address.port() == fixed[0].port()));
    }
}

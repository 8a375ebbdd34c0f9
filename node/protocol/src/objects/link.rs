//! The join link: `lanyard://HOST:PORT/REALM_ID?name=…[&invite=CODE]`, the whole trust root of a realm.
//!
//! Whoever holds the link knows the public key that signs tickets, so an impostor at the address
//! ends in the handshake, before any password is sent (PROTOCOL.md R-1).
//!
//! Links reach people through mail and phones: [`mangled`] undoes what those do to them.

mod mangled;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::ids::PeerKey;

const SCHEME: &str = "lanyard://";
/// Longer links are refused before they are parsed.
const LINK_BYTES_MAX: usize = 1_024;
/// The same with what a mail program may have put around and into it.
const MANGLED_BYTES_MAX: usize = 4 * LINK_BYTES_MAX;

/// A parsed join link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLink {
    /// A host name or an IP address; IPv6 without brackets.
    pub host: String,
    /// The login server's TCP port.
    pub port: u16,
    /// The realm's public key; its PeerId is what the Noise handshake must prove.
    pub realm: PeerKey,
    /// The realm's display name, a hint until the signed policy says it.
    pub name: Option<String>,
    /// An invite code. Carried, not yet redeemed.
    pub invite: Option<String>,
}

/// Why a text is not a join link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin with `lanyard://`.
    #[error("a join link begins with lanyard://")]
    Scheme,
    /// Host or port are missing or impossible.
    #[error("the link has no HOST:PORT after lanyard://")]
    Address,
    /// The address is good on one cable only.
    #[error(
        "the link's address fe80::… is good on one cable only; ask the operator for a link with another address"
    )]
    LinkLocal,
    /// The path is not the PeerId of an Ed25519 key.
    #[error("the link's realm id is damaged; copy the whole link again")]
    Realm,
    /// A query value is not percent-encoded UTF-8.
    #[error("the link's part after ? is damaged; copy the whole link again")]
    Query,
    /// Over 1,024 bytes.
    #[error("the link is too long to be a join link")]
    TooLong,
}

impl FromStr for JoinLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text.len() > MANGLED_BYTES_MAX {
            return Err(LinkError::TooLong);
        }
        let text = mangled::undo(text);
        if text.len() > LINK_BYTES_MAX {
            return Err(LinkError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(LinkError::Scheme)?;
        let (address, path) = rest.split_once('/').ok_or(LinkError::Realm)?;
        let (host, port) = parse_address(address)?;
        let (realm, query) = path.split_once('?').unwrap_or((path, ""));
        let realm = realm.parse().map_err(|_not_a_key| LinkError::Realm)?;
        let mut link = Self { host, port, realm, name: None, invite: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value).ok_or(LinkError::Query)?;
            // In the source of a web page `&` is written `&amp;`.
            match key.strip_prefix("amp;").unwrap_or(key) {
                "name" => link.name = Some(value),
                "invite" => link.invite = Some(value),
                _unknown_to_this_version => {}
            }
        }
        Ok(link)
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{SCHEME}{host}:{}/{}", self.port, self.realm)?;
        let mut separator = '?';
        for (key, value) in [("name", &self.name), ("invite", &self.invite)] {
            if let Some(value) = value {
                write!(f, "{separator}{key}={}", percent_encode(value))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

fn parse_address(address: &str) -> Result<(String, u16), LinkError> {
    let (host, port) = address.rsplit_once(':').ok_or(LinkError::Address)?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => {
            let inner = bracketed.strip_suffix(']').ok_or(LinkError::Address)?;
            // Behind `%` stands the name of a network interface, which is another one on every computer.
            let ip = inner.split_once('%').map_or(inner, |(ip, _zone)| ip);
            let ip: Ipv6Addr = ip.parse().map_err(|_no_ip| LinkError::Address)?;
            if ip.is_unicast_link_local() {
                return Err(LinkError::LinkLocal);
            }
            inner
        }
        None if host.contains(':') => return Err(LinkError::Address),
        None => host,
    };
    let plausible = !host.is_empty()
        && host.len() <= 253
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    let port = port.parse().ok().filter(|port| *port != 0 && plausible);
    port.map(|port| (host.to_owned(), port)).ok_or(LinkError::Address)
}

/// A dot is encoded as well: one at the end of a link ends the sentence that the link stands in.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;

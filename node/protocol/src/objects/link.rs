//! The join link: `lanyard://HOST:PORT/REALM_ID?name=…[&invite=CODE]`. All trust in a realm starts from it.
//!
//! The link contains the public key that signs tickets, so an impostor at the address fails the handshake before any
//! password is sent (PROTOCOL.md R-1).
//!
//! Mail programs and phones damage links on the way; [`mangled`] repairs them.

mod mangled;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::ids::PeerKey;

const SCHEME: &str = "lanyard://";
/// What a query value spells with `%`. A dot is among it: a dot at the end of a link would end the sentence around it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
/// Longer links are refused before they are parsed.
const LINK_BYTES_MAX: usize = 1_024;
/// The same, with everything that a mail program may have added around and inside it.
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
    /// The realm's display name: a hint until the signed policy arrives.
    pub name: Option<String>,
    /// An invite code. Nothing redeems it yet.
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
    /// A link-local IPv6 address, which works on one cable only.
    #[error(
        "the link's address fe80::… works on one cable only; ask the operator for a link with another address"
    )]
    LinkLocal,
    /// The path is not the PeerId of an Ed25519 key.
    #[error("the link's realm id is damaged; copy the whole link again")]
    Realm,
    /// A query value is not percent-encoded UTF-8.
    #[error("the link's part after ? is damaged; copy the whole link again")]
    Query,
    /// The link is longer than 1,024 bytes.
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
            // HTML source spells `&` as `&amp;`.
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
            // After `%` comes the name of a network interface, which differs on every computer.
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

fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Refuses a `%` without two hex digits, which the crate would let through.
fn percent_decode(text: &str) -> Option<String> {
    let is_escape = |after: &str| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests;

//! The login protocol `/lanyard/login/1`: one request and one reply on a Noise stream to the pinned realm key.
//!
//! A request is `[op, body]`, decoded in two steps, so that a login server can answer an operation that it does not
//! know (PROTOCOL.md ).

mod devices;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use crate::ids::{AccountId, PeerKey};
use crate::limits::{
    ADDRESS_BYTES_MAX, ADDRESSES_PER_PEER_MAX, LOGIN_REPLY_BYTES_MAX, LOGIN_REQUEST_BYTES_MAX,
    NAME_BYTES_MAX, PASSWORD_BYTES_MAX,
};
use crate::wire::{self, DecodeError};

pub use devices::{DEVICES_MAX, DeviceInfo, DevicesReply, ListDevices, LogOutDevice};

/// The name of the stream protocol.
pub const LOGIN_PROTOCOL: &str = "/lanyard/login/1";
/// How many peers a reply may name.
pub const PEERS_MAX: usize = 32;
const OP_LOGIN: u16 = 1;
const OP_RENEW: u16 = 2;
const OP_CHANGE_PASSWORD: u16 = 3;
const OP_LIST_DEVICES: u16 = 4;
const OP_LOG_OUT_DEVICE: u16 = 5;

/// A request to the login server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Exchanges a password for a ticket.
    Login(Login),
    /// Renews the ticket of a device that had one.
    Renew(Renew),
    /// Changes the password, and gets a ticket.
    ChangePassword(ChangePassword),
    /// Lists the devices of the account. The answer is a [`DevicesReply`].
    ListDevices(ListDevices),
    /// Logs out a device of the account. The answer is a [`DevicesReply`].
    LogOutDevice(LogOutDevice),
    /// An operation of a later version. The answer is [`DenialCode::Unsupported`].
    Unknown(u16),
}

/// A name and password. The device is the key that Noise proved, so no field names it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// As typed; the login server normalises it.
    pub username: String,
    /// The password as typed. Zeroised when dropped.
    pub password: Zeroizing<String>,
    /// The display name that the user would like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// The name of the device, shown to its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_label: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The account that the device had a ticket for. The key that Noise proved replaces the password (PROTOCOL.md R-67).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// The `sub` of the ticket to renew.
    pub account: AccountId,
}

/// A new password, proved by the old one (PROTOCOL.md R-68).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePassword {
    /// As typed; the login server normalises it.
    pub username: String,
    /// The old password. Zeroised when dropped.
    pub old: Zeroizing<String>,
    /// The new password. Zeroised when dropped.
    pub new: Zeroizing<String>,
    /// Whether to log out all other devices of the account.
    #[serde(rename = "cut_others")]
    pub revoke_others: bool,
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangePassword")
            .field("username", &self.username)
            .field("cut_others", &self.revoke_others)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The bytes on the wire. Zeroised when dropped, because they may contain a password.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (op, body) = match self {
            Self::Login(login) => (OP_LOGIN, wire::encode(login)),
            Self::Renew(renew) => (OP_RENEW, wire::encode(renew)),
            Self::ChangePassword(change) => (OP_CHANGE_PASSWORD, wire::encode(change)),
            Self::ListDevices(list) => (OP_LIST_DEVICES, wire::encode(list)),
            Self::LogOutDevice(out) => (OP_LOG_OUT_DEVICE, wire::encode(out)),
            Self::Unknown(op) => (*op, Vec::new()),
        };
        let mut body = ByteBuf::from(body);
        let bytes = wire::encode(&(op, &body));
        zeroize::Zeroize::zeroize(body.as_mut());
        Zeroizing::new(bytes)
    }

    /// Reads a request of at most 8 KiB.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a request, or a field is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (op, body): (u16, Zeroizing<Bytes>) = wire::decode(bytes, LOGIN_REQUEST_BYTES_MAX)
            .map(|(op, Bytes(b))| (op, Zeroizing::new(Bytes(b))))?;
        match op {
            OP_LOGIN => parse_login(&body.0).map(Self::Login),
            OP_RENEW => wire::decode(&body.0, LOGIN_REQUEST_BYTES_MAX).map(Self::Renew),
            OP_CHANGE_PASSWORD => parse_change(&body.0).map(Self::ChangePassword),
            OP_LIST_DEVICES => {
                wire::decode(&body.0, LOGIN_REQUEST_BYTES_MAX).map(Self::ListDevices)
            }
            OP_LOG_OUT_DEVICE => {
                wire::decode(&body.0, LOGIN_REQUEST_BYTES_MAX).map(Self::LogOutDevice)
            }
            _ => Ok(Self::Unknown(op)),
        }
    }
}

fn parse_login(body: &[u8]) -> Result<Login, DecodeError> {
    let login: Login = wire::decode(body, LOGIN_REQUEST_BYTES_MAX)?;
    let short = |text: &Option<String>| text.as_ref().is_none_or(|t| t.len() <= NAME_BYTES_MAX);
    check("username", &login.username, NAME_BYTES_MAX)?;
    check("password", &login.password, PASSWORD_BYTES_MAX)?;
    if !short(&login.nickname) || !short(&login.device_label) {
        return Err(DecodeError::Field("nickname"));
    }
    Ok(login)
}

fn parse_change(body: &[u8]) -> Result<ChangePassword, DecodeError> {
    let change: ChangePassword = wire::decode(body, LOGIN_REQUEST_BYTES_MAX)?;
    check("username", &change.username, NAME_BYTES_MAX)?;
    check("password", &change.old, PASSWORD_BYTES_MAX)?;
    check("password", &change.new, PASSWORD_BYTES_MAX)?;
    Ok(change)
}

fn check(field: &'static str, text: &str, max: usize) -> Result<(), DecodeError> {
    if text.is_empty() || text.len() > max { Err(DecodeError::Field(field)) } else { Ok(()) }
}

/// A byte string that can be wiped, for a body that contains a password.
#[derive(Deserialize)]
struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);

impl zeroize::Zeroize for Bytes {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// The login server's answer to a request for a ticket. A denial is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The ticket, and what else a peer needs.
    Granted(Box<Grant>),
    /// Why there is no ticket.
    Denied(Denial),
}

/// Everything a peer needs to enter the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The exact bytes of the ticket.
    #[serde(with = "serde_bytes")]
    pub ticket: Vec<u8>,
    /// The exact bytes of the policy in force.
    #[serde(with = "serde_bytes")]
    pub policy: Vec<u8>,
    /// The rendezvous' clock in unix milliseconds.
    pub realm_time: u64,
    /// The authority peer, with its addresses.
    #[serde(rename = "member")]
    pub authority: PeerAddresses,
    /// At most 32 peers that are online. They are only candidates to dial.
    pub peers: Vec<PeerAddresses>,
    /// Why the requested nickname was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname_refused: Option<String>,
}

/// Where a peer may be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddresses {
    /// The peer to expect there.
    pub peer: PeerKey,
    /// The addresses, as multiaddrs without `/p2p/`.
    pub addresses: Vec<String>,
}

impl PeerAddresses {
    /// Whether the number and lengths of the addresses are within the limits.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.addresses.len() <= ADDRESSES_PER_PEER_MAX
            && self.addresses.iter().all(|address| address.len() <= ADDRESS_BYTES_MAX)
    }
}

/// Why a request was denied, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The reason as a stable code.
    pub code: DenialCode,
    /// A reason in words, such as that of a ban. May be empty.
    #[serde(default)]
    pub reason: String,
    /// How many seconds to wait before trying again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// Why the login server denied a request. It reveals `Disabled`, `Banned` and `TooManyDevices` only after the right
/// password, or to a device of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenialCode {
    /// The name or the password is wrong. For a renewal, this device needs the password again.
    BadCredentials,
    /// There were too many failed attempts.
    Locked,
    /// The operator has disabled the account.
    Disabled,
    /// The account is banned.
    Banned,
    /// The queue for password checks is full.
    Busy,
    /// The login server does not know this operation.
    Unsupported,
    /// The account is signed in on as many devices as it may have (PROTOCOL.md R-78).
    TooManyDevices,
}

impl Reply {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads a reply. The caller has to verify the ticket and policy in it (PROTOCOL.md R-66).
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a reply or names too many peers.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reply: Self = wire::decode(bytes, LOGIN_REPLY_BYTES_MAX)?;
        if let Self::Granted(grant) = &reply {
            let bounded = grant.peers.len() <= PEERS_MAX
                && grant.authority.is_bounded()
                && grant.peers.iter().all(PeerAddresses::is_bounded);
            if !bounded {
                return Err(DecodeError::Field("peers"));
            }
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login() -> Login {
        Login {
            username: "alice".into(),
            password: Zeroizing::new("correct horse".into()),
            nickname: Some("Al".into()),
            device_label: None,
        }
    }

    #[test]
    fn r60_a_request_is_read_back() {
        let request = Request::Login(login());
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
    }

    #[test]
    fn r61_an_unknown_operation_is_named() {
        assert_eq!(Request::parse(&Request::Unknown(9).to_bytes()), Ok(Request::Unknown(9)));
    }

    #[test]
    fn r62_lengths_are_bounded() {
        let long = Login { password: Zeroizing::new("x".repeat(1_025)), ..login() };
        assert_eq!(
            Request::parse(&Request::Login(long).to_bytes()),
            Err(DecodeError::Field("password"))
        );
        let nameless = Login { username: String::new(), ..login() };
        assert_eq!(
            Request::parse(&Request::Login(nameless).to_bytes()),
            Err(DecodeError::Field("username"))
        );
    }

    #[test]
    fn r63_debug_never_shows_the_password() {
        assert!(!format!("{:?}", Request::Login(login())).contains("horse"));
    }

    fn change() -> ChangePassword {
        ChangePassword {
            username: "alice".into(),
            old: Zeroizing::new("correct horse".into()),
            new: Zeroizing::new("battery horse".into()),
            revoke_others: true,
        }
    }

    #[test]
    fn r67_a_renewal_is_read_back() {
        let request = Request::Renew(Renew { account: AccountId([7; 16]) });
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
        let empty = wire::encode(&(OP_RENEW, ByteBuf::from(vec![0xa0])));
        assert!(Request::parse(&empty).is_err(), "an account must be named");
    }

    #[test]
    fn r68_a_password_change_is_read_back_bounded_and_hidden() {
        let request = Request::ChangePassword(change());
        assert_eq!(Request::parse(&request.to_bytes()), Ok(request.clone()));
        assert!(!format!("{request:?}").contains("horse"));
        let long = || Zeroizing::new("x".repeat(1_025));
        for (wrong, field) in [
            (ChangePassword { old: long(), ..change() }, "password"),
            (ChangePassword { new: long(), ..change() }, "password"),
            (ChangePassword { new: Zeroizing::default(), ..change() }, "password"),
            (ChangePassword { username: "x".repeat(257), ..change() }, "username"),
        ] {
            let parsed = Request::parse(&Request::ChangePassword(wrong).to_bytes());
            assert_eq!(parsed, Err(DecodeError::Field(field)));
        }
    }

    #[test]
    fn r64_replies_are_read_back_and_bounded() {
        let denied = Reply::Denied(Denial {
            code: DenialCode::Locked,
            reason: String::new(),
            retry_after_s: Some(40),
        });
        assert_eq!(Reply::parse(&denied.to_bytes()), Ok(denied));
        let peer =
            PeerAddresses { peer: PeerKey([1; 32]), addresses: vec!["/ip4/1.2.3.4/tcp/5".into()] };
        let mut grant = Grant {
            ticket: vec![1],
            policy: vec![2],
            realm_time: 3,
            authority: peer.clone(),
            peers: vec![peer.clone(); 32],
            nickname_refused: None,
        };
        let granted = Reply::Granted(Box::new(grant.clone()));
        assert_eq!(Reply::parse(&granted.to_bytes()), Ok(granted));
        grant.peers.push(peer);
        assert!(Reply::parse(&Reply::Granted(Box::new(grant)).to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Request::parse(&bytes).ok();
            Reply::parse(&bytes).ok();
        }
    }
}

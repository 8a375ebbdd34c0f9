//! The latest state of a node. It is sent over a `watch` channel, so a slow reader sees only the newest.

use std::collections::BTreeMap;

use lanyard_protocol::ids::{AccountId, PeerKey, Role};

/// The latest state of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Our own data, from our ticket.
    pub me: Me,
    /// The realm's key.
    pub realm: PeerKey,
    /// Its name, from the signed policy.
    pub realm_name: String,
    /// Whether the authority peer is linked.
    pub rendezvous_online: bool,
    /// The peers that are linked now, without the authority peer.
    pub neighbours: Vec<Neighbour>,
    /// Everybody who is online, including ourselves, keyed by account.
    pub roster: BTreeMap<AccountId, Person>,
    /// The addresses that other devices announced: multiaddrs without `/p2p/`.
    pub addresses: BTreeMap<PeerKey, Vec<String>>,
    /// The policy's rooms, in its order; the lobby is always among them.
    pub rooms: Vec<Room>,
    /// The exact bytes of our ticket.
    pub ticket: Vec<u8>,
    /// When our ticket expires, realm time in unix milliseconds.
    pub expires_at: u64,
    /// The number of the policy in force.
    pub policy: u64,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: u64,
    /// Our listen addresses: multiaddrs that end in `/p2p/` and our PeerId.
    pub listen: Vec<String>,
    /// How many messages are in the store.
    pub messages: u64,
    /// How many own messages have not reached any peer yet.
    pub waiting: u64,
    /// How our own messages are sent now.
    pub mode: Mode,
    /// The mute on us, if there is one.
    pub mute: Option<Mute>,
    /// Realm time minus the local clock, in milliseconds.
    pub clock_offset_ms: i64,
    /// What is wrong with a clock in this realm, as far as this node can tell.
    pub clock_warning: Option<ClockWarning>,
    /// The last dials that failed, newest first, for "why am I alone?".
    pub attempts: Vec<DialAttempt>,
}

/// A clock that cannot be right: ours, or the login node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockWarning {
    /// A short stable word: `clock-ahead`, `clock-behind`, `login-node-clock`, `clock-not-signed`.
    pub code: &'static str,
    /// A sentence that says what to do.
    pub text: String,
}

/// How our own messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Directly to all peers that are online.
    Direct,
    /// Forwarded by other peers, because not all are linked with us.
    Mesh,
}

impl Mode {
    /// The word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Mesh => "mesh",
        }
    }
}

/// A mute on our account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// When it ends, realm time in unix milliseconds; `None` until it is lifted.
    pub until: Option<u64>,
    /// The reason, in the words of the moderator or the operator.
    pub reason: String,
    /// The username of the moderator who gave it; `None` for the operator.
    pub moderator: Option<String>,
}

/// Our own data, from our ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Our device key.
    pub peer: PeerKey,
    /// Our account.
    pub account: AccountId,
    /// Our unique name.
    pub username: String,
    /// Our display name.
    pub nickname: String,
    /// Our role.
    pub role: Role,
    /// Our device number within the account.
    pub device: u64,
}

/// A linked peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The key of its device.
    pub peer: PeerKey,
    /// Its user's name, from its ticket.
    pub username: String,
    /// The address of the link, as a multiaddr.
    pub address: String,
    /// Whether the link runs through the login node's relay.
    pub relayed: bool,
    /// Since when it is linked, realm time in unix milliseconds.
    pub since: u64,
}

/// A person who is online, with all their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The unique name.
    pub username: String,
    /// The display name.
    pub nickname: String,
    /// The role, by the newest ticket.
    pub role: Role,
    /// Since when the first of the devices has been online, realm time in unix milliseconds.
    pub since: u64,
    /// The devices that are online: key and number.
    pub devices: Vec<(PeerKey, u64)>,
    /// Whether the person is away from all of them.
    pub away: bool,
}

/// A room of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The room's name.
    pub name: String,
    /// What the room is about.
    pub topic: String,
    /// The least role that may post now.
    pub post: Role,
    /// Whether the room is archived, so nobody may post in it.
    pub archived: bool,
}

/// A dial that did not end in a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialAttempt {
    /// The address that was dialled, as a multiaddr.
    pub address: String,
    /// The peer that was expected there.
    pub peer: PeerKey,
    /// Why it failed, as a sentence.
    pub outcome: String,
    /// When it failed, realm time in unix milliseconds.
    pub at: u64,
}

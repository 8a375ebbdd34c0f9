//! What a node tells its user: events as they happen, and the latest state.
//!
//! Events go over a `broadcast` channel; whoever lags reloads from the store, which is the truth.
//! The latest state ([`Status`]) goes over a `watch` channel, so that a slow reader sees only the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_protocol::body::Body;
use lanyard_protocol::history::Sanctioned;
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey, Role};
use lanyard_protocol::moderation::SignedModeration;

/// Something that happened once.
#[derive(Debug, Clone)]
pub enum NodeEvent {
    /// A message entered the store: exactly once per id.
    Message(Arc<ChatMessage>),
    /// One of our own messages came further.
    State {
        /// The message.
        id: MessageId,
        /// How far it is now.
        state: SendState,
    },
    /// A device of somebody else came or went.
    Presence(PresenceChange),
    /// Our ticket is now good until this realm time, in unix milliseconds.
    Pass {
        /// End of the ticket's life.
        expires_at: u64,
    },
    /// A newer policy is in force.
    Policy {
        /// Its number.
        number: u64,
    },
    /// A moderator's moderation has become known; whom it hits and why stands in it.
    Moderation(Box<SignedModeration>),
    /// The operator's ban or mute of somebody has begun or ended.
    Sanctioned(Box<Sanctioned>),
    /// Messages have left the set or come back: what is shown is to be read again from the store.
    Reload,
    /// Something the user should read, with a stable code for programs.
    Notice {
        /// A short stable word, such as `clock-off`.
        code: &'static str,
        /// A sentence.
        text: String,
    },
    /// The node has ended and will send nothing more. `None` after a normal quit.
    Ended(Option<Refusal>),
}

/// A message as it is shown: every name in it comes from its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Content hash; the same on every peer.
    pub id: MessageId,
    /// The room it was said in.
    pub room: String,
    /// The author's account.
    pub account: AccountId,
    /// The author's unique name.
    pub username: String,
    /// The author's display name at the time.
    pub nickname: String,
    /// The author's device key.
    pub peer: PeerKey,
    /// The author's role under the ticket it was sent with.
    pub role: Role,
    /// What it says.
    pub body: Body,
    /// Realm time of sending, unix milliseconds, the first part of the order key.
    pub sent_at: u64,
    /// Realm time of arrival here, unix milliseconds.
    pub received_at: u64,
    /// How it came.
    pub via: Via,
    /// True if it arrived more than two minutes after it was sent.
    pub late: bool,
    /// True if its author was banned when it came, although it was sent before: shown folded, and nobody is notified.
    pub folded: bool,
    /// True if its author has signed another message under the same number (equivocation).
    pub forked: bool,
    /// The author's program start.
    pub session: u64,
    /// Number within the session, from 0.
    pub seq: u64,
    /// How far it came, for own messages; `None` for those of others.
    pub state: Option<SendState>,
}

impl ChatMessage {
    /// The order key: every peer that holds the same messages shows them sorted by this (PROTOCOL.md R-45).
    #[must_use]
    pub fn order_key(&self) -> (u64, PeerKey, u64, u64, MessageId) {
        (self.sent_at, self.peer, self.session, self.seq, self.id)
    }
}

/// How a message came to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Typed here.
    Own,
    /// By gossip.
    Gossip,
    /// By reconciliation with a neighbour.
    Sync,
}

/// How far an own message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendState {
    /// On disk here; nobody has been reached yet.
    Waiting,
    /// Handed to at least one neighbour.
    Sent,
    /// Known to be in the stores of others.
    Stored {
        /// How many peers hold it.
        by: u32,
        /// How many there were when it was sent.
        of: u32,
    },
}

/// A device of somebody else came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// The account.
    pub account: AccountId,
    /// Its unique name.
    pub username: String,
    /// Its display name.
    pub nickname: String,
    /// The device.
    pub peer: PeerKey,
    /// Its role.
    pub role: Role,
    /// Whether it is there now.
    pub online: bool,
    /// Why we say so.
    pub reason: PresenceReason,
}

/// Why a presence changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceReason {
    /// It started after us.
    Joined,
    /// It said goodbye.
    Left,
    /// The connection was lost and nobody else has seen it since.
    Lost,
    /// It was there before us.
    Here,
}

/// Why somebody is not let in, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: RefusalCode,
    /// A sentence that says what to do.
    pub reason: String,
    /// When a new try makes sense, in seconds.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal with a sentence.
    #[must_use]
    pub fn of(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), retry_after_s: None }
    }

    /// A refusal for an error of ours, whose words become a sentence.
    #[must_use]
    pub fn new(code: RefusalCode, error: &dyn std::error::Error) -> Self {
        let words = error.to_string();
        let mut rest = words.chars();
        let first = rest.next().into_iter().flat_map(char::to_uppercase);
        let reason = first.chain(rest).chain(['.']).collect();
        Self { code, reason, retry_after_s: None }
    }
}

/// The codes that programs branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// Wrong name or wrong password; which of both is not said.
    BadCredentials,
    /// Too many failures; wait.
    Locked,
    /// The account is disabled.
    Disabled,
    /// The account is banned.
    Banned,
    /// The login node does not answer and there is no valid ticket.
    Unreachable,
    /// The login node answers, but speaks another version.
    OtherVersion,
    /// Another key answers at the address: not this realm's login node.
    WrongRealm,
    /// The login node has the right key, but its reply does not hold what it must.
    UnusableReply,
    /// The login node has too much to do.
    Busy,
    /// Invites are not built yet.
    Invite,
    /// This profile runs on another computer, with a newer start.
    Superseded,
    /// The join link cannot be read.
    BadLink,
    /// Another program here uses the profile.
    ProfileInUse,
    /// The key file can be read by others.
    ProfileUnsafe,
    /// The key file or the database cannot be read.
    ProfileDamaged,
    /// The port to listen on is in use, or the address is not to be had.
    CannotListen,
    /// A part of this program has failed, and it cannot go on.
    Failed,
}

impl RefusalCode {
    /// The code as programs read it; some of ours share one there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadCredentials => "bad-credentials",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Banned => "banned",
            Self::Unreachable | Self::OtherVersion => "unreachable",
            Self::WrongRealm | Self::UnusableReply => "wrong-realm",
            Self::Busy => "busy",
            Self::Invite => "invite",
            Self::Superseded => "superseded",
            Self::BadLink => "bad-link",
            Self::ProfileInUse => "profile-in-use",
            Self::ProfileUnsafe => "profile-unsafe",
            Self::ProfileDamaged => "profile-damaged",
            Self::CannotListen => "cannot-listen",
            Self::Failed => "failed",
        }
    }
}

/// The latest state of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Who we are.
    pub me: Me,
    /// The realm.
    pub realm: PeerKey,
    /// Its name, from the signed policy.
    pub realm_name: String,
    /// Whether the login node's member is linked.
    pub rendezvous_online: bool,
    /// The peers linked now, the login node's member left out.
    pub neighbours: Vec<Neighbour>,
    /// Everybody who is online, ourselves included, keyed by account.
    pub roster: BTreeMap<AccountId, Person>,
    /// Where the others' devices said they listen: multiaddrs without `/p2p/`.
    pub addresses: BTreeMap<PeerKey, Vec<String>>,
    /// The rooms of the policy, in its moderation; the lobby is always among them.
    pub rooms: Vec<Room>,
    /// The exact bytes of our ticket.
    pub ticket: Vec<u8>,
    /// End of our ticket, realm time, unix milliseconds.
    pub expires_at: u64,
    /// Number of the policy in force.
    pub policy: u64,
    /// Longest text, in bytes of UTF-8.
    pub max_text_bytes: u64,
    /// Where we listen: multiaddrs that end in `/p2p/` and our PeerId.
    pub listen: Vec<String>,
    /// Messages in the store.
    pub messages: u64,
    /// Own messages that have reached nobody yet.
    pub waiting: u64,
    /// How own messages leave now.
    pub mode: Mode,
    /// The mute on us that is in force, by whomever.
    pub mute: Option<Mute>,
    /// Realm time less local clock, in milliseconds.
    pub clock_offset_ms: i64,
    /// What is wrong with a clock of this realm, as far as this node can tell.
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

/// How own messages leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Straight to everybody who is here.
    Direct,
    /// Forwarded by others, because not everybody is linked with us.
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

/// A mute on ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Its end, realm time in unix milliseconds; `None` until it is lifted.
    pub until: Option<u64>,
    /// Why, in the words of whoever gave it.
    pub reason: String,
    /// The username of the moderator who gave it; `None` for the operator.
    pub moderator: Option<String>,
}

/// Who we are in this realm, as our ticket says.
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
    /// Its key.
    pub peer: PeerKey,
    /// Its user's name, from its ticket.
    pub username: String,
    /// The address of the link, as a multiaddr.
    pub address: String,
    /// Whether the link runs through the login node's relay.
    pub relayed: bool,
    /// Since when, realm time in unix milliseconds.
    pub since: u64,
}

/// Somebody online, with all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Unique name.
    pub username: String,
    /// Display name.
    pub nickname: String,
    /// Role.
    pub role: Role,
    /// Since when the first of the devices is online, realm time in unix milliseconds.
    pub since: u64,
    /// The devices online: key and number.
    pub devices: Vec<(PeerKey, u64)>,
    /// Whether nobody is at any of them.
    pub away: bool,
}

/// A room of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub topic: String,
    /// The least role that may post now.
    pub post: Role,
    /// Whether it is closed for new messages.
    pub archived: bool,
}

/// A dial that did not end in a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialAttempt {
    /// Where, as a multiaddr.
    pub address: String,
    /// Whom.
    pub peer: PeerKey,
    /// What came of it, as a sentence.
    pub outcome: String,
    /// When, realm time in unix milliseconds.
    pub at: u64,
}

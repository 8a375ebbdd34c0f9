//! The engine's inputs and outputs.

mod moderating;
mod sending;

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;

use crate::admission::{Admission, AdmissionView};
use crate::hello::{Verdict, VerdictCode};
use crate::history::{AdmittedMessage, Indexed, Maker, Resettled, Sanctioned};
use crate::ids::{MessageId, PeerKey};
use crate::limits::GOSSIP_AGE_MS_MAX;
use crate::login::PeerAddresses;
use crate::message::{Arrival, Draft};
use crate::moderation::SignedModeration;
use crate::policy::SignedPolicy;
use crate::roster::Change;
use crate::ticket::Ticket;
use crate::time::RealmClock;

pub use moderating::{ModerationRefused, NewModeration};
pub use sending::{SendRefused, SentReceipt, Unsent};

/// An engine starts with the stored messages up to this age, which is more than gossip can repeat.
pub const RECENT_MS: u64 = 900_000;
/// Up to this age, own messages that no peer has are sent again at the next `Subscribed`.
pub const RESEND_AGE_MS_MAX: u64 = GOSSIP_AGE_MS_MAX;

const _: () = assert!(RECENT_MS > GOSSIP_AGE_MS_MAX);

/// The gossipsub topics of a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Messages that the author sends to all peers itself.
    Direct,
    /// Messages that peers forward.
    Mesh,
    /// Presence, policy heads and moderations.
    Control,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Mesh, Self::Control];

    /// The topic's name on the wire.
    #[must_use]
    pub fn path(self, realm: &PeerKey) -> String {
        let leaf = match self {
            Self::Direct => "direct",
            Self::Mesh => "mesh",
            Self::Control => "control",
        };
        format!("/lanyard/1/{realm}/{leaf}")
    }
}

/// What the engine starts with.
#[derive(Debug)]
pub struct Config {
    /// Our device key.
    pub key: SigningKey,
    /// The ticket that the realm has issued to us.
    pub ticket: Ticket,
    /// The newest policy we hold.
    pub policy: SignedPolicy,
    /// The number of this boot: larger than every earlier one, and stored before the first dial.
    pub boot: u64,
    /// A random session number for our messages.
    pub session: u64,
    /// Realm time, as the last run knew it or as the login node reported it.
    pub clock: RealmClock,
    /// The newest stored messages: at least all that gossip could bring again. The rest follows with [`Input::Index`].
    pub stored: StoredIndex,
    /// When the oldest stored message was sent, if there is one.
    pub oldest: Option<u64>,
    /// The moderations in the store.
    pub moderations: Vec<SignedModeration>,
    /// Own messages that no peer has yet.
    pub unsent: Vec<Unsent>,
    /// The seed of all randomness.
    pub seed: [u8; 32],
}

/// Stored messages as the history's index needs them, and the tickets they were sent under.
#[derive(Debug, Default)]
pub struct StoredIndex {
    /// The tickets that were not passed in before.
    pub tickets: Vec<Ticket>,
    /// The messages sent under these tickets or under earlier ones.
    pub messages: Vec<Indexed>,
}

/// The engine's name for one of our requests to a peer, returned with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// The driver's name for a peer's request, returned with our answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The bytes of a stored message or moderation, and of its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPair {
    /// The exact bytes of the ticket.
    pub ticket: Vec<u8>,
    /// The exact bytes of the object.
    pub object: Vec<u8>,
}

/// The driver's name for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A link that both gates have accepted.
#[derive(Debug)]
pub struct NewLink {
    /// The driver's name for it.
    pub id: LinkId,
    /// The key that Noise has proved.
    pub peer: PeerKey,
    /// Whether we dialled it.
    pub dialled: bool,
    /// Whether it goes through the relay.
    pub relayed: bool,
    /// The other end, as a multiaddr.
    pub address: String,
    /// What our gate found out about the peer.
    pub admission: Admission,
}

/// An event that the engine must handle.
#[derive(Debug)]
pub enum Input {
    /// A link is up: both gates have accepted.
    LinkUp(NewLink),
    /// A link is gone.
    LinkDown(LinkId),
    /// A dial ended before the gate, or without a verdict.
    DialFailed(PeerKey),
    /// The gate of a peer that we dialled, or that dialled us, has refused us.
    RefusedBy {
        /// The peer at the other end.
        peer: PeerKey,
        /// Its verdict, which proves nothing.
        verdict: Verdict,
    },
    /// Our own gate has refused a peer.
    Refused {
        /// The peer at the other end.
        peer: PeerKey,
        /// The boot it claimed, on a link that Noise proved to be its own; 0 if it could not be read.
        boot: u64,
        /// Our gate's verdict.
        code: VerdictCode,
        /// Whether we had dialled it.
        dialled: bool,
    },
    /// A linked peer has subscribed to a topic.
    Subscribed {
        /// The neighbour that subscribed.
        peer: PeerKey,
        /// The topic that it has subscribed to.
        topic: Topic,
    },
    /// The user wants to send a message.
    Send {
        /// Returned with the answer.
        request: u64,
        /// The message and its room.
        draft: Draft,
    },
    /// Our message is on disk, or it could not be written.
    OwnStored {
        /// The request of [`Output::StoreOwn`].
        request: u64,
        /// What the store reported.
        result: Result<(), String>,
    },
    /// Gossipsub's answer for a message of ours.
    Published {
        /// The message that was published.
        message: MessageId,
        /// Whether it went to at least one neighbour.
        reached: bool,
    },
    /// The store could not take another peer's message, so it is not held after all.
    NotStored {
        /// When it was sent.
        sent_at: u64,
        /// The id of the message.
        message: MessageId,
    },
    /// More of the stored messages, newest first.
    Index {
        /// The next part of the stored messages.
        stored: StoredIndex,
        /// Whether this was the last part.
        done: bool,
    },
    /// A peer's answer to an [`Output::Ask`]; `None` if it gave none.
    Answered {
        /// The engine's name for our request.
        ask: AskId,
        /// The reply as it came.
        bytes: Option<Vec<u8>>,
    },
    /// A linked peer sends a request; answer with [`Output::Answer`].
    Asked {
        /// Returned with the answer.
        request: RequestId,
        /// The neighbour that asks.
        peer: PeerKey,
        /// The request as it came.
        bytes: Vec<u8>,
    },
    /// The result of an [`Output::Load`]. A message that is missing is no longer held.
    Loaded {
        /// The request of [`Output::Load`].
        request: RequestId,
        /// The stored pairs, in the order requested.
        pairs: Vec<(MessageId, StoredPair)>,
    },
    /// Gossipsub could not send this peer all messages, so it may have missed some.
    SlowPeer(PeerKey),
    /// The neighbours that gossipsub does not publish to because they misbehaved.
    Unpublished(BTreeSet<PeerKey>),
    /// The user gives a moderation.
    Moderation {
        /// Returned with the answer.
        request: u64,
        /// The moderation to give.
        moderation: NewModeration,
    },
    /// Our own status from now on: `here` or `away`.
    Status(String),
    /// The authority peer has a new policy and its head to publish.
    PublishPolicy {
        /// The policy to put in force.
        policy: SignedPolicy,
        /// Its head, signed by the realm.
        head: Vec<u8>,
    },
    /// Our ticket was renewed.
    Renewed(Ticket),
    /// The policy that came with a renewal.
    Policy(SignedPolicy),
    /// The login node's clock, unix milliseconds.
    RealmTime(u64),
    /// The addresses we listen on now, without `/p2p/`.
    Listening(Vec<String>),
    /// Addresses from the login reply or the store.
    Candidates(Vec<PeerAddresses>),
    /// The network has changed: try all peers again.
    NetworkChanged,
    /// The program ends: say goodbye.
    Quit,
}

/// An action for the driver, or news for the user.
#[derive(Debug)]
pub enum Output {
    /// Store another peer's message, and show it.
    Store {
        /// The message that the history has admitted.
        message: Box<AdmittedMessage>,
        /// How it arrived.
        arrival: Arrival,
        /// Whether it arrives when its author can no longer post it. Then it is shown folded and notifies nobody.
        folded: bool,
    },
    /// The rules have changed, or a quota has displaced messages: mark, unmark and delete stored messages.
    Resettle(Resettled),
    /// Delete everything sent before a realm time.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// Store an authentic moderation.
    StoreModeration(Box<SignedModeration>),
    /// Read stored messages; answer with [`Input::Loaded`].
    Load {
        /// Returned with the answer.
        request: RequestId,
        /// The messages. Only held ones are loaded.
        ids: Vec<MessageId>,
        /// Stop before the pairs take more bytes than this, counting each ticket once.
        bytes_max: usize,
    },
    /// Store a message of our own, and answer with [`Input::OwnStored`].
    StoreOwn {
        /// Returned with the answer.
        request: u64,
        /// Our message, which the history has admitted.
        message: Box<AdmittedMessage>,
    },
    /// Publish on gossip, and answer with [`Input::Published`] if there is a message id.
    Publish {
        /// The topic to publish on.
        topic: Topic,
        /// The object as it travels.
        bytes: Vec<u8>,
        /// The message whose state depends on the result, if any.
        message: Option<MessageId>,
    },
    /// Store a newer policy.
    StorePolicy(Box<SignedPolicy>),
    /// Remember where a peer may be found.
    StorePeer(PeerAddresses),
    /// Dial a peer at these addresses.
    Dial(PeerAddresses),
    /// Close a link; [`Input::LinkDown`] follows.
    Close(LinkId),
    /// Ask a linked peer on `/lanyard/sync/1`; answer with [`Input::Answered`].
    Ask {
        /// The neighbour to ask.
        peer: PeerKey,
        /// Returned with the answer.
        ask: AskId,
        /// The request as it travels.
        bytes: Vec<u8>,
    },
    /// Answer a peer's request.
    Answer {
        /// The request of [`Input::Asked`].
        request: RequestId,
        /// The reply as it travels.
        bytes: Vec<u8>,
    },
    /// The gate should use this view from now on.
    View(Box<AdmissionView>),
    /// Tell the user what has happened.
    Event(Event),
}

/// News for the user.
#[derive(Debug)]
pub enum Event {
    /// The answer to a [`Input::Send`].
    Sent {
        /// The request of [`Input::Send`].
        request: u64,
        /// The receipt, or why it was refused.
        result: Result<SentReceipt, SendRefused>,
    },
    /// An own message has reached more peers, or still reaches none.
    State {
        /// The id of the message.
        id: MessageId,
        /// How far it has got.
        state: Progress,
    },
    /// The answer to an [`Input::Moderation`].
    Moderated {
        /// The request of [`Input::Moderation`].
        request: u64,
        /// The moderation's id, or why it was refused.
        result: Result<MessageId, ModerationRefused>,
    },
    /// A new policy has begun or ended a ban or mute.
    Sanctioned(Box<Sanctioned>),
    /// A new moderation has arrived.
    Moderation(Box<SignedModeration>),
    /// A device came or went.
    Presence(Change),
    /// A newer policy is in force.
    Policy {
        /// The number of the policy.
        number: u64,
    },
    /// Our ticket was renewed.
    Renewed {
        /// Its end, realm time in unix milliseconds.
        expires_at: u64,
    },
    /// The clocks in this realm contradict each other. A renewal at the login node tells which is right.
    AskTheTime,
    /// A message for the user, with a stable code.
    Notice {
        /// A code that programs can rely on.
        code: &'static str,
        /// A sentence for the user.
        text: String,
    },
    /// The roster, links, rooms or ticket have changed: read them again.
    Changed,
    /// Our membership has ended, for a reason that we have verified ourselves.
    Ended(EndReason),
}

/// How far an own message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No other peer has it yet.
    Waiting,
    /// At least one neighbour has received it.
    Sent,
    /// Other peers have stored it.
    Stored {
        /// How many peers have reported that.
        by: u32,
        /// How many peers there were when it was sent.
        of: u32,
    },
}

/// Why our membership ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// A newer boot of this same profile is running on another computer.
    Superseded,
    /// The policy or a moderation bans our account.
    Banned {
        /// The reason of the ban.
        reason: String,
        /// The maker of the ban.
        by: Maker,
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The policy has revoked our ticket.
    Revocation {
        /// The operator's reason.
        reason: String,
    },
}

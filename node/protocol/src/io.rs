//! What goes into the engine and what comes out of it.

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

/// An engine knows the stored messages of this long from its start, which is more than gossip can repeat.
pub const RECENT_MS: u64 = 900_000;
/// Up to this age, own messages that nobody has are sent again at the next `Subscribed`.
pub const RESEND_AGE_MS_MAX: u64 = GOSSIP_AGE_MS_MAX;

const _: () = assert!(RECENT_MS > GOSSIP_AGE_MS_MAX);

/// The gossipsub topics of a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Messages, when the author reaches everybody itself.
    Direct,
    /// Messages that are forwarded.
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

/// What the engine starts from.
#[derive(Debug)]
pub struct Config {
    /// Our device key.
    pub key: SigningKey,
    /// The ticket that the realm has issued to us.
    pub ticket: Ticket,
    /// The newest policy we hold.
    pub policy: SignedPolicy,
    /// This program start: larger than every earlier one, stored before the first dial.
    pub boot: u64,
    /// Random, for the numbering of our messages.
    pub session: u64,
    /// Realm time, as the last run knew it or the login node has said.
    pub clock: RealmClock,
    /// The newest stored messages: at least all that gossip could bring again. The rest follows with
    /// [`Input::Index`].
    pub stored: StoredIndex,
    /// When the oldest of all that are stored was sent, if there are any.
    pub oldest: Option<u64>,
    /// All moderations that are stored.
    pub moderations: Vec<SignedModeration>,
    /// Own messages that nobody has yet.
    pub unsent: Vec<Unsent>,
    /// The seed of all randomness.
    pub seed: [u8; 32],
}

/// Stored messages as the history's index needs them, and the tickets they were sent under.
#[derive(Debug, Default)]
pub struct StoredIndex {
    /// The tickets that were not given before.
    pub tickets: Vec<Ticket>,
    /// The messages sent under these tickets and those given before.
    pub messages: Vec<Indexed>,
}

/// Our name for a request of ours to a peer, given back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// The driver's name for a request of a peer, given back with our answer.
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
    /// Our name for it.
    pub id: LinkId,
    /// The key that Noise has proved.
    pub peer: PeerKey,
    /// Whether we dialled it.
    pub dialled: bool,
    /// Whether it runs through the relay.
    pub relayed: bool,
    /// The other end, as a multiaddr.
    pub address: String,
    /// What our gate has found.
    pub admission: Admission,
}

/// What has happened.
#[derive(Debug)]
pub enum Input {
    /// A link stands: both gates have accepted.
    LinkUp(NewLink),
    /// A link is gone.
    LinkDown(LinkId),
    /// A dial ended before the gate, or without a verdict.
    DialFailed(PeerKey),
    /// The gate of a peer that we dialled, or that dialled us, has refused us.
    RefusedBy {
        /// The peer at the other end.
        peer: PeerKey,
        /// What it said. It proves nothing.
        verdict: Verdict,
    },
    /// Our own gate has refused a peer.
    Refused {
        /// The peer at the other end.
        peer: PeerKey,
        /// The boot it claimed, on a link that Noise has proved to be its own; 0 if it could not be read.
        boot: u64,
        /// What our gate has said.
        code: VerdictCode,
        /// Whether we had dialled it.
        dialled: bool,
    },
    /// A linked peer has subscribed to a topic.
    Subscribed {
        /// The neighbour.
        peer: PeerKey,
        /// The topic that it hears from now on.
        topic: Topic,
    },
    /// The user wants to say something.
    Send {
        /// Given back with the answer.
        request: u64,
        /// What is to be said, and in which room.
        draft: Draft,
    },
    /// Our message is on disk, or it could not be written.
    OwnStored {
        /// The request of [`Output::StoreOwn`].
        request: u64,
        /// What the store said.
        result: Result<(), String>,
    },
    /// What gossipsub made of a message of ours.
    Published {
        /// The message.
        message: MessageId,
        /// Whether it went to at least one neighbour.
        reached: bool,
    },
    /// The store could not take a message of somebody else: it is not held after all.
    NotStored {
        /// When it was sent.
        sent_at: u64,
        /// Its id.
        message: MessageId,
    },
    /// More of what is stored, newest first.
    Index {
        /// The next messages.
        stored: StoredIndex,
        /// Whether this was the last part.
        done: bool,
    },
    /// A peer's answer to an [`Output::Ask`]; `None` if it gave none.
    Answered {
        /// The name of our request.
        ask: AskId,
        /// The reply as it came.
        bytes: Option<Vec<u8>>,
    },
    /// A linked peer asks us; answer with [`Output::Answer`].
    Asked {
        /// Given back with the answer.
        request: RequestId,
        /// The neighbour.
        peer: PeerKey,
        /// The request as it came.
        bytes: Vec<u8>,
    },
    /// What an [`Output::Load`] has found; what is missing is not held any more.
    Loaded {
        /// The request of [`Output::Load`].
        request: RequestId,
        /// The pairs, in the order asked for.
        pairs: Vec<(MessageId, StoredPair)>,
    },
    /// Gossipsub could not get rid of messages for this peer: it may have missed some.
    SlowPeer(PeerKey),
    /// The neighbours that gossipsub does not publish to, because of what they did.
    Unpublished(BTreeSet<PeerKey>),
    /// The user mutes, bans or lifts.
    Moderation {
        /// Given back with the answer.
        request: u64,
        /// What is to be done, and to whom.
        moderation: NewModeration,
    },
    /// What we say of ourselves from now on: `here`, `away`.
    Status(String),
    /// The login node's own peer has a new policy and its head to publish.
    PublishPolicy {
        /// The policy.
        policy: SignedPolicy,
        /// Its head, signed by the realm.
        head: Vec<u8>,
    },
    /// Our ticket was renewed.
    Renewed(Ticket),
    /// The policy that came with a renewal.
    Policy(SignedPolicy),
    /// What the login node's clock says now, unix milliseconds.
    RealmTime(u64),
    /// Where we listen now, without `/p2p/`.
    Listening(Vec<String>),
    /// Addresses from the login reply or the store.
    Candidates(Vec<PeerAddresses>),
    /// The network has changed: try everybody again.
    NetworkChanged,
    /// The program ends: say goodbye.
    Quit,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Put a message of somebody else into the store, and show it.
    Store {
        /// The message that the history has taken in.
        message: Box<AdmittedMessage>,
        /// How it has come.
        arrival: Arrival,
        /// Whether its author is banned now, so that it is shown folded and tells nobody.
        folded: bool,
    },
    /// The rules have changed, or the quota has bitten: mark, unmark and delete stored messages.
    Resettle(Resettled),
    /// Delete all that was sent before a realm time.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// Put a moderation into the store.
    StoreModeration(Box<SignedModeration>),
    /// Read stored messages; answer with [`Input::Loaded`].
    Load {
        /// Given back with the answer.
        request: RequestId,
        /// The messages; only held ones count.
        ids: Vec<MessageId>,
        /// Stop before the pairs take more bytes than this, each ticket counted once.
        bytes_max: usize,
    },
    /// Put a message of our own on disk, and answer with [`Input::OwnStored`].
    StoreOwn {
        /// Given back with the answer.
        request: u64,
        /// Our message, which the history has taken in.
        message: Box<AdmittedMessage>,
    },
    /// Publish on gossip; answer with [`Input::Published`] if there is a message id.
    Publish {
        /// The topic.
        topic: Topic,
        /// The object as it travels.
        bytes: Vec<u8>,
        /// The message whose state depends on it.
        message: Option<MessageId>,
    },
    /// Keep a newer policy.
    StorePolicy(Box<SignedPolicy>),
    /// Remember where a peer may be found.
    StorePeer(PeerAddresses),
    /// Dial a peer at these addresses.
    Dial(PeerAddresses),
    /// Close a link; [`Input::LinkDown`] follows.
    Close(LinkId),
    /// Ask a linked peer on `/lanyard/sync/1`; answer with [`Input::Answered`].
    Ask {
        /// The neighbour.
        peer: PeerKey,
        /// Given back with the answer.
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
    /// What the gate judges by has changed.
    View(Box<AdmissionView>),
    /// Tell the user what has happened.
    Event(Event),
}

/// What the user is told.
#[derive(Debug)]
pub enum Event {
    /// The answer to a [`Input::Send`].
    Sent {
        /// The request of [`Input::Send`].
        request: u64,
        /// The receipt, or why it was refused.
        result: Result<SentReceipt, SendRefused>,
    },
    /// An own message has come further, or nobody has it yet.
    State {
        /// The message.
        id: MessageId,
        /// How far it has come.
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
    /// A moderation has become known.
    Moderation(Box<SignedModeration>),
    /// Somebody came or went.
    Presence(Change),
    /// A newer policy is in force.
    Policy {
        /// The number of the policy.
        number: u64,
    },
    /// Our ticket is new.
    Pass {
        /// Its end, realm time in unix milliseconds.
        expires_at: u64,
    },
    /// The clocks of this realm contradict each other: a renewal at the login node tells which is right.
    AskTheTime,
    /// A sentence with a stable code.
    Notice {
        /// A code that stays the same.
        code: &'static str,
        /// A sentence for the user.
        text: String,
    },
    /// Roster, links, rooms or ticket have changed: read them again.
    Changed,
    /// Membership is lost. We have verified why ourselves.
    Ended(EndReason),
}

/// How far an own message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nobody has it yet.
    Waiting,
    /// Handed to at least one neighbour.
    Sent,
    /// In the stores of others.
    Stored {
        /// How many peers have said so.
        by: u32,
        /// How many there were when it was sent.
        of: u32,
    },
}

/// Why membership is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// A newer start of this very profile exists, on another computer.
    Superseded,
    /// The policy or a moderation bans our account.
    Banned {
        /// The reason given.
        reason: String,
        /// The one who has given the ban.
        by: Maker,
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The policy has withdrawn our ticket.
    Revocation {
        /// The operator's reason.
        reason: String,
    },
}

//! The seam between the window and a node: commands go one way, events come the other.
//!
//! The window never waits: [`Backend::dispatch`] and [`Backend::try_next`] return at once.
//! A backend that has an event asks the window to draw again; without events the window sleeps.

pub mod keyring;
pub mod node;

use std::net::IpAddr;
use std::sync::Arc;

use lanyard_node::{
    History, JoinStep, NodeEvent, Page, Password, ReadError, Refusal, SendError, SentReceipt,
    Status,
};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};

pub use lanyard_node::{Body, Draft, JoinRequest, NewModeration};
pub use lanyard_protocol::login::DeviceInfo;
pub use lanyard_protocol::moderation::ModerationKind;

/// How many messages one [`Command::Load`] brings.
pub const PAGE_LEN: usize = 200;

/// Something that joins a realm and chats: a real node, or a script.
pub trait Backend {
    /// Takes a command; its answer comes as an event.
    fn dispatch(&mut self, command: Command);

    /// The next event, if there is one.
    fn try_next(&mut self) -> Option<BackendEvent>;

    /// Says goodbye to the mesh, within two seconds.
    fn shut_down(&mut self);
}

/// What the window asks of the backend.
#[derive(Debug)]
pub enum Command {
    /// Join a realm.
    Join(Box<JoinRequest>),
    /// Stop joining.
    CancelJoin,
    /// Leave the realm.
    Leave,
    /// Send a text.
    Send {
        /// The room and the text as typed.
        draft: Draft,
        /// The local echo that waits for the answer.
        echo: u64,
    },
    /// Read a part of a room's history.
    Load {
        /// The room to read.
        room: String,
        /// The part to read.
        page: Page,
    },
    /// Remember that a room has been read up to this message.
    MarkRead {
        /// The room that was read.
        room: String,
        /// The last message read.
        id: MessageId,
    },
    /// Ask how much of a room is unread.
    CountUnread {
        /// The room to count in.
        room: String,
    },
    /// List the network interfaces of this computer.
    ListInterfaces,
    /// Tell the others whether the user is away.
    SetAway(bool),
    /// Mute or ban somebody, or lift that.
    Moderate(NewModeration),
    /// Change the user's password.
    ChangePassword(Box<PasswordChange>),
    /// List the user's devices.
    ListDevices,
    /// Log one of the user's devices out, by its number.
    LogOutDevice(u64),
    /// Use the system's keyring.
    Keyring(KeyringCommand),
}

/// A new password for the user's account.
#[derive(Debug)]
pub struct PasswordChange {
    /// The current password.
    pub old: Password,
    /// The new password.
    pub new: Password,
    /// Whether all other devices are logged out.
    pub revoke_others: bool,
}

/// The account that a password in the keyring belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The key of the realm.
    pub realm: PeerKey,
    /// The unique name in that realm.
    pub username: String,
}

/// A request to the system's keyring.
#[derive(Debug)]
pub enum KeyringCommand {
    /// Look up a password.
    Recall(Holder),
    /// Store a password.
    Keep(Holder, Password),
    /// Delete a password.
    Forget(Holder),
}

/// What the backend tells the window.
#[derive(Debug)]
pub enum BackendEvent {
    /// Joining has reached this step.
    Step(JoinStep),
    /// The user has joined the realm.
    Joined {
        /// The first state.
        status: Arc<Status>,
        /// Whether the stored ticket let the user in.
        offline: bool,
        /// Codes and sentences to show.
        notices: Vec<(&'static str, String)>,
    },
    /// The user has been refused.
    Refused(Refusal),
    /// The node's state has changed to this.
    Status(Arc<Status>),
    /// Something happened in the node.
    Node(NodeEvent),
    /// Events were missed, so the window must read the store again.
    Lagged,
    /// The answer to [`Command::Send`].
    SendDone {
        /// The room it was sent to.
        room: String,
        /// The local echo.
        echo: u64,
        /// The stored message, or why it was refused.
        result: Result<SentReceipt, SendError>,
    },
    /// The answer to [`Command::Load`].
    Loaded {
        /// The room that was read.
        room: String,
        /// The part asked for.
        page: Page,
        /// The messages of that part.
        result: Result<History, ReadError>,
    },
    /// The answer to [`Command::CountUnread`].
    Unread {
        /// The room that was counted in.
        room: String,
        /// The last message read, if any, and how many came after it.
        result: Result<(Option<MessageId>, u64), ReadError>,
    },
    /// The answer to [`Command::ListInterfaces`].
    Interfaces(Vec<Interface>),
    /// Somebody has been muted or banned, or that was lifted.
    Restriction(Restriction),
    /// The answer to [`Command::Moderate`]. The error is a sentence, here and below.
    Moderated(Result<(), String>),
    /// The answer to [`Command::ChangePassword`].
    PasswordChanged(Result<(), String>),
    /// The answer to [`Command::ListDevices`].
    Devices(Result<Vec<DeviceInfo>, String>),
    /// The answer to [`Command::LogOutDevice`]: the devices after that.
    DeviceLoggedOut(Result<Vec<DeviceInfo>, String>),
    /// The answer to [`KeyringCommand::Recall`]; `None` if the keyring has no such password.
    PasswordRecalled {
        /// The account asked about.
        holder: Holder,
        /// Its password.
        result: Result<Option<Password>, String>,
    },
    /// The answer to the other keyring commands.
    KeyringDone(Result<(), String>),
    /// The system asks the program to end.
    Terminate,
}

/// Somebody has been muted or banned, or that was lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Whether it is a mute, a ban, or the end of both.
    pub kind: ModerationKind,
    /// The account it applies to.
    pub account: AccountId,
    /// Its end, realm time in unix milliseconds; `None` if it lasts until it is lifted.
    pub until: Option<u64>,
    /// The reason given; may be empty.
    pub reason: String,
    /// The username of the moderator who gave it; `None` for the operator.
    pub moderator: Option<String>,
    /// When it was given, realm time in unix milliseconds.
    pub at: u64,
}

/// An address of this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The IP address.
    pub ip: IpAddr,
    /// The length of the network prefix, in bits.
    pub prefix: u8,
}

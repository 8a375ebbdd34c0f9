//! The seam between the window and a node: commands go one way, events come the other.
//!
//! The window never waits: [`Backend::dispatch`] and [`Backend::try_next`] return at once.
//! Whoever has an event for the window asks it to draw again; without events it sleeps.

pub mod acts;
pub mod fake;
pub mod keyring;
pub mod node;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use lanyard_node::event::{NodeEvent, Refusal, Status};
use lanyard_node::join::{JoinStep, Password};
use lanyard_node::node::{History, Page, ReadError, SendError, Sent};
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::message::Draft;

use crate::bridge::acts::{DeviceInfo, Holder, KeyringOrder, Moderation, PasswordChange, Sanction};

/// Something that joins a realm and chats: a real node, or a script.
pub trait Backend {
    /// Takes a command; its answer comes as an event.
    fn dispatch(&mut self, command: Command);

    /// The next event, if there is one.
    fn try_next(&mut self) -> Option<BackendEvent>;

    /// Says goodbye to the mesh, within two seconds.
    fn shut_down(&mut self);
}

/// What the window asks for.
#[derive(Debug)]
pub enum Command {
    /// Join a realm.
    Join(Box<JoinOrder>),
    /// Stop joining.
    CancelJoin,
    /// Leave the realm.
    Leave,
    /// Send a text.
    Send {
        /// What, and where.
        draft: Draft,
        /// The local echo that waits for the answer.
        echo: u64,
    },
    /// Read a part of a room's history.
    Load {
        /// The room.
        room: String,
        /// Which part.
        page: Page,
    },
    /// Remember that a room has been read up to this message.
    MarkRead {
        /// The room.
        room: String,
        /// The last message read.
        id: MessageId,
    },
    /// Ask how much of a room is unread.
    CountUnread {
        /// The room.
        room: String,
    },
    /// Look at the network interfaces of this computer.
    LookAtInterfaces,
    /// Let the others know whether anybody sits at the computer.
    SetAway(bool),
    /// Give a moderator's moderation.
    Moderate(Moderation),
    /// Change the own password.
    ChangePassword(Box<PasswordChange>),
    /// List the own devices.
    ListDevices,
    /// Log one of the own devices out.
    LogOutDevice(u64),
    /// Ask the system's keyring.
    Keyring(KeyringOrder),
}

/// Everything needed to join.
#[derive(Debug)]
pub struct JoinOrder {
    /// The realm and where its login node is.
    pub link: JoinLink,
    /// The unique name.
    pub username: String,
    /// The password, or none to use the stored ticket.
    pub password: Option<Password>,
    /// The display name wished for.
    pub nickname: Option<String>,
    /// The profile folder.
    pub profile: PathBuf,
}

/// What the window is told.
#[derive(Debug)]
pub enum BackendEvent {
    /// Joining came this far.
    Step(JoinStep),
    /// We are in.
    Joined {
        /// The first state.
        status: Arc<Status>,
        /// True if the stored ticket let us in.
        offline: bool,
        /// Codes and sentences to show.
        notices: Vec<(&'static str, String)>,
    },
    /// We are not let in.
    Refused(Refusal),
    /// The newest state.
    Status(Arc<Status>),
    /// Something happened in the node.
    Node(NodeEvent),
    /// Events were missed: the store knows, ask it again.
    Lagged,
    /// The answer to [`Command::Send`].
    SendDone {
        /// The room.
        room: String,
        /// The local echo.
        echo: u64,
        /// What came of it.
        result: Result<Sent, SendError>,
    },
    /// The answer to [`Command::Load`].
    Loaded {
        /// The room.
        room: String,
        /// Which part.
        page: Page,
        /// The part.
        result: Result<History, ReadError>,
    },
    /// The answer to [`Command::CountUnread`].
    Unread {
        /// The room.
        room: String,
        /// The last message read, if any, and how many stand after it.
        result: Result<(Option<MessageId>, u64), ReadError>,
    },
    /// The answer to [`Command::LookAtInterfaces`].
    Interfaces(Vec<Interface>),
    /// Somebody is kept quiet or out from now on, or no longer.
    Sanction(Sanction),
    /// The answer to [`Command::Moderate`]; the error is a sentence, here and below.
    Moderated(Result<(), String>),
    /// The answer to [`Command::ChangePassword`].
    PasswordChanged(Result<(), String>),
    /// The answer to [`Command::ListDevices`].
    Devices(Result<Vec<DeviceInfo>, String>),
    /// The answer to [`Command::LogOutDevice`]: the devices after that.
    DeviceLoggedOut(Result<Vec<DeviceInfo>, String>),
    /// The answer to [`KeyringOrder::Recall`]; `None` if the keyring knows none.
    PasswordRecalled {
        /// Whose.
        holder: Holder,
        /// The password, or a sentence.
        result: Result<Option<Password>, String>,
    },
    /// The answer to the keyring's other moderations; the error is a sentence.
    KeyringDone(Result<(), String>),
    /// The system asks the program to end.
    Terminate,
}

/// An address of this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Bits of the address that name the network.
    pub prefix: u8,
}

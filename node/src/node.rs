//! The handle: a cheap clone that sends commands to the event loop and reads its state.

use std::sync::Arc;

use lanyard_protocol::ids::MessageId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::event::{ChatMessage, NodeEvent, Status};

/// The node is gone; nothing more can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has ended")]
pub struct NodeClosed;

/// What a message got when it was accepted for sending: it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: MessageId,
    /// Our running session.
    pub session: u64,
    /// Its number within the session.
    pub seq: u64,
    /// Realm time of sending, unix milliseconds.
    pub sent_at: u64,
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than the policy allows.
    #[error("the message has {bytes} of {max} bytes; shorten it")]
    TooLong {
        /// What it has.
        bytes: u64,
        /// What it may have.
        max: u64,
    },
    /// Nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The policy has no such room.
    #[error("there is no room of that name")]
    NoSuchRoom,
    /// The role is too low for the room, or the room is archived.
    #[error("you may not post in this room")]
    MayNotPost,
    /// A mute is in force.
    #[error("you are muted")]
    Muted {
        /// Its end, realm time in unix milliseconds.
        until: Option<u64>,
    },
    /// The account is banned.
    #[error("you are banned")]
    Banned,
    /// The quota is used up.
    #[error("slow down: try again in {retry_after_s} s")]
    SlowDown {
        /// When there is room again, in seconds.
        retry_after_s: u64,
    },
    /// The pass is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// The store does not take it.
    #[error("the message could not be stored: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// Which part of a room's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// What stands directly before this message, by order key.
    Before(MessageId),
    /// What stands directly after this message, by order key.
    After(MessageId),
}

/// A part of a room's history, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In order.
    pub messages: Vec<Arc<ChatMessage>>,
    /// Whether there is more in the direction asked for.
    pub more: bool,
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such message to page from.
    #[error("there is no message with that id")]
    NotFound,
    /// SQLite said no.
    #[error("the store could not be read: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// What the handle asks of the event loop.
#[derive(Debug)]
pub(crate) enum Command {
    Send { room: String, text: String, reply: oneshot::Sender<Result<Sent, SendError>> },
    Quit { reply: oneshot::Sender<()> },
}

/// A running peer. Clones are cheap and speak to the same node.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    pub(crate) status: watch::Receiver<Arc<Status>>,
}

impl Node {
    /// Signs, stores and sends a text. Returns when it is on disk.
    ///
    /// # Errors
    /// [`SendError`] says why not; nothing was stored then.
    pub async fn send(&self, room: &str, text: &str) -> Result<Sent, SendError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Send { room: room.to_owned(), text: text.to_owned(), reply };
        self.commands.send(command).await.map_err(|_loop_is_gone| NodeClosed)?;
        answer.await.map_err(|_loop_is_gone| NodeClosed)?
    }

    /// A part of a room's history from the store, at most 500 messages.
    ///
    /// # Errors
    /// [`ReadError`] if there is no such message or the store cannot be read.
    pub async fn history(
        &self,
        room: &str,
        page: Page,
        limit: usize,
    ) -> Result<History, ReadError> {
        let _later = (room, page, limit);
        std::future::pending().await
    }

    /// Remembers that everything in the room up to this message has been read.
    ///
    /// # Errors
    /// [`ReadError::Store`] if it cannot be written.
    pub async fn mark_read(&self, room: &str, id: MessageId) -> Result<(), ReadError> {
        let _later = (room, id);
        std::future::pending().await
    }

    /// The message up to which the room has been read, and how many stand after it.
    ///
    /// # Errors
    /// [`ReadError::Store`] if it cannot be read.
    pub async fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), ReadError> {
        let _later = room;
        std::future::pending().await
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    /// The latest state, and a way to wait for the next.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Says "bye" to the mesh, closes the store and ends, within two seconds.
    pub async fn quit(&self) {
        let (reply, answer) = oneshot::channel();
        // A loop that is gone has quit already.
        if self.commands.send(Command::Quit { reply }).await.is_ok() {
            answer.await.ok();
        }
    }
}

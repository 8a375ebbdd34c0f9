//! The handle: a cheap clone that sends commands to the event loop and reads its state.

mod start;

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_protocol::engine::{ModerationRefused, NewModeration};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::login::{ChangePassword, DeviceInfo};
use lanyard_protocol::message::Draft;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::event::{ChatMessage, NodeEvent, Status};
use crate::join::Password;
use crate::login_node::{Client, Granted, LoginServerError};
use crate::names::spelled;
use crate::store::Reader;
pub use start::{NodeConfig, StartError};

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
    /// The ticket is over.
    #[error("your pass has expired; sign in again when the login node is back")]
    Expired,
    /// The store does not take it.
    #[error("the message could not be stored: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

/// Why a moderator's moderation was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerateError {
    /// It may not be given, or would have no effect.
    #[error(transparent)]
    Refused(#[from] ModerationRefused),
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
    /// In moderation.
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
    Send {
        draft: Draft,
        reply: oneshot::Sender<Result<Sent, SendError>>,
    },
    Moderation {
        moderation: NewModeration,
        reply: oneshot::Sender<Result<MessageId, ModerationRefused>>,
    },
    Status(String),
    MarkRead {
        room: String,
        id: MessageId,
    },
    PublishPolicy {
        policy: Box<SignedPolicy>,
        head: Vec<u8>,
    },
    Renew(Box<Ticket>),
    /// The login server has granted a new ticket, and what comes with it.
    Granted(Box<Granted>),
    /// The login node signs nothing for now, because of its clock.
    LoginNodeUnsure(String),
    /// For the rendezvous' own node: what time it is.
    RealmTime(u64),
    Notice {
        code: &'static str,
        text: String,
    },
    Scores {
        reply: oneshot::Sender<BTreeMap<PeerKey, f64>>,
    },
    /// Ends the store's thread, as a fault in it would.
    #[cfg(test)]
    EndStore,
    Quit {
        reply: oneshot::Sender<()>,
    },
}

/// The most messages that one page of history has.
pub const PAGE_MAX: usize = 500;

/// A running peer. Clones are cheap and speak to the same node.
#[derive(Debug, Clone)]
pub struct Node {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<NodeEvent>,
    status: watch::Receiver<Arc<Status>>,
    reader: Reader,
    realm: PeerKey,
    login_server: Option<Client>,
}

impl Node {
    /// Starts a node on the running tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        start::start(config)
    }

    /// Signs, stores and sends a message. Returns when it is on disk.
    ///
    /// # Errors
    /// [`SendError`] says why not; nothing was stored then.
    pub async fn send(&self, draft: Draft) -> Result<Sent, SendError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Send { draft, reply }).await?;
        answer.await.map_err(|_loop_is_gone| NodeClosed)?
    }

    /// A part of a room's history from the store, at most [`PAGE_MAX`] messages.
    ///
    /// # Errors
    /// [`ReadError`] if there is no such message or the store cannot be read.
    pub async fn history(
        &self,
        room: &str,
        page: Page,
        limit: usize,
    ) -> Result<History, ReadError> {
        let (reader, room) = (self.reader.clone(), room.to_owned());
        read(move || reader.history(&room, page, limit.min(PAGE_MAX))).await
    }

    /// Gives a moderator's moderation on an account; without a time it holds as long as a moderation may, 24 hours. Returns when
    /// it is in force here and on its way to the others.
    ///
    /// # Errors
    /// [`ModerateError`] says why not; nothing was published then.
    pub async fn moderate(
        &self,
        kind: ModerationKind,
        account: AccountId,
        for_ms: Option<u64>,
        reason: &str,
    ) -> Result<MessageId, ModerateError> {
        let (reply, answer) = oneshot::channel();
        let moderation = NewModeration { kind, account, for_ms, reason: reason.to_owned() };
        self.command(Command::Moderation { moderation, reply }).await?;
        Ok(answer.await.map_err(|_loop_is_gone| NodeClosed)??)
    }

    /// What we say of ourselves to the others from now on: `here` or `away`.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn set_status(&self, status: &str) -> Result<(), NodeClosed> {
        self.command(Command::Status(status.to_owned())).await
    }

    /// The account of a username, as typed, that has been seen here, now or earlier.
    ///
    /// # Errors
    /// [`ReadError::Store`] if the store cannot be read.
    pub async fn account_of(&self, username: &str) -> Result<Option<AccountId>, ReadError> {
        let username = spelled(username);
        let online = Arc::clone(&self.status.borrow());
        let mut people = online.roster.iter();
        let found = people.find(|(_account, person)| person.username == username);
        if let Some((account, _person)) = found {
            return Ok(Some(*account));
        }
        let (reader, realm) = (self.reader.clone(), self.realm);
        read(move || {
            let found = reader.account_of(&realm, &username);
            found.map_err(|error| ReadError::Store(error.to_string()))
        })
        .await
    }

    /// Changes the password of our account at the login node. With `revoke_others`, all its other devices are
    /// logged out. The new ticket that comes with it is taken into use.
    ///
    /// # Errors
    /// [`LoginServerError`]. If the login node did not answer, nobody knows which of the two passwords holds.
    pub async fn change_password(
        &self,
        old: Password,
        new: Password,
        revoke_others: bool,
    ) -> Result<(), LoginServerError> {
        let login_server = self.login_server.as_ref().ok_or(LoginServerError::NoLoginServer)?;
        let (account, username) = self.whoami();
        let change = ChangePassword { username, old, new, revoke_others };
        let granted = login_server.change_password(account, change).await?;
        Ok(self.command(Command::Granted(Box::new(granted))).await?)
    }

    /// The devices of our account, as the login node knows them.
    ///
    /// # Errors
    /// [`LoginServerError`] if it does not answer, or says no.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let login_server = self.login_server.as_ref().ok_or(LoginServerError::NoLoginServer)?;
        login_server.devices(self.whoami().0).await
    }

    /// Logs a device of our account out; the devices after that.
    ///
    /// # Errors
    /// [`LoginServerError`], also if there is no such device.
    pub async fn logout_device(&self, device: u64) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let login_server = self.login_server.as_ref().ok_or(LoginServerError::NoLoginServer)?;
        login_server.log_out(self.whoami().0, device).await
    }

    fn whoami(&self) -> (AccountId, String) {
        let status = self.status.borrow();
        (status.me.account, status.me.username.clone())
    }

    /// Remembers that everything in the room up to this message has been read.
    ///
    /// # Errors
    /// [`ReadError::Closed`] if the node has ended.
    pub async fn mark_read(&self, room: &str, id: MessageId) -> Result<(), ReadError> {
        let room = room.to_owned();
        Ok(self.command(Command::MarkRead { room, id }).await?)
    }

    /// The message up to which the room has been read, and how many of others have arrived since.
    ///
    /// # Errors
    /// [`ReadError::Store`] if it cannot be read.
    pub async fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), ReadError> {
        let (reader, room) = (self.reader.clone(), room.to_owned());
        read(move || reader.unread(&room).map_err(|error| ReadError::Store(error.to_string())))
            .await
    }

    /// For the rendezvous' own node: puts a newer policy in force and publishes its head.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn publish_policy(
        &self,
        policy: SignedPolicy,
        head: Vec<u8>,
    ) -> Result<(), NodeClosed> {
        self.command(Command::PublishPolicy { policy: Box::new(policy), head }).await
    }

    /// For the rendezvous' own node: what time it is, unix milliseconds. From then on it does not follow the machine's
    /// clock if somebody sets it.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn set_realm_time(&self, realm_ms: u64) -> Result<(), NodeClosed> {
        self.command(Command::RealmTime(realm_ms)).await
    }

    /// Takes a renewed ticket into use.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn renew(&self, ticket: Ticket) -> Result<(), NodeClosed> {
        self.command(Command::Renew(Box::new(ticket))).await
    }

    /// What gossip thinks of each neighbour: below 0 it has done harm. For tests.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    #[doc(hidden)]
    pub async fn scores(&self) -> Result<BTreeMap<PeerKey, f64>, NodeClosed> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Scores { reply }).await?;
        answer.await.map_err(|_loop_is_gone| NodeClosed)
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
        if self.command(Command::Quit { reply }).await.is_ok() {
            answer.await.ok();
        }
    }

    /// Waits until the node has ended, for whatever reason.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    async fn command(&self, command: Command) -> Result<(), NodeClosed> {
        self.commands.send(command).await.map_err(|_loop_is_gone| NodeClosed)
    }
}

/// SQLite blocks, so it is read where that is allowed.
async fn read<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| ReadError::Store(error.to_string()))?
}

#[cfg(test)]
mod tests;

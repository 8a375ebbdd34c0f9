//! The handle of a running node: a cheap clone that sends commands to its loop and reads its state.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_protocol::engine::{NewModeration, SentReceipt};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::login::{ChangePassword, DeviceInfo, ListDevices, LogOutDevice, Request};
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use tokio::sync::{broadcast, oneshot, watch};

use crate::driver::command::{Command, ModerateError, SendError};
use crate::driver::start::{Ends, NodeConfig, StartError, start};
use crate::event::{NodeClosed, NodeEvent};
use crate::login::client::Client;
use crate::login::{LoginServerError, Password};
use crate::names::spelled;
use crate::status::Status;
use crate::store::{History, PAGE_MAX, Page, ReadError, Reader};

/// A running peer. Clones are cheap and refer to the same node.
#[derive(Debug, Clone)]
pub struct Node {
    ends: Ends,
}

impl Node {
    /// Starts a node on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(config: NodeConfig) -> Result<Self, StartError> {
        Ok(Self { ends: start(config)? })
    }

    /// Signs, stores and sends a message. Returns when it is on disk.
    ///
    /// # Errors
    /// [`SendError`] says why it was refused; nothing was stored then.
    pub async fn send(&self, draft: Draft) -> Result<SentReceipt, SendError> {
        Ok(self.ask(|reply| Command::Send { draft, reply }).await??)
    }

    /// Reads a page of a room's history from the store, at most [`PAGE_MAX`] messages.
    ///
    /// # Errors
    /// [`ReadError`] if there is no such message or the store cannot be read.
    pub async fn history(
        &self,
        room: &str,
        page: Page,
        limit: usize,
    ) -> Result<History, ReadError> {
        let room = room.to_owned();
        let history = move |reader: &Reader| reader.history(&room, page, limit.min(PAGE_MAX));
        self.ends.reader.ask(history).await
    }

    /// Mutes or bans an account, or lifts that. Without a time it lasts for 24 hours, the maximum. Returns when it is
    /// in force here and on its way to the others.
    ///
    /// # Errors
    /// [`ModerateError`] says why it was refused; nothing was published then.
    pub async fn moderate(&self, moderation: NewModeration) -> Result<MessageId, ModerateError> {
        Ok(self.ask(|reply| Command::Moderation { moderation, reply }).await??)
    }

    /// Shows this device to the other peers as `here` or `away` from now on.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn set_status(&self, status: &str) -> Result<(), NodeClosed> {
        self.command(Command::Status(status.to_owned())).await
    }

    /// The account with a username, as typed, if that name was ever seen here.
    ///
    /// # Errors
    /// [`ReadError::Store`] if the store cannot be read.
    pub async fn account_of(&self, username: &str) -> Result<Option<AccountId>, ReadError> {
        let username = spelled(username);
        let online = Arc::clone(&self.ends.status.borrow());
        let mut people = online.roster.iter();
        let found = people.find(|(_account, person)| person.username == username);
        if let Some((account, _person)) = found {
            return Ok(Some(*account));
        }
        let realm = self.ends.realm;
        self.ends.reader.ask(move |reader| reader.account_of(&realm, &username)).await
    }

    /// Changes the password of our account at the login node, and uses the new ticket that comes with it. With
    /// `revoke_others`, all other devices are logged out.
    ///
    /// # Errors
    /// [`LoginServerError`]. If the login node did not answer, either password may be in force.
    pub async fn change_password(
        &self,
        old: Password,
        new: Password,
        revoke_others: bool,
    ) -> Result<(), LoginServerError> {
        let (account, username) = self.whoami();
        let change = ChangePassword { username, old, new, revoke_others };
        let granted = self.login_server()?.change_password(account, change).await?;
        Ok(self.command(Command::Granted(Box::new(granted))).await?)
    }

    /// Lists the devices of our account, as the login node knows them.
    ///
    /// # Errors
    /// [`LoginServerError`] if the login node does not answer or refuses.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let account = self.whoami().0;
        self.login_server()?.devices(&Request::ListDevices(ListDevices { account })).await
    }

    /// Logs out a device of our account. Returns the devices afterwards.
    ///
    /// # Errors
    /// [`LoginServerError`], also if there is no such device.
    pub async fn logout_device(&self, device: u64) -> Result<Vec<DeviceInfo>, LoginServerError> {
        let account = self.whoami().0;
        self.login_server()?.devices(&Request::LogOutDevice(LogOutDevice { account, device })).await
    }

    fn login_server(&self) -> Result<&Client, LoginServerError> {
        self.ends.login_server.as_ref().ok_or(LoginServerError::NoLoginServer)
    }

    fn whoami(&self) -> (AccountId, String) {
        let status = self.ends.status.borrow();
        (status.me.account, status.me.username.clone())
    }

    /// Marks everything in the room up to this message as read.
    ///
    /// # Errors
    /// [`ReadError::Closed`] if the node has ended.
    pub async fn mark_read(&self, room: &str, id: MessageId) -> Result<(), ReadError> {
        let room = room.to_owned();
        Ok(self.command(Command::MarkRead { room, id }).await?)
    }

    /// The message up to which the room was read, and how many messages of other people have arrived since.
    ///
    /// # Errors
    /// [`ReadError::Store`] if it cannot be read.
    pub async fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), ReadError> {
        let room = room.to_owned();
        self.ends.reader.ask(move |reader| reader.unread(&room)).await
    }

    /// For the authority peer: puts a newer policy in force and publishes its head.
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

    /// For the authority peer: sets the realm's time, unix milliseconds. From then on the node ignores changes of the
    /// machine's clock.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn set_realm_time(&self, realm_ms: u64) -> Result<(), NodeClosed> {
        self.command(Command::RealmTime(realm_ms)).await
    }

    /// Puts a renewed ticket into use.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    pub async fn renew(&self, ticket: Ticket) -> Result<(), NodeClosed> {
        self.command(Command::Renew(Box::new(ticket))).await
    }

    /// Gossipsub's score of each neighbour, which is negative if it misbehaved. For tests.
    ///
    /// # Errors
    /// [`NodeClosed`] if the node has ended.
    #[doc(hidden)]
    pub async fn scores(&self) -> Result<BTreeMap<PeerKey, f64>, NodeClosed> {
        self.ask(Command::Scores).await
    }

    /// Subscribes to events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.ends.events.subscribe()
    }

    /// The latest state, and a way to wait for changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.ends.status.clone()
    }

    /// Says goodbye to the mesh, closes the store and ends, all within two seconds.
    pub async fn quit(&self) {
        // A loop that is gone has already quit.
        self.ask(Command::Quit).await.ok();
    }

    /// Waits until the node has ended, for whatever reason.
    pub async fn ended(&self) {
        self.ends.commands.closed().await;
    }

    /// Sends a command, and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, NodeClosed> {
        let (reply, answer) = oneshot::channel();
        self.command(command(reply)).await?;
        answer.await.map_err(|_loop_is_gone| NodeClosed)
    }

    async fn command(&self, command: Command) -> Result<(), NodeClosed> {
        self.ends.commands.send(command).await.map_err(|_loop_is_gone| NodeClosed)
    }
}

#[cfg(test)]
mod tests;

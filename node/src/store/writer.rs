//! The writer: what can be written, what is told of it, and the handle of the thread that does it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::history::Resettled;
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::time::RealmClock;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::mpsc;

use super::insert::{keep_clock, keep_peer, keep_policy};
use super::thread::Thread;
use super::{Membership, StoreError, open_for_writing, sqlite_error, time};
use crate::event::{ChatMessage, Via};

/// Writes that wait for the thread. Messages beyond this are given back, and come again by reconciliation.
const QUEUE: usize = 4_096;

/// Something to write.
#[derive(Debug)]
pub enum Write {
    /// A message. Own ones carry the request that waits for them.
    Message {
        /// Of an own message.
        request: Option<u64>,
        /// The message.
        message: Box<AdmittedMessage>,
        /// How it came.
        via: Via,
        /// Realm time of arrival, unix milliseconds.
        received_at: u64,
        /// Whether its author was banned by then.
        folded: bool,
    },
    /// Messages have left the set or come back, or the quota has displaced them.
    Resettle(Resettled),
    /// All that was sent before a realm time is to go, and all moderations that ended before it.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// A moderator's moderation.
    Moderation(Box<SignedModeration>),
    /// An own message has reached somebody.
    Sent(MessageId),
    /// An own message is in the stores of others.
    StoredBy {
        /// Which.
        id: MessageId,
        /// How many have said so.
        by: u32,
        /// How many there were when it was sent.
        of: u32,
    },
    /// The ticket of an account was renewed.
    Pass {
        /// Whose.
        account: AccountId,
        /// Its exact bytes.
        ticket: Vec<u8>,
        /// Where the rendezvous' node is now, if that was said.
        authority: Option<PeerAddresses>,
    },
    /// The newest policy.
    Policy(Vec<u8>),
    /// Where a peer was found, at a realm time.
    Peer(PeerAddresses, u64),
    /// The clock's offset and high-water mark.
    Clock(RealmClock),
    /// Everything in the room up to this message has been read.
    ReadMark(String, MessageId),
    /// Write all that came before, and end.
    Close,
}

impl Write {
    /// Whether somebody waits for it: an own message is promised to its author.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Message { via: Via::Own, .. })
    }
}

/// What was written, told after the commit.
#[derive(Debug)]
pub enum Stored {
    /// A message that was not there before.
    Message(Arc<ChatMessage>),
    /// The answer to an own message.
    Own {
        /// Of the request.
        request: u64,
        /// Whether it is on disk.
        result: Result<Arc<ChatMessage>, String>,
    },
    /// A message of somebody else that could not be written.
    GivenBack {
        /// Its time of sending.
        sent_at: u64,
        /// Which.
        message: MessageId,
    },
    /// Messages have left the set, or come back: by how much the number of held messages has changed.
    Resettled(i64),
}

/// The handle of the thread.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Write>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection that [`Opened`] has prepared.
    ///
    /// # Errors
    /// [`StoreError`] if the system gives no thread.
    pub fn start(opened: Opened, told: mpsc::Sender<Stored>) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let run = move || Thread::new(opened, told).run(&jobs);
        let thread = std::thread::Builder::new().name("lanyard-store".into()).spawn(run)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues a write without waiting.
    ///
    /// # Errors
    /// The write itself, if the queue is full or the thread is gone.
    pub fn try_write(&self, write: Write) -> Result<(), Box<Write>> {
        self.queue.try_send(write).map_err(|refused| match refused {
            TrySendError::Full(write) | TrySendError::Disconnected(write) => Box::new(write),
        })
    }

    /// Writes what is queued, and the last writes, and ends the thread. Blocks: call it where that is allowed.
    pub fn close(&mut self, last: impl IntoIterator<Item = Write>) {
        for write in last.into_iter().chain([Write::Close]) {
            // A thread that is gone already has nothing left to write.
            self.queue.send(write).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// An open store of one realm, before its thread runs.
#[derive(Debug)]
pub struct Opened {
    pub(super) connection: Connection,
    pub(super) realm: i64,
}

impl Opened {
    /// Opens the file and notes the realm.
    ///
    /// # Errors
    /// [`StoreError`] if the file is no store, or a newer one.
    pub fn open(path: &Path, realm: &PeerKey) -> Result<Self, StoreError> {
        let error = sqlite_error(path);
        let connection = open_for_writing(path)?;
        connection
            .execute("INSERT INTO realms (key) VALUES (?1) ON CONFLICT (key) DO NOTHING", [realm.0])
            .map_err(&error)?;
        let realm = connection
            .query_row("SELECT id FROM realms WHERE key = ?1", [realm.0], |row| row.get(0))
            .map_err(&error)?;
        Ok(Self { connection, realm })
    }

    /// The next boot: larger than every earlier one, and on disk when this returns.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_boot(&self, wall_ms: u64) -> rusqlite::Result<u64> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let boot: i64 = self.connection.query_row(
            "INSERT INTO numbers (name, value) VALUES ('boot', ?1)
             ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value",
            [time(wall_ms)],
            |row| row.get(0),
        )?;
        Ok(boot.unsigned_abs())
    }

    /// The port that was listened on last.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_port(&self) -> rusqlite::Result<Option<u16>> {
        self.connection
            .query_row("SELECT value FROM numbers WHERE name = 'port'", [], |row| row.get(0))
            .optional()
    }

    /// Remembers the port, so that stored addresses stay true.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn remember_port(&self, port: u16) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO numbers (name, value) VALUES ('port', ?1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [port],
        )?;
        Ok(())
    }

    /// Remembers where the login node has answered.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn remember_login_node(&mut self, place: String, at: u64) -> rusqlite::Result<()> {
        let sql = "SELECT key FROM realms WHERE id = ?1";
        let key = PeerKey(self.connection.query_row(sql, [self.realm], |row| row.get(0))?);
        let place = PeerAddresses { peer: key, addresses: vec![place] };
        let transaction = self.connection.transaction()?;
        keep_peer(&transaction, self.realm, &place, at)?;
        transaction.commit()
    }

    /// Keeps what a login has granted, all or nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn keep_membership(
        &mut self,
        membership: &Membership,
        policy: &[u8],
        clock: &RealmClock,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO memberships (realm, login_name, ticket, member) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (realm, login_name)
             DO UPDATE SET ticket = excluded.ticket, member = excluded.member",
            params![
                self.realm,
                membership.login_name,
                membership.ticket,
                lanyard_protocol::wire::encode(&membership.authority)
            ],
        )?;
        keep_policy(&transaction, self.realm, policy)?;
        keep_clock(&transaction, self.realm, clock)?;
        transaction.commit()
    }
}

//! The writer: a named thread that owns the write connection and batches what has gathered into one transaction.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::law::Resettled;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::message::AdmittedMessage;
use lanyard_protocol::order::SignedOrder;
use lanyard_protocol::time::RealmClock;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::mpsc;

use super::insert::{apply, forget_orders, forget_some, keep_clock, keep_policy};
use super::{Membership, StoreError, open_for_writing, sqlite_error, time};
use crate::event::{ChatMessage, Via};

/// Writes that wait for the thread. Messages beyond this are given back, and come again by reconciliation.
const QUEUE: usize = 4_096;
/// Writes in one transaction: enough to pay one commit, few enough to be quick.
const BATCH: usize = 256;
/// Rows deleted at a time when a day has run out, so that messages of today do not wait for it.
const FORGET: usize = 1_024;

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
    /// All that was sent before a realm time is to go, and all orders that ended before it.
    Forget {
        /// The retention boundary, unix milliseconds.
        before: u64,
    },
    /// A moderator's order.
    Order(Box<SignedOrder>),
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
        member: Option<PeerAddresses>,
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
        let run = move || Thread { opened, told, full_sync: true, forget: None }.run(&jobs);
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
    connection: Connection,
    realm: i64,
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
                lanyard_protocol::wire::encode(&membership.member)
            ],
        )?;
        keep_policy(&transaction, self.realm, policy)?;
        keep_clock(&transaction, self.realm, clock)?;
        transaction.commit()
    }
}

struct Thread {
    opened: Opened,
    told: mpsc::Sender<Stored>,
    full_sync: bool,
    /// What was sent before this realm time is still to be deleted.
    forget: Option<u64>,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Write>) {
        while let Some(mut batch) = self.next_batch(jobs) {
            let close = batch.iter().position(|write| matches!(write, Write::Close));
            batch.truncate(close.unwrap_or(batch.len()));
            for told in self.write(&batch) {
                self.tell(told);
            }
            if close.is_some() {
                break;
            }
            self.forget_a_part();
        }
        self.gather();
    }

    /// Waits for the next write, unless there is something to forget meanwhile. `None` when nobody writes any more.
    fn next_batch(&self, jobs: &Receiver<Write>) -> Option<Vec<Write>> {
        let mut batch = Vec::new();
        if self.forget.is_none() {
            batch.push(jobs.recv().ok()?);
        }
        while batch.len() < BATCH {
            match jobs.try_recv() {
                Ok(write) => batch.push(write),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if batch.is_empty() => return None,
                Err(TryRecvError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// Nobody left to tell: the node is ending, and the store has what matters.
    fn tell(&self, told: Stored) {
        self.told.blocking_send(told).ok();
    }

    /// Brings the write-ahead log into the file, so that after a clean end one file holds everything, also for
    /// whoever copies it. Readers that are still open may prevent it; then the next start does it.
    fn gather(&self) {
        let gather = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.opened.connection.query_row(gather, [], |_row| Ok(())) {
            tracing::debug!(%error, "The write-ahead log stays");
        }
    }

    fn write(&mut self, batch: &[Write]) -> Vec<Stored> {
        if batch.is_empty() {
            return Vec::new();
        }
        let told = match self.write_batch(batch) {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(%error, writes = batch.len(), "Cannot write to the store");
                // One write that cannot be done must not take the others with it.
                batch.iter().flat_map(|write| self.write_one(write)).collect()
            }
        };
        for write in batch {
            if let Write::Forget { before } = write {
                self.forget = self.forget.max(Some(*before));
            }
        }
        told
    }

    fn write_one(&mut self, write: &Write) -> Vec<Stored> {
        self.write_batch(std::slice::from_ref(write)).unwrap_or_else(|error| {
            let reason = error.to_string();
            failed(write, &reason).into_iter().collect()
        })
    }

    fn write_batch(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Stored>> {
        self.synchronise(batch)?;
        let transaction = self.opened.connection.transaction()?;
        let mut told = Vec::new();
        for write in batch {
            told.extend(apply(&transaction, self.opened.realm, write)?);
        }
        transaction.commit()?;
        Ok(told)
    }

    /// Own messages are promised, so they wait for the disk; everything else comes again if it is lost.
    fn synchronise(&mut self, batch: &[Write]) -> rusqlite::Result<()> {
        let full = batch.iter().any(|write| matches!(write, Write::Message { via: Via::Own, .. }));
        if full != self.full_sync {
            let level = if full { "FULL" } else { "NORMAL" };
            self.opened.connection.pragma_update(None, "synchronous", level)?;
            self.full_sync = full;
        }
        Ok(())
    }

    /// Deletes a part of what is too old.
    fn forget_a_part(&mut self) {
        let Some(before) = self.forget else { return };
        let (connection, realm) = (&self.opened.connection, self.opened.realm);
        match forget_some(connection, realm, before, FORGET) {
            Ok((FORGET, held)) => self.tell(Stored::Resettled(-held)),
            Ok((_the_rest, held)) => {
                self.forget = None;
                if let Err(error) = forget_orders(connection, realm, before) {
                    tracing::warn!(%error, "Old orders stay in the store");
                }
                self.tell(Stored::Resettled(-held));
            }
            Err(error) => {
                // The boundary moves on within the hour, and brings the next try.
                self.forget = None;
                tracing::warn!(%error, "Old messages stay in the store");
            }
        }
    }
}

/// What is told of a write that could not be done. What the law has decided is decided again at the next start.
fn failed(write: &Write, reason: &str) -> Option<Stored> {
    match write {
        Write::Message { request: Some(request), .. } => {
            Some(Stored::Own { request: *request, result: Err(reason.to_owned()) })
        }
        Write::Message { request: None, message, .. } => {
            Some(Stored::GivenBack { sent_at: message.content().sent_at, message: message.id() })
        }
        _nobody_waits => {
            tracing::error!(reason, "A write was left out");
            None
        }
    }
}

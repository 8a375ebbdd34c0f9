//! The writer: a named thread that owns the write connection and batches what has gathered into one transaction.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::limits::LATE_MS;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::message::AdmittedMessage;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::mpsc;

use super::row::via_name;
use super::{Membership, StoreError, open_for_writing, ordered, sqlite_error, time};
use crate::event::{ChatMessage, SendState, Via};

/// Writes that wait for the thread. Gossip beyond this is dropped and comes again by reconciliation.
const QUEUE: usize = 4_096;
/// Writes in one transaction: enough to pay one commit, few enough to be quick.
const BATCH: usize = 256;

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
    },
    /// An own message has reached somebody.
    Sent(MessageId),
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
        let run = move || Thread { opened, told, full_sync: true }.run(&jobs);
        let thread = std::thread::Builder::new().name("lanyard-store".into()).spawn(run)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues a write without waiting. `false` if the queue is full or the thread is gone.
    #[must_use]
    pub fn try_write(&self, write: Write) -> bool {
        match self.queue.try_send(write) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Writes what is queued and ends the thread. Blocks: call it where that is allowed.
    pub fn close(&mut self) {
        // A thread that is gone already has nothing left to write.
        self.queue.send(Write::Close).ok();
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
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Write>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            batch.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(BATCH - 1));
            let close = batch.iter().position(|write| matches!(write, Write::Close));
            batch.truncate(close.unwrap_or(batch.len()));
            for told in self.write(&batch) {
                // Nobody left to tell: the node is ending, and the store has what matters.
                self.told.blocking_send(told).ok();
            }
            if close.is_some() {
                break;
            }
        }
        self.gather();
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
        match self.write_batch(batch) {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(%error, writes = batch.len(), "Cannot write to the store");
                let reason = error.to_string();
                let failed = |write: &Write| match write {
                    Write::Message { request: Some(request), .. } => {
                        Some(Stored::Own { request: *request, result: Err(reason.clone()) })
                    }
                    _nobody_waits => None,
                };
                batch.iter().filter_map(failed).collect()
            }
        }
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
}

fn apply(
    transaction: &Transaction<'_>,
    realm: i64,
    write: &Write,
) -> rusqlite::Result<Option<Stored>> {
    match write {
        Write::Message { request, message, via, received_at } => {
            let stored = insert_message(transaction, realm, message, *via, *received_at)?;
            return Ok(told(*request, stored));
        }
        Write::Sent(id) => {
            transaction
                .prepare_cached("UPDATE messages SET sent = 1 WHERE message_id = ?1")?
                .execute([id.0])?;
        }
        Write::Policy(bytes) => keep_policy(transaction, realm, bytes)?,
        Write::Peer(peer, seen_at) => keep_peer(transaction, realm, peer, *seen_at)?,
        Write::Clock(clock) => keep_clock(transaction, realm, clock)?,
        Write::ReadMark(room, id) => {
            transaction.execute(
                "INSERT INTO read_marks (realm, room, message)
                 SELECT ?1, ?2, id FROM messages WHERE message_id = ?3
                 ON CONFLICT (realm, room) DO UPDATE SET message = excluded.message",
                params![realm, room, id.0],
            )?;
        }
        Write::Close => {}
    }
    Ok(None)
}

fn told(request: Option<u64>, stored: Option<ChatMessage>) -> Option<Stored> {
    let message = Arc::new(stored?);
    Some(match request {
        Some(request) => Stored::Own { request, result: Ok(message) },
        None => Stored::Message(message),
    })
}

/// Inserts a message; `None` if it is there already.
fn insert_message(
    transaction: &Transaction<'_>,
    realm: i64,
    message: &AdmittedMessage,
    via: Via,
    received_at: u64,
) -> rusqlite::Result<Option<ChatMessage>> {
    let ticket = ticket_row(transaction, message.ticket())?;
    let (content, claims) = (message.content(), message.ticket().claims());
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO messages (realm, message_id, ticket, room, sent_at, author, session, seq,
                                   text, bytes, received_at, via)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (message_id) DO NOTHING",
        )?
        .execute(params![
            realm,
            message.id().0,
            ticket,
            content.room,
            time(content.sent_at),
            claims.peer.0,
            ordered(content.session),
            ordered(content.seq),
            content.text,
            message.as_bytes(),
            time(received_at),
            via_name(via),
        ])?;
    Ok((inserted == 1).then(|| shown(message, via, received_at)))
}

fn shown(message: &AdmittedMessage, via: Via, received_at: u64) -> ChatMessage {
    let (content, claims) = (message.content(), message.ticket().claims());
    ChatMessage {
        id: message.id(),
        room: content.room.clone(),
        account: claims.account,
        username: claims.username.clone(),
        nickname: claims.nickname.clone(),
        peer: claims.peer,
        role: claims.role,
        text: content.text.clone(),
        sent_at: content.sent_at,
        received_at,
        via,
        late: received_at.saturating_sub(content.sent_at) > LATE_MS,
        session: content.session,
        seq: content.seq,
        state: (via == Via::Own).then_some(SendState::Waiting),
    }
}

fn ticket_row(transaction: &Transaction<'_>, ticket: &Ticket) -> rusqlite::Result<i64> {
    let known = transaction
        .prepare_cached("SELECT id FROM tickets WHERE hash = ?1")?
        .query_row([ticket.hash().0], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let claims = ticket.claims();
    transaction.execute(
        "INSERT INTO tickets (hash, bytes, account, peer, username, nickname, role)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            ticket.hash().0,
            ticket.as_bytes(),
            claims.account.0,
            claims.peer.0,
            claims.username,
            claims.nickname,
            claims.role.as_str()
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

fn keep_policy(transaction: &Transaction<'_>, realm: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    transaction.execute("UPDATE realms SET policy = ?2 WHERE id = ?1", params![realm, bytes])?;
    Ok(())
}

fn keep_clock(
    transaction: &Transaction<'_>,
    realm: i64,
    clock: &RealmClock,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE realms SET clock_offset_ms = ?2, clock_high_water_ms = ?3 WHERE id = ?1",
        params![realm, clock.offset_ms(), time(clock.high_water_ms())],
    )?;
    Ok(())
}

fn keep_peer(
    transaction: &Transaction<'_>,
    realm: i64,
    peer: &PeerAddresses,
    seen_at: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO peers (realm, key, addresses, seen_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (realm, key)
         DO UPDATE SET addresses = excluded.addresses, seen_at = excluded.seen_at",
        params![realm, peer.peer.0, lanyard_protocol::wire::encode(&peer.addresses), time(seen_at)],
    )?;
    Ok(())
}

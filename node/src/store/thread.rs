//! The writer thread: puts everything in its queue into one transaction.
//!
//! A commit costs more than the message in it. Writes that nobody waits for are therefore gathered for a moment if the
//! last commit is recent: a quiet room is stored at once, and a busy one in batches.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use lanyard_protocol::time::DAY_MS;
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::checkpoint::Checkpointer;
use super::insert::{apply, forget_moderations, forget_some};
use super::ticket_rows::TicketRows;
use super::write::{Stored, Write};
use crate::clock::Clock;

/// How many writes one transaction may have: enough to be worth a commit, few enough that an own message behind them
/// waits only a few hundredths of a second.
const BATCH: usize = 1_024;
/// The shortest time between two commits, unless a sender is waiting. Nobody notices a hundredth of a second.
const GATHER: Duration = Duration::from_millis(10);
/// After this many writes the write-ahead log is copied into the file. With one write per commit, that is about five
/// megabytes.
const CHECKPOINT: usize = 200;
/// After this long without a write, the log is copied into the file as well.
const IDLE: Duration = Duration::from_secs(2);
/// How many rows to delete at a time when a day's messages expire, so that today's messages do not wait.
const FORGET: usize = 1_024;

pub(super) struct Thread {
    connection: Connection,
    realm: i64,
    told: mpsc::Sender<Stored>,
    clock: Clock,
    full_sync: bool,
    tickets: TicketRows,
    /// When the last commit ended, on the monotonic clock.
    committed: Duration,
    checkpointer: Checkpointer,
    /// How many writes the write-ahead log has received since it was last copied into the file.
    in_log: usize,
    /// Messages sent before this realm time still have to be deleted.
    forget: Option<u64>,
}

impl Thread {
    pub(super) fn new(connection: Connection, realm: i64, told: mpsc::Sender<Stored>) -> Self {
        Self {
            checkpointer: Checkpointer::of(connection.path().unwrap_or_default()),
            connection,
            realm,
            told,
            clock: Clock::new(),
            full_sync: true,
            tickets: TicketRows::default(),
            committed: Duration::ZERO,
            in_log: 0,
            forget: None,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Write>) {
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
            if self.in_log >= CHECKPOINT {
                self.checkpoint();
            }
        }
        self.gather();
    }

    /// Waits for the next write, unless there are messages to delete in the meantime. `None` once all senders are gone.
    fn next_batch(&mut self, jobs: &Receiver<Write>) -> Option<Vec<Write>> {
        let mut batch = Vec::new();
        let mut until = Duration::ZERO;
        if self.forget.is_none() {
            batch.push(self.first(jobs)?);
            until = self.committed.saturating_add(GATHER);
        }
        while batch.len() < BATCH {
            match batch.last() {
                Some(Write::Close) => break,
                Some(last) if last.is_awaited() => until = Duration::ZERO,
                Some(_) | None => {}
            }
            // If the time is in the past, this only checks.
            match jobs.recv_timeout(until.saturating_sub(self.clock.now().mono)) {
                Ok(write) => batch.push(write),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) if batch.is_empty() => return None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// Waits for the next write. If there is none for a while, copies the write-ahead log into the file.
    fn first(&mut self, jobs: &Receiver<Write>) -> Option<Write> {
        if self.in_log > 0 {
            match jobs.recv_timeout(IDLE) {
                Ok(write) => return Some(write),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.checkpoint(),
            }
        }
        jobs.recv().ok()
    }

    /// Sends a report. If the receiver is gone, the node is ending, and the store has what matters.
    fn tell(&self, told: Stored) {
        self.told.blocking_send(told).ok();
    }

    fn checkpoint(&mut self) {
        if self.checkpointer.start() {
            self.in_log = 0;
        }
    }

    /// Copies the write-ahead log into the file, so that after a clean end one file holds everything and can be copied.
    /// Open readers may prevent that; then the next start does it.
    fn gather(&mut self) {
        self.checkpointer.wait();
        let gather = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(gather, [], |_row| Ok(())) {
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
                // One failing write must not make the others fail.
                let alone = |write: &Write| {
                    let told = self.write_batch(std::slice::from_ref(write));
                    told.unwrap_or_else(|error| failed(write, &error.to_string()))
                };
                batch.iter().flat_map(alone).collect()
            }
        };
        for write in batch {
            if let Write::Forget { before } = write {
                self.forget = self.forget.max(Some(*before));
            }
        }
        self.committed = self.clock.now().mono;
        self.in_log = self.in_log.saturating_add(batch.len());
        told
    }

    fn write_batch(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Stored>> {
        self.synchronise(batch)?;
        let told = self.write_in_a_transaction(batch);
        if told.is_err() {
            self.tickets.forget();
        }
        told
    }

    fn write_in_a_transaction(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Stored>> {
        let transaction = self.connection.transaction()?;
        let mut told = Vec::new();
        for write in batch {
            told.extend(apply(&transaction, self.realm, &mut self.tickets, write)?);
        }
        transaction.commit()?;
        Ok(told)
    }

    /// The user is told that own messages are on disk, so these wait for the disk. Everything else arrives again if it
    /// is lost.
    fn synchronise(&mut self, batch: &[Write]) -> rusqlite::Result<()> {
        let full = batch.iter().any(Write::is_awaited);
        if full != self.full_sync {
            let level = if full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.full_sync = full;
        }
        Ok(())
    }

    /// Deletes some of the messages that are too old.
    fn forget_a_part(&mut self) {
        let Some(before) = self.forget else { return };
        let (connection, realm) = (&self.connection, self.realm);
        match forget_some(connection, realm, before, FORGET) {
            Ok((FORGET, held)) => self.tell(Stored::Resettled(-held)),
            Ok((_the_rest, held)) => {
                self.forget = None;
                // A moderation lasts a day at most, and messages of that day may still be judged by it.
                let before = before.saturating_sub(DAY_MS);
                if let Err(error) = forget_moderations(connection, realm, before) {
                    tracing::warn!(%error, "Old moderations stay in the store");
                }
                self.tell(Stored::Resettled(-held));
            }
            Err(error) => {
                // The boundary moves again within a day, which causes the next try.
                self.forget = None;
                tracing::warn!(%error, "Old messages stay in the store");
            }
        }
    }
}

/// The reports about a write that failed. What the history had decided, it decides again at the next start.
fn failed(write: &Write, reason: &str) -> Vec<Stored> {
    match write {
        Write::Message { request: Some(request), .. } => {
            vec![Stored::Own { request: *request, result: Err(reason.to_owned()) }]
        }
        Write::Message { request: None, message, .. } => {
            vec![Stored::GivenBack { sent_at: message.content().sent_at, message: message.id() }]
        }
        _nobody_waits => {
            tracing::error!(reason, "A write was left out");
            Vec::new()
        }
    }
}

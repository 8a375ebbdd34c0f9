//! The handle of the writer thread.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::thread::Thread;
use super::write::{Stored, Write};

/// How many writes may wait for the thread. More messages are given back, and arrive again by reconciliation.
const QUEUE: usize = 4_096;

/// The handle of the writer thread.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<Write>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer thread.
    pub(super) fn start(
        connection: Connection,
        realm: i64,
        told: mpsc::Sender<Stored>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let run = move || Thread::new(connection, realm, told).run(&jobs);
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

    /// Writes what is queued and the last writes, and ends the thread. This blocks.
    pub fn close(&mut self, last: impl IntoIterator<Item = Write>) {
        for write in last.into_iter().chain([Write::Close]) {
            // If the thread is gone already, there is nothing left to write.
            self.queue.send(write).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

//! Copies the write-ahead log into the database file, on a separate thread: the disk may take half a second, and no
//! message should wait for that.
//!
//! The writer keeps appending meanwhile, so the first try seldom reaches the end of the log, and the log restarts only
//! from there. If no try does, SQLite's own checkpoint inside a commit is the last resort.

use std::path::PathBuf;
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

/// How many times to try to reach the end of the log. Each try has less to do than the one before.
const TRIES: usize = 4;

#[derive(Debug)]
pub(super) struct Checkpointer {
    path: PathBuf,
    running: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// For the store at a path, as SQLite reports it.
    pub(super) fn of(path: &str) -> Self {
        Self { path: path.into(), running: None }
    }

    /// Starts a checkpoint, unless one is running. Returns whether it did.
    pub(super) fn start(&mut self) -> bool {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return false;
        }
        let path = self.path.clone();
        let run = move || {
            if let Err(error) = run(&path) {
                tracing::debug!(%error, "The write-ahead log stays");
            }
        };
        let thread = std::thread::Builder::new().name("lanyard-checkpoint".into()).spawn(run);
        self.running = thread.ok();
        self.running.is_some()
    }

    /// Waits for the running checkpoint.
    pub(super) fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            // What it has not copied is copied at the end, or at the next start.
            running.join().ok();
        }
    }
}

fn run(path: &PathBuf) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    for _try in 0..TRIES {
        let (log, done): (i64, i64) =
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })?;
        if log == done {
            break;
        }
    }
    Ok(())
}

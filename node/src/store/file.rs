//! Opens the file: for its one writer, for readers beside it, and to find out what it was used for.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanyard_protocol::ids::PeerKey;
use rusqlite::{Connection, OpenFlags};

use super::migrations;
use crate::private::{self, PrivateError};

/// At this many pages, 64 MiB, a commit copies the write-ahead log into the file itself. This is the last resort; see
/// `checkpoint.rs`.
const WAL_PAGES: u32 = 16_384;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite cannot open, read or write it.
    #[error("{path}: {source}")]
    Sqlite {
        /// The path of the store.
        path: PathBuf,
        /// SQLite's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is not an SQLite database.
    #[error("{path} is damaged, or not a message store")]
    NotAStore {
        /// The path of the store.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error("{path} was written by a newer version of Lanyard; update this one")]
    Newer {
        /// The path of the store.
        path: PathBuf,
    },
    /// A table or an index is missing.
    #[error("{path} is damaged: {what} is missing in it; put back a copy of it")]
    Incomplete {
        /// The path of the store.
        path: PathBuf,
        /// The name of the missing table or index.
        what: String,
    },
    /// The file cannot be made private.
    #[error(transparent)]
    Private(#[from] PrivateError),
}

pub(super) fn sqlite_error(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    move |error| StoreError::Sqlite { path: path.to_owned(), source: error.into() }
}

/// Opens the file for writing, and migrates it to the newest schema.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    let error = sqlite_error(path);
    if is_other_file(path) {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    private::database(path)?;
    let mut connection = Connection::open(path).map_err(&error)?;
    configure(&connection).map_err(&error)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(&error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(&error)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES).map_err(&error)?;
    migrations::run(&mut connection, path)?;
    migrations::check(&connection, path)?;
    Ok(connection)
}

/// Creates an empty store, unless there is one.
///
/// # Errors
/// [`StoreError`] if the existing file is not a store, or is a newer one.
pub fn make(path: &Path) -> Result<(), StoreError> {
    open_for_writing(path).map(drop)
}

/// What a store was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It has no tables yet.
    Blank,
    /// No account has signed in with it.
    Unused,
    /// An account has signed in with it.
    Used,
}

/// Finds out what the store at this path was used for. Changes nothing.
///
/// # Errors
/// [`StoreError`] if it is not a store, or cannot be read.
pub fn use_of(path: &Path) -> Result<Use, StoreError> {
    if is_other_file(path) {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    private::tighten(path)?;
    // Not read-only: such a connection would leave the files of a write-ahead log behind.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite_error(path))?;
    configure(&connection).map_err(sqlite_error(path))?;
    let ask = |sql| connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite_error(path));
    if ask("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)")? {
        return Ok(Use::Blank);
    }
    let table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'memberships')";
    // An unused store has all tables, so a store without this one was used.
    let used = !ask(table)? || ask("SELECT EXISTS (SELECT 1 FROM memberships)")?;
    Ok(if used { Use::Used } else { Use::Unused })
}

/// Whether the file exists and is not an SQLite database. Call this before SQLite opens it: with a write-ahead log
/// beside it, SQLite would write pages into any file. A missing file does not count, and neither does an empty one,
/// which a program leaves if it is killed before its first write.
#[must_use]
pub fn is_other_file(path: &Path) -> bool {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    // Let SQLite report a file that cannot be opened.
    let Ok(file) = File::open(path) else { return false };
    let mut start = Vec::new();
    let read = file.take(MAGIC.len() as u64).read_to_end(&mut start);
    read.is_err() || (!start.is_empty() && start != MAGIC)
}

pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let error = sqlite_error(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&error)?;
    configure(&connection).map_err(&error)?;
    connection.pragma_update(None, "query_only", true).map_err(&error)?;
    Ok(connection)
}

/// The row of a realm.
pub(super) fn realm_row(
    connection: &Connection,
    path: &Path,
    realm: &PeerKey,
) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT id FROM realms WHERE key = ?1", [realm.0], |row| row.get(0))
        .map_err(sqlite_error(path))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// Maps a u64 to an i64, keeping the order.
pub(super) fn ordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// The inverse of [`ordered`].
pub(super) fn unordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// A time in milliseconds as SQLite stores it.
pub(super) fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

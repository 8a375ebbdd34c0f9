//! The database of the login node: one SQLite file, `rendezvous.db`.
//!
//! Several processes use it at a time: `serve`, and every command line. Each change is one `BEGIN IMMEDIATE`
//! transaction, so two of them wait for each other instead of failing half way, and `synchronous=FULL`
//! makes an answer after COMMIT an answer that survives the power cut.
//!
//! The command line writes rows and never signs; `serve` alone signs. It learns of foreign changes
//! by [`Store::data_version`].
//!
//! The modules below are functions over a connection or transaction, one per table, without rules:
//! what may be done is decided in [`crate::accounts`] and [`crate::rules`].

pub mod accounts;
pub mod audit;
pub mod dated;
pub mod devices;
pub mod meta;
mod migrations;
pub mod moderations;
pub mod policies;
pub mod rooms;
pub mod rules;
pub mod sanctions;
pub mod sessions;
pub mod thread;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lanyard_node::private::{self, PrivateError};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "rendezvous.db";
/// "LNYR": marks the file as this program's, so that another program's database is not migrated by mistake.
const APPLICATION_ID: i32 = 0x4c4e_5952;
/// How long one writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What could not be done with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no database at {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is no database, or a broken one.
    #[error("{path} is damaged or not a database; put a backup in its place")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A table, an index or a trigger is gone.
    #[error(
        "{path} is damaged: {what} is missing in it; put the last backup in its place with \
         `lanyard-rendezvous restore FILE`"
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is gone.
        what: String,
    },
    /// It cannot be kept from others.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The file belongs to another program.
    #[error("{path} is a database of another program")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error("{path} was written by a newer release (version {found}, this one knows {known})")]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// SQLite said no.
    #[error("could not {what}")]
    Sql {
        /// What was tried.
        what: &'static str,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A row holds what this program never writes.
    #[error("the database holds an impossible {what}")]
    Row {
        /// The thing.
        what: &'static str,
    },
    /// The thread that owns the database has ended.
    #[error("the database is closed")]
    Closed,
}

/// Names the step that failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Sql { what, source })
    }
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
}

impl Store {
    /// Opens the database of a data directory and brings it up to date; makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file.
    pub fn open_or_create(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(data_dir, OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the database of a data directory and brings it up to date.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise what is wrong with the file.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE_NAME);
        // Asked before opening: SQLite's own word for a missing file is the same as for a forbidden one.
        if !path.exists() {
            return Err(StoreError::Missing { path });
        }
        Self::open_with(data_dir, OpenFlags::empty())
    }

    fn open_with(data_dir: &Path, create: OpenFlags) -> Result<Self, StoreError> {
        Self::open_file(data_dir.join(FILE_NAME), create)
    }

    /// Opens a database that does not stand in its place, such as a copy that is to be checked.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file.
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        Self::open_file(path.to_owned(), OpenFlags::empty())
    }

    fn open_file(path: PathBuf, create: OpenFlags) -> Result<Self, StoreError> {
        if lanyard_node::store::is_other_file(&path) {
            return Err(StoreError::Damaged { path });
        }
        let make_private = if create.is_empty() { private::tighten } else { private::database };
        make_private(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let conn = Connection::open_with_flags(&path, flags).doing("open the database")?;
        prepare(conn, &path).map_err(|error| match error {
            StoreError::Sql { source, .. } if is_damage(&source) => StoreError::Damaged { path },
            other => other,
        })
    }

    /// Whether a file that is there has not even a table: such a database was never used, or is what is left of one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn is_blank(path: &Path) -> Result<bool, StoreError> {
        if lanyard_node::store::is_other_file(path) {
            return Err(StoreError::Damaged { path: path.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let blank = Connection::open_with_flags(path, flags).and_then(|conn| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
            conn.query_row(sql, [], |row| row.get(0))
        });
        match blank {
            Err(error) if is_damage(&error) => Err(StoreError::Damaged { path: path.to_owned() }),
            other => other.doing("look into the database"),
        }
    }

    /// Looks through the whole file for damage; at start only, because it reads everything.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a page or an index is not as it should be.
    pub fn check(&self, data_dir: &Path) -> Result<(), StoreError> {
        let verdict: Result<String, _> =
            self.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        match verdict.as_deref() {
            Ok("ok") => Ok(()),
            _ => Err(StoreError::Damaged { path: data_dir.join(FILE_NAME) }),
        }
    }

    /// Looks through a copy in every way that SQLite knows, foreign keys included.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if anything is not as it should be.
    pub fn check_copy(&self, path: &Path) -> Result<(), StoreError> {
        let damaged = || StoreError::Damaged { path: path.to_owned() };
        let verdict: String = self
            .conn
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|_unreadable| damaged())?;
        let mut keys = self.conn.prepare("PRAGMA foreign_key_check").doing("check the copy")?;
        let dangling = keys.exists([]).map_err(|_unreadable| damaged())?;
        if verdict == "ok" && !dangling { Ok(()) } else { Err(damaged()) }
    }

    /// Replaces the whole content by that of another database, in one transaction: whoever reads meanwhile
    /// sees the old or the new one.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; the old content stays.
    pub fn replace_by(&mut self, other: &Self) -> Result<(), StoreError> {
        let what = "replace the database";
        let backup = rusqlite::backup::Backup::new(&other.conn, &mut self.conn).doing(what)?;
        backup.run_to_completion(i32::MAX, Duration::from_millis(50), None).doing(what)
    }

    /// Brings the write-ahead log into the file, so that after a clean end one file holds everything.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if it cannot be written; the log then stays for the next start.
    pub fn gather(&self) -> Result<(), StoreError> {
        let gather = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.conn.query_row(gather, [], |_row| Ok(())).doing("gather the write-ahead log")
    }

    /// The connection, for reading.
    #[must_use]
    pub fn reader(&self) -> &Connection {
        &self.conn
    }

    /// Runs `act` in one `BEGIN IMMEDIATE` transaction, committed if it gives `Ok`.
    ///
    /// # Errors
    /// The error of `act`, or [`StoreError::Sql`] if the transaction cannot begin or commit.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .doing("begin a transaction")?;
        let value = act(&transaction)?;
        transaction.commit().doing("commit")?;
        Ok(value)
    }

    /// A number that changes when another connection has committed.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if the file cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.conn.query_row("PRAGMA data_version", [], |row| row.get(0)).doing("look for changes")
    }
}

fn prepare(mut conn: Connection, path: &Path) -> Result<Store, StoreError> {
    conn.busy_timeout(BUSY_TIMEOUT).doing("set the busy timeout")?;
    let settings = [
        ("foreign_keys", "ON"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("secure_delete", "ON"),
        ("synchronous", "FULL"),
    ];
    for (name, value) in settings {
        conn.pragma_update(None, name, value).doing("set up the connection")?;
    }
    migrations::check_owner(&conn, path)?;
    // The first reading of the file: what is no database fails here, before anything is written to it.
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .doing("switch to write-ahead logging")?;
    if mode != "wal" {
        tracing::warn!(%mode, "The file system does not allow write-ahead logging");
    }
    migrations::migrate(&mut conn, path)?;
    migrations::check_whole(&conn, path)?;
    Ok(Store { conn })
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt))
}

/// A time or count for SQL, which has no unsigned numbers. Nothing real comes near the end of the range.
pub(crate) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time or count from SQL.
pub(crate) fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;

//! The database of the login node: one SQLite file, `rendezvous.db`.
//!
//! Several processes use it at a time: `serve`, and every command. Each change is one `BEGIN IMMEDIATE` transaction, so
//! concurrent changes wait for each other instead of failing halfway. With `synchronous=FULL`, an answer given after
//! COMMIT survives a power failure.
//!
//! Commands write rows and never sign; only `serve` signs. It notices the changes of other processes by
//! [`Store::data_version`].
//!
//! The modules below hold functions over a [`Db`], one module per table. They contain no rules: [`crate::accounts`] and
//! [`crate::policy`] decide what is allowed.

pub mod accounts;
pub mod audit;
pub mod dated;
pub mod devices;
pub mod former_nicknames;
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
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, Params, Row, TransactionBehavior};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "rendezvous.db";
/// "LNYR" marks the file as ours, so that another program's database is never migrated by mistake.
const APPLICATION_ID: i32 = 0x4c4e_5952;
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// The file is damaged or not a database.
    #[error(
        "{0} is damaged or not a database; put the last backup in its place with `lanyard-rendezvous restore FILE`"
    )]
    Damaged(PathBuf),
    /// A table, an index or a trigger is missing.
    #[error(
        "{path} is damaged: {what} is missing in it; put the last backup in its place with \
         `lanyard-rendezvous restore FILE`"
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The missing part.
        what: String,
    },
    /// A table, an index, a trigger or a view is not as our migrations make it.
    #[error(
        "{path} was changed by another program: {what} is not as this program makes it; put the last backup in its \
         place with `lanyard-rendezvous restore FILE`"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The part that was added or changed.
        what: String,
    },
    /// The file cannot be protected from other users.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The file belongs to another program.
    #[error("{0} is a database of another program")]
    Foreign(PathBuf),
    /// A newer release wrote the file.
    #[error("{path} was written by a newer release (version {found}, this one knows {known})")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// SQLite reported an error.
    #[error("could not {what}")]
    Sql {
        /// The step that failed.
        what: &'static str,
        /// The cause.
        source: SqlError,
    },
    /// A row contains something that this program never writes.
    #[error("the database contains an impossible {0}")]
    Row(&'static str),
    /// The thread that owns the database has ended.
    #[error("the database is closed")]
    Closed,
}

/// An error of SQLite.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SqlError(rusqlite::Error);

/// Names the step that failed.
trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Sql { what, source: SqlError(source) })
    }
}

/// Why a row could not be read.
enum RowError {
    Sql(rusqlite::Error),
    /// It contains an impossible value of this kind.
    Impossible(&'static str),
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Access to the rows: for reading, or within [`Store::write`] for changing them.
#[derive(Debug, Clone, Copy)]
pub struct Db<'a>(&'a Connection);

/// Runs statements. `what` names the step in an error.
impl Db<'_> {
    /// Runs a statement.
    fn run(self, what: &'static str, sql: &str, params: impl Params) -> Result<(), StoreError> {
        self.change(what, sql, params).map(|_rows| ())
    }

    /// Runs a statement and returns the number of rows that it has changed.
    fn change(
        self,
        what: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        self.0.execute(sql, params).doing(what)
    }

    /// The value that a query returns.
    fn value<T: FromSql>(
        self,
        what: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<T, StoreError> {
        self.0.query_row(sql, params, |row| row.get(0)).doing(what)
    }

    /// All rows that a query returns.
    fn rows<T>(
        self,
        what: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.0.prepare(sql).doing(what)?;
        let rows = statement.query_and_then(params, read).doing(what)?;
        rows.collect::<Result<_, _>>().map_err(|error| match error {
            RowError::Sql(source) => StoreError::Sql { what, source: SqlError(source) },
            RowError::Impossible(what) => StoreError::Row(what),
        })
    }

    /// The only row that a query returns, if there is one.
    fn row<T>(
        self,
        what: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Option<T>, StoreError> {
        self.rows(what, sql, params, read).map(|mut rows| rows.pop())
    }
}

/// An id or a key of `N` bytes in a column of a row about `what`.
fn bytes<const N: usize>(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<[u8; N], RowError> {
    let bytes: Vec<u8> = row.get(column)?;
    bytes.try_into().map_err(|_other_length| RowError::Impossible(what))
}

/// A state of the database as one connection sees it: the commits of others, and the changes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(i64, i64);

/// An open database.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
}

impl Store {
    /// Opens the database of a data folder and migrates it to the current version; creates it if there is none.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file.
    pub fn open_or_create(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_file(data_dir.join(FILE_NAME), OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the database of a data folder and migrates it to the current version.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; others say what is wrong with the file.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE_NAME);
        // Checked before opening: SQLite reports a missing file and a forbidden one in the same way.
        if !path.exists() {
            return Err(StoreError::Missing(path));
        }
        Self::open_copy(&path)
    }

    /// Opens a database at any path, such as a copy to check.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file.
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        Self::open_file(path.to_owned(), OpenFlags::empty())
    }

    fn open_file(path: PathBuf, create: OpenFlags) -> Result<Self, StoreError> {
        if lanyard_node::store::is_other_file(&path) {
            return Err(StoreError::Damaged(path));
        }
        let make_private = if create.is_empty() { private::tighten } else { private::database };
        make_private(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let conn = Connection::open_with_flags(&path, flags).doing("open the database")?;
        prepare(conn, &path).map_err(|error| match error {
            StoreError::Sql { source, .. } if is_damage(&source.0) => StoreError::Damaged(path),
            other => other,
        })
    }

    /// Whether an existing file contains no table: it was never used, or its content is lost.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn is_blank(path: &Path) -> Result<bool, StoreError> {
        if lanyard_node::store::is_other_file(path) {
            return Err(StoreError::Damaged(path.to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let blank = Connection::open_with_flags(path, flags).and_then(|conn| {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
            conn.query_row(sql, [], |row| row.get(0))
        });
        match blank {
            Err(error) if is_damage(&error) => Err(StoreError::Damaged(path.to_owned())),
            other => other.doing("look into the database"),
        }
    }

    /// Checks the whole file for damage. This reads everything, so it is done only at the start.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a page or an index is broken.
    pub fn check(&self, data_dir: &Path) -> Result<(), StoreError> {
        let verdict: Result<String, _> =
            self.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        match verdict.as_deref() {
            Ok("ok") => Ok(()),
            _ => Err(StoreError::Damaged(data_dir.join(FILE_NAME))),
        }
    }

    /// Checks a copy as thoroughly as SQLite can, including foreign keys.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if anything is broken.
    pub fn check_copy(&self, path: &Path) -> Result<(), StoreError> {
        let damaged = || StoreError::Damaged(path.to_owned());
        let verdict: String = self
            .conn
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|_unreadable| damaged())?;
        let mut keys = self.conn.prepare("PRAGMA foreign_key_check").doing("check the copy")?;
        let dangling = keys.exists([]).map_err(|_unreadable| damaged())?;
        if verdict == "ok" && !dangling { Ok(()) } else { Err(damaged()) }
    }

    /// Writes a copy of the present content into an empty file.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if it cannot be written.
    pub fn copy_into(&self, file: &Path) -> Result<(), StoreError> {
        self.reader().run("copy the database", "VACUUM INTO ?1", [file.to_string_lossy()])
    }

    /// Replaces the whole content with that of another database in one transaction: concurrent readers see either the
    /// old content or the new.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; the old content stays.
    pub fn replace_by(&mut self, other: &Self) -> Result<(), StoreError> {
        let what = "replace the database";
        let backup = rusqlite::backup::Backup::new(&other.conn, &mut self.conn).doing(what)?;
        backup.run_to_completion(i32::MAX, Duration::from_millis(50), None).doing(what)
    }

    /// Moves the write-ahead log into the file, so that after a clean exit one file contains everything.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if it cannot be written; the log then stays for the next start.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.conn.query_row(checkpoint, [], |_row| Ok(())).doing("checkpoint the write-ahead log")
    }

    /// The rows, for reading.
    #[must_use]
    pub fn reader(&self) -> Db<'_> {
        Db(&self.conn)
    }

    /// Runs `act` in one `BEGIN IMMEDIATE` transaction, which is committed if it returns `Ok`.
    ///
    /// # Errors
    /// The error of `act`, or [`StoreError::Sql`] if the transaction cannot begin or commit.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        act: impl FnOnce(Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .doing("begin a transaction")?;
        let value = act(Db(&transaction))?;
        transaction.commit().doing("commit")?;
        Ok(value)
    }

    /// A number that changes whenever another connection commits.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if the file cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.reader().value("look for changes", "PRAGMA data_version", [])
    }

    /// The present state; it differs after every change, by this or another connection.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if the file cannot be read.
    pub fn revision(&self) -> Result<Revision, StoreError> {
        let own = self.reader().value("look for changes", "SELECT total_changes()", [])?;
        Ok(Revision(self.data_version()?, own))
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
    // The first read from the file: anything that is not a database fails here, before we write to it.
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .doing("switch to write-ahead logging")?;
    if mode != "wal" {
        tracing::warn!(%mode, "The file system does not allow write-ahead logging");
    }
    migrations::migrate(&mut conn, path)?;
    Ok(Store { conn })
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt))
}

/// A time or count for SQL, which has no unsigned numbers. No real value comes near the end of the range.
fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time or count from SQL.
fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;

//! The message store: one SQLite file, one writer thread, and read-only connections beside it.
//!
//! Nothing is shown before it is stored, so a reader that missed an event finds it here. The writer puts everything in
//! its queue into one transaction. Own messages are written with `synchronous=FULL`, because the user is told that they
//! are on disk.
//!
//! Unsigned 64-bit numbers are stored with the top bit flipped, so that SQLite's signed order is the same as theirs.

mod checkpoint;
mod file;
mod insert;
mod loader;
mod migrations;
mod reader;
mod row;
mod thread;
mod ticket_rows;
mod write;
mod writer;

use std::path::{Path, PathBuf};

use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::time::RealmClock;
use lanyard_protocol::wire;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::mpsc;

pub use file::{StoreError, Use, is_other_file, make, use_of};
pub use loader::Loader;
pub use reader::{History, Membership, PAGE_MAX, Page, ReadError, Reader};
pub use write::{Stored, Write};
pub use writer::Writer;

use file::{open_for_writing, realm_row, sqlite_error, time};
use insert::{keep_clock, keep_peer, keep_policy};

/// The store of one realm, open for writing. [`Self::writer`] moves it to the thread that writes.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    key: PeerKey,
    realm: i64,
}

impl Store {
    /// Opens the file, migrates it to the newest schema, and notes the realm.
    ///
    /// # Errors
    /// [`StoreError`] if the file is not a store, or is a newer one.
    pub fn open(path: &Path, realm: &PeerKey) -> Result<Self, StoreError> {
        let connection = open_for_writing(path)?;
        let sql = "INSERT INTO realms (key) VALUES (?1) ON CONFLICT (key) DO NOTHING";
        connection.execute(sql, [realm.0]).map_err(sqlite_error(path))?;
        let (path, key, realm) = (path.to_owned(), *realm, realm_row(&connection, path, realm)?);
        Ok(Self { connection, path, key, realm })
    }

    /// A read-only connection beside the writer.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path, &self.key)
    }

    /// The loader that fills the history's index.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub fn loader(&self) -> Result<Loader, StoreError> {
        Loader::open(&self.path, &self.key)
    }

    /// Starts the writer thread, which reports what it has written to `told`.
    ///
    /// # Errors
    /// The system's error if it provides no thread.
    pub fn writer(self, told: mpsc::Sender<Stored>) -> std::io::Result<Writer> {
        Writer::start(self.connection, self.realm, told)
    }

    /// The number of the next boot: larger than every earlier one, and on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn next_boot(&mut self, wall_ms: u64) -> Result<u64, StoreError> {
        self.change(|transaction, _realm| {
            let sql = "INSERT INTO numbers (name, value) VALUES ('boot', ?1)
                       ON CONFLICT (name) DO UPDATE SET value = max(value + 1, excluded.value)
                       RETURNING value";
            transaction.query_row(sql, [time(wall_ms)], |row| row.get::<_, i64>(0))
        })
        .map(i64::unsigned_abs)
    }

    /// The port that was used last.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn last_port(&self) -> Result<Option<u16>, StoreError> {
        let sql = "SELECT value FROM numbers WHERE name = 'port'";
        let port = self.connection.query_row(sql, [], |row| row.get(0)).optional();
        port.map_err(sqlite_error(&self.path))
    }

    /// Remembers the port, so that the addresses that other peers have stored stay valid.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn remember_port(&mut self, port: u16) -> Result<(), StoreError> {
        self.change(|transaction, _realm| {
            let sql = "INSERT INTO numbers (name, value) VALUES ('port', ?1)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.execute(sql, [port]).map(drop)
        })
    }

    /// Remembers where the login node has answered.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn remember_login_node(&mut self, place: String, at: u64) -> Result<(), StoreError> {
        let place = PeerAddresses { peer: self.key, addresses: vec![place] };
        self.change(|transaction, realm| keep_peer(transaction, realm, &place, at))
    }

    /// Stores what a login has granted, all or nothing.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn keep_membership(
        &mut self,
        membership: &Membership,
        policy: &[u8],
        clock: &RealmClock,
    ) -> Result<(), StoreError> {
        self.change(|transaction, realm| {
            transaction.execute(
                "INSERT INTO memberships (realm, login_name, ticket, member)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (realm, login_name)
                 DO UPDATE SET ticket = excluded.ticket, member = excluded.member",
                params![
                    realm,
                    membership.login_name,
                    membership.ticket,
                    wire::encode(&membership.authority)
                ],
            )?;
            keep_policy(transaction, realm, policy)?;
            keep_clock(transaction, realm, clock)
        })
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let changed = self.connection.transaction().and_then(|transaction| {
            let changed = change(&transaction, self.realm)?;
            transaction.commit()?;
            Ok(changed)
        });
        changed.map_err(sqlite_error(&self.path))
    }
}

#[cfg(test)]
mod tests;

//! Loads the history's index: the newest messages before a node starts, and all others while it runs.
//!
//! One index of the database has every column that is read here, so reading a million messages means reading about
//! fifty megabytes, and not their texts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lanyard_protocol::engine::StoredIndex;
use lanyard_protocol::history::Indexed;
use lanyard_protocol::ids::{MessageId, PeerKey, TicketHash};
use lanyard_protocol::ticket::Ticket;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::file::{StoreError, open_for_reading, realm_row, sqlite_error, time, unordered};

/// Reads the index from the newest message to the oldest, on a connection of its own.
#[derive(Debug)]
pub struct Loader {
    connection: Connection,
    path: PathBuf,
    key: PeerKey,
    realm: i64,
    /// Where the next part begins: the time and id of the last message returned.
    place: (i64, Vec<u8>),
    /// The tickets returned already, by row; `None` for those of another realm.
    tickets: HashMap<i64, Option<TicketHash>>,
}

/// A message that refers to its ticket by row.
struct Loaded {
    ticket: i64,
    message: Indexed,
}

impl Loader {
    /// Opens the file, which the writer has migrated to the newest schema.
    pub(super) fn open(path: &Path, key: &PeerKey) -> Result<Self, StoreError> {
        let connection = open_for_reading(path)?;
        Ok(Self {
            realm: realm_row(&connection, path, key)?,
            connection,
            path: path.to_owned(),
            key: *key,
            place: (i64::MAX, Vec::new()),
            tickets: HashMap::new(),
        })
    }

    /// Returns the messages sent at or after a realm time that were not returned yet.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn since(&mut self, since: u64) -> Result<StoredIndex, StoreError> {
        self.load(time(since), usize::MAX)
    }

    /// Returns the next messages, newest first, or none once all were returned.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn next(&mut self, most: usize) -> Result<StoredIndex, StoreError> {
        self.load(0, most)
    }

    fn load(&mut self, since: i64, most: usize) -> Result<StoredIndex, StoreError> {
        let rows = self.rows(since, most).map_err(sqlite_error(&self.path))?;
        if let Some(last) = rows.last() {
            self.place = (time(last.message.sent_at), last.message.id.0.to_vec());
        }
        let mut stored = StoredIndex::default();
        for Loaded { ticket, mut message } in rows {
            let hash = self.ticket(ticket, &mut stored).map_err(sqlite_error(&self.path))?;
            // A message without a valid ticket cannot be proved, so leave it out.
            let Some(hash) = hash else { continue };
            message.ticket = hash;
            stored.messages.push(message);
        }
        Ok(stored)
    }

    fn rows(&self, since: i64, most: usize) -> rusqlite::Result<Vec<Loaded>> {
        let sql = "SELECT ticket, message_id, sent_at, session, seq, room, text_bytes, held
                   FROM messages INDEXED BY messages_for_the_law
                   WHERE realm = ?1 AND sent_at >= ?2 AND (sent_at, message_id) < (?3, ?4)
                   ORDER BY sent_at DESC, message_id DESC LIMIT ?5";
        let (sent_at, id) = &self.place;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let parameters = params![self.realm, since, sent_at, id, most];
        self.connection.prepare_cached(sql)?.query_map(parameters, loaded)?.collect()
    }

    /// The hash of a ticket, which is verified the first time.
    fn ticket(
        &mut self,
        row: i64,
        stored: &mut StoredIndex,
    ) -> rusqlite::Result<Option<TicketHash>> {
        if let Some(known) = self.tickets.get(&row) {
            return Ok(*known);
        }
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT bytes FROM tickets WHERE id = ?1")?
            .query_row([row], |row| row.get(0))
            .optional()?;
        let ticket = bytes.and_then(|bytes| Ticket::verify(&bytes, &self.key).ok());
        let hash = ticket.as_ref().map(Ticket::hash);
        stored.tickets.extend(ticket);
        self.tickets.insert(row, hash);
        Ok(hash)
    }
}

fn loaded(row: &Row<'_>) -> rusqlite::Result<Loaded> {
    let bytes: i64 = row.get(6)?;
    let message = Indexed {
        id: MessageId(row.get(1)?),
        sent_at: row.get::<_, i64>(2)?.unsigned_abs(),
        // Only its row is known here; the caller puts in the hash.
        ticket: TicketHash([0; 32]),
        session: unordered(row.get(3)?),
        seq: unordered(row.get(4)?),
        room: row.get(5)?,
        text_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        held: row.get(7)?,
    };
    Ok(Loaded { ticket: row.get(0)?, message })
}

//! Reading: pages of history, and what a node needs at its start. A clone shares one read-only connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lanyard_protocol::engine::Unsent;
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::limits::{ADDRESS_BOOK_MAX, LOGIN_REPLY_BYTES_MAX};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::time::RealmClock;
use lanyard_protocol::wire::{self, Pair};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, COLUMNS, TABLES};
use super::{Membership, StoreError, open_for_reading, sqlite_error, time};
use crate::event::ChatMessage;
use crate::node::{History, Page, ReadError};

/// A read-only view of one realm in the store.
#[derive(Debug, Clone)]
pub struct Reader {
    connection: Arc<Mutex<Connection>>,
    realm: i64,
    path: PathBuf,
}

/// A message's place in the order, as SQLite compares it.
type Position = (i64, Vec<u8>, i64, i64, Vec<u8>);

impl Reader {
    /// Opens the file, which the writer has brought to the newest schema.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn open(path: &Path, realm: &PeerKey) -> Result<Self, StoreError> {
        let connection = open_for_reading(path)?;
        let realm = connection
            .query_row("SELECT id FROM realms WHERE key = ?1", [realm.0], |row| row.get(0))
            .map_err(sqlite_error(path))?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, realm, path: path.to_owned() })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A reader that panicked has changed nothing: the connection is read-only.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection, self.realm).map_err(sqlite_error(&self.path))
    }

    /// A page of a room's history, oldest first.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if there is no message to page from.
    pub fn history(&self, room: &str, page: Page, limit: usize) -> Result<History, ReadError> {
        let found = self.read(|connection, realm| {
            let anchor = match page {
                Page::Newest => None,
                Page::Before(id) | Page::After(id) => match position(connection, realm, id)? {
                    Some(position) => Some(position),
                    None => return Ok(None),
                },
            };
            let forward = matches!(page, Page::After(_));
            // One more than asked for tells whether there is more.
            let ahead = limit.saturating_add(1);
            select(connection, realm, room, anchor.as_ref(), forward, ahead).map(Some)
        });
        let mut messages = found
            .map_err(|error| ReadError::Store(error.to_string()))?
            .ok_or(ReadError::NotFound)?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        if !matches!(page, Page::After(_)) {
            messages.reverse();
        }
        Ok(History { messages: messages.into_iter().map(Arc::new).collect(), more })
    }

    /// The message up to which a room has been read, and how many of others stand after it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), StoreError> {
        self.read(|connection, realm| {
            let mark: Option<(i64, [u8; 32])> = connection
                .query_row(
                    "SELECT m.id, m.message_id FROM read_marks r JOIN messages m ON m.id = r.message
                     WHERE r.realm = ?1 AND r.room = ?2",
                    params![realm, room],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            // By arrival, not by time of sending: what arrives late is unread too.
            let after = mark.as_ref().map_or(0, |(row, _id)| *row);
            let count = connection.query_row(
                "SELECT count(*) FROM messages
                 WHERE realm = ?1 AND room = ?2 AND id > ?3 AND via <> 'own'",
                params![realm, room, after],
                |row| row.get::<_, i64>(0),
            )?;
            Ok((mark.map(|(_row, id)| MessageId(id)), count.unsigned_abs()))
        })
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT count(*) FROM messages WHERE realm = ?1";
            connection.query_row(sql, [realm], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
        })
    }

    /// Ids of the messages sent since a realm time, with that time; and the largest of all times.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn recent(&self, since: u64) -> Result<(Vec<(MessageId, u64)>, u64), StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT message_id, sent_at FROM messages WHERE realm = ?1 AND sent_at >= ?2";
            let mut statement = connection.prepare(sql)?;
            let ids = statement
                .query_map(params![realm, time(since)], |row| {
                    Ok((MessageId(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let sql = "SELECT coalesce(max(sent_at), 0) FROM messages WHERE realm = ?1";
            let largest: i64 = connection.query_row(sql, [realm], |row| row.get(0))?;
            Ok((ids, largest.unsigned_abs()))
        })
    }

    /// Own messages since a realm time that nobody has yet.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn unsent(&self, since: u64) -> Result<Vec<Unsent>, StoreError> {
        self.read(|connection, realm| {
            let mut statement = connection.prepare(
                "SELECT m.message_id, m.sent_at, t.bytes, m.bytes
                 FROM messages m JOIN tickets t ON t.id = m.ticket
                 WHERE m.realm = ?1 AND m.via = 'own' AND m.sent = 0 AND m.sent_at >= ?2",
            )?;
            let rows = statement.query_map(params![realm, time(since)], |row| {
                let (ticket, object): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
                Ok(Unsent {
                    id: MessageId(row.get(0)?),
                    sent_at: row.get::<_, i64>(1)?.unsigned_abs(),
                    gossip: Pair { ticket: &ticket, object: &object }.to_bytes(),
                })
            })?;
            rows.collect()
        })
    }

    /// The peers seen last, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn peers(&self) -> Result<Vec<PeerAddresses>, StoreError> {
        self.read(|connection, realm| {
            let mut statement = connection.prepare(
                "SELECT key, addresses FROM peers WHERE realm = ?1 ORDER BY seen_at DESC LIMIT ?2",
            )?;
            let rows =
                statement.query_map(params![realm, time(ADDRESS_BOOK_MAX as u64)], |row| {
                    let addresses: Vec<u8> = row.get(1)?;
                    let addresses =
                        wire::decode(&addresses, LOGIN_REPLY_BYTES_MAX).unwrap_or_default();
                    Ok(PeerAddresses { peer: PeerKey(row.get(0)?), addresses })
                })?;
            rows.collect()
        })
    }

    /// The policy kept last, and the clock.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn realm_state(&self) -> Result<(Option<Vec<u8>>, RealmClock), StoreError> {
        self.read(|connection, realm| {
            let sql =
                "SELECT policy, clock_offset_ms, clock_high_water_ms FROM realms WHERE id = ?1";
            connection.query_row(sql, [realm], |row| {
                let high_water = row.get::<_, i64>(2)?.unsigned_abs();
                Ok((row.get(0)?, RealmClock::restored(row.get(1)?, high_water)))
            })
        })
    }

    /// The memberships kept in this realm.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn memberships(&self) -> Result<Vec<Membership>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT login_name, ticket, member FROM memberships WHERE realm = ?1";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([realm], |row| {
                let member: Vec<u8> = row.get(2)?;
                let member = wire::decode(&member, LOGIN_REPLY_BYTES_MAX)
                    .unwrap_or(PeerAddresses { peer: PeerKey([0; 32]), addresses: Vec::new() });
                Ok(Membership { login_name: row.get(0)?, ticket: row.get(1)?, member })
            })?;
            rows.collect()
        })
    }
}

fn position(
    connection: &Connection,
    realm: i64,
    id: MessageId,
) -> rusqlite::Result<Option<Position>> {
    connection
        .query_row(
            "SELECT sent_at, author, session, seq, message_id FROM messages
             WHERE realm = ?1 AND message_id = ?2",
            params![realm, id.0],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .optional()
}

fn select(
    connection: &Connection,
    realm: i64,
    room: &str,
    anchor: Option<&Position>,
    forward: bool,
    limit: usize,
) -> rusqlite::Result<Vec<ChatMessage>> {
    const ORDER: [&str; 5] = ["m.sent_at", "m.author", "m.session", "m.seq", "m.message_id"];
    let (sign, direction) = if forward { (">", "ASC") } else { ("<", "DESC") };
    let key = ORDER.join(", ");
    let beyond = if anchor.is_some() {
        format!("AND ({key}) {sign} (?4, ?5, ?6, ?7, ?8)")
    } else {
        String::new()
    };
    let order = ORDER.map(|column| format!("{column} {direction}")).join(", ");
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE m.realm = ?1 AND m.room = ?2 {beyond}
         ORDER BY {order} LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = match anchor {
        Some((sent_at, author, session, seq, id)) => statement.query_map(
            params![realm, room, limit, sent_at, author, session, seq, id],
            row::message,
        )?,
        None => statement.query_map(params![realm, room, limit], row::message)?,
    };
    rows.collect()
}

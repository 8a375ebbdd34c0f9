//! Reads pages of history, and what a node needs at its start. Clones share one read-only connection.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lanyard_protocol::address_book::ADDRESS_BOOK_MAX;
use lanyard_protocol::engine::{StoredPair, Unsent};
use lanyard_protocol::ids::{AccountId, MessageId, PeerKey};
use lanyard_protocol::limits::LOGIN_REPLY_BYTES_MAX;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::moderation::SignedModeration;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::RealmClock;
use lanyard_protocol::verdict::Refused;
use lanyard_protocol::wire::{self, Pair};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::file::{StoreError, open_for_reading, realm_row, sqlite_error, time};
use super::row::{self, COLUMNS, TABLES};
use crate::event::{ChatMessage, NodeClosed};

/// How far to count unread messages: counting a million takes a while.
const UNREAD_MAX: i64 = 10_000;
/// The largest number of messages in one page of history.
pub const PAGE_MAX: usize = 500;

/// The part of a room's history to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest messages.
    Newest,
    /// The messages directly before this one, by order key.
    Before(MessageId),
    /// The messages directly after this one, by order key.
    After(MessageId),
}

/// A page of a room's history, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The messages, sorted by order key.
    pub messages: Vec<Arc<ChatMessage>>,
    /// Whether there are more in the requested direction.
    pub more: bool,
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such message to page from.
    #[error("there is no message with that id")]
    NotFound,
    /// SQLite cannot read it.
    #[error("the store could not be read: {0}")]
    Store(String),
    /// The node has ended.
    #[error(transparent)]
    Closed(#[from] NodeClosed),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A profile's membership in a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The name typed at login, in lower case.
    pub login_name: String,
    /// The newest ticket.
    pub ticket: Vec<u8>,
    /// The authority peer: its PeerId and addresses.
    pub authority: PeerAddresses,
}

/// A read-only view of one realm in the store.
#[derive(Debug, Clone)]
pub struct Reader {
    connection: Arc<Mutex<Connection>>,
    realm: i64,
    path: PathBuf,
}

/// A message's order key, as SQLite compares it.
type Position = (i64, Vec<u8>, i64, i64, Vec<u8>);

impl Reader {
    /// Opens the file, which the writer has migrated to the newest schema.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn open(path: &Path, realm: &PeerKey) -> Result<Self, StoreError> {
        let connection = open_for_reading(path)?;
        let realm = realm_row(&connection, path, realm)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, realm, path: path.to_owned() })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A reader that panicked has changed nothing, because the connection is read-only.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection, self.realm).map_err(sqlite_error(&self.path))
    }

    /// Reads on a thread that may block.
    pub(crate) async fn ask<T: Send + 'static, E: Into<ReadError> + Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ReadError> {
        let reader = self.clone();
        let done = tokio::task::spawn_blocking(move || read(&reader)).await;
        done.map_err(|error| ReadError::Store(error.to_string()))?.map_err(Into::into)
    }

    /// A page of a room's history, oldest first.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if there is no message to page from.
    pub fn history(&self, room: &str, page: Page, limit: usize) -> Result<History, ReadError> {
        let found = self.read(|connection, realm| {
            let anchor = match page {
                Page::Newest => Some((i64::MAX, Vec::new(), 0, 0, Vec::new())),
                Page::Before(id) | Page::After(id) => position(connection, realm, id)?,
            };
            let Some(anchor) = anchor else { return Ok(None) };
            let forward = matches!(page, Page::After(_));
            // Ask for one more, to find out whether there are more.
            let ahead = limit.saturating_add(1);
            select(connection, realm, room, &anchor, forward, ahead).map(Some)
        });
        let mut messages = found?.ok_or(ReadError::NotFound)?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        if !matches!(page, Page::After(_)) {
            messages.reverse();
        }
        Ok(History { messages: messages.into_iter().map(Arc::new).collect(), more })
    }

    /// The message up to which a room was read, and how many messages of other people came after it, at most ten
    /// thousand.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn unread(&self, room: &str) -> Result<(Option<MessageId>, u64), StoreError> {
        self.read(|connection, realm| {
            // By arrival, not by time of sending: a message that arrives late is unread too.
            let mark: i64 = connection
                .query_row(
                    "SELECT message FROM read_marks WHERE realm = ?1 AND room = ?2",
                    params![realm, room],
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(0);
            let sql = "SELECT count(*) FROM (
                           SELECT 1 FROM messages NOT INDEXED
                           WHERE realm = ?1 AND room = ?2 AND id > ?3 AND held = 1
                                 AND via <> 'own' AND folded = 0 LIMIT ?4)";
            let count: i64 =
                connection
                    .query_row(sql, params![realm, room, mark, UNREAD_MAX], |row| row.get(0))?;
            // The marked message may have left the history; the one before it takes its place.
            let shown = connection
                .query_row(
                    "SELECT message_id FROM messages NOT INDEXED
                     WHERE realm = ?1 AND room = ?2 AND id <= ?3 AND held = 1
                     ORDER BY id DESC LIMIT 1",
                    params![realm, room, mark],
                    |row| row.get(0),
                )
                .optional()?;
            Ok((shown.map(MessageId), count.unsigned_abs()))
        })
    }

    /// How many messages are held.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT count(*) FROM messages INDEXED BY messages_in_order
                       WHERE realm = ?1 AND held = 1";
            connection.query_row(sql, [realm], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
        })
    }

    /// The stored moderations, verified again.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn moderations(&self, key: &PeerKey) -> Result<Vec<SignedModeration>, StoreError> {
        let stored = self.read(|connection, realm| {
            let sql = "SELECT t.bytes, o.bytes FROM orders o JOIN tickets t ON t.id = o.ticket
                       WHERE o.realm = ?1";
            let pair = |row: &Row<'_>| Ok(StoredPair { ticket: row.get(0)?, object: row.get(1)? });
            all(connection, sql, [realm], pair)
        })?;
        let verify = |StoredPair { ticket, object }: &StoredPair| {
            SignedModeration::from_pair(Pair { ticket, object }, key, |bytes| {
                Ticket::verify(bytes, key).map(Arc::new).map_err(Refused::Ticket)
            })
        };
        Ok(stored.iter().filter_map(|pair| verify(pair).ok()).collect())
    }

    /// The account with a username, by the newest ticket of this realm that has it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn account_of(
        &self,
        key: &PeerKey,
        username: &str,
    ) -> Result<Option<AccountId>, StoreError> {
        let tickets = self.read(|connection, _realm| {
            let sql = "SELECT bytes FROM tickets WHERE username = ?1 ORDER BY id DESC";
            all(connection, sql, [username], |row| row.get::<_, Vec<u8>>(0))
        })?;
        // Another realm in the same profile may have an account of the same name.
        let of_realm = tickets.iter().find_map(|bytes| Ticket::verify(bytes, key).ok());
        Ok(of_realm.map(|ticket| ticket.claims().account))
    }

    /// The bytes of held messages, in the order requested, as long as they take at most `bytes_max` in total. A ticket
    /// counts where it first appears.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn pairs(
        &self,
        ids: &[MessageId],
        bytes_max: usize,
    ) -> Result<Vec<(MessageId, StoredPair)>, StoreError> {
        self.read(|connection, realm| {
            let mut statement = connection.prepare_cached(
                "SELECT t.id, t.bytes, m.bytes FROM messages m JOIN tickets t ON t.id = m.ticket
                 WHERE m.realm = ?1 AND m.message_id = ?2 AND m.held = 1",
            )?;
            let mut pairs = Vec::new();
            let (mut bytes, mut tickets) = (0_usize, BTreeSet::new());
            for id in ids {
                let found = statement
                    .query_row(params![realm, id.0], |row| {
                        let pair = StoredPair { ticket: row.get(1)?, object: row.get(2)? };
                        Ok((row.get::<_, i64>(0)?, pair))
                    })
                    .optional()?;
                let Some((ticket, pair)) = found else { continue };
                let new_ticket = if tickets.insert(ticket) { pair.ticket.len() } else { 0 };
                bytes = bytes.saturating_add(pair.object.len()).saturating_add(new_ticket);
                if bytes > bytes_max {
                    break;
                }
                pairs.push((*id, pair));
            }
            Ok(pairs)
        })
    }

    /// Own messages sent since a realm time that have not reached any peer yet.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn unsent(&self, since: u64) -> Result<Vec<Unsent>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT m.message_id, m.sent_at, t.bytes, m.bytes
                       FROM messages m JOIN tickets t ON t.id = m.ticket
                       WHERE m.realm = ?1 AND m.via = 'own' AND m.sent = 0 AND m.sent_at >= ?2
                             AND m.held = 1";
            all(connection, sql, params![realm, time(since)], |row| {
                let (ticket, object): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
                Ok(Unsent {
                    id: MessageId(row.get(0)?),
                    sent_at: row.get::<_, i64>(1)?.unsigned_abs(),
                    gossip: Pair { ticket: &ticket, object: &object }.to_bytes(),
                })
            })
        })
    }

    /// The peers that were seen last, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn peers(&self) -> Result<Vec<PeerAddresses>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT key, addresses FROM peers
                       WHERE realm = ?1 AND key <> (SELECT key FROM realms WHERE id = ?1)
                       ORDER BY seen_at DESC LIMIT ?2";
            all(connection, sql, params![realm, time(ADDRESS_BOOK_MAX as u64)], |row| {
                let addresses: Vec<u8> = row.get(1)?;
                let addresses = wire::decode(&addresses, LOGIN_REPLY_BYTES_MAX).unwrap_or_default();
                Ok(PeerAddresses { peer: PeerKey(row.get(0)?), addresses })
            })
        })
    }

    /// Where the login node answered last. This is stored with the peers, under the realm's own key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn login_node(&self) -> Result<Option<String>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT addresses FROM peers
                       WHERE realm = ?1 AND key = (SELECT key FROM realms WHERE id = ?1)";
            let kept = connection.query_row(sql, [realm], |row| row.get::<_, Vec<u8>>(0));
            let kept: Vec<String> = kept
                .optional()?
                .and_then(|bytes| wire::decode(&bytes, LOGIN_REPLY_BYTES_MAX).ok())
                .unwrap_or_default();
            Ok(kept.into_iter().next())
        })
    }

    /// When the oldest message was sent, if there is one; unix milliseconds of realm time.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn oldest(&self) -> Result<Option<u64>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT min(sent_at) FROM messages WHERE realm = ?1";
            let oldest: Option<i64> = connection.query_row(sql, [realm], |row| row.get(0))?;
            Ok(oldest.map(i64::unsigned_abs))
        })
    }

    /// The newest stored policy, and the clock.
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

    /// The stored memberships in this realm.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn memberships(&self) -> Result<Vec<Membership>, StoreError> {
        self.read(|connection, realm| {
            let sql = "SELECT login_name, ticket, member FROM memberships WHERE realm = ?1";
            all(connection, sql, [realm], |row| {
                let authority: Vec<u8> = row.get(2)?;
                let authority = wire::decode(&authority, LOGIN_REPLY_BYTES_MAX)
                    .unwrap_or(PeerAddresses { peer: PeerKey([0; 32]), addresses: Vec::new() });
                Ok(Membership { login_name: row.get(0)?, ticket: row.get(1)?, authority })
            })
        })
    }
}

/// All rows that a statement finds.
fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
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
    (sent_at, author, session, seq, id): &Position,
    forward: bool,
    limit: usize,
) -> rusqlite::Result<Vec<ChatMessage>> {
    const ORDER: [&str; 5] = ["m.sent_at", "m.author", "m.session", "m.seq", "m.message_id"];
    let (sign, direction) = if forward { (">", "ASC") } else { ("<", "DESC") };
    let key = ORDER.join(", ");
    let order = ORDER.map(|column| format!("{column} {direction}")).join(", ");
    let sql = format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE m.realm = ?1 AND m.room = ?2 AND m.held = 1
         AND ({key}) {sign} (?4, ?5, ?6, ?7, ?8) ORDER BY {order} LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = params![realm, room, limit, sent_at, author, session, seq, id];
    all(connection, &sql, parameters, row::message)
}

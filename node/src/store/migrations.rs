//! The schema, as steps. New steps are only ever appended. `user_version` counts the steps taken.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use super::file::{StoreError, sqlite_error};

/// Step `n` migrates version `n` to `n + 1`.
pub(super) const STEPS: [&str; 3] = [
    r"
CREATE TABLE realms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
    policy BLOB,
    clock_offset_ms INTEGER NOT NULL DEFAULT 0,
    clock_high_water_ms INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE memberships (
    realm INTEGER NOT NULL REFERENCES realms (id),
    login_name TEXT NOT NULL,
    ticket BLOB NOT NULL,
    member BLOB NOT NULL,
    PRIMARY KEY (realm, login_name)
) STRICT;

CREATE TABLE peers (
    realm INTEGER NOT NULL REFERENCES realms (id),
    key BLOB NOT NULL,
    addresses BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (realm, key)
) STRICT;

CREATE TABLE tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL,
    account BLOB NOT NULL,
    peer BLOB NOT NULL,
    username TEXT NOT NULL,
    nickname TEXT NOT NULL,
    role TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    realm INTEGER NOT NULL REFERENCES realms (id),
    message_id BLOB NOT NULL UNIQUE,
    ticket INTEGER NOT NULL REFERENCES tickets (id),
    room TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    author BLOB NOT NULL,
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    text TEXT NOT NULL,
    bytes BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    via TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX messages_in_order ON messages (realm, room, sent_at, author, session, seq, message_id);
CREATE INDEX messages_by_time ON messages (realm, sent_at);
CREATE INDEX messages_by_author ON messages (author, session, seq);
CREATE INDEX messages_waiting ON messages (realm, sent_at) WHERE via = 'own' AND sent = 0;

CREATE TABLE read_marks (
    realm INTEGER NOT NULL REFERENCES realms (id),
    room TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES messages (id),
    PRIMARY KEY (realm, room)
) STRICT;

CREATE TABLE numbers (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
",
    // Read marks name a row without referring to it: the row may be deleted, and ids are never reused.
    r"
ALTER TABLE messages ADD COLUMN held INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN stored_by INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN stored_of INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET text_bytes = octet_length(text);

DROP INDEX messages_in_order;
CREATE INDEX messages_in_order
    ON messages (realm, room, sent_at, author, session, seq, message_id) WHERE held = 1;
DROP INDEX messages_by_time;
CREATE INDEX messages_for_the_law
    ON messages (realm, sent_at, message_id, ticket, session, seq, room, text_bytes, held);

CREATE TABLE marks (
    realm INTEGER NOT NULL REFERENCES realms (id),
    room TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (realm, room)
) STRICT;
INSERT INTO marks (realm, room, message) SELECT realm, room, message FROM read_marks;
DROP TABLE read_marks;
ALTER TABLE marks RENAME TO read_marks;

CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    realm INTEGER NOT NULL REFERENCES realms (id),
    order_id BLOB NOT NULL,
    ticket INTEGER NOT NULL REFERENCES tickets (id),
    kind TEXT NOT NULL,
    account BLOB NOT NULL,
    begins_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (realm, order_id)
) STRICT;
",
    // Few messages share a millisecond and a room, so SQLite sorts those itself, and the index is a hundred bytes
    // smaller per message.
    r"
DROP INDEX messages_in_order;
CREATE INDEX messages_in_order ON messages (realm, room, sent_at) WHERE held = 1;
",
];

/// Takes the missing steps, each in its own transaction.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let error = sqlite_error(path);
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&error)?;
    let missing = STEPS.get(usize::try_from(version).unwrap_or(usize::MAX)..);
    let missing = missing.ok_or_else(|| StoreError::Newer { path: path.to_owned() })?;
    for (step, reached) in missing.iter().zip(version.saturating_add(1)..) {
        let transaction = connection.transaction().map_err(&error)?;
        transaction.execute_batch(step).map_err(&error)?;
        transaction.pragma_update(None, "user_version", reached).map_err(&error)?;
        transaction.commit().map_err(&error)?;
    }
    Ok(())
}

/// Checks that no table or index is missing: a damaged store must not be taken for a new one.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let error = sqlite_error(path);
    let mut whole = Connection::open_in_memory().map_err(&error)?;
    run(&mut whole, path)?;
    let found = names(connection).map_err(&error)?;
    match names(&whole).map_err(&error)?.difference(&found).next() {
        Some(what) => Err(StoreError::Incomplete { path: path.to_owned(), what: what.to_owned() }),
        None => Ok(()),
    }
}

fn names(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

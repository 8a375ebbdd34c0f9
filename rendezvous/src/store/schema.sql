-- The tables of version 1. Times are unix milliseconds of realm time, 0 means "never" or "no end".
-- Ids that travel are random bytes; numbers that only this database knows are AUTOINCREMENT,
-- so that a number is never given to a second row.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    account         BLOB    NOT NULL PRIMARY KEY CHECK (length(account) = 16),
    username        TEXT    NOT NULL UNIQUE,
    skeleton        TEXT    NOT NULL UNIQUE,
    nickname        TEXT    NOT NULL DEFAULT '',
    nickname_folded TEXT    NOT NULL DEFAULT '',
    nickname_shape  TEXT    NOT NULL DEFAULT '',
    role            TEXT    NOT NULL DEFAULT 'member' CHECK (role IN ('guest', 'member', 'moderator', 'admin')),
    phc             TEXT    NOT NULL DEFAULT '',
    state           TEXT    NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'disabled')),
    created_at      INTEGER NOT NULL DEFAULT 0,
    last_login_at   INTEGER NOT NULL DEFAULT 0,
    newest_cut      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_nickname_folded ON accounts (nickname_folded);
CREATE INDEX accounts_by_nickname_shape ON accounts (nickname_shape);

-- A device is a peer key within an account; its number is what people see and operators name.
CREATE TABLE devices (
    account     BLOB    NOT NULL REFERENCES accounts (account),
    number      INTEGER NOT NULL CHECK (number > 0),
    peer        BLOB    NOT NULL CHECK (length(peer) = 32),
    label       TEXT    NOT NULL DEFAULT '',
    first_seen  INTEGER NOT NULL DEFAULT 0,
    last_login  INTEGER NOT NULL DEFAULT 0,
    last_expiry INTEGER NOT NULL DEFAULT 0,
    logged_out  INTEGER NOT NULL DEFAULT 0 CHECK (logged_out IN (0, 1)),
    PRIMARY KEY (account, number),
    UNIQUE (account, peer)
) STRICT, WITHOUT ROWID;

-- What the register knows of each device's last sign-in.
CREATE TABLE sessions (
    account    BLOB    NOT NULL,
    device     INTEGER NOT NULL,
    address    TEXT    NOT NULL DEFAULT '',
    since      INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0,
    online     INTEGER NOT NULL DEFAULT 0 CHECK (online IN (0, 1)),
    PRIMARY KEY (account, device),
    FOREIGN KEY (account, device) REFERENCES devices (account, number)
) STRICT, WITHOUT ROWID;

-- Dated rules: a row is in force from starts_at until the next one starts.
CREATE TABLE rules (
    rule              INTEGER PRIMARY KEY AUTOINCREMENT,
    starts_at         INTEGER NOT NULL DEFAULT 0,
    max_text_bytes    INTEGER NOT NULL DEFAULT 4096,
    per_minute        INTEGER NOT NULL DEFAULT 60,
    guest_per_minute  INTEGER NOT NULL DEFAULT 20,
    per_day           INTEGER NOT NULL DEFAULT 5000,
    ticket_lifetime_s INTEGER NOT NULL DEFAULT 604800,
    retention_days    INTEGER NOT NULL DEFAULT 90,
    registration      TEXT    NOT NULL DEFAULT 'closed'
) STRICT;

CREATE TABLE rooms (
    room        INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT    NOT NULL UNIQUE,
    topic       TEXT    NOT NULL DEFAULT '',
    archived_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The least role that may post in a room, dated.
CREATE TABLE room_posts (
    post      INTEGER PRIMARY KEY AUTOINCREMENT,
    room      INTEGER NOT NULL REFERENCES rooms (room),
    starts_at INTEGER NOT NULL DEFAULT 0,
    role      TEXT    NOT NULL DEFAULT 'guest' CHECK (role IN ('guest', 'member', 'moderator', 'admin'))
) STRICT;

-- The number is the sanction's id in the policy. An empty peer means every device of the account.
CREATE TABLE sanctions (
    sanction  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT    NOT NULL CHECK (kind IN ('ban', 'mute', 'cut')),
    account   BLOB    NOT NULL REFERENCES accounts (account),
    peer      BLOB    NOT NULL DEFAULT x'' CHECK (length(peer) IN (0, 32)),
    starts_at INTEGER NOT NULL DEFAULT 0,
    ends_at   INTEGER NOT NULL DEFAULT 0,
    reason    TEXT    NOT NULL DEFAULT '',
    made_by   TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX sanctions_by_account ON sanctions (account, kind);

-- The exact bytes that were signed, with the fingerprint of the rows that they were made of.
CREATE TABLE policies (
    number      INTEGER NOT NULL PRIMARY KEY,
    document    BLOB    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    signed_at   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Append-only: who did what when. No password, no message.
CREATE TABLE audit (
    entry  INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL DEFAULT 0,
    who    TEXT    NOT NULL DEFAULT '',
    what   TEXT    NOT NULL DEFAULT '',
    target TEXT    NOT NULL DEFAULT '',
    detail TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

INSERT INTO rooms (name, topic, archived_at) VALUES ('lobby', '', 0);
INSERT INTO room_posts (room, starts_at, role) VALUES (1, 0, 'guest');
INSERT INTO rules (starts_at, registration) VALUES (0, 'closed');

-- Version 3: orders of moderators, as the member hands them in, and what the operator has decided about each.

CREATE TABLE orders (
    order_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(order_id) = 16),
    kind        TEXT    NOT NULL CHECK (kind IN ('ban', 'mute', 'lift')),
    account     BLOB    NOT NULL REFERENCES accounts (account),
    starts_at   INTEGER NOT NULL DEFAULT 0,
    ends_at     INTEGER NOT NULL DEFAULT 0,
    reason      TEXT    NOT NULL DEFAULT '',
    made_by     TEXT    NOT NULL DEFAULT '',
    received_at INTEGER NOT NULL DEFAULT 0,
    verdict     TEXT    NOT NULL DEFAULT '' CHECK (verdict IN ('', 'ratified', 'refused')),
    settled_at  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

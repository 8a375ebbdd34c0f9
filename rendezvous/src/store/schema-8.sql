-- Version 8: the end of an account's last ticket, and the nicknames that its tickets may still carry.

ALTER TABLE accounts ADD COLUMN newest_expiry INTEGER NOT NULL DEFAULT 0;

-- A ticket that was renewed under shorter rules may end before an older one.
UPDATE accounts SET newest_expiry = coalesce(
    (SELECT max(max(last_expiry), max(last_login) + 1000 * (SELECT max(ticket_lifetime_s) FROM rules))
     FROM devices WHERE devices.account = accounts.account), 0);

-- A nickname stays reserved for the account that had it until the last ticket with it has ended.
CREATE TABLE former_nicknames (
    account BLOB    NOT NULL REFERENCES accounts (account),
    folded  TEXT    NOT NULL,
    shape   TEXT    NOT NULL,
    ends_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, folded, shape)
) STRICT, WITHOUT ROWID;

CREATE INDEX former_nicknames_by_folded ON former_nicknames (folded);
CREATE INDEX former_nicknames_by_shape ON former_nicknames (shape);

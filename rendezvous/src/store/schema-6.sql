-- Version 6: what members repeat. An entry of the audit log that was written lately is counted here instead of being
-- written again, and the next one says how often.

CREATE TABLE audit_repeats (
    who      TEXT    NOT NULL,
    what     TEXT    NOT NULL,
    target   TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    written  INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (who, what, target, detail)
) STRICT, WITHOUT ROWID;

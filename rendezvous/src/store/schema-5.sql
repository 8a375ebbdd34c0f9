-- Version 5: the latest time of issue of an account's tickets. A cut lies after it, and the realm's clock need not be
-- put forward for that.

ALTER TABLE accounts ADD COLUMN newest_issue INTEGER NOT NULL DEFAULT 0;

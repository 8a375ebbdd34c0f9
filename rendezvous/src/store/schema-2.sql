-- Version 2: when a sanction was made. A ban may reach further back than that; lifting it takes that part back.

ALTER TABLE sanctions ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;
UPDATE sanctions SET made_at = starts_at;

-- Version 7: how many devices an account may be signed in on.

ALTER TABLE rules ADD COLUMN devices_max INTEGER NOT NULL DEFAULT 16;

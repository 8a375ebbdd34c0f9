-- Version 4: an entry of the audit log cannot be replaced by inserting another one with its number either.

CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE entry = NEW.entry)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

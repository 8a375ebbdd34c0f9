//! Versions of the schema, by `user_version`.
//!
//! The list is append-only: a released step is never edited, because databases have already gone through it.
//! A step and its number are committed together.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{APPLICATION_ID, Db, Doing as _, StoreError};

/// Step `n` (counted from 0) leads from version `n` to version `n + 1`.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
];

/// Refuses a database of another program or of a newer release before anything is written to it.
pub(super) fn check_owner(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let read = |what: &str| -> Result<i64, StoreError> {
        conn.pragma_query_value(None, what, |row| row.get(0)).doing("read the database's version")
    };
    let (owner, found) = (read("application_id")?, read("user_version")?);
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = Db(conn).value("read the database's schema", count, [])?;
    let known = version_of(STEPS);
    let is_new = owner == 0 && found == 0 && tables == 0;
    if !is_new && owner != i64::from(APPLICATION_ID) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Migrates the schema to the current version, after checking that it is exactly what the steps so far have made.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    run(conn, path, STEPS)
}

fn run(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let transaction = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing("begin the migration")?;
    // Read inside the transaction: two programs may start on a new directory at the same moment.
    let found: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .doing("read the database's version")?;
    let version = usize::try_from(found).ok().and_then(|done| steps.split_at_checked(done));
    let Some((done, missing)) = version else {
        return Err(StoreError::Foreign(path.to_owned()));
    };
    // Before any step runs: a trigger that somebody has added would run with it.
    check_schema(&transaction, path, done)?;
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step).doing("migrate the database")?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).doing("mark the database")?;
    transaction
        .pragma_update(None, "user_version", version_of(steps))
        .doing("number the database")?;
    transaction.commit().doing("commit the migration")
}

/// Checks that the schema is the one that these steps make. A database that has lost a table must not pass for a new
/// one, and a trigger or a view that somebody has added could change what we write and read.
fn check_schema(conn: &Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let made = Connection::open_in_memory().doing("open a database in memory")?;
    steps.iter().try_for_each(|step| made.execute_batch(step)).doing("make the schema")?;
    let expected = schema(&made).doing("read the schema")?;
    let found = schema(conn).doing("read the database's schema")?;
    let path = || path.to_owned();
    let is_missing = |part: &&Part| !found.iter().any(|(name, _, _)| *name == part.0);
    if let Some((what, _, _)) = expected.iter().find(is_missing) {
        return Err(StoreError::Incomplete { path: path(), what: what.clone() });
    }
    match found.difference(&expected).next() {
        Some((what, _, _)) => Err(StoreError::Altered { path: path(), what: what.clone() }),
        None => Ok(()),
    }
}

/// A part of the schema: what it is and its name, such as `table accounts`, the table that it belongs to, and its SQL.
type Part = (String, String, String);

/// All parts of the schema. Those that SQLite adds by itself are among them: a name that begins with `sqlite_` can be
/// given to anything by writing past SQLite.
fn schema(conn: &Connection) -> rusqlite::Result<BTreeSet<Part>> {
    let sql = "SELECT type || ' ' || name, tbl_name, coalesce(sql, '') FROM sqlite_schema";
    conn.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn version_of(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_version(version: usize) -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        run(&mut conn, Path::new("test"), &STEPS[..version]).unwrap();
        conn
    }

    #[test]
    fn every_version_leads_to_the_same_schema() {
        let newest = at_version(STEPS.len());
        for version in 0..=STEPS.len() {
            let mut conn = at_version(version);
            migrate(&mut conn, Path::new("test")).unwrap();
            assert_eq!(schema(&conn).unwrap(), schema(&newest).unwrap(), "from version {version}");
            let found: i64 =
                conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(found, version_of(STEPS));
            check_owner(&conn, Path::new("test")).unwrap();
        }
    }

    #[test]
    fn an_old_database_learns_when_its_tickets_end() {
        let mut conn = at_version(7);
        conn.execute_batch(
            "INSERT INTO accounts (account, username, skeleton) VALUES
                 (x'00000000000000000000000000000001', 'alice', 'alice'),
                 (x'00000000000000000000000000000002', 'bob', 'bob');
             INSERT INTO devices (account, number, peer, last_login, last_expiry) VALUES
                 (x'00000000000000000000000000000001', 1, zeroblob(32), 5000, 6000);
             INSERT INTO rules (starts_at, ticket_lifetime_s) VALUES (7, 60)",
        )
        .unwrap();
        migrate(&mut conn, Path::new("test")).unwrap();
        let expiry = |name: &str| -> i64 {
            let sql = "SELECT newest_expiry FROM accounts WHERE username = ?1";
            conn.query_row(sql, [name], |row| row.get(0)).unwrap()
        };
        // Its ticket may have been issued before the rules became shorter.
        assert_eq!((expiry("alice"), expiry("bob")), (5_000 + 604_800_000, 0));
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version() {
        let mut conn = at_version(STEPS.len());
        let before = schema(&conn).unwrap();
        let mut steps = STEPS.to_vec();
        steps.push("CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE accounts (x INTEGER);");
        assert!(run(&mut conn, Path::new("test"), &steps).is_err());
        assert_eq!(schema(&conn).unwrap(), before);
        let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, version_of(STEPS));
    }

    #[test]
    fn a_missing_table_is_named() {
        for gone in ["TABLE sanctions", "TABLE accounts", "TRIGGER audit_is_not_shortened"] {
            let mut conn = at_version(STEPS.len());
            migrate(&mut conn, Path::new("test")).unwrap();
            conn.execute_batch(&format!("PRAGMA foreign_keys = OFF; DROP {gone}")).unwrap();
            let error = migrate(&mut conn, Path::new("test")).unwrap_err().to_string();
            assert!(error.contains("missing"), "{error}");
        }
    }

    #[test]
    fn a_part_that_we_have_not_made_is_named() {
        // The last two are written past SQLite, as with an editor for bytes.
        let strange = [
            "CREATE TABLE notes (x INTEGER) STRICT",
            "CREATE VIEW everybody AS SELECT phc FROM accounts",
            "CREATE INDEX by_role ON accounts (role)",
            "ALTER TABLE accounts ADD COLUMN note TEXT NOT NULL DEFAULT 'x'",
            "CREATE TRIGGER promote AFTER UPDATE ON accounts
             BEGIN UPDATE accounts SET role = 'admin' WHERE username = 'mallory'; END",
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'ABORT', 'IGNORE') WHERE type = 'trigger'",
            "PRAGMA writable_schema = ON;
             INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES
             ('trigger', 'sqlite_hidden', 'accounts', 0,
              'CREATE TRIGGER sqlite_hidden AFTER UPDATE ON accounts BEGIN DELETE FROM sanctions; END')",
        ];
        for version in 1..=STEPS.len() {
            for sql in strange {
                let mut conn = at_version(version);
                conn.execute_batch(sql).unwrap();
                let before = schema(&conn).unwrap();
                let error = migrate(&mut conn, Path::new("test")).unwrap_err();
                assert!(matches!(error, StoreError::Altered { .. }), "{version}: {sql}: {error}");
                assert_eq!(schema(&conn).unwrap(), before, "nothing is migrated");
            }
        }
    }

    #[test]
    fn every_table_is_strict() {
        let conn = at_version(STEPS.len());
        let loose: i64 = conn
            .query_row(
                "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(loose, 0);
    }
}

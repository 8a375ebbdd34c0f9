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

/// Migrates the schema to the current version.
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
    let Ok(done) = usize::try_from(found) else {
        return Err(StoreError::Foreign(path.to_owned()));
    };
    let Some(missing) = steps.get(done..).filter(|missing| !missing.is_empty()) else {
        return Ok(());
    };
    for step in missing {
        transaction.execute_batch(step).doing("migrate the database")?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).doing("mark the database")?;
    transaction
        .pragma_update(None, "user_version", version_of(steps))
        .doing("number the database")?;
    transaction.commit().doing("commit the migration")
}

/// Checks that no part of the schema is missing: a database that has lost a table must not pass for a new one.
pub(super) fn check_whole(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let mut whole = Connection::open_in_memory().doing("open a database in memory")?;
    migrate(&mut whole, path)?;
    let found = names(conn).doing("read the database's schema")?;
    let expected = names(&whole).doing("read the schema")?;
    match expected.difference(&found).next() {
        Some(what) => Err(StoreError::Incomplete { path: path.to_owned(), what: what.to_owned() }),
        None => Ok(()),
    }
}

fn names(conn: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
    conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn version_of(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(conn: &Connection) -> Vec<(String, String)> {
        let mut statement = conn
            .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
            .unwrap();
        statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

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
            assert_eq!(schema(&conn), schema(&newest), "from version {version}");
            let found: i64 =
                conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(found, version_of(STEPS));
            check_owner(&conn, Path::new("test")).unwrap();
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version() {
        let mut conn = at_version(STEPS.len());
        let before = schema(&conn);
        let mut steps = STEPS.to_vec();
        steps.push("CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE accounts (x INTEGER);");
        assert!(run(&mut conn, Path::new("test"), &steps).is_err());
        assert_eq!(schema(&conn), before);
        let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, version_of(STEPS));
    }

    #[test]
    fn a_missing_table_is_named() {
        for gone in ["TABLE sanctions", "TABLE accounts"] {
            let conn = at_version(STEPS.len());
            check_whole(&conn, Path::new("test")).unwrap();
            conn.execute_batch(&format!("PRAGMA foreign_keys = OFF; DROP {gone}")).unwrap();
            let error = check_whole(&conn, Path::new("test")).unwrap_err().to_string();
            assert!(error.contains("missing"), "{error}");
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

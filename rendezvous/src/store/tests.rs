//! The file as a whole: opening, damage, files of other programs, and two writers.

use lanyard_protocol::ids::{AccountId, PeerKey, Role};

use super::*;
use crate::names::{Nickname, Username};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(dir.path()).unwrap();
    (dir, store)
}

fn add(store: &mut Store, name: &str, byte: u8) -> AccountId {
    let username = Username::parse(name).unwrap();
    let nickname = Nickname::of(&username);
    let id = AccountId([byte; 16]);
    let new = accounts::NewAccount {
        id,
        username: &username,
        nickname: &nickname,
        role: Role::Member,
        phc: "phc",
    };
    store.write(|tx| accounts::insert(tx, &new, 5)).unwrap();
    id
}

#[test]
fn the_settings_are_in_force() {
    let (_dir, store) = store();
    for (pragma, value) in [
        ("foreign_keys", "1"),
        ("synchronous", "2"),
        ("trusted_schema", "0"),
        ("busy_timeout", "5000"),
        ("journal_mode", "wal"),
    ] {
        let found: rusqlite::types::Value =
            store.conn.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        let found = match found {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, value, "{pragma}");
    }
}

#[test]
fn opening_a_missing_database_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Missing { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let text = b"This is a letter to my aunt, not a database. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open_or_create(dir.path()), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), text);
}

#[test]
fn a_damaged_page_is_found_at_the_start() {
    let (dir, mut store) = store();
    for n in 0..100_u8 {
        add(&mut store, &format!("user{n}"), n);
    }
    store.check(dir.path()).unwrap();
    store.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page is left alone, so that the file still opens.
    bytes[4_096..].iter_mut().for_each(|byte| *byte = 0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let damaged = match Store::open(dir.path()) {
        Ok(store) => store.check(dir.path()),
        Err(error) => Err(error),
    };
    assert!(matches!(damaged, Err(StoreError::Damaged { .. })), "{damaged:?}");
}

#[test]
fn foreign_and_newer_databases_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT) STRICT").unwrap();
    drop(other);
    assert!(matches!(Store::open_or_create(dir.path()), Err(StoreError::Foreign { .. })));

    let (dir, store) = store();
    store.conn.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }));
    assert!(error.to_string().contains("newer release"));
}

#[test]
fn an_act_that_fails_leaves_nothing() {
    let (_dir, mut store) = store();
    let result: Result<(), StoreError> = store.write(|tx| {
        meta::set(tx, meta::REALM_NAME, "half")?;
        Err(StoreError::Closed)
    });
    assert!(result.is_err());
    assert_eq!(meta::text(store.reader(), meta::REALM_NAME).unwrap(), None);
}

#[test]
fn only_changes_by_another_writer_are_noticed() {
    let (dir, mut one) = store();
    let mut two = Store::open(dir.path()).unwrap();
    let before = one.data_version().unwrap();
    add(&mut one, "mine", 1);
    assert_eq!(one.data_version().unwrap(), before);
    add(&mut two, "theirs", 2);
    assert_ne!(one.data_version().unwrap(), before);
}

#[test]
fn names_that_look_the_same_cannot_both_be_stored() {
    let (_dir, mut store) = store();
    add(&mut store, "scope", 1);
    let twin = Username::parse("ѕсоре").unwrap();
    let nickname = Nickname::of(&twin);
    let id = AccountId([2; 16]);
    let new = accounts::NewAccount {
        id,
        username: &twin,
        nickname: &nickname,
        role: Role::Member,
        phc: "phc",
    };
    assert!(store.write(|tx| accounts::insert(tx, &new, 5)).is_err());
}

#[test]
fn devices_keep_their_number_within_an_account() {
    let (_dir, mut store) = store();
    let (alice, bob) = (add(&mut store, "alice", 1), add(&mut store, "bob", 2));
    let (laptop, phone) = (PeerKey([7; 32]), PeerKey([8; 32]));
    let numbers: Vec<u64> = store
        .write(|tx| {
            [(alice, laptop), (alice, phone), (bob, laptop), (alice, laptop)]
                .into_iter()
                .map(|(account, peer)| devices::sign_in(tx, account, peer, "", 10, 20))
                .collect::<Result<_, StoreError>>()
        })
        .unwrap();
    assert_eq!(numbers, [1, 2, 1, 1]);
    let of_phone = |account| devices::find(store.reader(), account, phone).unwrap();
    assert!(of_phone(alice).is_some() && of_phone(bob).is_none());
    assert_eq!(accounts::list(store.reader()).unwrap()[0].1, 2);
}

#[test]
fn sessions_are_listed_until_their_ticket_ends() {
    let (_dir, mut store) = store();
    let alice = add(&mut store, "alice", 1);
    let peer = PeerKey([7; 32]);
    store
        .write(|tx| {
            let device = devices::sign_in(tx, alice, peer, "laptop", 10, 1_000)?;
            let address = "192.0.2.1:5".to_owned();
            let session = sessions::NewSession {
                account: alice,
                device,
                address,
                since: 10,
                expires_at: 1_000,
            };
            sessions::put(tx, &session)?;
            sessions::set_online(tx, &[peer, PeerKey([9; 32])])
        })
        .unwrap();
    let list = sessions::list(store.reader(), 999).unwrap();
    assert_eq!(list.len(), 1);
    assert!(list[0].online && list[0].peer == peer && list[0].username == "alice");
    assert!(sessions::list(store.reader(), 1_000).unwrap().is_empty());
    store.write(|tx| sessions::set_online(tx, &[])).unwrap();
    assert!(!sessions::list(store.reader(), 999).unwrap()[0].online);
}

#[test]
fn the_audit_log_cannot_be_rewritten() {
    let (_dir, mut store) = store();
    let entry = audit::Entry { who: "operator", what: "test", target: "", detail: "" };
    store.write(|tx| audit::write(tx, entry, 1)).unwrap();
    assert!(store.conn.execute("UPDATE audit SET who = 'nobody'", []).is_err());
    assert!(store.conn.execute("DELETE FROM audit", []).is_err());
    let replace = "INSERT OR REPLACE INTO audit (entry, who) VALUES (1, 'nobody')";
    assert!(store.conn.execute(replace, []).is_err());
    store.write(|tx| audit::write(tx, audit::Entry { what: "more", ..entry }, 2)).unwrap();
    let log = audit::last(store.reader(), 9).unwrap();
    let log: Vec<_> = log.iter().map(|row| (row.who.as_str(), row.what.as_str())).collect();
    assert_eq!(log, [("operator", "test"), ("operator", "more")]);
}

#[test]
fn realm_time_never_falls_behind_what_was_signed() {
    let (_dir, mut store) = store();
    store.write(|tx| meta::raise_time_mark(tx, 5_000)).unwrap();
    store.write(|tx| meta::raise_time_mark(tx, 4_000)).unwrap();
    assert_eq!(meta::realm_now(store.reader(), 4_500).unwrap(), 5_000);
    assert_eq!(meta::realm_now(store.reader(), 6_000).unwrap(), 6_000);
}

#[test]
fn only_the_last_policies_are_kept() {
    let (_dir, mut store) = store();
    for number in 1..=25 {
        let policy = policies::PolicyRow {
            number,
            document: vec![1, 2, 3],
            fingerprint: [4; 32],
            signed_at: number,
        };
        store.write(|tx| policies::insert(tx, &policy)).unwrap();
    }
    assert_eq!(policies::newest(store.reader()).unwrap().unwrap().number, 25);
    let count: i64 =
        store.conn.query_row("SELECT count(*) FROM policies", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 10);
}

/// The shortest of five times to mark this many peers as online and offline again, each of an account of its own.
fn time_to_mark(count: u16) -> Duration {
    let (_dir, mut store) = store();
    let sign_in = |tx: Db<'_>, number: u16| {
        let username = Username::parse(&format!("user{number}")).unwrap();
        let nickname = Nickname::of(&username);
        let id = AccountId(u128::from(number).to_be_bytes());
        let new = accounts::NewAccount {
            id,
            username: &username,
            nickname: &nickname,
            role: Role::Member,
            phc: "phc",
        };
        accounts::insert(tx, &new, 5)?;
        let mut peer = PeerKey([0; 32]);
        peer.0[..2].copy_from_slice(&number.to_be_bytes());
        let device = devices::sign_in(tx, id, peer, "", 10, 1_000)?;
        let address = "192.0.2.1:5".to_owned();
        let session =
            sessions::NewSession { account: id, device, address, since: 10, expires_at: 1_000 };
        sessions::put(tx, &session)?;
        Ok::<_, StoreError>(peer)
    };
    let peers: Vec<PeerKey> = store
        .write(|tx| (0..count).map(|number| sign_in(tx, number)).collect::<Result<_, _>>())
        .unwrap();
    let mut mark = || {
        let started = crate::clock::monotonic();
        store.write(|tx| sessions::set_online(tx, &peers)).unwrap();
        store.write(|tx| sessions::set_online(tx, &[])).unwrap();
        crate::clock::monotonic().saturating_duration_since(started)
    };
    (0..5).map(|_round| mark()).min().unwrap()
}

#[test]
fn marking_who_is_online_takes_linear_time() {
    let (few, many) = (time_to_mark(250), time_to_mark(3_000));
    println!("250 peers: {few:?}, 3,000 peers: {many:?}");
    // Twelve times as many. If each were searched for among all, it would take 144 times as long.
    assert!(many < few * 36, "{few:?} for 250, {many:?} for 3,000");
}

#[test]
fn a_shorter_renewal_does_not_hide_an_older_ticket() {
    let (_dir, mut store) = store();
    let alice = add(&mut store, "alice", 1);
    let peer = PeerKey([7; 32]);
    store
        .write(|tx| {
            devices::sign_in(tx, alice, peer, "", 10, 9_000)?;
            devices::sign_in(tx, alice, peer, "", 20, 1_000)
        })
        .unwrap();
    assert_eq!(devices::list(store.reader(), alice).unwrap()[0].last_expiry, 9_000);
}

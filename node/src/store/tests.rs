//! Tests of the store: order, idempotence, restarts, foreign and newer files.

mod history;

use std::path::Path;
use std::sync::Arc;

use lanyard_protocol::cose::public_key;
use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::testing::{self, T0};
use proptest::prelude::*;
use rusqlite::params;
use tokio::sync::mpsc;

use super::file::{ordered, unordered};
use super::*;
use crate::event::Via;
use crate::store::{Page, ReadError};

fn realm() -> PeerKey {
    public_key(&testing::key(1))
}

fn message(seq: u64, session: u64, sent_at: u64) -> AdmittedMessage {
    let key = testing::key(2);
    let ticket = Arc::new(testing::ticket(&testing::key(1), &key, "alice"));
    let text = format!("{session}/{seq}");
    let content = Content { room: "lobby".into(), session, seq, sent_at, body: text.into() };
    testing::admitted(VerifiedMessage::author(content, ticket, &key).unwrap())
}

/// Stores messages through the real thread and closes it.
fn store(path: &Path, messages: &[AdmittedMessage]) -> Vec<Stored> {
    let (told, mut heard) = mpsc::channel(1_000);
    let store = Store::open(path, &realm()).unwrap();
    let mut writer = store.writer(told).unwrap();
    for message in messages {
        let write = Write::Message {
            request: None,
            message: Box::new(message.clone()),
            via: Via::Gossip,
            received_at: T0,
            folded: false,
        };
        writer.try_write(write).unwrap();
    }
    writer.close([]);
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

#[test]
fn arrivals_over_two_minutes_late_are_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    // All arrive at T0.
    let sent = [T0 - 120_001, T0 - 120_000, T0 + 1_000];
    let messages: Vec<_> = (0..).zip(sent).map(|(seq, at)| message(seq, 1, at)).collect();
    let told = store(&path, &messages);
    let late: Vec<bool> = told
        .iter()
        .map(|told| match told {
            Stored::Message(message) => message.late,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(late, [true, false, false]);
    let read = Reader::open(&path, &realm()).unwrap().history("lobby", Page::Newest, 9).unwrap();
    assert_eq!(read.messages.iter().map(|message| message.late).collect::<Vec<_>>(), late);
}

fn texts(history: &History) -> Vec<&str> {
    history.messages.iter().map(|message| message.body.text.as_str()).collect()
}

#[test]
fn a_message_is_stored_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let first = message(0, 1, T0);
    assert_eq!(store(&path, &[first.clone(), first.clone()]).len(), 1);
    assert_eq!(store(&path, &[first]).len(), 0);
    assert_eq!(Reader::open(&path, &realm()).unwrap().count().unwrap(), 1);
}

#[test]
fn history_is_paged_both_ways_in_the_order_of_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    // Sessions above i64::MAX sort after the small ones.
    let messages =
        [message(0, u64::MAX, T0), message(0, 3, T0), message(1, 3, T0), message(0, 3, T0 - 5)];
    store(&path, &messages);
    let reader = Reader::open(&path, &realm()).unwrap();
    let all = reader.history("lobby", Page::Newest, 10).unwrap();
    let largest = format!("{}/0", u64::MAX);
    assert_eq!(texts(&all), ["3/0", "3/0", "3/1", &largest]);
    assert!(all.messages.windows(2).all(|pair| pair[0].order_key() < pair[1].order_key()));
    assert!(!all.more);

    let before = reader.history("lobby", Page::Before(all.messages[3].id), 2).unwrap();
    assert_eq!(texts(&before), ["3/0", "3/1"]);
    assert!(before.more);
    let after = reader.history("lobby", Page::After(all.messages[0].id), 2).unwrap();
    assert_eq!(texts(&after), ["3/0", "3/1"]);
    assert!(after.more);
    let nowhere = reader.history("lobby", Page::Before(message(9, 9, T0).id()), 2);
    assert_eq!(nowhere.unwrap_err(), ReadError::NotFound);
    assert!(reader.history("attic", Page::Newest, 10).unwrap().messages.is_empty());
}

#[test]
fn own_messages_wait_until_they_are_marked_sent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let (told, mut heard) = mpsc::channel(10);
    let mut writer = Store::open(&path, &realm()).unwrap().writer(told).unwrap();
    for (request, seq) in [(1, 0), (2, 1)] {
        let message = Box::new(message(seq, 1, T0));
        let (request, via) = (Some(request), Via::Own);
        let write = Write::Message { request, message, via, received_at: T0, folded: false };
        writer.try_write(write).unwrap();
    }
    writer.try_write(Write::Sent(message(0, 1, T0).id())).unwrap();
    writer.close([]);
    assert!(matches!(heard.try_recv(), Ok(Stored::Own { request: 1, result: Ok(_) })));
    let unsent = Reader::open(&path, &realm()).unwrap().unsent(0).unwrap();
    assert_eq!(unsent.len(), 1);
    assert_eq!(unsent[0].gossip, message(1, 1, T0).to_gossip());
}

#[test]
fn boots_only_grow_and_the_port_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let mut store = Store::open(&path, &realm()).unwrap();
    assert_eq!(store.next_boot(1_000).unwrap(), 1_000);
    assert_eq!(store.next_boot(500).unwrap(), 1_001);
    assert_eq!(store.last_port().unwrap(), None);
    store.remember_port(4_321).unwrap();
    drop(store);
    let mut store = Store::open(&path, &realm()).unwrap();
    assert_eq!(store.last_port().unwrap(), Some(4_321));
    assert_eq!(store.next_boot(5_000).unwrap(), 5_000);
}

#[test]
fn unread_counts_what_others_said_after_the_mark() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    store(&path, &[message(0, 1, T0), message(1, 1, T0 + 1)]);
    let reader = Reader::open(&path, &realm()).unwrap();
    assert_eq!(reader.unread("lobby").unwrap(), (None, 2));
    let (told, _heard) = mpsc::channel(10);
    let mut writer = Store::open(&path, &realm()).unwrap().writer(told).unwrap();
    let first = message(0, 1, T0).id();
    writer.close([Write::ReadMark("lobby".into(), first)]);
    assert_eq!(reader.unread("lobby").unwrap(), (Some(first), 1));
}

#[test]
fn a_foreign_or_newer_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    std::fs::write(&path, "this is no database at all, not even a little one").unwrap();
    assert!(matches!(Store::open(&path, &realm()), Err(StoreError::NotAStore { .. })));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is no"));
    std::fs::remove_file(&path).unwrap();
    drop(Store::open(&path, &realm()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path, &realm()), Err(StoreError::Newer { .. })));
}

/// Puts a message and a read mark into a file of version 1, as that version did.
fn fill_old(connection: &Connection, message: &AdmittedMessage) {
    let (content, ticket) = (message.content(), message.ticket());
    let claims = ticket.claims();
    connection.execute("INSERT INTO realms (key) VALUES (?1)", [realm().0]).unwrap();
    connection
        .execute(
            "INSERT INTO tickets (hash, bytes, account, peer, username, nickname, role)
             VALUES (?1, ?2, ?3, ?4, 'alice', 'alice', 'member')",
            params![ticket.hash().0, ticket.as_bytes(), claims.account.0, claims.peer.0],
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO messages (realm, message_id, ticket, room, sent_at, author, session, seq,
                                   text, bytes, received_at, via)
             VALUES (1, ?1, 1, 'lobby', ?2, ?3, ?4, ?5, ?6, ?7, ?2, 'gossip')",
            params![
                message.id().0,
                time(content.sent_at),
                claims.peer.0,
                ordered(content.session),
                ordered(content.seq),
                content.body.text,
                message.as_bytes()
            ],
        )
        .unwrap();
    let mark = "INSERT INTO read_marks (realm, room, message) VALUES (1, 'lobby', 1)";
    connection.execute(mark, []).unwrap();
}

#[test]
fn every_older_schema_is_brought_forward_with_what_is_in_it() {
    for version in 0..=migrations::STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.db");
        let connection = Connection::open(&path).unwrap();
        for step in &migrations::STEPS[..version] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", version.to_string()).unwrap();
        let old = message(0, 1, T0);
        if version == 1 {
            fill_old(&connection, &old);
        }
        drop(connection);
        store(&path, &[old.clone(), message(1, 1, T0 + 1)]);
        let reader = Reader::open(&path, &realm()).unwrap();
        assert_eq!(texts(&reader.history("lobby", Page::Newest, 9).unwrap()), ["1/0", "1/1"]);
        assert_eq!(reader.count().unwrap(), 2);
        let mark = if version == 1 { (Some(old.id()), 1) } else { (None, 2) };
        assert_eq!(reader.unread("lobby").unwrap(), mark, "version {version}");
        let mut loader = Loader::open(&path, &realm()).unwrap();
        let loaded = loader.next(9).unwrap().messages;
        assert_eq!(loaded.iter().map(|m| m.text_bytes).collect::<Vec<_>>(), [3, 3]);
    }
}

proptest! {
    #[test]
    fn the_order_of_unsigned_numbers_survives(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(a.cmp(&b), ordered(a).cmp(&ordered(b)));
        prop_assert_eq!(unordered(ordered(a)), a);
    }
}

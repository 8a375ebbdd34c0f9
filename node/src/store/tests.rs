//! Tests of the store: order, idempotence, restarts, foreign and newer files.

use std::path::Path;
use std::sync::Arc;

use lanyard_protocol::cose::public_key;
use lanyard_protocol::message::{AdmittedMessage, Content, VerifiedMessage};
use lanyard_protocol::testing::{self, T0};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::writer::Opened;
use super::*;
use crate::event::Via;
use crate::node::{Page, ReadError};

fn realm() -> lanyard_protocol::ids::PeerKey {
    public_key(&testing::key(1))
}

fn message(seq: u64, session: u64, sent_at: u64) -> AdmittedMessage {
    let key = testing::key(2);
    let ticket = Arc::new(testing::ticket(&testing::key(1), &key, "alice"));
    let text = format!("{session}/{seq}");
    let content = Content { room: "lobby".into(), session, seq, sent_at, text };
    testing::admitted(VerifiedMessage::author(content, ticket, &key).unwrap())
}

/// Stores messages through the real thread and closes it.
fn store(path: &Path, messages: &[AdmittedMessage]) -> Vec<Stored> {
    let (told, mut heard) = mpsc::channel(1_000);
    let opened = Opened::open(path, &realm()).unwrap();
    let mut writer = Writer::start(opened, told).unwrap();
    for message in messages {
        let write = Write::Message {
            request: None,
            message: Box::new(message.clone()),
            via: Via::Gossip,
            received_at: T0,
        };
        assert!(writer.try_write(write));
    }
    writer.close();
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

fn texts(history: &crate::node::History) -> Vec<&str> {
    history.messages.iter().map(|message| message.text.as_str()).collect()
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
    let mut writer = Writer::start(Opened::open(&path, &realm()).unwrap(), told).unwrap();
    for (request, seq) in [(1, 0), (2, 1)] {
        let message = Box::new(message(seq, 1, T0));
        let write =
            Write::Message { request: Some(request), message, via: Via::Own, received_at: T0 };
        assert!(writer.try_write(write));
    }
    assert!(writer.try_write(Write::Sent(message(0, 1, T0).id())));
    writer.close();
    assert!(matches!(heard.try_recv(), Ok(Stored::Own { request: 1, result: Ok(_) })));
    let unsent = Reader::open(&path, &realm()).unwrap().unsent(0).unwrap();
    assert_eq!(unsent.len(), 1);
    assert_eq!(unsent[0].gossip, message(1, 1, T0).to_gossip());
}

#[test]
fn boots_only_grow_and_the_port_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let opened = Opened::open(&path, &realm()).unwrap();
    assert_eq!(opened.next_boot(1_000).unwrap(), 1_000);
    assert_eq!(opened.next_boot(500).unwrap(), 1_001);
    assert_eq!(opened.last_port().unwrap(), None);
    opened.remember_port(4_321).unwrap();
    drop(opened);
    let opened = Opened::open(&path, &realm()).unwrap();
    assert_eq!(opened.last_port().unwrap(), Some(4_321));
    assert_eq!(opened.next_boot(5_000).unwrap(), 5_000);
}

#[test]
fn unread_counts_what_others_said_after_the_mark() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    store(&path, &[message(0, 1, T0), message(1, 1, T0 + 1)]);
    let reader = Reader::open(&path, &realm()).unwrap();
    assert_eq!(reader.unread("lobby").unwrap(), (None, 2));
    let (told, _heard) = mpsc::channel(10);
    let mut writer = Writer::start(Opened::open(&path, &realm()).unwrap(), told).unwrap();
    let first = message(0, 1, T0).id();
    assert!(writer.try_write(Write::ReadMark("lobby".into(), first)));
    writer.close();
    assert_eq!(reader.unread("lobby").unwrap(), (Some(first), 1));
}

#[test]
fn a_file_that_is_no_store_or_a_newer_one_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    std::fs::write(&path, "this is no database at all, not even a little one").unwrap();
    assert!(matches!(Opened::open(&path, &realm()), Err(StoreError::NotAStore { .. })));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is no"));
    std::fs::remove_file(&path).unwrap();
    drop(Opened::open(&path, &realm()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Opened::open(&path, &realm()), Err(StoreError::Newer { .. })));
}

#[test]
fn every_older_schema_is_brought_forward() {
    for version in 0..=migrations::STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.db");
        let connection = Connection::open(&path).unwrap();
        for step in &migrations::STEPS[..version] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", version.to_string()).unwrap();
        drop(connection);
        store(&path, &[message(0, 1, T0)]);
        assert_eq!(Reader::open(&path, &realm()).unwrap().count().unwrap(), 1);
    }
}

proptest! {
    #[test]
    fn the_order_of_unsigned_numbers_survives(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(a.cmp(&b), ordered(a).cmp(&ordered(b)));
        prop_assert_eq!(unordered(ordered(a)), a);
    }
}

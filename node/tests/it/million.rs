//! A store of a million messages: the node is ready at once, and takes the old ones in while it runs.

use std::time::Duration;

use lanyard_node::Via;
use lanyard_node::clock::Clock;
use lanyard_node::store::{Store, Write};
use lanyard_protocol::history::History;
use lanyard_protocol::ticket::{Claims, Ticket};
use rusqlite::{Connection, params};

use crate::cast::{Setup, alone, claims, honest, key, now_ms, peer, policy, they_chat};
use crate::member::message_with;

const MESSAGES: u64 = 1_000_000;
const READY: Duration = Duration::from_secs(1);

/// Rows as a year of chat leaves them, but for the signatures: nobody asks for those.
fn fill(path: &std::path::Path) {
    drop(Store::open(path, &peer("realm")).unwrap());
    let begin = now_ms() - MESSAGES * 6_000 - 3_600_000;
    let connection = Connection::open(path).unwrap();
    let issued_at_s = now_ms() / 1_000 - 80 * 86_400;
    let old = Claims { issued_at_s, expires_at_s: now_ms() / 1_000 + 86_400, ..claims("bob") };
    let ticket = Ticket::issue(old.clone(), &key("realm"));
    connection
        .execute(
            "INSERT INTO tickets (id, hash, bytes, account, peer, username, nickname, role)
             VALUES (1, ?1, ?2, ?3, ?4, 'bob', 'bob', 'member')",
            params![ticket.hash().0, ticket.as_bytes(), old.account.0, old.peer.0],
        )
        .unwrap();
    connection
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
             INSERT INTO messages (realm, message_id, ticket, room, sent_at, author, session, seq,
                                   text, bytes, received_at, via, text_bytes)
             SELECT 1, randomblob(32), 1, 'lobby', ?2 + i * 6000, ?3, 0, i,
                    'a line of some length, as people write them', randomblob(300), 0, 'gossip', 43
             FROM n",
            params![MESSAGES.cast_signed(), begin.cast_signed(), old.peer.0],
        )
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and half a gigabyte; scripts/soak.sh runs it"]
async fn a_node_with_a_million_messages_is_ready_within_a_second() {
    let _lock = alone();
    let mut setup = Setup::of("alice").under(policy(|policy| {
        policy.rules[0].from = 0;
        policy.rules[0].per_day = u64::MAX;
        policy.rules[0].retention_days = 3_650;
    }));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    fill(&path);
    let clock = Clock::new();

    let began = clock.now().mono;
    let mut loader = Store::open(&path, &peer("realm")).unwrap().loader().unwrap();
    let mut history = History::new(setup.policy.policy().clone().into());
    let (mut longest, mut taken) = (Duration::ZERO, 0);
    loop {
        let part = loader.next(1_024).unwrap();
        if part.messages.is_empty() {
            break;
        }
        taken += part.messages.len() as u64;
        part.tickets.iter().for_each(|ticket| history.note_author(ticket));
        let before = clock.now().mono;
        history.index(part.messages);
        longest = longest.max(clock.now().mono - before);
    }
    let loaded = clock.now().mono - began;
    assert_eq!((taken, history.set().len()), (MESSAGES, MESSAGES));
    drop(history);

    let mut bob = honest("bob").await;
    setup = setup.knowing_node(&bob);
    setup.dir = Some(dir);
    let began = clock.now().mono;
    let mut alice = setup.start().await;
    let ready = clock.now().mono - began;
    they_chat(&mut alice, &mut bob, "while the old ones are read").await;
    let chatted = clock.now().mono - began;
    println!(
        "{MESSAGES} messages: ready in {ready:?}, first lines both ways in {chatted:?}; \
         reading the index alone takes {loaded:?}, the longest part holds the loop for {longest:?}"
    );
    assert_eq!(alice.status().messages, MESSAGES + 2);
    assert!(ready < READY, "{ready:?}");
}

const INSERTS: u64 = 30_000;

#[test]
#[ignore = "a measurement; scripts/soak.sh runs it"]
fn messages_are_written_by_the_thousand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let (told, mut heard) = tokio::sync::mpsc::channel(40_000);
    let ticket = crate::cast::ticket("bob");
    let text = "a line of some length, as people write them";
    let write = |n: u64| {
        let message = message_with(ticket.clone(), "bob", |content| {
            content.sent_at = now_ms() + n;
            content.body.text = text.to_owned();
        });
        let (message, received_at) = (Box::new(message), now_ms());
        Write::Message { request: None, message, via: Via::Gossip, received_at, folded: false }
    };
    let writes: Vec<Write> = (0..INSERTS).map(write).collect();
    let opened = Store::open(&path, &peer("realm")).unwrap();
    let mut writer = opened.writer(told).unwrap();
    let clock = Clock::new();
    writer.close(writes);
    let took = clock.now().mono;
    let stored = std::iter::from_fn(|| heard.try_recv().ok()).count() as u64;
    assert_eq!(stored, INSERTS);
    println!(
        "{INSERTS} messages written in {took:?}: {:.0} a second",
        30_000.0 / took.as_secs_f64()
    );
}

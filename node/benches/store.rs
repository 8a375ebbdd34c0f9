//! What the store takes in a second, beside what SQLite itself takes.
//!
//! `cargo bench -p lanyard-node --bench store`. It prints the figures and fails below the goal: through the writer's
//! thread, with every index and check, at least 0.8 of the rows of a bare table with a unique id, 100 a transaction.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run ends")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use lanyard_node::Via;
use lanyard_node::store::{Store, Stored, Write};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::Ticket;
use rusqlite::{Connection, params};
use tokio::sync::mpsc;

const MESSAGES: u64 = 20_000;
const OWN: u64 = 500;
const ROUNDS: usize = 5;
const GOAL: f64 = 0.8;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Lines of ten people.
fn messages() -> Vec<AdmittedMessage> {
    let realm = testing::key(1);
    let people: Vec<_> = (2..12)
        .map(|number| {
            let key = testing::key(number);
            let ticket = Arc::new(testing::ticket(&realm, &key, &format!("user{number}")));
            (key, ticket)
        })
        .collect();
    let one = |(number, (key, ticket)): (u64, &(SigningKey, Arc<Ticket>))| {
        let text = format!("{number:.<200}");
        let (seq, sent_at) = (number / 10, T0 + number);
        let content = Content { room: "lobby".into(), session: 1, seq, sent_at, body: text.into() };
        testing::admitted(VerifiedMessage::author(content, Arc::clone(ticket), key).unwrap())
    };
    (0..MESSAGES).zip(people.iter().cycle()).map(one).collect()
}

fn write(message: &AdmittedMessage, request: Option<u64>) -> Write {
    let via = if request.is_some() { Via::Own } else { Via::Gossip };
    let message = Box::new(message.clone());
    Write::Message { request, message, via, received_at: T0, folded: false }
}

/// Through the writer's thread: as fast as its queue takes them.
fn through_the_writer(path: &Path, messages: &[AdmittedMessage]) -> Duration {
    let (told, mut heard) = mpsc::channel(messages.len());
    let realm = public_key(&testing::key(1));
    let mut writer = Store::open(path, &realm).unwrap().writer(told).unwrap();
    let mut writes: Vec<Write> = messages.iter().map(|message| write(message, None)).collect();
    writes.reverse();
    let began = now();
    while let Some(next) = writes.pop() {
        if let Err(full) = writer.try_write(next) {
            writes.push(*full);
            heard.blocking_recv().unwrap();
        }
    }
    writer.close([]);
    began.elapsed()
}

/// Own messages, each awaited before the next: as a user sends.
fn one_by_one(path: &Path, messages: &[AdmittedMessage]) -> Duration {
    let (told, mut heard) = mpsc::channel(1_024);
    let realm = public_key(&testing::key(1));
    let mut writer = Store::open(path, &realm).unwrap().writer(told).unwrap();
    let began = now();
    for (message, request) in messages.iter().zip(0..OWN) {
        writer.try_write(write(message, Some(request))).unwrap();
        assert!(matches!(heard.blocking_recv(), Some(Stored::Own { .. })));
    }
    let took = began.elapsed();
    writer.close([]);
    took
}

/// A bare table with a unique id: what SQLite takes on this machine.
fn bare(path: &Path, messages: &[AdmittedMessage], batch: usize, synchronous: &str) -> Duration {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE messages (id INTEGER PRIMARY KEY, message_id BLOB NOT NULL UNIQUE,
             room TEXT NOT NULL, sent_at INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT",
        )
        .unwrap();
    let began = now();
    for part in messages.chunks(batch) {
        let transaction = connection.transaction().unwrap();
        for message in part {
            let sql =
                "INSERT INTO messages (message_id, room, sent_at, bytes) VALUES (?1, ?2, ?3, ?4)";
            let content = message.content();
            transaction
                .prepare_cached(sql)
                .unwrap()
                .execute(params![
                    message.id().0,
                    content.room,
                    content.sent_at.cast_signed(),
                    message.as_bytes()
                ])
                .unwrap();
        }
        transaction.commit().unwrap();
    }
    began.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// The best of the rounds: what disturbs a round can only make it slower.
fn best(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(0.0, f64::max)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let all = messages();
    let own = all.get(..usize::try_from(OWN).unwrap()).unwrap();
    let mut figures = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let path = |name: &str| folder.path().join(format!("{name}{round}.db"));
        let took = [
            (MESSAGES, bare(&path("bare"), &all, 100, "NORMAL")),
            (MESSAGES, through_the_writer(&path("writer"), &all)),
            (OWN, bare(&path("full"), own, 1, "FULL")),
            (OWN, one_by_one(&path("own"), own)),
        ];
        for (figures, (count, took)) in figures.iter_mut().zip(took) {
            figures.push(per_second(count, took));
        }
    }
    let [limit, stored, full_limit, own] = figures.each_ref().map(|rounds| best(rounds));
    println!("bare table, 100 a transaction:    {limit:>8.0}/s");
    println!("the store, as they come:          {stored:>8.0}/s   {:.2} of it", stored / limit);
    println!("bare table, FULL, one by one:     {full_limit:>8.0}/s");
    println!("own messages, each awaited:       {own:>8.0}/s   {:.2} of it", own / full_limit);
    if stored < GOAL * limit {
        println!("below the goal of {GOAL}");
        std::process::exit(1);
    }
}

//! Stores full of messages: signed by invented members of a realm, and written by the node's own store.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_node::Via;
use lanyard_node::keyfile;
use lanyard_node::store::{Store, Stored, Write, Writer};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::history::AdmittedMessage;
use lanyard_protocol::ids::{AccountId, Role};
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::policy::LOBBY;
use lanyard_protocol::testing::admitted;
use lanyard_protocol::ticket::{Claims, Ticket};
use lanyard_rendezvous::clock;
use tokio::sync::mpsc;

use super::Realm;

/// The messages are spread over the last six days.
const SPAN_MS: u64 = 6 * 86_400_000;
/// How many messages an author has at most, far below the default quota of 5,000 a day and 60 a minute.
const BY_ONE_AUTHOR: u64 = 20_000;
/// The least number of authors.
const AUTHORS_MIN: u64 = 10;
/// How many writes may be pending, below the capacity of the writer's queue.
const IN_FLIGHT: u64 = 2_048;

struct Author {
    key: SigningKey,
    ticket: Arc<Ticket>,
}

/// Writes the same messages into the stores of these profiles, which must exist and not be in use.
pub(crate) fn fill(realm: &Realm, names: &[&str], count: u64) {
    let seed = keyfile::load(&realm.data_dir().join("realm.key")).unwrap();
    let realm_key = SigningKey::from_bytes(&seed);
    let began = clock::unix_ms() - SPAN_MS;
    let authors: Vec<Author> = (0..(count / BY_ONE_AUTHOR).max(AUTHORS_MIN))
        .map(|number| author(&realm_key, number, began))
        .collect();
    let mut stores: Vec<Filling> =
        names.iter().map(|name| Filling::open(realm, name, &realm_key)).collect();
    for number in 0..count {
        let author = &authors[usize::try_from(number).unwrap() % authors.len()];
        let sent_at = began + number * SPAN_MS / count;
        let message = message(author, number / authors.len() as u64, sent_at);
        stores.iter_mut().for_each(|store| store.write(&message));
    }
    for store in stores {
        assert_eq!(store.close(), count);
    }
}

fn author(realm_key: &SigningKey, number: u64, began_ms: u64) -> Author {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    let key = SigningKey::from_bytes(&seed);
    let mut account = [0; 16];
    getrandom::fill(&mut account).unwrap();
    let claims = Claims {
        realm: public_key(realm_key),
        account: AccountId(account),
        id: account,
        issued_at_s: began_ms / 1_000 - 60,
        expires_at_s: (began_ms + 2 * SPAN_MS) / 1_000,
        peer: public_key(&key),
        username: format!("author{number:03}"),
        nickname: format!("Author {number}"),
        role: Role::Member,
        device: 1,
        policy: 1,
    };
    Author { ticket: Arc::new(Ticket::issue(claims, realm_key)), key }
}

fn message(author: &Author, seq: u64, sent_at: u64) -> AdmittedMessage {
    let text = format!("Earlier message {seq}: a line of the length that people type in a chat.");
    let content = Content { room: LOBBY.to_owned(), session: 1, seq, sent_at, body: text.into() };
    admitted(VerifiedMessage::author(content, Arc::clone(&author.ticket), &author.key).unwrap())
}

struct Filling {
    writer: Writer,
    told: mpsc::Receiver<Stored>,
    in_flight: u64,
    stored: u64,
}

impl Filling {
    fn open(realm: &Realm, name: &str, realm_key: &SigningKey) -> Self {
        let file = realm.profile(name).join("chat.db");
        let opened = Store::open(&file, &public_key(realm_key)).unwrap();
        let (tell, told) = mpsc::channel(usize::try_from(IN_FLIGHT).unwrap());
        Self { writer: opened.writer(tell).unwrap(), told, in_flight: 0, stored: 0 }
    }

    fn write(&mut self, message: &AdmittedMessage) {
        while self.in_flight >= IN_FLIGHT {
            self.take_one();
        }
        let received_at = message.content().sent_at;
        let message = Box::new(message.clone());
        let write =
            Write::Message { request: None, message, via: Via::Gossip, received_at, folded: false };
        self.writer.try_write(write).unwrap();
        self.in_flight += 1;
    }

    fn take_one(&mut self) {
        match self.told.blocking_recv() {
            Some(Stored::Message(_)) => self.stored += 1,
            other => panic!("{other:?}"),
        }
        self.in_flight -= 1;
    }

    /// Waits for all writes, and returns how many messages were new.
    fn close(mut self) -> u64 {
        while self.in_flight > 0 {
            self.take_one();
        }
        self.writer.close([]);
        self.stored
    }
}

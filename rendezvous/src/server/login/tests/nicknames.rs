//! Former nicknames: no two people speak under one name.

use lanyard_protocol::limits::LINK_GRACE_MS;
use lanyard_protocol::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::policy::rules;

const WEEK: u64 = 7 * DAY_MS;
/// When the last use of a ticket that is issued at `NOW` for a week is over.
const OVER: u64 = NOW / 1_000 * 1_000 + WEEK + LINK_GRACE_MS;

impl LoginServer {
    /// Signs in with a wish; returns the nickname from then on, and why the wish was refused.
    async fn named(&self, name: &str, wish: &str, now: u64) -> (String, Option<String>) {
        let device = if name == "alice" { LAPTOP } else { PHONE };
        let reply = self.wish(name, &format!("{name}-password"), device, Some(wish), now).await;
        let Reply::Granted(grant) = &reply else { panic!("{reply:?}") };
        let refused = grant.nickname_refused.clone();
        (self.ticket(reply).claims().nickname.clone(), refused)
    }

    async fn is_revoked(&self, ticket: &Ticket, now: u64) -> bool {
        let key = SigningKey::from_bytes(&[3; 32]);
        let publish = move |store: &mut Store| store.write(|tx| policy::publish(tx, &key, now));
        let (signed, _is_new) = self.office.store.run(publish).await.unwrap();
        let claims = ticket.claims();
        let revocation =
            signed.policy().revocation_of(claims.account, claims.peer, claims.issued_at_ms());
        revocation.is_some()
    }
}

#[tokio::test]
async fn a_former_nickname_is_reserved_for_a_tickets_life() {
    let server = LoginServer::open();
    assert_eq!(server.named("bob", "Scope", NOW).await, ("Scope".to_owned(), None));
    assert_eq!(server.named("bob", "Bobby", NOW + HOUR_MS).await.1, None);
    for now in [NOW + HOUR_MS, OVER - 2 * DAY_MS] {
        for spelling in ["Scope", "SCOPE", "ѕсоре"] {
            let (nickname, refused) = server.named("alice", spelling, now).await;
            let refused = refused.unwrap();
            assert_eq!(nickname, "alice");
            let wait = lanyard_protocol::words::duration(OVER - now);
            assert!(refused.contains("reserved") && refused.contains(&wait), "{refused}");
        }
    }
    assert!(server.named("alice", "Scope", OVER - 1).await.1.is_some());
    assert_eq!(server.named("alice", "Scope", OVER).await, ("Scope".to_owned(), None));
}

#[tokio::test]
async fn its_owner_takes_a_nickname_back_at_once() {
    let server = LoginServer::open();
    for wish in ["Scope", "Bobby", "Scope", "bob", "Bobby"] {
        assert_eq!(server.named("bob", wish, NOW).await, (wish.to_owned(), None));
    }
    assert!(server.named("alice", "Bobby", OVER).await.1.unwrap().contains("looks like"));
}

#[tokio::test]
async fn a_ticket_of_longer_rules_reserves_its_name_longer() {
    let server = LoginServer::open();
    server.act(|tx| rules::set(tx, "ticket-lifetime", "30d", NOW)).await;
    server.named("bob", "Scope", NOW).await;
    server.act(|tx| rules::set(tx, "ticket-lifetime", "1d", NOW + HOUR_MS)).await;
    server.named("bob", "Scope", NOW + HOUR_MS).await;
    server.named("bob", "Bobby", NOW + 2 * HOUR_MS).await;
    assert!(server.named("alice", "Scope", NOW + 29 * DAY_MS).await.1.is_some());
}

#[tokio::test]
async fn nobody_reserves_more_than_a_few_nicknames() {
    let server = LoginServer::open();
    let wishes: Vec<String> = (0..50).map(|number| format!("Guest number {number}")).collect();
    let mut given = Vec::new();
    for wish in &wishes {
        let (_nickname, refused) = server.named("bob", wish, NOW).await;
        match refused {
            None => given.push(wish),
            Some(refused) => assert!(refused.contains("too often"), "{refused}"),
        }
    }
    assert_eq!(given, wishes.iter().take(9).collect::<Vec<_>>());
    assert_eq!(server.named("bob", &wishes[3], NOW).await.1, None, "a former one is no change");
    assert_eq!(server.named("alice", &wishes[40], NOW).await.1, None);
    assert_eq!(server.named("bob", "Later", OVER).await.1, None);
}

#[tokio::test]
async fn a_new_username_ends_the_tickets_with_its_name() {
    let server = LoginServer::open();
    let bob = server.wish("bob", "bob-password", PHONE, Some("Scope"), NOW).await;
    let bob = server.ticket(bob);
    let alice = server.wish("alice", "alice-password", LAPTOP, Some("Octavia"), NOW).await;
    let alice = server.ticket(alice);
    server.named("bob", "Bobby", NOW).await;
    assert!(!server.is_revoked(&bob, NOW).await && !server.is_revoked(&alice, NOW).await);
    for name in ["scope", "octavia"] {
        let username = Username::parse(name).unwrap();
        server
            .act(move |tx| {
                acts::create(tx, &username, None, Role::Member, "phc", NOW).map(|_id| ())
            })
            .await;
    }
    assert!(server.is_revoked(&bob, NOW).await, "its former nickname is a username now");
    assert!(server.is_revoked(&alice, NOW).await, "its nickname is a username now");
    assert_eq!(server.named("bob", "Bobby", NOW).await, ("Bobby".to_owned(), None));
    assert!(server.named("alice", "Octavia", NOW).await.1.is_some());
}

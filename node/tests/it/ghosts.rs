//! Presence that is old, ahead of time or replayed brings no ghost into the roster.

use std::sync::Arc;

use lanyard_node::event::Reason;
use lanyard_node::{NodeEvent, Status};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::presence::{BYE, HERE, Presence, SignedPresence};
use lanyard_protocol::testing::account;
use lanyard_protocol::ticket::{Claims, Ticket};

use crate::cast::{Honest, claims, honest, in_company, key, now_ms};
use crate::member::Renegade;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A presence of `name`, whose ticket is two days old.
fn presence(name: &str, n: u64, at: u64, status: &str) -> Vec<u8> {
    let issued_at_s = (now_ms() - 2 * DAY_MS) / 1_000;
    let ticket = Ticket::issue(Claims { issued_at_s, ..claims(name) }, &key("realm"));
    let presence = Presence { boot: 9, n, at, status: status.to_owned(), listen: Vec::new() };
    SignedPresence::author(presence, Arc::new(ticket), &key(name)).pair.to_vec()
}

fn is_there(status: &Status, name: &str) -> bool {
    status.roster.contains_key(&account(name))
}

/// Somebody appears whose presence was sent last: all before it has been judged.
async fn appears(renegade: &Renegade, host: &Honest, witness: &str) -> Status {
    renegade.publishes(Topic::Control, presence(witness, 0, now_ms(), HERE)).await;
    host.sees("the witness", |status| is_there(status, witness)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_of_yesterday_or_tomorrow_brings_no_ghost() {
    let _lock = in_company();
    let host = honest("host").await;
    let renegade = Renegade::join("mallory", &host, Topic::Control).await;
    let now = now_ms();
    for (name, at) in [
        ("yesterday", now - DAY_MS),
        ("an hour ago", now - HOUR_MS),
        ("ten minutes ahead", now + HOUR_MS / 6),
        ("tomorrow", now + DAY_MS),
        ("the end of time", u64::MAX),
        ("the beginning of time", 0),
    ] {
        renegade.publishes(Topic::Control, presence(name, 0, at, HERE)).await;
    }
    let status = appears(&renegade, &host, "witness").await;
    assert_eq!(status.roster.len(), 3, "host, mallory and the witness: {:?}", status.roster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_replayed_after_bye_brings_no_ghost() {
    let _lock = in_company();
    let mut host = honest("host").await;
    let renegade = Renegade::join("mallory", &host, Topic::Control).await;
    let here = presence("ghost", 3, now_ms(), HERE);
    renegade.publishes(Topic::Control, here.clone()).await;
    host.sees("the ghost alive", |status| is_there(status, "ghost")).await;
    // Kept back until now: signed before the bye, and never seen by the host.
    let kept_back = presence("ghost", 4, now_ms(), HERE);
    renegade.publishes(Topic::Control, presence("ghost", 5, now_ms(), BYE)).await;
    host.sees("the bye", |status| !is_there(status, "ghost")).await;
    let late = Renegade::join("marvin", &host, Topic::Control).await;
    for replayer in [&renegade, &late] {
        for bytes in [&here, &kept_back] {
            replayer.publishes(Topic::Control, bytes.clone()).await;
        }
    }
    appears(&renegade, &host, "witness").await;
    assert!(!is_there(&appears(&late, &host, "another witness").await, "ghost"));
    let mut of_ghost = Vec::new();
    host.event("the last witness", |event| {
        let NodeEvent::Presence(change) = event else { return None };
        if change.username == "ghost" {
            of_ghost.push(change.reason);
        }
        (change.username == "another witness").then_some(())
    })
    .await;
    assert_eq!(of_ghost, [Reason::Here, Reason::Left]);
}

//! A node whose parts fail.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::{LOBBY, Limits};
use lanyard_protocol::testing;
use lanyard_protocol::time::RealmClock;

use super::*;
use crate::clock::Clock;
use crate::refusal::RefusalCode;

/// A time limit longer than anything takes here.
const SOON: Duration = Duration::from_secs(20);

fn alone(dir: &tempfile::TempDir) -> Node {
    let (realm, key): (SigningKey, SigningKey) = (testing::key(1), testing::key(2));
    let now_ms = Clock::new().now().wall_ms;
    let mut claims = testing::claims(&realm, &key, "ada");
    claims.issued_at_s = now_ms / 1_000 - 60;
    claims.expires_at_s = claims.issued_at_s + testing::WEEK_S;
    let mut policy = testing::policy(&realm);
    policy.issued_at = now_ms - 3_600_000;
    policy.rules = vec![Limits::default_from(policy.issued_at)];
    let config = NodeConfig {
        key,
        ticket: Ticket::issue(claims, &realm),
        policy: SignedPolicy::sign(policy, &realm).unwrap(),
        clock: RealmClock::restored(0, now_ms),
        database: dir.path().join("chat.db"),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        candidates: Vec::new(),
        login_server: None,
        profile: None,
    };
    Node::start(config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_store_answers_and_ends_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let node = alone(&dir);
    let mut events = node.events();
    node.send(Draft::new(LOBBY, "This one is stored.")).await.unwrap();
    node.command(Command::EndStore).await.unwrap();
    let sent = tokio::time::timeout(SOON, node.send(Draft::new(LOBBY, "This one is not."))).await;
    assert!(sent.expect("a text is answered").is_err());
    let ended = async {
        loop {
            if let NodeEvent::Ended(why) = events.recv().await.unwrap() {
                return why.unwrap();
            }
        }
    };
    let why = tokio::time::timeout(SOON, ended).await.expect("the node ends");
    assert_eq!(why.code, RefusalCode::Failed);
    assert!(why.reason.ends_with('.'), "a sentence: {}", why.reason);
    tokio::time::timeout(SOON, node.ended()).await.expect("nothing more can be asked");
}

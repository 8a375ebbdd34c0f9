//! What gossip does not bring, reconciliation does: newcomers, restarts, and a store that was full for a while.

use lanyard_node::status::Mode;
use lanyard_node::store::Reader;
use lanyard_node::{NodeEvent, Page, Progress, Via};
use lanyard_protocol::message::Draft;
use lanyard_protocol::policy::LOBBY;
use rusqlite::Connection;

use crate::cast::{Honest, Setup, honest, in_company, peer, they_chat};

async fn log(honest: &Honest) -> Vec<lanyard_protocol::ids::MessageId> {
    let history = honest.node.history(LOBBY, Page::Newest, 500).await.unwrap();
    history.messages.iter().map(|message| message.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_and_returning_peers_have_all_in_one_order() {
    let _lock = in_company();
    let mut alice = honest("alice").await;
    let mut bob = Setup::of("bob").knowing_node(&alice).start().await;
    bob.linked_with(peer("alice")).await;
    for turn in 0..10 {
        they_chat(&mut alice, &mut bob, &format!("turn {turn}")).await;
    }
    let mut carol = Setup::of("carol").knowing_node(&alice).start().await;
    let first = carol.hears("turn 0, there").await;
    assert_eq!((first.via, first.late), (Via::Sync, false));
    carol.sees("all of it", |status| status.messages == 20).await;
    assert_eq!(log(&carol).await, log(&alice).await);

    let dir = bob.leave().await;
    alice.unlinked_from(peer("bob")).await;
    they_chat(&mut alice, &mut carol, "without bob").await;
    let mut setup = Setup::of("bob").knowing_node(&alice);
    setup.dir = Some(dir);
    let mut bob = setup.start().await;
    assert_eq!(bob.status().messages, 20, "what was stored is there at once");
    for text in ["without bob, there", "without bob, back"] {
        assert_eq!(bob.hears(text).await.via, Via::Sync);
    }
    bob.sees("all of it", |status| status.messages == 22).await;
    assert_eq!(log(&bob).await, log(&alice).await);
    assert_eq!(bob.heard.len(), 2, "nothing is told twice: {:?}", bob.heard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_learns_who_has_stored_it() {
    let _lock = in_company();
    let mut alice = honest("alice").await;
    let bob = Setup::of("bob").knowing_node(&alice).start().await;
    let carol = Setup::of("carol").knowing_node(&alice).knowing_node(&bob).start().await;
    for other in ["bob", "carol"] {
        alice.linked_with(peer(other)).await;
    }
    alice.sees("everybody", |status| status.roster.len() == 3 && status.mode == Mode::Direct).await;
    let sent = alice.node.send(Draft::new(LOBBY, "count me")).await.unwrap();
    let counted = |event: &NodeEvent| match event {
        NodeEvent::State { id, state: Progress::Stored { by: 2, of: 2 } } if *id == sent.id => {
            Some(())
        }
        _other => None,
    };
    alice.event("stored by 2 of 2", counted).await;
    drop(carol);
    let dir = alice.leave().await;
    let reader = Reader::open(&dir.path().join("chat.db"), &peer("realm")).unwrap();
    let history = reader.history(LOBBY, Page::Newest, 1).unwrap();
    assert_eq!(history.messages[0].state, Some(Progress::Stored { by: 2, of: 2 }), "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_store_could_not_take_comes_again() {
    let _lock = in_company();
    let mut alice = honest("alice").await;
    let mut bob = Setup::of("bob").knowing_node(&alice).start().await;
    bob.linked_with(peer("alice")).await;
    they_chat(&mut alice, &mut bob, "at first").await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON messages WHEN NEW.text = 'too much'
                BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    let disk = Connection::open(bob.database()).unwrap();
    disk.busy_timeout(crate::cast::SOON).unwrap();
    disk.execute_batch(full).unwrap();
    alice.says("too much").await;
    alice.says("small enough").await;
    bob.hears("small enough").await;
    assert_eq!(bob.stored().await.len(), 3);
    disk.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(bob.hears("too much").await.via, Via::Sync);
    assert_eq!(log(&bob).await, log(&alice).await);
}

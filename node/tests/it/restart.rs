//! A peer that comes back while its old link still hangs is heard again (rust-libp2p #5097).

use std::time::Duration;

use lanyard_node::{NodeEvent, RefusalCode};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::cast::{Honest, Setup, honest, in_company, peer, they_chat, within};

/// A restarted peer is back in two-way chat within this time.
const BACK: Duration = Duration::from_secs(12);

/// The newer copy of a profile is not stopped in its turn.
const QUIET: Duration = Duration::from_secs(1);

/// A node whose runtime nobody drives any more: the sockets stay open, and nothing answers on them.
/// So a computer looks whose cable was pulled.
struct Frozen {
    _honest: Honest,
    _runtime: Runtime,
}

/// Starts a node, lets `warm` bring it into the mesh, and freezes it in that very state.
async fn frozen<F>(setup: Setup, warm: impl FnOnce(Honest) -> F + Send + 'static) -> Frozen
where
    F: Future<Output = Honest>,
{
    let (done, frozen) = oneshot::channel();
    let live = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let honest = runtime.block_on(async { warm(setup.start().await).await });
        assert!(done.send(Frozen { _honest: honest, _runtime: runtime }).is_ok());
    };
    std::thread::Builder::new().name("frozen".to_owned()).spawn(live).unwrap();
    frozen.await.unwrap()
}

/// Dropping a runtime blocks, so it is done where that is allowed.
async fn bury(frozen: Frozen) {
    tokio::task::spawn_blocking(move || drop(frozen)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialler_that_restarts_beside_its_old_link_is_back() {
    let _lock = in_company();
    let mut host = honest("host").await;
    for time in 0..3 {
        let setup = Setup::of("alice").knowing_node(&host);
        let old = frozen(setup, async |alice: Honest| {
            alice.linked_with(peer("host")).await;
            alice
        })
        .await;
        host.linked_with(peer("alice")).await;
        within(BACK, "the restarted peer in two-way chat", async {
            let mut alice = Setup::of("alice").knowing_node(&host).start().await;
            alice.linked_with(peer("host")).await;
            they_chat(&mut alice, &mut host, &format!("restart {time}")).await;
            they_chat(&mut host, &mut alice, &format!("restart {time}, the other way")).await;
        })
        .await;
        bury(old).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialled_peer_that_restarts_beside_its_link_is_back() {
    let _lock = in_company();
    let (told, address) = oneshot::channel();
    let (linked, is_linked) = oneshot::channel::<()>();
    let old = tokio::spawn(frozen(Setup::of("alice"), async move |alice: Honest| {
        told.send(alice.address).unwrap();
        is_linked.await.unwrap();
        alice
    }));
    let mut host = Setup::of("host").knowing(peer("alice"), address.await.unwrap()).start().await;
    host.linked_with(peer("alice")).await;
    linked.send(()).unwrap();
    let old = old.await.unwrap();
    within(BACK, "the restarted peer in two-way chat", async {
        let mut alice = Setup::of("alice").knowing_node(&host).start().await;
        alice.linked_with(peer("host")).await;
        they_chat(&mut alice, &mut host, "restart").await;
        they_chat(&mut host, &mut alice, "restart, the other way").await;
    })
    .await;
    bury(old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_a_profile_the_newer_chats_on() {
    let _lock = in_company();
    let mut host = honest("host").await;
    let mut older = Setup::of("alice").knowing_node(&host).start().await;
    older.linked_with(peer("host")).await;
    let mut newer = Setup::of("alice").knowing_node(&host).start().await;
    let ended = older.event("the end of the older copy", |event| match event {
        NodeEvent::Ended(refusal) => Some(refusal.clone()),
        _other => None,
    });
    assert_eq!(ended.await.map(|refusal| refusal.code), Some(RefusalCode::Superseded));
    newer.linked_with(peer("host")).await;
    they_chat(&mut newer, &mut host, "the copy").await;
    assert!(!newer.event_until(QUIET, |event| matches!(event, NodeEvent::Ended(_))).await);
}

//! Three Rejects close a link; what was nobody's to see closes none.

use lanyard_node::Status;
use lanyard_node::status::Mode;
use lanyard_protocol::engine::Topic;
use lanyard_protocol::hello::VerdictCode;
use lanyard_protocol::ids::Role;
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::testing::{account, sanction};
use lanyard_protocol::ticket::{Claims, Ticket};

use crate::cast::{
    Setup, claims, hello, honest, in_company, key, now_ms, peer, policy, they_chat, ticket,
};
use crate::member::{Renegade, Seen, message, message_with};
use crate::raw::{only_verdict, shown};

const HOUR_MS: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_rejects_close_the_link_and_shut_the_gate() {
    let _lock = in_company();
    let mut host = honest("host").await;
    let mut friend = Setup::of("friend").knowing_node(&host).start().await;
    friend.linked_with(peer("host")).await;
    let mut renegade = Renegade::join("mallory", &host, Topic::Mesh).await;
    for garbage in [vec![0x5a; 100], vec![0x5a; 200]] {
        renegade.publishes(Topic::Mesh, garbage).await;
    }
    renegade.says("still linked").await;
    host.hears("still linked").await;
    assert!(!renegade.so_far().contains(&Seen::Unlinked));
    renegade
        .publishes(Topic::Mesh, message_with(ticket("bob"), "mallory", |_| {}).to_gossip())
        .await;
    renegade.sees(|seen| *seen == Seen::Unlinked).await;
    host.unlinked_from(peer("mallory")).await;
    let said = shown(host.address, &key("mallory"), &hello("mallory").to_frame()).await;
    assert_eq!(only_verdict(&said), VerdictCode::Denied);
    they_chat(&mut host, &mut friend, "without mallory").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_sent_rubbish_is_left_out_and_messages_go_around_it() {
    let _lock = in_company();
    let mut host = honest("host").await;
    let mut friend = Setup::of("friend").knowing_node(&host).start().await;
    friend.linked_with(peer("host")).await;
    let renegade = Renegade::join("mallory", &host, Topic::Mesh).await;
    let direct = |status: &Status| status.roster.len() == 3 && status.mode == Mode::Direct;
    host.sees("everybody", direct).await;
    for garbage in [vec![0x5a; 100], vec![0x5a; 200]] {
        renegade.publishes(Topic::Mesh, garbage).await;
    }
    host.sees("the detour", |status| status.mode == Mode::Mesh).await;
    they_chat(&mut host, &mut friend, "past mallory").await;
}

/// Genuine messages that an honest node may have forwarded, because it knew less or its clock was a little off.
fn not_the_forwarders_fault() -> Vec<(&'static str, Vec<u8>)> {
    let now = now_ms();
    let long_since = Claims { issued_at_s: now / 1_000 - 7_200, ..claims("bob") };
    let long_since = || Ticket::issue(long_since.clone(), &key("realm"));
    let authority = Claims { role: Role::Authority, ..claims("bob") };
    let authority = Ticket::issue(authority, &key("realm"));
    vec![
        ("old", message_with(long_since(), "bob", |it| it.sent_at = now - HOUR_MS).to_gossip()),
        ("ahead", message_with(ticket("bob"), "bob", |it| it.sent_at = now + HOUR_MS).to_gossip()),
        ("before its ticket", message_with(ticket("bob"), "bob", |it| it.sent_at = 5).to_gossip()),
        ("too long", message("bob", &"x".repeat(5_000)).to_gossip()),
        ("muted", message("muted", "hear me").to_gossip()),
        ("banned", message("banned", "hear me").to_gossip()),
        ("of no room", message_with(ticket("bob"), "bob", |it| it.room = "x".into()).to_gossip()),
        ("by the authority", message_with(authority, "bob", |_| {}).to_gossip()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_forwards_what_it_could_not_judge_is_never_closed() {
    let _lock = in_company();
    let rules = policy(|policy| {
        let from = policy.issued_at;
        policy.sanctions = vec![
            sanction(SanctionKind::Mute, account("muted"), from, None),
            sanction(SanctionKind::Ban, account("banned"), from, None),
        ];
    });
    let mut host = Setup::of("host").under(rules).start().await;
    let mut forwarder = Renegade::join("forwarder", &host, Topic::Mesh).await;
    for (what, bytes) in not_the_forwarders_fault() {
        for topic in [Topic::Mesh, Topic::Direct] {
            forwarder.publishes(topic, bytes.clone()).await;
        }
        let after = format!("after {what}");
        forwarder.says(&after).await;
        host.hears(&after).await;
    }
    assert!(!forwarder.so_far().contains(&Seen::Unlinked));
    assert_eq!(host.stored().await.len(), not_the_forwarders_fault().len(), "only what came after");
}

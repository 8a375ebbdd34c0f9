//! What is forged, tampered with or too large is shown nowhere, and what is genuine is shown as often as it was said.

use lanyard_protocol::cose::{self, Kind};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::ticket::{Claims, Ticket};
use lanyard_protocol::wire::Pair;

use crate::cast::{Honest, Setup, alone, claims, honest, in_company, key, peer, they_chat, ticket};
use crate::frames::Scribe;
use crate::hostile_member_watch::resident_mib;
use crate::member::{Renegade, message, message_with};

/// Of 100 KB each.
const MESSAGES: u32 = 500;
/// What waits on its way, at both ends, is in it.
const GROWTH_MIB_MAX: u64 = 25;

/// A node that a renegade can reach, and one behind it.
async fn two_honest() -> (Honest, Honest) {
    let near = honest("near").await;
    let far = Setup::of("far").knowing_node(&near).start().await;
    far.linked_with(peer("near")).await;
    (near, far)
}

/// Bytes that no honest node may take for a message.
pub(crate) fn forgeries() -> Vec<(&'static str, Vec<u8>)> {
    let genuine = message("bob", "genuine").to_gossip();
    let text_at = genuine.windows(7).position(|part| part == b"genuine").unwrap();
    let mut tampered = genuine.clone();
    tampered[text_at..text_at + 7].copy_from_slice(b"forged!");
    let mut broken = genuine.clone();
    *broken.last_mut().unwrap() ^= 1;
    let said_by_bob = message("bob", "forged");
    let (bobs, carols) = (ticket("bob"), ticket("carol"));
    let other_ticket = Pair { ticket: carols.as_bytes(), object: said_by_bob.as_bytes() };
    // The same key, and other names.
    let renamed =
        Ticket::issue(Claims { nickname: "king".to_owned(), ..claims("bob") }, &key("realm"));
    let renamed = Pair { ticket: renamed.as_bytes(), object: said_by_bob.as_bytes() }.to_bytes();
    let huge = cose::sign(Kind::Message, &key("bob"), &[0x5a; 20_000]);
    let huge = Pair { ticket: bobs.as_bytes(), object: &huge };
    let self_issued = Ticket::issue(claims("bob"), &key("bob"));
    let mut other_realm = claims("bob");
    other_realm.realm = peer("other realm");
    let other_realm = Ticket::issue(other_realm, &key("other realm"));
    vec![
        ("a tampered text", tampered),
        ("a broken signature", broken),
        ("bob's ticket, another's key", message_with(ticket("bob"), "eve", |_| {}).to_gossip()),
        ("bob's message, another's ticket", other_ticket.to_bytes()),
        ("bob's message, another ticket of bob's", renamed),
        ("a self-issued ticket", message_with(self_issued, "bob", |_| {}).to_gossip()),
        ("another realm's ticket", message_with(other_realm, "bob", |_| {}).to_gossip()),
        ("a byte too many", [genuine.as_slice(), &[0]].concat()),
        ("20 kB", huge.to_bytes()),
        ("garbage", vec![0x5a; 700]),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_message_is_shown_at_no_honest_node() {
    let _lock = in_company();
    let (mut near, mut far) = two_honest().await;
    let mut genuine = Vec::new();
    for (what, bytes) in forgeries() {
        // A new renegade each time: two Rejects leave its link standing.
        let renegade = Renegade::join(what, &near, Topic::Mesh).await;
        renegade.is_forwarded_to(&mut far).await;
        renegade.publishes(Topic::Mesh, bytes.clone()).await;
        renegade.publishes(Topic::Direct, bytes).await;
        let after = format!("after {what}");
        renegade.says(&after).await;
        near.hears(&after).await;
        far.hears(&after).await;
        genuine.push(after);
    }
    for honest in [&near, &far] {
        let mut stored = honest.stored().await;
        stored.retain(|text| text != "is anybody there?");
        assert_eq!(stored, genuine);
    }
    they_chat(&mut near, &mut far, "at last").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fills_a_whole_gossip_frame_harms_nobody_else() {
    let _lock = in_company();
    let (mut near, mut far) = two_honest().await;
    let renegade = Renegade::join("mallory", &near, Topic::Mesh).await;
    for _time in 0..5 {
        renegade.publishes(Topic::Mesh, vec![0x5a; 200_000]).await;
    }
    they_chat(&mut near, &mut far, "meanwhile").await;
    assert_eq!(far.stored().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_shown_once_and_a_repeated_text_twice() {
    let _lock = in_company();
    let (near, mut far) = two_honest().await;
    let renegade = Renegade::join("mallory", &near, Topic::Mesh).await;
    let other = Renegade::join("marvin", &near, Topic::Mesh).await;
    renegade.is_forwarded_to(&mut far).await;
    let once = message("bob", "once").to_gossip();
    for topic in [Topic::Mesh, Topic::Direct, Topic::Mesh] {
        renegade.publishes(topic, once.clone()).await;
        other.publishes(topic, once.clone()).await;
    }
    near.says("twice").await;
    near.says("twice").await;
    near.says("and so on").await;
    renegade.says("the end").await;
    other.says("the other end").await;
    far.hears("and so on").await;
    far.hears("the end").await;
    far.hears("the other end").await;
    for honest in [&near, &far] {
        let stored = honest.stored().await;
        let count = |text: &str| stored.iter().filter(|stored| *stored == text).count();
        assert_eq!((count("once"), count("twice")), (1, 2), "{stored:?}");
    }
    let shown = far.heard.iter().filter(|message| message.body.text == "once").count();
    assert_eq!(shown, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_on_another_topic_do_not_silence_a_message() {
    let _lock = in_company();
    let (mut near, mut far) = two_honest().await;
    let renegade = Renegade::join("mallory", &near, Topic::Mesh).await;
    renegade.is_forwarded_to(&mut far).await;
    let real = message("bob", "the real one").to_gossip();
    renegade.publishes(Topic::Control, real.clone()).await;
    renegade.publishes(Topic::Mesh, real).await;
    assert_eq!(near.hears("the real one").await.username, "bob");
    assert_eq!(far.hears("the real one").await.username, "bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_a_topic_that_nobody_knows_is_not_kept() {
    // Memory is counted of the whole process.
    let _lock = alone();
    let hosts = [honest("near").await];
    let scribe = Scribe::join("mallory", &hosts).await;
    let before = resident_mib();
    for n in 0..MESSAGES {
        let mut large = vec![0x5a; 100_000];
        large[..4].copy_from_slice(&n.to_be_bytes());
        scribe.writes(&format!("elsewhere {n}"), &large).await;
    }
    let end = message("mallory", "the end");
    scribe.writes(&Topic::Mesh.path(&peer("realm")), &end.to_gossip()).await;
    let [mut host] = hosts;
    host.hears("the end").await;
    let after = resident_mib();
    assert!(after.saturating_sub(before) < GROWTH_MIB_MAX, "{before} MiB, then {after}");
    scribe.ends().await;
}

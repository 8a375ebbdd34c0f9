//! The login node's own peer reads no chat.

use lanyard_protocol::engine::Topic;

use crate::cast::{Setup, in_company, peer, they_chat};
use crate::member::{Renegade, Seen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_peer_hears_control_and_no_messages() {
    let _lock = in_company();
    let member = Setup::of("member").authority().start().await;
    let mut alice = Setup::of("alice").knowing_node(&member).start().await;
    let mut bob = Setup::of("bob").knowing_node(&member).knowing_node(&alice).start().await;
    for honest in [&alice, &bob] {
        honest.sees("the login node", |status| status.rendezvous_online).await;
    }
    bob.linked_with(peer("alice")).await;
    let mut guest = Renegade::join("mallory", &member, Topic::Control).await;
    for turn in 0..10 {
        they_chat(&mut alice, &mut bob, &format!("turn {turn}")).await;
    }
    guest.says("hear me").await;
    // The member speaks on control after all that; by then it has said what else it is subscribed to.
    let heard = |seen: &Seen| matches!(seen, Seen::Heard(topic, _) if *topic == Topic::Control.path(&peer("realm")));
    guest.sees(heard).await;
    for topic in [Topic::Direct, Topic::Mesh] {
        assert!(
            !guest.so_far().contains(&Seen::Subscribed(topic.path(&peer("realm")))),
            "{topic:?}"
        );
    }
    assert_eq!(member.status().messages, 0);
    assert_eq!(member.stored().await, Vec::<String>::new());
    assert_eq!(alice.stored().await.len(), 20);
}

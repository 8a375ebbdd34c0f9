//! Moderations and the operator's policy, as running peers see them.

use std::time::Duration;

use lanyard_node::{ModerateError, NodeEvent, RefusalCode, SendError};
use lanyard_protocol::cose::public_key;
use lanyard_protocol::engine::{ModerationRefused, NewModeration, SendRefused, Topic};
use lanyard_protocol::ids::Role;
use lanyard_protocol::message::Draft;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::policy::{LOBBY, Policy, Sanction, SanctionKind, SignedPolicy};
use lanyard_protocol::testing::{account, sanction};

use crate::cast::{
    Honest, Setup, honest, in_company, key, now_ms, peer, policy, they_chat, ticket,
};
use crate::member::{Renegade, message_with};

const MINUTE_MS: u64 = 60_000;

fn given(kind: ModerationKind, whom: &str, for_ms: Option<u64>, reason: &str) -> NewModeration {
    NewModeration { kind, account: account(whom), for_ms, reason: reason.to_owned() }
}

/// A moderator, and two members who know each other.
async fn three() -> (Honest, Honest, Honest) {
    let moderator = Setup::of("mod").role(Role::Moderator).start().await;
    let alice = Setup::of("alice").knowing_node(&moderator).start().await;
    let bob = Setup::of("bob").knowing_node(&moderator).knowing_node(&alice).start().await;
    for (one, other) in [(&moderator, "alice"), (&moderator, "bob"), (&alice, "bob")] {
        one.linked_with(peer(other)).await;
    }
    (moderator, alice, bob)
}

async fn hears_moderation(honest: &mut Honest, kind: ModerationKind) -> (String, String) {
    let moderation = honest.event("a moderation", |event| match event {
        NodeEvent::Moderation(moderation) if moderation.content().kind == kind => {
            Some(moderation.clone())
        }
        _other => None,
    });
    let moderation = moderation.await;
    assert_eq!(moderation.content().sub, account("bob"));
    (moderation.ticket().claims().username.clone(), moderation.content().reason.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moderator_mutes_and_lifts_and_all_peers_hear_of_it() {
    let _lock = in_company();
    let (mut moderator, mut alice, mut bob) = three().await;
    let target = moderator.node.account_of("bob").await.unwrap().unwrap();
    assert_eq!(target, account("bob"));
    let mute = given(ModerationKind::Mute, "bob", Some(10 * MINUTE_MS), "too loud");
    let mute = moderator.node.moderate(mute);
    mute.await.unwrap();
    for honest in [&mut moderator, &mut alice, &mut bob] {
        assert_eq!(
            hears_moderation(honest, ModerationKind::Mute).await,
            ("mod".into(), "too loud".into())
        );
    }
    let muted = bob.sees("the mute", |status| status.mute.is_some()).await.mute.unwrap();
    assert_eq!((muted.moderator.as_deref(), muted.reason.as_str()), (Some("mod"), "too loud"));
    assert!(muted.until.is_some_and(|until| until > now_ms() + 9 * MINUTE_MS));
    let said = bob.node.send(Draft::new(LOBBY, "hear me")).await;
    assert!(
        matches!(said, Err(SendError::Refused(SendRefused::Muted { until: Some(_) }))),
        "{said:?}"
    );
    they_chat(&mut alice, &mut moderator, "meanwhile").await;

    moderator.node.moderate(given(ModerationKind::Lift, "bob", None, "")).await.unwrap();
    hears_moderation(&mut bob, ModerationKind::Lift).await;
    bob.sees("the end of the mute", |status| status.mute.is_none()).await;
    they_chat(&mut bob, &mut alice, "after the mute").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moderator_bans_and_the_banned_is_told_by_whom_and_why() {
    let _lock = in_company();
    let (mut moderator, mut alice, mut bob) = three().await;
    bob.says("before the ban").await;
    alice.hears("before the ban").await;
    moderator.hears("before the ban").await;
    let ban = moderator.node.moderate(given(ModerationKind::Ban, "bob", None, "spam"));
    ban.await.unwrap();
    let refusal = bob.event("the end", |event| match event {
        NodeEvent::Ended(refusal) => Some(refusal.clone()),
        _other => None,
    });
    let refusal = refusal.await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Banned);
    assert!(refusal.reason.contains("the moderator mod"), "{}", refusal.reason);
    assert!(refusal.reason.contains("spam"), "{}", refusal.reason);
    alice.unlinked_from(peer("bob")).await;
    assert_eq!(alice.stored().await, ["before the ban"], "what was valid stays");

    // What he said before, and what comes only now, is held and folded.
    let late = message_with(ticket("bob"), "bob", |content| {
        content.sent_at = now_ms() - MINUTE_MS;
        content.body.text = "said before, heard now".to_owned();
    });
    let after =
        message_with(ticket("bob"), "bob", |content| content.body.text = "a ghost".to_owned());
    let renegade = Renegade::join("mallory", &alice, Topic::Mesh).await;
    renegade.publishes(Topic::Mesh, after.to_gossip()).await;
    renegade.publishes(Topic::Mesh, late.to_gossip()).await;
    assert!(alice.hears("said before, heard now").await.folded);
    let mine = alice.node.unread(LOBBY).await.unwrap().1;
    assert_eq!(mine, 1, "a folded line is not unread");
    assert_eq!(alice.stored().await, ["said before, heard now", "before the ban"]);
}

/// How often alice may still be new to the room: she believes any date until a round over all windows has ended.
const NEW_FOR_MAX: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_muted_person_dates_back_is_folded() {
    let _lock = in_company();
    let (moderator, mut alice, _bob) = three().await;
    let renegade = Renegade::join("mallory", &alice, Topic::Mesh).await;
    for turn in 0..NEW_FOR_MAX {
        let mute = given(ModerationKind::Mute, "bob", Some(10 * MINUTE_MS), "too loud");
        moderator.node.moderate(mute).await.unwrap();
        hears_moderation(&mut alice, ModerationKind::Mute).await;
        let text = format!("said eleven seconds ago, turn {turn}");
        let late = message_with(ticket("bob"), "bob", |content| {
            content.sent_at = now_ms() - 11_000;
            content.body.text.clone_from(&text);
        });
        renegade.publishes(Topic::Mesh, late.to_gossip()).await;
        if alice.hears(&text).await.folded {
            return;
        }
        moderator.node.moderate(given(ModerationKind::Lift, "bob", None, "")).await.unwrap();
        hears_moderation(&mut alice, ModerationKind::Lift).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    panic!("alice still believes every date");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moderation_without_effect_is_refused_with_a_reason() {
    let _lock = in_company();
    let (moderator, alice, _bob) = three().await;
    let refused = async |honest: &Honest, kind, whom, for_ms, reason: &str| match honest
        .node
        .moderate(given(kind, whom, for_ms, reason))
        .await
    {
        Err(ModerateError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let ban = ModerationKind::Ban;
    let hour = Some(60 * MINUTE_MS);
    assert_eq!(refused(&alice, ban, "bob", hour, "").await, ModerationRefused::NotAModerator);
    assert_eq!(refused(&moderator, ban, "mod", hour, "").await, ModerationRefused::Oneself);
    let too_long = Some(25 * 60 * MINUTE_MS);
    assert_eq!(refused(&moderator, ban, "bob", too_long, "").await, ModerationRefused::TooLong);
    let lift = refused(&moderator, ModerationKind::Lift, "bob", None, "").await;
    assert_eq!(lift, ModerationRefused::NothingToLift);
    let wordy = refused(&moderator, ban, "bob", hour, &"x".repeat(201)).await;
    assert!(matches!(wordy, ModerationRefused::Reason { bytes: 201, max: 200 }), "{wordy:?}");
    assert_eq!(alice.node.account_of("nobody").await.unwrap(), None);
}

/// The next policy and its head.
fn next(number: u64, change: impl FnOnce(&mut Policy)) -> (SignedPolicy, Vec<u8>) {
    let signed = policy(|policy| {
        policy.number = number;
        change(policy);
    });
    let head = signed.sign_head(&key("realm"));
    (signed, head)
}

async fn reloads(honest: &mut Honest) {
    honest.event("a reload", |event| matches!(event, NodeEvent::Reload).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backdated_ban_removes_comes_back_when_lifted() {
    let _lock = in_company();
    let mut alice = honest("alice").await;
    let mut carol = Setup::of("carol").knowing_node(&alice).start().await;
    carol.linked_with(peer("alice")).await;
    let spam = message_with(ticket("bob"), "bob", |content| content.body.text = "spam".to_owned());
    let renegade = Renegade::join("mallory", &alice, Topic::Mesh).await;
    renegade.publishes(Topic::Mesh, spam.to_gossip()).await;
    alice.hears("spam").await;
    carol.hears("spam").await;
    they_chat(&mut alice, &mut carol, "talk").await;
    let talk = ["talk, there", "talk, back"].map(str::to_owned).to_vec();

    let since = Sanction {
        reason: "spam".into(),
        ..sanction(SanctionKind::Ban, account("bob"), now_ms() - 60 * MINUTE_MS, None)
    };
    let (banned, head) = next(2, |policy| policy.sanctions = vec![since]);
    alice.node.publish_policy(banned, head).await.unwrap();
    for honest in [&mut alice, &mut carol] {
        reloads(honest).await;
        assert_eq!(honest.stored().await, talk);
        honest.sees("two messages", |status| status.messages == 2).await;
    }
    let (lifted, head) = next(3, |_policy| {});
    alice.node.publish_policy(lifted, head).await.unwrap();
    for honest in [&mut alice, &mut carol] {
        reloads(honest).await;
        assert_eq!(honest.stored().await, [&["spam".to_owned()][..], &talk].concat());
        honest.sees("three messages", |status| status.messages == 3).await;
    }
    assert_eq!(public_key(&key("bob")), peer("bob"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_shown_as_away_until_back_at_the_device() {
    let _lock = in_company();
    let alice = honest("alice").await;
    let bob = Setup::of("bob").knowing_node(&alice).start().await;
    bob.linked_with(peer("alice")).await;
    let away = |status: &lanyard_node::Status| {
        status.roster.get(&account("bob")).is_some_and(|person| person.away)
    };
    bob.node.set_status("away").await.unwrap();
    alice.sees("away", away).await;
    bob.sees("itself away", away).await;
    bob.node.set_status("here").await.unwrap();
    alice.sees("here again", |status| !away(status)).await;
}

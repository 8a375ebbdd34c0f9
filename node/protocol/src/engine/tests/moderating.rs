//! Moderations: given, refused with a reason, obeyed, contradicted, lifted and settled.

use super::harness::{
    Peer, closed, config_of, ended, millis, policy, published, seconds, text_by, ticket_of, verdict,
};
use crate::engine::{
    AskId, EndReason, Event, Input, ModerationRefused, NewModeration, Output, Topic,
};
use crate::history::Maker;
use crate::ids::{AccountId, Role};
use crate::limits::{MODERATION_MS_MAX, MODERATIONS_PER_DAY, MODERATIONS_PER_MINUTE};
use crate::moderation::{ModerationKind, SignedModeration};
use crate::policy::{Settlement, SettlementVerdict};
use crate::reconcile::{BatchBuilder, ItemSet, SetName, SyncReply, SyncRequest, frames_to_bytes};
use crate::testing::{self, T0, WEEK_S};
use crate::time::RealmClock;
use crate::verdict::Acceptance;

fn account(number: u8) -> AccountId {
    testing::account(&format!("user{number}"))
}

fn moderator(number: u8) -> Peer {
    let mut config = config_of(number);
    config.ticket = ticket_of(number, |claims| claims.role = Role::Moderator);
    let (mut peer, _outputs) = Peer::start(config);
    peer.link(1, 3);
    peer.link(2, 4);
    peer
}

fn give(peer: &mut Peer, kind: ModerationKind, on: u8, for_ms: Option<u64>) -> Vec<Output> {
    let moderation = NewModeration { kind, account: account(on), for_ms, reason: "loud".into() };
    peer.feed(Input::Moderation { request: 9, moderation })
}

fn refusal(outputs: &[Output]) -> Option<ModerationRefused> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::Moderated { request: 9, result: Err(refused) }) => {
            Some(refused.clone())
        }
        _other => None,
    })
}

fn ordered(outputs: &[Output]) -> Vec<SignedModeration> {
    let moderation_of = |output: &Output| match output {
        Output::StoreModeration(moderation) => Some((**moderation).clone()),
        _other => None,
    };
    outputs.iter().filter_map(moderation_of).collect()
}

#[test]
fn r122_a_mute_by_a_moderator_is_kept_published_and_obeyed() {
    let mut judge = moderator(2);
    let outputs = give(&mut judge, ModerationKind::Mute, 4, Some(600_000));
    assert_eq!(refusal(&outputs), None);
    assert_eq!(ordered(&outputs).len(), 1);
    let bytes = published(&outputs, Topic::Control).pop().unwrap();

    let mut other = Peer::new(5);
    other.link(1, 2);
    assert_eq!(verdict(&other.gossip(2, Topic::Control, &bytes)), Acceptance::Accept);
    assert_eq!(verdict(&other.gossip(2, Topic::Control, &bytes)), Acceptance::Ignore);
    let said = text_by(4, "still here", T0);
    assert_eq!(verdict(&other.gossip(2, Topic::Mesh, &said)), Acceptance::Ignore);
    assert_eq!(verdict(&other.gossip(2, Topic::Mesh, &text_by(3, "hi", T0))), Acceptance::Accept);
}

#[test]
fn r122_a_slow_clock_does_not_delay_a_ban() {
    let slow = |number| {
        let mut config = config_of(number);
        config.clock = RealmClock::restored(-40, 0);
        let (mut peer, _outputs) = Peer::start(config);
        peer.link(1, 2);
        peer.advance(seconds(2));
        peer
    };
    let (mut judge, mut banned, mut other) = (moderator(2), slow(4), slow(5));
    other.link(2, 4);
    judge.advance(seconds(2));
    let outputs = give(&mut judge, ModerationKind::Ban, 4, None);
    let bytes = published(&outputs, Topic::Control).pop().unwrap();
    assert_eq!(ended(&banned.gossip(2, Topic::Control, &bytes)), []);
    other.gossip(2, Topic::Control, &bytes);
    assert_eq!(ended(&banned.advance(millis(39))), []);
    assert_eq!(ended(&banned.advance(millis(1))).len(), 1);
    assert_eq!(closed(&other.advance(seconds(1))), [2]);
}

#[test]
fn r122_a_ban_closes_links_and_ends_the_banned() {
    let mut judge = moderator(2);
    let outputs = give(&mut judge, ModerationKind::Ban, 4, None);
    let bytes = published(&outputs, Topic::Control).pop().unwrap();
    assert_eq!(closed(&judge.advance(seconds(1))), [2]);
    let mut banned = Peer::new(4);
    banned.link(1, 2);
    let reason = EndReason::Banned {
        reason: "loud".into(),
        by: Maker::Moderator("user2".into()),
        until: Some(T0 + MODERATION_MS_MAX),
    };
    assert_eq!(ended(&banned.gossip(2, Topic::Control, &bytes)), [reason]);
}

#[test]
fn r122_a_refused_moderation_has_a_reason_and_leaves_no_trace() {
    let mut member = Peer::new(2);
    let refused = give(&mut member, ModerationKind::Mute, 4, None);
    assert_eq!(refusal(&refused), Some(ModerationRefused::NotAModerator));

    let mut judge = moderator(2);
    let day_and_more = give(&mut judge, ModerationKind::Ban, 4, Some(MODERATION_MS_MAX + 1));
    assert_eq!(refusal(&day_and_more), Some(ModerationRefused::TooLong));
    let oneself = give(&mut judge, ModerationKind::Ban, 2, None);
    assert_eq!(refusal(&oneself), Some(ModerationRefused::Oneself));
    let nothing = give(&mut judge, ModerationKind::Lift, 4, None);
    assert_eq!(refusal(&nothing), Some(ModerationRefused::NothingToLift));
    let hello = crate::hello::Hello {
        ticket: ticket_of(6, |claims| claims.role = Role::Admin).as_bytes().to_vec(),
        ..super::harness::hello_of(6)
    };
    judge.link_with(6, 6, hello);
    let above = give(&mut judge, ModerationKind::Mute, 6, None);
    assert_eq!(refusal(&above), Some(ModerationRefused::AboveModeration));
    let moderation = NewModeration {
        kind: ModerationKind::Mute,
        account: account(4),
        for_ms: None,
        reason: "x".repeat(201),
    };
    let wordy = judge.feed(Input::Moderation { request: 9, moderation });
    assert_eq!(refusal(&wordy), Some(ModerationRefused::Reason { bytes: 201, max: 200 }));
    for outputs in [refused, day_and_more, oneself, nothing, above, wordy] {
        assert!(ordered(&outputs).is_empty() && published(&outputs, Topic::Control).is_empty());
    }
    judge.advance(seconds(WEEK_S));
    let late = give(&mut judge, ModerationKind::Mute, 4, None);
    assert_eq!(refusal(&late), Some(ModerationRefused::Expired));
}

#[test]
fn r122_the_eleventh_order_in_a_minute_has_no_effect() {
    let mut judge = moderator(2);
    for number in 0..MODERATIONS_PER_MINUTE {
        judge.advance(seconds(1));
        let outputs = give(&mut judge, ModerationKind::Mute, 4, Some(1_000));
        assert_eq!(refusal(&outputs), None, "{number}");
    }
    judge.advance(seconds(1));
    let outputs = give(&mut judge, ModerationKind::Mute, 4, Some(1_000));
    assert_eq!(refusal(&outputs), Some(ModerationRefused::TooMany));
    judge.advance(seconds(60));
    assert_eq!(refusal(&give(&mut judge, ModerationKind::Mute, 4, Some(1_000))), None);
}

#[test]
fn r122_the_501st_moderation_of_a_day_is_refused() {
    let mut judge = moderator(2);
    // From the beginning of a day on.
    judge.advance(millis(86_400_000 - T0 % 86_400_000));
    for number in 0..MODERATIONS_PER_DAY {
        judge.advance(seconds(7));
        let outputs = give(&mut judge, ModerationKind::Mute, 4, Some(1_000));
        assert_eq!(refusal(&outputs), None, "{number}");
    }
    judge.advance(seconds(60));
    let outputs = give(&mut judge, ModerationKind::Mute, 4, Some(1_000));
    assert_eq!(refusal(&outputs), Some(ModerationRefused::TooManyInADay));
    assert!(ordered(&outputs).is_empty() && published(&outputs, Topic::Control).is_empty());
    judge.advance(seconds(86_400));
    assert_eq!(refusal(&give(&mut judge, ModerationKind::Mute, 4, Some(1_000))), None);
}

#[test]
fn r123_moderations_of_one_instant_keep_their_order() {
    let mut judge = moderator(2);
    for number in 0..MODERATIONS_PER_MINUTE / 2 {
        for kind in [ModerationKind::Mute, ModerationKind::Lift] {
            assert_eq!(refusal(&give(&mut judge, kind, 4, None)), None, "{number} {kind:?}");
        }
    }
}

#[test]
fn r123_contradicting_moderators_settle_alike_everywhere() {
    let moderation =
        |kind, from| testing::moderation(kind, "user4", from, from + 60_000).to_gossip();
    let mute = moderation(ModerationKind::Mute, T0);
    let lift = moderation(ModerationKind::Lift, T0 + 1);
    for moderations in [[&mute, &lift], [&lift, &mute]] {
        let mut peer = Peer::new(5);
        peer.link(1, 3);
        for bytes in moderations {
            assert_eq!(verdict(&peer.gossip(3, Topic::Control, bytes)), Acceptance::Accept);
        }
        let said = peer.gossip(3, Topic::Mesh, &text_by(4, "lifted", T0 + 2));
        assert_eq!(verdict(&said), Acceptance::Accept);
    }
}

#[test]
fn r124_a_refused_order_is_as_if_it_had_never_been() {
    let mut peer = Peer::new(5);
    peer.link(1, 3);
    assert_eq!(
        verdict(&peer.gossip(3, Topic::Mesh, &text_by(4, "before", T0 + 5))),
        Acceptance::Accept
    );
    let moderation = testing::moderation(ModerationKind::Mute, "user4", T0, T0 + 60_000);
    let condemned = peer.gossip(3, Topic::Control, &moderation.to_gossip());
    let resettled = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Resettle(resettled) => {
                Some((resettled.condemned.len(), resettled.restored.len()))
            }
            _other => None,
        })
    };
    assert_eq!(resettled(&condemned), Some((1, 0)));
    assert_eq!(peer.engine.history().set().len(), 0);
    let settled = policy(2, |policy| {
        let verdict = SettlementVerdict::Refused;
        policy.settled = vec![Settlement { number: moderation.content().number, verdict }];
    });
    let restored = peer.answer_policy(3, Some(settled.as_bytes().to_vec()));
    assert_eq!(resettled(&restored), Some((0, 1)));
    assert_eq!(peer.engine.history().set().len(), 1);
}

#[test]
fn r126_the_authority_peer_asks_for_moderations_only() {
    let mut config = config_of(7);
    config.ticket = ticket_of(7, |claims| claims.role = Role::Authority);
    let (mut member, _outputs) = Peer::start(config);
    member.link(1, 3);
    let asked = |outputs: &[Output]| -> Vec<(AskId, SyncRequest)> {
        let ask_of = |output: &Output| match output {
            Output::Ask { ask, bytes, .. } => Some((*ask, SyncRequest::parse(bytes).unwrap())),
            _other => None,
        };
        outputs.iter().filter_map(ask_of).collect()
    };
    let moderation = testing::moderation(ModerationKind::Mute, "user4", T0, T0 + 60_000);
    let items = ItemSet::new([(T0, moderation.id())]);
    let mut outputs = member.advance(seconds(1));
    let mut heard = Vec::new();
    while let Some((ask, request)) = asked(&outputs)
        .into_iter()
        .find(|(_ask, request)| !matches!(request, SyncRequest::PolicyNumber(_)))
    {
        let body = match request {
            SyncRequest::Reconcile { set: SetName::Moderations, windows } => {
                frames_to_bytes(&[items.respond(&windows[0].frame, 60_000).unwrap()])
            }
            SyncRequest::Get { set: SetName::Moderations, .. } => {
                let mut batch = BatchBuilder::default();
                batch.push(moderation.ticket().as_bytes(), moderation.as_bytes());
                batch.finish().to_bytes()
            }
            other => panic!("the member asks for {other:?}"),
        };
        let bytes = Some(SyncReply::Ok(body).to_bytes());
        outputs = member.feed(Input::Answered { ask, bytes });
        heard.extend(ordered(&outputs));
    }
    assert_eq!(heard, [moderation]);
}

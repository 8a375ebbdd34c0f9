//! The history of the set as properties: one set, whatever came first, and the same as a naive model of it.

use std::sync::{Arc, LazyLock};

use lanyard_protocol::cose::public_key;
use lanyard_protocol::history::History;
use lanyard_protocol::ids::{MessageId, Role};
use lanyard_protocol::limits::MODERATIONS_PER_DAY;
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::moderation::{Moderation, ModerationKind, SignedModeration};
use lanyard_protocol::policy::{
    LOBBY, Limits, Policy, RoomRules, SanctionKind, Settlement, SettlementVerdict,
};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::Ticket;
use proptest::prelude::*;
use proptest::sample::Index;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::model::{Model, place};

/// A day's begin shortly before which and after which the messages are sent.
const MIDNIGHT: u64 = T0 - T0 % 86_400_000 + 86_400_000;

fn cases() -> u32 {
    // Ten thousand take minutes in a build without optimisation: that is for the soak.
    if std::env::var_os("LANYARD_SOAK").is_some() { 10_000 } else { 250 }
}

fn ticket(name: &str, device: u8, role: Role) -> Arc<Ticket> {
    let key = testing::key(device);
    let mut claims = testing::claims(&testing::key(1), &key, name);
    claims.role = role;
    Arc::new(Ticket::issue(claims, &testing::key(1)))
}

/// Messages of five devices around midnight, some at the same instant, one pair with the same number.
static MESSAGES: LazyLock<Vec<VerifiedMessage>> = LazyLock::new(|| {
    let authors = [
        ("alice", 10, Role::Member),
        ("alice", 11, Role::Member),
        ("bob", 12, Role::Guest),
        ("bob", 12, Role::Member),
        ("mod", 13, Role::Moderator),
    ];
    let mut messages = Vec::new();
    for (name, device, role) in authors {
        let ticket = ticket(name, device, role);
        for n in 0..40u64 {
            let content = Content {
                room: if n % 7 == 0 { "den" } else { LOBBY }.to_owned(),
                session: n % 3,
                seq: n / 2,
                sent_at: MIDNIGHT - 120_000 + n * 5_500 - n % 2,
                body: "x".repeat(usize::try_from(n % 12).unwrap() + 1).into(),
            };
            let author =
                VerifiedMessage::author(content, Arc::clone(&ticket), &testing::key(device));
            messages.push(author.unwrap());
        }
    }
    messages
});

/// Moderations of two moderators on everybody, some of them contradicting each other, some by somebody who is none.
static MODERATIONS: LazyLock<Vec<SignedModeration>> = LazyLock::new(|| {
    let makers =
        [("mod", 13, Role::Moderator), ("eve", 14, Role::Moderator), ("bob", 12, Role::Member)];
    let kinds = [ModerationKind::Mute, ModerationKind::Ban, ModerationKind::Lift];
    let moderations = (0..36u8).map(|n| {
        let (name, device, role) = makers[usize::from(n) % makers.len()];
        let ticket = ticket(name, device, role);
        let from = MIDNIGHT - 100_000 + u64::from(n) * 4_000;
        let moderation = Moderation {
            realm: ticket.claims().realm,
            ticket: ticket.hash(),
            number: [n; 16],
            kind: kinds[usize::from(n / 3) % kinds.len()],
            sub: testing::account(["alice", "bob", "mod"][usize::from(n / 2) % 3]),
            from,
            until: from + 30_000 + u64::from(n) * 1_000,
            reason: String::new(),
            policy: 1,
        };
        SignedModeration::author(moderation, ticket, &testing::key(device)).unwrap()
    });
    moderations.collect()
});

fn base() -> Policy {
    let mut policy = testing::policy(&testing::key(1));
    let rules =
        Limits { per_minute: 6, guest_per_minute: 4, per_day: 14, ..Limits::default_from(T0) };
    policy.rules = vec![Limits { max_text_bytes: 10, ..rules }];
    policy.rooms.push(RoomRules { name: "den".into(), ..RoomRules::lobby() });
    policy
}

/// Policies as an operator makes them: sanctions that begin or end, limits that change, moderations settled.
fn policies() -> impl Strategy<Value = Policy> {
    let time = || (MIDNIGHT - 130_000)..(MIDNIGHT + 110_000);
    let sanction = (0..4usize, 0..3usize, time(), prop::option::of(1_000..90_000u64));
    let sanctions = prop::collection::vec(sanction, 0..3);
    let rules = prop::collection::vec((time(), 1..9u64, 1..9u64, 1..20u64, 1..12u64), 0..4);
    let archived = prop::option::of(time());
    let settled = prop::collection::vec((0..36u8, any::<bool>()), 0..3);
    (sanctions, rules, archived, settled).prop_map(|(sanctions, rules, archived, settled)| {
        let mut policy = base();
        for (id, (kind, whom, from, lasts)) in (1..).zip(sanctions) {
            let kinds = [
                SanctionKind::Ban,
                SanctionKind::Mute,
                SanctionKind::Revocation,
                SanctionKind::Mute,
            ];
            let whom = testing::account(["alice", "bob", "mod"][whom]);
            let until = lasts.map(|lasts| from + lasts);
            policy.sanctions.push(lanyard_protocol::policy::Sanction {
                id,
                ..testing::sanction(kinds[kind], whom, from, until)
            });
        }
        for (from, per_minute, guest_per_minute, per_day, max_text_bytes) in rules {
            let first = policy.rules[0];
            policy.rules.push(Limits {
                from,
                per_minute,
                guest_per_minute,
                per_day,
                max_text_bytes,
                ..first
            });
        }
        policy.rooms[1].archived_from = archived;
        let verdicts = [SettlementVerdict::Ratified, SettlementVerdict::Refused];
        policy.settled = settled
            .into_iter()
            .map(|(n, ratified)| Settlement {
                number: [n; 16],
                verdict: verdicts[usize::from(ratified)],
            })
            .collect();
        policy
    })
}

#[derive(Debug, Clone)]
enum Step {
    Message(Index),
    Moderation(Index),
    Policy(Box<Policy>),
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => any::<Index>().prop_map(Step::Message),
        2 => any::<Index>().prop_map(Step::Moderation),
        1 => policies().prop_map(|policy| Step::Policy(Box::new(policy))),
    ];
    prop::collection::vec(step, 1..length)
}

fn apply(history: &mut History, step: &Step) {
    match step {
        Step::Message(index) => {
            history.take(index.get(&MESSAGES).clone()).ok();
        }
        Step::Moderation(index) => {
            history.take_moderation(index.get(&MODERATIONS).clone()).ok();
        }
        Step::Policy(policy) => {
            history.adopt_policy(Arc::new((**policy).clone()));
        }
    }
}

fn held(history: &History) -> Vec<(u64, MessageId)> {
    history.set().items(0, u64::MAX).collect()
}

/// Everything that was ever offered comes again, as when somebody still holds it.
fn offer_again(history: &mut History, model: &Model) {
    history.take_moderations(model.offered_moderations().to_vec());
    for message in model.offered() {
        history.take(message.clone()).ok();
    }
}

/// Each gives the others what it holds, until nobody takes anything any more.
fn reconcile(histories: &mut [History]) {
    for _round in 0..50 {
        let before: Vec<_> = histories.iter().map(held).collect();
        let everything: Vec<_> = before.iter().flatten().copied().collect();
        for history in histories.iter_mut() {
            let missing = everything
                .iter()
                .filter(|(at, id)| !history.set().contains(*at, *id))
                .collect::<Vec<_>>();
            for (at, id) in missing {
                if history.wants(*id) {
                    let message = MESSAGES.iter().find(|message| place(message) == (*at, *id));
                    history.take(message.unwrap().clone()).ok();
                }
            }
        }
        if histories.iter().map(held).collect::<Vec<_>>() == before {
            return;
        }
    }
    panic!("the peers do not come to rest");
}

#[test]
fn r45_messages_sort_by_time_author_session_number_id() {
    // Of each pair the first is first, although all that is looked at later says the opposite.
    let key = |time, device, session, seq, text: &str| {
        let (room, text, sent_at) = (LOBBY.to_owned(), text.to_owned(), T0 + time);
        let content = Content { room, session, seq, sent_at, body: text.into() };
        let ticket = ticket("alice", device, Role::Member);
        VerifiedMessage::author(content, ticket, &testing::key(device)).unwrap().order_key()
    };
    let mut devices = [10, 11];
    devices.sort_by_key(|device| public_key(&testing::key(*device)));
    let [low, high] = devices;
    assert!(key(0, high, 9, 9, "x") < key(1, low, 0, 0, "x"), "time");
    assert!(key(0, low, 9, 9, "x") < key(0, high, 0, 0, "x"), "author");
    assert!(key(0, low, 1, 9, "x") < key(0, low, 2, 0, "x"), "session");
    assert!(key(0, low, 1, 1, "x") < key(0, low, 1, 2, "x"), "number");
    let [one, other] = ["one", "other"].map(|text| key(0, low, 1, 1, text));
    assert_eq!(one < other, one.4 < other.4, "id");
    assert_ne!(one, other);
}

#[test]
fn r107_refused_ids_wait_for_a_change_of_the_rules() {
    let mut policy = base();
    policy.rules[0].per_minute = 1;
    let mut history = History::new(Arc::new(policy.clone()));
    let mut of_alice: Vec<_> =
        MESSAGES[..20].iter().filter(|it| it.content().room == LOBBY).collect();
    of_alice.sort_by_key(|message| message.order_key());
    let [first, second, third] = of_alice[..3] else { panic!("three in a minute") };
    assert!(third.content().sent_at / 60_000 == first.content().sent_at / 60_000);
    history.take(second.clone()).unwrap();
    history.take(third.clone()).unwrap_err();
    assert!(!history.wants(third.id()), "refused");
    assert!(history.wants(first.id()), "never seen");
    assert_eq!(history.take(first.clone()).unwrap().displaced, [second.id()]);
    assert!(!history.wants(second.id()), "displaced");
    policy.rules[0].per_minute = 3;
    history.adopt_policy(Arc::new(policy));
    assert!([second, third].iter().all(|message| history.wants(message.id())), "there is room now");
    assert!(history.take(third.clone()).is_ok() && history.take(second.clone()).is_ok());
}

/// More moderations of a day than count, some minutes full and some at the same instant, and a few of the next day.
static MANY_MODERATIONS: LazyLock<Vec<SignedModeration>> = LazyLock::new(|| {
    let ticket = ticket("mod", 13, Role::Moderator);
    let moderations = (0..640u64).map(|n| {
        let minute = MIDNIGHT + n / 12 * 60_000 + if n > 620 { 86_400_000 } else { 0 };
        let mut number = [0; 16];
        number[..8].copy_from_slice(&(n * 7_919 % 640).to_be_bytes());
        let moderation = Moderation {
            realm: ticket.claims().realm,
            ticket: ticket.hash(),
            number,
            kind: ModerationKind::Mute,
            sub: testing::account("alice"),
            from: minute + n % 12 / 2 * 100,
            until: minute + 3_600_000,
            reason: String::new(),
            policy: 1,
        };
        SignedModeration::author(moderation, Arc::clone(&ticket), &testing::key(13)).unwrap()
    });
    moderations.collect()
});

fn in_force(history: &History) -> Vec<(u64, MessageId)> {
    history.rules().moderations().items().collect()
}

#[test]
fn r122_of_a_day_the_smallest_500_moderations_count() {
    let mut history = History::new(Arc::new(base()));
    history.take_moderations(MANY_MODERATIONS.clone());
    let mut model = Model::new(base());
    MANY_MODERATIONS.iter().for_each(|moderation| model.moderation(moderation.clone()));
    let next_day = MIDNIGHT + 86_400_000;
    let of_day = in_force(&history).into_iter().filter(|(from, _id)| *from < next_day).count();
    assert_eq!((of_day, MODERATIONS_PER_DAY), (500, 500));
    assert!(in_force(&history).len() > 510, "the next day has its own");
    let mut counted: Vec<_> = model.moderations_in_force();
    counted.sort_unstable();
    let mut kept: Vec<_> = history
        .rules()
        .moderations()
        .iter()
        .map(|moderation| moderation.content().number)
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, counted);
}

proptest! {
    // Each case takes hundreds of moderations.
    #![proptest_config(ProptestConfig { cases: cases() / 20, ..ProptestConfig::default() })]

    #[test]
    fn r122_the_order_of_arrival_of_orders_changes_nothing(
        seed in any::<u64>(), parts in 1..40usize, policy in policies(),
    ) {
        let mut lots = ChaCha8Rng::seed_from_u64(seed);
        let mut one = History::new(Arc::new(policy.clone()));
        one.take_moderations(MANY_MODERATIONS.clone());
        let mut other = History::new(Arc::new(policy));
        let mut shuffled: Vec<_> = MANY_MODERATIONS.iter().map(|moderation| (lots.next_u64(), moderation)).collect();
        shuffled.sort_by_key(|(lot, _moderation)| *lot);
        for part in shuffled.chunks(shuffled.len().div_ceil(parts)) {
            other.take_moderations(part.iter().map(|(_lot, moderation)| (*moderation).clone()).collect());
        }
        // What was displaced does not come back.
        other.take_moderations(shuffled.iter().map(|(_lot, moderation)| (*moderation).clone()).collect());
        prop_assert_eq!(in_force(&one), in_force(&other));
        let kept = |history: &History| history.rules().moderations().iter().map(SignedModeration::id).collect::<Vec<_>>();
        prop_assert_eq!(kept(&one), kept(&other));
    }
}

#[test]
fn r47_limits_that_change_inside_a_minute_keep_one_set() {
    let mut policy = base();
    let minute = MIDNIGHT + 60_000;
    let limits = Limits { per_minute: 2, per_day: 1, ..policy.rules[0] };
    policy.rules = vec![limits, Limits { from: minute + 30_000, per_day: 3, ..limits }];
    let author = ticket("alice", 10, Role::Member);
    let at = |second: u64| {
        let (room, body, sent_at) = (LOBBY.to_owned(), "x".into(), minute + second * 1_000);
        let content = Content { room, session: 1, seq: second, sent_at, body };
        VerifiedMessage::author(content, Arc::clone(&author), &testing::key(10)).unwrap()
    };
    let held_after = |arrivals: [u64; 3]| {
        let mut history = History::new(Arc::new(policy.clone()));
        for second in arrivals {
            history.take(at(second)).ok();
        }
        held(&history).into_iter().map(|(sent_at, _id)| (sent_at - minute) / 1_000).collect()
    };
    let [one, other]: [Vec<u64>; 2] = [held_after([28, 58, 7]), held_after([28, 7, 58])];
    assert_eq!((one, other), (vec![7], vec![7]), "the new limit applies from the next minute on");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn r46_the_index_is_what_a_naive_model_computes(steps in steps(160)) {
        let mut history = History::new(Arc::new(base()));
        let mut model = Model::new(base());
        for step in &steps {
            apply(&mut history, step);
            match step {
                Step::Message(index) => model.offer(index.get(&MESSAGES)),
                Step::Moderation(index) => {
                    model.moderation(index.get(&MODERATIONS).clone());
                    offer_again(&mut history, &model);
                }
                Step::Policy(policy) => {
                    model.adopt((**policy).clone());
                    offer_again(&mut history, &model);
                }
            }
            prop_assert_eq!(held(&history), model.held());
            prop_assert_eq!(history.set().len(), model.held().len() as u64);
        }
    }

    #[test]
    fn r48_peers_that_reconcile_come_to_one_set(
        lives in prop::collection::vec(steps(120), 2..5),
        last in policies(),
    ) {
        let mut histories: Vec<_> = lives.iter().map(|_life| History::new(Arc::new(base()))).collect();
        for (history, life) in histories.iter_mut().zip(&lives) {
            for step in life {
                apply(history, step);
            }
        }
        let moderations: Vec<_> = MODERATIONS
            .iter()
            .filter(|moderation| histories.iter().any(|history| history.rules().moderations().get(moderation.id()).is_some()))
            .cloned()
            .collect();
        for history in &mut histories {
            history.adopt_policy(Arc::new(last.clone()));
            for moderation in &moderations {
                history.take_moderation(moderation.clone()).ok();
            }
        }
        reconcile(&mut histories);
        for history in &histories {
            prop_assert_eq!(held(history), held(&histories[0]));
        }
    }

    #[test]
    fn r47_order_of_arrival_and_doubles_change_nothing(
        arrivals in prop::collection::vec(any::<Index>(), 1..150),
        moderation in any::<prop::sample::Selector>(),
        policy in policies(),
    ) {
        let mut one = History::new(Arc::new(policy.clone()));
        let mut other = History::new(Arc::new(policy));
        for index in &arrivals {
            one.take(index.get(&MESSAGES).clone()).ok();
        }
        let mut shuffled: Vec<_> = arrivals.iter().map(|index| index.index(MESSAGES.len())).collect();
        shuffled.extend(shuffled.clone());
        shuffled.sort_by_key(|index| moderation.select([index.wrapping_mul(7919) % 211]).wrapping_add(index * 31 % 17));
        for index in shuffled {
            other.take(MESSAGES[index].clone()).ok();
        }
        prop_assert_eq!(held(&one), held(&other));
    }

    #[test]
    fn r49_an_index_loaded_from_disk_is_the_index_that_was(steps in steps(120), chunk in 1..20usize) {
        let mut history = History::new(Arc::new(base()));
        for step in &steps {
            apply(&mut history, step);
        }
        let kept: Vec<_> = MESSAGES
            .iter()
            .filter(|message| history.set().contains(message.content().sent_at, message.id()))
            .map(|message| testing::admitted(message.clone()))
            .collect();
        let mut restarted = History::new(Arc::clone(history.rules().policy()));
        restarted.restore_moderations(history.rules().moderations().iter().cloned().collect());
        let mut newest_first = kept;
        newest_first.sort_by_key(|message| std::cmp::Reverse(message.order_key()));
        for part in newest_first.chunks(chunk) {
            let stored = testing::stored(part);
            stored.tickets.iter().for_each(|ticket| restarted.note_author(ticket));
            restarted.index(stored.messages);
        }
        prop_assert_eq!(held(&restarted), held(&history));
    }
}

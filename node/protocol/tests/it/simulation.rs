//! Whole realms in a box: loss, doubles, overtaking, partitions, restarts, liars; and one set at the end.

use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::degree::{CROWD_LASTS, LINKS_FULL_MAX};
use lanyard_protocol::engine::Topic;
use lanyard_protocol::ids::Role;
use lanyard_protocol::message::{Content, VerifiedMessage};
use lanyard_protocol::moderation::{Moderation, ModerationKind, SignedModeration};
use lanyard_protocol::policy::{Limits, Policy, SanctionKind, SignedPolicy};
use lanyard_protocol::sim::{Faults, Setup, Sim};
use lanyard_protocol::testing::{self, T0};
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::wire::Pair;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const FAULTS: Faults =
    Faults { loss_permille: 50, duplicate_permille: 50, latency_min_ms: 1, latency_spread_ms: 80 };

/// A hundred in the suite, a thousand in the soak; any number to look into something.
fn peers() -> usize {
    let soak = std::env::var_os("LANYARD_SOAK").map_or(100, |_set| 1_000);
    std::env::var("LANYARD_SIM_PEERS").map_or(soak, |peers| peers.parse().unwrap())
}

/// The seed of a run that failed is given back to see it fail again.
fn seed(default: u64) -> u64 {
    let seed = std::env::var("LANYARD_SIM_SEED").map_or(default, |seed| seed.parse().unwrap());
    println!("LANYARD_SIM_SEED={seed}");
    seed
}

fn signed(number: u64, change: impl FnOnce(&mut Policy)) -> SignedPolicy {
    let mut policy = testing::policy(&testing::key(1));
    policy.number = number;
    policy.rules[0] = Limits { per_minute: 12, guest_per_minute: 6, ..policy.rules[0] };
    policy.rules[0].max_text_bytes = 200;
    change(&mut policy);
    SignedPolicy::sign(policy, &testing::key(1)).unwrap()
}

fn setup(peers: usize, seed: u64) -> Setup {
    Setup {
        peers,
        degree: 8,
        seed,
        faults: FAULTS,
        skew_ms: 15_000,
        policy: signed(1, |_policy| {}),
        ticket_life_s: testing::WEEK_S,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Texts by peers drawn by lot, a little apart.
fn chatter(sim: &mut Sim, lots: &mut ChaCha8Rng, peers: usize, texts: usize) {
    for n in 0..texts {
        let who = usize::try_from(lots.next_u64() % peers as u64).unwrap();
        sim.say(who, &format!("text {n}"));
        sim.run(Duration::from_millis(20 + lots.next_u64() % 300));
    }
}

fn settle(sim: &mut Sim, within: Duration) {
    let end = sim.elapsed() + within;
    while sim.elapsed() < end && !sim.different().is_empty() {
        sim.run(seconds(5));
    }
    let different: Vec<_> = sim.different().into_iter().map(|peer| sim.describe(peer)).collect();
    assert!(different.is_empty(), "{different:#?}");
}

/// Everything that a modified program can put on gossip, from peer 3 to its neighbours.
fn lie(sim: &mut Sim) {
    let say = |sim: &mut Sim, change: &dyn Fn(&mut Content)| {
        let message = sim.forge(3, |content| change(content)).unwrap();
        sim.inject(3, Topic::Mesh, &message.to_gossip());
        // The same on the other topic is another message to gossip.
        sim.inject(3, Topic::Direct, &message.to_gossip());
    };
    say(sim, &|content| content.sent_at -= 700_000);
    say(sim, &|content| content.sent_at += 200_000);
    say(sim, &|content| content.sent_at = T0 - 400_000);
    say(sim, &|content| content.room = "nowhere".into());
    say(sim, &|content| content.body.text = "x".repeat(201));
    for n in 0..20 {
        say(sim, &|content| content.seq = n);
    }
    // The same number, another text: both stay.
    say(sim, &|content| content.body.text = "one".into());
    say(sim, &|content| content.body.text = "other".into());
    // What a forwarder must have seen. Three of these and a link is closed, so each liar tells two.
    let fresh =
        |sim: &Sim, text: &str| sim.forge(10, |content| content.body.text = text.into()).unwrap();
    let pair =
        |ticket: &Ticket, object: &[u8]| Pair { ticket: ticket.as_bytes(), object }.to_bytes();
    let ticket = testing::ticket(&testing::key(1), &testing::key(77), "somebody");
    let foreign = testing::ticket(&testing::key(9), &testing::key(77), "somebody");
    sim.inject(10, Topic::Mesh, b"rubbish");
    sim.inject(10, Topic::Control, &fresh(sim, "misplaced").to_gossip());
    sim.inject(11, Topic::Mesh, &pair(&ticket, fresh(sim, "stolen").as_bytes()));
    let mut flipped = fresh(sim, "flipped").to_gossip();
    *flipped.last_mut().unwrap() ^= 1;
    sim.inject(11, Topic::Mesh, &flipped);
    let mut claims = testing::claims(&testing::key(1), &testing::key(77), "rendezvous");
    claims.role = Role::Authority;
    let authority = Arc::new(Ticket::issue(claims, &testing::key(1)));
    let content = fresh(sim, "spoken by the login node").content().clone();
    let spoken = VerifiedMessage::author(content, authority, &testing::key(77)).unwrap();
    sim.inject(12, Topic::Mesh, &spoken.to_gossip());
    sim.inject(12, Topic::Mesh, &of_a_later_version(&fresh(sim, "later").to_gossip()));
    sim.inject(12, Topic::Mesh, &pair(&foreign, fresh(sim, "foreign").as_bytes()));
    sim.run(seconds(5));
}

/// The same bytes with a `typ` that nobody knows yet.
fn of_a_later_version(bytes: &[u8]) -> Vec<u8> {
    let known = b"lanyard-message+cose";
    let at = bytes.windows(known.len()).position(|part| part == known).unwrap();
    let mut later = bytes.to_vec();
    later[at..at + known.len()].copy_from_slice(b"lanyard-massage+cose");
    later
}

fn moderation(kind: ModerationKind, on: usize, number: u8, from: u64) -> SignedModeration {
    let key = testing::key(42);
    let mut claims = testing::claims(&testing::key(1), &key, "judge");
    claims.role = Role::Moderator;
    let ticket = Arc::new(Ticket::issue(claims, &testing::key(1)));
    let moderation = Moderation {
        realm: ticket.claims().realm,
        ticket: ticket.hash(),
        number: [number; 16],
        kind,
        sub: testing::account(&format!("user{on}")),
        from,
        until: from + 3_600_000,
        reason: "loud".into(),
        policy: 1,
    };
    SignedModeration::author(moderation, ticket, &key).unwrap()
}

/// A lively day: chatter through loss, liars, a partition with contradicting moderations, policies, restarts.
fn a_day(peers: usize, seed: u64) -> Sim {
    let mut lots = ChaCha8Rng::seed_from_u64(seed ^ 1);
    let mut sim = Sim::new(setup(peers, seed));
    sim.run(seconds(10));
    chatter(&mut sim, &mut lots, peers, 60);
    lie(&mut sim);
    sim.partition(|number| number % 2);
    let now = T0 + u64::try_from(sim.elapsed().as_millis()).unwrap();
    sim.moderation(0, &moderation(ModerationKind::Mute, 5, 1, now - 20_000));
    sim.moderation(1, &moderation(ModerationKind::Lift, 5, 2, now - 10_000));
    sim.moderation(1, &moderation(ModerationKind::Ban, 6, 3, now - 30_000));
    chatter(&mut sim, &mut lots, peers, 60);
    let banned = testing::account("user7");
    let ban = signed(2, |policy| {
        policy.sanctions.push(testing::sanction(SanctionKind::Mute, banned, now - 40_000, None));
    });
    sim.publish(0, &ban);
    chatter(&mut sim, &mut lots, peers, 20);
    // The muted one has a program that does not care.
    let muted = sim.forge(7, |_content| {}).unwrap();
    sim.inject(7, Topic::Mesh, &muted.to_gossip());
    sim.partition(|_number| 0);
    for number in [4, 8, 9] {
        sim.restart(number);
    }
    chatter(&mut sim, &mut lots, peers, 40);
    sim
}

/// Two texts with one number, and one text under a revocation that becomes known after it. The first two are held, the last
/// one is not.
fn fork_and_cut(sim: &mut Sim) -> ([VerifiedMessage; 2], VerifiedMessage) {
    let now = T0 + u64::try_from(sim.elapsed().as_millis()).unwrap();
    let forked = ["one", "other"].map(|text| {
        sim.forge(14, |content| (content.seq, content.body.text) = (0, text.into())).unwrap()
    });
    let cut = sim.forge(15, |content| content.body.text = "cut".into()).unwrap();
    for (from, message) in [(14, &forked[0]), (14, &forked[1]), (15, &cut)] {
        sim.inject(from, Topic::Mesh, &message.to_gossip());
    }
    sim.run(seconds(2));
    assert!(sim.held(0).contains(&(cut.content().sent_at, cut.id())), "not cut yet");
    let account = testing::account("user15");
    let policy = signed(3, |policy| {
        let muted = testing::account("user7");
        policy.sanctions.push(testing::sanction(SanctionKind::Mute, muted, now - 40_000, None));
        let cut = testing::sanction(SanctionKind::Revocation, account, now - 20_000, None);
        policy.sanctions.push(lanyard_protocol::policy::Sanction { id: cut.id + 1, ..cut });
    });
    sim.publish(2, &policy);
    (forked, cut)
}

#[test]
fn r48_a_hundred_engines_come_to_one_set() {
    let mut sim = a_day(peers(), seed(1));
    let (forked, cut) = fork_and_cut(&mut sim);
    settle(&mut sim, seconds(240));
    let held = sim.held(0);
    let is_held = |it: &VerifiedMessage| held.contains(&(it.content().sent_at, it.id()));
    assert!(forked.iter().all(is_held), "both of a fork are held");
    assert!(!is_held(&cut), "what was said under a revoked ticket is not");
    let refused = sim.refusals();
    for code in [
        "malformed",
        "wrong-topic",
        "held",
        "ticket",
        "other-ticket",
        "signature",
        "outside-ticket",
        "ahead",
        "old",
        "too-long",
        "may-not-post",
        "sanctioned",
        "authority",
        "unknown",
        "over-quota",
    ] {
        assert!(refused.contains_key(code), "no engine has said {code}: {refused:?}");
    }
    assert!(sim.held(0).len() > 150, "{}", sim.held(0).len());
}

#[test]
fn r48_equal_seeds_give_equal_runs() {
    let hash = |seed| a_day(20, seed).trace_hash();
    let first = hash(7);
    assert_eq!(first, hash(7));
    assert_ne!(first, hash(8));
}

/// What the engines of a whole realm put out, for each of twenty seeds. A change of the code that is to change nothing
/// leaves this file as it is; after one that does, `UPDATE_TRACES=1` writes it anew.
#[test]
fn r48_twenty_runs_put_out_what_is_on_record() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces.txt");
    let run = |seed| {
        let thread = std::thread::Builder::new().name(format!("seed {seed}"));
        thread.spawn(move || format!("{seed} {}\n", trace_of(seed))).unwrap()
    };
    let runs: Vec<_> = (1..=20).map(run).collect();
    let fresh: String = runs.into_iter().map(|run| run.join().unwrap()).collect();
    if std::env::var_os("UPDATE_TRACES").is_some() {
        std::fs::write(path, &fresh).unwrap();
    }
    assert_eq!(fresh, std::fs::read_to_string(path).unwrap_or_default());
}

/// A day in a small realm and its end; for the last seed, a crowd that dials as it likes.
fn trace_of(seed: u64) -> String {
    if seed == 20 {
        let mut sim = Sim::dialling(setup(LINKS_FULL_MAX + 4, seed));
        sim.run(CROWD_LASTS);
        sim.kill([3, 4, 5]);
        sim.say(0, "who is there?");
        sim.run(seconds(30));
        return sim.trace_hash();
    }
    let mut sim = a_day(13 + usize::try_from(seed % 4).unwrap(), seed);
    sim.renew(1);
    sim.run(seconds(120));
    sim.quit(2);
    sim.run(seconds(20));
    sim.trace_hash()
}

#[test]
fn r103_a_round_without_differences_costs_under_a_kilobyte() {
    let mut sim = Sim::new(Setup { faults: Faults::default(), ..setup(2, seed(3)) });
    sim.run(seconds(5));
    let mut lots = ChaCha8Rng::seed_from_u64(3);
    chatter(&mut sim, &mut lots, 2, 30);
    settle(&mut sim, seconds(60));
    sim.run(seconds(60));
    let before = sim.sync_bytes();
    sim.run(seconds(600));
    // Both begin a round every ten seconds.
    let rounds = 2 * 60;
    let bytes = (sim.sync_bytes() - before) / rounds;
    println!("a round where nothing differs: {bytes} bytes");
    assert!(bytes < 1_000, "{bytes}");
}

#[test]
fn r104_a_newcomer_gets_everything_without_gossip() {
    let mut sim = Sim::new(Setup { faults: Faults::default(), ..setup(3, seed(4)) });
    sim.partition(|number| usize::from(number == 2));
    let mut lots = ChaCha8Rng::seed_from_u64(4);
    for _hour in 0..4 {
        chatter(&mut sim, &mut lots, 2, 40);
        sim.run(seconds(3_600));
    }
    assert!(sim.held(2).is_empty());
    sim.partition(|_number| 0);
    settle(&mut sim, seconds(30));
    assert_eq!(sim.held(2), sim.held(0));
}

#[test]
fn r57_lifting_a_ban_restores_what_it_had_removed() {
    let (peers, mut lots) = (8, ChaCha8Rng::seed_from_u64(5));
    let mut sim = Sim::new(setup(peers, seed(5)));
    sim.run(seconds(10));
    chatter(&mut sim, &mut lots, peers, 60);
    // Longer than any clock is ahead: what was said is past for all.
    sim.run(seconds(20));
    settle(&mut sim, seconds(60));
    let (before, now) = (sim.held(0), T0 + u64::try_from(sim.elapsed().as_millis()).unwrap());
    let ban = |from, until| {
        move |policy: &mut Policy| {
            let user = testing::account("user4");
            policy.sanctions.push(testing::sanction(SanctionKind::Ban, user, from, until));
        }
    };
    sim.publish(0, &signed(2, ban(T0, None)));
    sim.run(seconds(5));
    settle(&mut sim, seconds(60));
    assert!(sim.held(0).len() < before.len(), "the ban has removed something");
    // lifted, it is judged as if it had been given without a reach back.
    sim.publish(1, &signed(3, ban(now, Some(now + 5_000))));
    sim.run(seconds(5));
    settle(&mut sim, seconds(60));
    assert_eq!(sim.held(0), before);
    assert_eq!(sim.shown(1), before);
}

#[test]
fn r22_the_room_goes_on_until_the_tickets_end() {
    let life_s = 3_600;
    let mut sim =
        Sim::new(Setup { ticket_life_s: life_s, faults: Faults::default(), ..setup(4, seed(6)) });
    sim.run(seconds(life_s - 60));
    sim.say(0, "full function until the end");
    sim.run(seconds(30));
    settle(&mut sim, seconds(30));
    assert_eq!(sim.held(3).len(), 1);
    sim.run(seconds(60));
    sim.say(0, "locked");
    sim.run(seconds(600));
    assert_eq!(sim.held(0).len(), 1, "nothing is taken after the end, and nothing is lost");
    assert!(
        sim.describe(1).ends_with("links []"),
        "links end with the tickets: {}",
        sim.describe(1)
    );
    for number in 0..4 {
        sim.renew(number);
    }
    sim.redial();
    sim.run(seconds(10));
    sim.say(1, "back without a password");
    settle(&mut sim, seconds(30));
    sim.run(seconds(5));
    assert_eq!(sim.held(3).len(), 2);
}

#[test]
fn r48_a_banned_modified_program_is_shown_folded() {
    let (peers, banned) = (8, 4);
    let account = testing::account(&format!("user{banned}"));
    // So many links that nobody is alone in its part.
    let mut sim = Sim::new(Setup { degree: 4 * peers, ..setup(peers, seed(9)) });
    sim.run(seconds(90));
    // The banned one talks to those who have not heard of the ban, and dates its words back before it.
    let unaware = |number: usize| number % 2 == 1 || number == banned;
    sim.partition(|number| usize::from(unaware(number)));
    sim.run(seconds(5));
    let now = T0 + u64::try_from(sim.elapsed().as_millis()).unwrap();
    sim.moderation(0, &moderation(ModerationKind::Ban, banned, 1, now));
    // Whom gossip has passed by has it by reconciliation.
    sim.run(seconds(40));
    for (seq, sent_at) in [(0, now - 60_000), (1, now - 30_000), (2, now + 1_000)] {
        let forged = sim.forge(banned, |content| (content.seq, content.sent_at) = (seq, sent_at));
        sim.inject(banned, Topic::Mesh, &forged.unwrap().to_gossip());
    }
    sim.run(seconds(5));
    assert!(sim.shown_of(1, account).0 > 0, "it has reached somebody who did not know better");
    sim.partition(|_number| 0);
    sim.run(seconds(2));
    settle(&mut sim, seconds(60));
    for number in (0..peers).filter(|number| *number != banned) {
        let (shown, folded) = sim.shown_of(number, account);
        assert_eq!(
            shown, 2,
            "what was sent before the ban is held by all, what came after by nobody"
        );
        if !unaware(number) {
            assert_eq!(folded, shown, "peer {number}");
        }
    }
}

//! Moderations reach everybody within two seconds, with and without the login node, and have one result everywhere
//! after a partition in which moderators contradicted each other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lanyard_rendezvous::clock;
use serde_json::{Value, json};

use crate::harness::traffic::{
    figure, full_mesh, linked_with, log_in_store, missing, names, pass, since,
};
use crate::harness::{Lan, PATIENCE, Peer, Realm, TWO_SECONDS, is_soak, password};

/// A moderation reaches all peers within this time, and 95 of 100 within two seconds.
const ALL_FELT: Duration = Duration::from_secs(5);
/// After the heal, all stores are equal within this time.
const HEALED: Duration = Duration::from_secs(15);
/// The least time between events whose order matters, to which the difference of the clocks is added.
const SKEW_MIN: Duration = Duration::from_millis(100);

/// A network of two sides, with a moderator and members on each.
struct Room {
    // Dropped in this order: in a failing test a peer shows its log when dropped, and the realm removes the logs.
    peers: Vec<Peer>,
    lan: Lan,
    realm: Realm,
    names: Vec<String>,
    /// The number of peers on the first side. The first peer of each side is a moderator.
    half: usize,
    /// The time to leave between events, because the clocks of peers on a busy machine differ by milliseconds.
    skew: Duration,
}

impl Room {
    /// `None` where network namespaces are not available.
    fn open() -> Option<Self> {
        let (half, other) = if is_soak() { (13, 12) } else { (4, 4) };
        let names = names(half + other);
        let (realm, lan) = Lan::new(&[half, other], &[])?;
        for (number, name) in names.iter().enumerate() {
            let role = if number % half == 0 { "moderator" } else { "member" };
            realm.with_password(&["user", "add", name, "--role", role], &password(name)).done();
        }
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut peers = lan.join_all(&realm, &borrowed);
        full_mesh(&mut peers, 3 * PATIENCE);
        let skew = SKEW_MIN + clocks_apart(&mut peers);
        Some(Self { peers, lan, realm, names, half, skew })
    }

    /// Makes the moderator of a side moderate, which must be accepted. Returns the moment before.
    fn moderation(&mut self, side: usize, kind: &str, whom: usize) -> Instant {
        let moderator = side * self.half;
        let mut command = json!({"cmd": kind, "username": self.names[whom], "reason": "a test"});
        if kind != "lift" {
            command["for"] = json!("10m");
        }
        let began = clock::monotonic();
        let answer = self.peers[moderator].ask(command);
        assert_eq!(answer["event"], "answer", "{kind} of peer {whom}: {answer}");
        began
    }

    /// Waits until these peers have printed such a line, nearly all of them within two seconds.
    fn felt(&mut self, whom: &[usize], began: Instant, what: &str, fits: impl Fn(&Value) -> bool) {
        let mut within_two = 0;
        for peer in whom {
            let left = ALL_FELT.saturating_sub(since(began));
            self.peers[*peer].expect(what, left, &fits);
            within_two += usize::from(since(began) < TWO_SECONDS);
        }
        figure(&format!(
            "{what}: {within_two} of {} within 2 s, all in {:?}",
            whom.len(),
            since(began)
        ));
        assert!(within_two * 100 >= whom.len() * 95, "{what}: {within_two} of {}", whom.len());
    }

    fn others(&self, but: &[usize]) -> Vec<usize> {
        (0..self.peers.len()).filter(|peer| !but.contains(peer)).collect()
    }

    fn forget(&mut self) {
        self.peers.iter_mut().for_each(|peer| peer.forget());
    }
}

/// How far the peers' clocks differ; all run on this computer.
fn clocks_apart(peers: &mut [Peer]) -> Duration {
    let offset =
        |peer: &mut Peer| peer.ask(json!({"cmd": "status"}))["clock_offset_ms"].as_i64().unwrap();
    let offsets: Vec<i64> = peers.iter_mut().map(offset).collect();
    let apart = offsets.iter().max().unwrap() - offsets.iter().min().unwrap();
    Duration::from_millis(apart.unsigned_abs())
}

fn is_moderation(line: &Value, verb: &str) -> bool {
    let text = line["text"].as_str().unwrap_or_default();
    line["code"] == "order" && text.contains(verb) && text.contains("a test")
}

#[test]
fn moderations_reach_everybody_without_the_login_node() {
    let Some(mut room) = Room::open() else { return };
    let (muted, banned) = (1, 2);
    let everyone: Vec<usize> = (0..room.peers.len()).collect();
    room.forget();

    let began = room.moderation(0, "mute", muted);
    room.felt(&everyone, began, "the mute, with the login node on", |line| {
        is_moderation(line, "has muted")
    });
    pass(began + room.skew);
    let error = room.peers[muted].ask(json!({"cmd": "send", "text": "Can anybody hear me?"}));
    assert_eq!(error["code"], "muted", "{error}");

    room.realm.crash();
    for peer in &mut room.peers {
        peer.expect_rendezvous("offline", PATIENCE);
    }
    room.forget();
    let began = room.moderation(1, "ban", banned);
    let rest = room.others(&[banned]);
    let left = rest.len() - 1;
    room.felt(&rest, began, "the ban, with the login node off", |line| {
        line["event"] == "link" && line["peers"] == left
    });
    // The program says so once its store is closed, which a slow disk may delay.
    let refused = room.peers[banned].refused(PATIENCE);
    assert_eq!(refused["code"], "banned", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("a test"), "{refused}");

    // The banned peer cannot come back, and the muted one may write once the mute is lifted.
    let name = room.names[banned].clone();
    room.peers[banned] = room.lan.peer(&room.realm, banned, &name).no_password().spawn();
    let refused = room.peers[banned].refused(PATIENCE);
    assert_eq!(refused["code"], "banned", "{refused}");
    let began = room.moderation(0, "lift", muted);
    room.felt(&rest, began, "the lift", |line| is_moderation(line, "has lifted"));
    pass(clock::monotonic() + room.skew);
    let id = room.peers[muted].send("Thank you.");
    for peer in room.others(&[banned, muted]) {
        room.peers[peer].expect_message(&id, TWO_SECONDS);
    }
}

#[test]
fn contradicting_moderations_end_in_one_result_everywhere() {
    let Some(mut room) = Room::open() else { return };
    // All three are on the second moderator's side.
    let (lifted, muted, banned) = (room.half + 1, room.half + 2, room.half + 3);
    room.lan.join_side(1, false);
    let sides = [(0..room.half).collect::<Vec<_>>(), (room.half..room.peers.len()).collect()];
    for side in &sides {
        for peer in side {
            // The links across are gone, so what happens now stays on its side.
            room.peers[*peer].expect_links(side.len() - 1, 2 * PATIENCE);
        }
    }
    room.forget();

    // Mute, mute, lift: the lift is the newest.
    room.moderation(1, "mute", lifted);
    let began = room.moderation(0, "mute", lifted);
    room.felt(&sides[0], began, "the first side's mute", |line| is_moderation(line, "has muted"));
    pass(clock::monotonic() + room.skew);
    let began = room.moderation(1, "lift", lifted);
    room.felt(&sides[1], began, "the second side's lift", |line| is_moderation(line, "has lifted"));
    pass(clock::monotonic() + room.skew);
    let after_lift = room.peers[lifted].send("I may speak again.");

    // Ban here, unheard there; then mute there. The mute is the newest, and what was said in between is invalid.
    let before_ban = room.peers[muted].send("Before the ban.");
    pass(clock::monotonic() + room.skew);
    room.moderation(0, "ban", muted);
    pass(clock::monotonic() + room.skew);
    let during_ban = room.peers[muted].send("During a ban that I have not heard of.");
    for peer in &sides[1] {
        room.peers[*peer].expect_message(&during_ban, PATIENCE);
    }
    pass(clock::monotonic() + room.skew);
    room.moderation(1, "mute", muted);

    // Mute there, then ban here: the ban is the newest.
    room.moderation(1, "mute", banned);
    pass(clock::monotonic() + room.skew);
    room.moderation(0, "ban", banned);

    room.lan.join_side(1, true);
    let healed = clock::monotonic();
    let refused = room.peers[banned].refused(HEALED);
    assert_eq!(refused["code"], "banned", "{refused}");
    let rest = room.others(&[banned]);
    for peer in &rest {
        let wanted = BTreeSet::from([after_lift.clone(), before_ban.clone()]);
        let left = missing(&mut room.peers[*peer], &wanted, healed + HEALED);
        let linked = if left.is_empty() { Vec::new() } else { linked_with(&mut room.peers[*peer]) };
        assert!(
            left.is_empty(),
            "peer {peer}, linked with {linked:?}, has not shown {left:?} of {wanted:?}"
        );
    }
    expect_one_log(&mut room, &rest, &[&after_lift, &before_ban], &during_ban);
    figure(&format!(
        "contradicting moderations: one result {:.1} s after the heal",
        since(healed).as_secs_f64()
    ));

    let error = room.peers[muted].ask(json!({"cmd": "send", "text": "And now?"}));
    assert_eq!(error["code"], "muted", "{error}");
    let id = room.peers[lifted].send("Here I am.");
    for peer in room.others(&[banned, lifted]) {
        room.peers[peer].expect_message(&id, PATIENCE);
    }
}

/// Waits until the stores of these peers have exactly these messages.
fn expect_one_log(room: &mut Room, peers: &[usize], held: &[&String], condemned: &String) {
    let started = clock::monotonic();
    for peer in peers {
        loop {
            let log = log_in_store(&room.realm.profile(&room.names[*peer]));
            let right = held.iter().all(|id| log.contains(id)) && !log.contains(condemned);
            if right && log.len() == held.len() {
                break;
            }
            assert!(since(started) < HEALED, "peer {peer} holds {log:?}, but not {condemned}");
            // A message leaves the set together with the moderation that condemns it, for which a line is printed.
            room.peers[*peer].wait_for(Duration::from_millis(100), |_line| false).ok();
        }
    }
}

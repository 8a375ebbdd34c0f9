//! Builds the latest state from the engine after a change.

use std::collections::BTreeMap;

use lanyard_protocol::engine::{Engine, Link, Topic};
use lanyard_protocol::history::{Author, Maker};
use lanyard_protocol::ids::{AccountId, PeerKey, Role};
use lanyard_protocol::presence::AWAY;
use lanyard_protocol::time::{DAY_MS, Now};

use crate::login::refusals::LOGIN_NODE_CLOCK;
use crate::status::{ClockWarning, DialAttempt, Me, Mode, Mute, Neighbour, Person, Room, Status};

/// The part of the state that the engine does not know.
#[derive(Debug, Default, Clone)]
pub(crate) struct Surroundings {
    pub(crate) listen: Vec<String>,
    pub(crate) messages: u64,
    pub(crate) attempts: Vec<DialAttempt>,
    /// Why the login node signs nothing, in its own words, until it signs again.
    pub(crate) login_node_clock: Option<String>,
}

pub(crate) fn build(engine: &Engine, around: &Surroundings, now: Now) -> Status {
    let policy = engine.signed_policy().policy();
    let realm_ms = engine.clock().peek_ms(now);
    let claims = engine.ticket().claims();
    let rooms = policy.rooms.iter().map(|room| Room {
        name: room.name.clone(),
        topic: room.topic.clone(),
        post: room.post_role_at(realm_ms),
        archived: room.archived_at(realm_ms),
    });
    Status {
        me: Me {
            peer: claims.peer,
            account: claims.account,
            username: claims.username.clone(),
            nickname: claims.nickname.clone(),
            role: claims.role,
            device: claims.device,
        },
        realm: claims.realm,
        realm_name: policy.name.clone(),
        rendezvous_online: engine.links().any(is_rendezvous),
        neighbours: neighbours(engine),
        roster: roster(engine, realm_ms),
        addresses: engine
            .roster()
            .online()
            .map(|(peer, device)| (*peer, device.listen.clone()))
            .collect(),
        rooms: rooms.collect(),
        ticket: engine.ticket().as_bytes().to_vec(),
        expires_at: claims.expires_at_ms(),
        policy: policy.number,
        max_text_bytes: policy.limits_at(realm_ms).max_text_bytes,
        listen: around.listen.iter().map(|at| format!("{at}/p2p/{}", claims.peer)).collect(),
        messages: around.messages,
        waiting: engine.waiting() as u64,
        mode: mode(engine),
        mute: mute(engine, realm_ms),
        clock_offset_ms: engine.clock().offset_ms(),
        clock_warning: clock_warning(engine, around, now),
        attempts: around.attempts.clone(),
    }
}

/// The worst of the warnings, because people read one warning, not three.
fn clock_warning(engine: &Engine, around: &Surroundings, now: Now) -> Option<ClockWarning> {
    if let Some(ahead_ms) = engine.out_of_step_ms() {
        let (code, text) = engine.out_of_step_words(ahead_ms);
        return Some(ClockWarning { code, text });
    }
    if let Some(text) = &around.login_node_clock {
        return Some(ClockWarning { code: LOGIN_NODE_CLOCK, text: text.clone() });
    }
    let days = engine.signed_ahead_ms(now)?.div_ceil(DAY_MS);
    let text = format!(
        "The login node has signed a time that is up to {days} days ahead of this computer's clock. Old messages are \
         kept until the two agree. If this computer's clock is right, tell the operator."
    );
    Some(ClockWarning { code: "clock-not-signed", text })
}

fn mode(engine: &Engine) -> Mode {
    match engine.topic_for_messages() {
        Topic::Direct => Mode::Direct,
        Topic::Mesh | Topic::Control => Mode::Mesh,
    }
}

fn mute(engine: &Engine, realm_ms: u64) -> Option<Mute> {
    let me = Author::of(engine.ticket());
    let mute = engine.rules().mute_at(&me, realm_ms)?;
    let moderator = match mute.by {
        Maker::Operator(_account_name) => None,
        Maker::Moderator(name) => Some(name),
    };
    Some(Mute { until: mute.until, reason: mute.reason, moderator })
}

fn is_rendezvous(link: &Link) -> bool {
    link.ticket.claims().role == Role::Authority
}

/// The addresses of the authority peer: those of its links, and those that it announces.
pub(crate) fn authority_addresses(engine: &Engine) -> Vec<String> {
    let links: Vec<&Link> = engine.links().filter(|link| is_rendezvous(link)).collect();
    let told = links.iter().filter_map(|link| engine.roster().listens_at(link.peer)).flatten();
    links.iter().map(|link| link.address.clone()).chain(told.cloned()).collect()
}

/// Lists each linked peer once, even while it has two links. A link counts once its other end hears us: earlier
/// messages would not reach it.
fn neighbours(engine: &Engine) -> Vec<Neighbour> {
    let mut by_peer: BTreeMap<PeerKey, Neighbour> = BTreeMap::new();
    let hears = |link: &&Link| !is_rendezvous(link) && engine.hears(link.peer, Topic::Mesh);
    for link in engine.links().filter(hears) {
        by_peer.entry(link.peer).or_insert_with(|| Neighbour {
            peer: link.peer,
            username: link.ticket.claims().username.clone(),
            address: link.address.clone(),
            relayed: link.relayed,
            since: link.since_ms,
        });
    }
    by_peer.into_values().collect()
}

/// Everybody online with all their devices, including us unless we are the authority peer.
fn roster(engine: &Engine, realm_ms: u64) -> BTreeMap<AccountId, Person> {
    let me = (engine.ticket(), realm_ms.min(engine.boot()), engine.status() == AWAY);
    let mine = std::iter::once(me)
        .filter(|(ticket, _since, _away)| ticket.claims().role != Role::Authority);
    let others = engine
        .roster()
        .people()
        .map(|(_peer, device)| (&device.ticket, device.since_ms, device.status == AWAY));
    let mut people: BTreeMap<AccountId, Person> = BTreeMap::new();
    let mut newest: BTreeMap<AccountId, u64> = BTreeMap::new();
    for (ticket, since, away) in mine.chain(others) {
        let claims = ticket.claims();
        let person = people.entry(claims.account).or_insert_with(|| Person {
            username: claims.username.clone(),
            nickname: claims.nickname.clone(),
            role: claims.role,
            since,
            devices: Vec::new(),
            away,
        });
        person.away &= away;
        person.devices.push((claims.peer, claims.device));
        person.since = person.since.min(since);
        // Two devices may hold tickets of different days: the newest one has today's names.
        let issued = newest.entry(claims.account).or_insert(claims.issued_at_s);
        if claims.issued_at_s >= *issued {
            *issued = claims.issued_at_s;
            person.username.clone_from(&claims.username);
            person.nickname.clone_from(&claims.nickname);
            person.role = claims.role;
        }
    }
    people
}

//! When a round of reconciliation runs and with whom, and what is served to others (PROTOCOL.md R-100 to R-111).
//!
//! ```text
//!   fresh link · heal · hole in a session · slow peer · a neighbour that has more ──▶ the last 10 minutes, with that one
//!   every 10 s ──▶ all windows, with a random neighbour
//! ```
//!
//! Each round begins with the policy's number and the moderations, because they decide which messages are held.
//!
//! Takes reasons for a round, answers and requests. Asks neighbours, closes links that turn out to be deaf, and returns
//! what the history must judge: a [`rounds::Answer`].
//!
//! ```text
//!   rounds.rs   a round from start to end                  serving.rs    what neighbours ask of us
//!   flights.rs  ids that were asked for just now           budgets.rs    what that may cost
//!   past.rs     what earlier rounds say about a neighbour  item_sets.rs  parts of our sets, cached
//! ```

pub(crate) mod budgets;
pub(crate) mod flights;
pub(crate) mod item_sets;
pub(crate) mod past;
pub(crate) mod rounds;
mod serving;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::delivery::receipts::Receipts;
use crate::effects::Effects;
use crate::history::History;
use crate::identity::Identity;
use crate::ids::{MessageId, PeerKey};
use crate::io::RequestId;
use crate::links::Links;
use crate::reconcile::reconciler::flights::ROUND_STALL;
use crate::reconcile::reconciler::past::ROUND_GAP;
use crate::reconcile::reconciler::rounds::ROUNDS_MAX;
use crate::time::{MINUTE_MS, Now};

use super::{ItemSet, OPEN_END, Round, SetName, Window};
use budgets::{Budgets, Paid};
use flights::Flights;
use item_sets::ItemSets;
use past::Past;

/// How long the larger key waits on a new link for a round of the smaller, which may make its own unnecessary.
const LARGER_ROUND_AFTER: Duration = Duration::from_secs(1);
/// How long to wait for what is missing in a session: longer than a message takes through the mesh.
const HOLE_WAIT: Duration = Duration::from_millis(500);

/// How far back a round goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// The last 10 minutes.
    Recent,
    /// All windows.
    Full,
}

/// A round that should run.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Duration,
    reach: Reach,
    /// Whether the newest window is open: on a fresh link, or when something is known to be missing.
    open: bool,
    /// The round runs only if something of this author is still missing by then.
    hole_of: Option<PeerKey>,
    /// The round is dropped if one of the peer's has shown meanwhile that both hold the same.
    unless_equal: bool,
}

impl Due {
    fn new(reach: Reach, open: bool, at: Duration) -> Self {
        Self { at, reach, open, hole_of: None, unless_equal: false }
    }
}

/// A round in progress.
#[derive(Debug)]
struct Running {
    round: Round,
    /// Unique to this round, so that no answer to an earlier one is mistaken for one to it.
    number: u64,
    set: SetName,
    began: Duration,
    reach: Reach,
    open: bool,
    /// The peer is busy, and is not asked before this.
    wait_until: Option<Duration>,
    brought_recent: bool,
    told_at: Duration,
    /// When the round last brought something new.
    useful_at: Duration,
}

/// Ids that a round has left to another peer. Those that have not arrived by `at` are asked for after all.
#[derive(Debug)]
struct Left {
    at: Duration,
    peer: PeerKey,
    set: SetName,
    ids: Vec<MessageId>,
    reach: Reach,
    open: bool,
}

/// A `Get` that waits for the store.
#[derive(Debug)]
struct Load {
    ids: usize,
    paid: Paid,
}

/// What rounds read, and the effects that they add to.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) me: &'a Identity,
    pub(crate) links: &'a Links,
    pub(crate) history: &'a History,
    pub(crate) receipts: &'a Receipts,
    pub(crate) realm_ms: u64,
    pub(crate) now: Now,
    pub(crate) fx: &'a mut Effects,
}

impl Context<'_> {
    fn mono(&self) -> Duration {
        self.now.mono
    }
}

/// The state of all rounds, ours and those of our neighbours.
#[derive(Debug)]
pub(crate) struct Reconciler {
    running: BTreeMap<PeerKey, Running>,
    due: BTreeMap<PeerKey, Due>,
    past: BTreeMap<PeerKey, Past>,
    flights: Flights,
    left: VecDeque<Left>,
    next_number: u64,
    routine: Duration,
    /// Whether the history's index holds everything that is stored.
    indexed: bool,
    /// When a round over all windows was first completed since there is a neighbour: realm time, unix milliseconds.
    caught_up: Option<u64>,
    sets: ItemSets,
    budgets: Budgets,
    loads: BTreeMap<RequestId, Load>,
}

impl Reconciler {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            running: BTreeMap::new(),
            due: BTreeMap::new(),
            past: BTreeMap::new(),
            flights: Flights::default(),
            left: VecDeque::new(),
            next_number: 0,
            routine: Duration::ZERO,
            indexed: false,
            caught_up: None,
            sets: ItemSets::default(),
            budgets: Budgets::new(now),
            loads: BTreeMap::new(),
        }
    }

    /// A link is new, so a round looks for what was said before it, up to this moment. One round shows both ends
    /// whether anything is missing, so the peer with the larger key lets the other begin.
    pub(crate) fn fresh(&mut self, peer: PeerKey, cx: &Context<'_>) {
        let unless_equal = cx.me.peer() > peer && !cx.me.is_authority();
        let wait = if unless_equal { LARGER_ROUND_AFTER } else { Duration::ZERO };
        let at = cx.mono().saturating_add(wait);
        self.want(peer, Due { unless_equal, ..Due::new(Reach::Recent, true, at) }, cx);
    }

    /// Gossip has skipped numbers of an author's session. The round waits, because messages that are only late fill the
    /// hole.
    pub(crate) fn hole(&mut self, source: PeerKey, author: PeerKey, cx: &Context<'_>) {
        let at = cx.mono().saturating_add(HOLE_WAIT);
        let hole_of = Some(author);
        self.want(source, Due { hole_of, ..Due::new(Reach::Recent, true, at) }, cx);
    }

    /// A neighbour may have missed something of ours. Our round shows it the difference, and it asks us in turn.
    pub(crate) fn slow(&mut self, peer: PeerKey, cx: &Context<'_>) {
        self.want(peer, Due::new(Reach::Recent, true, cx.mono()), cx);
    }

    /// A message could not be stored, so a neighbour is asked for it again a little later.
    pub(crate) fn not_stored(&mut self, sent_at: u64, cx: &Context<'_>) {
        let recent = cx.realm_ms.saturating_sub(10 * MINUTE_MS);
        let reach = if sent_at > recent { Reach::Recent } else { Reach::Full };
        if let Some(peer) = cx.links.neighbours().next() {
            let at = cx.mono().saturating_add(ROUND_GAP);
            self.want(peer, Due::new(reach, true, at), cx);
        }
    }

    /// The history's index is complete, so older windows can be compared.
    pub(crate) fn index_is_whole(&mut self, cx: &Context<'_>) {
        self.indexed = true;
        if let Some(peer) = cx.links.neighbours().next() {
            self.want(peer, Due::new(Reach::Full, false, cx.mono()), cx);
        }
    }

    /// Gossip has arrived from a neighbour, so its link is not deaf.
    pub(crate) fn heard(&mut self, source: PeerKey, now: Now) {
        if let Some(past) = self.past.get_mut(&source) {
            past.heard(now.mono);
        }
    }

    /// Since when we have held what our neighbours hold, and been told what they hear: realm time, unix milliseconds.
    pub(crate) fn caught_up(&self) -> Option<u64> {
        self.caught_up
    }

    /// The last link to a peer is gone, which ends its round. Without neighbours, we miss what the others say.
    pub(crate) fn lost(&mut self, peer: PeerKey, links: &Links) {
        if links.neighbours().next().is_none() {
            self.caught_up = None;
        }
        self.due.remove(&peer);
        self.past.remove(&peer);
        self.running.remove(&peer);
        self.flights.lost(peer);
    }

    fn want(&mut self, peer: PeerKey, wanted: Due, cx: &Context<'_>) {
        if cx.me.has_ended() || !cx.links.is_neighbour(peer) {
            return;
        }
        let next_at = self.past.get(&peer).map_or(Duration::ZERO, Past::next_at);
        let wanted = Due { at: wanted.at.max(next_at), ..wanted };
        let due = self.due.entry(peer).or_insert(wanted);
        *due = Due {
            at: due.at.min(wanted.at),
            reach: due.reach.max(wanted.reach),
            open: due.open || wanted.open,
            hole_of: due.hole_of.filter(|of| wanted.hole_of == Some(*of)),
            unless_equal: due.unless_equal && wanted.unless_equal,
        };
    }

    /// Wants a round if a neighbour's fingerprints differ from ours, because it may have what we lack.
    fn learn_from(
        &mut self,
        peer: PeerKey,
        set: SetName,
        windows: &[Window],
        frames: &[Vec<u8>],
        cx: &Context<'_>,
    ) {
        let differs = |frame: &&Vec<u8>| !frame.is_empty() && !ItemSet::agrees(frame);
        if !frames.iter().any(|frame| differs(&frame)) {
            if set == SetName::Messages && frames.iter().all(|frame| ItemSet::agrees(frame)) {
                self.agrees_with(peer, windows);
            }
            return;
        }
        let recent = cx.realm_ms.saturating_sub(11 * MINUTE_MS);
        let only_recent = set == SetName::Moderations
            || windows
                .iter()
                .zip(frames)
                .filter(|(_window, frame)| differs(frame))
                .all(|(window, _frame)| window.since >= recent);
        let reach = if only_recent { Reach::Recent } else { Reach::Full };
        let open = windows.iter().any(|window| window.until == OPEN_END);
        self.want(peer, Due::new(reach, open, cx.mono()), cx);
    }

    /// A neighbour has found that it holds what we hold, up to this moment. A round of ours would find the same.
    fn agrees_with(&mut self, peer: PeerKey, windows: &[Window]) {
        let is_open = windows.iter().any(|window| window.until == OPEN_END);
        if is_open && self.due.get(&peer).is_some_and(|due| due.unless_equal) {
            self.due.remove(&peer);
        }
    }

    pub(crate) fn next_due(&self, me: &Identity, links: &Links) -> Option<Duration> {
        if me.has_ended() || links.len() == 0 {
            return None;
        }
        let room = self.running.len() < ROUNDS_MAX;
        let due = self.due.iter().filter(|(peer, _due)| room && !self.running.contains_key(peer));
        let waits = self.running.values().filter_map(|running| running.wait_until);
        let stalls =
            self.running.values().map(|running| running.useful_at.saturating_add(ROUND_STALL));
        due.map(|(_peer, due)| due.at)
            .chain(waits)
            .chain(stalls)
            .chain(self.left.front().map(|left| left.at))
            .chain([self.routine])
            .min()
    }

    /// Begins the rounds that are due, and resumes those that were told to wait.
    pub(crate) fn due(&mut self, cx: &mut Context<'_>) {
        if cx.me.has_ended() {
            return;
        }
        self.routine_round(cx);
        self.end_stalled(cx);
        self.ask_for_what_was_left(cx);
        let mono = cx.mono();
        let ready = self
            .due
            .iter()
            .filter(|(peer, due)| due.at <= mono && !self.running.contains_key(peer));
        let mut ready: Vec<_> = ready.map(|(peer, due)| (due.at, *peer)).collect();
        // The round that has waited longest comes first, whatever the peer's key.
        ready.sort_unstable();
        for (_at, peer) in ready {
            if self.running.len() >= ROUNDS_MAX {
                break;
            }
            let Some(due) = self.due.remove(&peer) else { continue };
            if due.hole_of.is_none_or(|author| cx.receipts.has_hole(author)) {
                self.begin_round(peer, due, cx);
            }
        }
        let waited = self.running.iter_mut().filter_map(|(peer, running)| {
            running.wait_until.take_if(|until| *until <= mono).map(|_until| *peer)
        });
        for peer in waited.collect::<Vec<_>>() {
            self.go_on(peer, cx);
        }
    }
}

//! A round from start to end: what is asked, what happens to the answers, and what they say about the neighbour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::effects::{Asking, Effects, RoundStep};
use crate::history::History;
use crate::ids::{MessageId, PeerKey};
use crate::io::Event;
use crate::reconcile::reconciler::flights::{FETCH_ALONE, ROUND_STALL};
use crate::reconcile::reconciler::past::ROUND_EVERY;
use crate::reconcile::{
    Ask, AskTag, Batch, ItemSet, OPEN_END, Outcome, Round, SetName, Source, Span, SyncReply,
    SyncRequest, parse_frames, spans,
};
use crate::words;

use super::flights::Flights;
use super::item_sets::ItemSets;
use super::past::Past;
use super::{Context, Due, Left, Reach, Reconciler, Running};

/// How many rounds run at the same time.
pub(crate) const ROUNDS_MAX: usize = 4;
/// How long to wait after the answer "later" before asking again.
const LATER_RETRY: Duration = Duration::from_millis(500);
/// At least one in this many objects of a batch must be new, because checking them costs more than sending them.
const BATCH_USE_MIN: u64 = 8;
/// How many missing messages are worth a progress notice to the user.
const BACKFILL_NOTICE_MIN: u64 = 256;

/// Objects that a neighbour has served and that are still to be judged.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) set: SetName,
    pub(crate) batch: Batch,
    pub(crate) tag: AskTag,
}

/// What a batch was worth.
#[derive(Debug, Default)]
pub(crate) struct Worth {
    /// The ids of all authentic objects.
    pub(crate) received: Vec<MessageId>,
    /// How many of them are new in the set.
    pub(crate) new: u64,
    /// Whether gossip should have brought some of them.
    pub(crate) recent: bool,
}

/// What a round reads of our own sets.
struct Own<'a> {
    history: &'a History,
    sets: &'a ItemSets,
    flights: &'a Flights,
    /// The peer at the other end, and the monotonic time.
    peer: PeerKey,
    mono: Duration,
}

impl Source for Own<'_> {
    fn items(&self, set: SetName, since: u64, until: u64) -> Arc<ItemSet> {
        self.sets.get(self.history, (set, since, until))
    }

    fn wants(&self, set: SetName, id: MessageId) -> bool {
        wants(self.history, set, id)
    }

    fn is_with_another(&self, id: MessageId) -> bool {
        self.flights.is_with_another(self.peer, id, self.mono)
    }
}

fn wants(history: &History, set: SetName, id: MessageId) -> bool {
    match set {
        SetName::Messages => history.wants(id),
        SetName::Moderations => history.rules().moderations().get(id).is_none(),
    }
}

impl Reconciler {
    fn number(&mut self) -> u64 {
        self.next_number = self.next_number.wrapping_add(1);
        self.next_number
    }

    /// Compares all windows with a random neighbour every few seconds.
    pub(super) fn routine_round(&mut self, cx: &mut Context<'_>) {
        let mono = cx.mono();
        if mono < self.routine {
            return;
        }
        self.routine = mono.saturating_add(ROUND_EVERY + cx.fx.jitter() * 10);
        self.flights.forget_old(mono);
        let neighbours = cx.links.neighbours();
        let idle: Vec<_> = neighbours.filter(|peer| !self.running.contains_key(peer)).collect();
        let drawn = usize::try_from(cx.fx.draw()).unwrap_or_default().checked_rem(idle.len());
        if let Some(peer) = drawn.and_then(|drawn| idle.get(drawn)) {
            self.want(*peer, Due::new(Reach::Full, false, mono), cx);
        }
    }

    /// Ends rounds that bring nothing new, even if the peer always answers in time. Also ends the longest round when
    /// others wait, because it may bring just enough to go on.
    pub(super) fn end_stalled(&mut self, cx: &mut Context<'_>) {
        let is_over = |since: Duration| since.saturating_add(ROUND_STALL) <= cx.mono();
        let longest = self.running.iter().filter(|(_peer, running)| is_over(running.began));
        let longest = longest.min_by_key(|(_peer, running)| running.began);
        let longest = longest.filter(|_| self.is_crowded(cx.mono()));
        let stalled = self.running.iter().filter(|(_peer, running)| is_over(running.useful_at));
        let ended: BTreeMap<_, _> = stalled
            .chain(longest)
            .map(|(peer, running)| (*peer, running.round.brought()))
            .collect();
        for (peer, brought) in ended {
            let outcome = Outcome { brought, agreed: false, complete: false };
            self.end_round(peer, outcome, cx);
        }
    }

    /// Whether all places are taken and a neighbour waits for one.
    fn is_crowded(&self, mono: Duration) -> bool {
        let waits =
            |(peer, due): (&PeerKey, &Due)| due.at <= mono && !self.running.contains_key(peer);
        self.running.len() >= ROUNDS_MAX && self.due.iter().any(waits)
    }

    pub(super) fn begin_round(&mut self, peer: PeerKey, due: Due, cx: &mut Context<'_>) {
        // Until the index is complete, everything old would seem to be missing.
        let reach = if self.indexed { due.reach } else { Reach::Recent };
        let (all, mono) = (Span { since: 0, until: OPEN_END }, cx.mono());
        let running = Running {
            round: Round::new(SetName::Moderations, vec![all]),
            number: self.number(),
            set: SetName::Moderations,
            began: mono,
            reach,
            open: due.open,
            wait_until: None,
            brought_recent: false,
            told_at: mono,
            useful_at: mono,
        };
        self.running.insert(peer, running);
        let number = SyncRequest::PolicyNumber(cx.history.rules().policy().number);
        cx.fx.ask(peer, &number, Asking::PolicyNumber);
        self.go_on(peer, cx);
    }

    /// Sends the next requests, and ends the round when there are none left.
    pub(super) fn go_on(&mut self, peer: PeerKey, cx: &mut Context<'_>) {
        let (history, mono) = (cx.history, cx.mono());
        loop {
            let source = Own { history, sets: &self.sets, flights: &self.flights, peer, mono };
            let Some(running) = self.running.get_mut(&peer) else { return };
            if running.wait_until.is_some() {
                return;
            }
            let round = running.number;
            let Some(Ask { tag, request }) = running.round.next_request(&source) else { break };
            let ids = match &request {
                SyncRequest::Get { ids, .. } => ids.clone(),
                _frames => Vec::new(),
            };
            self.flights.asked(peer, &ids, mono);
            cx.fx.ask(peer, &request, Asking::Round(RoundStep { round, tag, ids }));
        }
        let Some(running) = self.running.get(&peer) else { return };
        let Some(outcome) = running.round.outcome() else { return };
        // A peer that does not answer about moderations will not answer about messages either. The authority peer keeps
        // moderations for its operator, but no messages.
        let is_answered = outcome.complete || outcome.agreed;
        if running.set == SetName::Moderations && is_answered && !cx.me.is_authority() {
            self.go_on_to_messages(peer, cx);
        } else {
            self.end_round(peer, outcome, cx);
        }
    }

    fn go_on_to_messages(&mut self, peer: PeerKey, cx: &mut Context<'_>) {
        let number = self.number();
        self.look_again_later(peer, cx);
        if let Some(running) = self.running.get_mut(&peer) {
            let mut windows = spans(cx.realm_ms, running.open, cx.history.boundary());
            if running.reach == Reach::Recent {
                windows.truncate(1);
            }
            (running.set, running.number) = (SetName::Messages, number);
            running.round = Round::new(SetName::Messages, windows);
        }
        self.go_on(peer, cx);
    }

    fn end_round(&mut self, peer: PeerKey, outcome: Outcome, cx: &mut Context<'_>) {
        let left_some = self.look_again_later(peer, cx);
        let Some(running) = self.running.remove(&peer) else { return };
        tell_backfill(&running, true, cx.fx);
        let mono = cx.mono();
        let past = self.past.entry(peer).or_insert_with(|| Past::begins(mono));
        let in_vain = !outcome.agreed && outcome.brought == 0 && !left_some;
        past.round_has_ended(in_vain, mono);
        if past.is_deaf_after(running.brought_recent, mono) {
            cx.links.close(peer, cx.fx);
            return;
        }
        let whole = (outcome.complete || outcome.agreed) && !left_some;
        if running.set == SetName::Messages && running.reach == Reach::Full && whole {
            self.caught_up.get_or_insert(cx.realm_ms);
        }
        let cut_short = !outcome.complete && outcome.brought > 0;
        let behind = self.indexed && self.caught_up.is_none();
        if (behind && whole) || cut_short {
            self.want(peer, Due::new(Reach::Full, false, mono), cx);
        }
    }

    /// Plans another look at ids that a round has left to another peer. Returns whether there are any.
    fn look_again_later(&mut self, peer: PeerKey, cx: &Context<'_>) -> bool {
        let Some(running) = self.running.get_mut(&peer) else { return false };
        let (set, reach, open) = (running.set, running.reach, running.open);
        let ids = running.round.take_left();
        if ids.is_empty() {
            return false;
        }
        let at = cx.mono().saturating_add(FETCH_ALONE);
        self.left.push_back(Left { at, peer, set, ids, reach, open });
        true
    }

    /// Asks for ids that were left to others and have not arrived.
    pub(super) fn ask_for_what_was_left(&mut self, cx: &Context<'_>) {
        let mono = cx.mono();
        while let Some(left) = self.left.pop_front_if(|left| left.at <= mono) {
            if left.ids.iter().any(|id| wants(cx.history, left.set, *id)) {
                self.want(left.peer, Due::new(left.reach, left.open, mono), cx);
            }
        }
    }

    /// Takes the answer to a request of a round. Returns what must be judged; its worth then goes to [`Self::judged`].
    pub(crate) fn answered(
        &mut self,
        peer: PeerKey,
        step: &RoundStep,
        reply: Option<SyncReply>,
        cx: &mut Context<'_>,
    ) -> Option<Answer> {
        let running = self.running.get_mut(&peer).filter(|running| running.number == step.round)?;
        let understood = match reply {
            Some(SyncReply::Later) => {
                running.round.on_later(step.tag);
                running.wait_until = Some(cx.mono().saturating_add(LATER_RETRY));
                return None;
            }
            Some(SyncReply::Ok(body)) if step.ids.is_empty() => match parse_frames(&body) {
                Ok(frames) => {
                    let (history, mono) = (cx.history, cx.mono());
                    let (sets, flights) = (&self.sets, &self.flights);
                    let source = Own { history, sets, flights, peer, mono };
                    running.round.on_frames(step.tag, frames, &source);
                    true
                }
                Err(_unreadable) => false,
            },
            Some(SyncReply::Ok(body)) => match Batch::parse(&body) {
                Ok(batch) => return Some(Answer { set: running.set, batch, tag: step.tag }),
                Err(_unreadable) => false,
            },
            Some(SyncReply::Unsupported | SyncReply::NotFound) | None => false,
        };
        if !understood {
            running.round.on_failure(step.tag);
        }
        self.go_on(peer, cx);
        None
    }

    /// Takes the worth of a batch, once all of it has been judged.
    pub(crate) fn judged(
        &mut self,
        peer: PeerKey,
        tag: AskTag,
        worth: &Worth,
        cx: &mut Context<'_>,
    ) {
        let Worth { received, new, recent } = worth;
        for id in received {
            self.flights.landed(*id);
        }
        let mono = cx.mono();
        if let Some(running) = self.running.get_mut(&peer) {
            running.brought_recent |= recent;
            if *new > 0 {
                running.useful_at = mono;
            }
            if new.saturating_mul(BATCH_USE_MIN) < received.len() as u64 {
                running.round.on_useless_batch(tag, received);
            } else {
                running.round.on_batch(tag, received);
            }
            if mono >= running.told_at {
                running.told_at = mono.saturating_add(Duration::from_secs(1));
                tell_backfill(running, false, cx.fx);
            }
        }
        self.go_on(peer, cx);
    }
}

/// Tells a newcomer how far the backfill has got. A few missing messages are not worth a notice.
fn tell_backfill(running: &Running, ended: bool, fx: &mut Effects) {
    let (brought, needed) = (running.round.brought(), running.round.needed());
    if running.set == SetName::Messages && needed >= BACKFILL_NOTICE_MIN {
        let is_whole = brought >= needed;
        let (brought, needed) = (words::grouped(brought), words::grouped(needed));
        let text = match (ended, is_whole) {
            (true, true) => format!("{brought} earlier messages have arrived."),
            (true, false) => format!("{brought} of {needed} earlier messages have arrived."),
            (false, _) => format!("Catching up: {brought} of {needed} earlier messages."),
        };
        fx.event(Event::Notice { code: "backfill", text });
    }
}

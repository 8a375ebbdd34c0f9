//! What arrives only when its author can no longer post it: held by all, and folded by those who had caught up.

use std::sync::Arc;

use super::delivering::serve;
use super::harness::{Peer, policy, realm, seconds, text_by, ticket_of, verdict};
use crate::engine::{Input, LinkId, Output, StoredIndex, Topic};
use crate::message::{Content, VerifiedMessage};
use crate::moderation::ModerationKind;
use crate::policy::{Policy, SanctionKind};
use crate::testing::{self, T0};
use crate::verdict::Acceptance;

const DAY_MS: u64 = 86_400_000;

/// How the author with the number 4 loses the right to post.
#[derive(Debug, Clone, Copy)]
enum Silenced {
    Muted,
    MutedByAModerator,
    SignedOut,
    RoomArchived,
}

impl Silenced {
    const ALL: [Self; 4] =
        [Self::Muted, Self::MutedByAModerator, Self::SignedOut, Self::RoomArchived];

    fn apply(self, peer: &mut Peer) {
        let (from, whom) = (peer.now.wall_ms, testing::account("user4"));
        let sanction = |policy: &mut Policy, kind| {
            policy.sanctions.push(testing::sanction(kind, whom, from, None));
        };
        let document = policy(2, |policy| match self {
            Self::Muted => sanction(policy, SanctionKind::Mute),
            Self::SignedOut => sanction(policy, SanctionKind::Revocation),
            Self::RoomArchived => policy.rooms[0].archived_from = Some(from),
            Self::MutedByAModerator => {}
        });
        let mute = testing::moderation(ModerationKind::Mute, "user4", from, from + DAY_MS);
        if let Self::MutedByAModerator = self {
            let heard = peer.gossip(3, Topic::Control, &mute.to_gossip());
            assert_eq!(verdict(&heard), Acceptance::Accept);
        } else {
            let head = document.sign_head(&realm());
            peer.gossip(3, Topic::Control, &head);
            peer.answer_policy(3, Some(document.as_bytes().to_vec()));
        }
    }
}

/// A peer with one neighbour, with which it has compared all windows.
fn caught_up() -> Peer {
    let mut peer = Peer::new(2);
    peer.feed(Input::Index { stored: StoredIndex::default(), done: true });
    peer.link(1, 3);
    for _turn in 0..15 {
        let outputs = peer.advance(seconds(1));
        serve(&mut peer, outputs, &[]);
    }
    peer
}

/// The messages that were stored, and whether they are folded.
fn stored(outputs: &[Output]) -> Vec<bool> {
    let folded_of = |output: &Output| match output {
        Output::Store { folded, .. } => Some(*folded),
        _other => None,
    };
    outputs.iter().filter_map(folded_of).collect()
}

/// A message of five days ago, under a ticket that was valid then.
fn old_message() -> VerifiedMessage {
    let ticket = ticket_of(4, |claims| claims.issued_at_s -= 6 * DAY_MS / 1_000);
    let (room, body) = ("lobby".to_owned(), "five days late".into());
    let content = Content { room, session: 8, seq: 0, sent_at: T0 - 5 * DAY_MS, body };
    VerifiedMessage::author(content, Arc::new(ticket), &testing::key(4)).unwrap()
}

/// What the author dates back arrives by gossip, and older things by a round. Returns which of them are folded. `open`
/// are outputs whose requests were not answered yet.
fn dated_back(peer: &mut Peer, open: Vec<Output>) -> Vec<bool> {
    let late = text_by(4, "eleven seconds late", peer.now.wall_ms - 11_000);
    let heard = peer.gossip(3, Topic::Mesh, &late);
    assert_eq!(verdict(&heard), Acceptance::Accept, "it is held, whoever can see it");
    let mut folded = stored(&heard);
    folded.extend(stored(&serve(peer, open, &[old_message()])));
    for _turn in 0..15 {
        let outputs = peer.advance(seconds(1));
        folded.extend(stored(&serve(peer, outputs, &[old_message()])));
    }
    assert_eq!(peer.engine.history().set().len(), 2);
    folded
}

#[test]
fn r48_what_a_silenced_author_dates_back_is_folded() {
    for how in Silenced::ALL {
        let mut peer = caught_up();
        how.apply(&mut peer);
        assert_eq!(dated_back(&mut peer, Vec::new()), [true, true], "{how:?}");
    }
}

#[test]
fn r48_a_newcomer_shows_what_was_said_before_it_came() {
    for how in Silenced::ALL {
        let mut peer = Peer::new(2);
        peer.feed(Input::Index { stored: StoredIndex::default(), done: true });
        let mut open = peer.link(1, 3);
        open.extend(peer.advance(seconds(1)));
        how.apply(&mut peer);
        assert_eq!(dated_back(&mut peer, open), [false, false], "{how:?}");
    }
}

#[test]
fn r48_a_peer_that_was_alone_shows_what_it_missed() {
    for how in Silenced::ALL {
        let mut peer = caught_up();
        peer.feed(Input::LinkDown(LinkId(1)));
        peer.advance(seconds(60));
        let open = peer.link(2, 3);
        how.apply(&mut peer);
        assert_eq!(dated_back(&mut peer, open), [false, false], "{how:?}");
    }
}

#[test]
fn r48_what_was_said_in_time_and_heard_in_time_is_shown() {
    let mut peer = caught_up();
    let at = peer.now.wall_ms;
    let heard = peer.gossip(3, Topic::Mesh, &text_by(4, "in time", at));
    assert_eq!(stored(&heard), [false]);
    Silenced::Muted.apply(&mut peer);
    let after = text_by(4, "after the mute", peer.now.wall_ms + 1);
    assert_eq!(verdict(&peer.gossip(3, Topic::Mesh, &after)), Acceptance::Ignore);
}

//! The timeline's rules: one order, shared headers, folded notices, echoes that become messages.

use lanyard_node::Via;
use lanyard_node::event::Reason;
use lanyard_protocol::ids::{PeerKey, Role};
use lanyard_protocol::time::{DAY_MS, HOUR_MS};

use super::*;

const START_MS: u64 = 20_000 * DAY_MS + 9 * HOUR_MS;

fn message(author: u8, number: u8, sent_at: u64) -> Arc<ChatMessage> {
    let mut id = [0; 32];
    id[0] = author;
    id[1] = number;
    Arc::new(ChatMessage {
        id: MessageId(id),
        room: "lobby".into(),
        account: AccountId([author; 16]),
        username: format!("user{author}"),
        nickname: format!("User {author}"),
        peer: PeerKey([author; 32]),
        role: Role::Member,
        body: format!("text {number}").into(),
        sent_at,
        received_at: sent_at,
        via: Via::Gossip,
        late: false,
        folded: false,
        forked: false,
        session: 1,
        seq: u64::from(number),
        state: None,
    })
}

fn own(number: u8, sent_at: u64) -> Arc<ChatMessage> {
    let mut own = (*message(9, number, sent_at)).clone();
    own.state = Some(Progress::Waiting);
    own.via = Via::Own;
    Arc::new(own)
}

fn timeline() -> Timeline {
    Timeline::new(TimeZone::UTC, Some(AccountId([9; 16])))
}

fn kinds(timeline: &Timeline) -> String {
    let letter = |row: &Row| match row.kind {
        RowKind::Day(_) => 'D',
        RowKind::New => 'N',
        RowKind::Message { header: true } => 'M',
        RowKind::Message { header: false } => 'm',
        RowKind::Presence { .. } => 'p',
        RowKind::Folded { .. } => 'f',
        RowKind::News => 'n',
        RowKind::Late => 'L',
        RowKind::Echo { header: true } => 'E',
        RowKind::Echo { header: false } => 'e',
    };
    timeline.rows().iter().map(letter).collect()
}

fn note(number: u64, at: u64) -> PresenceNote {
    PresenceNote { number, at, nickname: "Bob".into(), reason: Reason::Joined }
}

#[test]
fn any_arrival_order_gives_one_timeline() {
    let messages: Vec<_> =
        (0..12_u8).map(|n| message(n % 3, n, START_MS + u64::from(n) * 200_000)).collect();
    let mut forwards = timeline();
    for message in &messages {
        assert!(forwards.insert(Arc::clone(message), false));
        assert!(!forwards.insert(Arc::clone(message), false), "once per id");
    }
    let mut backwards = timeline();
    for message in messages.iter().rev() {
        backwards.insert(Arc::clone(message), false);
    }
    let mut paged = timeline();
    paged.insert_page(&messages[6..], |_| false);
    paged.insert_page(&messages[..8], |_| false);
    assert_eq!(forwards.rows(), backwards.rows());
    assert_eq!(forwards.rows(), paged.rows());
    assert_eq!(paged.message_count(), 12);
    assert_eq!(paged.oldest(), Some(messages[0].id));
}

#[test]
fn messages_within_five_minutes_share_a_header() {
    let mut timeline = timeline();
    timeline.insert(message(1, 0, START_MS), false);
    timeline.insert(message(1, 1, START_MS + 60_000), false);
    timeline.insert(message(1, 2, START_MS + 60_000 + GROUP_GAP_MS), false);
    timeline.insert(message(2, 3, START_MS + 61_000 + GROUP_GAP_MS), false);
    assert_eq!(kinds(&timeline), "DMmMM");
}

#[test]
fn every_day_has_a_divider() {
    let mut timeline = timeline();
    timeline.insert(message(1, 0, START_MS), false);
    timeline.insert(message(1, 2, START_MS + 2 * DAY_MS), false);
    timeline.insert(message(1, 1, START_MS + DAY_MS), false);
    assert_eq!(kinds(&timeline), "DMDMDM");
}

#[test]
fn notices_fold_until_somebody_speaks() {
    let mut timeline = timeline();
    timeline.insert(message(1, 0, START_MS), false);
    for number in 0..5 {
        timeline.insert_notice(Entry::Presence(note(number, START_MS + 10 + number)));
    }
    timeline.insert(message(1, 1, START_MS + 100), false);
    timeline.insert_notice(Entry::Presence(note(9, START_MS + 200)));
    assert_eq!(kinds(&timeline), "DMpMp");
    let folded = timeline.rows()[2];
    assert_eq!(folded.kind, RowKind::Presence { count: 5 });
    assert_eq!(timeline.presence(folded, 5).count(), 5);
    timeline.insert(message(2, 2, START_MS + 12), false);
    assert_eq!(kinds(&timeline), "DMpMpMp", "a late message splits the fold");
}

#[test]
fn the_unread_line_stands_before_the_first_unread_message() {
    let mut timeline = timeline();
    timeline.insert(message(1, 0, START_MS), false);
    timeline.mark_unread_from_now();
    assert!(!timeline.has_unread_line(), "nothing is unread yet");
    timeline.insert(message(1, 1, START_MS + 1), false);
    timeline.insert(message(1, 2, START_MS + 2), false);
    assert_eq!(kinds(&timeline), "DMNMm");
    assert!(timeline.mark_unread_after(message(1, 1, 0).id));
    assert_eq!(kinds(&timeline), "DMmNM");
    assert!(!timeline.mark_unread_after(message(9, 9, 0).id), "it is not held");
    assert_eq!(kinds(&timeline), "DMmNM");
    timeline.mark_all_unread();
    assert_eq!(kinds(&timeline), "DNMmm");
    timeline.clear_unread_line();
    assert_eq!(kinds(&timeline), "DMmm");
}

#[test]
fn an_echo_becomes_its_message_in_either_order() {
    let echo = |number, text: &str| Echo::new(number, text.into(), START_MS);
    for answer_first in [true, false] {
        let mut timeline = timeline();
        timeline.push_echo(echo(1, "text 0"));
        timeline.push_echo(echo(2, "text 1"));
        assert_eq!(kinds(&timeline), "Ee");
        let message = own(0, START_MS);
        if answer_first {
            timeline.echo_stored(1, message.id);
            assert_eq!(kinds(&timeline), "Ee");
            timeline.insert(Arc::clone(&message), false);
        } else {
            timeline.insert(Arc::clone(&message), false);
            timeline.echo_stored(1, message.id);
        }
        assert_eq!(kinds(&timeline), "DMe");
        assert_eq!(timeline.take_echo(2).map(|echo| echo.body), Some("text 1".into()));
        assert_eq!(kinds(&timeline), "DM");
    }
}

#[test]
fn an_echo_is_found_by_what_was_typed() {
    let mut timeline = timeline();
    let mut message = (*own(0, START_MS)).clone();
    message.body.text = "a\u{202E}b".into();
    timeline.push_echo(Echo::new(1, message.body.clone(), START_MS));
    timeline.insert(Arc::new(message), false);
    assert_eq!(kinds(&timeline), "DM", "the message has taken the place of its echo");
}

#[test]
fn a_state_finds_its_message() {
    let mut timeline = timeline();
    let message = own(3, START_MS);
    timeline.insert(Arc::clone(&message), false);
    timeline.set_state(message.id, Progress::Stored { by: 2, of: 3 });
    let state = timeline.newest().and_then(|line| line.state);
    assert_eq!(state, Some(Progress::Stored { by: 2, of: 3 }));
}

#[test]
fn appending_leaves_the_rows_before_alone() {
    let mut timeline = timeline();
    for number in 0..50 {
        timeline.insert(message(1, number, START_MS + u64::from(number)), false);
    }
    let seen = timeline.revision();
    assert_eq!(timeline.rows_unchanged_since(seen), 51);
    timeline.insert(message(1, 51, START_MS + 51), false);
    assert_eq!(timeline.rows_unchanged_since(seen), 50);
    timeline.insert(message(1, 60, START_MS - 1), false);
    assert_eq!(timeline.rows_unchanged_since(seen), 0);
    assert_eq!(timeline.rows_unchanged_since(0), 0, "long ago: start anew");
}

#[test]
fn hostile_text_is_cleaned_at_the_door() {
    let mut timeline = timeline();
    let mut hostile = (*message(1, 0, START_MS)).clone();
    hostile.body.text = "\u{202E}evil".into();
    timeline.insert(Arc::new(hostile), false);
    assert_eq!(timeline.newest().map(Line::text), Some("evil"));
}

fn folded(author: u8, number: u8) -> Arc<ChatMessage> {
    let mut message = (*message(author, number, START_MS + u64::from(number) * 1_000)).clone();
    message.folded = true;
    Arc::new(message)
}

#[test]
fn messages_after_a_ban_are_one_line_until_unfolded() {
    let mut timeline = timeline();
    timeline.insert(message(1, 1, START_MS + 1_000), false);
    timeline.insert(message(2, 3, START_MS + 3_000), false);
    assert_eq!(kinds(&timeline), "DMM");
    for number in [2, 4, 5] {
        timeline.insert(folded(1, number), false);
    }
    assert_eq!(kinds(&timeline), "DMfMf");
    assert_eq!(timeline.rows()[4].kind, RowKind::Folded { count: 2 });
    timeline.unfold(folded(1, 4).id);
    assert_eq!(kinds(&timeline), "DMfMMm");
    timeline.unfold(folded(1, 2).id);
    assert_eq!(kinds(&timeline), "DMmMMm");
}

#[test]
fn folded_lines_do_not_lend_their_header() {
    let mut timeline = timeline();
    timeline.insert(folded(1, 1), false);
    timeline.insert(message(1, 2, START_MS + 2_000), false);
    assert_eq!(kinds(&timeline), "DfM");
}

#[test]
fn a_mark_may_come_and_go_with_the_store() {
    let mut timeline = timeline();
    timeline.insert(message(1, 1, START_MS + 1_000), false);
    timeline.insert_page(&[folded(1, 1)], |_| false);
    assert_eq!(kinds(&timeline), "Df");
    timeline.insert_page(&[message(1, 1, START_MS + 1_000)], |_| false);
    assert_eq!(kinds(&timeline), "DM");
}

#[test]
fn what_left_the_history_leaves_the_timeline() {
    let mut timeline = timeline();
    for number in 1..=4 {
        timeline.insert(message(1, number, START_MS + u64::from(number)), false);
    }
    let news = News { number: 1, at: START_MS + 10, words: "x".into(), grave: true };
    timeline.insert_notice(Entry::News(news));
    assert_eq!(kinds(&timeline), "DMmmmn");
    let before = timeline.revision();
    timeline.remove(&BTreeSet::from([message(1, 1, 0).id, message(1, 3, 0).id]));
    assert_eq!(kinds(&timeline), "DMmn");
    assert_eq!(timeline.message_count(), 2);
    assert_eq!(timeline.rows_unchanged_since(before), 0);
    assert!(timeline.insert(message(1, 3, START_MS + 3), false), "it may come back");
}

/// Said at `sent_at`, and here two hours after everything else.
fn late(number: u8, sent_at: u64) -> Arc<ChatMessage> {
    let mut late = (*message(1, number, sent_at)).clone();
    (late.late, late.received_at) = (true, START_MS + 2 * HOUR_MS);
    Arc::new(late)
}

#[test]
fn each_late_block_has_one_note_above() {
    let mut timeline = timeline();
    let minute = |n: u64| START_MS + n * 60_000;
    for n in [0, 10, 20] {
        timeline.insert(message(2, n, minute(n.into())), false);
    }
    for (number, at) in [(1, 11), (2, 12), (3, 1), (4, 13)] {
        timeline.insert(late(number, minute(at)), false);
    }
    assert_eq!(kinds(&timeline), "DMLMMLMmmM");
    let blocks = timeline.rows().iter().filter(|row| row.kind == RowKind::Late);
    let sizes: Vec<_> = blocks.map(|row| timeline.late_block(*row).count()).collect();
    assert_eq!(sizes, [1, 3]);
    timeline.insert(late(5, minute(21)), false);
    assert_eq!(kinds(&timeline), "DMLMMLMmmMM", "nothing stands below the last");
}

#[test]
fn late_is_the_same_one_by_one_and_as_a_page() {
    let minute = |n: u64| START_MS + n * 60_000;
    let all: Vec<_> =
        (0..12)
            .map(|n| {
                if n % 3 == 0 { late(n, minute(n.into())) } else { message(2, n, minute(n.into())) }
            })
            .collect();
    let (mut singly, mut paged) = (timeline(), timeline());
    for message in &all {
        singly.insert(Arc::clone(message), false);
    }
    paged.insert_page(&all, |_| false);
    assert_ne!(kinds(&singly), kinds(&paged), "what is below decides, and comes last here");
    singly.insert_page(&all, |_| false);
    let mut newest_first = timeline();
    for message in all.iter().rev() {
        newest_first.insert(Arc::clone(message), false);
    }
    assert_eq!(kinds(&newest_first), kinds(&paged));
}

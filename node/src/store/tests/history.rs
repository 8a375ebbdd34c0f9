//! What the history needs from the store: marking, deleting, loading, and reporting what was not written.

use lanyard_protocol::history::Resettled;
use lanyard_protocol::ids::MessageId;
use lanyard_protocol::moderation::ModerationKind;
use lanyard_protocol::wire::Pair;

use super::*;

const HOUR_MS: u64 = 3_600_000;

/// Writes through the real thread and closes it.
fn write(path: &Path, writes: impl IntoIterator<Item = Write>) -> Vec<Stored> {
    let (told, mut heard) = mpsc::channel(10_000);
    let mut writer = Store::open(path, &realm()).unwrap().writer(told).unwrap();
    writer.close(writes);
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

fn gossip(message: &AdmittedMessage, folded: bool) -> Write {
    let message = Box::new(message.clone());
    Write::Message { request: None, message, via: Via::Gossip, received_at: T0, folded }
}

fn shown(path: &Path) -> Vec<String> {
    let reader = Reader::open(path, &realm()).unwrap();
    let history = reader.history("lobby", Page::Newest, 500).unwrap();
    assert_eq!(reader.count().unwrap(), history.messages.len() as u64);
    history.messages.iter().map(|message| message.body.text.clone()).collect()
}

fn loaded(path: &Path, part: usize) -> Vec<(MessageId, bool)> {
    let mut loader = Loader::open(path, &realm()).unwrap();
    let parts = std::iter::from_fn(|| {
        Some(loader.next(part).unwrap().messages).filter(|messages| !messages.is_empty())
    });
    parts.flatten().map(|message| (message.id, message.held)).collect()
}

#[test]
fn condemned_is_kept_unshown_and_displaced_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let messages: Vec<_> = (0..4).map(|seq| message(seq, 1, T0 + seq)).collect();
    let ids: Vec<_> = messages.iter().map(|message| message.id()).collect();
    store(&path, &messages);
    let marked = Write::ReadMark("lobby".into(), ids[2]);
    let change = Resettled { condemned: vec![ids[1]], displaced: vec![ids[2]], restored: vec![] };
    let told = write(&path, [marked, Write::Resettle(change)]);
    assert!(matches!(told[..], [Stored::Resettled(-2)]), "{told:?}");
    assert_eq!(shown(&path), ["1/0", "1/3"]);
    assert_eq!(loaded(&path, 9), [(ids[3], true), (ids[1], false), (ids[0], true)]);
    let reader = Reader::open(&path, &realm()).unwrap();
    assert_eq!(reader.unread("lobby").unwrap(), (Some(ids[0]), 1), "the mark was on what is gone");
    assert_eq!(reader.pairs(&ids, 100_000).unwrap().len(), 2);

    let back = Resettled { restored: vec![ids[1]], ..Resettled::default() };
    assert!(matches!(write(&path, [Write::Resettle(back)])[..], [Stored::Resettled(1)]));
    assert_eq!(shown(&path), ["1/0", "1/1", "1/3"]);
}

#[test]
fn a_condemned_message_that_is_valid_again_is_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let message = message(0, 1, T0);
    store(&path, std::slice::from_ref(&message));
    let condemned = Resettled { condemned: vec![message.id()], ..Resettled::default() };
    write(&path, [Write::Resettle(condemned)]);
    assert_eq!(shown(&path), Vec::<String>::new());
    assert!(matches!(write(&path, [gossip(&message, false)])[..], [Stored::Resettled(1)]));
    assert_eq!(shown(&path), ["1/0"]);
}

#[test]
fn old_messages_and_moderations_are_deleted_part_by_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let old: Vec<_> = (0..2_100).map(|seq| message(seq, 1, T0)).collect();
    let moderation =
        |from| Box::new(testing::moderation(ModerationKind::Mute, "bob", from, from + 3 * HOUR_MS));
    let (old_one, young_one) = (moderation(T0 - 23 * HOUR_MS), moderation(T0 - 21 * HOUR_MS));
    let moderations = [old_one, young_one.clone()].map(Write::Moderation);
    let young = gossip(&message(0, 2, T0 + 2 * HOUR_MS), false);
    write(&path, old.iter().map(|message| gossip(message, false)).chain(moderations));
    let (told, mut heard) = mpsc::channel(10_000);
    let mut writer = Store::open(&path, &realm()).unwrap().writer(told).unwrap();
    writer.try_write(Write::Forget { before: T0 + 2 * HOUR_MS }).unwrap();
    writer.try_write(young).unwrap();
    let (mut gone, mut parts) = (0, 0);
    while gone > -2_100 {
        if let Some(Stored::Resettled(change)) = heard.blocking_recv() {
            (gone, parts) = (gone + change, parts + 1);
        }
    }
    assert!(parts > 1, "in one part it would hold everything up");
    writer.close([]);
    assert_eq!(shown(&path), ["2/0"]);
    let moderations = Reader::open(&path, &realm()).unwrap().moderations(&realm()).unwrap();
    assert_eq!(moderations, [*young_one], "read back as it was");
}

#[test]
fn a_failed_write_takes_no_other_with_it_and_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    drop(Store::open(&path, &realm()).unwrap());
    let full = "CREATE TRIGGER full BEFORE INSERT ON messages WHEN NEW.text = '1/3'
                BEGIN SELECT RAISE(ABORT, 'no room'); END";
    Connection::open(&path).unwrap().execute_batch(full).unwrap();
    let messages: Vec<_> = (0..6).map(|seq| message(seq, 1, T0 + seq)).collect();
    let mut told = store(&path, &messages);
    let lost = |told: &Stored| matches!(told, Stored::GivenBack { .. });
    let refused: Vec<_> = told.extract_if(.., |told| lost(told)).collect();
    let [Stored::GivenBack { sent_at, message: id }] = refused[..] else { panic!("{refused:?}") };
    assert_eq!((sent_at, id), (T0 + 3, messages[3].id()));
    assert_eq!(told.len(), 5);
    assert_eq!(shown(&path), ["1/0", "1/1", "1/2", "1/4", "1/5"]);

    let own = Box::new(message(3, 1, T0));
    let (request, via) = (Some(9), Via::Own);
    let write_own = Write::Message { request, message: own, via, received_at: T0, folded: false };
    let told = write(&path, [write_own]);
    let [Stored::Own { request: 9, result: Err(reason) }] = &told[..] else { panic!("{told:?}") };
    assert!(reason.contains("no room"), "{reason}");
}

#[test]
fn folded_and_forked_are_told_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let (first, second) = (message(0, 1, T0), message(0, 1, T0 + 1));
    let told = write(&path, [gossip(&first, true), gossip(&second, false)]);
    let marks = |told: &Stored| match told {
        Stored::Message(message) => (message.folded, message.forked),
        other => panic!("{other:?}"),
    };
    assert_eq!(told.iter().map(marks).collect::<Vec<_>>(), [(true, false), (false, true)]);
    let reader = Reader::open(&path, &realm()).unwrap();
    let history = reader.history("lobby", Page::Newest, 9).unwrap();
    let marks: Vec<_> = history.messages.iter().map(|m| (m.folded, m.forked)).collect();
    assert_eq!(marks, [(true, true), (false, true)], "of two, both are");
    assert_eq!(reader.unread("lobby").unwrap().1, 1, "a folded line asks for nobody's eye");
}

#[test]
fn the_index_is_loaded_newest_first_with_each_ticket_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let messages: Vec<_> = (0..25).map(|seq| message(seq, 1, T0 + seq / 2)).collect();
    store(&path, &messages);
    let mut expected: Vec<_> = messages.iter().map(|m| (m.content().sent_at, m.id())).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let ids: Vec<_> = expected.iter().map(|(_sent_at, id)| (*id, true)).collect();
    for part in [1, 7, 100] {
        assert_eq!(loaded(&path, part), ids);
    }
    let mut loader = Loader::open(&path, &realm()).unwrap();
    let recent = loader.since(T0 + 10).unwrap();
    assert_eq!((recent.messages.len(), recent.tickets.len()), (5, 1));
    let rest = loader.next(100).unwrap();
    assert_eq!((rest.messages.len(), rest.tickets.len()), (20, 0));
    let stored = testing::stored(&messages);
    assert!(rest.messages.iter().all(|message| stored.messages.contains(message)));

    let broken = "UPDATE tickets SET bytes = zeroblob(200)";
    Connection::open(&path).unwrap().execute_batch(broken).unwrap();
    assert_eq!(loaded(&path, 100), [], "without its ticket nothing can be proved");
}

#[test]
fn pairs_come_in_the_order_asked_for_and_stop_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let messages: Vec<_> = (0..3).map(|seq| message(seq, 1, T0)).collect();
    store(&path, &messages);
    let reader = Reader::open(&path, &realm()).unwrap();
    let wanted = [messages[2].id(), MessageId([9; 32]), messages[0].id(), messages[1].id()];
    let pairs = reader.pairs(&wanted, usize::MAX).unwrap();
    let given: Vec<_> = pairs.iter().map(|(id, _pair)| *id).collect();
    assert_eq!(given, [wanted[0], wanted[2], wanted[3]]);
    for (id, pair) in &pairs {
        let message = messages.iter().find(|message| message.id() == *id).unwrap();
        let stored = Pair { ticket: &pair.ticket, object: &pair.object };
        assert_eq!(stored.to_bytes(), message.to_gossip());
    }
    let bytes = |n: usize| {
        let objects: usize = pairs.iter().take(n).map(|(_id, pair)| pair.object.len()).sum();
        objects + pairs[0].1.ticket.len()
    };
    assert_eq!(reader.pairs(&wanted, bytes(2)).unwrap().len(), 2, "one ticket for both");
    assert_eq!(reader.pairs(&wanted, bytes(2) - 1).unwrap().len(), 1);
}

//! Rules that span several parts of the model.

use std::sync::Arc;

use lanyard_node::{ChatMessage, History, Page, SendRefused, Via};
use lanyard_protocol::time::DAY_MS;

use super::*;
use crate::testing::demo;

const NOW_MS: u64 = 1_772_443_260_000;

fn inside(people: &[usize]) -> Model {
    let mut model = Model::new(demo::settings(), PathBuf::new(), TimeZone::UTC, NOW_MS);
    let status = Arc::new(demo::status(NOW_MS, people));
    model.apply(BackendEvent::Joined { status, offline: false, notices: Vec::new() });
    model
}

fn deliver(model: &mut Model, message: ChatMessage) -> Vec<Effect> {
    model.apply(BackendEvent::Node(NodeEvent::Message(Arc::new(message))))
}

fn notifications(effects: &[Effect]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for effect in effects {
        if let Effect::Notify { title, body } = effect {
            found.push((title.as_str(), body.as_str()));
        }
    }
    found
}

#[test]
fn the_desktop_notifies_while_the_user_looks_elsewhere() {
    let mut model = inside(&[0, 1]);
    assert!(notifications(&deliver(&mut model, demo::message(1, 1, "hi", NOW_MS))).is_empty());
    model.tick(NOW_MS, Attention::Elsewhere, false);
    let effects = deliver(&mut model, demo::message(1, 2, "hi\nthere", NOW_MS));
    assert_eq!(notifications(&effects), [("陳 Chen", "hi there")]);
}

#[test]
fn backfill_and_own_texts_never_notify() {
    let mut model = inside(&[0, 1]);
    model.tick(NOW_MS, Attention::Elsewhere, false);
    let mut old = demo::message(1, 1, "@ada yesterday", NOW_MS - DAY_MS);
    old.via = Via::Sync;
    assert!(notifications(&deliver(&mut model, old)).is_empty());
    assert_eq!(model.chat().map(Chat::unread), Some(1), "it counts as unread all the same");
    let status = demo::status(NOW_MS, &[0]);
    let own = demo::own_message(&status.me, "lobby", "from my other device", 1, NOW_MS);
    assert!(notifications(&deliver(&mut model, own)).is_empty());
}

#[test]
fn a_mention_notifies_a_user_who_reads_further_up() {
    let mut model = inside(&[0, 1]);
    model.handle(Action::AtBottom(false));
    let plain = deliver(&mut model, demo::message(1, 1, "hi", NOW_MS));
    assert!(notifications(&plain).is_empty());
    let mention = deliver(&mut model, demo::message(1, 2, "hi @Ada L.", NOW_MS));
    assert_eq!(notifications(&mention).len(), 1);
    assert_eq!(model.chat().and_then(Chat::room).map(|room| room.unread), Some(2));
}

#[test]
fn a_refused_text_comes_back_as_it_was_typed() {
    let mut model = inside(&[0, 1]);
    let typed = "a\u{202E}b\tc";
    model.handle(Action::EditDraft(typed.to_owned()));
    let effects = model.handle(Action::Send);
    let Some(Effect::Backend(Command::Send { draft, echo })) = effects.into_iter().next() else {
        panic!("nothing is sent")
    };
    let result = Err(SendRefused::SlowDown { retry_after_ms: 3_000 }.into());
    model.apply(BackendEvent::SendDone { room: draft.room, echo, result });
    let room = model.chat().and_then(Chat::room);
    assert_eq!(room.map(|room| room.composer.draft.text.as_str()), Some(typed));
}

#[test]
fn missed_events_are_read_again_from_the_store() {
    let mut model = inside(&[0, 1]);
    let effects = model.apply(BackendEvent::Lagged);
    let [Effect::Backend(Command::Load { .. }), Effect::Backend(Command::CountUnread { .. })] =
        effects.as_slice()
    else {
        panic!("{effects:?}")
    };
}

#[test]
fn many_changes_cause_two_reads_at_most() {
    let mut model = inside(&[0, 1]);
    let reload = || BackendEvent::Node(NodeEvent::Reload);
    assert_eq!(model.apply(reload()).len(), 2);
    for _ in 0..10 {
        assert!(model.apply(reload()).is_empty(), "the one under way is not done");
    }
    let page = || {
        let (room, result) = ("lobby".into(), Ok(History::default()));
        BackendEvent::Loaded { room, page: Page::Newest, result }
    };
    assert_eq!(model.apply(page()).len(), 2, "once more, for all ten");
    assert!(model.apply(page()).is_empty());
}

#[test]
fn messages_removed_by_a_ban_are_no_longer_unread() {
    let mut model = inside(&[0, 1]);
    model.tick(NOW_MS, Attention::Elsewhere, false);
    for number in 1..=3 {
        deliver(&mut model, demo::message(1, number, "spam", NOW_MS));
    }
    assert_eq!(model.chat().map(Chat::unread), Some(3));
    model.apply(BackendEvent::Node(NodeEvent::Reload));
    model.apply(BackendEvent::Unread { room: "lobby".into(), result: Ok((None, 1)) });
    assert_eq!(model.chat().map(Chat::unread), Some(1));
    model.apply(BackendEvent::Unread { room: "lobby".into(), result: Ok((None, 0)) });
    assert_eq!(model.chat().map(Chat::unread), Some(1), "a late answer takes nothing away");
}

#[test]
fn an_unreadable_history_leaves_nothing_unread_for_ever() {
    let mut model = inside(&[0, 1]);
    let (read, room) = (demo::message(1, 1, "", NOW_MS).id, || "lobby".to_owned());
    model.apply(BackendEvent::Unread { room: room(), result: Ok((Some(read), 60)) });
    let result = Err(lanyard_node::ReadError::NotFound);
    model.apply(BackendEvent::Loaded { room: room(), page: Page::Newest, result });
    let message = demo::message(1, 2, "hi", NOW_MS);
    let id = message.id;
    deliver(&mut model, message);
    assert_eq!(model.chat().map(Chat::unread), Some(61));
    model.handle(Action::Saw(id));
    assert_eq!(model.chat().map(Chat::unread), Some(0));
}

#[test]
fn a_renewed_ticket_is_remembered_for_the_next_start() {
    let mut model = inside(&[0, 1]);
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.expires_at = NOW_MS + 99;
    let effects = model.apply(BackendEvent::Status(Arc::new(status)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::SaveSettings)));
    assert_eq!(model.settings.realms.first().map(|realm| realm.signed_in_until), Some(NOW_MS + 99));
}

#[test]
fn events_outside_a_realm_change_nothing() {
    let mut model = Model::new(Settings::default(), PathBuf::new(), TimeZone::UTC, NOW_MS);
    assert!(deliver(&mut model, demo::message(1, 1, "hi", NOW_MS)).is_empty());
    assert!(model.handle(Action::Send).is_empty());
    let effects = model.handle(Action::SignIn);
    assert!(matches!(effects.as_slice(), [Effect::Focus(_)]), "{effects:?}");
}

//! The rules in the window: mutes and bans, what a moderator does, and what enters and leaves the history.

use std::sync::Arc;

use eframe::egui::Key;
use egui_kittest::kittest::Queryable as _;

use lanyard_gui::bridge::{BackendEvent, Command, ModerationKind, NewModeration, Restriction};
use lanyard_gui::model::session::Chat;
use lanyard_gui::testing::demo;
use lanyard_node::event::Reason;
use lanyard_node::status::Mute;
use lanyard_node::{NodeEvent, Status};
use lanyard_protocol::ids::{AccountId, Role};

use crate::stage::{NOW_MS, Stage, typed};

const HOUR_MS: u64 = 3_600_000;

fn moderator(people: &[usize]) -> Status {
    let mut status = demo::status(NOW_MS, people);
    status.me.role = Role::Moderator;
    status
}

fn ban_of_bob() -> Restriction {
    Restriction {
        kind: ModerationKind::Ban,
        account: demo::account(2),
        until: Some(NOW_MS + HOUR_MS),
        reason: "sold tickets".into(),
        moderator: Some("chen".into()),
        at: NOW_MS,
    }
}

fn moderations(stage: &Stage) -> Vec<NewModeration> {
    let script = stage.backend.script();
    let moderations = script.commands.iter().filter_map(|command| match command {
        Command::Moderate(moderation) => Some(moderation.clone()),
        _ => None,
    });
    moderations.collect()
}

#[test]
fn a_restriction_is_a_line_in_every_room() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    let mut stage = Stage::inside_with(status, |_| {});
    stage.node(|node| node.push(BackendEvent::Restriction(ban_of_bob())));
    let words = "Bob was banned by @chen until today 10:21. Reason: sold tickets";
    assert!(stage.shows(words), "{:?}", stage.labels());
    stage.click("# hardware");
    assert!(stage.shows(words));
    let kind = ModerationKind::Lift;
    let lifted = Restriction { kind, until: None, reason: String::new(), ..ban_of_bob() };
    stage.node(|node| node.push(BackendEvent::Restriction(lifted)));
    assert!(stage.shows("Bob: mutes and bans by moderators were lifted by @chen"));
}

#[test]
fn a_restricted_person_who_is_gone_is_still_named() {
    let mut stage = Stage::inside(&[0, 1]);
    let hit = |account| Restriction { account, reason: String::new(), ..ban_of_bob() };
    stage.node(|node| {
        node.deliver(demo::message(3, 1, "I was here", NOW_MS - HOUR_MS));
        node.tell(demo::presence(7, false, Reason::Left));
        for account in [demo::account(3), demo::account(7), demo::account(0)] {
            node.push(BackendEvent::Restriction(hit(account)));
        }
        node.push(BackendEvent::Restriction(hit(AccountId([0xfe; 16]))));
    });
    for who in ["Dina was", "Hana was", "You were", "Somebody who is not here was"] {
        let words = format!("{who} banned by @chen until today 10:21");
        assert!(stage.shows(&words), "{words}: {:?}", stage.labels());
    }
}

#[test]
fn a_long_reason_wraps_in_a_narrow_window() {
    let status = demo::status(NOW_MS, &[0, 1, 2]);
    let mut stage = Stage::inside_sized(status, eframe::egui::vec2(640.0, 420.0), |_| {});
    let reason = "W".repeat(200);
    let ban = Restriction { reason: reason.clone(), ..ban_of_bob() };
    stage.node(|node| {
        node.push(BackendEvent::Restriction(ban));
        node.deliver(demo::message(1, 1, "after", NOW_MS + 1));
    });
    let labels = stage.labels();
    let words = labels.iter().find(|label| label.contains(&reason)).unwrap();
    let rect = stage.harness.get_by_label(words).rect();
    assert!(rect.right() <= 640.0 && rect.height() > 30.0, "{rect:?}");
    assert!(stage.harness.get_by_label("after").rect().top() >= rect.bottom() - 1.0);
}

#[test]
fn what_the_operator_changes_is_shown_in_words() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| {
        node.set_status(|status| {
            status.rooms[0].topic = "Talk, and nothing else".into();
            status.rooms.push(demo::room("hardware", "Benches", Role::Guest));
            status.max_text_bytes = 1_024;
        });
    });
    assert!(stage.shows("The topic is now: Talk, and nothing else"));
    assert!(stage.shows("There is a new room: # hardware – Benches"));
    assert!(stage.shows("A message may now have up to 1,024 bytes"));
    stage.node(|node| node.set_status(|status| status.rooms[0].archived = true));
    assert!(stage.shows_part("This room is now archived"));
    assert!(stage.shows_part("This room is archived. It can be read"), "the composer knows");
    stage.node(|node| node.set_status(|status| status.messages += 1));
    assert_eq!(stage.count("The topic is now: Talk, and nothing else"), 1, "said once");
}

#[test]
fn a_moderator_mutes_with_a_reason_and_a_confirmation() {
    let mut stage = Stage::inside_with(moderator(&[0, 1, 2]), |_| {});
    stage.click_secondary("Bob");
    stage.click("Mute…");
    assert!(stage.shows_part("Mute Bob (@bob)?"));
    assert!(moderations(&stage).is_empty(), "nothing happens before it is confirmed");
    stage.click("1 h");
    stage.type_into("Reason", "loud");
    stage.backend.script().failures.push_back("You are not a moderator any more.".into());
    stage.click("Mute");
    assert!(stage.shows("You are not a moderator any more."));
    stage.click("Mute");
    let moderation = NewModeration {
        kind: ModerationKind::Mute,
        account: demo::account(2),
        for_ms: Some(HOUR_MS),
        reason: "loud".into(),
    };
    assert_eq!(moderations(&stage), [moderation.clone(), moderation]);
    assert!(!stage.shows_part("Mute Bob"), "the dialog is gone");
}

#[test]
fn a_message_leads_to_its_author_too() {
    let mut stage = Stage::inside_with(moderator(&[0, 1]), |_| {});
    stage.node(|node| node.deliver(demo::message(6, 1, "buy my tickets", NOW_MS)));
    stage.click_secondary("buy my tickets");
    stage.click("Ban…");
    stage.click("24 h");
    stage.click("Ban");
    stage.click_secondary("buy my tickets");
    stage.click("Lift mute or ban…");
    stage.type_into("Reason", &"x".repeat(201));
    assert!(stage.shows("201 of 200 bytes: shorten the reason"));
    stage.click("Lift");
    assert_eq!(moderations(&stage).len(), 1, "too long a reason is not sent");
    stage.press(Key::Escape);
    let ban = moderations(&stage).remove(0);
    assert_eq!(ban.account, demo::account(6));
    assert_eq!((ban.kind, ban.for_ms), (ModerationKind::Ban, Some(24 * HOUR_MS)));
}

#[test]
fn only_moderators_are_offered_moderation() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    stage.click_secondary("Bob");
    assert!(stage.shows("Mention @bob"));
    assert!(!stage.shows("Mute…"), "a member");
    let mut stage = Stage::inside_with(moderator(&[0, 1, 2]), |_| {});
    stage.click_secondary("陳 Chen, moderator");
    assert!(stage.shows("Mention @chen"));
    assert!(!stage.shows("Mute…"), "on a moderator");
    stage.press(Key::Escape);
    stage.click_secondary("Ada L. (you)");
    assert!(!stage.shows("Mute…"), "on oneself");
}

#[test]
fn the_keyboard_reaches_moderation() {
    let mut stage = Stage::inside_with(moderator(&[0, 1, 2]), |_| {});
    assert!(!stage.shows("Actions for 陳 Chen"));
    stage.harness.get_by_label("Actions for Bob").focus();
    stage.harness.run();
    stage.press(Key::Enter);
    assert!(stage.shows("Mute…"));
}

#[test]
fn enter_confirms_each_moderation() {
    for (entry, kind) in [
        ("Mute…", ModerationKind::Mute),
        ("Ban…", ModerationKind::Ban),
        ("Lift mute or ban…", ModerationKind::Lift),
    ] {
        let mut stage = Stage::inside_with(moderator(&[0, 1, 2]), |_| {});
        stage.click_secondary("Bob");
        stage.click(entry);
        stage.at_once(typed("too loud\n"));
        let given: Vec<_> = moderations(&stage).into_iter().map(|o| (o.kind, o.reason)).collect();
        assert_eq!(given, [(kind, "too loud".to_owned())]);
        assert!(stage.backend.sent_texts().is_empty());
    }
}

#[test]
fn enter_on_cancel_moderates_nobody() {
    let mut stage = Stage::inside_with(moderator(&[0, 1, 2]), |_| {});
    stage.click_secondary("Bob");
    stage.click("Ban…");
    stage.harness.get_by_label("Cancel").focus();
    stage.harness.run();
    stage.press(Key::Enter);
    assert!(moderations(&stage).is_empty());
    assert!(!stage.shows_part("Ban Bob"));
}

#[test]
fn late_messages_of_a_banned_person_are_folded_silently() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    let mut line = demo::message(2, 7, "@ada cheap tickets", NOW_MS - 60_000);
    line.folded = true;
    stage.harness.input_mut().focused = false;
    stage.node(|node| node.deliver(line));
    assert!(!stage.shows("@ada cheap tickets"));
    assert_eq!(stage.harness.state().model.chat().map(Chat::unread), Some(0));
    stage.click("1 line arrived when the author could no longer post: show");
    assert!(stage.shows("@ada cheap tickets"));
}

#[test]
fn folded_lines_of_the_store_stay_folded() {
    let line = |n: u32| {
        let mut message = demo::message(2, n, &format!("line {n}"), NOW_MS - 10 + u64::from(n));
        message.folded = n > 0;
        Arc::new(message)
    };
    let mut stage = Stage::inside_with(demo::status(NOW_MS, &[0, 1]), |script| {
        script.history = (0..3).map(line).collect();
    });
    assert!(stage.shows("line 0"));
    assert!(stage.shows("2 lines arrived when the author could no longer post: show"));
    assert!(!stage.shows("line 1"));
    // The ban is refused by the operator: the mark goes.
    stage.node(|node| {
        for message in &mut node.script().history {
            Arc::make_mut(message).folded = false;
        }
        node.tell(NodeEvent::Reload);
    });
    assert!(stage.shows("line 1") && stage.shows("line 2"), "{:?}", stage.labels());
}

#[test]
fn two_messages_under_one_number_are_marked() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| {
        let mut message = demo::message(1, 1, "one of two", NOW_MS);
        message.forked = true;
        node.deliver(message);
    });
    assert!(stage.shows_part("signed twice"), "{:?}", stage.labels());
}

#[test]
fn what_leaves_the_history_leaves_the_screen() {
    let history: Vec<_> = (0..450)
        .map(|n| {
            let at = NOW_MS - 450_000 + u64::from(n) * 1_000;
            Arc::new(demo::message(1 + n as usize % 2, n, &format!("line {n}"), at))
        })
        .collect();
    let whole = history.clone();
    let mut stage = Stage::inside_with(demo::status(NOW_MS, &[0, 1, 2]), |script| {
        script.history = history;
    });
    // All pages are held.
    stage.press_with(eframe::egui::Modifiers::COMMAND, Key::Home);
    let held = |stage: &Stage| {
        stage.harness.state().model.chat().unwrap().room().unwrap().timeline.message_count()
    };
    assert_eq!(held(&stage), 450);
    stage.node(|node| {
        node.script().history.retain(|message| message.username != "bob");
        node.tell(NodeEvent::Reload);
    });
    let chat = stage.harness.state().model.chat().unwrap();
    let timeline = &chat.room().unwrap().timeline;
    assert!(timeline.messages().all(|line| line.message.username != "bob"));
    assert_eq!(held(&stage), 225);
    stage.node(|node| {
        node.script().history = whole;
        node.tell(NodeEvent::Reload);
    });
    stage.press_with(eframe::egui::Modifiers::COMMAND, Key::End);
    assert!(stage.shows("line 449") && stage.shows("line 448"), "{:?}", stage.labels());
}

#[test]
fn a_message_that_arrives_during_the_reload_stays() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| {
        node.tell(NodeEvent::Reload);
        node.deliver(demo::message(1, 1, "just now", NOW_MS));
    });
    assert!(stage.shows("just now"));
}

#[test]
fn a_mute_is_shown_at_once_and_ends_by_itself() {
    let mut stage = Stage::inside(&[0, 1]);
    let mute = |until| Mute { until, reason: "loud".into(), moderator: None };
    let until = Some(NOW_MS + 90_000);
    stage.node(|node| node.set_status(|status| status.mute = Some(mute(until))));
    assert!(stage.shows("You are muted until today 09:22. Reason: loud"), "{:?}", stage.labels());
    assert!(stage.shows_part("You were muted by the operator until today 09:22."));
    stage.say("patience");
    assert!(stage.backend.sent_texts().is_empty());
    assert_eq!(stage.draft(), "patience", "what was typed stays");
    stage.pass_ms(60_000);
    assert!(stage.sleeps_ms() <= 30_000, "wakes at the end of the mute");
    stage.pass_ms(30_000);
    assert!(!stage.shows_part("You are muted"));
    stage.node(|node| node.set_status(|status| status.mute = None));
    assert!(stage.shows("Your mute has ended: you may write again"));
    stage.press(Key::Enter);
    assert_eq!(stage.backend.sent_texts(), ["patience"]);
}

#[test]
fn an_expired_ticket_locks_the_composer_only() {
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.rendezvous_online = false;
    status.expires_at = NOW_MS + 20_000;
    let mut stage = Stage::inside_with(status, |script| {
        script.history = vec![Arc::new(demo::message(1, 1, "read me", NOW_MS - 1))];
    });
    stage.type_into("Message", "half a sentence");
    stage.pass_ms(5_000);
    assert!(stage.sleeps_ms() <= 15_000, "wakes at expiry, not at the next minute");
    stage.pass_ms(15_000);
    let words = "You are no longer signed in. Sign in again once the login node is online.";
    assert!(stage.shows(words));
    stage.press(Key::Enter);
    assert!(stage.backend.sent_texts().is_empty());
    assert_eq!(stage.draft(), "half a sentence");
    assert!(stage.shows("read me"));
    stage.node(|node| {
        node.set_status(|status| {
            status.rendezvous_online = true;
            status.expires_at = NOW_MS + 24 * HOUR_MS;
        });
    });
    assert!(!stage.shows_part("no longer signed in"), "a renewed pass opens it again");
}

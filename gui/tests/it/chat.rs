//! Inside: sending, receiving, unread, roster, rooms, status line and the alone panel.

use eframe::egui::{OutputCommand, vec2};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::Command;
use lanyard_gui::testing::{self, demo};
use lanyard_node::event::Reason;
use lanyard_node::status::{DialAttempt, Mute};
use lanyard_node::{NodeEvent, Progress, SendRefused, Status};
use lanyard_protocol::ids::Role;

use crate::stage::{NOW_MS, Stage};

#[test]
fn a_text_is_shown_at_once_with_its_send_state() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.say("Hello");
    assert_eq!(stage.backend.sent_texts(), ["Hello"]);
    assert_eq!(stage.count("Hello"), 1, "the echo became the message");
    assert!(stage.shows("waiting…"));
    assert_eq!(stage.draft(), "");
    let id = stage.harness.state().model.chat().unwrap().room().unwrap().timeline.oldest().unwrap();
    stage.node(|node| node.tell(NodeEvent::State { id, state: Progress::Sent }));
    assert!(stage.shows("sent"));
    stage.node(|node| node.tell(testing::state(id, 6, 7)));
    assert!(stage.shows("stored by 6 of 7"));
}

#[test]
fn a_refused_text_is_kept_and_the_reason_shown() {
    for (error, words) in [
        (SendRefused::Muted { until: Some(NOW_MS + 5 * 3_600_000) }, "muted until today 14:21"),
        (SendRefused::SlowDown { retry_after_ms: 3_000 }, "Slow down"),
        (SendRefused::MayNotPost, "may not write"),
        (SendRefused::TooLong { bytes: 4_210, max: 4_096 }, "4,210 of 4,096 bytes"),
        (SendRefused::Expired, "no longer signed in"),
        (SendRefused::Store("disk full".into()), "disk full"),
    ] {
        let status = demo::status(NOW_MS, &[0, 1]);
        let mut stage = Stage::inside_with(status, |script| script.refuses.push_back(error.into()));
        stage.say("Hello");
        assert_eq!(stage.draft(), "Hello", "{words}");
        assert!(stage.shows_part(words), "{words}: {:?}", stage.labels());
        assert_eq!(stage.count("waiting…"), 0);
    }
}

#[test]
fn the_composer_says_why_a_text_cannot_be_sent() {
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.max_text_bytes = 10;
    let mut stage = Stage::inside_with(status, |_| {});
    stage.type_into("Message", "nine byte");
    assert!(stage.shows("9 of 10 bytes"));
    stage.say(" and more");
    assert!(stage.shows_part("18 of 10 bytes: too long"));
    assert!(stage.backend.sent_texts().is_empty());
    stage.node(|node| node.set_status(|status| status.expires_at = NOW_MS));
    assert!(stage.shows_part("You are no longer signed in."));
    assert!(stage.shows_part("sign in again"), "the status line says it too");
}

#[test]
fn messages_share_headers_and_links_open_where_they_say() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    let link = "see https://docs.example.org/printer";
    stage.node(|node| {
        node.deliver(demo::message(2, 1, "first", NOW_MS - 60_000));
        node.deliver(demo::message(2, 2, link, NOW_MS - 30_000));
    });
    assert!(stage.shows("Today"));
    assert_eq!(stage.count("Bob"), 2, "once over the group, once in the roster");
    stage.harness.get_by_label("https://docs.example.org/printer").click();
    // A step each for the press, the release and the answer to it.
    let mut opened = Vec::new();
    for _ in 0..4 {
        stage.harness.step();
        opened.extend(stage.commands());
    }
    let url = opened.iter().find_map(|command| match command {
        OutputCommand::OpenUrl(open) => Some(open.url.as_str()),
        _ => None,
    });
    assert_eq!(url, Some("https://docs.example.org/printer"));
}

#[test]
fn people_who_come_and_go_are_folded_into_one_line() {
    let mut stage = Stage::inside(&[0, 1, 2, 3]);
    stage.node(|node| {
        for person in [1, 2, 3] {
            node.tell(demo::presence(person, true, Reason::Joined));
        }
        node.tell(demo::presence(4, true, Reason::Here));
        node.tell(demo::presence(7, false, Reason::Left));
    });
    assert!(stage.shows("陳 Chen, Bob and Dina joined · Hana left"), "{:?}", stage.labels());
    assert!(stage.shows("Hana, left 09:21"), "the roster remembers who left");
}

#[test]
fn unseen_messages_count_in_the_title_and_get_a_line() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| node.deliver(demo::message(1, 1, "seen", NOW_MS - 3)));
    assert_eq!(stage.harness.state().model.title(), "Hackathon HQ – Lanyard");
    stage.harness.input_mut().focused = false;
    stage.node(|node| {
        node.deliver(demo::message(1, 2, "unseen", NOW_MS - 2));
        node.deliver(demo::message(1, 3, "unseen too", NOW_MS - 1));
    });
    assert_eq!(stage.harness.state().model.title(), "(2) Hackathon HQ – Lanyard");
    assert_eq!(stage.count("New"), 1);
    stage.harness.input_mut().focused = true;
    stage.pass_ms(1);
    assert_eq!(stage.harness.state().model.title(), "Hackathon HQ – Lanyard");
    assert!(stage.shows("New"), "the line stays until one answers or leaves");
    let read =
        stage.backend.script().commands.iter().any(|c| matches!(c, Command::MarkRead { .. }));
    assert!(read, "the node knows what was read");
    stage.say("ok");
    assert!(!stage.shows("New"));
}

#[test]
fn what_was_unread_at_the_last_start_is_marked() {
    let history: Vec<_> = (0..4)
        .map(|n| demo::message(1, n, &format!("line {n}"), NOW_MS - 10 + u64::from(n)))
        .collect();
    let read = history[1].id;
    let stage = Stage::inside_with(demo::status(NOW_MS, &[0, 1]), |script| {
        script.history = history.into_iter().map(std::sync::Arc::new).collect();
        script.unread = (Some(read), 2);
    });
    let top = |label: &str| stage.harness.get_by_label(label).rect().top();
    assert!(top("line 1") < top("New") && top("New") < top("line 2"));
}

#[test]
fn the_roster_shows_devices_badges_and_mentions_on_click() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    assert!(stage.shows("Online · 3"));
    assert!(stage.shows("陳 Chen, moderator"));
    assert!(stage.shows("Ada L. (you)"));
    stage.click("Bob");
    assert_eq!(stage.draft(), "@bob ");
    assert!(stage.harness.get_by_label("Message").is_focused());
}

#[test]
fn a_long_roster_has_a_filter() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    let bob = status.roster[&demo::account(2)].clone();
    for n in 0..20_u8 {
        let mut person = bob.clone();
        person.nickname = format!("Guest {n}");
        person.username = format!("guest{n}");
        status.roster.insert(lanyard_protocol::ids::AccountId([100 + n; 16]), person);
    }
    let mut stage = Stage::inside_with(status, |_| {});
    stage.type_into("Filter people", "che");
    assert!(stage.shows("陳 Chen, moderator"));
    assert!(!stage.shows("Bob"));
    stage.type_into("Filter people", "xyz");
    assert!(stage.shows("Nobody has that name"));
}

#[test]
fn a_mention_of_me_stands_out() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| node.deliver(demo::message(1, 1, "@ada look", NOW_MS)));
    let chat = stage.harness.state().model.chat().unwrap();
    assert!(chat.room().unwrap().timeline.newest().unwrap().mentions_me);
}

#[test]
fn several_rooms_are_listed_and_keep_their_drafts() {
    let mut stage = Stage::inside(&[0, 1]);
    assert!(!stage.shows("# lobby"));
    stage.node(|node| {
        node.set_status(|status| status.rooms.push(demo::room("hardware", "", Role::Guest)));
    });
    stage.node(|node| {
        let mut message = demo::message(1, 1, "boards", NOW_MS);
        message.room = "hardware".into();
        node.deliver(message);
    });
    stage.type_into("Message", "for the lobby");
    stage.click("# hardware, 1 unread");
    assert!(stage.shows("boards"));
    assert_eq!(stage.draft(), "");
    stage.say("for hardware");
    stage.click("# lobby");
    assert_eq!(stage.draft(), "for the lobby");
    assert!(!stage.shows("boards"));
}

#[test]
fn a_room_that_is_read_only_says_so() {
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.rooms[0].post = Role::Admin;
    let stage = Stage::inside_with(status, |_| {});
    assert!(stage.shows_part("can read this room, but not write"));
}

#[test]
fn the_status_line_shows_peers_login_node_and_ticket() {
    let mut stage = Stage::inside(&[0, 1, 2]);
    assert!(stage.shows("2 peers"));
    assert!(stage.shows("Login node online · signed in until 9 March 09:21"));
    stage.node(|node| {
        node.set_status(|status| {
            status.rendezvous_online = false;
            status.expires_at = NOW_MS + 24 * 3_600_000 + 19 * 60_000;
            status.waiting = 2;
        });
    });
    assert!(stage.shows("Login node offline · signed in until tomorrow 09:40"));
    assert!(stage.shows("2 messages waiting for a peer"));
}

#[test]
fn the_alone_panel_says_what_was_tried_and_what_to_check() {
    let mut status = demo::status(NOW_MS, &[0]);
    status.attempts = vec![DialAttempt {
        address: "/ip4/10.9.8.7/tcp/4003".into(),
        peer: demo::device(3),
        outcome: "no answer".into(),
        at: NOW_MS,
    }];
    let mut stage = Stage::inside_with(status, |script| {
        script.interfaces = demo::script(demo::Scene::Alone, NOW_MS).interfaces;
    });
    stage.click("No peers · Why am I alone?");
    assert!(stage.shows("wlan0: 192.168.1.20/24"));
    assert!(stage.shows("10.9.8.7:4003: no answer"));
    assert!(stage.shows_part("different network"));
    stage.click("Close Why am I alone?");
    assert!(!stage.shows("wlan0: 192.168.1.20/24"));
}

#[test]
fn a_narrow_window_folds_its_sides() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    status.rooms.push(demo::room("hardware", "", Role::Guest));
    let mut stage = Stage::inside_sized(status, vec2(640.0, 420.0), |_| {});
    assert!(!stage.shows("Bob"));
    stage.click("People (3)");
    assert!(stage.shows("Bob"));
    stage.click("Rooms");
    stage.click("# hardware");
    assert!(stage.shows_part("Nothing has been said in # hardware"));
}

#[test]
fn nothing_moves_while_nothing_happens() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.type_into("Message", "a draft with the cursor in it");
    stage.pass_ms(5_000);
    assert!(stage.sleeps_ms() >= 30_000, "sleeps {} ms", stage.sleeps_ms());
}

#[test]
fn signing_out_leaves_the_realm() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Sign out");
    assert!(stage.shows("Place: Hackathon HQ"));
    assert!(matches!(stage.backend.script().commands.last(), Some(Command::Leave)));
}

#[test]
fn closing_the_window_says_goodbye() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.harness.state_mut().shut_down();
    assert!(stage.backend.script().is_shut_down);
}

#[test]
fn settings_are_applied_and_kept() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.click("Menu");
    stage.click("Settings");
    stage.click("Dark");
    stage.click("Desktop notifications");
    let settings = &stage.harness.state().model.settings;
    assert_eq!(settings.theme, lanyard_gui::model::settings::ThemeChoice::Dark);
    assert!(!settings.notifications);
    assert!(stage.harness.ctx.global_style().visuals.dark_mode);
}

#[test]
fn the_users_own_line_says_you_beside_any_badge() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2]);
    if let Some(ada) = status.roster.get_mut(&demo::account(0)) {
        (ada.role, ada.nickname) = (Role::Moderator, "Augusta Ada King, Countess".into());
    }
    let mut stage = Stage::inside_with(status, |_| {});
    let painted = stage.painted();
    assert!(painted.iter().any(|text| text == "(you)"), "{painted:?}");
    let spoken = "Augusta Ada King, Countess (you), moderator";
    stage.click(spoken);
    assert_eq!(stage.draft(), "", "nobody mentions oneself");
    stage.click_secondary(spoken);
    assert!(stage.shows("Copy username"));
    assert!(!stage.shows_part("Mention @ada"));
}

#[test]
fn an_empty_room_invites_only_those_who_may_write() {
    let invites = |change: fn(&mut Status)| {
        let mut status = demo::status(NOW_MS, &[0, 1]);
        change(&mut status);
        let stage = Stage::inside_with(status, |_| {});
        let painted = stage.painted().concat();
        (stage.shows_part("Say hello!"), painted.contains("Enter sends"))
    };
    assert_eq!(invites(|_| {}), (true, true));
    assert_eq!(invites(|status| status.rooms[0].post = Role::Admin), (false, false));
    assert_eq!(invites(|status| status.rooms[0].archived = true), (false, false));
    assert_eq!(invites(|status| status.expires_at = NOW_MS), (false, false));
    let mute = |status: &mut Status| {
        status.mute = Some(Mute { until: None, reason: String::new(), moderator: None });
    };
    assert_eq!(invites(mute), (false, false));
}

#[test]
fn a_place_called_lanyard_is_not_named_twice() {
    let title = |realm_name: &str| {
        let mut status = demo::status(NOW_MS, &[0, 1]);
        realm_name.clone_into(&mut status.realm_name);
        Stage::inside_with(status, |_| {}).harness.state().model.title()
    };
    assert_eq!(title("Hackathon HQ"), "Hackathon HQ – Lanyard");
    for no_name in ["Lanyard", "lanyard ", ""] {
        assert_eq!(title(no_name), "Lanyard");
    }
}

#[test]
fn at_the_start_the_login_node_is_looked_for() {
    let mut status = demo::status(NOW_MS, &[0]);
    status.rendezvous_online = false;
    let mut stage = Stage::inside_with(status, |_| {});
    assert!(stage.shows_part("Looking for the login node"), "{:?}", stage.labels());
    assert!(stage.shows_part("Nothing said in # lobby has reached this computer yet."));
    assert!(stage.sleeps_ms() <= 20_000);
    stage.pass_ms(20_000);
    assert!(stage.shows_part("Login node offline"));
    stage.node(|node| node.set_status(|status| status.rendezvous_online = true));
    assert!(stage.shows_part("Login node online"));
    stage.node(|node| node.set_status(|status| status.rendezvous_online = false));
    assert!(stage.shows_part("Login node offline"), "it is known by now");
}

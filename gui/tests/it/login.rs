//! Signing in: the form, the progress, every refusal, and the stored ticket.

use std::sync::Arc;

use eframe::egui::{Event, Key, vec2};
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::bridge::{BackendEvent, Command};
use lanyard_gui::model::action::{Action, LoginField};
use lanyard_gui::model::settings::Settings;
use lanyard_gui::testing::{Script, demo};
use lanyard_gui::view::theme;
use lanyard_node::{JoinStep, Refusal, RefusalCode};
use lanyard_protocol::ids::PeerKey;

use crate::stage::{NOW_MS, Stage, script, typed};

fn fill_in(stage: &mut Stage) {
    stage.type_into("Join link", &demo::link());
    stage.type_into("Username", "ada");
    stage.type_into("Shown as", "Ada L.");
    stage.type_into("Password", "secret");
}

fn joins(stage: &Stage) -> usize {
    let script = stage.backend.script();
    script.commands.iter().filter(|command| matches!(command, Command::Join(_))).count()
}

fn admitted() -> Script {
    Script { joins: Some(Ok(Arc::new(demo::status(NOW_MS, &[0, 1])))), ..script() }
}

fn refused(code: RefusalCode, retry_after_s: Option<u64>) -> Script {
    let reason = "by chen: kept the printer busy".to_owned();
    Script { joins: Some(Err(Refusal { code, reason, retry_after_s })), ..script() }
}

#[test]
fn a_filled_form_leads_into_the_room() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    fill_in(&mut stage);
    assert!(stage.shows("Hackathon HQ at 192.168.1.5"));
    stage.click("Sign in");
    assert!(stage.shows("Message"));
    let script = stage.backend.script();
    let Some(Command::Join(moderation)) = script.commands.first() else { panic!("no join") };
    assert_eq!(moderation.username, "ada");
    assert_eq!(moderation.nickname.as_deref(), Some("Ada L."));
    assert_eq!(moderation.password.as_ref().map(|p| p.as_str()), Some("secret"));
}

#[test]
fn enter_submits_and_the_password_is_forgotten() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    fill_in(&mut stage);
    stage.press(Key::Enter);
    assert_eq!(joins(&stage), 1);
    assert!(stage.harness.state().model.login.password.is_empty());
    let remembered = &stage.harness.state().model.settings.realms;
    assert_eq!(remembered.first().map(|realm| realm.username.as_str()), Some("ada"));
}

#[test]
fn a_link_that_mail_has_wrapped_can_be_pasted() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    let link = demo::link();
    let (head, tail) = link.split_at(76);
    stage.harness.get_by_label("Join link").focus();
    stage.harness.run();
    let broken = format!("\u{201c}{head}\r\n{tail}\u{201d}.").replace("lanyard", "Lanyard");
    stage.harness.event(Event::Paste(broken));
    stage.harness.run();
    assert!(stage.shows("Hackathon HQ at 192.168.1.5"), "{:?}", stage.labels());
    stage.type_into("Username", "ada");
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    let known = &stage.harness.state().model.settings.realms[0];
    assert_eq!(known.link, demo::link(), "it is remembered as it was printed");
}

#[test]
fn the_keyboard_is_where_typing_begins() {
    let stage = Stage::at_login(script(), Settings::default());
    assert!(stage.harness.get_by_label("Join link").is_focused());
    let stage = Stage::at_login(script(), demo::settings());
    assert!(stage.harness.get_by_label("Password").is_focused());
}

#[test]
fn tab_goes_through_the_form_in_reading_order() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    stage.harness.get_by_label("Join link").focus();
    stage.harness.run();
    for next in ["Username", "Shown as", "Password", "Show password"] {
        stage.press(Key::Tab);
        assert!(stage.harness.get_by_label(next).is_focused(), "{next}");
    }
}

#[test]
fn an_incomplete_form_is_not_sent_and_says_what_is_missing() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    stage.type_into("Password", "secret");
    stage.press(Key::Enter);
    assert!(stage.shows("Paste the join link you were given."));
    stage.type_into("Join link", "lanyard://x");
    assert!(stage.shows_part("not a complete join link"));
    assert_eq!(joins(&stage), 0);
}

#[test]
fn enter_in_an_incomplete_form_leads_to_what_is_missing() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    for (sentence, field, content) in [
        ("Paste the join link you were given.", "Join link", demo::link()),
        ("Type your username.", "Username", "ada".to_owned()),
        ("Type your password.", "Password", "secret".to_owned()),
    ] {
        stage.press(Key::Enter);
        stage.pass_ms(60_000);
        assert!(stage.shows(sentence), "{sentence}: {:?}", stage.labels());
        assert!(stage.harness.get_by_label(field).is_focused(), "{field}");
        stage.at_once(typed(&content));
    }
    stage.press(Key::Enter);
    assert_eq!(joins(&stage), 1);
}

#[test]
fn a_link_of_another_kind_gets_a_sentence_at_once() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    stage.at_once(typed("lany"));
    assert!(!stage.shows_part("not a complete join link"), "it may still become one");
    stage.at_once(typed("http://192.168.1.5:4001/"));
    assert!(stage.shows_part("a join link begins with lanyard://"), "{:?}", stage.labels());
    assert!(stage.harness.get_by_label("Join link").is_focused());
}

#[test]
fn the_password_can_be_shown() {
    let mut stage = Stage::at_login(admitted(), Settings::default());
    stage.click("Show password");
    assert!(stage.shows("Hide password"));
    stage.click("Hide password");
    assert!(stage.shows("Show password"));
}

#[test]
fn a_remembered_place_is_chosen_and_needs_only_the_password() {
    let mut stage = Stage::at_login(admitted(), demo::settings());
    assert!(stage.shows("Place: Hackathon HQ"));
    stage.type_into("Password", "secret");
    stage.press(Key::Enter);
    assert!(stage.shows("Message"));
}

#[test]
fn each_step_of_joining_is_shown_and_can_be_cancelled() {
    let mut stage = Stage::at_login(script(), demo::settings());
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("Connecting to the login node…"));
    for (step, words) in
        [(JoinStep::Checking, "Checking your password…"), (JoinStep::Joining, "Joining the room…")]
    {
        stage.node(|node| node.script().events.push_back(BackendEvent::Step(step)));
        assert!(stage.shows(words));
    }
    stage.click("Cancel");
    assert!(stage.shows("Sign in"));
    let script = stage.backend.script();
    assert!(matches!(script.commands.last(), Some(Command::CancelJoin)));
}

#[test]
fn every_refusal_has_its_words_and_its_next_step() {
    for (code, title, next) in [
        (RefusalCode::BadCredentials, "Wrong name or password.", "Check both"),
        (RefusalCode::Locked, "Too many failed attempts", "Wait, then try again"),
        (RefusalCode::Disabled, "This account is disabled.", "enable it"),
        (RefusalCode::Banned, "This account is banned.", "talk to the operator"),
        (RefusalCode::TooManyDevices, "signed in on too many devices.", "Sign one of them out"),
        (RefusalCode::Unreachable, "does not answer at 192.168.1.5:4001", "right network"),
        (RefusalCode::OtherVersion, "login node runs another version", "Update"),
        (RefusalCode::WrongRealm, "different login node answers than last time", "in person"),
        (RefusalCode::UnusableReply, "reply cannot be used", "Tell the operator"),
        (RefusalCode::Busy, "The login node is busy.", "in a moment"),
        (RefusalCode::Invite, "Invites are not accepted", "without an invite"),
        (RefusalCode::Superseded, "in use on another computer", "Close it there"),
        (RefusalCode::BadLink, "join link cannot be read", "Copy the whole link"),
        (RefusalCode::ProfileInUse, "A terminal peer is using this profile.", "--profile"),
        (RefusalCode::ProfileUnsafe, "can read your key", "0600"),
        (RefusalCode::ProfileDamaged, "profile cannot be read", "backup"),
        (RefusalCode::CannotListen, "network port", "Another program"),
        (RefusalCode::Failed, "part of Lanyard has failed", "start Lanyard again"),
    ] {
        let mut stage = Stage::at_login(refused(code, None), demo::settings());
        stage.type_into("Password", "secret");
        stage.click("Sign in");
        assert!(stage.shows(&format!("Refused: {}", code.as_str())));
        assert!(stage.shows_part(title), "{title}: {:?}", stage.labels());
        assert!(stage.shows_part(next), "{next}: {:?}", stage.labels());
        assert_eq!(stage.shows("STOP"), code == RefusalCode::WrongRealm);
        assert!(stage.harness.get_by_label("Password").is_focused());
    }
}

#[test]
fn the_alarming_refusal_fits_into_the_smallest_window() {
    let size = vec2(640.0, 420.0);
    let mut script = refused(RefusalCode::WrongRealm, None);
    if let Some(Err(refusal)) = &mut script.joins {
        refusal.reason.clear();
    }
    let mut stage = Stage::at_login_sized(script, demo::settings(), size);
    stage.type_into("Password", "secret");
    stage.press(Key::Enter);
    for label in ["STOP", "Refused: wrong-realm", "Sign in", "Password", "Paste a join link…"] {
        let rect = stage.harness.get_by_label(label).rect();
        assert!(rect.top() >= 0.0 && rect.bottom() <= size.y, "{label}: {rect:?}");
    }
}

#[test]
fn a_first_visit_is_not_compared_with_last_time() {
    let mut stage = Stage::at_login(refused(RefusalCode::WrongRealm, None), Settings::default());
    fill_in(&mut stage);
    stage.click("Sign in");
    assert!(stage.shows("STOP"));
    assert!(stage.shows("A different login node answers than your join link names."));
    assert!(stage.shows("Nothing has been sent to it."));
    assert!(!stage.shows_part("last time"), "{:?}", stage.labels());
    assert!(!stage.shows("Sign in anyway"), "no other key than the link's is accepted");
    stage.click("Sign in");
    assert_eq!(joins(&stage), 2, "the right login node may be back");
}

#[test]
fn after_a_refusal_typing_replaces_the_password() {
    let code = RefusalCode::BadCredentials;
    let mut stage = Stage::at_login(refused(code, None), demo::settings());
    stage.type_into("Password", "wröng");
    stage.press(Key::Enter);
    stage.harness.get_by_label("Password").type_text("right");
    stage.harness.run();
    assert_eq!(stage.harness.state().model.login.password.as_str(), "right");
}

#[test]
fn a_ban_says_by_whom_and_why() {
    let mut stage = Stage::at_login(refused(RefusalCode::Banned, None), demo::settings());
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("by chen: kept the printer busy"));
}

#[test]
fn a_lock_counts_down_until_the_next_try() {
    let mut stage = Stage::at_login(refused(RefusalCode::Locked, Some(40)), demo::settings());
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("Next try in 40 s."));
    stage.press(Key::Enter);
    assert_eq!(joins(&stage), 1, "too early");
    stage.pass_ms(10_000);
    assert!(stage.shows("Next try in 30 s."));
    stage.pass_ms(30_000);
    assert!(!stage.shows_part("Next try in"));
    stage.click("Sign in");
    assert_eq!(joins(&stage), 2);
}

#[test]
fn another_key_at_a_known_address_stops_the_login() {
    let mut stage = Stage::at_login(admitted(), demo::settings());
    stage.click("Paste a join link…");
    let key = PeerKey([0x11; 32]);
    stage.type_into("Join link", &format!("lanyard://192.168.1.5:4001/{key}"));
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("STOP"));
    assert_eq!(joins(&stage), 0);
    stage.click("Sign in anyway");
    assert_eq!(joins(&stage), 1, "whoever insists, may");
}

#[test]
fn confirming_one_realm_does_not_confirm_another() {
    let mut stage = Stage::at_login(admitted(), demo::settings());
    stage.click("Paste a join link…");
    let link = |byte| PeerKey([byte; 32]).to_string();
    stage.type_into("Join link", &format!("lanyard://192.168.1.5:4001/{}", link(0x11)));
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("Sign in anyway"));
    let other = format!("lanyard://192.168.1.5:4001/{}", link(0x22));
    let window = stage.harness.state_mut();
    window.model.handle(Action::EditLogin(LoginField::Link, other));
    stage.harness.run();
    stage.click("Sign in");
    assert!(stage.shows("Sign in anyway"), "it asks again");
    assert_eq!(joins(&stage), 0);
}

#[test]
fn nothing_looks_online_before_signing_in() {
    let stage = Stage::at_login(script(), demo::settings());
    let online = theme::palette_of(stage.harness.ctx.global_style().visuals.dark_mode).online;
    assert!(stage.dots().iter().all(|colour| *colour != online), "{:?}", stage.dots());
}

#[test]
fn a_window_with_a_ticket_signs_in_until_signed_out() {
    let mut settings = demo::settings();
    settings.realms[0].signed_in_until = NOW_MS + 3_600_000;
    let mut stage = Stage::at_login(admitted(), settings);
    assert!(stage.shows("Message"), "{:?}", stage.labels());
    assert!(stage.harness.get_by_label("Message").is_focused());
    stage.click("Menu");
    stage.click("Sign out");
    assert!(stage.shows("Sign in without a password"));
    assert!(stage.saved_settings().signed_out, "the next start shows the form");
    stage.click("Sign in without a password");
    assert!(!stage.saved_settings().signed_out);
}

#[test]
fn a_stored_ticket_needs_no_password_or_login_node() {
    let mut settings = demo::settings();
    settings.realms[0].signed_in_until = NOW_MS + 3_600_000;
    settings.signed_out = true;
    let mut script = admitted();
    script.offline = true;
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.rendezvous_online = false;
    script.joins = Some(Ok(Arc::new(status)));
    let mut stage = Stage::at_login(script, settings);
    assert!(stage.shows("This computer is signed in until today 10:21."));
    stage.click("Sign in without a password");
    assert!(stage.shows(
        "The login node does not answer. You are in because this computer is still signed in."
    ));
    let script = stage.backend.script();
    let Some(Command::Join(moderation)) = script.commands.first() else { panic!("no join") };
    assert!(moderation.password.is_none());
}

#[test]
fn a_missing_stored_ticket_is_no_wrong_password() {
    let mut settings = demo::settings();
    settings.realms[0].signed_in_until = NOW_MS + 3_600_000;
    settings.signed_out = true;
    let mut stage = Stage::at_login(refused(RefusalCode::BadCredentials, None), settings);
    stage.click("Sign in without a password");
    assert!(stage.shows("This computer is not signed in under that name."));
    assert!(!stage.shows_part("Wrong name or password"));
    assert!(!stage.shows("Sign in without a password"), "it is not offered again");
    assert!(stage.harness.get_by_label("Password").is_focused());
}

#[test]
fn a_clock_that_is_off_is_a_warning_inside() {
    let mut script = admitted();
    script.notices = vec![("clock-off", "Your clock is 7 minutes behind.".to_owned())];
    let mut stage = Stage::at_login(script, demo::settings());
    stage.type_into("Password", "secret");
    stage.click("Sign in");
    assert!(stage.shows("Your clock is 7 minutes behind."));
    stage.click("Dismiss notice");
    assert!(!stage.shows("Your clock is 7 minutes behind."));
}

#[test]
fn a_profile_taken_over_elsewhere_leads_back_with_the_reason() {
    let mut stage = Stage::inside(&[0, 1]);
    let reason = String::new();
    let refusal = Refusal { code: RefusalCode::Superseded, reason, retry_after_s: None };
    stage.node(|node| node.tell(lanyard_node::NodeEvent::Ended(Some(refusal))));
    assert!(stage.shows("Refused: superseded"));
}

#[test]
fn a_failed_program_says_so_and_can_be_read() {
    let reason = "A part of this program has failed. Start it again.".to_owned();
    let failed =
        || Refusal { code: RefusalCode::Failed, reason: reason.clone(), retry_after_s: None };
    let ended = lanyard_node::NodeEvent::Ended(Some(failed()));
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| node.tell(ended.clone()));
    assert!(stage.shows(&reason) && stage.shows("Message"), "{:?}", stage.labels());

    let mut stage = Stage::at_login(script(), Settings::default());
    let event = BackendEvent::Node(ended);
    stage.node(|node| node.script().events.push_back(event));
    assert!(stage.shows("Refused: failed"));
}

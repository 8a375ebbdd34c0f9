//! Names and texts made to break a window.

use eframe::egui::vec2;
use egui_kittest::kittest::Queryable as _;
use lanyard_gui::testing::demo;

use crate::stage::{NOW_MS, Stage};

#[test]
fn bidi_and_control_characters_never_reach_the_screen() {
    let mut status = demo::status(NOW_MS, &[0, 1]);
    status.realm_name = "\u{202E}QH".into();
    status.rooms[0].topic = "a\u{2066}b\nc".into();
    if let Some(chen) = status.roster.get_mut(&demo::account(1)) {
        chen.nickname = "\u{202E}nimda\u{7}\n".into();
    }
    let mut stage = Stage::inside_with(status, |_| {});
    stage.node(|node| {
        let mut message = demo::message(1, 1, "\u{202E}txt.exe\u{0}\u{200F}", NOW_MS);
        message.nickname = "\u{2067}Ada L.\u{202A}".into();
        node.deliver(message);
    });
    assert!(stage.shows("txt.exe"));
    for label in stage.labels() {
        let bad = label.chars().find(|c| {
            matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200F}' | '\0' | '\u{7}')
        });
        assert_eq!(bad, None, "in {label:?}");
    }
}

#[test]
fn a_storm_of_marks_stays_in_its_row() {
    let mut stage = Stage::inside(&[0, 1]);
    let storm: String = "Z".chars().chain(std::iter::repeat_n('\u{0351}', 1_000)).collect();
    stage.node(|node| node.deliver(demo::message(1, 1, &storm.repeat(3), NOW_MS)));
    let row = stage.labels().into_iter().find(|label| label.starts_with('Z')).unwrap();
    assert!(row.chars().count() <= 12);
    assert!(stage.harness.get_by_label(&row).rect().height() < 50.0);
}

#[test]
fn four_thousand_letters_without_a_space_wrap() {
    for width in [640.0, 1120.0] {
        let status = demo::status(NOW_MS, &[0, 1]);
        let mut stage = Stage::inside_sized(status, vec2(width, 420.0), |_| {});
        let wall = "W".repeat(4_000);
        stage.node(|node| {
            let mut message = demo::message(1, 1, &wall, NOW_MS);
            message.nickname = "N".repeat(500);
            message.username = "u".repeat(500);
            node.deliver(message);
            node.deliver(demo::message(1, 2, "after", NOW_MS + 1));
        });
        let rect = stage.harness.get_by_label(&wall).rect();
        assert!(rect.right() <= width, "{rect:?} in {width}");
        let after = stage.harness.get_by_label("after").rect();
        assert!(after.top() >= rect.bottom() - 1.0);
    }
}

#[test]
fn a_thousand_line_breaks_do_not_stop_the_window() {
    let mut stage = Stage::inside(&[0, 1]);
    let tall = format!("top{}bottom", "\n".repeat(1_000));
    stage.node(|node| {
        node.deliver(demo::message(1, 1, &tall, NOW_MS));
        node.deliver(demo::message(1, 2, "after", NOW_MS + 1));
    });
    assert!(stage.shows("after"));
}

#[test]
fn times_beyond_the_calendar_do_not_stop_the_window() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.node(|node| {
        node.deliver(demo::message(1, 1, "never", u64::MAX));
        node.set_status(|status| status.expires_at = u64::MAX);
    });
    assert!(stage.shows("never"));
}

#[test]
fn an_empty_realm_is_still_a_window() {
    let mut status = demo::status(NOW_MS, &[]);
    status.rooms.clear();
    status.realm_name.clear();
    let mut stage = Stage::inside_with(status, |_| {});
    stage.say("anybody?");
    assert!(stage.shows("anybody?"));
}

//! Away: announced after ten minutes without input, and shown for others.

use eframe::egui::{Event, pos2};
use lanyard_gui::bridge::Command;
use lanyard_gui::testing::demo;
use lanyard_node::Status;

use crate::stage::{NOW_MS, Stage};

const MINUTE_MS: u64 = 60_000;

fn set_away(status: &mut Status, person: usize, away: bool) {
    status.roster.get_mut(&demo::account(person)).unwrap().away = away;
}

fn told(stage: &Stage) -> Vec<bool> {
    let script = stage.backend.script();
    let told = script.commands.iter().filter_map(|command| match command {
        Command::SetAway(away) => Some(*away),
        _ => None,
    });
    told.collect()
}

#[test]
fn ten_minutes_without_input_are_away_until_the_next() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.pass_ms(9 * MINUTE_MS);
    assert!(told(&stage).is_empty());
    stage.harness.event(Event::PointerMoved(pos2(400.0, 300.0)));
    stage.pass_ms(MINUTE_MS / 2);
    stage.pass_ms(9 * MINUTE_MS);
    assert!(told(&stage).is_empty(), "the mouse was moved in between");
    stage.pass_ms(MINUTE_MS);
    stage.pass_ms(MINUTE_MS);
    assert_eq!(told(&stage), [true]);
    stage.type_into("Message", "b");
    assert_eq!(told(&stage), [true, false]);
}

#[test]
fn a_pointer_over_a_background_window_is_no_input() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.harness.input_mut().focused = false;
    stage.pass_ms(MINUTE_MS);
    for _ in 0..10 {
        stage.harness.event(Event::PointerMoved(pos2(400.0, 300.0)));
        stage.pass_ms(MINUTE_MS);
    }
    assert_eq!(told(&stage), [true]);
    stage.harness.input_mut().focused = true;
    stage.pass_ms(1);
    assert_eq!(told(&stage), [true, false]);
}

#[test]
fn waiting_to_be_away_costs_no_frames() {
    let mut stage = Stage::inside(&[0, 1]);
    stage.pass_ms(8 * MINUTE_MS);
    assert!(stage.sleeps_ms() >= 30_000, "sleeps {} ms", stage.sleeps_ms());
}

#[test]
fn away_people_are_shown_with_since_when() {
    let mut status = demo::status(NOW_MS, &[0, 1, 2, 4]);
    set_away(&mut status, 1, true);
    let mut stage = Stage::inside_with(status, |_| {});
    assert!(stage.shows("陳 Chen, moderator, away"), "before us: who knows for how long");
    stage.node(|node| node.set_status(|status| set_away(status, 4, true)));
    stage.pass_ms(12 * MINUTE_MS);
    assert!(stage.shows("Emeka, away 12 min"), "{:?}", stage.labels());
    assert!(stage.shows("陳 Chen, moderator, away"));
    stage.node(|node| {
        node.set_status(|status| {
            set_away(status, 1, false);
            set_away(status, 4, false);
        });
    });
    assert!(stage.shows("Emeka"));
    assert!(stage.shows("陳 Chen, moderator"));
}

//! The window over a real node: it signs in at a real login node and chats with a real terminal peer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use eframe::egui::{Key, vec2};
use jiff::tz::TimeZone;
use lanyard_gui::app::Window;
use lanyard_gui::bridge::node::NodeBackend;
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::settings::Settings;
use lanyard_node::clock::Clock;
use lanyard_protocol::ids::PeerKey;

use crate::programs::{PATIENCE, Program, Realm, password};
use crate::stage::{Stage, harness};

/// How soon "bye" reaches the others.
const TWO_SECONDS: Duration = Duration::from_secs(2);
/// How soon a node reports that the login node is gone, with some time to draw it.
const OFFLINE_IS_KNOWN: Duration = Duration::from_secs(25);
/// How often something is said before the mesh must be up.
const TRIES: usize = 10;

/// A real node behind the window, which asks for frames.
struct Live {
    wakes: Receiver<()>,
    clock: Clock,
}

impl Stage<Live> {
    /// At the login window, with this account's profile.
    fn live(realm: &Realm, name: &str) -> Self {
        let (wake, wakes) = sync_channel(1);
        // A wake that finds another one waiting adds nothing to it.
        let backend = NodeBackend::start(move || wake.try_send(()).unwrap_or_default()).unwrap();
        let (clock, profile) = (Clock::new(), realm.profile(name));
        let now_ms = clock.now().wall_ms;
        let model = Model::new(Settings::default(), profile.clone(), TimeZone::UTC, now_ms);
        let reading = clock;
        let window = Window::new(
            model,
            Box::new(backend),
            Notifier::silent(),
            Box::new(move || reading.now().wall_ms),
            profile,
        );
        let harness = harness(window, vec2(1120.0, 720.0));
        Self { harness, backstage: Live { wakes, clock } }
    }

    /// Draws when the node asks for it, until a condition holds or the time is up.
    fn becomes(&mut self, within: Duration, so: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.backstage.clock.now().mono + within;
        loop {
            self.harness.run();
            if so(self) {
                return true;
            }
            let left = deadline.saturating_sub(self.backstage.clock.now().mono);
            match self.backstage.wakes.recv_timeout(left) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => panic!("the node's threads are gone"),
            }
        }
    }

    /// Waits until some label contains this.
    fn expect(&mut self, part: &str, within: Duration) {
        let shown = self.becomes(within, |stage| stage.shows_part(part));
        assert!(shown, "expected {part:?} within {within:?}; shown: {:?}", self.labels());
    }

    /// Closes the window.
    fn close(mut self) {
        eframe::App::on_exit(self.harness.state_mut(), None);
    }
}

fn sign_in(window: &mut Stage<Live>, link: &str, name: &str) {
    window.type_into("Join link", link);
    window.type_into("Username", name);
    window.type_into("Password", "not this one");
    window.press(Key::Enter);
    window.expect("Refused: bad-credentials", PATIENCE);
    assert!(window.shows("Wrong name or password."), "{:?}", window.labels());
    // The wrong password is selected: typing replaces it.
    window.type_into("Password", &password(name));
    window.press(Key::Enter);
    window.expect("Login node online · signed in until", PATIENCE);
    assert!(window.shows("Message"), "{:?}", window.labels());
}

/// Each repeats a text until the other has it: texts from before the mesh is up may get lost.
fn chat_both_ways(window: &mut Stage<Live>, bob: &mut Program) {
    let heard = (0..TRIES).any(|n| {
        let text = format!("from the window, try {n}");
        window.say(&text);
        assert_eq!(window.draft(), "");
        window.expect(&text, PATIENCE);
        let it = |line: &serde_json::Value| {
            line["event"] == "message" && line["text"] == *text && line["username"] == "ada"
        };
        bob.wait_for(TWO_SECONDS, it).is_ok()
    });
    assert!(heard, "bob hears the window");
    let shown = (0..TRIES).any(|n| {
        let text = format!("from bob, try {n}");
        bob.say(&text);
        window.becomes(TWO_SECONDS, |stage| stage.count(&text) == 1)
    });
    assert!(shown, "the window shows what bob says: {:?}", window.labels());
}

/// The mesh is up by now: each text is sent once.
fn chat_both_ways_without_login_node(window: &mut Stage<Live>, bob: &mut Program) {
    window.say("still here?");
    bob.expect("the question", |line| line["event"] == "message" && line["text"] == "still here?");
    bob.say("still here.");
    window.expect("still here.", PATIENCE);
}

#[test]
fn the_window_chats_on_without_the_login_node() {
    let mut realm = Realm::with(&["ada", "bob"]);
    let mut bob = realm.join("bob");
    let mut window = Stage::live(&realm, "ada");
    sign_in(&mut window, &realm.link, "ada");

    window.expect("1 peer", PATIENCE);
    assert!(window.shows("bob"), "the roster: {:?}", window.labels());
    bob.expect("that ada came", |line| line["event"] == "presence" && line["username"] == "ada");
    chat_both_ways(&mut window, &mut bob);

    realm.crash();
    window.expect("Login node offline · signed in until", OFFLINE_IS_KNOWN);
    chat_both_ways_without_login_node(&mut window, &mut bob);

    window.close();
    let left = bob.wait_for(TWO_SECONDS, |line| {
        line["event"] == "presence" && line["username"] == "ada" && line["reason"] == "left"
    });
    assert!(left.is_ok(), "goodbye reaches bob within {TWO_SECONDS:?}");
}

/// Ada, a moderator, moderates bob from the roster's menu.
fn moderation(window: &mut Stage<Live>, entry: &str, verb: &str) {
    window.click("Actions for bob");
    window.click(entry);
    window.type_into("Reason", "end to end");
    window.click(verb);
}

fn may_bob_write(bob: &mut Program, text: &str) -> bool {
    bob.say(text);
    let answer = bob.expect("an answer", |line| {
        line["event"] == "error" || (line["event"] == "answer" && line["cmd"] == "send")
    });
    assert!(answer["event"] == "answer" || answer["code"] == "muted", "{answer}");
    answer["event"] == "answer"
}

#[test]
fn the_window_moderates_and_manages_its_account() {
    let realm = Realm::with(&["ada", "bob"]);
    realm.operate(&["user", "role", "ada", "moderator"]);
    let mut bob = realm.join("bob");
    let mut window = Stage::live(&realm, "ada");
    sign_in(&mut window, &realm.link, "ada");
    window.expect("1 peer", PATIENCE);

    moderation(&mut window, "Mute…", "Mute");
    window.expect("bob was muted by @ada until", PATIENCE);
    bob.expect("the moderation", |line| line["event"] == "notice" || line["event"] == "order");
    assert!(!may_bob_write(&mut bob, "muted?"));
    moderation(&mut window, "Lift mute or ban…", "Lift");
    window.expect("bob: mutes and bans by moderators were lifted by @ada", PATIENCE);
    assert!((0..TRIES).any(|_| may_bob_write(&mut bob, "free again")));
    window.expect("free again", PATIENCE);

    bob.command(&serde_json::json!({"cmd": "away", "away": true}));
    window.expect("bob, away", PATIENCE);

    realm.operate(&["room", "add", "hardware", "--topic", "Benches"]);
    window.expect("There is a new room: # hardware – Benches", PATIENCE);
    realm.operate(&["mute", "ada", "--for", "10m", "--reason", "quiet"]);
    window.expect("You are muted until", PATIENCE);
    realm.operate(&["unmute", "ada"]);
    let free = window.becomes(PATIENCE, |stage| !stage.shows_part("You are muted until"));
    assert!(free, "{:?}", window.labels());

    window.click("Menu");
    window.click("Change password");
    window.type_into("Old password", &password("ada"));
    window.type_into("New password", "battery staple");
    window.type_into("New password again", "battery staple");
    window.click("Set the new password");
    window.expect("Your password has been changed.", PATIENCE);
    window.click("Close Change password");
    window.click("Menu");
    window.click("My devices");
    window.expect(&format!("Device 1 · {} · this computer", host_name()), PATIENCE);
    window.close();
}

/// The host's part of this computer's name.
fn host_name() -> String {
    let said = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let name = String::from_utf8(said).unwrap();
    name.trim().split('.').next().unwrap().to_owned()
}

#[test]
fn a_link_with_another_key_is_refused_for_good() {
    let realm = Realm::with(&["ada"]);
    let mut window = Stage::live(&realm, "ada");
    let (address, _key) = realm.link.rsplit_once('/').unwrap();
    window.type_into("Join link", &format!("{address}/{}", PeerKey([0x11; 32])));
    window.type_into("Username", "ada");
    window.type_into("Password", &password("ada"));
    window.press(Key::Enter);
    window.expect("Refused: wrong-realm", PATIENCE);
    assert!(window.shows("A different login node answers than your join link names."));
    assert!(!window.shows_part("last time") && !window.shows("Sign in anyway"));
    window.close();
}

#[test]
fn a_profile_in_use_by_a_terminal_peer_is_refused() {
    let realm = Realm::with(&["ada"]);
    let _peer = realm.join("ada");
    let mut window = Stage::live(&realm, "ada");
    window.type_into("Join link", &realm.link);
    window.type_into("Username", "ada");
    window.type_into("Password", &password("ada"));
    window.press(Key::Enter);
    window.expect("A terminal peer is using this profile.", PATIENCE);
    window.close();
}

//! A window on a stage: with a scripted node and a clock that stands still until it is set.

use std::cell::Cell;
use std::ops::Deref;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use eframe::egui::epaint::TextShape;
use eframe::egui::{
    Color32, Event, ImeEvent, Key, Modifiers, OutputCommand, PointerButton, Pos2, Shape, Vec2,
    ViewportId, vec2,
};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use jiff::tz::TimeZone;
use lanyard_gui::app::Window;
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::drafts::Drafts;
use lanyard_gui::model::settings::Settings;
use lanyard_gui::testing::{Script, ScriptedBackend, demo};
use lanyard_gui::view::fonts::{self, SystemFonts};
use lanyard_gui::view::theme;
use lanyard_node::Status;

/// 2026-03-02 09:21 UTC, a Monday.
pub(crate) const NOW_MS: u64 = 1_772_443_260_000;

/// How many frames the window may take to come to rest.
const STEPS_MAX: u64 = 40;

/// A window, and what is behind it.
pub(crate) struct Stage<B = Scripted> {
    pub(crate) harness: Harness<'static, Window>,
    pub(crate) backstage: B,
}

/// A scripted node and a clock of the test's own.
pub(crate) struct Scripted {
    pub(crate) backend: ScriptedBackend,
    clock: Rc<Cell<u64>>,
    profile: tempfile::TempDir,
}

/// Gives direct access to the scripted node.
impl Deref for Stage {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.backstage
    }
}

impl Stage {
    /// At the login window.
    pub(crate) fn at_login(script: Script, settings: Settings) -> Self {
        Self::with_size(script, settings, vec2(1120.0, 720.0))
    }

    pub(crate) fn at_login_sized(script: Script, settings: Settings, size: Vec2) -> Self {
        Self::with_size(script, settings, size)
    }

    /// In the demo realm with these people. Ada is the user.
    pub(crate) fn inside(people: &[usize]) -> Self {
        Self::inside_with(demo::status(NOW_MS, people), |_| {})
    }

    /// In a realm in this state.
    pub(crate) fn inside_with(status: Status, change: impl FnOnce(&mut Script)) -> Self {
        Self::inside_sized(status, vec2(1120.0, 720.0), change)
    }

    pub(crate) fn inside_sized(
        status: Status,
        size: Vec2,
        change: impl FnOnce(&mut Script),
    ) -> Self {
        let mut script = script();
        script.joins = Some(Ok(Arc::new(status)));
        change(&mut script);
        let mut stage = Self::with_size(script, demo::settings(), size);
        stage.type_into("Password", "secret");
        stage.click("Sign in");
        assert!(stage.shows("Message"), "the window is inside");
        stage
    }

    fn with_size(script: Script, settings: Settings, size: Vec2) -> Self {
        Self::with_profile(script, settings, size, tempfile::tempdir().unwrap())
    }

    fn with_profile(
        script: Script,
        settings: Settings,
        size: Vec2,
        profile: tempfile::TempDir,
    ) -> Self {
        let clock = Rc::new(Cell::new(NOW_MS));
        let backend = ScriptedBackend::new(script);
        let path: PathBuf = profile.path().to_owned();
        let mut model = Model::new(settings, path.clone(), TimeZone::UTC, NOW_MS);
        model.drafts = Drafts::load(&path);
        let reading = Rc::clone(&clock);
        let window = Window::new(
            model,
            Box::new(backend.clone()),
            Notifier::silent(),
            Box::new(move || reading.get()),
            path,
        );
        let mut harness = harness(window, size);
        let ctx = harness.ctx.clone();
        harness.state_mut().begin(&ctx);
        harness.run();
        Self { harness, backstage: Scripted { backend, clock, profile } }
    }

    /// Closes the window and opens one again over the same profile, in a realm in this state.
    pub(crate) fn restarted(mut self, status: Status) -> Self {
        self.harness.state_mut().shut_down();
        let script = Script { joins: Some(Ok(Arc::new(status))), ..script() };
        let profile = self.backstage.profile;
        let size = vec2(1120.0, 720.0);
        let mut stage = Self::with_profile(script, demo::settings(), size, profile);
        stage.type_into("Password", "secret");
        stage.click("Sign in");
        stage
    }

    /// Uses the fonts of this computer, if they have Hebrew. In CI they must.
    pub(crate) fn with_system_fonts(mut self) -> Option<Self> {
        let system = SystemFonts::start().unwrap();
        if system.missing_scripts().contains(&"Hebrew") {
            assert!(std::env::var_os("CI").is_none(), "CI must have a font with Hebrew");
            println!("SKIPPED: no font here has Hebrew");
            return None;
        }
        self.harness.ctx.set_fonts(fonts::definitions(Some(&system)));
        self.harness.ctx.add_font_provider(Arc::new(system));
        self.harness.run();
        Some(self)
    }

    /// The settings on disk.
    pub(crate) fn saved_settings(&self) -> Settings {
        Settings::load(self.backstage.profile.path())
    }

    /// Lets time pass.
    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.clock.set(self.clock.get() + ms);
        self.harness.run();
    }

    /// Lets the node do something, and the window take it.
    pub(crate) fn node(&mut self, act: impl FnOnce(&ScriptedBackend)) {
        act(&self.backend);
        self.harness.run();
    }
}

/// What a person does and sees.
impl<B> Stage<B> {
    pub(crate) fn type_into(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.get_by_label(label).type_text(text);
        self.harness.run();
    }

    pub(crate) fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    /// Lets the mouse rest on something until a tooltip shows.
    pub(crate) fn hover(&mut self, label: &str) {
        self.harness.get_by_label(label).hover();
        self.harness.run();
        self.harness.run_steps(8);
    }

    /// Drags the mouse from one place to another.
    pub(crate) fn drag(&mut self, from: Pos2, to: Pos2) {
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        for event in [Event::PointerMoved(from), button(from, true)] {
            self.harness.event(event);
        }
        self.harness.step();
        self.harness.event(Event::PointerMoved(from + (to - from) / 2.0));
        self.harness.step();
        self.harness.event(Event::PointerMoved(to));
        self.harness.step();
        self.harness.event(button(to, false));
        self.harness.step();
    }

    /// What the copy key puts on the clipboard.
    pub(crate) fn copied(&mut self) -> String {
        self.harness.event(Event::Copy);
        let mut copied = String::new();
        for _ in 0..3 {
            self.harness.step();
            for command in self.commands() {
                if let OutputCommand::CopyText(text) = command {
                    copied = text;
                }
            }
        }
        copied
    }

    /// Clicks with the other mouse button.
    pub(crate) fn click_secondary(&mut self, label: &str) {
        self.harness.get_by_label(label).click_secondary();
        self.harness.run();
    }

    /// Lets an input method say something.
    pub(crate) fn ime(&mut self, event: ImeEvent) {
        self.harness.event(Event::Ime(event));
        self.harness.run();
    }

    /// Gives one frame all of these events, as after a stall.
    pub(crate) fn at_once(&mut self, events: Vec<Event>) {
        self.harness.input_mut().events.extend(events);
        self.harness.run();
    }

    pub(crate) fn press(&mut self, key: Key) {
        self.press_with(Modifiers::NONE, key);
    }

    pub(crate) fn press_with(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run();
    }

    /// Types a text into the composer and sends it.
    pub(crate) fn say(&mut self, text: &str) {
        self.type_into("Message", text);
        self.press(Key::Enter);
    }

    pub(crate) fn shows(&self, label: &str) -> bool {
        self.harness.query_all_by_label(label).next().is_some()
    }

    pub(crate) fn shows_part(&self, part: &str) -> bool {
        self.labels().iter().any(|label| label.contains(part))
    }

    /// How often a label is shown.
    pub(crate) fn count(&self, label: &str) -> usize {
        self.harness.query_all_by_label(label).count()
    }

    /// What the composer holds.
    pub(crate) fn draft(&self) -> String {
        self.harness.get_by_label("Message").value().unwrap_or_default()
    }

    /// Everything that assistive technology would read out.
    pub(crate) fn labels(&self) -> Vec<String> {
        let root = self.harness.root();
        let nodes = root.children_recursive();
        let texts = nodes.flat_map(|node| {
            let node = node.accesskit_node();
            [node.label(), node.value()].into_iter().flatten().collect::<Vec<_>>()
        });
        texts.collect()
    }

    /// The texts as they were painted, elided and all.
    pub(crate) fn painted(&self) -> Vec<String> {
        let letters = |text: &TextShape| -> String {
            let rows = text.galley.rows.iter();
            rows.flat_map(|row| row.glyphs.iter().map(|glyph| glyph.chr)).collect()
        };
        let texts = self.shapes();
        let texts = texts.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some(letters(text)),
            _ => None,
        });
        texts.collect()
    }

    /// The colours of all filled circles.
    pub(crate) fn dots(&self) -> Vec<Color32> {
        let shapes = self.shapes();
        let dots = shapes.iter().filter_map(|shape| match shape {
            Shape::Circle(circle) => Some(circle.fill),
            _ => None,
        });
        dots.collect()
    }

    fn shapes(&self) -> Vec<Shape> {
        let mut waiting: Vec<Shape> =
            self.harness.output().shapes.iter().map(|clipped| clipped.shape.clone()).collect();
        let mut flat = Vec::new();
        while let Some(shape) = waiting.pop() {
            match shape {
                Shape::Vec(shapes) => waiting.extend(shapes),
                shape => flat.push(shape),
            }
        }
        flat
    }

    /// The links opened by the last frame.
    pub(crate) fn commands(&self) -> Vec<OutputCommand> {
        self.harness.output().platform_output.commands.clone()
    }

    /// How long the window will sleep if nothing happens.
    pub(crate) fn sleeps_ms(&self) -> u128 {
        let root = &self.harness.output().viewport_output[&ViewportId::ROOT];
        root.repaint_delay.as_millis()
    }
}

/// What a keyboard sends while a text is typed, with Enter for a line break.
pub(crate) fn typed(text: &str) -> Vec<Event> {
    text.chars().flat_map(letter).collect()
}

fn letter(letter: char) -> Vec<Event> {
    let (key, text) = match letter {
        '\n' => (Key::Enter, None),
        '\t' => (Key::Tab, None),
        other => (Key::from_name(&other.to_string()).unwrap_or(Key::A), Some(other.to_string())),
    };
    let [down, up] = [true, false].map(|pressed| key_event(Modifiers::NONE, key, pressed));
    [Some(down), text.map(Event::Text), Some(up)].into_iter().flatten().collect()
}

/// A key that is pressed and let go.
pub(crate) fn pressed(modifiers: Modifiers, key: Key) -> Vec<Event> {
    [true, false].map(|pressed| key_event(modifiers, key, pressed)).into()
}

fn key_event(modifiers: Modifiers, key: Key, pressed: bool) -> Event {
    Event::Key { key, physical_key: None, pressed, repeat: false, modifiers }
}

/// A window without a display, at rest.
pub(crate) fn harness(window: Window, size: Vec2) -> Harness<'static, Window> {
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(STEPS_MAX)
        .allow_missing_glyphs()
        .with_context_setup(|ctx| {
            ctx.set_fonts(fonts::definitions(None));
            theme::install(ctx);
        })
        .build_ui_state(
            |ui, window: &mut Window| {
                window.logic(ui.ctx());
                window.ui(ui);
            },
            window,
        );
    harness.run();
    harness
}

pub(crate) fn script() -> Script {
    Script { now_ms: NOW_MS, ..Script::default() }
}

//! What a frame costs with 100,000 messages in the timeline, on the CPU side without the rasteriser.
//!
//! `cargo bench -p lanyard-gui --bench frame`. It prints the figures and fails above the goals:
//! a frame within 8 ms (median over frames at rest, arriving, scrolling), memory under 250 MB.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{Context, Event, Key, Modifiers, RawInput, Rect, Vec2, pos2};
use jiff::tz::TimeZone;
use lanyard_gui::app::Window;
use lanyard_gui::bridge::{Backend as _, BackendEvent};
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::action::Action;
use lanyard_gui::testing::{ScriptedBackend, demo};
use lanyard_gui::view::{fonts, theme};
use lanyard_node::{History, Page};

const MESSAGES: u32 = 100_000;
const NOW_MS: u64 = 1_772_443_260_000;
const FRAME_GOAL: Duration = Duration::from_millis(8);
const MEMORY_GOAL_MB: u64 = 250;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

struct Bench {
    ctx: Context,
    window: Window,
    backend: ScriptedBackend,
    frame: u32,
}

impl Bench {
    fn start() -> Self {
        let ctx = Context::default();
        ctx.set_fonts(fonts::definitions(None));
        theme::install(&ctx);
        let mut model = Model::new(demo::settings(), PathBuf::new(), TimeZone::UTC, NOW_MS);
        let _effects = model.apply(BackendEvent::Joined {
            status: Arc::new(demo::status(NOW_MS, &[0, 1, 2, 3, 4, 5, 6])),
            offline: false,
            notices: Vec::new(),
        });
        let messages = (0..MESSAGES).map(|n| {
            let words = "a few more words of it ".repeat(n as usize * 7 % 11);
            let person = 1 + n as usize / 3 % 6;
            let sent_at = NOW_MS - u64::from(MESSAGES - n) * 20_000;
            Arc::new(demo::message(person, n, &format!("message {n} {words}"), sent_at))
        });
        let history = History { messages: messages.collect(), more: false };
        let (room, page) = ("lobby".to_owned(), Page::Newest);
        let _effects = model.apply(BackendEvent::Loaded { room, page, result: Ok(history) });
        let mut backend = ScriptedBackend::default();
        let _nothing = backend.try_next();
        let window = Window::new(
            model,
            Box::new(backend.clone()),
            Notifier::silent(),
            Box::new(|| NOW_MS),
            std::env::temp_dir(),
        );
        Self { ctx, window, backend, frame: 0 }
    }

    /// Runs one frame, tessellation included, and says what it took.
    fn frame(&mut self, events: Vec<Event>) -> Duration {
        self.frame += 1;
        let screen = Rect::from_min_size(pos2(0.0, 0.0), Vec2::new(1120.0, 720.0));
        let input = RawInput {
            screen_rect: Some(screen),
            time: Some(f64::from(self.frame) / 60.0),
            events,
            ..RawInput::default()
        };
        let start = now();
        let ctx = self.ctx.clone();
        let mut output = ctx.run_ui(input, |ui| {
            self.window.logic(ui.ctx());
            self.window.ui(ui);
        });
        black_box(self.ctx.tessellate(output.shapes, output.pixels_per_point));
        // No card to send the glyphs to.
        output.textures_delta.clear();
        start.elapsed()
    }
}

fn key(key: Key) -> Vec<Event> {
    let modifiers = Modifiers::NONE;
    vec![Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }]
}

fn report(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at =
        |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!("{name:<28} median {:>7.2} ms   99 % {:>7.2} ms", ms(at(50)), ms(at(99)));
    at(50)
}

fn memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1_024)
}

fn main() {
    let start = now();
    let mut bench = Bench::start();
    println!("model of {MESSAGES} messages      {:>14.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let first = bench.frame(Vec::new());
    println!("first frame                  {:>14.2} ms", first.as_secs_f64() * 1e3);
    for _ in 0..20 {
        bench.frame(Vec::new());
    }
    let mut medians = Vec::new();
    medians.push(report("at rest", (0..300).map(|_| bench.frame(Vec::new())).collect()));
    let arriving = (0..300).map(|n| {
        bench.backend.deliver(demo::message(1, MESSAGES + n, "one more", NOW_MS + u64::from(n)));
        bench.frame(Vec::new())
    });
    let arriving: Vec<_> = arriving.collect();
    medians.push(report("a message in each", arriving));
    let paging: Vec<_> = (0..300).map(|_| bench.frame(key(Key::PageUp))).collect();
    medians.push(report("a page up in each", paging));
    bench.window.act(&bench.ctx.clone(), Action::JumpToNewest);
    let typing: Vec<_> = (0..300).map(|_| bench.frame(vec![Event::Text("x".to_owned())])).collect();
    medians.push(report("a letter typed in each", typing));
    let memory = memory_mb();
    println!(
        "memory at its highest        {:>14} MB",
        memory.map_or("?".to_owned(), |mb| mb.to_string())
    );
    let slowest = medians.into_iter().max().unwrap_or_default();
    assert!(slowest <= FRAME_GOAL, "a frame takes {slowest:?}, the goal is {FRAME_GOAL:?}");
    assert!(memory.is_none_or(|mb| mb < MEMORY_GOAL_MB), "{memory:?} MB");
}

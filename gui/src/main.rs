//! `lanyard`, the chat window: arguments, runtime, fonts, and the window itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Once};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use eframe::egui;
use jiff::tz::TimeZone;
use lanyard_gui::app::{Clock, Window};
use lanyard_gui::bridge::Backend;
use lanyard_gui::bridge::fake::ScriptedBackend;
use lanyard_gui::bridge::fake::demo::{self, Scene};
use lanyard_gui::bridge::node::NodeBackend;
use lanyard_gui::desktop::colour_scheme;
use lanyard_gui::desktop::instance::{self, Found, Instance};
use lanyard_gui::desktop::launch;
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::action::{Action, Dialog, LoginField};
use lanyard_gui::model::drafts::Drafts;
use lanyard_gui::model::settings::{self, Settings, ThemeChoice};
use lanyard_gui::model::starting::Offer;
use lanyard_gui::view::fonts::{self, SystemFonts};
use lanyard_gui::view::theme;
use lanyard_node::clock::Clock as NodeClock;
use lanyard_program::stdin;

/// Chat for people who share a network.
#[derive(Debug, Parser)]
#[command(name = "lanyard", version)]
struct Arguments {
    /// The join link: lanyard://HOST:PORT/REALM
    #[arg(long, value_name = "LINK")]
    join: Option<String>,
    /// The folder for key, messages and settings
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// The username
    #[arg(long, value_name = "U")]
    username: Option<String>,
    /// Read the password from the first line of standard input and sign in at once
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Show a made-up scene instead of joining: for pictures and for trying out the looks
    #[arg(long, hide = true, value_name = "SCENE")]
    scripted: Option<String>,
    /// The theme of a scene: light or dark
    #[arg(long, hide = true, value_name = "THEME", requires = "scripted")]
    theme: Option<String>,
    /// The size of a scene's window: 640x420
    #[arg(long, hide = true, value_name = "SIZE", requires = "scripted")]
    size: Option<String>,
}

/// What the window starts with: a real node or a scene.
struct Start {
    model: Model,
    clock: Clock,
    profile: PathBuf,
    scene: Option<Scene>,
    signs_in: bool,
    instance: Option<Instance>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let clock = NodeClock::new();
    let arguments = Arguments::parse();
    if let Err(reason) = check(&arguments) {
        misuse(&reason);
    }
    // Nobody can act on the warnings of the desktop's libraries.
    lanyard_program::logging::to_stderr("lanyard=warn");
    lanyard_program::failure::watch_for_panics();
    let profile = arguments.profile.clone().unwrap_or_else(settings::default_profile);
    let instance = match arguments.scripted {
        Some(_) => None,
        None => match claim(&profile, &arguments)? {
            Some(instance) => Some(instance),
            None => return Ok(()),
        },
    };
    let fonts = SystemFonts::start().context("Could not start a thread")?;
    let size = arguments.size.as_deref().and_then(size).unwrap_or(theme::WINDOW_FIRST);
    let start = prepare(&arguments, profile, instance);
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Lanyard")
            .with_app_id("lanyard")
            .with_icon(icon()?)
            .with_inner_size(size)
            .with_min_inner_size(theme::WINDOW_MIN),
        // `SystemFonts` does that.
        system_font_fallback: false,
        ..Default::default()
    };
    let asked_for_window = clock.now().mono;
    launch::guarded(|opened| {
        eframe::run_native(
            "lanyard",
            options,
            Box::new(move |creation| {
                opened.tell();
                tell_first_frame(&creation.egui_ctx, clock, asked_for_window);
                let window = open(&creation.egui_ctx, fonts, start)?;
                Ok(Box::new(window))
            }),
        )
    })
}

/// The emblem of the login window, for the title bar and the task bar.
fn icon() -> anyhow::Result<egui::IconData> {
    eframe::icon_data::from_png_bytes(include_bytes!("../assets/lanyard.png"))
        .context("Could not read the icon")
}

/// Logs, with `RUST_LOG=lanyard=debug`, the time from `main` to the end of the first frame, and how much of it the
/// system's window and its graphics context took.
fn tell_first_frame(ctx: &egui::Context, clock: NodeClock, asked_for_window: Duration) {
    let context_took = clock.now().mono.saturating_sub(asked_for_window);
    let told = Once::new();
    let tell = move |_: &mut egui::Ui| {
        told.call_once(|| {
            let all = clock.now().mono;
            tracing::debug!(?all, ?context_took, ours = ?all.saturating_sub(context_took), "First frame");
        });
    };
    ctx.on_end_pass("first-frame", Arc::new(tell));
}

fn size(text: &str) -> Option<egui::Vec2> {
    let (width, height) = text.split_once('x')?;
    Some(egui::vec2(width.parse().ok()?, height.parse().ok()?))
}

/// Checks what clap cannot.
fn check(arguments: &Arguments) -> Result<(), String> {
    if let Some(link) = &arguments.join {
        link.parse::<lanyard_protocol::link::JoinLink>()
            .map_err(|error| format!("--join: {error}"))?;
    }
    if let Some(scene) = &arguments.scripted {
        Scene::named(scene).ok_or_else(|| format!("--scripted: there is no scene '{scene}'"))?;
    }
    if let Some(text) = &arguments.size {
        size(text).ok_or_else(|| format!("--size: '{text}' is not a size such as 640x420"))?;
    }
    Ok(())
}

/// Says why and exits with the code of misuse.
#[expect(clippy::exit, reason = "misuse ends with code 2, as clap's own errors do")]
fn misuse(reason: &str) -> ! {
    complain(reason);
    std::process::exit(2)
}

/// There is no window to say it in, and standard error may be closed.
fn complain(reason: &str) {
    writeln!(std::io::stderr(), "error: {reason}").ok();
}

/// Claims the profile for this window. `None` if another window has it, which is in front now.
fn claim(profile: &Path, arguments: &Arguments) -> anyhow::Result<Option<Instance>> {
    let found = instance::claim(profile, &offer(arguments)).context("Could not use the profile")?;
    match found {
        Found::Free(instance) => Ok(Some(instance)),
        Found::Window => Ok(None),
        Found::Silence => Err(anyhow::anyhow!(
            "Lanyard is already running with this profile, but its window does not answer. \
             End it, or start with --profile and another folder."
        )),
    }
}

fn offer(arguments: &Arguments) -> Offer {
    Offer { link: arguments.join.clone(), username: arguments.username.clone() }
}

fn prepare(arguments: &Arguments, profile: PathBuf, instance: Option<Instance>) -> Start {
    let zone = TimeZone::system();
    if let Some(scene) = arguments.scripted.as_deref().and_then(Scene::named) {
        return prepare_scene(scene, arguments.theme.as_deref());
    }
    let clock: Clock = Box::new(wall_clock_ms);
    let mut model = Model::new(Settings::load(&profile), profile.clone(), zone, clock());
    model.drafts = Drafts::load(&profile);
    model.prefill(&offer(arguments));
    if arguments.password_stdin {
        model.login.password = stdin::password().unwrap_or_else(|error| misuse(&error.to_string()));
    }
    Start { model, clock, profile, scene: None, signs_in: arguments.password_stdin, instance }
}

/// A scene has a clock that stands still and settings of its own.
fn prepare_scene(scene: Scene, theme: Option<&str>) -> Start {
    /// 2026-03-02 09:21 UTC, so that pictures do not depend on when they are taken.
    const SCENE_NOW_MS: u64 = 1_772_443_260_000;
    let profile = std::env::temp_dir().join("lanyard-scene");
    let mut settings = demo::settings();
    settings.theme = match theme {
        Some("dark") => ThemeChoice::Dark,
        Some("light") => ThemeChoice::Light,
        Some(_) | None => ThemeChoice::System,
    };
    let mut model = Model::new(settings, profile.clone(), TimeZone::UTC, SCENE_NOW_MS);
    *model.login.password = "correct horse".to_owned();
    let signs_in = scene != Scene::Login;
    let clock: Clock = Box::new(|| SCENE_NOW_MS);
    Start { model, clock, profile, scene: Some(scene), signs_in, instance: None }
}

fn open(ctx: &egui::Context, fonts: SystemFonts, start: Start) -> std::io::Result<Window> {
    let Start { mut model, clock, profile, scene, signs_in, instance } = start;
    ctx.set_fonts(fonts::definitions(Some(&fonts)));
    model.missing_scripts = fonts.missing_scripts();
    model.emoji = fonts.emoji();
    ctx.add_font_provider(Arc::new(fonts));
    theme::install(ctx);
    colour_scheme::follow(ctx);
    theme::apply(ctx, &model.settings);
    let scripted = scene.map(|scene| {
        let backend = ScriptedBackend::new(demo::script(scene, model.now_ms));
        (scene, backend)
    });
    let now_ms = model.now_ms;
    let (backend, notifier): (Box<dyn Backend>, _) = match &scripted {
        Some((_, backend)) => (Box::new(backend.clone()), Notifier::silent()),
        None => {
            let waker = ctx.clone();
            let backend = NodeBackend::start(move || waker.request_repaint())?;
            (Box::new(backend), Notifier::start())
        }
    };
    let mut window = Window::new(model, backend, notifier, clock, profile);
    if let Some(mut instance) = instance {
        let waker = ctx.clone();
        instance.listen(move || waker.request_repaint())?;
        window = window.with_instance(instance);
    }
    window.begin(ctx);
    if signs_in {
        window.act(ctx, Action::SignIn);
    }
    if let Some((scene, backend)) = scripted {
        demo::after_joining(scene, &backend, now_ms);
        window.logic(ctx);
        if scene == Scene::Alone {
            window.act(ctx, Action::Show(Some(Dialog::Alone)));
        }
        if scene == Scene::Moderate {
            window.act(ctx, demo::moderation());
            window.act(ctx, Action::EditReason("Sells tickets in every room".to_owned()));
        }
        if scene == Scene::Refused {
            window.act(ctx, Action::EditLogin(LoginField::Nickname, "Ada L.".to_owned()));
        }
    }
    Ok(window)
}

/// The one place where the window looks at the clock.
fn wall_clock_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

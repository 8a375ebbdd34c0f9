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
use lanyard_gui::app::Window;
use lanyard_gui::bridge::node::NodeBackend;
use lanyard_gui::desktop::colour_scheme;
use lanyard_gui::desktop::instance::{self, Found, Instance};
use lanyard_gui::desktop::launch;
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::action::Action;
use lanyard_gui::model::drafts::Drafts;
use lanyard_gui::model::settings::{self, Settings};
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
    // Users cannot act on warnings from the desktop's libraries.
    lanyard_program::logging::to_stderr("lanyard=warn");
    lanyard_program::failure::watch_for_panics();
    lanyard_program::limits::raise_file_limit();
    let profile = arguments.profile.clone().unwrap_or_else(settings::default_profile);
    let Some(instance) = claim(&profile, &arguments)? else { return Ok(()) };
    let fonts = SystemFonts::start().context("Could not start a thread")?;
    let model = prepare(&arguments, &profile);
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Lanyard")
            .with_app_id("lanyard")
            .with_icon(icon()?)
            .with_inner_size(theme::WINDOW_FIRST)
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
                let ctx = &creation.egui_ctx;
                tell_first_frame(ctx, clock, asked_for_window);
                let mut window = open(ctx, fonts, model, profile, instance)?;
                if arguments.password_stdin {
                    window.act(ctx, Action::SignIn);
                }
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

/// Checks what clap cannot.
fn check(arguments: &Arguments) -> Result<(), String> {
    if let Some(link) = &arguments.join {
        link.parse::<lanyard_protocol::link::JoinLink>()
            .map_err(|error| format!("--join: {error}"))?;
    }
    Ok(())
}

/// Prints the reason and exits with the code for misuse.
#[expect(clippy::exit, reason = "misuse ends with code 2, as clap's own errors do")]
fn misuse(reason: &str) -> ! {
    complain(reason);
    std::process::exit(2)
}

/// Writes to standard error, because there is no window yet. It may be closed.
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

fn prepare(arguments: &Arguments, profile: &Path) -> Model {
    let settings = Settings::load(profile);
    let mut model = Model::new(settings, profile.to_owned(), TimeZone::system(), wall_clock_ms());
    model.drafts = Drafts::load(profile);
    model.prefill(&offer(arguments));
    if arguments.password_stdin {
        model.login.password = stdin::password().unwrap_or_else(|error| misuse(&error.to_string()));
    }
    model
}

fn open(
    ctx: &egui::Context,
    fonts: SystemFonts,
    mut model: Model,
    profile: PathBuf,
    mut instance: Instance,
) -> std::io::Result<Window> {
    ctx.set_fonts(fonts::definitions(Some(&fonts)));
    model.missing_scripts = fonts.missing_scripts();
    model.emoji = fonts.emoji();
    ctx.add_font_provider(Arc::new(fonts));
    theme::install(ctx);
    colour_scheme::follow(ctx);
    theme::apply(ctx, &model.settings);
    let (waker, caller) = (ctx.clone(), ctx.clone());
    let backend = Box::new(NodeBackend::start(move || waker.request_repaint())?);
    instance.listen(move || caller.request_repaint())?;
    let clock = Box::new(wall_clock_ms);
    let mut window =
        Window::new(model, backend, Notifier::start(), clock, profile).with_instance(instance);
    window.begin(ctx);
    Ok(window)
}

/// The only place where the window reads the clock.
fn wall_clock_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

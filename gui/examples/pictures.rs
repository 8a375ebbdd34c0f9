//! Shows a made-up scene in a real window, for `scripts/pictures.sh`: `pictures SCENE light|dark WIDTH HEIGHT`.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use eframe::egui;
use jiff::tz::TimeZone;
use lanyard_gui::app::Window;
use lanyard_gui::desktop::notify::Notifier;
use lanyard_gui::model::Model;
use lanyard_gui::model::action::{Action, Dialog, LoginField};
use lanyard_gui::model::settings::ThemeChoice;
use lanyard_gui::testing::ScriptedBackend;
use lanyard_gui::testing::demo::{self, Scene};
use lanyard_gui::view::fonts::{self, SystemFonts};
use lanyard_gui::view::theme;

/// 2026-03-02 09:21 UTC, so that pictures do not depend on when they are taken.
const NOW_MS: u64 = 1_772_443_260_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scene, theme, width, height] = arguments.as_slice() else {
        anyhow::bail!("usage: pictures SCENE light|dark WIDTH HEIGHT");
    };
    let scene = Scene::named(scene).with_context(|| format!("there is no scene '{scene}'"))?;
    let theme = match theme.as_str() {
        "light" => ThemeChoice::Light,
        "dark" => ThemeChoice::Dark,
        other => anyhow::bail!("there is no theme '{other}'"),
    };
    let size = egui::vec2(width.parse()?, height.parse()?);
    let fonts = SystemFonts::start()?;
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Lanyard")
            .with_app_id("lanyard")
            .with_inner_size(size),
        system_font_fallback: false,
        ..Default::default()
    };
    let open = |creation: &eframe::CreationContext<'_>| {
        let window: Box<dyn eframe::App> = Box::new(open(&creation.egui_ctx, fonts, scene, theme));
        Ok(window)
    };
    eframe::run_native("lanyard", options, Box::new(open)).map_err(|error| anyhow!("{error}"))
}

fn open(ctx: &egui::Context, fonts: SystemFonts, scene: Scene, theme: ThemeChoice) -> Window {
    let mut settings = demo::settings();
    settings.theme = theme;
    ctx.set_fonts(fonts::definitions(Some(&fonts)));
    ctx.add_font_provider(Arc::new(fonts));
    theme::install(ctx);
    theme::apply(ctx, &settings);
    let profile = std::env::temp_dir().join("lanyard-scene");
    let mut model = Model::new(settings, profile.clone(), TimeZone::UTC, NOW_MS);
    *model.login.password = "correct horse".to_owned();
    let backend = ScriptedBackend::new(demo::script(scene, NOW_MS));
    let (script, clock) = (Box::new(backend.clone()), Box::new(|| NOW_MS));
    let mut window = Window::new(model, script, Notifier::silent(), clock, profile);
    window.begin(ctx);
    if scene != Scene::Login {
        window.act(ctx, Action::SignIn);
    }
    demo::after_joining(scene, &backend, NOW_MS);
    window.logic(ctx);
    match scene {
        Scene::Alone => window.act(ctx, Action::Show(Some(Dialog::Alone))),
        Scene::Moderate => {
            window.act(ctx, demo::moderation());
            window.act(ctx, Action::EditReason("Sells tickets in every room".to_owned()));
        }
        Scene::Refused => {
            window.act(ctx, Action::EditLogin(LoginField::Nickname, "Ada L.".to_owned()));
        }
        Scene::Login | Scene::WrongRealm | Scene::Chat | Scene::Scripts => {}
    }
    window
}

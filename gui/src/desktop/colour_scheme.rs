//! Finds out whether the desktop prefers light or dark colours on X11 and Wayland, where the window library does not
//! know.
//!
//! The desktop portal knows, and reports changes. Until it answers, GTK's own setting is used.
//! The result is only egui's fallback: what the window library knows takes precedence.

#[cfg(not(any(windows, target_os = "macos")))]
mod gtk;
#[cfg(not(any(windows, target_os = "macos")))]
mod portal;

use eframe::egui::Context;

/// Follows the desktop's choice, now and whenever it changes.
#[cfg(any(windows, target_os = "macos"))]
pub fn follow(_ctx: &Context) {}

/// Follows the desktop's choice, now and whenever it changes.
#[cfg(not(any(windows, target_os = "macos")))]
pub fn follow(ctx: &Context) {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use eframe::egui::Theme;

    /// How long the first frame waits for the portal. A working one needs less.
    const PATIENCE: Duration = Duration::from_millis(200);

    let told = ctx.clone();
    let take = move |theme| {
        told.options_mut(|options| options.fallback_theme = theme);
        told.request_repaint();
    };
    take(gtk::preferred().unwrap_or(Theme::Light));
    let (answered, answer) = sync_channel(1);
    let watch = move || {
        if let Err(error) = portal::watch(&take, &answered) {
            tracing::debug!(%error, "No desktop portal");
        }
    };
    match std::thread::Builder::new().name("lanyard-colours".into()).spawn(watch) {
        Ok(_thread) => drop(answer.recv_timeout(PATIENCE)),
        Err(error) => tracing::debug!(%error, "The desktop's colours are not followed"),
    }
}

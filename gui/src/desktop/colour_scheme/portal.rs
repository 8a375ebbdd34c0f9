//! `org.freedesktop.portal.Settings`, as the XDG Desktop Portal documents it.

use std::sync::mpsc::SyncSender;

use eframe::egui::Theme;
use zbus::blocking::{Connection, Proxy};
use zbus::zvariant::{OwnedValue, Value};

const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";

/// Asks, reports that there is an answer, and then listens as long as the bus lives.
pub(super) fn watch(take: &impl Fn(Theme), answered: &SyncSender<()>) -> zbus::Result<()> {
    let bus = Connection::session()?;
    let settings = Proxy::new(
        &bus,
        "org.freedesktop.portal.Desktop",
        "/org/freedesktop/portal/desktop",
        "org.freedesktop.portal.Settings",
    )?;
    let changes =
        settings.receive_signal_with_args("SettingChanged", &[(0, NAMESPACE), (1, KEY)])?;
    // `ReadOne` is the newer call; this one is in every version.
    let now: OwnedValue = settings.call("Read", &(NAMESPACE, KEY))?;
    take(theme(&now));
    answered.try_send(()).ok();
    for change in changes {
        if let Ok((_, _, value)) = change.body().deserialize::<(&str, &str, Value<'_>)>() {
            take(theme(&value));
        }
    }
    Ok(())
}

fn theme(value: &Value<'_>) -> Theme {
    match value {
        // `Read` wraps the value once more than documented.
        Value::Value(inner) => theme(inner),
        Value::U32(1) => Theme::Dark,
        Value::U32(2) => Theme::Light,
        _ => super::gtk::preferred().unwrap_or(Theme::Light),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_is_one_however_deep_it_lies() {
        let one = Value::Value(Box::new(Value::Value(Box::new(Value::U32(1)))));
        assert_eq!(theme(&one), Theme::Dark);
        assert_eq!(theme(&Value::U32(2)), Theme::Light);
    }
}

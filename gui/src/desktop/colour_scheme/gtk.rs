//! GTK's choice of colours, for desktops without a portal: `GTK_THEME`, then `settings.ini`.

use eframe::egui::Theme;

pub(super) fn preferred() -> Option<Theme> {
    if let Ok(name) = std::env::var("GTK_THEME") {
        return Some(by_name(&name));
    }
    let folder = directories::BaseDirs::new()?.config_dir().to_owned();
    ["gtk-4.0", "gtk-3.0"].iter().find_map(|version| {
        let path = folder.join(version).join("settings.ini");
        by_settings(&std::fs::read_to_string(path).ok()?)
    })
}

/// Dark are the variant `Adwaita:dark` and the theme `Breeze-Dark`.
fn by_name(name: &str) -> Theme {
    let name = name.to_ascii_lowercase();
    if name.ends_with(":dark") || name.ends_with("-dark") { Theme::Dark } else { Theme::Light }
}

fn by_settings(ini: &str) -> Option<Theme> {
    let value = |key: &str| {
        let pairs = ini.lines().filter_map(|line| line.split_once('='));
        pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next_back()
    };
    let prefers = value("gtk-application-prefer-dark-theme");
    match prefers.map(|prefers| matches!(prefers, "1" | "true" | "TRUE")) {
        Some(true) => Some(Theme::Dark),
        Some(false) | None => {
            value("gtk-theme-name").map(by_name).or(prefers.map(|_| Theme::Light))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dark_setting_or_a_dark_theme_is_dark() {
        for (ini, theme) in [
            ("[Settings]\ngtk-application-prefer-dark-theme = true\n", Some(Theme::Dark)),
            ("[Settings]\ngtk-application-prefer-dark-theme=0\n", Some(Theme::Light)),
            ("[Settings]\ngtk-theme-name=Adwaita-dark\n", Some(Theme::Dark)),
            ("[Settings]\ngtk-theme-name=Adwaita\n", Some(Theme::Light)),
            ("[Settings]\ngtk-font-name=Inter 10\n", None),
        ] {
            assert_eq!(by_settings(ini), theme, "{ini}");
        }
        assert_eq!(by_name("Adwaita:dark"), Theme::Dark);
    }
}

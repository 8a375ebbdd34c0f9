//! What the window remembers between starts: everything but the password.
//!
//! It is one small JSON file in the profile folder. A file that cannot be read is replaced by defaults:
//! settings must never lock anybody out.

use std::io;
use std::path::{Path, PathBuf};

use lanyard_node::{private, profile};
use lanyard_protocol::link::JoinLink;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const FILE_NAME: &str = "gui.json";
/// How many realms are remembered.
const REALMS_MAX: usize = 16;

/// The user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which colours to use.
    pub theme: ThemeChoice,
    /// The size of everything, in percent.
    pub zoom_percent: u16,
    /// Whether mentions and unseen messages cause desktop notifications.
    pub notifications: bool,
    /// Whether notifications make a sound.
    pub sounds: bool,
    /// Whether the system's keyring keeps the password.
    pub keep_password: bool,
    /// Whether the user signed out. The next start then shows the form even if there is a ticket.
    pub signed_out: bool,
    /// Realms joined before, the latest first.
    pub realms: Vec<KnownRealm>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            zoom_percent: 100,
            notifications: true,
            sounds: false,
            keep_password: false,
            signed_out: false,
            realms: Vec::new(),
        }
    }
}

/// Which colours to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// The same as the desktop.
    #[default]
    System,
    /// Light colours.
    Light,
    /// Dark colours.
    Dark,
}

/// A realm joined before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownRealm {
    /// The whole join link.
    pub link: String,
    /// The realm's name as it was last seen.
    pub name: String,
    /// The unique name used there.
    pub username: String,
    /// The display name used there.
    pub nickname: String,
    /// End of the stored ticket, realm time in unix milliseconds; 0 without one.
    #[serde(alias = "pass_until")]
    pub signed_in_until: u64,
}

impl Settings {
    /// The sizes offered, in percent.
    pub const ZOOMS: [u16; 6] = [80, 90, 100, 115, 130, 150];

    /// Puts a realm first in the list. If there are too many, the oldest is dropped.
    pub fn remember(&mut self, realm: KnownRealm) {
        self.realms.retain(|known| !same_link(&known.link, &realm.link));
        self.realms.insert(0, realm);
        self.realms.truncate(REALMS_MAX);
    }

    /// Reads the settings of a profile; defaults if that is not possible.
    #[must_use]
    pub fn load(profile: &Path) -> Self {
        read(profile, FILE_NAME)
    }

    /// Writes the settings, whole or not at all.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        write(dir, FILE_NAME, &serde_json::to_vec_pretty(self)?)
    }
}

/// Reads a JSON file of a profile; defaults if that is not possible.
pub(super) fn read<T: Default + DeserializeOwned>(profile: &Path, file: &str) -> T {
    let Ok(bytes) = std::fs::read(profile.join(file)) else { return T::default() };
    serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, file, "Ignoring a damaged file");
        T::default()
    })
}

/// Writes a file of a profile, whole or not at all.
pub(super) fn write(profile: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    profile::folder(profile).map_err(io::Error::other)?;
    private::write(&profile.join(file), bytes)
}

/// Whether two texts are the same join link, however it is written.
pub(crate) fn same_link(one: &str, other: &str) -> bool {
    match (one.parse::<JoinLink>(), other.parse::<JoinLink>()) {
        (Ok(one), Ok(other)) => one == other,
        _no_link => one.trim() == other.trim(),
    }
}

/// The profile folder used without `--profile`.
#[must_use]
pub fn default_profile() -> PathBuf {
    directories::ProjectDirs::from("", "", "lanyard")
        .map_or_else(|| PathBuf::from("lanyard-profile"), |dirs| dirs.data_dir().join("peer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(link: &str) -> KnownRealm {
        KnownRealm { link: link.into(), ..KnownRealm::default() }
    }

    #[test]
    fn settings_come_back_as_saved_and_hold_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { zoom_percent: 130, ..Settings::default() };
        settings.remember(realm("lanyard://a"));
        settings.save(dir.path()).unwrap();
        assert_eq!(Settings::load(dir.path()), settings);
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
        assert!(!text.replace("keep_password", "").contains("password"));
    }

    #[test]
    fn a_file_of_the_former_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let saved = r#"{"theme":"dark","realms":[{"link":"lanyard://a","pass_until":7}]}"#;
        std::fs::write(dir.path().join(FILE_NAME), saved).unwrap();
        let settings = Settings::load(dir.path());
        assert_eq!(settings.theme, ThemeChoice::Dark);
        assert_eq!(settings.realms, [KnownRealm { signed_in_until: 7, ..realm("lanyard://a") }]);
    }

    #[test]
    fn damage_and_absence_give_defaults() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(dir.path()), Settings::default());
        std::fs::write(dir.path().join(FILE_NAME), b"{").unwrap();
        assert_eq!(Settings::load(dir.path()), Settings::default());
    }

    #[test]
    fn the_latest_realm_is_first_and_only_once() {
        let mut settings = Settings::default();
        for at in 0..40 {
            settings.remember(realm(&at.to_string()));
        }
        settings.remember(realm("39"));
        settings.remember(realm("38"));
        assert_eq!(settings.realms.len(), REALMS_MAX);
        assert_eq!(settings.realms[0].link, "38");
        assert_eq!(settings.realms[1].link, "39");
    }
}

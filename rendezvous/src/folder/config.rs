//! `rendezvous.toml` in the data folder: the settings that the operator of the machine may tune.
//!
//! A missing file means the defaults. An unknown field is an error: a misspelled security parameter that is silently
//! ignored is worse than a program that does not start.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "rendezvous.toml";
/// A configuration is a page of text; anything longer is some other file.
const FILE_BYTES_MAX: u64 = 64 * 1_024;
/// Argon2 needs at least 8 KiB; a login must not take more than 4 GiB.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 8..=4 * 1_024 * 1_024;
/// With more than 64 passes a login takes many seconds.
const PASSES: std::ops::RangeInclusive<u32> = 1..=64;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has unknown fields.
    #[error("{path} is not a valid configuration: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A number is out of range.
    #[error("{path}: {field} must be between {least} and {most}")]
    Range {
        /// The file.
        path: PathBuf,
        /// The name of the field.
        field: &'static str,
        /// The smallest value allowed.
        least: u32,
        /// The largest value allowed.
        most: u32,
    },
}

/// The configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The cost of a password check.
    pub argon2: Argon2Config,
}

/// The cost of a password check; RFC 9106 §4, second recommended option, with one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Argon2Config {
    /// Memory per check, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl Default for Argon2Config {
    fn default() -> Self {
        Self { memory_kib: 64 * 1_024, passes: 3 }
    }
}

impl Config {
    /// Reads `rendezvous.toml`, or returns the defaults if there is none.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be used.
    pub fn load(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(FILE_NAME);
        let read = std::fs::metadata(&path).and_then(|meta| {
            if meta.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::new(ErrorKind::FileTooLarge, "over 64 KiB"));
            }
            std::fs::read_to_string(&path)
        });
        let text = match read {
            Ok(text) => text,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.clone(),
            reason: error.message().to_owned(),
        })?;
        let Argon2Config { memory_kib, passes } = config.argon2;
        let checks =
            [("argon2.memory_kib", memory_kib, MEMORY_KIB), ("argon2.passes", passes, PASSES)];
        for (field, value, range) in checks {
            if !range.contains(&value) {
                let (least, most) = (*range.start(), *range.end());
                return Err(ConfigError::Range { path, field, least, most });
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(text: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        dir
    }

    #[test]
    fn no_file_means_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path()).unwrap();
        assert_eq!((config.argon2.memory_kib, config.argon2.passes), (65_536, 3));
    }

    #[test]
    fn a_missing_field_has_its_default() {
        let config = Config::load(folder(b"[argon2]\nmemory_kib = 8192\n").path()).unwrap();
        assert_eq!((config.argon2.memory_kib, config.argon2.passes), (8_192, 3));
    }

    #[test]
    fn bad_fields_are_named() {
        for (text, part) in [
            ("[argon2]\nmemory_kib = 1", "argon2.memory_kib"),
            ("[argon2]\npasses = 0", "argon2.passes"),
            ("[argon2]\nmemory = 65536", "unknown field"),
            ("[argon", "not a valid"),
            ("[argon2]\npasses = -3", "not a valid"),
        ] {
            let error = Config::load(folder(text.as_bytes()).path()).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?} gives {error:?}");
        }
        let dir = folder(&[0xff, 0xfe]);
        assert!(matches!(Config::load(dir.path()), Err(ConfigError::Read { .. })));
    }
}

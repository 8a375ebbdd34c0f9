//! Another wall clock for a program, by `libfaketime` (Debian package `libfaketime`).
//!
//! Where the library is missing, a test prints SKIPPED and passes; with `CI=true` it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip;

/// Where distributions put the library.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// A clock that can be set while programs run under it.
pub(crate) struct FakeTime {
    library: &'static str,
    offset: tempfile::NamedTempFile,
}

impl FakeTime {
    /// A clock that differs from the true one by this offset, such as `+2h`.
    pub(crate) fn by(offset: &str) -> Option<Self> {
        let Some(library) = PLACES.into_iter().find(|place| Path::new(place).exists()) else {
            skip("libfaketime is not installed");
            return None;
        };
        let clock = Self { library, offset: tempfile::NamedTempFile::new().unwrap() };
        clock.set(offset);
        Some(clock)
    }

    /// Sets the clock; programs that run under it notice at their next look.
    pub(crate) fn set(&self, offset: &str) {
        // Replaced and not rewritten, so that a program never reads half of it.
        let new = PathBuf::from(format!("{}.new", self.offset.path().display()));
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(&new, self.offset.path()).unwrap();
    }

    /// Makes a program run under this clock.
    pub(crate) fn run_by(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.offset.path())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    }
}

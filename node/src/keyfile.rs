//! Key files: an Ed25519 seed of 32 bytes, in a file that only its owner can read.
//!
//! A file that others could have read, or that is not exactly 32 bytes, is refused and never replaced: a new device key
//! makes a new device, and with a new realm key every join link would warn of an impostor.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::private;
use crate::random::{self, NoRandomness};

/// A secret Ed25519 seed, which is wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file does not exist.
    #[error("{path} does not exist")]
    Missing {
        /// The path of the missing file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// Group or others have access to the file.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Unsafe {
        /// The path of the file.
        path: PathBuf,
        /// The file's mode, as in `chmod`.
        mode: u32,
    },
    /// It is not 32 bytes long, or not a file at all.
    #[error("{path} is damaged: {why}; put back a copy of it, a new key cannot stand in for it")]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        why: &'static str,
    },
    /// The system has no random numbers for a new key.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// Reads a key, refusing one that others can read.
///
/// # Errors
/// [`KeyError`] says what is wrong with the file.
pub fn load(path: &Path) -> Result<Seed, KeyError> {
    let io = |source: std::io::Error| KeyError::Io { path: path.to_owned(), source };
    let mut file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(KeyError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(io(error)),
    };
    // Ask about the open file, not the path, so that what was checked is what is read.
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(KeyError::Damaged { path: path.to_owned(), why: "it is not a file" });
    }
    if let Some(mode) = private::open_to_others(&meta) {
        return Err(KeyError::Unsafe { path: path.to_owned(), mode });
    }
    if meta.len() != 32 {
        return Err(KeyError::Damaged { path: path.to_owned(), why: "it is not 32 bytes long" });
    }
    let mut seed = Seed::default();
    file.read_exact(seed.as_mut()).map_err(io)?;
    if seed.iter().all(|byte| *byte == 0) {
        return Err(KeyError::Damaged { path: path.to_owned(), why: "it holds only zeros" });
    }
    Ok(seed)
}

/// Reads a key, or creates one if the file is missing.
///
/// # Errors
/// [`KeyError`] if the file exists but is unusable, or cannot be created.
pub fn load_or_create(path: &Path) -> Result<Seed, KeyError> {
    match load(path) {
        Err(KeyError::Missing { .. }) => create(path),
        other => other,
    }
}

/// Writes the whole key to a draft and links that into place. A crash leaves no half key, and a key that appeared in
/// the meantime is never overwritten (`link` fails as O_EXCL does).
fn create(path: &Path) -> Result<Seed, KeyError> {
    let io = |source: std::io::Error| KeyError::Io { path: path.to_owned(), source };
    let mut seed = Seed::default();
    random::fill(seed.as_mut())?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = private::create_new(&draft).map_err(io)?;
    let written = file.write_all(seed.as_ref()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    // Whether it is removed or not, the draft has mode 0600, and nothing reads it.
    std::fs::remove_file(&draft).ok();
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return load(path),
        Err(error) => return Err(io(error)),
    }
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(seed)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const KEY: &str = "some.key";
    const OTHER_KEY: &str = "other.key";

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_made_once_and_only_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY);
        assert!(matches!(load(&path), Err(KeyError::Missing { .. })));
        let made = load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(*load_or_create(&path).unwrap(), *made);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays");
        let other = load_or_create(&dir.path().join(OTHER_KEY)).unwrap();
        assert_ne!(*other, *made);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY);
        load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644, 0o610] {
            set_mode(&path, mode);
            let error = load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::Unsafe { mode: found, .. } if found == mode));
        }
        set_mode(&path, 0o400);
        assert!(load_or_create(&path).is_ok());
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY);
        for bytes in [vec![], vec![7; 31], vec![7; 33], vec![0; 32]] {
            std::fs::write(&path, &bytes).unwrap();
            set_mode(&path, 0o600);
            assert!(matches!(load_or_create(&path), Err(KeyError::Damaged { .. })));
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        assert!(matches!(load_or_create(&path), Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn nothing_of_a_key_is_in_its_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY);
        std::fs::write(&path, b"SECRET-SECRET-SECRET-SECRET").unwrap();
        set_mode(&path, 0o600);
        let error = load(&path).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
}

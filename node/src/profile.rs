//! A profile folder: the device key `identity`, the `lock` that keeps two programs off it, and `chat.db`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use crate::event::{Refusal, RefusalCode};
use crate::keyfile::{self, KeyError};
use crate::store::StoreError;

/// A locked profile. The lock is held as long as this lives.
#[derive(Debug)]
pub struct Profile {
    dir: PathBuf,
    key: SigningKey,
    _lock: File,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Another program holds the lock.
    #[error(
        "another program is using the profile {0}; close it, or choose another folder with --data-dir"
    )]
    InUse(PathBuf),
    /// The device key cannot be used.
    #[error("the device key: {0}")]
    Key(#[from] KeyError),
    /// The message store cannot be used.
    #[error("the message store cannot be used: {0}")]
    DamagedStore(#[from] StoreError),
    /// The folder or a file in it cannot be made or read.
    #[error("the profile {path} cannot be used: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl From<ProfileError> for Refusal {
    fn from(error: ProfileError) -> Self {
        let code = match error {
            ProfileError::InUse(_) => RefusalCode::ProfileInUse,
            ProfileError::Key(KeyError::Unsafe { .. }) => RefusalCode::ProfileUnsafe,
            ProfileError::Key(_) | ProfileError::DamagedStore(_) | ProfileError::Io { .. } => {
                RefusalCode::ProfileDamaged
            }
        };
        Self::new(code, &error)
    }
}

impl Profile {
    /// Opens and locks a profile folder, making it and its key if they are missing.
    ///
    /// # Errors
    /// [`ProfileError`] says what to do; nothing was changed then.
    pub fn open(dir: &Path) -> Result<Self, ProfileError> {
        make_private_dir(dir)?;
        let lock = lock(&dir.join("lock"), dir)?;
        let key = SigningKey::from_bytes(&*keyfile::load_or_create(&dir.join("identity"))?);
        Ok(Self { dir: dir.to_owned(), key, _lock: lock })
    }

    /// The device key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Where the messages are.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.join("chat.db")
    }
}

fn io_error(path: &Path, source: io::Error) -> ProfileError {
    ProfileError::Io { path: path.to_owned(), source }
}

fn make_private_dir(dir: &Path) -> Result<(), ProfileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| io_error(dir, source))
}

fn lock(path: &Path, dir: &Path) -> Result<File, ProfileError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(path).map_err(|source| io_error(path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ProfileError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_keeps_its_key_and_lets_one_program_in() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::open(dir.path()).unwrap();
        let key = profile.key().to_bytes();
        assert!(matches!(Profile::open(dir.path()), Err(ProfileError::InUse(_))));
        drop(profile);
        assert_eq!(Profile::open(dir.path()).unwrap().key().to_bytes(), key);
    }
}

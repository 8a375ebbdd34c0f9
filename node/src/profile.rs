//! A profile folder: the device key `identity`, the `lock` that keeps two programs off it, and `chat.db`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::event::{Refusal, RefusalCode};
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
    /// The key file can be read by others.
    #[error("the key file {0} can be read by other users; make it private with: chmod 600 {0}")]
    Unsafe(PathBuf),
    /// The key file is not a key.
    #[error(
        "the key file {0} is damaged; restore it from a backup, or move it away to become a new device"
    )]
    DamagedKey(PathBuf),
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
            ProfileError::Unsafe(_) => RefusalCode::ProfileUnsafe,
            ProfileError::DamagedKey(_)
            | ProfileError::DamagedStore(_)
            | ProfileError::Io { .. } => RefusalCode::ProfileDamaged,
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
        let key = load_or_make_key(&dir.join("identity"))?;
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

/// Reads an Ed25519 key file, or makes one that only its owner can read. Also used by the rendezvous.
///
/// # Errors
/// [`ProfileError::Unsafe`] if group or world can read it, [`ProfileError::DamagedKey`] if it is not a key.
pub fn load_or_make_key(path: &Path) -> Result<SigningKey, ProfileError> {
    match File::open(path) {
        Ok(file) => read_key(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(path),
        Err(source) => Err(ProfileError::Io { path: path.to_owned(), source }),
    }
}

fn read_key(file: File, path: &Path) -> Result<SigningKey, ProfileError> {
    if is_open_to_others(&file).map_err(|source| io_error(path, source))? {
        return Err(ProfileError::Unsafe(path.to_owned()));
    }
    let damaged = || ProfileError::DamagedKey(path.to_owned());
    let mut text = Zeroizing::new(String::new());
    // A key is 64 hex digits; do not read a file that is something else to its end.
    file.take(256).read_to_string(&mut text).map_err(|_not_text| damaged())?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), secret.as_mut_slice()).map_err(|_not_hex| damaged())?;
    Ok(SigningKey::from_bytes(&secret))
}

fn make_key(path: &Path) -> Result<SigningKey, ProfileError> {
    let io = |source| io_error(path, source);
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| io(io::Error::other(error)))?;
    // Written beside and renamed, so that a crash leaves no half key.
    let beside = path.with_extension("new");
    fs::remove_file(&beside).or_else(missing_is_fine).map_err(io)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(io)?;
    let text = Zeroizing::new(hex::encode(secret.as_slice()) + "\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    Ok(SigningKey::from_bytes(&secret))
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn io_error(path: &Path, source: io::Error) -> ProfileError {
    ProfileError::Io { path: path.to_owned(), source }
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_file: &File) -> io::Result<bool> {
    Ok(false)
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

    #[test]
    fn a_damaged_key_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(Profile::open(dir.path()).unwrap());
        let path = dir.path().join("identity");
        for text in ["", "zz", "00", &"ab".repeat(33)] {
            fs::write(&path, text).unwrap();
            assert!(
                matches!(Profile::open(dir.path()), Err(ProfileError::DamagedKey(_))),
                "{text}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        drop(Profile::open(dir.path()).unwrap());
        let path = dir.path().join("identity");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Profile::open(dir.path()), Err(ProfileError::Unsafe(_))));
    }
}

//! A profile folder: the device key `identity`, the `lock` that keeps a second program out, and `chat.db`.
//!
//! Key and store must both exist or both be missing. A folder that has lost one of them is refused, and nothing new is
//! created in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use crate::keyfile::{self, KeyError, Seed};
use crate::private::{self, PrivateError};
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{self, StoreError, Use};

/// The file of the device key.
const IDENTITY: &str = "identity";
/// The file of messages and tickets.
const DATABASE: &str = "chat.db";
/// The file whose lock keeps a second program out.
const LOCK: &str = "lock";

/// A locked profile. The lock is released when this is dropped.
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
    /// A part of the profile is missing.
    #[error(
        "the profile {dir} is damaged: {missing} is missing, and {there} is there; put it back from a backup, or take \
         another folder to begin anew as a new device"
    )]
    Lost {
        /// The path of the profile folder.
        dir: PathBuf,
        /// The name of the missing file.
        missing: &'static str,
        /// The file that is still there.
        there: &'static str,
    },
    /// The folder is open to others, and not ours to make private.
    #[error(transparent)]
    Open(#[from] PrivateError),
    /// A file in the folder cannot be created or read.
    #[error("the profile {path} cannot be used: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl From<ProfileError> for Refusal {
    fn from(error: ProfileError) -> Self {
        let code = match error {
            ProfileError::InUse(_) => RefusalCode::ProfileInUse,
            ProfileError::Key(KeyError::Unsafe { .. })
            | ProfileError::Open(PrivateError::NotOurs { .. } | PrivateError::Shared { .. }) => {
                RefusalCode::ProfileUnsafe
            }
            ProfileError::Key(_)
            | ProfileError::DamagedStore(_)
            | ProfileError::Lost { .. }
            | ProfileError::Open(PrivateError::Io { .. })
            | ProfileError::Io { .. } => RefusalCode::ProfileDamaged,
        };
        Self::new(code, &error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        ProfileError::from(error).into()
    }
}

impl Profile {
    /// Opens and locks a profile folder. If it is missing, creates it with its store and key.
    ///
    /// # Errors
    /// [`ProfileError`] says what to do; nothing was changed then.
    pub fn open(dir: &Path) -> Result<Self, ProfileError> {
        folder(dir)?;
        let lock = lock(&dir.join(LOCK), dir)?;
        let key = SigningKey::from_bytes(&*all_or_none(dir)?);
        Ok(Self { dir: dir.to_owned(), key, _lock: lock })
    }

    /// The device key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The path of the message store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }
}

/// Creates a profile folder that only its owner can read, if it is missing.
///
/// # Errors
/// [`PrivateError`] if the folder is open to others and also holds other files.
pub fn folder(dir: &Path) -> Result<(), PrivateError> {
    private::folder(dir, &[IDENTITY, DATABASE, LOCK, "gui.json", "drafts.json"])
}

/// The key of a complete profile, or of a new one.
///
/// The store is created before the key and used after it. A key without a store, or a used store without a key,
/// therefore cannot come from a start that was killed: something was deleted.
fn all_or_none(dir: &Path) -> Result<Seed, ProfileError> {
    let (identity, database) = (dir.join(IDENTITY), dir.join(DATABASE));
    let lost = |missing, there| ProfileError::Lost { dir: dir.to_owned(), missing, there };
    let has_log = dir.join(format!("{DATABASE}-wal")).exists();
    match (identity.exists(), database.exists()) {
        (true, true) => {
            let seed = keyfile::load(&identity)?;
            match store::use_of(&database)? {
                Use::Blank => Err(lost("the content of chat.db", IDENTITY)),
                Use::Unused | Use::Used => Ok(seed),
            }
        }
        (true, false) => Err(lost(DATABASE, IDENTITY)),
        (false, true) if store::use_of(&database)? == Use::Used => Err(lost(IDENTITY, DATABASE)),
        (false, false) if has_log => Err(lost(DATABASE, "chat.db-wal")),
        (false, _) => {
            store::make(&database)?;
            Ok(keyfile::load_or_create(&identity)?)
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> ProfileError {
    ProfileError::Io { path: path.to_owned(), source }
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
    use std::collections::BTreeMap;
    use std::fs;

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

    /// A profile that somebody has signed in with.
    fn used() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::open(dir.path()).unwrap();
        let store = rusqlite::Connection::open(profile.database()).unwrap();
        store.execute_batch(
            "INSERT INTO realms (key) VALUES (x'01');
             INSERT INTO memberships (realm, login_name, ticket, member) VALUES (1, 'ada', x'', x'')",
        )
        .unwrap();
        dir
    }

    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_profile_that_has_lost_a_part_is_refused_and_left_alone() {
        for (lost, said) in [(IDENTITY, "identity is missing"), (DATABASE, "chat.db is missing")] {
            let dir = used();
            fs::remove_file(dir.path().join(lost)).unwrap();
            let before = files(dir.path());
            let error = Profile::open(dir.path()).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert!(files(dir.path()) == before, "{lost}: something was made or changed");
        }
        let dir = used();
        fs::write(dir.path().join(DATABASE), "").unwrap();
        let error = Profile::open(dir.path()).unwrap_err();
        assert!(matches!(error, ProfileError::Lost { .. }), "{error}");
        for gone in ["TABLE tickets", "INDEX messages_in_order", "TABLE memberships"] {
            let dir = used();
            let store = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
            store.execute_batch(&format!("PRAGMA foreign_keys = OFF; DROP {gone}")).unwrap();
            drop(store);
            let opened = Profile::open(dir.path()).map(|profile| store::make(&profile.database()));
            let error = opened.unwrap().unwrap_err();
            assert!(matches!(error, StoreError::Incomplete { .. }), "{error}");
        }
    }

    #[test]
    fn a_first_start_that_was_killed_is_taken_up_again() {
        let halves: [fn(&Path); 4] = [
            |_nothing| {},
            |dir| fs::write(dir.join("lock"), "").unwrap(),
            |dir| fs::write(dir.join(DATABASE), "").unwrap(),
            |dir| store::make(&dir.join(DATABASE)).unwrap(),
        ];
        for half in halves {
            let dir = tempfile::tempdir().unwrap();
            half(dir.path());
            let key = Profile::open(dir.path()).unwrap().key().to_bytes();
            assert_eq!(Profile::open(dir.path()).unwrap().key().to_bytes(), key);
        }
    }
}

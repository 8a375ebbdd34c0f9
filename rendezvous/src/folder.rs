//! The data folder, which holds either a complete realm or nothing.
//!
//! The first start creates the database, then the authority peer's key, then the realm's key. When all three exist, it
//! records in the database which realm it belongs to. This order distinguishes a first start that was killed from a
//! folder that has lost a part: no key ever exists beside a missing or blank database, and no database that knows its
//! realm exists without the keys. A folder that has lost a part is refused and left unchanged, because with a new realm
//! key every existing join link would warn of an impostor.

pub mod config;
pub mod lock;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use lanyard_node::keyfile::{self, KeyError, Seed};
use lanyard_node::private::{self, PrivateError};
use lanyard_protocol::cose::public_key;

use crate::store::{self, Store, StoreError, meta};

/// The file of the realm key, which signs tickets and policies and is the login server's identity.
pub const REALM_KEY: &str = "realm.key";
/// The file of the authority peer's key.
pub const AUTHORITY_KEY: &str = "member.key";

/// An open data folder.
#[derive(Debug)]
pub struct Folder {
    /// The database, migrated and checked.
    pub store: Store,
    /// The seed of the realm key.
    pub realm: Seed,
    /// The seed of the authority peer's key.
    pub authority: Seed,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is a key, but no database.
    #[error(
        "{} is missing or empty, although there is a {there}; put the last backup in its place with \
         `lanyard-rendezvous restore FILE`, or start a new realm in another folder", path.display()
    )]
    NoDatabase {
        /// Where the database should be.
        path: PathBuf,
        /// The file that shows that there was a database.
        there: &'static str,
    },
    /// There is a database, but a key is missing.
    #[error(
        "{0} is missing, although there is a database; put back your copy of the key{or}",
        or = if .0.ends_with(AUTHORITY_KEY) { ", or let `lanyard-rendezvous restore FILE` create a new one" } else { "" }
    )]
    NoKey(PathBuf),
    /// The key belongs to another realm.
    #[error("{0} is not the key of the realm in the database; put back the right one")]
    WrongKey(PathBuf),
    /// Other users can read the folder, and we may not change that.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// A key cannot be read or created.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates the folder, or makes an existing one private.
///
/// # Errors
/// [`PrivateError`] if we may not change it.
pub fn prepare(data_dir: &Path) -> Result<(), PrivateError> {
    private::folder(data_dir, &[REALM_KEY, store::FILE_NAME, config::FILE_NAME, lock::LOCK_FILE])
}

/// Opens the realm in this folder, or creates one if there is none.
///
/// # Errors
/// [`FolderError`] names what is missing or damaged; nothing was created.
pub fn open(data_dir: &Path) -> Result<Folder, FolderError> {
    has_database_beside_keys(data_dir)?;
    let store = Store::open_or_create(data_dir)?;
    store.check(data_dir)?;
    let realm = meta::text(store.reader(), meta::REALM_ID)?;
    let (realm_key, authority_key) = (data_dir.join(REALM_KEY), data_dir.join(AUTHORITY_KEY));
    if realm.is_some() {
        let keys = [&realm_key, &authority_key];
        if let Some(missing) = keys.into_iter().find(|key| !key.exists()) {
            return Err(FolderError::NoKey(missing.clone()));
        }
    }
    let authority = keyfile::load_or_create(&authority_key)?;
    let seed = keyfile::load_or_create(&realm_key)?;
    let id = public_key(&SigningKey::from_bytes(&seed)).to_string();
    if realm.is_some_and(|realm| realm != id) {
        return Err(FolderError::WrongKey(realm_key));
    }
    Ok(Folder { store, realm: seed, authority })
}

/// Checks that no key exists without a database.
///
/// # Errors
/// [`FolderError::NoDatabase`].
pub fn has_database_beside_keys(data_dir: &Path) -> Result<(), FolderError> {
    let path = data_dir.join(store::FILE_NAME);
    let log = "rendezvous.db-wal";
    let there = |name: &&&str| data_dir.join(name).exists();
    let is_missing = !path.exists();
    let proofs: &[&str] =
        if is_missing { &[REALM_KEY, AUTHORITY_KEY, log] } else { &[REALM_KEY, AUTHORITY_KEY] };
    match proofs.iter().find(there) {
        Some(there) if is_missing || Store::is_blank(&path)? => {
            Err(FolderError::NoDatabase { path, there })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// A folder on which `serve` has run.
    fn served() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(dir.path()).unwrap();
        let id = public_key(&SigningKey::from_bytes(&folder.realm)).to_string();
        folder.store.write(|tx| meta::set(tx, meta::REALM_ID, &id)).unwrap();
        folder.store.checkpoint().unwrap();
        drop(folder);
        open(dir.path()).unwrap();
        dir
    }

    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_folder_that_has_lost_a_file_is_refused_untouched() {
        for lost in [REALM_KEY, AUTHORITY_KEY, store::FILE_NAME] {
            let dir = served();
            fs::remove_file(dir.path().join(lost)).unwrap();
            let before = files(dir.path());
            let error = open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(lost) && error.contains("missing"), "{error}");
            assert!(files(dir.path()) == before, "{lost}: something was created or changed");
        }
        let dir = served();
        fs::write(dir.path().join(store::FILE_NAME), "").unwrap();
        assert!(matches!(open(dir.path()), Err(FolderError::NoDatabase { .. })));
        fs::remove_file(dir.path().join(store::FILE_NAME)).unwrap();
        fs::remove_file(dir.path().join(REALM_KEY)).unwrap();
        fs::remove_file(dir.path().join(AUTHORITY_KEY)).unwrap();
        fs::write(dir.path().join("rendezvous.db-wal"), "rest").unwrap();
        assert!(matches!(open(dir.path()), Err(FolderError::NoDatabase { .. })));
    }

    #[test]
    fn the_key_of_another_realm_is_refused() {
        let (one, other) = (served(), served());
        fs::copy(other.path().join(REALM_KEY), one.path().join(REALM_KEY)).unwrap();
        assert!(matches!(open(one.path()), Err(FolderError::WrongKey { .. })));
    }

    #[test]
    fn a_first_start_that_was_killed_is_completed() {
        let halves: [fn(&Path); 5] = [
            |_nothing| {},
            |dir| fs::write(dir.join(store::FILE_NAME), "").unwrap(),
            |dir| drop(Store::open_or_create(dir).unwrap()),
            |dir| {
                drop(Store::open_or_create(dir).unwrap());
                keyfile::load_or_create(&dir.join(AUTHORITY_KEY)).unwrap();
            },
            |dir| drop(open(dir).unwrap()),
        ];
        for half in halves {
            let dir = tempfile::tempdir().unwrap();
            half(dir.path());
            let first = open(dir.path()).unwrap();
            let again = open(dir.path()).unwrap();
            assert_eq!((*first.realm, *first.authority), (*again.realm, *again.authority));
        }
    }
}

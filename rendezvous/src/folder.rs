//! The data folder: everything of a realm, or nothing.
//!
//! A first start makes the database, then the authority peer's key, then the realm's, and writes into the database to which
//! realm it belongs when all three are there. So what a start leaves that was killed is told from a folder that has
//! lost a part: a key never stands beside a database that is missing or blank, and a database that knows its realm
//! never stands without a key. A folder that has lost a part is refused, and nothing is made anew in it: a new realm key
//! would turn every join link into a warning about an impostor.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use lanyard_node::keyfile::{self, KeyError, Seed};
use lanyard_node::private::{self, PrivateError};
use lanyard_protocol::cose::public_key;

use crate::store::{self, Store, StoreError, meta};
use crate::{config, serve};

/// The file of the realm key: it signs tickets and policy, and is the login server's identity.
pub const REALM_KEY: &str = "realm.key";
/// The file of the authority peer's key.
pub const AUTHORITY_KEY: &str = "member.key";

/// What is open of a data folder.
#[derive(Debug)]
pub struct Folder {
    /// The database, up to date and whole.
    pub store: Store,
    /// The realm key.
    pub realm: Seed,
    /// The authority peer's key.
    pub authority: Seed,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The database is gone, and a key is there.
    #[error(
        "{} is missing or empty, and {there} is there; put the last backup in its place with \
         `lanyard-rendezvous restore FILE`, or start a new realm in another folder", path.display()
    )]
    NoDatabase {
        /// Where the database should be.
        path: PathBuf,
        /// What is there.
        there: &'static str,
    },
    /// A key is gone.
    #[error(
        "{} is missing, and the database is there; put back the copy of the key that you have kept{}",
        path.display(),
        if path.ends_with(AUTHORITY_KEY) { ", or let `lanyard-rendezvous restore FILE` make a new one" } else { "" }
    )]
    NoKey {
        /// Where the key should be.
        path: PathBuf,
    },
    /// The key is that of another realm.
    #[error("{} is not the key of the realm in the database; put back the right one", path.display())]
    WrongKey {
        /// The key.
        path: PathBuf,
    },
    /// The folder is open to others, and not ours to close.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the folder, or closes it to others.
///
/// # Errors
/// [`PrivateError`] if it is not ours to close.
pub fn prepare(data_dir: &Path) -> Result<(), PrivateError> {
    private::folder(data_dir, &[REALM_KEY, store::FILE_NAME, config::FILE_NAME, serve::LOCK_FILE])
}

/// Opens everything, or makes everything if there is nothing yet.
///
/// # Errors
/// [`FolderError`] names what is missing or damaged; nothing was made then.
pub fn open(data_dir: &Path) -> Result<Folder, FolderError> {
    has_database_beside_keys(data_dir)?;
    let store = Store::open_or_create(data_dir)?;
    store.check(data_dir)?;
    let realm = meta::text(store.reader(), meta::REALM_ID)?;
    let (realm_key, member_key) = (data_dir.join(REALM_KEY), data_dir.join(AUTHORITY_KEY));
    if realm.is_some() {
        for path in [&realm_key, &member_key] {
            if !path.exists() {
                return Err(FolderError::NoKey { path: path.clone() });
            }
        }
    }
    let authority = keyfile::load_or_create(&member_key)?;
    let seed = keyfile::load_or_create(&realm_key)?;
    let id = public_key(&SigningKey::from_bytes(&seed)).to_string();
    if realm.is_some_and(|realm| realm != id) {
        return Err(FolderError::WrongKey { path: realm_key });
    }
    Ok(Folder { store, realm: seed, authority })
}

/// Sees that no key stands without a database.
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

    /// A folder in which a realm has been served.
    fn served() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(dir.path()).unwrap();
        let id = public_key(&SigningKey::from_bytes(&folder.realm)).to_string();
        folder.store.write(|tx| meta::set(tx, meta::REALM_ID, &id)).unwrap();
        folder.store.gather().unwrap();
        drop(folder);
        open(dir.path()).unwrap();
        dir
    }

    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_folder_that_has_lost_a_file_is_refused_and_left_alone() {
        for lost in [REALM_KEY, AUTHORITY_KEY, store::FILE_NAME] {
            let dir = served();
            fs::remove_file(dir.path().join(lost)).unwrap();
            let before = files(dir.path());
            let error = open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(lost) && error.contains("missing"), "{error}");
            assert!(files(dir.path()) == before, "{lost}: something was made or changed");
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
    fn a_first_start_that_was_killed_is_taken_up_again() {
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

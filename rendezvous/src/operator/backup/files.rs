//! Backup files: each is written beside its final place, readable only by its owner, and gets its name once complete.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use lanyard_node::random;

use super::{BackupError, seal};
use crate::store::Store;

/// An unfinished file, which is removed if it is dropped before it gets its name.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
}

impl Staged {
    /// Creates an empty file in the folder of `place`.
    pub(super) fn empty_beside(place: &Path) -> Result<Self, BackupError> {
        let random: [u8; 8] =
            random::bytes().map_err(|error| io(place)(std::io::Error::other(error)))?;
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", hex::encode(random)));
        let path = place.with_file_name(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io(place))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the content of a database as it is at this moment.
    pub(super) fn fill_from(&self, store: &Store) -> Result<(), BackupError> {
        Ok(store.copy_into(&self.path)?)
    }

    /// Signs the database in the file, to which nothing may be written any more.
    pub(super) fn seal(&self, realm_key: &SigningKey, made_at: u64) -> Result<(), BackupError> {
        seal::append(&self.path, realm_key, made_at).map_err(io(&self.path))
    }

    /// Gives the file its name, unless that is taken.
    pub(super) fn name(self, name: &Path) -> Result<(), BackupError> {
        self.sync()?;
        std::fs::hard_link(&self.path, name).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(name.to_owned()),
            _ => io(name)(source),
        })?;
        sync_folder(name)
    }

    /// Moves the file to its place, replacing what is there.
    pub(super) fn replace(self, place: &Path) -> Result<(), BackupError> {
        self.sync()?;
        std::fs::rename(&self.path, place).map_err(io(place))?;
        sync_folder(place)
    }

    fn sync(&self) -> Result<(), BackupError> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(io(&self.path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            // Usually most of them do not exist.
            std::fs::remove_file(with_end(&self.path, end)).ok();
        }
    }
}

/// The path at which a former database is kept.
pub(super) fn aside(place: &Path, now: u64) -> PathBuf {
    with_end(place, &format!(".before-restore-{now}"))
}

/// Keeps a damaged database and its log, and removes the log from the old place.
pub(super) fn keep_damaged(place: &Path, kept: &Path) -> Result<(), BackupError> {
    keep_log(place, kept)?;
    std::fs::hard_link(place, kept).map_err(io(kept))
}

/// Moves the log of a database aside.
pub(super) fn keep_log(place: &Path, kept: &Path) -> Result<(), BackupError> {
    for end in ["-wal", "-shm"] {
        let log = with_end(place, end);
        if log.exists() {
            std::fs::rename(&log, with_end(kept, end)).map_err(io(&log))?;
        }
    }
    Ok(())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}

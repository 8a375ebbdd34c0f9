//! The lock with which `serve` claims a data folder.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Result};
use std::path::Path;
use std::time::Duration;

/// The file that `serve` keeps locked while it runs.
pub const LOCK_FILE: &str = "serve.lock";

/// Whether `serve` is running on this data folder now.
///
/// # Errors
/// Those of the system, if the lock cannot be queried.
pub fn is_held(data_dir: &Path) -> Result<bool> {
    let file = match File::open(data_dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks the data folder, so that `serve` cannot start on it; `None` if it is running.
///
/// # Errors
/// Those of the system, if the folder cannot be locked.
pub fn take(data_dir: &Path) -> Result<Option<File>> {
    let lock =
        File::options().create(true).truncate(false).write(true).open(data_dir.join(LOCK_FILE))?;
    // A command briefly holds a shared lock while it checks whether `serve` is running.
    for _try in 0..10 {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(20)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

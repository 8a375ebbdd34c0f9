//! Files and folders that no other user of the computer can read, whatever the umask.
//!
//! A file is made private before anything is written to it. An existing file that is open to others is made private
//! too; a folder only if it is clearly ours. If somebody names `/tmp` or a home folder by mistake, they get an error
//! instead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The files that SQLite keeps beside a database.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why a folder or file cannot be kept private.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The folder belongs to another user, and is open to others.
    #[error(
        "the folder {path} belongs to another user and is open to others (mode {mode:o}); choose a folder of your own"
    )]
    NotOurs {
        /// The path of the folder.
        path: PathBuf,
        /// The folder's mode, as in `chmod`.
        mode: u32,
    },
    /// The folder is open to others and also holds files that are not ours.
    #[error(
        "the folder {path} is open to others (mode {mode:o}) and not Lanyard's alone; choose a folder of its own, or \
         run: chmod 700 {path}"
    )]
    Shared {
        /// The path of the folder.
        path: PathBuf,
        /// The folder's mode, as in `chmod`.
        mode: u32,
    },
    /// It cannot be created, inspected or changed.
    #[error("{path} cannot be made private: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> PrivateError + '_ {
    move |source| PrivateError::Io { path: path.to_owned(), source }
}

/// Creates a data folder, or makes an existing one private. `ours` names files, any of which shows that the folder is
/// ours.
///
/// # Errors
/// [`PrivateError`]; nothing was changed then.
pub fn folder(path: &Path, ours: &[&str]) -> Result<(), PrivateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))?;
    #[cfg(unix)]
    close_to_others(path, ours)?;
    Ok(())
}

#[cfg(unix)]
fn close_to_others(path: &Path, ours: &[&str]) -> Result<(), PrivateError> {
    use std::os::unix::fs::MetadataExt as _;

    const STICKY: u32 = 0o1000;
    let error = io_error(path);
    let meta = fs::metadata(path).map_err(&error)?;
    let Some(mode) = open_to_others(&meta) else { return Ok(()) };
    let path = path.to_owned();
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(PrivateError::NotOurs { path, mode });
    }
    let is_ours = ours.iter().any(|name| path.join(name).exists());
    let is_empty = fs::read_dir(&path).map_err(&error)?.next().is_none();
    if meta.mode() & STICKY != 0 || !(is_ours || is_empty) {
        return Err(PrivateError::Shared { path, mode });
    }
    set_mode(&path, 0o700).map_err(&error)?;
    let after = fs::metadata(&path).map_err(&error)?;
    // Some file systems have no owners, so their files are open to everybody.
    if let Some(mode) = open_to_others(&after) {
        return Err(PrivateError::Shared { path, mode });
    }
    let mode = format!("{mode:o}");
    tracing::warn!(path = %path.display(), %mode, "The folder was open to other users; it is private now");
    Ok(())
}

/// Creates an empty database file that only its owner can read, unless there is one; see [`tighten`].
///
/// # Errors
/// [`PrivateError::Io`].
pub fn database(path: &Path) -> Result<(), PrivateError> {
    match create_new(path) {
        Ok(_empty) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => tighten(path),
        Err(error) => Err(io_error(path)(error)),
    }
}

/// Makes a database, and the files that SQLite keeps beside it, private. New ones get the mode of the database.
///
/// # Errors
/// [`PrivateError::Io`].
pub fn tighten(path: &Path) -> Result<(), PrivateError> {
    let log = |end: &&str| {
        PathBuf::from([path.as_os_str(), end.as_ref()].into_iter().collect::<std::ffi::OsString>())
    };
    for file in std::iter::once(path.to_owned()).chain(LOGS.iter().map(log)) {
        let Ok(meta) = fs::metadata(&file) else { continue };
        if meta.is_file() && open_to_others(&meta).is_some() {
            set_mode(&file, 0o600).map_err(io_error(&file))?;
            tracing::warn!(path = %file.display(), "Other users could read this file; it is private now");
        }
    }
    Ok(())
}

/// Writes a file that only its owner can read, either whole or not at all.
///
/// # Errors
/// The error of the file system.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _gone => {}
    }
    create_new(&draft)?.write_all(bytes)?;
    fs::rename(draft, path)
}

/// Creates a file that only its owner can read and write, whatever the umask.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    set_mode(path, 0o600)?;
    Ok(file)
}

/// The mode of a file if group or others have access to it.
#[cfg(unix)]
pub(crate) fn open_to_others(meta: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = meta.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(crate) fn open_to_others(_meta: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// An empty folder with this mode.
    fn with_mode(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        set_mode(&path, mode).unwrap();
        (dir, path)
    }

    #[test]
    fn a_folder_of_ours_is_closed_to_others() {
        for open in [0o755, 0o775, 0o777, 0o710] {
            let (_dir, path) = with_mode(open);
            folder(&path, &["some.key"]).unwrap();
            assert_eq!(mode(&path), 0o700, "an empty one, {open:o}");
            set_mode(&path, open).unwrap();
            fs::write(path.join("some.key"), "").unwrap();
            folder(&path, &["some.key"]).unwrap();
            assert_eq!(mode(&path), 0o700, "one with our file, {open:o}");
        }
        let (_dir, path) = with_mode(0o700);
        folder(&path.join("new/one"), &[]).unwrap();
        assert_eq!(mode(&path.join("new/one")), 0o700);
    }

    #[test]
    fn a_folder_of_others_is_refused_and_left_as_it_is() {
        for (open, file) in [(0o755, "letter.txt"), (0o1777, "some.key")] {
            let (_dir, path) = with_mode(open);
            fs::write(path.join(file), "").unwrap();
            let error = folder(&path, &["some.key"]).unwrap_err();
            assert!(matches!(error, PrivateError::Shared { .. }), "{error}");
            assert_eq!(mode(&path), open);
        }
    }

    #[test]
    fn databases_and_their_logs_are_private() {
        let (_dir, path) = with_mode(0o700);
        let file = path.join("some.db");
        database(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        for name in ["some.db", "some.db-wal", "some.db-shm"] {
            fs::write(path.join(name), "x").unwrap();
            set_mode(&path.join(name), 0o644).unwrap();
        }
        database(&file).unwrap();
        for name in ["some.db", "some.db-wal", "some.db-shm"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }

    #[test]
    fn a_file_is_written_whole_and_private() {
        let (_dir, path) = with_mode(0o700);
        let file = path.join("drafts.json");
        fs::write(path.join("drafts.json.new"), "half").unwrap();
        fs::write(&file, "old").unwrap();
        write(&file, b"new").unwrap();
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"new".to_vec(), 0o600));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "no draft stays");
    }
}

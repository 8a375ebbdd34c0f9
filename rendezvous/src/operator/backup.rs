//! `backup` and `restore`.
//!
//! A backup is one SQLite file with accounts, devices, rules, rooms, sanctions, signed policies and the audit log. It
//! does not contain the keys: anyone with `realm.key` can issue tickets for any account, so the operator copies the
//! keys to a safe place once, by hand, and can keep backups wherever backups usually go. SQLite takes a consistent
//! snapshot even while `serve` writes. The copy gets its name only after it has been checked and sealed with the realm
//! key.
//!
//! A restore uses nothing in a file before it has verified the seal, so whoever can write to backups cannot change
//! passwords with them. It cannot tell an old backup from the last one; that is why it says when the backup was made.
//!
//! A restore sets the present content aside and replaces it with the checked copy in one transaction. It carries over
//! the newest policy that this data folder has signed, so the policy number grows even if the clock was set back, and
//! the next start always signs a new policy. It reports the bans and mutes of that policy that the backup does not
//! know, because they end with the restore. It also carries over moderations, because they come from the mesh and not
//! from the operator. An overturned moderation stays overturned; otherwise the messages it had removed would disappear
//! again. A confirmed one is open again, because its sanction ends with the restore. [`carry_over`] says what it does
//! about tickets that were issued since the backup.

mod carry_over;
mod content;
mod files;
mod seal;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use lanyard_node::keyfile::{self, KeyError};
use lanyard_node::private::PrivateError;
use lanyard_node::store::is_other_file;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::Sanction;

use crate::acts::ActError;
use crate::clock;
use crate::folder::{self, AUTHORITY_KEY, REALM_KEY, lock};
use crate::store::audit::{self, Entry};
use crate::store::{self, Store, StoreError, meta, policies};
pub use content::Content;
use files::Staged;
use seal::{Seal, SealError};

/// Why no backup was made, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The name is taken.
    #[error("{0} already exists; a backup overwrites nothing")]
    Exists(PathBuf),
    /// There is no such file.
    #[error("there is no file {0}")]
    NotFound(PathBuf),
    /// `serve` is running on this data folder.
    #[error("the login node is running on {0}; stop it first")]
    Serving(PathBuf),
    /// The file is not a backup that can be restored here.
    #[error("{} cannot be restored: {reason}", path.display())]
    Unusable {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The file has no seal.
    #[error(
        "{} is from before backups were signed, so anybody may have changed it; restore a later one. If there is none, \
         and nobody else could write to this one, add --unsigned", .0.display()
    )]
    Unsigned(PathBuf),
    /// The realm key is missing.
    #[error(
        "{} is missing; put your copy of the realm's key there first, because it signs and verifies backups; without \
         it, the next start would create another realm", .0.display()
    )]
    NoKey(PathBuf),
    /// The key is not that of the realm in the database.
    #[error(
        "{} is not the key of the realm in the database, so no backup can be signed; put back the right one", .0.display()
    )]
    WrongKey(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Other users can read the data folder, and we may not change that.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What the present database contains cannot be carried over.
    #[error(transparent)]
    CarryOver(#[from] ActError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// The stable code of a refusal; `None` for a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Exists(_) => Some("exists"),
            Self::NotFound(_) => Some("not-found"),
            Self::Serving(_) => Some("serving"),
            Self::Unusable { .. } | Self::WrongKey(_) => Some("bad-field"),
            Self::Unsigned(_) => Some("unsigned"),
            Self::NoKey(_) => Some("not-initialised"),
            Self::Io { .. }
            | Self::Private(_)
            | Self::Key(_)
            | Self::CarryOver(_)
            | Self::Store(_) => None,
        }
    }
}

/// Writes a backup of this moment to a new file that other users cannot read, and signs it with the realm key.
///
/// # Errors
/// [`BackupError`]; nothing is left behind.
pub fn backup(store: &mut Store, data_dir: &Path, file: &Path) -> Result<(), BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let realm_key = realm_key(data_dir)?;
    let realm = meta::text(store.reader(), meta::REALM_ID)?;
    if realm != Some(public_key(&realm_key).to_string()) {
        return Err(BackupError::WrongKey(data_dir.join(REALM_KEY)));
    }
    let now = meta::realm_now(store.reader(), clock::unix_ms())?;
    let staged = Staged::empty_beside(file)?;
    staged.fill_from(store)?;
    let copy = Store::open_copy(staged.path())?;
    copy.check_copy(staged.path())?;
    drop(copy);
    staged.seal(&realm_key, now)?;
    staged.name(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    store.write(|tx| {
        let now = meta::realm_now(tx, clock::unix_ms())?;
        audit::write(tx, Entry::operator("backup", "", &name), now)
    })?;
    Ok(())
}

fn realm_key(data_dir: &Path) -> Result<SigningKey, BackupError> {
    let path = data_dir.join(REALM_KEY);
    match keyfile::load(&path) {
        Ok(seed) => Ok(SigningKey::from_bytes(&seed)),
        Err(KeyError::Missing { .. }) => Err(BackupError::NoKey(path)),
        Err(other) => Err(other.into()),
    }
}

/// A sanction that all peers know but the backup does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The account's username, if the backup has the account.
    pub username: Option<String>,
    /// The sanction as it stood in the newest policy.
    pub sanction: Sanction,
}

/// An account that has changed since the backup and is as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// The account's username.
    pub username: String,
    /// What is as it was: `password`, `nickname`, `role`, `state`, or `ban` if a lifted ban is in force again.
    pub what: Vec<&'static str>,
}

/// How the restored content differs from what was there before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The bans and mutes that end with the restore; `None` if there was no policy to compare with.
    pub missing: Option<Vec<Missing>>,
    /// The accounts that the restore changes back.
    pub reverted: Vec<Reverted>,
    /// The accounts that the backup lacks and that are disabled, because they may still have tickets.
    pub disabled: Vec<String>,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup contains.
    pub content: Content,
    /// Where the former database is kept; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// How it differs from what was there before.
    pub changes: Changes,
    /// Whether the authority peer got a new key, because its key was missing.
    pub new_authority_key: bool,
}

/// Whether a restore accepts a backup without a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// It does, because the operator vouches for the file.
    Accept,
    /// It does not.
    Refuse,
}

/// Replaces the present content with that of a backup.
///
/// # Errors
/// [`BackupError`]; the present content stays.
pub fn restore(data_dir: &Path, file: &Path, unsigned: Unsigned) -> Result<Restored, BackupError> {
    if !file.is_file() {
        return Err(BackupError::NotFound(file.to_owned()));
    }
    let realm_key = realm_key(data_dir)?;
    folder::prepare(data_dir)?;
    let io = |source| BackupError::Io { path: data_dir.to_owned(), source };
    let Some(_lock) = lock::take(data_dir).map_err(io)? else {
        return Err(BackupError::Serving(data_dir.to_owned()));
    };
    let realm = public_key(&realm_key);
    let place = data_dir.join(store::FILE_NAME);
    let staged = Staged::empty_beside(&place)?;
    let seal = unseal(&staged, file, realm, unsigned)?;
    let copy = open_checked(&staged, file, realm)?;
    let made_at = seal.map(|seal| seal.made_at);
    let content = Content::of(&copy, made_at, realm, clock::unix_ms())?;
    let (kept, changes) = put_in_place(data_dir, staged, copy, &realm_key)?;
    // No join link contains this key, so a new one only costs each peer one more dial.
    let authority_key = data_dir.join(AUTHORITY_KEY);
    let new_authority_key = !authority_key.exists();
    keyfile::load_or_create(&authority_key)?;
    Ok(Restored { content, kept, changes, new_authority_key })
}

/// Copies the database out of a backup and verifies the seal.
fn unseal(
    staged: &Staged,
    file: &Path,
    realm: PeerKey,
    unsigned: Unsigned,
) -> Result<Option<Seal>, BackupError> {
    let unusable = |reason: String| BackupError::Unusable { path: file.to_owned(), reason };
    match seal::unseal(file, staged.path(), &realm) {
        Ok(None) if unsigned == Unsigned::Refuse && !is_other_file(staged.path()) => {
            // Nobody should be told to add --unsigned to what was edited.
            match seal::has_lost_seal(staged.path()) {
                Ok(true) => Err(unusable(SealError::Broken.to_string())),
                Ok(false) | Err(_) => Err(BackupError::Unsigned(file.to_owned())),
            }
        }
        Ok(seal) => Ok(seal),
        Err(SealError::Io(source)) => Err(BackupError::Io { path: file.to_owned(), source }),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Where the former database is kept, and how the new content differs from it.
type Replaced = (Option<PathBuf>, Changes);

fn put_in_place(
    data_dir: &Path,
    staged: Staged,
    mut copy: Store,
    realm_key: &SigningKey,
) -> Result<Replaced, BackupError> {
    let (place, now) = (data_dir.join(store::FILE_NAME), clock::unix_ms());
    let kept = files::aside(&place, now);
    let present =
        Store::open(data_dir).and_then(|present| present.check(data_dir).map(|()| present));
    match present {
        Ok(mut present) => {
            let realm = public_key(realm_key);
            let changes = carry_over::carry_over(&mut copy, present.reader(), realm, now)?;
            finish(&mut copy, now)?;
            let aside = Staged::empty_beside(&place)?;
            aside.fill_from(&present)?;
            aside.seal(realm_key, meta::realm_now(present.reader(), now)?)?;
            aside.name(&kept)?;
            present.replace_by(&copy)?;
            Ok((Some(kept), changes))
        }
        Err(StoreError::Missing(_)) => {
            finish(&mut copy, now)?;
            drop(copy);
            // SQLite must not take the old database's log for that of the new one.
            files::keep_log(&place, &kept)?;
            staged.replace(&place)?;
            Ok((None, Changes::default()))
        }
        Err(
            StoreError::Damaged(_) | StoreError::Incomplete { .. } | StoreError::Altered { .. },
        ) => {
            finish(&mut copy, now)?;
            drop(copy);
            files::keep_damaged(&place, &kept)?;
            staged.replace(&place)?;
            Ok((Some(kept), Changes::default()))
        }
        Err(other) => Err(other.into()),
    }
}

/// Opens the copy of a backup, migrates it, and checks that it is sound and belongs to this realm.
fn open_checked(staged: &Staged, file: &Path, realm: PeerKey) -> Result<Store, BackupError> {
    let unusable =
        |reason: &str| BackupError::Unusable { path: file.to_owned(), reason: reason.to_owned() };
    let checked = Store::open_copy(staged.path()).and_then(|copy| {
        copy.check_copy(staged.path())?;
        let id = meta::text(copy.reader(), meta::REALM_ID)?;
        Ok((copy, id))
    });
    match checked {
        Ok((copy, Some(id))) if id == realm.to_string() => Ok(copy),
        Ok((_copy, Some(_other))) => Err(unusable("it belongs to another realm")),
        Ok((_copy, None)) => Err(unusable("it belongs to no realm")),
        Err(StoreError::Damaged(_) | StoreError::Sql { .. }) => {
            Err(unusable("it is damaged or not a database"))
        }
        Err(StoreError::Incomplete { what, .. }) => {
            Err(unusable(&format!("{what} is missing in it")))
        }
        Err(StoreError::Altered { what, .. }) => {
            Err(unusable(&format!("{what} in it is not as this program makes it")))
        }
        Err(StoreError::Foreign(_)) => Err(unusable("it is a database of another program")),
        Err(StoreError::Newer { .. }) => Err(unusable("a newer release wrote it")),
        Err(other) => Err(other.into()),
    }
}

fn finish(copy: &mut Store, now: u64) -> Result<(), StoreError> {
    copy.write(|tx| {
        // Peers may have a newer policy than the backup: the next start must sign one with a new number.
        policies::outdate(tx)?;
        let now = meta::realm_now(tx, now)?;
        audit::write(tx, Entry::operator("restore", "", ""), now)
    })
}

#[cfg(test)]
mod tests;

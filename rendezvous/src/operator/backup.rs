//! `backup` and `restore`.
//!
//! A backup is one SQLite file with accounts, devices, rules, rooms, sanctions, signed policies and the audit log. It
//! does not contain the keys: anyone with `realm.key` can issue tickets for any account, so the operator copies the
//! keys to a safe place once, by hand, and can keep backups wherever backups usually go. SQLite takes a consistent
//! snapshot even while `serve` writes. The copy gets its name only after it has been checked.
//!
//! A restore sets the present content aside and replaces it with the checked copy in one transaction. It carries over
//! the newest policy that this data folder has signed, so the policy number grows even if the clock was set back, and
//! the next start always signs a new policy. It reports the sanctions of that policy that the backup does not know,
//! because they end with the restore. It also carries over moderations, because they come from the mesh and not from
//! the operator. An overturned moderation stays overturned; otherwise the messages it had removed would disappear
//! again. A confirmed one is open again, because its sanction ends with the restore.

mod files;

use std::path::{Path, PathBuf};

use lanyard_node::keyfile::{self, KeyError};
use lanyard_node::private::PrivateError;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::{Policy, Sanction, SettlementVerdict, SignedPolicy};

use crate::clock;
use crate::folder::{self, AUTHORITY_KEY, REALM_KEY, lock};
use crate::store::audit::{self, Entry};
use crate::store::moderations::ModerationRow;
use crate::store::sanctions::SanctionRow;
use crate::store::{self, Db, Store, StoreError, accounts, meta, moderations, policies, sanctions};
use files::Staged;

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
    /// The realm key is missing.
    #[error(
        "{0} is missing; put the key of the realm there first, or the next start would create another realm"
    )]
    NoKey(PathBuf),
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
            Self::Unusable { .. } => Some("bad-field"),
            Self::NoKey(_) => Some("not-initialised"),
            Self::Io { .. } | Self::Private(_) | Self::Key(_) | Self::Store(_) => None,
        }
    }
}

/// Writes a backup of this moment to a new file that other users cannot read.
///
/// # Errors
/// [`BackupError`]; nothing is left behind.
pub fn backup(store: &mut Store, file: &Path) -> Result<(), BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let staged = Staged::empty_beside(file)?;
    staged.fill_from(store)?;
    let copy = Store::open_copy(staged.path())?;
    copy.check_copy(staged.path())?;
    drop(copy);
    staged.name(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    store.write(|tx| {
        let now = meta::realm_now(tx, clock::unix_ms())?;
        audit::write(tx, Entry::operator("backup", "", &name), now)
    })?;
    Ok(())
}

/// A sanction that all peers know but the backup does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The account's username, if the backup has the account.
    pub username: Option<String>,
    /// The sanction as it stood in the newest policy.
    pub sanction: Sanction,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the former database is kept; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// The sanctions that end with the restore; `None` if there was no policy to compare with.
    pub missing: Option<Vec<Missing>>,
    /// Whether the authority peer got a new key, because its key was missing.
    pub new_authority_key: bool,
}

/// Replaces the present content with that of a backup.
///
/// # Errors
/// [`BackupError`]; the present content stays.
pub fn restore(data_dir: &Path, file: &Path) -> Result<Restored, BackupError> {
    if !file.is_file() {
        return Err(BackupError::NotFound(file.to_owned()));
    }
    let key_file = data_dir.join(REALM_KEY);
    if !key_file.exists() {
        return Err(BackupError::NoKey(key_file));
    }
    folder::prepare(data_dir)?;
    let io = |source| BackupError::Io { path: data_dir.to_owned(), source };
    let Some(_lock) = lock::take(data_dir).map_err(io)? else {
        return Err(BackupError::Serving(data_dir.to_owned()));
    };
    let realm = public_key(&ed25519_dalek::SigningKey::from_bytes(&*keyfile::load(&key_file)?));
    let place = data_dir.join(store::FILE_NAME);
    let staged = Staged::copy_beside(&place, file)?;
    let copy = open_checked(&staged, file, realm)?;
    let (kept, missing) = put_in_place(data_dir, staged, copy, realm)?;
    // No join link contains this key, so a new one only costs each peer one more dial.
    let authority_key = data_dir.join(AUTHORITY_KEY);
    let new_authority_key = !authority_key.exists();
    keyfile::load_or_create(&authority_key)?;
    Ok(Restored { kept, missing, new_authority_key })
}

/// Where the former database is kept, and which sanctions end.
type Replaced = (Option<PathBuf>, Option<Vec<Missing>>);

fn put_in_place(
    data_dir: &Path,
    staged: Staged,
    mut copy: Store,
    realm: PeerKey,
) -> Result<Replaced, BackupError> {
    let (place, now) = (data_dir.join(store::FILE_NAME), clock::unix_ms());
    let kept = files::aside(&place, now);
    let present =
        Store::open(data_dir).and_then(|present| present.check(data_dir).map(|()| present));
    match present {
        Ok(mut present) => {
            let newest = signed_policy(&present, realm)?;
            let missing = carry_over(&mut copy, &present, newest.as_ref(), now)?;
            Staged::empty_beside(&place)
                .and_then(|aside| aside.fill_from(&present).and_then(|()| aside.name(&kept)))?;
            present.replace_by(&copy)?;
            Ok((Some(kept), missing))
        }
        Err(StoreError::Missing(_)) => {
            finish(&mut copy, now)?;
            drop(copy);
            // SQLite must not take the old database's log for that of the new one.
            files::keep_log(&place, &kept)?;
            staged.replace(&place)?;
            Ok((None, None))
        }
        Err(
            StoreError::Damaged(_) | StoreError::Incomplete { .. } | StoreError::Altered { .. },
        ) => {
            finish(&mut copy, now)?;
            drop(copy);
            files::keep_damaged(&place, &kept)?;
            staged.replace(&place)?;
            Ok((Some(kept), None))
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
        Err(StoreError::Foreign(_)) => Err(unusable("it is a database of another program")),
        Err(StoreError::Newer { .. }) => Err(unusable("a newer release wrote it")),
        Err(other) => Err(other.into()),
    }
}

fn signed_policy(store: &Store, realm: PeerKey) -> Result<Option<SignedPolicy>, StoreError> {
    let row = policies::newest(store.reader())?;
    Ok(row.and_then(|row| SignedPolicy::verify(&row.document, &realm).ok()))
}

/// Carries over what a restore must not lose: the newest policy number, the largest signed time, ids already used, and
/// moderations.
fn carry_over(
    copy: &mut Store,
    present: &Store,
    newest: Option<&SignedPolicy>,
    now: u64,
) -> Result<Option<Vec<Missing>>, BackupError> {
    let mark = meta::number(present.reader(), meta::TIME_MARK)?.unwrap_or(0);
    let row = policies::newest(present.reader())?;
    let missing = newest.map(|signed| missing(copy, signed.policy(), now.max(mark))).transpose()?;
    copy.write(|tx| {
        meta::raise_time_mark(tx, mark)?;
        let known = policies::newest(tx)?.map_or(0, |known| known.number);
        if let Some(row) = row.filter(|row| row.number > known) {
            policies::insert(tx, &row)?;
        }
        for moderation in moderations::list(present.reader())? {
            carry_moderation_over(tx, &moderation, now)?;
        }
        let ids = newest.iter().flat_map(|signed| &signed.policy().sanctions);
        let highest = ids.map(|sanction| sanction.id).max().unwrap_or(0);
        sanctions::reserve_ids(tx, highest)
    })?;
    finish(copy, now)?;
    Ok(missing)
}

fn carry_moderation_over(
    tx: Db<'_>,
    moderation: &ModerationRow,
    now: u64,
) -> Result<(), StoreError> {
    if accounts::by_id(tx, moderation.account)?.is_none() {
        return Ok(());
    }
    moderations::insert(tx, moderation, now)?;
    let refused = SettlementVerdict::Refused;
    if moderation.verdict == Some(refused) && moderations::verdict(tx, moderation.id)?.is_none() {
        moderations::settle(tx, moderation.id, refused, now)?;
    }
    Ok(())
}

fn finish(copy: &mut Store, now: u64) -> Result<(), StoreError> {
    copy.write(|tx| {
        // Peers may have a newer policy than the backup: the next start must sign one with a new number.
        policies::outdate(tx)?;
        let now = meta::realm_now(tx, now)?;
        audit::write(tx, Entry::operator("restore", "", ""), now)
    })
}

/// The sanctions of a policy that have not ended and that the copy does not know.
fn missing(copy: &Store, policy: &Policy, now: u64) -> Result<Vec<Missing>, StoreError> {
    let known = sanctions::list(copy.reader())?;
    let is_known = |sanction: &Sanction| {
        known.iter().any(|SanctionRow { sanction: row, .. }| {
            (row.sub, row.kind, row.peer) == (sanction.sub, sanction.kind, sanction.peer)
                && (row.from, row.until) == (sanction.from, sanction.until)
        })
    };
    let ended = |sanction: &&Sanction| sanction.until.is_some_and(|until| until <= now);
    let lost = policy.sanctions.iter().filter(|sanction| !ended(sanction) && !is_known(sanction));
    lost.map(|sanction| {
        let account = accounts::by_id(copy.reader(), sanction.sub)?;
        let username = account.map(|account| account.username);
        Ok(Missing { username, sanction: sanction.clone() })
    })
    .collect()
}

#[cfg(test)]
mod tests;

//! `backup` and `restore`.
//!
//! A backup is one SQLite file: accounts, devices, rules, rooms, sanctions, signed policies, the audit log. The keys
//! are not in it: whoever has `realm.key` can make tickets for anybody, so it is copied once, by hand, to a safe
//! place, and a backup can lie where backups lie. It is made by SQLite itself of one moment, also while `serve`
//! writes, checked, and only then given its name.
//!
//! A restore puts the checked content in the place of the present one in one transaction; the present one is kept
//! aside first. The newest policy that this data directory has signed goes over into the restored database, so the
//! number grows even with a clock that was set back, and a new policy is signed at the next start in any case.
//! The sanctions of that policy which the backup does not know are named: they end with the restore.
//! Moderations of moderators go over as well: they are facts of the mesh and no rows of the operator's. One that was
//! refused stays refused, or what it had condemned would be gone again; one that was ratified is open again, because
//! its sanction ends with the restore.

mod files;

use std::path::{Path, PathBuf};

use lanyard_node::keyfile::{self, KeyError};
use lanyard_node::private::PrivateError;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::{Policy, Sanction, SanctionKind, SettlementVerdict, SignedPolicy};
use rusqlite::Connection;

use crate::acts::entry;
use crate::folder::{self, AUTHORITY_KEY, REALM_KEY};
use crate::store::moderations::ModerationRow;
use crate::store::{
    self, Store, StoreError, accounts, audit, meta, moderations, policies, sanctions,
};
use crate::{clock, serve};
use files::Staged;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has this name already.
    #[error("{} is there already; a backup overwrites nothing", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No such file.
    #[error("there is no file {}", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// `serve` runs.
    #[error("the login node is running on {}; stop it first", path.display())]
    Serving {
        /// The data directory.
        path: PathBuf,
    },
    /// The file is no backup that can be used here.
    #[error("{} cannot be restored: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The realm's key is not here.
    #[error("{} is missing; put the key of the realm there before restoring, or the next start would make another realm", path.display())]
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The data directory is open to others, and not ours to close.
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
    /// The stable code, if this is a refusal and not a fault.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => Some("exists"),
            Self::NotFound { .. } => Some("not-found"),
            Self::Serving { .. } => Some("serving"),
            Self::Unusable { .. } => Some("bad-field"),
            Self::NoKey { .. } => Some("not-initialised"),
            Self::Io { .. } | Self::Private(_) | Self::Key(_) | Self::Store(_) => None,
        }
    }
}

/// Writes a backup of this moment to a new file that nobody else can read.
///
/// # Errors
/// [`BackupError::Exists`]; nothing is left behind then.
pub fn backup(store: &mut Store, file: &Path) -> Result<(), BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: file.to_owned() });
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
        audit::write(tx, entry("backup", "", &name), now)
    })?;
    Ok(())
}

/// A sanction that everybody knows and the backup does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The account's name, if the backup has the account.
    pub username: Option<String>,
    /// As it stood in the newest policy.
    pub sanction: Sanction,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the former database is; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// Sanctions that end with the restore; `None` if no newer policy was here to compare with.
    pub missing: Option<Vec<Missing>>,
    /// Whether the authority peer got a new key, because there was none.
    pub new_authority_key: bool,
}

/// Puts the content of a backup in the place of the present one.
///
/// # Errors
/// [`BackupError`]; the present content stays.
pub fn restore(data_dir: &Path, file: &Path) -> Result<Restored, BackupError> {
    if !file.is_file() {
        return Err(BackupError::NotFound { path: file.to_owned() });
    }
    let key_file = data_dir.join(REALM_KEY);
    if !key_file.exists() {
        return Err(BackupError::NoKey { path: key_file });
    }
    folder::prepare(data_dir)?;
    let io = |source| BackupError::Io { path: data_dir.to_owned(), source };
    let Some(_lock) = serve::lock(data_dir).map_err(io)? else {
        return Err(BackupError::Serving { path: data_dir.to_owned() });
    };
    let realm = public_key(&ed25519_dalek::SigningKey::from_bytes(&*keyfile::load(&key_file)?));
    let place = data_dir.join(store::FILE_NAME);
    let staged = Staged::copy_beside(&place, file)?;
    let copy = open_checked(&staged, file, realm)?;
    let (kept, missing) = put_in_place(data_dir, staged, copy, realm)?;
    // Nothing that people hold names it: a new one costs them one more dial.
    let member_key = data_dir.join(AUTHORITY_KEY);
    let new_authority_key = !member_key.exists();
    keyfile::load_or_create(&member_key)?;
    Ok(Restored { kept, missing, new_authority_key })
}

/// What a restore has kept and what it has lost.
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
        Err(StoreError::Missing { .. }) => {
            finish(&mut copy, now)?;
            drop(copy);
            // The log of a database that is gone must not be taken for one of this.
            files::keep_log(&place, &kept)?;
            staged.replace(&place)?;
            Ok((None, None))
        }
        Err(StoreError::Damaged { .. } | StoreError::Incomplete { .. }) => {
            finish(&mut copy, now)?;
            drop(copy);
            files::keep_damaged(&place, &kept)?;
            staged.replace(&place)?;
            Ok((Some(kept), None))
        }
        Err(other) => Err(other.into()),
    }
}

/// Opens the copy of a backup, brings it up to date and sees that it is whole and of this realm.
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
        Ok((_copy, Some(_other))) => Err(unusable("it is of another realm")),
        Ok((_copy, None)) => Err(unusable("it is of no realm")),
        Err(StoreError::Damaged { .. } | StoreError::Sql { .. }) => {
            Err(unusable("it is damaged or not a database"))
        }
        Err(StoreError::Foreign { .. }) => Err(unusable("it is a database of another program")),
        Err(StoreError::Newer { .. }) => Err(unusable("a newer release wrote it")),
        Err(other) => Err(other.into()),
    }
}

fn signed_policy(store: &Store, realm: PeerKey) -> Result<Option<SignedPolicy>, StoreError> {
    let row = policies::newest(store.reader())?;
    Ok(row.and_then(|row| SignedPolicy::verify(&row.document, &realm).ok()))
}

/// Takes over what must not be forgotten: the newest number, the time that was signed, the ids that were given.
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
    tx: &Connection,
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
        // Whatever peers hold may be newer than the backup: the next start signs a new number.
        policies::outdate(tx)?;
        let now = meta::realm_now(tx, now)?;
        audit::write(tx, entry("restore", "", ""), now)
    })
}

/// The sanctions of a policy, in force now, that a database does not know.
fn missing(copy: &Store, policy: &Policy, now: u64) -> Result<Vec<Missing>, StoreError> {
    let known = sanctions::list(copy.reader())?;
    let is_known = |sanction: &Sanction| {
        known.iter().any(|row| {
            row.account == sanction.sub
                && row.kind.as_str() == kind(sanction.kind)
                && row.peer == sanction.peer
                && row.from == sanction.from
                && row.until == sanction.until
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

/// The word of a kind of sanction.
#[must_use]
pub fn kind(kind: SanctionKind) -> &'static str {
    match kind {
        SanctionKind::Ban => "ban",
        SanctionKind::Mute => "mute",
        SanctionKind::Revocation => "cut",
    }
}

#[cfg(test)]
mod tests;

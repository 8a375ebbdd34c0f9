//! The seal at the end of a backup, by which a restore knows that nobody has changed it.
//!
//! Whoever can write where backups are kept could otherwise replace a password in one and wait for its restore. The
//! realm key signs the date and the exact bytes:
//!
//! ```text
//!  the database, as SQLite writes it                     length bytes
//!  a COSE_Sign1 over {realm, made_at, length, sha256}    n bytes
//!  n                                                     4 bytes, the most significant first
//!  "Lanyard backup 1"                                    16 bytes
//! ```
//!
//! SQLite ignores what follows its last page, so every tool for its files can open a backup.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use ed25519_dalek::SigningKey;
use lanyard_protocol::cose::{self, Envelope, Kind, public_key};
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::wire;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const MARK: &[u8; 16] = b"Lanyard backup 1";
/// The length of the number and the mark at the end, in bytes.
const END_BYTES: u64 = 20;
/// Where SQLite stores `user_version`, the version of the schema.
const VERSION_AT: u64 = 60;
/// The version of the last release that did not sign its backups.
const UNSIGNED_VERSION_MAX: u32 = 5;
/// Longer than any signed part, in bytes.
const SIGNED_BYTES_MAX: u32 = 1_024;

/// What the realm key signs about a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    /// The realm that made it.
    realm: PeerKey,
    /// When it was made, realm time in milliseconds.
    pub(super) made_at: u64,
    /// The length of the database, in bytes.
    length: u64,
    /// SHA-256 of the database.
    #[serde(with = "serde_bytes")]
    sha256: [u8; 32],
}

/// Why a seal is not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// The key of another realm has signed it.
    #[error("it belongs to another realm")]
    OtherRealm,
    /// The signature does not fit the bytes, or is missing.
    #[error("it was changed after it was made, or is incomplete; restore another backup")]
    Broken,
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Signs a database that nobody writes to any more, and appends the seal.
pub(super) fn append(path: &Path, realm_key: &SigningKey, made_at: u64) -> io::Result<()> {
    let mut file = File::options().read(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    let seal = Seal { realm: public_key(realm_key), made_at, length, sha256: hash(&mut file)? };
    let mut end = cose::sign(Kind::Backup, realm_key, &wire::encode(&seal));
    let signed = u32::try_from(end.len()).map_err(io::Error::other)?;
    end.extend_from_slice(&signed.to_be_bytes());
    end.extend_from_slice(MARK);
    file.write_all(&end)
}

/// Copies the database in a backup into an empty file and checks it; returns the seal, if the backup has one.
pub(super) fn unseal(
    backup: &Path,
    into: &Path,
    realm: &PeerKey,
) -> Result<Option<Seal>, SealError> {
    let mut file = File::open(backup)?;
    let signed = signed_part(&mut file)?;
    let seal = signed.map(|signed| verify(&signed, realm)).transpose()?;
    file.rewind()?;
    let length = seal.as_ref().map_or(u64::MAX, |seal| seal.length);
    let mut copy = File::options().read(true).write(true).open(into)?;
    io::copy(&mut file.take(length), &mut copy)?;
    // What is checked is the copy: nobody else can write to it.
    copy.rewind()?;
    let is_whole = |seal: &Seal| Ok::<_, io::Error>(hash(&mut copy)? == seal.sha256);
    match seal.as_ref().map(is_whole).transpose()? {
        Some(false) => Err(SealError::Broken),
        Some(true) | None => Ok(seal),
    }
}

/// The signed part of the seal, if the file ends with one.
fn signed_part(file: &mut File) -> Result<Option<Vec<u8>>, SealError> {
    let length = file.metadata()?.len();
    let Some(end) = length.checked_sub(END_BYTES) else { return Ok(None) };
    let (mut number, mut mark) = ([0; 4], [0; 16]);
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut number)?;
    file.read_exact(&mut mark)?;
    if &mark != MARK {
        return Ok(None);
    }
    let number = u32::from_be_bytes(number);
    let start = end.checked_sub(u64::from(number)).filter(|_start| number <= SIGNED_BYTES_MAX);
    file.seek(SeekFrom::Start(start.ok_or(SealError::Broken)?))?;
    let mut signed = Vec::new();
    file.take(u64::from(number)).read_to_end(&mut signed)?;
    Ok(Some(signed))
}

fn verify(signed: &[u8], realm: &PeerKey) -> Result<Seal, SealError> {
    let envelope = Envelope::parse(signed, signed.len()).map_err(|_any| SealError::Broken)?;
    if envelope.kind != Some(Kind::Backup) {
        return Err(SealError::Broken);
    }
    let seal: Seal =
        wire::decode(envelope.payload, signed.len()).map_err(|_any| SealError::Broken)?;
    if seal.realm != *realm {
        return Err(SealError::OtherRealm);
    }
    envelope.verify(realm).map_err(|_bad| SealError::Broken)?;
    Ok(seal)
}

/// Whether a release that signs its backups has written to this database. SQLite cuts a seal off when it writes.
pub(super) fn has_lost_seal(database: &Path) -> io::Result<bool> {
    let mut version = [0; 4];
    let mut file = File::open(database)?;
    file.seek(SeekFrom::Start(VERSION_AT))?;
    file.read_exact(&mut version)?;
    Ok(u32::from_be_bytes(version) > UNSIGNED_VERSION_MAX)
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let (mut hasher, mut reader) = (Sha256::new(), BufReader::with_capacity(65_536, file));
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hasher.finalize().into());
        }
        hasher.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

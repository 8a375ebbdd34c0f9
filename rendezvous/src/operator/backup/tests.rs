//! Backups of real stores, and what a restore carries over.

use std::os::unix::fs::PermissionsExt as _;

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::Role;
use lanyard_protocol::policy::{SanctionKind, SettlementVerdict};

use super::*;
use crate::acts::perform;
use crate::names::Username;
use crate::policy::{self, sanctions as acts};
use crate::store::moderations::{self, ModerationRow};
use crate::store::sanctions;

mod carried;

struct Realm {
    dir: tempfile::TempDir,
    key: SigningKey,
}

impl Realm {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seed = keyfile::load_or_create(&dir.path().join(REALM_KEY)).unwrap();
        let realm = Self { key: SigningKey::from_bytes(&seed), dir };
        let mut store = Store::open_or_create(realm.dir.path()).unwrap();
        let id = public_key(&realm.key).to_string();
        store.write(|tx| meta::set(tx, meta::REALM_ID, &id)).unwrap();
        for name in ["alice", "bob"] {
            let name = Username::parse(name).unwrap();
            perform(&mut store, clock::unix_ms(), |tx, now| {
                crate::accounts::create(tx, &name, None, Role::Member, "phc", now).map(|_id| ())
            })
            .unwrap();
        }
        realm
    }

    fn store(&self) -> Store {
        Store::open(self.dir.path()).unwrap()
    }

    fn ban(&self, name: &str) {
        perform(&mut self.store(), clock::unix_ms(), |tx, now| acts::ban(tx, name, 0, "", now))
            .unwrap();
    }

    fn sign(&self, clock_ms: u64) -> u64 {
        let (signed, _) =
            self.store().write(|tx| policy::publish(tx, &self.key, clock_ms)).unwrap();
        signed.policy().number
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn restore(&self, file: &Path) -> Result<Restored, BackupError> {
        restore(self.dir.path(), file, Unsigned::Refuse)
    }

    fn backup(&self) -> PathBuf {
        let file = self.file("copy.db");
        backup(&mut self.store(), self.dir.path(), &file).unwrap();
        file
    }
}

#[test]
fn a_backup_is_whole_private_and_overwrites_nothing() {
    let realm = Realm::new();
    let file = realm.backup();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    let error = backup(&mut realm.store(), realm.dir.path(), &file).unwrap_err();
    assert_eq!(error.code(), Some("exists"));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let nowhere = realm.file("no/such/folder/copy.db");
    assert!(matches!(
        backup(&mut realm.store(), realm.dir.path(), &nowhere),
        Err(BackupError::Io { .. })
    ));
    let left = std::fs::read_dir(realm.dir.path()).unwrap();
    let parts = left
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".part"));
    assert_eq!(parts.count(), 0);
}

#[test]
fn a_restore_reports_the_sanctions_that_the_backup_lacks() {
    let realm = Realm::new();
    realm.ban("alice");
    realm.sign(clock::unix_ms());
    let file = realm.backup();
    realm.ban("bob");
    // The number is ahead of the clock, as it is after the clock was set back a little.
    let ahead = realm.sign(clock::unix_ms() + 100_000);
    let restored = realm.restore(&file).unwrap();
    let missing = restored.changes.missing.unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].username.as_deref(), Some("bob"));
    assert_eq!(missing[0].sanction.kind, SanctionKind::Ban);
    let banned = |name: &str| {
        let store = realm.store();
        let id = crate::accounts::find(store.reader(), name).unwrap().id;
        sanctions::is_banned(store.reader(), id, ahead).unwrap()
    };
    assert!(banned("alice") && !banned("bob"));
    assert!(realm.sign(clock::unix_ms()) > ahead, "a number never goes back");
    let kept = Store::open_copy(&restored.kept.unwrap()).unwrap();
    assert_eq!(sanctions::list(kept.reader()).unwrap().len(), 2);
    realm.ban("bob");
    let ids: Vec<u64> = sanctions::list(realm.store().reader())
        .unwrap()
        .iter()
        .map(|row| row.sanction.id)
        .collect();
    assert_eq!(ids, [1, 3], "an id is never given twice");
}

#[test]
fn moderations_survive_and_overturned_ones_stay_so() {
    use crate::policy::moderations::ReceivedModeration;
    use lanyard_protocol::moderation::ModerationKind;

    let realm = Realm::new();
    let now = clock::unix_ms();
    let bob = crate::accounts::find(realm.store().reader(), "bob").unwrap().id;
    let receive = |byte: u8| {
        let row = ModerationRow {
            id: [byte; 16],
            kind: ModerationKind::Ban,
            account: bob,
            from: now - u64::from(byte),
            until: now + 3_600_000,
            reason: String::new(),
            by: "mona".to_owned(),
            verdict: None,
        };
        let received = ReceivedModeration { row, role: Role::Moderator };
        realm.store().write(|tx| policy::moderations::receive(tx, received, now)).unwrap();
    };
    let settle = |byte: u8, verdict| {
        let id = hex::encode([byte; 16]);
        perform(&mut realm.store(), now, |tx, now| {
            policy::moderations::settle(tx, &id, verdict, now)
        })
        .unwrap();
    };
    receive(1);
    receive(2);
    settle(2, SettlementVerdict::Ratified);
    realm.sign(now);
    let file = realm.backup();
    settle(1, SettlementVerdict::Refused);
    receive(3);
    settle(3, SettlementVerdict::Ratified);
    receive(4);
    settle(4, SettlementVerdict::Refused);
    realm.sign(now);
    let restored = realm.restore(&file).unwrap();
    assert_eq!(restored.changes.missing.unwrap().len(), 1, "the sanction of moderation 3");
    let verdicts: Vec<_> = moderations::list(realm.store().reader())
        .unwrap()
        .iter()
        .map(|moderation| (moderation.id[0], moderation.verdict))
        .collect();
    let (ratified, refused) = (Some(SettlementVerdict::Ratified), Some(SettlementVerdict::Refused));
    assert_eq!(verdicts, [(4, refused), (3, None), (2, ratified), (1, refused)]);
}

#[test]
fn a_restore_over_nothing_or_damage_signs_a_new_number() {
    let realm = Realm::new();
    let number = realm.sign(clock::unix_ms());
    let file = realm.backup();
    let place = realm.file(store::FILE_NAME);
    let letter = b"not a database at all ".repeat(500);
    let mut torn = std::fs::read(&file).unwrap();
    torn[4_096..].iter_mut().for_each(|byte| *byte = 0x5a);
    for content in [None, Some(letter), Some(torn)] {
        std::fs::remove_file(&place).unwrap();
        let broken = content.is_some();
        if let Some(content) = content {
            std::fs::write(&place, content).unwrap();
        }
        let restored = realm.restore(&file).unwrap();
        assert_eq!((restored.changes.missing, restored.kept.is_some()), (None, broken));
        assert!(crate::accounts::find(realm.store().reader(), "bob").is_ok());
        assert!(realm.sign(clock::unix_ms()) > number);
    }
}

#[test]
fn what_cannot_be_restored_changes_nothing() {
    let realm = Realm::new();
    let before = policy::fingerprint(realm.store().reader()).unwrap();
    let other = Realm::new().backup_bytes();
    let whole = realm.backup_bytes();
    let length = whole.len();
    let (mut torn, cut) = (whole.clone(), whole[..length - 1].to_vec());
    torn[4_096..length - 1_000].iter_mut().for_each(|byte| *byte = 0x5a);
    let letter = b"a letter to my aunt ".repeat(500);
    for (bytes, code, part) in [
        (&other, "bad-field", "another realm"),
        (&torn, "bad-field", "changed"),
        (&letter, "bad-field", "not a database"),
        (&cut, "bad-field", "incomplete"),
        (&vec![], "unsigned", "before backups were signed"),
    ] {
        let file = realm.file("bad.db");
        std::fs::write(&file, bytes).unwrap();
        let error = realm.restore(&file).unwrap_err();
        assert_eq!(error.code(), Some(code), "{part}: {error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(&std::fs::read(&file).unwrap(), bytes, "the file is only read");
    }
    let missing = realm.restore(&realm.file("nothing.db")).unwrap_err();
    assert_eq!(missing.code(), Some("not-found"));
    let lock = lock::take(realm.dir.path()).unwrap();
    let error = realm.restore(&realm.file("copy.db")).unwrap_err();
    assert_eq!(error.code(), Some("serving"));
    drop(lock);
    std::fs::remove_file(realm.file(REALM_KEY)).unwrap();
    let error = realm.restore(&realm.file("copy.db")).unwrap_err();
    assert_eq!(error.code(), Some("not-initialised"));
    assert!(!realm.file(REALM_KEY).exists(), "no new key is created");
    assert_eq!(policy::fingerprint(realm.store().reader()).unwrap(), before);
}

impl Realm {
    fn backup_bytes(&self) -> Vec<u8> {
        std::fs::read(self.backup()).unwrap()
    }

    /// A backup as earlier releases made it, with something done to it.
    fn unsigned_backup(&self, sql: &str) -> PathBuf {
        let file = self.file("unsigned.db");
        std::fs::remove_file(&file).ok();
        self.store().copy_into(&file).unwrap();
        rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        file
    }
}

#[test]
fn a_backup_in_which_any_byte_was_changed_is_refused() {
    let realm = Realm::new();
    let bytes = realm.backup_bytes();
    let file = realm.file("edited.db");
    let end = bytes.len();
    // One place in a page, and every byte of the seal.
    for place in std::iter::once(5_000).chain(end - 300..end) {
        let mut edited = bytes.clone();
        edited[place] ^= 1;
        std::fs::write(&file, &edited).unwrap();
        let error = realm.restore(&file).unwrap_err();
        assert!(matches!(error.code(), Some("bad-field" | "unsigned")), "{place}: {error}");
    }
    std::fs::write(&file, &bytes).unwrap();
    realm.restore(&file).unwrap();
}

#[test]
fn a_seal_by_another_key_is_refused() {
    let realm = Realm::new();
    let file = realm.unsigned_backup("");
    seal::append(&file, &SigningKey::from_bytes(&[9; 32]), 5).unwrap();
    let error = realm.restore(&file).unwrap_err().to_string();
    assert!(error.contains("another realm"), "{error}");
    let accepted = restore(realm.dir.path(), &file, Unsigned::Accept);
    assert_eq!(accepted.unwrap_err().code(), Some("bad-field"));
}

#[test]
fn an_unsigned_backup_needs_the_operators_word() {
    let realm = Realm::new();
    let old = realm.unsigned_backup("PRAGMA user_version = 5");
    let error = realm.restore(&old).unwrap_err();
    assert_eq!(error.code(), Some("unsigned"));
    assert!(error.to_string().contains("--unsigned"), "{error}");
    // One of this release has lost its seal, and the message recommends nothing like that.
    let file = realm.unsigned_backup("");
    let error = realm.restore(&file).unwrap_err();
    assert_eq!(error.code(), Some("bad-field"));
    assert!(!error.to_string().contains("--unsigned"), "{error}");
    let restored = restore(realm.dir.path(), &file, Unsigned::Accept).unwrap();
    assert_eq!((restored.content.made_at, restored.content.accounts), (None, 2));
}

#[test]
fn a_hidden_trigger_is_refused_in_any_backup() {
    let realm = Realm::new();
    let file = realm.unsigned_backup(
        "CREATE TRIGGER promote AFTER UPDATE ON accounts
         BEGIN UPDATE accounts SET role = 'admin' WHERE username = 'bob'; END",
    );
    let error = restore(realm.dir.path(), &file, Unsigned::Accept).unwrap_err();
    assert_eq!(error.code(), Some("bad-field"));
    assert!(error.to_string().contains("trigger promote"), "{error}");
}

#[test]
fn a_restore_says_what_it_restores_and_can_be_undone() {
    let realm = Realm::new();
    let number = realm.sign(clock::unix_ms());
    realm.ban("alice");
    let before = clock::unix_ms();
    let file = realm.backup();
    realm.ban("bob");
    let restored = realm.restore(&file).unwrap();
    let content = restored.content;
    assert!(content.made_at.is_some_and(|at| (before..=clock::unix_ms()).contains(&at)));
    assert_eq!((content.realm, content.name.as_str()), (public_key(&realm.key), "Lanyard"));
    assert_eq!((content.accounts, content.devices, content.sanctions), (2, 0, 1));
    assert_eq!(content.policy, Some(number));
    // The former database is sealed like a backup.
    let undone = realm.restore(&restored.kept.unwrap()).unwrap();
    assert_eq!(undone.content.sanctions, 2);
}

#[test]
fn a_backup_needs_the_key_of_its_realm() {
    let realm = Realm::new();
    let file = realm.file("copy.db");
    let key = realm.file(REALM_KEY);
    let own = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = backup(&mut realm.store(), realm.dir.path(), &file).unwrap_err();
    assert_eq!(error.code(), Some("not-initialised"));
    assert!(!key.exists(), "no new key is created");
    keyfile::load_or_create(&key).unwrap();
    let error = backup(&mut realm.store(), realm.dir.path(), &file).unwrap_err();
    assert!(matches!(error, BackupError::WrongKey(_)), "{error}");
    assert!(!file.exists());
    std::fs::write(&key, own).unwrap();
    backup(&mut realm.store(), realm.dir.path(), &file).unwrap();
}

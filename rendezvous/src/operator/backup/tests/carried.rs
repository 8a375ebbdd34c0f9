//! Tickets that were issued since the backup.

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::time::DAY_MS;

use super::*;
use crate::accounts as people;
use crate::names::Nickname;
use crate::store::accounts::{self, State};
use crate::store::devices;

const LAPTOP: PeerKey = PeerKey([7; 32]);

impl Realm {
    fn id(&self, name: &str) -> AccountId {
        people::find(self.store().reader(), name).unwrap().id
    }

    /// Gives somebody a ticket for a week under this nickname; returns the date of the ticket.
    fn sign_in(&self, name: &str, nickname: &str) -> u64 {
        let now = clock::unix_ms();
        self.store()
            .write(|tx| {
                let account = people::find(tx, name)?;
                let nickname = Nickname::parse(nickname).unwrap();
                if nickname.as_str() != account.nickname {
                    people::nicknames::change(tx, &account, &nickname, now)?;
                }
                devices::sign_in(tx, account.id, LAPTOP, "", now, now + 7 * DAY_MS)?;
                let issued_at = now / 1_000 * 1_000;
                accounts::record_ticket(tx, account.id, issued_at, now + 7 * DAY_MS)?;
                Ok::<_, ActError>(issued_at)
            })
            .unwrap()
    }

    fn policy(&self) -> SignedPolicy {
        let now = clock::unix_ms();
        self.store().write(|tx| policy::publish(tx, &self.key, now)).unwrap().0
    }

    fn add(&self, name: &str) {
        let name = Username::parse(name).unwrap();
        perform(&mut self.store(), clock::unix_ms(), |tx, now| {
            people::create(tx, &name, None, Role::Member, "phc", now).map(|_id| ())
        })
        .unwrap();
    }
}

#[test]
fn a_nickname_that_a_restore_takes_back_is_not_used() {
    let realm = Realm::new();
    realm.sign_in("bob", "bob");
    let file = realm.backup();
    // Bob is "Scope" now, and alice was "Octavia" for a while.
    let bob = realm.sign_in("bob", "Scope");
    let alice = realm.sign_in("alice", "Octavia");
    realm.sign_in("alice", "alice");
    realm.restore(&file).unwrap();
    let signed = realm.policy();
    for (name, issued_at) in [("bob", bob), ("alice", alice)] {
        let revocation = signed.policy().revocation_of(realm.id(name), LAPTOP, issued_at);
        assert!(revocation.is_some(), "{name}");
    }
}

#[test]
fn a_restore_keeps_the_tickets_of_those_who_changed_nothing() {
    let realm = Realm::new();
    let file = realm.backup();
    let bob = realm.sign_in("bob", "bob");
    realm.restore(&file).unwrap();
    let signed = realm.policy();
    assert!(signed.policy().revocation_of(realm.id("bob"), LAPTOP, bob).is_none());
    assert!(people::find(realm.store().reader(), "bob").unwrap().newest_issue >= bob);
}

#[test]
fn a_restore_brings_no_revoked_ticket_back() {
    let realm = Realm::new();
    let (bob, alice) = (realm.sign_in("bob", "bob"), realm.sign_in("alice", "alice"));
    let file = realm.backup();
    perform(&mut realm.store(), clock::unix_ms(), |tx, now| {
        people::devices::log_out(tx, "bob", 1, now)?;
        people::set_role(tx, "alice", Role::Moderator, now)
    })
    .unwrap();
    let before = realm.policy();
    let restored = realm.restore(&file).unwrap();
    assert_eq!(restored.changes.missing, Some(Vec::new()), "revocations do not end");
    let after = realm.policy();
    for (name, issued_at) in [("bob", bob), ("alice", alice)] {
        let of = |signed: &SignedPolicy| {
            signed.policy().revocation_of(realm.id(name), LAPTOP, issued_at).map(|row| row.from)
        };
        assert!(of(&before).is_some());
        assert_eq!(of(&after), of(&before), "{name}: as before, to the millisecond");
    }
    assert!(devices::list(realm.store().reader(), realm.id("bob")).unwrap()[0].logged_out);
}

#[test]
fn an_account_that_the_backup_lacks_is_disabled() {
    let realm = Realm::new();
    let file = realm.backup();
    realm.add("carol");
    realm.add("dora");
    let (carol, issued_at) = (realm.id("carol"), realm.sign_in("carol", "carol"));
    let restored = realm.restore(&file).unwrap();
    // Dora has never signed in, so nothing of her is left.
    assert_eq!(restored.changes.disabled, ["carol"]);
    let store = realm.store();
    let found = people::find(store.reader(), "carol").unwrap();
    assert_eq!((found.id, found.state), (carol, State::Disabled));
    assert!(people::find(store.reader(), "dora").is_err());
    assert!(realm.policy().policy().revocation_of(carol, LAPTOP, issued_at).is_some());
    // Another restore does not forget her while there are tickets.
    assert_eq!(realm.restore(&file).unwrap().changes.disabled, ["carol"]);
}

#[test]
fn a_lost_account_leaves_its_name_to_that_of_the_backup() {
    let realm = Realm::new();
    let bare = realm.unsigned_backup("DELETE FROM accounts WHERE username = 'bob'");
    let with_bob = realm.backup();
    restore(realm.dir.path(), &bare, Unsigned::Accept).unwrap();
    realm.add("bob");
    let second = realm.id("bob");
    realm.sign_in("bob", "bob");
    let disabled = realm.restore(&with_bob).unwrap().changes.disabled;
    assert!(disabled.len() == 1 && disabled[0].starts_with("lost-"), "{disabled:?}");
    assert_eq!(realm.id(&disabled[0]), second);
    assert_ne!(realm.id("bob"), second);
}

#[test]
fn a_restore_names_what_is_as_it_was() {
    let realm = Realm::new();
    realm.ban("bob");
    realm.add("carol");
    let file = realm.backup();
    perform(&mut realm.store(), clock::unix_ms(), |tx, now| {
        acts::lift(tx, "bob", acts::Lifting::Ban, now)?;
        people::set_password(tx, "alice", "new", people::Tickets::Keep, now)?;
        people::set_state(tx, "alice", State::Disabled, now)
    })
    .unwrap();
    let reverted = realm.restore(&file).unwrap().changes.reverted;
    let reverted: Vec<_> =
        reverted.iter().map(|row| (row.username.as_str(), row.what.join(" "))).collect();
    let expected = [("alice", "password state".to_owned()), ("bob", "ban".to_owned())];
    assert_eq!(reverted, expected);
}

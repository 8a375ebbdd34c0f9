//! Who may have which nickname.
//!
//! A ticket carries the nickname of its account until it ends. If somebody else could take a nickname as soon as its
//! owner has another, two people would speak under one name. A former nickname therefore stays reserved for its owner,
//! who may take it back at any time, until the last ticket that may carry it has ended. For the same reason an owner
//! can change it only a few times in that time: nobody may reserve every name.
//!
//! The names that the operator gives take precedence over nicknames. Whoever has, or had, one like a new username loses
//! it together with the tickets that carry it; their devices get new ones by themselves.

use lanyard_protocol::ids::AccountId;
use lanyard_protocol::limits::LINK_GRACE_MS;

use super::{Revocation, revoke_tickets};
use crate::acts::ActError;
use crate::names::{Nickname, Username};
use crate::store::accounts::{self, Account};
use crate::store::audit::{self, Entry, OPERATOR};
use crate::store::{Db, StoreError, former_nicknames as former};

/// How many former nicknames of one account are reserved at a time.
pub const FORMER_MAX: usize = 8;

/// Refuses a nickname that looks like a name of another account, or like one that its tickets may still carry.
///
/// # Errors
/// [`ActError::NicknameTaken`], [`ActError::NicknameReserved`].
pub fn check_free(
    db: Db<'_>,
    nickname: &Nickname,
    account: AccountId,
    now: u64,
) -> Result<(), ActError> {
    if accounts::nickname_is_taken(db, nickname, account)? {
        return Err(ActError::NicknameTaken);
    }
    let mut reserved = former::like(db, nickname.folded(), nickname.shape(), now)?;
    reserved.retain(|row| row.account != account);
    match reserved.iter().map(|row| row.ends_at).max() {
        Some(ends_at) => Err(ActError::NicknameReserved { wait_ms: ends_at.saturating_sub(now) }),
        None => Ok(()),
    }
}

/// Gives an account another nickname, and reserves the former one for as long as tickets may carry it.
///
/// # Errors
/// Those of [`check_free`], and [`ActError::NicknameChanges`].
pub fn change(
    db: Db<'_>,
    account: &Account,
    nickname: &Nickname,
    now: u64,
) -> Result<(), ActError> {
    check_free(db, nickname, account.id, now)?;
    let present = last_use(account, now);
    let mut reserved = former::of(db, account.id, now)?;
    reserved.retain(|row| !row.is(nickname));
    // Nothing may be written before this: a sign-in goes on without the nickname.
    if present.is_some() && reserved.len() >= FORMER_MAX {
        let first = reserved.iter().map(|row| row.ends_at).min().unwrap_or(now);
        return Err(ActError::NicknameChanges { wait_ms: first.saturating_sub(now) });
    }
    former::forget_ended(db, now)?;
    former::forget(db, account.id, nickname)?;
    if let Some(ends_at) = present {
        former::add_present(db, account.id, ends_at)?;
    }
    Ok(accounts::set_nickname(db, account.id, nickname)?)
}

/// When the last ticket of an account ends, with the time for which links outlast it; `None` if that is over.
pub(crate) fn last_use(account: &Account, now: u64) -> Option<u64> {
    let ends_at = account.newest_expiry.saturating_add(LINK_GRACE_MS);
    (account.newest_expiry > 0 && ends_at > now).then_some(ends_at)
}

/// Takes names like a new username away from all accounts that have or had them as a nickname.
pub(crate) fn make_way(db: Db<'_>, username: &Username, now: u64) -> Result<(), ActError> {
    let skeleton = username.skeleton();
    for other in accounts::with_nickname_like(db, username)? {
        // The username was valid when the account was created.
        let own =
            Username::parse(&other.username).map_err(|_damaged| StoreError::Row("username"))?;
        accounts::set_nickname(db, other.id, &Nickname::of(&own))?;
        let entry =
            Entry::operator("nickname-reset", &other.username, "it looks like a new username");
        audit::write(db, entry, now)?;
        end_tickets(db, &other, now)?;
    }
    for row in former::like(db, skeleton, skeleton, now)? {
        if let Some(other) = accounts::by_id(db, row.account)? {
            end_tickets(db, &other, now)?;
        }
    }
    Ok(())
}

/// Revokes the tickets of an account under which it may still speak, so that no former nickname is in use any more.
pub(crate) fn end_tickets(db: Db<'_>, account: &Account, now: u64) -> Result<(), ActError> {
    if last_use(account, now).is_some() {
        let revocation =
            Revocation { peer: None, reason: "the nickname was taken back", by: OPERATOR };
        revoke_tickets(db, account.id, &revocation, now)?;
    }
    Ok(former::forget_all(db, account.id)?)
}

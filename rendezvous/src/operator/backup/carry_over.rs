//! What a restore must not lose.
//!
//! The policy number and the time must not go back for anybody. Tickets that were issued since the backup are still
//! valid, so what ends them is carried over:
//!
//! ```text
//!  revocations and logged-out devices     stay
//!  an account with another nickname       its tickets end, so that nobody else can speak under that name
//!  an account that the backup lacks       is disabled, if it has tickets: otherwise nobody could ban it
//! ```

use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::policy::{Policy, Sanction, SanctionKind, SettlementVerdict, SignedPolicy};

use super::{Changes, Missing, Reverted};
use crate::accounts::nicknames;
use crate::acts::ActError;
use crate::names::{Nickname, Username};
use crate::store::accounts::{Account, NewAccount, State};
use crate::store::audit::{self, Entry};
use crate::store::moderations::ModerationRow;
use crate::store::sanctions::SanctionRow;
use crate::store::{
    Db, Store, StoreError, accounts, devices, former_nicknames, meta, moderations, policies,
    sanctions,
};

fn signed_policy(db: Db<'_>, realm: PeerKey) -> Result<Option<SignedPolicy>, StoreError> {
    let row = policies::newest(db)?;
    Ok(row.and_then(|row| SignedPolicy::verify(&row.document, &realm).ok()))
}

/// Carries over what a restore must not lose.
pub(super) fn carry_over(
    copy: &mut Store,
    present: Db<'_>,
    realm: PeerKey,
    clock_ms: u64,
) -> Result<Changes, ActError> {
    let newest = signed_policy(present, realm)?;
    let mark = meta::number(present, meta::TIME_MARK)?.unwrap_or(0);
    let row = policies::newest(present)?;
    copy.write(|tx| {
        meta::raise_time_mark(tx, mark)?;
        let now = meta::realm_now(tx, clock_ms)?;
        let missing =
            newest.as_ref().map(|signed| missing(tx, signed.policy(), now)).transpose()?;
        let known = policies::newest(tx)?.map_or(0, |known| known.number);
        if let Some(row) = row.filter(|row| row.number > known) {
            policies::insert(tx, &row)?;
        }
        for moderation in moderations::list(present)? {
            carry_moderation_over(tx, &moderation, now)?;
        }
        let ids = newest.iter().flat_map(|signed| &signed.policy().sanctions);
        let highest = ids.map(|sanction| sanction.id).max().unwrap_or(0);
        sanctions::reserve_ids(tx, highest)?;
        let (mut reverted, mut disabled) = (Vec::new(), Vec::new());
        for (account, _devices) in accounts::list(present)? {
            match accounts::by_id(tx, account.id)? {
                Some(then) => {
                    reverted.extend(is_again(tx, present, &account, &then, now)?);
                    end_what_has_ended(tx, present, &account, &then, now)?;
                }
                None if nicknames::last_use(&account, now).is_some() => {
                    disabled.push(add_disabled(tx, &account, now)?);
                }
                None => {}
            }
        }
        carry_revocations_over(tx, present)?;
        Ok(Changes { missing, reverted, disabled })
    })
}

/// What the restore changes back about an account; `None` if that is nothing.
fn is_again(
    tx: Db<'_>,
    present: Db<'_>,
    account: &Account,
    then: &Account,
    now: u64,
) -> Result<Option<Reverted>, StoreError> {
    let is_banned = |db| sanctions::is_banned(db, account.id, now);
    let differs = [
        ("password", account.phc != then.phc),
        ("nickname", account.nickname != then.nickname),
        ("role", account.role != then.role),
        ("state", account.state != then.state),
        ("ban", is_banned(tx)? && !is_banned(present)?),
    ];
    let what: Vec<_> =
        differs.into_iter().filter_map(|(what, differs)| differs.then_some(what)).collect();
    Ok((!what.is_empty()).then(|| Reverted { username: then.username.clone(), what }))
}

/// Ends what has ended since the backup: devices stay logged out, and a nickname that the account no longer has in the
/// copy is spoken under by nobody.
fn end_what_has_ended(
    tx: Db<'_>,
    present: Db<'_>,
    account: &Account,
    then: &Account,
    now: u64,
) -> Result<(), ActError> {
    record_tickets(tx, account)?;
    for device in devices::list(present, account.id)?.iter().filter(|device| device.logged_out) {
        if let Some(known) = devices::find(tx, account.id, device.peer)? {
            devices::log_out(tx, account.id, known.number)?;
        }
    }
    let has_former = !former_nicknames::of(present, account.id, now)?.is_empty();
    if account.nickname != then.nickname || has_former {
        nicknames::end_tickets(tx, account, now)?;
    }
    Ok(())
}

/// Adds an account that the backup lacks, but that still has tickets. Returns its name, which is another one if an
/// account of the backup has the same.
fn add_disabled(tx: Db<'_>, account: &Account, now: u64) -> Result<String, ActError> {
    let is_taken = accounts::by_skeleton(tx, &account.skeleton)?.is_some();
    let number = hex::encode(account.id.0.get(..4).unwrap_or_default());
    let name = if is_taken { format!("lost-{number}") } else { account.username.clone() };
    let username = Username::parse(&name).map_err(|_damaged| StoreError::Row("username"))?;
    nicknames::make_way(tx, &username, now)?;
    let nickname = Nickname::of(&username);
    let Account { id, role, ref phc, created_at, .. } = *account;
    let new = NewAccount { id, username: &username, nickname: &nickname, role, phc };
    accounts::insert(tx, &new, created_at)?;
    accounts::set_state(tx, id, State::Disabled)?;
    record_tickets(tx, account)?;
    nicknames::end_tickets(tx, account, now)?;
    let entry = Entry::operator("user-disable", &name, "the restored backup lacks it");
    audit::write(tx, entry, now)?;
    Ok(name)
}

fn record_tickets(tx: Db<'_>, account: &Account) -> Result<(), StoreError> {
    accounts::record_ticket(tx, account.id, account.newest_issue, account.newest_expiry)?;
    accounts::raise_newest_revocation(tx, account.id, account.newest_revocation)
}

fn carry_revocations_over(tx: Db<'_>, present: Db<'_>) -> Result<(), StoreError> {
    let known = sanctions::list(tx)?;
    for SanctionRow { sanction, made_at } in sanctions::list(present)? {
        if sanction.kind == SanctionKind::Revocation
            && !is_known(&known, &sanction)
            && accounts::by_id(tx, sanction.sub)?.is_some()
        {
            sanctions::insert(tx, &sanction, made_at)?;
        }
    }
    Ok(())
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

/// The bans and mutes of a policy that have not ended and that the copy does not know.
fn missing(tx: Db<'_>, policy: &Policy, now: u64) -> Result<Vec<Missing>, StoreError> {
    let known = sanctions::list(tx)?;
    let is_lost = |sanction: &&Sanction| {
        sanction.kind != SanctionKind::Revocation
            && sanction.until.is_none_or(|until| until > now)
            && !is_known(&known, sanction)
    };
    let lost = policy.sanctions.iter().filter(is_lost);
    lost.map(|sanction| {
        let account = accounts::by_id(tx, sanction.sub)?;
        let username = account.map(|account| account.username);
        Ok(Missing { username, sanction: sanction.clone() })
    })
    .collect()
}

fn is_known(known: &[SanctionRow], sanction: &Sanction) -> bool {
    known.iter().any(|SanctionRow { sanction: row, .. }| {
        (row.sub, row.kind, row.peer) == (sanction.sub, sanction.kind, sanction.peer)
            && (row.from, row.until) == (sanction.from, sanction.until)
    })
}

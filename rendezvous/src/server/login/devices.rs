//! The devices of an account: how many there may be, and what their owner can do with them, which is to list them and
//! to log one out (PROTOCOL.md ).
//!
//! A device that may renew its ticket may do both. Every revocation goes into the policy that all peers hold, so an
//! owner can cause only a limited number per day, whether by a new password or by logging devices out.

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::limits::LINK_GRACE_MS;
use lanyard_protocol::login::{DEVICES_MAX, Denial, DenialCode, DeviceInfo, DevicesReply};
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::time::DAY_MS;

use super::visit::{LoginError, Signer, Visit, is_in_use, renewable};
use crate::accounts::{Revocation, revoke_tickets};
use crate::acts::{ActError, within_policy};
use crate::names::Nickname;
use crate::policy;
use crate::policy::space::{self, Full, OWN_REVOCATIONS_MAX};
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry};
use crate::store::devices::{self, DeviceRow};
use crate::store::{Db, StoreError, meta, rules, sanctions};

/// How many revocations the owner of an account may cause in a day.
const OWN_REVOCATIONS_PER_DAY: usize = 16;
/// How many devices at most are revoked one by one. For more, one revocation covers the whole account.
const REVOCATIONS_ONE_BY_ONE: usize = 8;
/// How many devices a denial suggests to log out.
const SUGGESTIONS_MAX: usize = 5;

/// Refuses a device with which the account would have too many. A device counts as long as it may renew its ticket
/// without a password, so one that may is never refused.
pub(super) fn check_count(
    tx: Db<'_>,
    account: AccountId,
    peer: PeerKey,
    now: u64,
) -> Result<(), LoginError> {
    let mut counted = devices::list(tx, account)?;
    counted.retain(|device| !device.logged_out && is_in_use(device.last_expiry, now));
    let most = rules::newest(tx)?.devices_max;
    if counted.iter().any(|device| device.peer == peer) || (counted.len() as u64) < most {
        return Ok(());
    }
    counted.sort_by_key(|device| (device.last_login, device.number));
    let names: Vec<String> = counted.iter().take(SUGGESTIONS_MAX).map(name).collect();
    let reason = format!("unused for the longest: {}", names.join(", "));
    let code = DenialCode::TooManyDevices;
    Err(LoginError::Refused(Denial { code, reason, retry_after_s: None }))
}

/// The number of a device, with its label if there is one.
fn name(device: &DeviceRow) -> String {
    match label(device) {
        Some(label) => format!("{} ({})", device.number, label.as_str()),
        None => device.number.to_string(),
    }
}

/// Lists the devices of an account for one of them.
pub(super) fn list(
    db: Db<'_>,
    account: AccountId,
    visit: &Visit,
) -> Result<DevicesReply, StoreError> {
    match renewable(db, account, visit)? {
        Ok(account) => listed(db, account.id),
        Err(denial) => Ok(DevicesReply::Denied(denial)),
    }
}

/// Logs out a device of the account that the asking device belongs to.
pub(super) fn log_out(
    tx: Db<'_>,
    signer: &Signer,
    account: AccountId,
    number: u64,
    visit: &Visit,
) -> Result<DevicesReply, LoginError> {
    // Checked again in the transaction that writes: the operator may have been faster.
    let account = match renewable(tx, account, visit)? {
        Ok(account) => account,
        Err(denial) => return Ok(DevicesReply::Denied(denial)),
    };
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let found = devices::list(tx, account.id)?.into_iter().find(|row| row.number == number);
    let Some(device) = found else { return Ok(DevicesReply::NoSuchDevice(number)) };
    if !device.logged_out {
        let peers = if may_be_linked(&device, now) { vec![Some(device.peer)] } else { Vec::new() };
        revoke_own(tx, &account, &peers, "the device was logged out", now)?;
        devices::log_out(tx, account.id, number)?;
        let detail = format!("device {number}");
        let entry =
            Entry { who: &account.username, what: "device-logout", target: "", detail: &detail };
        audit::write(tx, entry, now)?;
        policy::publish(tx, &signer.realm_key, visit.clock_ms)?;
        meta::raise_time_mark(tx, now)?;
    }
    Ok(listed(tx, account.id)?)
}

/// Logs out all devices of an account except the one that the owner is using. That one keeps its ticket if possible, so
/// that no message it is sending falls under a revocation.
pub(super) fn log_out_others(
    tx: Db<'_>,
    account: &Account,
    own: PeerKey,
    now: u64,
) -> Result<(), LoginError> {
    let linked: Vec<PeerKey> = devices::list(tx, account.id)?
        .into_iter()
        .filter(|device| !device.logged_out && may_be_linked(device, now) && device.peer != own)
        .map(|device| device.peer)
        .collect();
    let peers: Vec<Option<PeerKey>> = if linked.len() > REVOCATIONS_ONE_BY_ONE {
        vec![None]
    } else {
        linked.into_iter().map(Some).collect()
    };
    revoke_own(tx, account, &peers, "the password was changed", now)?;
    Ok(devices::log_out_all(tx, account.id, Some(own))?)
}

/// Whether peers may still have a link to this device; if not, there is nothing to revoke.
fn may_be_linked(device: &DeviceRow, now: u64) -> bool {
    device.last_expiry.saturating_add(LINK_GRACE_MS) > now
}

/// Revokes tickets of these devices, or of all for `None`, if the owner's limits and the policy have space for that.
fn revoke_own(
    tx: Db<'_>,
    account: &Account,
    peers: &[Option<PeerKey>],
    reason: &str,
    now: u64,
) -> Result<(), LoginError> {
    let by = account.username.as_str();
    let all = sanctions::list(tx)?;
    let today = all.iter().filter(|row| {
        row.sanction.kind == SanctionKind::Revocation
            && row.sanction.sub == account.id
            && row.sanction.by == by
            && row.made_at.saturating_add(DAY_MS) > now
    });
    let (made, oldest) = today.fold((0_usize, now), |(made, oldest), row| {
        (made.saturating_add(1), oldest.min(row.made_at))
    });
    if !peers.is_empty() && made.saturating_add(peers.len()) > OWN_REVOCATIONS_PER_DAY {
        let wait = oldest.saturating_add(DAY_MS).saturating_sub(now);
        return Err(locked("too many devices were logged out today".to_owned(), Some(wait)));
    }
    let standing = space::own_revocations(&policy::present(tx, now)?, account.id);
    if standing.saturating_add(peers.len()) > OWN_REVOCATIONS_MAX {
        return Err(locked(Full::OwnRevocations.to_string(), None));
    }
    let revoke_all = |tx: Db<'_>| {
        peers.iter().try_for_each(|peer| {
            revoke_tickets(tx, account.id, &Revocation { peer: *peer, reason, by }, now)
        })
    };
    within_policy(tx, now, revoke_all).map_err(|error| match error {
        ActError::Store(error) => LoginError::Store(error),
        ActError::PolicyFull(_) => locked(Full::OwnRevocations.to_string(), None),
        other => locked(other.to_string(), None),
    })
}

fn locked(reason: String, wait_ms: Option<u64>) -> LoginError {
    let retry_after_s = wait_ms.map(|ms| ms.div_ceil(1_000));
    LoginError::Refused(Denial { code: DenialCode::Locked, reason, retry_after_s })
}

/// The list for the owner. If it is too long, devices that are logged out or have not been used for long are left out.
fn listed(db: Db<'_>, account: AccountId) -> Result<DevicesReply, StoreError> {
    let mut rows = devices::list(db, account)?;
    if rows.len() > DEVICES_MAX {
        rows.sort_by_key(|row| (row.logged_out, std::cmp::Reverse(row.last_login)));
        rows.truncate(DEVICES_MAX);
        rows.sort_by_key(|row| row.number);
    }
    Ok(DevicesReply::Devices(rows.iter().map(info).collect()))
}

fn info(row: &DeviceRow) -> DeviceInfo {
    DeviceInfo {
        device: row.number,
        peer: row.peer,
        label: label(row).map(|label| label.as_str().to_owned()).unwrap_or_default(),
        first_seen: row.first_seen,
        last_login: row.last_login,
        expires_at: row.last_expiry,
        logged_out: row.logged_out,
    }
}

/// The label of a device. One that only an older release accepted must not make a whole reply unreadable.
fn label(device: &DeviceRow) -> Option<Nickname> {
    Nickname::parse(&device.label).ok()
}

//! The owner's devices at the login server: listing them and logging one out (PROTOCOL.md ).
//!
//! Whoever may renew may ask. A revocation that the owner causes stands in everybody's policy, so those of a day are
//! counted, whether a new password made them or a logout.

use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::limits::LINK_GRACE_MS;
use lanyard_protocol::login::{DEVICES_MAX, Denial, DenialCode, DeviceInfo, DevicesReply};
use rusqlite::Connection;

use super::LoginError;
use super::grant::{self, Signer, Visit};
use crate::accounts::{Revocation, revoke_tickets};
use crate::acts::{ActError, within_policy};
use crate::names::Nickname;
use crate::policy;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry};
use crate::store::devices::{self, DeviceRow};
use crate::store::sanctions::{self, Kind};
use crate::store::{StoreError, meta};

/// Cuts stand in everybody's policy: so many may the owner of an account cause in a day.
const OWN_REVOCATIONS_PER_DAY: usize = 16;
/// Beyond so many devices at once, one cut for the whole account does it.
const REVOCATIONS_ONE_BY_ONE: usize = 8;
const DAY_MS: u64 = 86_400_000;

/// The devices of an account, for one of them.
pub(super) fn list(
    conn: &Connection,
    account: AccountId,
    visit: &Visit,
) -> Result<DevicesReply, StoreError> {
    match grant::renewable(conn, account, visit)? {
        Ok(account) => listed(conn, account.id),
        Err(denial) => Ok(DevicesReply::Denied(denial)),
    }
}

/// Logs one device of the asker's account out.
pub(super) fn log_out(
    tx: &Connection,
    signer: &Signer,
    account: AccountId,
    number: u64,
    visit: &Visit,
) -> Result<DevicesReply, LoginError> {
    // Asked again in the transaction that writes: the operator may have been quicker.
    let account = match grant::renewable(tx, account, visit)? {
        Ok(account) => account,
        Err(denial) => return Ok(DevicesReply::Denied(denial)),
    };
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let found = devices::list(tx, account.id)?.into_iter().find(|row| row.number == number);
    let Some(device) = found else { return Ok(DevicesReply::NoSuchDevice(number)) };
    if !device.logged_out {
        let cuts = if is_living(&device, now) { vec![Some(device.peer)] } else { Vec::new() };
        revoke_own(tx, &account, &cuts, "the device was logged out", now)?;
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

/// Logs the other devices of an account out, for its owner. The own device keeps its ticket if it can, so that
/// nothing that is just being sent falls under a revocation.
pub(super) fn log_out_others(
    tx: &Connection,
    account: &Account,
    own: PeerKey,
    now: u64,
) -> Result<(), LoginError> {
    let living: Vec<PeerKey> = devices::list(tx, account.id)?
        .into_iter()
        .filter(|device| !device.logged_out && is_living(device, now) && device.peer != own)
        .map(|device| device.peer)
        .collect();
    let cuts: Vec<Option<PeerKey>> = if living.len() > REVOCATIONS_ONE_BY_ONE {
        vec![None]
    } else {
        living.into_iter().map(Some).collect()
    };
    revoke_own(tx, account, &cuts, "the password was changed", now)?;
    Ok(devices::log_out_all(tx, account.id, Some(own))?)
}

/// Whether peers may still keep a link to this device. Without one, there is nothing to cut.
fn is_living(device: &DeviceRow, now: u64) -> bool {
    device.last_expiry.saturating_add(LINK_GRACE_MS) > now
}

/// Cuts tickets of an account for its owner, if today's are not used up and the policy has room.
fn revoke_own(
    tx: &Connection,
    account: &Account,
    cuts: &[Option<PeerKey>],
    reason: &str,
    now: u64,
) -> Result<(), LoginError> {
    let by = account.username.as_str();
    let all = sanctions::list(tx)?;
    let today = all.iter().filter(|row| {
        row.kind == Kind::Revocation
            && row.account == account.id
            && row.by == by
            && row.made_at.saturating_add(DAY_MS) > now
    });
    let (made, oldest) = today.fold((0_usize, now), |(made, oldest), row| {
        (made.saturating_add(1), oldest.min(row.made_at))
    });
    if !cuts.is_empty() && made.saturating_add(cuts.len()) > OWN_REVOCATIONS_PER_DAY {
        let wait = oldest.saturating_add(DAY_MS).saturating_sub(now);
        return Err(locked("too many devices were logged out today".to_owned(), wait));
    }
    let cut_all = |tx: &Connection| {
        cuts.iter().try_for_each(|peer| {
            revoke_tickets(tx, account.id, &Revocation { peer: *peer, reason, by }, now)
        })
    };
    within_policy(tx, now, cut_all).map_err(|error| match error {
        ActError::Store(error) => LoginError::Store(error),
        other => locked(other.to_string(), DAY_MS),
    })
}

fn locked(reason: String, wait_ms: u64) -> LoginError {
    let retry_after_s = Some(wait_ms.div_ceil(1_000));
    LoginError::Refused(Denial { code: DenialCode::Locked, reason, retry_after_s })
}

/// The list as its owner gets it.
fn listed(conn: &Connection, account: AccountId) -> Result<DevicesReply, StoreError> {
    let mut rows = devices::list(conn, account)?;
    if rows.len() > DEVICES_MAX {
        rows.sort_by_key(|row| (row.logged_out, std::cmp::Reverse(row.last_login)));
        rows.truncate(DEVICES_MAX);
        rows.sort_by_key(|row| row.number);
    }
    Ok(DevicesReply::Devices(rows.into_iter().map(info).collect()))
}

fn info(row: DeviceRow) -> DeviceInfo {
    let DeviceRow { number, peer, label, first_seen, last_login, last_expiry, logged_out } = row;
    // A label that an older release let in must not make the whole list unreadable.
    let label = Nickname::parse(&label).map(|label| label.as_str().to_owned()).unwrap_or_default();
    DeviceInfo {
        device: number,
        peer,
        label,
        first_seen,
        last_login,
        expires_at: last_expiry,
        logged_out,
    }
}

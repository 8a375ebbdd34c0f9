//! A visit to the login server: who asks, what signs the answer, and whether the account may have a ticket at all.

use std::net::SocketAddr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_node::random::NoRandomness;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::login::{Denial, DenialCode};
use lanyard_protocol::policy::SanctionKind;
use lanyard_protocol::time::DAY_MS;

use crate::authority::Authority;
use crate::policy::PublishError;
use crate::server::password::PasswordError;
use crate::store::accounts::{self, Account, State};
use crate::store::{Db, StoreError, devices, meta, sanctions};

/// How long after the end of its last ticket a device may renew it without a password.
const RENEW_WITHIN_MS: u64 = 30 * DAY_MS;

/// Why a request could not be decided. Apart from [`LoginError::Refused`], these are faults of this machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The policy could not be signed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The password workers have ended.
    #[error("the password workers have ended")]
    WorkersGone,
    /// The ticket could not get an id.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The request is denied, and anything already written is rolled back.
    #[error("refused: {0:?}")]
    Refused(Denial),
}

/// The key that signs, and the authority peer that the reply names.
pub(super) struct Signer {
    pub(super) realm_key: Arc<SigningKey>,
    pub(super) authority: Arc<dyn Authority>,
}

/// Who asks, from where, and when.
pub(super) struct Visit {
    pub(super) peer: PeerKey,
    pub(super) from: SocketAddr,
    pub(super) nickname: Option<String>,
    pub(super) device_label: Option<String>,
    pub(super) clock_ms: u64,
}

/// The account, if this device may renew its ticket without a password (PROTOCOL.md R-67).
pub(super) fn renewable(
    db: Db<'_>,
    account: AccountId,
    visit: &Visit,
) -> Result<Result<Account, Denial>, StoreError> {
    let now = meta::realm_now(db, visit.clock_ms)?;
    let device = devices::find(db, account, visit.peer)?
        .filter(|device| !device.logged_out && is_in_use(device.last_expiry, now));
    let (Some(_device), Some(account)) = (device, accounts::by_id(db, account)?) else {
        return Ok(Err(plain(DenialCode::BadCredentials)));
    };
    Ok(match refusal(db, &account, now)? {
        Some(denial) => Err(denial),
        None => Ok(account),
    })
}

/// Whether the last ticket of a device is recent enough to be renewed without a password.
pub(super) fn is_in_use(last_expiry: u64, now: u64) -> bool {
    now <= last_expiry.saturating_add(RENEW_WITHIN_MS)
}

/// Why an account may not sign in at all.
pub(super) fn refusal(
    db: Db<'_>,
    account: &Account,
    now: u64,
) -> Result<Option<Denial>, StoreError> {
    if account.state == State::Disabled {
        return Ok(Some(plain(DenialCode::Disabled)));
    }
    let bans = sanctions::in_force(db, SanctionKind::Ban, account.id, now)?;
    // The denial carries the reason and the remaining time of the ban that ends last.
    let bans = bans.into_iter().map(|row| row.sanction);
    let last = bans.max_by_key(|ban| ban.until.unwrap_or(u64::MAX));
    Ok(last.map(|ban| {
        let rest = ban.until.map(|until| until.saturating_sub(now).div_ceil(1_000));
        Denial { code: DenialCode::Banned, reason: ban.reason, retry_after_s: rest }
    }))
}

/// A denial with nothing but its code.
pub(super) fn plain(code: DenialCode) -> Denial {
    Denial { code, reason: String::new(), retry_after_s: None }
}

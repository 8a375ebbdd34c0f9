//! Granting: one transaction that sees what the operator did meanwhile, writes, and only then lets a ticket out.

use std::net::SocketAddr;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::login::{Denial, DenialCode, Grant, PEERS_MAX, PeerAddresses, Reply};
use rusqlite::Connection;

use super::devices::log_out_others;
use super::{LoginError, random_id};
use crate::authority::Authority;
use crate::issuer::{self, Bearer};
use crate::names::{NameError, Nickname};
use crate::policy;
use crate::store::accounts::{self, Account, State};
use crate::store::audit::{self, Entry};
use crate::store::sanctions::{self, Kind};
use crate::store::sessions::{self, NewSession};
use crate::store::{StoreError, devices, meta, rules};

/// So long after the end of its last ticket a device may renew without a password.
const RENEW_WITHIN_MS: u64 = 30 * DAY_MS;
const DAY_MS: u64 = 86_400_000;

/// What signs and what the reply names.
pub(super) struct Signer {
    pub(super) realm_key: Arc<SigningKey>,
    pub(super) authority: Arc<dyn Authority>,
}

/// Who stands at the login server.
pub(super) struct Visit {
    pub(super) peer: PeerKey,
    pub(super) from: SocketAddr,
    pub(super) nickname: Option<String>,
    pub(super) device_label: Option<String>,
    pub(super) clock_ms: u64,
}

/// What was asked with a right password.
pub(super) enum Act {
    Login { rehash: Option<String> },
    ChangePassword { phc: String, revoke_others: bool },
}

/// A sign-in whose password was right a moment ago.
pub(super) struct SignIn {
    pub(super) account: Account,
    pub(super) visit: Visit,
    pub(super) act: Act,
}

/// What it leads to.
pub(super) enum Granted {
    In(Box<Grant>),
    Not(Denial),
}

impl Granted {
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Self::In(grant) => Reply::Granted(grant),
            Self::Not(denial) => Reply::Denied(denial),
        }
    }
}

/// Grants after a right password.
pub(super) fn grant(
    tx: &Connection,
    signer: &Signer,
    sign_in: &SignIn,
) -> Result<Granted, LoginError> {
    let SignIn { account, visit, act } = sign_in;
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let current = accounts::by_id(tx, account.id)?.filter(|current| current.phc == account.phc);
    let Some(account) = current else {
        return Ok(Granted::Not(plain(DenialCode::BadCredentials)));
    };
    if let Some(denial) = refusal(tx, &account, now)? {
        return Ok(Granted::Not(denial));
    }
    let what = match act {
        Act::Login { rehash } => {
            if let Some(phc) = rehash {
                accounts::rehash(tx, account.id, &account.phc, phc)?;
            }
            What::Login
        }
        Act::ChangePassword { phc, revoke_others } => {
            accounts::set_phc(tx, account.id, phc)?;
            if *revoke_others {
                log_out_others(tx, &account, visit.peer, now)?;
            }
            What::NewPassword { revoke_others: *revoke_others }
        }
    };
    // A revocation may have raised the least time of issue.
    let account = accounts::by_id(tx, account.id)?.unwrap_or(account);
    let grant = admit(tx, signer, &account, visit, what)?;
    Ok(Granted::In(Box::new(grant)))
}

/// Whether this device may have a new ticket without a password (PROTOCOL.md R-67).
pub(super) fn renewable(
    conn: &Connection,
    account: AccountId,
    visit: &Visit,
) -> Result<Result<Account, Denial>, StoreError> {
    let now = meta::realm_now(conn, visit.clock_ms)?;
    let device = devices::find(conn, account, visit.peer)?.filter(|device| {
        !device.logged_out && now <= device.last_expiry.saturating_add(RENEW_WITHIN_MS)
    });
    let (Some(_device), Some(account)) = (device, accounts::by_id(conn, account)?) else {
        return Ok(Err(plain(DenialCode::BadCredentials)));
    };
    Ok(match refusal(conn, &account, now)? {
        Some(denial) => Err(denial),
        None => Ok(account),
    })
}

/// Grants to a device that had a ticket.
pub(super) fn renew(
    tx: &Connection,
    signer: &Signer,
    account: AccountId,
    visit: &Visit,
) -> Result<Granted, LoginError> {
    match renewable(tx, account, visit)? {
        Ok(account) => {
            let grant = admit(tx, signer, &account, visit, What::Renewal)?;
            Ok(Granted::In(Box::new(grant)))
        }
        Err(denial) => Ok(Granted::Not(denial)),
    }
}

/// Why an account is not let in at all.
fn refusal(conn: &Connection, account: &Account, now: u64) -> Result<Option<Denial>, StoreError> {
    if account.state == State::Disabled {
        return Ok(Some(plain(DenialCode::Disabled)));
    }
    let bans = sanctions::in_force(conn, Kind::Ban, account.id, now)?;
    // The reason and the rest of the time of the ban that ends last.
    let last = bans.into_iter().max_by_key(|ban| ban.until.unwrap_or(u64::MAX));
    Ok(last.map(|ban| {
        let rest = ban.until.map(|until| until.saturating_sub(now).div_ceil(1_000));
        Denial { code: DenialCode::Banned, reason: ban.reason, retry_after_s: rest }
    }))
}

/// On which grounds somebody is admitted.
#[derive(Clone, Copy)]
enum What {
    Login,
    Renewal,
    NewPassword { revoke_others: bool },
}

/// Registers the device and makes the reply; the ticket leaves only after COMMIT.
fn admit(
    tx: &Connection,
    signer: &Signer,
    account: &Account,
    visit: &Visit,
    what: What,
) -> Result<Grant, LoginError> {
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let (nickname, nickname_refused) = wish(tx, account, visit.nickname.as_deref())?;
    let issued_at_s = issuer::issue_time_s(account, now);
    let lifetime_s = rules::newest(tx)?.ticket_lifetime_s;
    let expires_at = issued_at_s.saturating_add(lifetime_s).saturating_mul(1_000);
    // A label is for its owner's eyes; one that cannot be shown is left out.
    let label = visit.device_label.as_deref().and_then(|text| Nickname::parse(text).ok());
    let label = label.as_ref().map_or("", Nickname::as_str);
    let device = devices::sign_in(tx, account.id, visit.peer, label, now, expires_at)?;
    let address = visit.from.to_string();
    let session = NewSession { account: account.id, device, address, since: now, expires_at };
    let (word, cut) = match what {
        What::Login => ("login", ""),
        What::Renewal => ("renew", ""),
        What::NewPassword { revoke_others: false } => ("password", ""),
        What::NewPassword { revoke_others: true } => ("password", ", others logged out"),
    };
    if matches!(what, What::Renewal) {
        sessions::renew(tx, &session)?;
    } else {
        accounts::set_last_login(tx, account.id, now)?;
        sessions::put(tx, &session)?;
    }
    let detail = format!("device {device}{cut}");
    let entry = Entry { who: &account.username, what: word, target: "", detail: &detail };
    audit::write(tx, entry, now)?;
    let (policy, _is_new) = policy::publish(tx, &signer.realm_key, visit.clock_ms)?;
    let bearer = Bearer { account, nickname: &nickname, peer: visit.peer, device };
    let number = policy.policy().number;
    let key = signer.realm_key.as_ref();
    let ticket = issuer::issue(key, bearer, issued_at_s, lifetime_s, number, random_id()?);
    // Right after a revocation, the time of issue is up to a second ahead; the realm's clock is not put forward for that,
    // or whoever sets the own clock by this reply would stay ahead of everybody else.
    accounts::raise_newest_issue(tx, account.id, issued_at_s.saturating_mul(1_000))?;
    meta::raise_time_mark(tx, now)?;
    Ok(Grant {
        ticket: ticket.as_bytes().to_vec(),
        policy: policy.as_bytes().to_vec(),
        realm_time: now,
        authority: signer.authority.addresses(),
        // One entry out of bounds would make the whole reply unreadable.
        peers: signer
            .authority
            .peers(PEERS_MAX)
            .into_iter()
            .filter(PeerAddresses::is_bounded)
            .collect(),
        nickname_refused,
    })
}

/// The nickname from now on, and why the wish was not granted.
fn wish(
    tx: &Connection,
    account: &Account,
    wish: Option<&str>,
) -> Result<(String, Option<String>), StoreError> {
    let keep = |why: Option<String>| Ok((account.nickname.clone(), why));
    let Some(wish) = wish else { return keep(None) };
    let nickname = match Nickname::parse(wish) {
        Ok(nickname) => nickname,
        Err(error) => return keep(Some(error.to_string())),
    };
    if nickname.as_str() == account.nickname {
        return keep(None);
    }
    // Whom the operator has named so may be called so.
    if nickname.is_reserved() && nickname.folded() != account.skeleton {
        return keep(Some(NameError::Reserved.to_string()));
    }
    if accounts::nickname_is_taken(tx, &nickname, account.id)? {
        return keep(Some("the nickname looks like the name of somebody else".to_owned()));
    }
    accounts::set_nickname(tx, account.id, &nickname)?;
    Ok((nickname.as_str().to_owned(), None))
}

fn plain(code: DenialCode) -> Denial {
    Denial { code, reason: String::new(), retry_after_s: None }
}

//! Grants requests: one transaction sees what the operator has changed meanwhile, writes, and only then issues a
//! ticket.

use lanyard_node::random;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::AccountId;
use lanyard_protocol::login::{DenialCode, Grant, PEERS_MAX, PeerAddresses, Reply};
use lanyard_protocol::ticket::{Claims, Ticket};

use super::devices::{check_count, log_out_others};
use super::visit::{LoginError, Signer, Visit, plain, refusal, renewable};
use crate::accounts::nicknames;
use crate::acts::ActError;
use crate::names::{NameError, Nickname};
use crate::policy;
use crate::server::issuer;
use crate::store::accounts::{self, Account};
use crate::store::audit::{self, Entry};
use crate::store::sessions::{self, NewSession};
use crate::store::{Db, devices, meta, rules};

/// A request that came with the right password.
pub(super) enum Act {
    Login { rehash: Option<String> },
    ChangePassword { phc: String, revoke_others: bool },
}

/// A request whose password was right a moment ago.
pub(super) struct SignIn {
    pub(super) account: Account,
    pub(super) visit: Visit,
    pub(super) act: Act,
}

/// Grants a request with the right password.
pub(super) fn grant(tx: Db<'_>, signer: &Signer, sign_in: &SignIn) -> Result<Reply, LoginError> {
    let SignIn { account, visit, act } = sign_in;
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let current = accounts::by_id(tx, account.id)?.filter(|current| current.phc == account.phc);
    let Some(account) = current else {
        return Ok(Reply::Denied(plain(DenialCode::BadCredentials)));
    };
    if let Some(denial) = refusal(tx, &account, now)? {
        return Ok(Reply::Denied(denial));
    }
    match act {
        Act::Login { rehash: Some(phc) } => accounts::rehash(tx, account.id, &account.phc, phc)?,
        Act::Login { rehash: None } => {}
        Act::ChangePassword { phc, revoke_others } => {
            accounts::set_phc(tx, account.id, phc)?;
            if *revoke_others {
                log_out_others(tx, &account, visit.peer, now)?;
            }
        }
    }
    // A revocation may have moved the earliest time of issue.
    let account = accounts::by_id(tx, account.id)?.unwrap_or(account);
    let grant = admit(tx, signer, &account, visit, Some(act))?;
    Ok(Reply::Granted(Box::new(grant)))
}

/// Grants a new ticket to a device that had one.
pub(super) fn renew(
    tx: Db<'_>,
    signer: &Signer,
    account: AccountId,
    visit: &Visit,
) -> Result<Reply, LoginError> {
    match renewable(tx, account, visit)? {
        Ok(account) => {
            let grant = admit(tx, signer, &account, visit, None)?;
            Ok(Reply::Granted(Box::new(grant)))
        }
        Err(denial) => Ok(Reply::Denied(denial)),
    }
}

/// Registers the device and builds the reply, whose ticket leaves only after COMMIT. `act` is `None` for a renewal.
fn admit(
    tx: Db<'_>,
    signer: &Signer,
    account: &Account,
    visit: &Visit,
    act: Option<&Act>,
) -> Result<Grant, LoginError> {
    let now = meta::realm_now(tx, visit.clock_ms)?;
    let (nickname, nickname_refused) = wish(tx, account, visit.nickname.as_deref(), now)?;
    let issued_at_s = issuer::issue_time_s(account, now);
    let lifetime_s = rules::newest(tx)?.ticket_lifetime_s;
    let expires_at_s = issued_at_s.saturating_add(lifetime_s);
    let expires_at = expires_at_s.saturating_mul(1_000);
    // A label is shown to its owner only; one that cannot be displayed is left out.
    let label = visit.device_label.as_deref().and_then(|text| Nickname::parse(text).ok());
    let label = label.as_ref().map_or("", Nickname::as_str);
    check_count(tx, account.id, visit.peer, now)?;
    let device = devices::sign_in(tx, account.id, visit.peer, label, now, expires_at)?;
    let address = visit.from.to_string();
    let session = NewSession { account: account.id, device, address, since: now, expires_at };
    let (word, others) = match act {
        None => ("renew", ""),
        Some(Act::Login { .. }) => ("login", ""),
        Some(Act::ChangePassword { revoke_others: false, .. }) => ("password", ""),
        Some(Act::ChangePassword { revoke_others: true, .. }) => {
            ("password", ", others logged out")
        }
    };
    if act.is_none() {
        sessions::renew(tx, &session)?;
    } else {
        accounts::set_last_login(tx, account.id, now)?;
        sessions::put(tx, &session)?;
    }
    let detail = format!("device {device}{others}");
    let entry = Entry { who: &account.username, what: word, target: "", detail: &detail };
    audit::write_repeated(tx, entry, now)?;
    let (policy, _is_new) = policy::publish(tx, &signer.realm_key, visit.clock_ms)?;
    let claims = Claims {
        realm: public_key(&signer.realm_key),
        account: account.id,
        id: random::bytes()?,
        issued_at_s,
        expires_at_s,
        peer: visit.peer,
        username: account.username.clone(),
        nickname,
        role: account.role,
        device,
        policy: policy.policy().number,
    };
    let ticket = Ticket::issue(claims, &signer.realm_key);
    // Right after a revocation, the time of issue is up to a second ahead. Realm time is not moved forward for that;
    // otherwise a device that sets its clock by this reply would stay ahead of all others.
    accounts::record_ticket(tx, account.id, issued_at_s.saturating_mul(1_000), expires_at)?;
    meta::raise_time_mark(tx, now)?;
    Ok(Grant {
        ticket: ticket.as_bytes().to_vec(),
        policy: policy.as_bytes().to_vec(),
        realm_time: now,
        authority: signer.authority.addresses(),
        peers: reachable_peers(signer),
        nickname_refused,
    })
}

/// Some peers that are online, for the device to dial.
fn reachable_peers(signer: &Signer) -> Vec<PeerAddresses> {
    let online = signer.authority.online().into_iter();
    let reachable = online.filter(|peer| !peer.addresses.is_empty()).take(PEERS_MAX);
    // One entry out of bounds would make the whole reply unreadable.
    reachable.filter(PeerAddresses::is_bounded).collect()
}

/// The nickname from now on, and why the requested one was refused.
fn wish(
    tx: Db<'_>,
    account: &Account,
    wish: Option<&str>,
    now: u64,
) -> Result<(String, Option<String>), LoginError> {
    let keep = |why: Option<String>| Ok((account.nickname.clone(), why));
    let Some(wish) = wish else { return keep(None) };
    let nickname = match Nickname::parse(wish) {
        Ok(nickname) => nickname,
        Err(error) => return keep(Some(error.to_string())),
    };
    if nickname.as_str() == account.nickname {
        return keep(None);
    }
    // A reserved name is allowed if the operator has given it as the username.
    if nickname.is_reserved() && nickname.folded() != account.skeleton {
        return keep(Some(NameError::Reserved.to_string()));
    }
    match nicknames::change(tx, account, &nickname, now) {
        Ok(()) => Ok((nickname.as_str().to_owned(), None)),
        Err(ActError::Store(error)) => Err(error.into()),
        Err(refused) => keep(Some(refused.to_string())),
    }
}

//! The decision: name, password and device key in, ticket or denial out.
//!
//! A denial is an outcome and not an error; an error is a fault of this machine, and the asker learns only
//! that it should try again. Whoever has not shown the right password learns nothing about an account:
//! a name that does not exist costs one Argon2 check, counts as a failure and gets the same reply.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::login::{
    Denial, DenialCode, Grant, Login, PEERS_MAX, PeerAddresses, Reply, Request,
};
use lanyard_protocol::ticket::Ticket;
use rusqlite::Connection;

use crate::issuer::{self, Bearer};
use crate::member::Member;
use crate::names::{Nickname, Username};
use crate::password::pool::{Pool, Priority};
use crate::password::{Check, Password, PasswordError};
use crate::policy::{self, PublishError};
use crate::store::accounts::{self, Account, State};
use crate::store::audit::{self, Entry};
use crate::store::sessions::{self, NewSession};
use crate::store::thread::StoreHandle;
use crate::store::{Store, StoreError, devices, meta, rules, sanctions};
use crate::throttle::{Gate, Passed, Throttle};

/// A fault of this machine while it decided.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The policy could not be signed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The workers have ended.
    #[error("the password workers have ended")]
    WorkersGone,
    /// No randomness to be had.
    #[error("the system gives no random numbers")]
    Random,
}

/// Everything that a decision needs. Shared by all connections of the desk.
#[derive(Debug)]
pub struct Office {
    store: StoreHandle,
    pool: Pool,
    throttle: Mutex<Throttle>,
    realm_key: Arc<SigningKey>,
    member: Arc<dyn Member>,
}

/// What the first look at the database says.
struct Found {
    account: Option<Account>,
    is_known_device: bool,
}

/// What a right password leads to.
enum Granted {
    In(Box<Grant>),
    Not(Denial),
}

impl Office {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: StoreHandle,
        pool: Pool,
        realm_key: Arc<SigningKey>,
        member: Arc<dyn Member>,
    ) -> Self {
        Self { store, pool, throttle: Mutex::default(), realm_key, member }
    }

    /// How often Argon2 has run.
    #[must_use]
    pub fn argon2_calls(&self) -> u64 {
        self.pool.hasher().calls()
    }

    /// Answers one request of the device whose key Noise has proved.
    pub async fn answer(
        &self,
        peer: PeerKey,
        from: SocketAddr,
        request: Request,
        clock_ms: u64,
    ) -> Reply {
        let login = match request {
            Request::Login(login) => login,
            Request::Unknown(_op) => return denied(DenialCode::Unsupported, String::new(), None),
        };
        match self.login(peer, from, login, clock_ms).await {
            Ok(reply) => reply,
            Err(error) => {
                // Ends here: the asker can only come again, the operator must look.
                let error = error_chain(&error);
                tracing::error!(%error, "A sign-in failed on this machine's side");
                denied(DenialCode::Busy, String::new(), Some(5))
            }
        }
    }

    async fn login(
        &self,
        peer: PeerKey,
        from: SocketAddr,
        login: Login,
        clock_ms: u64,
    ) -> Result<Reply, LoginError> {
        let Login { username, password, nickname, device_label } = login;
        let address = from.ip();
        let username = Username::parse(&username).map_err(|_cannot_exist| username);
        // One key per account, however it is spelled, or each spelling would have its own five tries.
        let key = username.as_ref().map_or_else(Clone::clone, |name| name.as_str().to_owned());
        let gate = self.throttle().gate(&key, address, clock_ms);
        let found = self.find(username.ok(), peer).await?;
        if let Gate::Wait { ms } = gate
            && !found.is_known_device
        {
            return Ok(locked(ms));
        }
        let password = match Password::new(password) {
            Ok(password) => password,
            Err(PasswordError::Empty | PasswordError::TooLong) => {
                return Ok(denied(DenialCode::BadCredentials, String::new(), None));
            }
            Err(error) => return Err(error.into()),
        };
        let stored = found.account.as_ref().map(|account| account.phc.clone());
        let priority = if found.is_known_device { Priority::Known } else { Priority::Stranger };
        let answer = match self.pool.check(password, stored, priority) {
            Ok(answer) => answer,
            Err(busy) => {
                return Ok(denied(DenialCode::Busy, String::new(), Some(busy.retry_after_s)));
            }
        };
        let check = answer.await.map_err(|_worker_ended| LoginError::WorkersGone)??;
        let (Check::Right { rehash }, Some(account)) = (check, found.account) else {
            return Ok(self.refuse(&key, address, peer, clock_ms));
        };
        let passed = match gate {
            Gate::Open => Passed::Freely,
            Gate::Wait { .. } => Passed::OverDelay,
        };
        self.throttle().succeeded(&key, passed);
        self.grant(SignIn { account, rehash, peer, from, nickname, device_label, clock_ms }).await
    }

    async fn find(&self, name: Option<Username>, peer: PeerKey) -> Result<Found, LoginError> {
        let found = self.store.run(move |store: &mut Store| {
            let conn = store.reader();
            let account = match &name {
                Some(name) => accounts::by_username(conn, name.as_str())?,
                None => None,
            };
            let device = match &account {
                Some(account) => devices::find(conn, account.id, peer)?,
                None => None,
            };
            let is_known_device = device.is_some_and(|device| !device.logged_out);
            Ok::<_, StoreError>(Found { account, is_known_device })
        });
        Ok(found.await?)
    }

    fn refuse(&self, key: &str, address: IpAddr, peer: PeerKey, clock_ms: u64) -> Reply {
        let mut throttle = self.throttle();
        let was = throttle.gate(key, address, clock_ms);
        throttle.failed(key, address, clock_ms);
        drop(throttle);
        tracing::debug!(target: "lanyard_rendezvous::audit", ?peer, %address, "Sign-in refused");
        match was {
            // Nobody without a right password learns that a known device may go past the delay.
            Gate::Wait { ms } => locked(ms),
            Gate::Open => denied(DenialCode::BadCredentials, String::new(), None),
        }
    }

    async fn grant(&self, sign_in: SignIn) -> Result<Reply, LoginError> {
        let realm_key = Arc::clone(&self.realm_key);
        let member = Arc::clone(&self.member);
        let granted = self
            .store
            .run(move |store| store.write(|tx| grant(tx, &realm_key, member.as_ref(), &sign_in)));
        Ok(match granted.await? {
            Granted::In(grant) => Reply::Granted(grant),
            Granted::Not(denial) => Reply::Denied(denial),
        })
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        // Its tables are whole after every statement.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sign-in whose password was right a moment ago.
struct SignIn {
    account: Account,
    rehash: Option<String>,
    peer: PeerKey,
    from: SocketAddr,
    nickname: Option<String>,
    device_label: Option<String>,
    clock_ms: u64,
}

/// One transaction: what the operator did while Argon2 ran is seen, and the ticket leaves only after COMMIT.
fn grant(
    tx: &Connection,
    realm_key: &SigningKey,
    member: &dyn Member,
    sign_in: &SignIn,
) -> Result<Granted, LoginError> {
    let now = meta::realm_now(tx, sign_in.clock_ms)?;
    let account = accounts::by_id(tx, sign_in.account.id)?
        .filter(|account| account.phc == sign_in.account.phc);
    let Some(account) = account else {
        return Ok(Granted::Not(plain(DenialCode::BadCredentials)));
    };
    if account.state == State::Disabled {
        return Ok(Granted::Not(plain(DenialCode::Disabled)));
    }
    if let Some(denial) = ban_denial(tx, account.id, now)? {
        return Ok(Granted::Not(denial));
    }
    if let Some(phc) = &sign_in.rehash {
        accounts::rehash(tx, account.id, &account.phc, phc)?;
    }
    let (nickname, nickname_refused) = wish(tx, &account, sign_in.nickname.as_deref())?;
    let issued_at_s = issuer::issue_time_s(&account, now);
    let lifetime_s = rules::newest(tx)?.ticket_lifetime_s;
    let expires_at = issued_at_s.saturating_add(lifetime_s).saturating_mul(1_000);
    // A label is for its owner's eyes; one that cannot be shown is left out.
    let label = sign_in.device_label.as_deref().and_then(|text| Nickname::parse(text).ok());
    let label = label.as_ref().map_or("", Nickname::as_str);
    let device = devices::sign_in(tx, account.id, sign_in.peer, label, now, expires_at)?;
    accounts::set_last_login(tx, account.id, now)?;
    let address = sign_in.from.to_string();
    let session = NewSession { account: account.id, device, address, since: now, expires_at };
    sessions::put(tx, &session)?;
    let (policy, _is_new) = policy::publish(tx, realm_key, sign_in.clock_ms)?;
    let bearer = Bearer { account: &account, nickname: &nickname, peer: sign_in.peer, device };
    let ticket: Ticket = issuer::issue(
        realm_key,
        bearer,
        issued_at_s,
        lifetime_s,
        policy.policy().number,
        random_id()?,
    );
    meta::raise_time_mark(tx, now.max(issued_at_s.saturating_mul(1_000)))?;
    let detail = format!("device {device}");
    let entry = Entry { who: &account.username, what: "login", target: "", detail: &detail };
    audit::write(tx, entry, now)?;
    Ok(Granted::In(Box::new(Grant {
        ticket: ticket.as_bytes().to_vec(),
        policy: policy.as_bytes().to_vec(),
        realm_time: now,
        member: member.addresses(),
        // One entry out of bounds would make the whole reply unreadable.
        peers: member.peers(PEERS_MAX).into_iter().filter(PeerAddresses::is_bounded).collect(),
        nickname_refused,
    })))
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
    if accounts::nickname_is_taken(tx, &nickname, account.id)? {
        return keep(Some("the nickname looks like the name of somebody else".to_owned()));
    }
    accounts::set_nickname(tx, account.id, &nickname)?;
    Ok((nickname.as_str().to_owned(), None))
}

/// The denial of somebody who is banned: the reason and the rest of the time of the ban that ends last.
fn ban_denial(tx: &Connection, id: AccountId, now: u64) -> Result<Option<Denial>, StoreError> {
    let bans = sanctions::in_force(tx, sanctions::Kind::Ban, id, now)?;
    let last = bans.into_iter().max_by_key(|ban| ban.until.unwrap_or(u64::MAX));
    Ok(last.map(|ban| {
        let rest = ban.until.map(|until| until.saturating_sub(now).div_ceil(1_000));
        Denial { code: DenialCode::Banned, reason: ban.reason, retry_after_s: rest }
    }))
}

fn plain(code: DenialCode) -> Denial {
    Denial { code, reason: String::new(), retry_after_s: None }
}

fn denied(code: DenialCode, reason: String, retry_after_s: Option<u64>) -> Reply {
    Reply::Denied(Denial { code, reason, retry_after_s })
}

fn locked(ms: u64) -> Reply {
    denied(DenialCode::Locked, String::new(), Some(ms.div_ceil(1_000)))
}

/// 16 random bytes, such as a ticket's `cti`.
///
/// # Errors
/// [`LoginError::Random`].
pub fn random_id() -> Result<[u8; 16], LoginError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_no_detail| LoginError::Random)?;
    Ok(id)
}

/// An error with its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;

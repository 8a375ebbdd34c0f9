//! The decision: name, password and device key in, ticket or denial out. Renewals, new passwords and the owner's
//! devices too.
//!
//! A denial is an outcome and not an error; an error is a fault of this machine, and the asker learns only
//! that it should try again. Whoever has not shown the right password learns nothing about an account:
//! a name that does not exist costs one Argon2 check, counts as a failure and gets the same reply.

mod devices;
mod grant;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::login::{
    ChangePassword, Denial, DenialCode, DevicesReply, Login, Reply, Request,
};
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::names::Username;
use crate::password::pool::{Asker, Pool, Priority};
use crate::password::{Check, Password, PasswordError};
use crate::policy::PublishError;
use crate::store::accounts::{self, Account};
use crate::store::thread::StoreHandle;
use crate::store::{Store, StoreError, devices as device_rows};
use crate::throttle::{Gate, Passed, Throttle, prefix};
use crate::timekeeping;
use grant::{Act, Granted, SignIn, Signer, Visit};

/// Why nobody gets a ticket, as part of a sentence that the asker's program makes.
const CLOCK_IN_DOUBT: &str = "its clock may be wrong, and its operator must confirm it";
/// Longer than a program asks a login server again that has too much to do.
const CLOCK_RETRY_S: u64 = 90;

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
    /// Refused after something was written, which is taken back.
    #[error("refused: {0:?}")]
    Refused(Denial),
}

/// Everything that a decision needs. Shared by all connections of the login server.
#[derive(Debug)]
pub struct Office {
    store: StoreHandle,
    pool: Pool,
    throttle: Mutex<Throttle>,
    realm_key: Arc<SigningKey>,
    authority: Arc<dyn Authority>,
}

/// What the login server answers: each request has its kind of reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To who asks for a ticket.
    Pass(Reply),
    /// To who asks about devices.
    Devices(DevicesReply),
}

impl Answer {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Pass(reply) => reply.to_bytes(),
            Self::Devices(reply) => reply.to_bytes(),
        }
    }
}

/// What the first look at the database says.
struct Found {
    account: Option<Account>,
    is_known_device: bool,
}

/// What came of a password.
enum Checked {
    Right { account: Box<Account>, rehash: Option<String> },
    Not(Reply),
}

impl Office {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: StoreHandle,
        pool: Pool,
        realm_key: Arc<SigningKey>,
        authority: Arc<dyn Authority>,
    ) -> Self {
        Self { store, pool, throttle: Mutex::default(), realm_key, authority }
    }

    /// How often Argon2 has run.
    #[must_use]
    pub fn argon2_calls(&self) -> u64 {
        self.pool.hasher().calls()
    }

    /// Answers one request of the device whose key Noise has proved. `clock` gives unix milliseconds.
    pub async fn answer(
        &self,
        peer: PeerKey,
        from: SocketAddr,
        request: Request,
        clock: impl Fn() -> u64,
    ) -> Answer {
        let clock_ms = clock();
        let visit = Visit { peer, from, nickname: None, device_label: None, clock_ms };
        if signs(&request) && self.is_in_doubt(clock_ms).await {
            return Answer::Pass(clock_in_doubt());
        }
        let answered = match request {
            Request::Login(login) => self.login(visit, login, clock).await.map(Answer::Pass),
            Request::Renew(renew) => self.renew(visit, renew.account).await.map(Answer::Pass),
            Request::ChangePassword(change) => {
                self.change_password(visit, change, clock).await.map(Answer::Pass)
            }
            Request::ListDevices(list) => {
                self.list_devices(visit, list.account).await.map(Answer::Devices)
            }
            Request::LogOutDevice(out) => {
                self.log_out(visit, out.account, out.device).await.map(Answer::Devices)
            }
            Request::Unknown(_op) => {
                Ok(Answer::Pass(denied(DenialCode::Unsupported, String::new(), None)))
            }
        };
        match answered {
            Ok(answer) => answer,
            // A denial has the same bytes in every kind of reply.
            Err(LoginError::Refused(denial)) => Answer::Pass(Reply::Denied(denial)),
            Err(LoginError::Publish(PublishError::Clock(_standing))) => {
                Answer::Pass(clock_in_doubt())
            }
            Err(error) => {
                // Ends here: the asker can only come again, the operator must look.
                let error = error_chain(&error);
                tracing::error!(%error, "A request failed on this machine's side");
                Answer::Pass(denied(DenialCode::Busy, String::new(), Some(5)))
            }
        }
    }

    /// Whether the clock may not be signed by. Asked before a password is checked, and once more when something is
    /// signed; a fault shows there.
    async fn is_in_doubt(&self, clock_ms: u64) -> bool {
        let look = move |store: &mut Store| timekeeping::standing(store.reader(), clock_ms);
        self.store.run(look).await.is_ok_and(|standing| !standing.is_right())
    }

    async fn login(
        &self,
        visit: Visit,
        login: Login,
        clock: impl Fn() -> u64,
    ) -> Result<Reply, LoginError> {
        let Login { username, password, nickname, device_label } = login;
        match self.check(&visit, username, password, None).await? {
            Checked::Not(reply) => Ok(reply),
            Checked::Right { account, rehash } => {
                // Read again: the check may have waited in a queue, and the device sets its clock by the reply.
                let visit = Visit { nickname, device_label, clock_ms: clock(), ..visit };
                let act = Act::Login { rehash };
                self.grant(SignIn { account: *account, visit, act }).await
            }
        }
    }

    async fn change_password(
        &self,
        visit: Visit,
        change: ChangePassword,
        clock: impl Fn() -> u64,
    ) -> Result<Reply, LoginError> {
        let ChangePassword { username, old, new, revoke_others } = change;
        let new = Password::new(new)?;
        match self.check(&visit, username, old, Some(new)).await? {
            Checked::Not(reply) => Ok(reply),
            Checked::Right { account, rehash } => {
                let phc = rehash.ok_or(LoginError::WorkersGone)?;
                let act = Act::ChangePassword { phc, revoke_others };
                let visit = Visit { clock_ms: clock(), ..visit };
                self.grant(SignIn { account: *account, visit, act }).await
            }
        }
    }

    async fn renew(&self, visit: Visit, account: AccountId) -> Result<Reply, LoginError> {
        let signer = self.signer();
        let granted = self.store.run(move |store| {
            // Read only, so that a stranger costs no transaction.
            if let Err(denial) = grant::renewable(store.reader(), account, &visit)? {
                return Ok(Granted::Not(denial));
            }
            store.write(|tx| grant::renew(tx, &signer, account, &visit))
        });
        Ok(granted.await?.into_reply())
    }

    async fn list_devices(
        &self,
        visit: Visit,
        account: AccountId,
    ) -> Result<DevicesReply, LoginError> {
        Ok(self.store.run(move |store| devices::list(store.reader(), account, &visit)).await?)
    }

    async fn log_out(
        &self,
        visit: Visit,
        account: AccountId,
        number: u64,
    ) -> Result<DevicesReply, LoginError> {
        let signer = self.signer();
        let replied = self.store.run(move |store| {
            // Read only, so that a stranger costs no transaction.
            let reply = devices::list(store.reader(), account, &visit)?;
            if matches!(reply, DevicesReply::Denied(_)) {
                return Ok(reply);
            }
            store.write(|tx| devices::log_out(tx, &signer, account, number, &visit))
        });
        replied.await
    }

    /// The one way in for a password: throttle, pool, throttle. With `new`, what to store comes along.
    async fn check(
        &self,
        visit: &Visit,
        username: String,
        password: Zeroizing<String>,
        new: Option<Password>,
    ) -> Result<Checked, LoginError> {
        let (address, clock_ms) = (visit.from.ip(), visit.clock_ms);
        let username = Username::parse(&username).map_err(|_cannot_exist| username);
        // One key per account, however it is spelled, or each spelling would have its own five tries.
        let key = username.as_ref().map_or_else(Clone::clone, |name| name.as_str().to_owned());
        let gate = self.throttle().gate(&key, address, clock_ms);
        let found = self.find(username.ok(), visit.peer).await?;
        if let Gate::Wait { ms } = gate
            && !found.is_known_device
        {
            return Ok(Checked::Not(locked(ms)));
        }
        let password = match Password::new(password) {
            Ok(password) => password,
            Err(PasswordError::Empty | PasswordError::TooLong) => {
                let denial = denied(DenialCode::BadCredentials, String::new(), None);
                return Ok(Checked::Not(denial));
            }
            Err(error) => return Err(error.into()),
        };
        let stored = found.account.as_ref().map(|account| account.phc.clone());
        let priority = if found.is_known_device { Priority::Known } else { Priority::Stranger };
        let asker = Asker { priority, from: prefix(address) };
        let queued = match new {
            Some(new) => self.pool.change(password, stored, new, asker),
            None => self.pool.check(password, stored, asker),
        };
        let answered = match queued {
            // No answer: somebody from another address had a better right to the place.
            Ok(answer) => answer.await.map_err(|_dropped| self.pool.busy_now()),
            Err(busy) => Err(busy),
        };
        let check = match answered {
            Ok(outcome) => outcome?,
            Err(busy) => {
                let retry = Some(busy.retry_after_s);
                return Ok(Checked::Not(denied(DenialCode::Busy, String::new(), retry)));
            }
        };
        let (Check::Right { rehash }, Some(account)) = (check, found.account) else {
            return Ok(Checked::Not(self.refuse(&key, address, visit.peer, clock_ms)));
        };
        let passed = match gate {
            Gate::Open => Passed::Freely,
            Gate::Wait { .. } => Passed::OverDelay,
        };
        self.throttle().succeeded(&key, passed);
        Ok(Checked::Right { account: Box::new(account), rehash })
    }

    async fn find(&self, name: Option<Username>, peer: PeerKey) -> Result<Found, LoginError> {
        let found = self.store.run(move |store: &mut Store| {
            let conn = store.reader();
            // The same questions whether there is such an account or not: their time must not tell.
            let account = accounts::by_username(conn, name.as_ref().map_or("", Username::as_str))?;
            let id = account.as_ref().map_or(AccountId([0; 16]), |account| account.id);
            let device = device_rows::find(conn, id, peer)?;
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
        let signer = self.signer();
        let granted =
            self.store.run(move |store| store.write(|tx| grant::grant(tx, &signer, &sign_in)));
        Ok(granted.await?.into_reply())
    }

    fn signer(&self) -> Signer {
        Signer { realm_key: Arc::clone(&self.realm_key), authority: Arc::clone(&self.authority) }
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        // Its tables are whole after every statement.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the answer may need a signature.
fn signs(request: &Request) -> bool {
    match request {
        Request::Login(_)
        | Request::Renew(_)
        | Request::ChangePassword(_)
        | Request::LogOutDevice(_) => true,
        Request::ListDevices(_) | Request::Unknown(_) => false,
    }
}

fn clock_in_doubt() -> Reply {
    denied(DenialCode::Busy, CLOCK_IN_DOUBT.to_owned(), Some(CLOCK_RETRY_S))
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

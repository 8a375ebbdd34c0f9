//! Decides about login requests: a username, a password and a device key come in, a ticket or a denial goes out.
//! Renewals, new passwords and requests about the owner's devices are decided here too.
//!
//! A denial is an outcome and not an error; an error is a fault of this machine, and the client only learns that it
//! should try again. Without the right password, a client learns nothing about an account: a name that does not exist
//! costs the same Argon2 runs, counts as a failure and gets the same reply.

mod devices;
mod grant;
mod renewals;
mod tries;
mod visit;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ed25519_dalek::SigningKey;
use lanyard_node::transport::crowd;
use lanyard_protocol::ids::{AccountId, PeerKey};
use lanyard_protocol::login::{
    ChangePassword, Denial, DenialCode, DevicesReply, Login, Reply, Request,
};
use lanyard_protocol::time::Now;
use zeroize::Zeroizing;

use super::password::cost::Costs;
use super::password::pool::{Asker, Busy, Outcome, Pool, Question};
use super::password::{Check, Password, PasswordError};
use super::throttle::{Gate, Tryer};
use crate::authority::Authority;
use crate::chain;
use crate::clock::timekeeping;
use crate::names::Username;
use crate::policy::PublishError;
use crate::store::accounts::{self, Account};
use crate::store::thread::StoreHandle;
use crate::store::{Revision, Store, StoreError, devices as device_rows, rules};
use grant::{Act, SignIn};
use renewals::Renewals;
use tries::{Tries, lock, ms};
use visit::{LoginError, Signer, Visit, renewable};

/// Why no tickets are issued, as a part of the sentence that the client shows.
const CLOCK_IN_DOUBT: &str = "its clock may be wrong, and its operator must confirm it";
/// Longer than clients keep asking a busy login server.
const CLOCK_RETRY_S: u64 = 90;

/// Decides about logins; shared by all connections of the login server.
#[derive(Debug)]
pub struct Office {
    store: StoreHandle,
    pool: Pool,
    tries: Tries,
    renewals: Arc<Mutex<Renewals>>,
    costs: Arc<Mutex<KnownCosts>>,
    realm_key: Arc<SigningKey>,
    authority: Arc<dyn Authority>,
}

/// A reply of the login server; its kind depends on the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The reply to a request for a ticket.
    Ticket(Reply),
    /// The reply to a request about devices.
    Devices(DevicesReply),
}

impl Answer {
    /// The reply's bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ticket(reply) => reply.to_bytes(),
            Self::Devices(reply) => reply.to_bytes(),
        }
    }
}

/// What the database says before the password is checked.
struct Found {
    account: Option<Account>,
    is_known_device: bool,
    costs: Arc<Costs>,
}

/// The costs of the stored hashes, and the state of the database in which that was read.
type KnownCosts = Option<(Revision, Arc<Costs>)>;

/// The result of checking a password.
enum Checked {
    Right { account: Box<Account>, rehash: Option<String> },
    Not(Reply),
}

impl Office {
    /// Builds it from the parts that a decision needs.
    #[must_use]
    pub fn new(
        store: StoreHandle,
        pool: Pool,
        realm_key: Arc<SigningKey>,
        authority: Arc<dyn Authority>,
    ) -> Self {
        Self {
            store,
            pool,
            tries: Tries::default(),
            renewals: Arc::default(),
            costs: Arc::default(),
            realm_key,
            authority,
        }
    }

    #[cfg(test)]
    fn argon2_calls(&self) -> u64 {
        self.pool.hasher().runs().values().sum()
    }

    /// Answers a request of the device whose key Noise has proved.
    pub async fn answer(
        &self,
        peer: PeerKey,
        from: SocketAddr,
        request: Request,
        clock: impl Fn() -> Now,
    ) -> Answer {
        let now = clock();
        let clock_ms = now.wall_ms;
        let visit = Visit { peer, from, nickname: None, device_label: None, clock_ms };
        if signs(&request) && self.is_in_doubt(clock_ms).await {
            return Answer::Ticket(clock_in_doubt());
        }
        let answered = match request {
            Request::Login(login) => self.login(visit, login, clock).await.map(Answer::Ticket),
            Request::Renew(renew) => {
                self.renew(visit, renew.account, now).await.map(Answer::Ticket)
            }
            Request::ChangePassword(change) => {
                self.change_password(visit, change, clock).await.map(Answer::Ticket)
            }
            Request::ListDevices(list) => {
                self.list_devices(visit, list.account).await.map(Answer::Devices)
            }
            Request::LogOutDevice(out) => {
                self.log_out(visit, out.account, out.device).await.map(Answer::Devices)
            }
            Request::Unknown(_op) => {
                Ok(Answer::Ticket(denied(DenialCode::Unsupported, String::new(), None)))
            }
        };
        match answered {
            Ok(answer) => answer,
            // A denial has the same bytes in all kinds of replies.
            Err(LoginError::Refused(denial)) => Answer::Ticket(Reply::Denied(denial)),
            Err(LoginError::Publish(PublishError::Clock(_standing))) => {
                Answer::Ticket(clock_in_doubt())
            }
            Err(error) => {
                // The client can only try again; the operator must look into it.
                tracing::error!(error = %chain(error), "A request failed by a fault of this machine");
                Answer::Ticket(denied(DenialCode::Busy, String::new(), Some(5)))
            }
        }
    }

    /// Whether the clock may be wrong. This is checked before a password is, and again when something is signed; a
    /// database fault shows only then.
    async fn is_in_doubt(&self, clock_ms: u64) -> bool {
        let look = move |store: &mut Store| timekeeping::standing(store.reader(), clock_ms);
        self.store.run(look).await.is_ok_and(|standing| !standing.is_right())
    }

    async fn login(
        &self,
        visit: Visit,
        login: Login,
        clock: impl Fn() -> Now,
    ) -> Result<Reply, LoginError> {
        let Login { username, password, nickname, device_label } = login;
        match self.check(&visit, username, password, None, &clock).await? {
            Checked::Not(reply) => Ok(reply),
            Checked::Right { account, rehash } => {
                // The clock is read again: the check may have waited, and the device sets its clock by the reply.
                let visit = Visit { nickname, device_label, clock_ms: clock().wall_ms, ..visit };
                let act = Act::Login { rehash };
                self.grant(SignIn { account: *account, visit, act }).await
            }
        }
    }

    async fn change_password(
        &self,
        visit: Visit,
        change: ChangePassword,
        clock: impl Fn() -> Now,
    ) -> Result<Reply, LoginError> {
        let ChangePassword { username, old, new, revoke_others } = change;
        let new = Password::new(new)?;
        match self.check(&visit, username, old, Some(new), &clock).await? {
            Checked::Not(reply) => Ok(reply),
            Checked::Right { account, rehash } => {
                let phc = rehash.ok_or(LoginError::WorkersGone)?;
                let act = Act::ChangePassword { phc, revoke_others };
                let visit = Visit { clock_ms: clock().wall_ms, ..visit };
                self.grant(SignIn { account: *account, visit, act }).await
            }
        }
    }

    async fn renew(&self, visit: Visit, account: AccountId, now: Now) -> Result<Reply, LoginError> {
        let (signer, renewals) = (self.signer(), Arc::clone(&self.renewals));
        let granted = self.store.run(move |store| {
            let db = store.reader();
            // Read first, so that a stranger costs no transaction.
            if let Err(denial) = renewable(db, account, &visit)? {
                return Ok(Reply::Denied(denial));
            }
            let lifetime_s = rules::newest(db)?.ticket_lifetime_s;
            let device = (account, visit.peer);
            if let Err(wait_ms) = lock(&renewals).take(device, lifetime_s, ms(now.mono)) {
                return Ok(busy(wait_ms.div_ceil(1_000)));
            }
            store.write(|tx| grant::renew(tx, &signer, account, &visit))
        });
        granted.await
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
            // Read first, so that a stranger costs no transaction.
            let reply = devices::list(store.reader(), account, &visit)?;
            if matches!(reply, DevicesReply::Denied(_)) {
                return Ok(reply);
            }
            store.write(|tx| devices::log_out(tx, &signer, account, number, &visit))
        });
        replied.await
    }

    /// Checks a password. Every check goes through here: throttle, pool, throttle. With `new`, the result includes the
    /// hash to store.
    async fn check(
        &self,
        visit: &Visit,
        username: String,
        password: Zeroizing<String>,
        new: Option<Password>,
        clock: &impl Fn() -> Now,
    ) -> Result<Checked, LoginError> {
        let password = match Password::new(password) {
            Ok(password) => password,
            Err(PasswordError::Empty | PasswordError::TooLong) => {
                return Ok(Checked::Not(wrong()));
            }
            Err(error) => return Err(error.into()),
        };
        let username = Username::parse(&username).map_err(|_cannot_exist| username);
        // All spellings of a name share one key; otherwise each spelling would get five tries.
        let key = username.as_ref().map_or_else(Clone::clone, |name| name.as_str().to_owned());
        let Found { account, is_known_device, costs } =
            self.find(username.ok(), visit.peer).await?;
        let stranger = Tryer::stranger(&key, visit.from.ip());
        let known = account.as_ref().filter(|_account| is_known_device).map(|account| account.id);
        let (tryer, asker) = match known {
            Some(account) => (Tryer::known(&key, visit.peer), Asker::Known(account)),
            None => (stranger.clone(), Asker::Stranger(crowd::address(visit.from.ip()))),
        };
        let trying = match self.tries.begin(tryer, clock()) {
            Ok(trying) => trying,
            Err(gate) => return Ok(Checked::Not(refusal_at(gate))),
        };
        let stored = account.as_ref().map(|account| account.phc.clone());
        let check =
            match self.ask(Question { password, stored, costs, replacement: new }, asker).await {
                Ok(outcome) => outcome?,
                Err(Busy { retry_after_s }) => return Ok(Checked::Not(busy(retry_after_s))),
            };
        if let (Check::Right { rehash }, Some(account)) = (check, account) {
            trying.succeeded();
            return Ok(Checked::Right { account: Box::new(account), rehash });
        }
        let now = clock();
        // Without the right password, nobody learns that a known device may skip the delay of strangers.
        let was = known.map_or(Gate::Open, |_account| self.tries.gate(&stranger, now));
        trying.failed(now);
        let (peer, address) = (visit.peer, visit.from.ip());
        tracing::debug!(target: "lanyard_rendezvous::audit", ?peer, %address, "Sign-in refused");
        Ok(Checked::Not(refusal_at(was)))
    }

    /// Asks the pool. No answer means that the job had to make room for somebody else's.
    async fn ask(&self, question: Question, asker: Asker) -> Result<Outcome, Busy> {
        self.pool.check(question, asker)?.await.map_err(|_dropped| self.pool.busy_now())
    }

    async fn find(&self, name: Option<Username>, peer: PeerKey) -> Result<Found, LoginError> {
        let costs = Arc::clone(&self.costs);
        let found = self.store.run(move |store: &mut Store| {
            let costs = costs_of(store, &costs)?;
            let db = store.reader();
            // The queries are the same whether the account exists or not, so their timing reveals nothing.
            let account = accounts::by_username(db, name.as_ref().map_or("", Username::as_str))?;
            let id = account.as_ref().map_or(AccountId([0; 16]), |account| account.id);
            let device = device_rows::find(db, id, peer)?;
            let is_known_device = device.is_some_and(|device| !device.logged_out);
            Ok::<_, StoreError>(Found { account, is_known_device, costs })
        });
        Ok(found.await?)
    }

    async fn grant(&self, sign_in: SignIn) -> Result<Reply, LoginError> {
        let signer = self.signer();
        let granted =
            self.store.run(move |store| store.write(|tx| grant::grant(tx, &signer, &sign_in)));
        granted.await
    }

    fn signer(&self) -> Signer {
        Signer { realm_key: Arc::clone(&self.realm_key), authority: Arc::clone(&self.authority) }
    }
}

/// The costs of all stored hashes. They are read again only after the database has changed.
fn costs_of(store: &Store, known: &Mutex<KnownCosts>) -> Result<Arc<Costs>, StoreError> {
    let revision = store.revision()?;
    let mut known = lock(known);
    if let Some((read_at, costs)) = &*known
        && *read_at == revision
    {
        return Ok(Arc::clone(costs));
    }
    let costs = Arc::new(Costs::of(accounts::phcs(store.reader())?));
    *known = Some((revision, Arc::clone(&costs)));
    Ok(costs)
}

/// Whether the answer to this request may need a signature.
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

fn busy(retry_after_s: u64) -> Reply {
    denied(DenialCode::Busy, String::new(), Some(retry_after_s))
}

fn wrong() -> Reply {
    denied(DenialCode::BadCredentials, String::new(), None)
}

/// The denial of a try that met this gate; at an open one the password was wrong.
fn refusal_at(gate: Gate) -> Reply {
    match gate {
        Gate::Open => wrong(),
        Gate::Crowded => busy(1),
        Gate::Wait { ms } => denied(DenialCode::Locked, String::new(), Some(ms.div_ceil(1_000))),
    }
}

#[cfg(test)]
mod tests;

//! Joins a realm: opens the profile, logs in or uses a stored ticket, and starts a node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::{DenialCode, Login, PeerAddresses};
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::CLOCK_OFF_MS;
use lanyard_protocol::time::{Now, RealmClock};
use lanyard_protocol::words;

use super::client::{Client, NotGranted, Password};
use super::exchange::LoginError;
use super::granted::Granted;
use super::places::Places;
use super::refusals::{LOGIN_NODE_CLOCK, denied, is_lasting, unreachable, wrong_realm};
use crate::clock::Clock;
use crate::driver::start::{NodeConfig, StartError};
use crate::handle::Node;
use crate::host;
use crate::names::spelled;
use crate::profile::Profile;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{Membership, Store, StoreError};

/// How long to keep asking a busy login server.
const BUSY_PATIENCE: Duration = Duration::from_secs(60);

/// What a node needs to join.
pub struct JoinRequest {
    /// The realm, and the address of its login server.
    pub link: JoinLink,
    /// The unique name, as typed.
    pub username: String,
    /// If given, the password decides whether we get in, provided that the login server answers. Otherwise a stored
    /// valid ticket is used.
    pub password: Option<Password>,
    /// The display name that the user would like. The login server decides.
    pub nickname: Option<String>,
    /// The path of the profile folder.
    pub profile: PathBuf,
    /// Where to listen for peers. If empty, on every address and on the port used last.
    pub listen: Vec<SocketAddr>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest")
            .field("username", &self.username)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A step of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinStep {
    /// Connecting to the login server.
    Connecting,
    /// The login server is checking the password.
    Checking,
    /// The node is starting.
    Joining,
}

/// The result of joining.
#[derive(Debug)]
pub struct Joined {
    /// The running node.
    pub node: Node,
    /// True if a stored ticket let us in because the login server did not answer.
    pub offline: bool,
    /// Notices for the user, such as a wrong clock, each with a code and a sentence.
    pub notices: Vec<(&'static str, String)>,
}

/// What a node starts with, just granted or stored.
struct Entry {
    ticket: Ticket,
    policy: SignedPolicy,
    clock: RealmClock,
    candidates: Vec<PeerAddresses>,
    /// Whether it comes from the store.
    stored: bool,
    notices: Vec<(&'static str, String)>,
}

/// Joins a realm, and reports each step to `progress`.
///
/// # Errors
/// A [`Refusal`] with a code and a sentence that says what to do.
pub async fn join(
    request: JoinRequest,
    progress: impl Fn(JoinStep) + Send + Sync,
) -> Result<Joined, Refusal> {
    let request = JoinRequest { username: spelled(&request.username), ..request };
    if request.link.invite.is_some() {
        return Err(Refusal::of(
            RefusalCode::Invite,
            "Invite links are not built yet: ask the operator for an account and a link without invite=.",
        ));
    }
    let profile = Profile::open(&request.profile)?;
    let entry = match &request.password {
        Some(_) => with_password(&request, &profile, &progress).await?,
        None => stored_ticket(&request.link, &request.username, &profile)?.ok_or_else(|| {
            Refusal::of(
                RefusalCode::BadCredentials,
                "This profile is not signed in under that name: a password is needed.",
            )
        })?,
    };
    let had_password = request.password.is_some();
    progress(JoinStep::Joining);
    let node = Node::start(NodeConfig {
        login_server: Some(request.link),
        key: profile.key().clone(),
        ticket: entry.ticket,
        policy: entry.policy,
        clock: entry.clock,
        database: profile.database(),
        listen: request.listen,
        candidates: entry.candidates,
        profile: Some(profile),
    })?;
    Ok(Joined { node, offline: entry.stored && had_password, notices: entry.notices })
}

/// Whether this profile has a ticket that lets `username` in without a password. Locks the profile for a moment.
///
/// # Errors
/// A [`Refusal`] if the profile cannot be used.
pub fn has_ticket(link: &JoinLink, username: &str, profile: &Path) -> Result<bool, Refusal> {
    Ok(stored_ticket(link, &spelled(username), &Profile::open(profile)?)?.is_some())
}

/// The login server decides if it answers. A stored ticket helps only if it does not.
async fn with_password(
    request: &JoinRequest,
    profile: &Profile,
    progress: &(impl Fn(JoinStep) + Sync),
) -> Result<Entry, Refusal> {
    let deadline = tokio::time::Instant::now() + BUSY_PATIENCE;
    let earlier = Store::open(&profile.database(), &request.link.realm)?.reader()?.login_node()?;
    let places = Arc::new(Places::new(request.link.clone(), earlier.as_deref()));
    let client = Client::new(profile.key().clone(), Arc::clone(&places));
    loop {
        progress(JoinStep::Connecting);
        let login = Login {
            username: request.username.clone(),
            password: request.password.clone().unwrap_or_default(),
            nickname: request.nickname.clone(),
            device_label: host::device_label(),
        };
        match client.login(login, || progress(JoinStep::Checking)).await {
            Ok(granted) => {
                // Take the time now: creating a store takes a while, and would put our clock behind.
                let now = Clock::new().now();
                return keep(request, profile, granted, places.last(), now);
            }
            // A login node that signs nothing for now is like one that does not answer: a stored ticket helps.
            Err(NotGranted::Denied(denial)) if is_lasting(&denial) => {
                let refusal = denied(&denial);
                let stored = stored_ticket(&request.link, &request.username, profile)?;
                let Some(mut entry) = stored else { return Err(refusal) };
                entry.notices.push((LOGIN_NODE_CLOCK, refusal.reason));
                return Ok(entry);
            }
            Err(NotGranted::Denied(denial)) => {
                let wait = Duration::from_secs(denial.retry_after_s.unwrap_or(1).max(1));
                let busy = denial.code == DenialCode::Busy;
                if !busy || tokio::time::Instant::now() + wait > deadline {
                    return Err(denied(&denial));
                }
                tokio::time::sleep(wait).await;
            }
            Err(NotGranted::Unusable(what)) => {
                let reason =
                    format!("The login node's reply cannot be used: {what}. Tell the operator.");
                return Err(Refusal::of(RefusalCode::UnusableReply, reason));
            }
            Err(NotGranted::Unanswered(LoginError::WrongRealm)) => return Err(wrong_realm()),
            Err(NotGranted::Unanswered(LoginError::Unreachable(cause))) => {
                let unreachable = || unreachable(&request.link, &cause);
                let stored = stored_ticket(&request.link, &request.username, profile)?;
                return stored.ok_or_else(unreachable);
            }
        }
    }
}

/// Stores what the login server has granted. `now` is when the reply arrived.
fn keep(
    request: &JoinRequest,
    profile: &Profile,
    granted: Granted,
    place: Option<String>,
    now: Now,
) -> Result<Entry, Refusal> {
    let realm = request.link.realm;
    let mut store = Store::open(&profile.database(), &realm)?;
    let (stored_policy, _old_clock, peers) = stored_state(&store, &realm)?;
    // A login node restored from a backup may be behind the mesh.
    let newer = stored_policy.filter(|stored| stored.rank() > granted.policy.rank());
    let policy = newer.unwrap_or(granted.policy);
    // Do not keep the high-water mark: an earlier wrong clock must not outlive a login.
    let clock = RealmClock::learnt(granted.realm_ms, now, 0);
    let notices = notices(granted.nickname_refused.as_deref(), &clock);
    let membership = Membership {
        login_name: request.username.clone(),
        ticket: granted.ticket.as_bytes().to_vec(),
        authority: granted.authority.clone(),
    };
    store.keep_membership(&membership, policy.as_bytes(), &clock)?;
    if let Some(place) = place {
        store.remember_login_node(place, granted.realm_ms)?;
    }
    let candidates = [vec![granted.authority], granted.peers, peers].concat();
    Ok(Entry { ticket: granted.ticket, policy, clock, candidates, stored: false, notices })
}

fn notices(nickname_refused: Option<&str>, clock: &RealmClock) -> Vec<(&'static str, String)> {
    let mut notices = Vec::new();
    if clock.offset_ms().unsigned_abs() > CLOCK_OFF_MS {
        let ahead = words::ahead(clock.offset_ms().saturating_neg());
        let text = format!(
            "This computer's clock is {ahead} the login node's, whose time is used here. \
             If this computer's clock is right, tell the operator."
        );
        notices.push(("clock-off", text));
    }
    if let Some(reason) = nickname_refused {
        notices.push((
            "nickname-refused",
            format!("The nickname was not taken: {reason}. The old one stays."),
        ));
    }
    notices
}

/// A ticket of this realm, user and device that is still valid.
fn stored_ticket(
    link: &JoinLink,
    username: &str,
    profile: &Profile,
) -> Result<Option<Entry>, Refusal> {
    let realm = link.realm;
    let store = Store::open(&profile.database(), &realm)?;
    let (policy, clock, peers) = stored_state(&store, &realm)?;
    let Some(policy) = policy else { return Ok(None) };
    let realm_ms = clock.peek_ms(Clock::new().now());
    for membership in store.reader()?.memberships()? {
        let Ok(ticket) = Ticket::verify(&membership.ticket, &realm) else { continue };
        let claims = ticket.claims();
        let same_user = membership.login_name == username || claims.username == username;
        if same_user && claims.peer == public_key(profile.key()) && claims.covers(realm_ms) {
            let candidates = [vec![membership.authority], peers].concat();
            let notices = Vec::new();
            return Ok(Some(Entry { ticket, policy, clock, candidates, stored: true, notices }));
        }
    }
    Ok(None)
}

type StoredState = (Option<SignedPolicy>, RealmClock, Vec<PeerAddresses>);

fn stored_state(store: &Store, realm: &PeerKey) -> Result<StoredState, StoreError> {
    let reader = store.reader()?;
    let (policy, clock) = reader.realm_state()?;
    let policy = policy.and_then(|bytes| SignedPolicy::verify(&bytes, realm).ok());
    Ok((policy, clock, reader.peers()?))
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Port(_) | StartError::System(_) => {
                Self::new(RefusalCode::CannotListen, &error)
            }
        }
    }
}

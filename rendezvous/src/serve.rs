//! `serve`: opens keys and database, the login server and the authority peer, and keeps the policy signed until told to stop.

mod doubt;
mod keeper;

use std::fs::{File, TryLockError};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_node::failure;
use lanyard_node::keyfile::Seed;
use lanyard_node::net::ports::PortError;
use lanyard_node::node::StartError;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::limits::ADDRESSES_PER_PEER_MAX;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;
use rusqlite::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::folder::{self, Folder, FolderError};
use crate::issuer;
use crate::login_server::{LoginServer, LoginServerError};

use crate::authority::{Authority, AuthorityConfig, StandIn};
use crate::login::{self, LoginError, Office};
use crate::password::pool::{self, Pool};
use crate::password::{Hasher, PasswordError};
use crate::policy::{self, PublishError};
use crate::ports;
use crate::store::thread::StoreHandle;
use crate::store::{Store, StoreError, meta, sessions};
use crate::timekeeping;
use keeper::Keeper;

/// The file whose lock says that `serve` runs on a data directory.
pub(crate) const LOCK_FILE: &str = "serve.lock";
/// How often the rows are looked at for acts of the command line.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// The longest that the authority peer may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// The longest that tidying the database may take; the two are well under the two seconds that we are given.
const TIDY: Duration = Duration::from_millis(600);

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The login server's address; port 0 for the last one.
    pub listen: SocketAddr,
    /// The authority peer's address, if not beside the login server's.
    pub mesh_listen: Option<SocketAddr>,
    /// HOST of the join link.
    pub advertise: Option<String>,
    /// A new name for the realm.
    pub name: Option<String>,
    /// Whether the authority peer relays.
    pub relay: bool,
}

/// What there is to say once it listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The join link.
    pub link: JoinLink,
    /// Links by other addresses of this computer.
    pub others: Vec<JoinLink>,
    /// Why another link may be the right one.
    pub doubt: Option<&'static str>,
    /// The login server's multiaddrs.
    pub login_server: Vec<String>,
    /// The authority peer's multiaddrs.
    pub authority: Vec<String>,
    /// The authority peer's key.
    pub authority_peer: PeerKey,
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be made or locked.
    #[error("the data directory {path} cannot be used")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Another `serve` has it.
    #[error("another lanyard-rendezvous serves {path} already")]
    Running {
        /// The directory.
        path: PathBuf,
    },
    /// `rendezvous.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory is open to others, or has lost a part.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Argon2.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The first policy.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The login server.
    #[error(transparent)]
    LoginServer(#[from] LoginServerError),
    /// The authority peer's ticket.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The authority peer.
    #[error(transparent)]
    Authority(#[from] StartError),
    /// A part of the program has failed.
    #[error("{0}")]
    Failed(String),
    /// The authority peer has left the mesh: nobody would hear of a new policy any more.
    #[error("the login node's own peer has ended: {0}")]
    AuthorityEnded(String),
    /// Nobody could sign in any more.
    #[error("the desk no longer listens for sign-ins")]
    LoginServerClosed,
    /// Threads.
    #[error("the system gives no threads")]
    Threads(#[source] std::io::Error),
    /// The realm's name cannot be shown.
    #[error("{0:?} cannot be the realm's name: it must have 1 to 48 visible characters")]
    Name(String),
}

/// Serves until `shutdown` is ready. `start_authority` plugs in the mesh; `announce` is called once, when both listen.
///
/// # Errors
/// [`ServeError`] if it cannot start.
pub async fn serve(
    options: Options,
    start_authority: impl FnOnce(AuthorityConfig) -> Result<Arc<dyn Authority>, StartError>,
    announce: impl FnOnce(&Listening),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let _lock = prepare_data_dir(&options.data_dir)?;
    raise_file_limit();
    let config = Config::load(&options.data_dir)?;
    let Folder { mut store, realm, authority: authority_seed } = folder::open(&options.data_dir)?;
    let realm_key = Arc::new(SigningKey::from_bytes(&realm));
    let places = choose_places(&mut store, &options, public_key(&realm_key))?;
    let hasher = Arc::new(Hasher::new(config.argon2)?);
    let pool = || {
        let workers = pool::workers(config.argon2);
        Pool::start(Arc::clone(&hasher), workers).map_err(ServeError::Threads)
    };
    let me = authority_address(&authority_seed, &places);
    let told = listening(&options, &places, &me, public_key(&realm_key), store.reader())?;
    let is_right = timekeeping::standing(store.reader(), clock::unix_ms())?.is_right();
    let (store, store_thread) = StoreHandle::start(store).map_err(ServeError::Threads)?;
    let mut shutdown = std::pin::pin!(shutdown);
    let announce = if is_right {
        Some(announce)
    } else {
        let stand_in = StandIn::of(me);
        let office = Office::new(store.clone(), pool()?, Arc::clone(&realm_key), stand_in);
        let login_server =
            LoginServer::open(&realm_key, places.login_server, Arc::new(office)).await?;
        announce(&told);
        if !is_right_before(shutdown.as_mut(), login_server, &store).await? {
            return Ok(());
        }
        None
    };
    let (signed, ticket) = sign_first(&store, &realm_key, &authority_seed).await?;
    let started = clock::unix_ms();
    let head = signed.sign_head(&realm_key);
    let authority =
        start_authority(authority_config(authority_seed, ticket, &signed, head, &places, started))?;
    let office =
        Office::new(store.clone(), pool()?, Arc::clone(&realm_key), Arc::clone(&authority));
    let login_server = LoginServer::open(&realm_key, places.login_server, Arc::new(office)).await?;
    if let Some(announce) = announce {
        announce(&told);
    }

    let told = signed.policy().number;
    let keeper = Keeper { store, realm_key, authority: Arc::clone(&authority), told };
    let ended = tokio::select! {
        biased;
        () = shutdown => {
            tracing::info!("Stopping");
            Ok(())
        }
        error = fails(login_server, &keeper) => Err(error),
    };
    leave(&keeper).await;
    drop(keeper);
    // Handles may still be held by a sign-in in progress; the process ends without waiting for it.
    drop(store_thread);
    ended
}

/// Serves as long as every part does; why it cannot go on.
async fn fails(login_server: LoginServer, keeper: &Keeper) -> ServeError {
    tokio::select! {
        biased;
        why = failure::failed() => ServeError::Failed(why),
        why = keeper.authority.ended() => ServeError::AuthorityEnded(why),
        () = login_server.run() => ServeError::LoginServerClosed,
        () = keeper.watch() => StoreError::Closed.into(),
    }
}

/// Keeps the login server open, where everybody learns why they are not signed in, until the clock is right; false if told to
/// stop before that.
async fn is_right_before(
    shutdown: Pin<&mut impl Future<Output = ()>>,
    login_server: LoginServer,
    store: &StoreHandle,
) -> Result<bool, ServeError> {
    tokio::select! {
        biased;
        () = shutdown => Ok(false),
        why = failure::failed() => Err(ServeError::Failed(why)),
        () = login_server.run() => Err(ServeError::LoginServerClosed),
        waited = doubt::wait(store) => waited.map(|()| true).map_err(ServeError::from),
    }
}

async fn leave(keeper: &Keeper) {
    // Whoever stops us waits two seconds at most; the goodbye is a courtesy.
    tokio::time::timeout(GOODBYE, keeper.authority.quit()).await.ok();
    // So is tidying up: on a slow disk the next start does it, and the database is whole either way.
    if tokio::time::timeout(TIDY, tidy_up(keeper)).await.is_err() {
        tracing::warn!("The database has not been tidied in time");
    }
}

async fn tidy_up(keeper: &Keeper) {
    keeper.roll_call(Vec::new()).await;
    if let Err(error) = keeper.store.run(|store| store.gather()).await {
        let error = login::error_chain(&error);
        tracing::warn!(%error, "The database has not been tidied");
    }
}

/// Desk and member hold thousands of sockets between them; on many systems the soft limit is 1,024 files.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "The limit of open files could not be raised");
    }
}

/// Whether `serve` runs on this data directory now.
///
/// # Errors
/// What the system says if the lock cannot be asked.
pub fn is_running(data_dir: &Path) -> std::io::Result<bool> {
    let file = match File::open(data_dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the data directory for oneself, so that `serve` cannot start on it; `None` if it runs.
///
/// # Errors
/// What the system says if the directory cannot be locked.
pub fn lock(data_dir: &Path) -> std::io::Result<Option<File>> {
    let lock =
        File::options().create(true).truncate(false).write(true).open(data_dir.join(LOCK_FILE))?;
    // A command line holds a shared lock for the moment in which it asks whether we run.
    for _try in 0..10 {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(20)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

fn prepare_data_dir(path: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::DataDir { path: path.to_owned(), source };
    folder::prepare(path).map_err(FolderError::from)?;
    let free = lock(path).map_err(failed)?;
    free.ok_or_else(|| ServeError::Running { path: path.to_owned() })
}

/// Where desk and member listen.
#[derive(Debug, Clone, Copy)]
struct Places {
    login_server: SocketAddr,
    authority: SocketAddr,
    relay: bool,
}

fn choose_places(
    store: &mut Store,
    options: &Options,
    realm: PeerKey,
) -> Result<Places, ServeError> {
    let name = options.name.as_deref().map(realm_name).transpose()?;
    let last = |key| meta::number(store.reader(), key);
    let login_server = ports::choose(options.listen, last(meta::DESK_PORT)?)?;
    let wanted = options.mesh_listen.unwrap_or_else(|| ports::beside(options.listen));
    let mut authority = ports::choose(wanted, last(meta::AUTHORITY_PORT)?)?;
    if authority == login_server && wanted.port() == 0 {
        authority = ports::choose(wanted, None)?;
    }
    if authority.port() == login_server.port() {
        return Err(PortError::InUse { port: authority.port() }.into());
    }
    store.write(|tx| {
        meta::set(tx, meta::DESK_PORT, &login_server.port().to_string())?;
        meta::set(tx, meta::AUTHORITY_PORT, &authority.port().to_string())?;
        meta::set(tx, meta::REALM_ID, &realm.to_string())?;
        name.map_or(Ok(()), |name| meta::set(tx, meta::REALM_NAME, &name))?;
        sessions::set_online(tx, &[])
    })?;
    Ok(Places { login_server, authority, relay: options.relay })
}

/// A realm's name stands in every window title, so it obeys the rules for nicknames.
fn realm_name(text: &str) -> Result<String, ServeError> {
    crate::names::Nickname::parse(text)
        .map(|name| name.as_str().to_owned())
        .map_err(|_reason| ServeError::Name(text.to_owned()))
}

fn authority_address(seed: &Seed, places: &Places) -> PeerAddresses {
    let peer = public_key(&SigningKey::from_bytes(seed));
    PeerAddresses { peer, addresses: ports::reachable(places.authority, ADDRESSES_PER_PEER_MAX) }
}

/// The policy in force and the authority peer's first ticket, signed by a clock that is right.
async fn sign_first(
    store: &StoreHandle,
    realm_key: &Arc<SigningKey>,
    authority_seed: &Seed,
) -> Result<(SignedPolicy, Ticket), ServeError> {
    let (key, realm_key) =
        (public_key(&SigningKey::from_bytes(authority_seed)), Arc::clone(realm_key));
    let id = login::random_id()?;
    let signed = store.run(move |store| {
        let clock_ms = clock::unix_ms();
        store.write(|tx| {
            timekeeping::note_right(tx, clock_ms)?;
            let (signed, _is_new) = policy::publish(tx, &realm_key, clock_ms)?;
            let now = meta::realm_now(tx, clock_ms)?;
            let number = signed.policy().number;
            let ticket = issuer::issue_for_authority(&realm_key, key, now, number, id);
            Ok::<_, PublishError>((signed, ticket))
        })
    });
    Ok(signed.await?)
}

fn authority_config(
    seed: Seed,
    ticket: Ticket,
    policy: &SignedPolicy,
    policy_head: Vec<u8>,
    places: &Places,
    realm_now_ms: u64,
) -> AuthorityConfig {
    AuthorityConfig {
        seed,
        ticket,
        policy_head,
        policy: policy.clone(),
        realm_now_ms,
        listen: places.authority,
        addresses: ports::reachable(places.authority, ADDRESSES_PER_PEER_MAX),
        relay: places.relay,
    }
}

fn listening(
    options: &Options,
    places: &Places,
    authority: &PeerAddresses,
    realm: PeerKey,
    conn: &Connection,
) -> Result<Listening, StoreError> {
    let name = meta::text(conn, meta::REALM_NAME)?;
    let ports::LinkHosts { hosts, doubt } =
        ports::link_hosts(options.advertise.as_deref(), places.login_server);
    let link = JoinLink {
        host: String::new(),
        port: places.login_server.port(),
        realm,
        name: Some(name.unwrap_or_else(|| policy::DEFAULT_NAME.to_owned())),
        invite: None,
    };
    let mut links = hosts.into_iter().map(|host| JoinLink { host, ..link.clone() });
    Ok(Listening {
        link: links.next().unwrap_or_else(|| link.clone()),
        others: links.collect(),
        doubt,
        login_server: ports::reachable(places.login_server, ADDRESSES_PER_PEER_MAX),
        authority: authority.addresses.clone(),
        authority_peer: authority.peer,
    })
}

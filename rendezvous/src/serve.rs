//! `serve`: opens keys and database, starts the login server and the authority peer, and keeps the policy signed until
//! it is told to stop.

mod doubt;
mod keeper;
mod ports;

use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use lanyard_node::StartError;
use lanyard_node::keyfile::Seed;
use lanyard_node::random::{self, NoRandomness};
use lanyard_node::transport::ports::PortError;
use lanyard_program::failure;
use lanyard_protocol::cose::public_key;
use lanyard_protocol::ids::PeerKey;
use lanyard_protocol::limits::ADDRESSES_PER_PEER_MAX;
use lanyard_protocol::link::JoinLink;
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::policy::SignedPolicy;
use lanyard_protocol::ticket::Ticket;

use crate::authority::{Authority, AuthorityConfig, StandIn};
use crate::chain;
use crate::clock::{self, timekeeping};
use crate::folder::config::{Config, ConfigError};
use crate::folder::{self, Folder, FolderError, lock};
use crate::policy::{self, PublishError};
use crate::server::login::Office;
use crate::server::password::cost::Costs;
use crate::server::password::pool::{self, Pool};
use crate::server::password::{Hasher, PasswordError};
use crate::server::{LoginServer, LoginServerError, issuer};
use crate::store::thread::StoreHandle;
use crate::store::{Db, Store, StoreError, accounts, meta, sessions};
use keeper::Keeper;

/// How long the authority peer may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long tidying the database may take. Together the two stay well under the two seconds that we are given.
const TIDY: Duration = Duration::from_millis(600);

/// The options of `serve`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The login server's address; port 0 means the last one.
    pub listen: SocketAddr,
    /// The authority peer's address; by default on the port after the login server's.
    pub mesh_listen: Option<SocketAddr>,
    /// The host for the join link.
    pub advertise: Option<String>,
    /// A new name for the realm.
    pub name: Option<String>,
}

/// What to announce once everything listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The join link.
    pub link: JoinLink,
    /// The same link with other addresses of this computer.
    pub others: Vec<JoinLink>,
    /// Why another link may be the right one, in words.
    pub doubt: Option<&'static str>,
    /// The login server's multiaddrs.
    pub login_server: Vec<String>,
    /// The authority peer's multiaddrs.
    pub authority: Vec<String>,
    /// The authority peer's key.
    pub authority_peer: PeerKey,
}

/// Why `serve` could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be locked.
    #[error("the data folder {path} cannot be used")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another `serve` is running on the data folder.
    #[error("another lanyard-rendezvous already serves {0}")]
    Running(PathBuf),
    /// `rendezvous.toml` cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder is not private, or has lost a part.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The login node cannot listen on an address.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Passwords cannot be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The first policy could not be signed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The login server could not be opened.
    #[error(transparent)]
    LoginServer(#[from] LoginServerError),
    /// The authority peer's ticket could not be issued.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The authority peer could not be started.
    #[error(transparent)]
    Authority(#[from] StartError),
    /// A part of the program has failed.
    #[error("{0}")]
    Failed(String),
    /// The authority peer has left the mesh, so nobody would hear of a new policy.
    #[error("the login node's own peer has ended: {0}")]
    AuthorityEnded(String),
    /// The login server has closed, so nobody could sign in.
    #[error("the login server no longer listens")]
    LoginServerClosed,
    /// No threads could be started.
    #[error("the system provides no threads")]
    Threads(#[source] std::io::Error),
    /// The realm's name is not valid.
    #[error("{0:?} cannot be the realm's name: it must have 1 to 48 visible characters")]
    Name(String),
}

/// Serves until `shutdown` is ready. `start_authority` connects the mesh; `announce` is called once, when everything
/// listens.
///
/// # Errors
/// [`ServeError`] if it cannot start, or a part of it fails.
pub async fn serve(
    options: Options,
    start_authority: impl FnOnce(AuthorityConfig) -> Result<Arc<dyn Authority>, StartError>,
    announce: impl FnOnce(&Listening),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let _lock = prepare_data_dir(&options.data_dir)?;
    lanyard_program::limits::raise_file_limit();
    let config = Config::load(&options.data_dir)?;
    let Folder { mut store, realm, authority: authority_seed } = folder::open(&options.data_dir)?;
    let realm_key = Arc::new(SigningKey::from_bytes(&realm));
    let places = choose_places(&mut store, &options, public_key(&realm_key))?;
    let hasher = Arc::new(Hasher::new(config.argon2)?);
    let costs = Costs::of(accounts::phcs(store.reader())?);
    let workers = pool::workers(config.argon2, &costs);
    let pool = || Pool::start(Arc::clone(&hasher), workers).map_err(ServeError::Threads);
    let me = authority_address(&authority_seed, &places);
    let told = listening(&options, &places, &me, public_key(&realm_key), store.reader())?;
    let is_right = timekeeping::standing(store.reader(), clock::unix_ms())?.is_right();
    let (store, store_thread) = StoreHandle::start(store).map_err(ServeError::Threads)?;
    let mut shutdown = std::pin::pin!(shutdown);
    let announce = if is_right {
        Some(announce)
    } else {
        let stand_in = Arc::new(StandIn(me));
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
    let authority = start_authority(AuthorityConfig {
        data_dir: options.data_dir,
        seed: authority_seed,
        ticket,
        policy_head: signed.sign_head(&realm_key),
        policy: signed.clone(),
        realm_now_ms: clock::unix_ms(),
        listen: places.authority,
        addresses: ports::reachable(places.authority, ADDRESSES_PER_PEER_MAX),
    })?;
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
    // A sign-in in progress may still hold a handle; the process ends without waiting for it.
    drop(store_thread);
    ended
}

/// Serves until a part fails, and returns the reason.
async fn fails(login_server: LoginServer, keeper: &Keeper) -> ServeError {
    tokio::select! {
        biased;
        why = failure::failed() => ServeError::Failed(why),
        why = keeper.authority.ended() => ServeError::AuthorityEnded(why),
        () = login_server.run() => ServeError::LoginServerClosed,
        () = keeper.watch() => StoreError::Closed.into(),
    }
}

/// Keeps the login server open until the clock is right; until then it tells everybody why they cannot sign in. Returns
/// false if told to stop before that.
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
    // We are given two seconds to stop; the goodbye is a courtesy.
    tokio::time::timeout(GOODBYE, keeper.authority.quit()).await.ok();
    // So is tidying up: on a slow disk the next start does it, and the database is sound either way.
    if tokio::time::timeout(TIDY, tidy_up(keeper)).await.is_err() {
        tracing::warn!("The database was not tidied in time");
    }
}

async fn tidy_up(keeper: &Keeper) {
    keeper.roll_call(Vec::new()).await;
    if let Err(error) = keeper.store.run(|store| store.checkpoint()).await {
        tracing::warn!(error = %chain(error), "The database was not tidied");
    }
}

fn prepare_data_dir(path: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::DataDir { path: path.to_owned(), source };
    folder::prepare(path).map_err(FolderError::from)?;
    let free = lock::take(path).map_err(failed)?;
    free.ok_or_else(|| ServeError::Running(path.to_owned()))
}

/// Where login server and authority peer listen.
#[derive(Debug, Clone, Copy)]
struct Places {
    login_server: SocketAddr,
    authority: SocketAddr,
}

fn choose_places(
    store: &mut Store,
    options: &Options,
    realm: PeerKey,
) -> Result<Places, ServeError> {
    let name = options.name.as_deref().map(realm_name).transpose()?;
    let last = |key| meta::number(store.reader(), key);
    let login_server = ports::choose(options.listen, last(meta::LOGIN_PORT)?)?;
    let wanted = options.mesh_listen.unwrap_or_else(|| ports::beside(options.listen));
    let mut authority = ports::choose(wanted, last(meta::AUTHORITY_PORT)?)?;
    if authority == login_server && wanted.port() == 0 {
        authority = ports::choose(wanted, None)?;
    }
    if authority.port() == login_server.port() {
        return Err(PortError::InUse { port: authority.port() }.into());
    }
    store.write(|tx| {
        meta::set(tx, meta::LOGIN_PORT, &login_server.port().to_string())?;
        meta::set(tx, meta::AUTHORITY_PORT, &authority.port().to_string())?;
        meta::set(tx, meta::REALM_ID, &realm.to_string())?;
        name.map_or(Ok(()), |name| meta::set(tx, meta::REALM_NAME, &name))?;
        sessions::set_online(tx, &[])
    })?;
    Ok(Places { login_server, authority })
}

/// The name of a realm appears in every window title, so it follows the rules for nicknames.
fn realm_name(text: &str) -> Result<String, ServeError> {
    crate::names::Nickname::parse(text)
        .map(|name| name.as_str().to_owned())
        .map_err(|_reason| ServeError::Name(text.to_owned()))
}

fn authority_address(seed: &Seed, places: &Places) -> PeerAddresses {
    let peer = public_key(&SigningKey::from_bytes(seed));
    PeerAddresses { peer, addresses: ports::reachable(places.authority, ADDRESSES_PER_PEER_MAX) }
}

/// Signs the policy in force and the authority peer's first ticket, once the clock is right.
async fn sign_first(
    store: &StoreHandle,
    realm_key: &Arc<SigningKey>,
    authority_seed: &Seed,
) -> Result<(SignedPolicy, Ticket), ServeError> {
    let (key, realm_key) =
        (public_key(&SigningKey::from_bytes(authority_seed)), Arc::clone(realm_key));
    let id = random::bytes()?;
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

fn listening(
    options: &Options,
    places: &Places,
    authority: &PeerAddresses,
    realm: PeerKey,
    db: Db<'_>,
) -> Result<Listening, StoreError> {
    let name = meta::text(db, meta::REALM_NAME)?;
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

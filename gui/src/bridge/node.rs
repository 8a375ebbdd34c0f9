//! The bridge to a real node: a tokio runtime on threads of its own, so that the window never waits.
//!
//! One supervisor task joins, keeps the running node and leaves. While a node runs, a pump task turns
//! its events and states into [`BackendEvent`]s, and a worker task carries out commands one by one.
//! The event queue is bounded: while the window takes no events, the pump waits; the node's broadcast
//! channel then reports a lag, and the window reads the store again.

mod translate;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lanyard_node::{
    JoinRequest, Joined, Node, NodeClosed, NodeEvent, Refusal, RefusalCode, SendError, join,
};
use lanyard_program::failure;
use lanyard_program::stop::asked_to_stop;
use lanyard_protocol::presence::{AWAY, HERE};
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::bridge::keyring::Keyring;
use crate::bridge::node::translate::login_error;
use crate::bridge::{Backend, BackendEvent, Command, Interface, PAGE_LEN, PasswordChange};

/// How many commands may wait. The node carries them out faster than a person types.
const COMMANDS_MAX: usize = 256;
/// How many events may wait for the window. Then the pump waits too.
const EVENTS_MAX: usize = 1_024;
/// How long saying goodbye to the mesh may take.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

type Wake = Arc<dyn Fn() + Send + Sync>;

/// A node behind two bounded queues.
pub struct NodeBackend {
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<BackendEvent>,
    keyring: Keyring,
    /// Answers to commands that could not be handed over.
    returned: VecDeque<BackendEvent>,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for NodeBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBackend").finish_non_exhaustive()
    }
}

enum Request {
    Command(Command),
    ShutDown(oneshot::Sender<()>),
}

impl NodeBackend {
    /// Starts the runtime. `wake` is called after every event.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn start(wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("lanyard-node")
            .enable_all()
            .build()?;
        let (requests, requested) = mpsc::channel(COMMANDS_MAX);
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let outlet = Outlet { events, wake: Arc::new(wake) };
        let wake = Arc::clone(&outlet.wake);
        let keyring = Keyring::start(move || wake())?;
        runtime.spawn(wait_for_signals(outlet.clone()));
        runtime.spawn(tell_failure(outlet.clone()));
        runtime.spawn(supervise(requested, outlet));
        let returned = VecDeque::new();
        Ok(Self { requests, events: received, keyring, returned, runtime: Some(runtime) })
    }
}

impl Backend for NodeBackend {
    fn dispatch(&mut self, command: Command) {
        let command = match command {
            Command::Keyring(command) => return self.keyring.dispatch(command),
            command => command,
        };
        let Err(error) = self.requests.try_send(Request::Command(command)) else { return };
        tracing::warn!("The node does not keep up with the window's commands");
        // A text must not vanish: the composer gets it back.
        if let Request::Command(Command::Send { draft, echo }) = error.into_inner() {
            let (room, result) = (draft.room, Err(SendError::Closed(NodeClosed)));
            self.returned.push_back(BackendEvent::SendDone { room, echo, result });
        }
    }

    fn try_next(&mut self) -> Option<BackendEvent> {
        let returned = self.returned.pop_front();
        returned.or_else(|| self.events.try_recv().ok()).or_else(|| self.keyring.try_next())
    }

    fn shut_down(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // The pump may be waiting for space in the queue, which nobody reads any more.
        self.events.close();
        let (done, goodbye) = oneshot::channel();
        let requests = self.requests.clone();
        let said = runtime.block_on(async move {
            tokio::time::timeout(GOODBYE_MAX, async move {
                requests.send(Request::ShutDown(done)).await.ok();
                goodbye.await.ok();
            })
            .await
        });
        if said.is_err() {
            tracing::warn!("The node did not say goodbye in time");
        }
        runtime.shutdown_background();
    }
}

#[derive(Clone)]
struct Outlet {
    events: mpsc::Sender<BackendEvent>,
    wake: Wake,
}

impl Outlet {
    async fn emit(&self, event: BackendEvent) {
        // If the window is gone, nobody needs the events.
        self.events.send(event).await.ok();
        (self.wake)();
    }
}

/// Closes the window, as a click would, on Ctrl-C, when the terminal closes and when the system shuts down.
async fn wait_for_signals(outlet: Outlet) {
    match asked_to_stop() {
        Ok(stop) => stop.await,
        Err(error) => return tracing::warn!(%error, "Could not listen for signals"),
    }
    outlet.emit(BackendEvent::Terminate).await;
}

/// Tells the window that a part of the program has failed. It stays open, so that it can still be read.
async fn tell_failure(outlet: Outlet) {
    let reason = failure::failed().await;
    let refusal = Refusal { code: RefusalCode::Failed, reason, retry_after_s: None };
    outlet.emit(BackendEvent::Node(NodeEvent::Ended(Some(refusal)))).await;
}

/// A running node, and the tasks that serve it.
struct Running {
    node: Node,
    commands: mpsc::Sender<Command>,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    fn start(node: Node, outlet: &Outlet) -> Self {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let pump = tokio::spawn(pump(node.clone(), outlet.clone()));
        let worker = tokio::spawn(work(node.clone(), received, outlet.clone()));
        Self { node, commands, tasks: [pump, worker] }
    }

    async fn leave(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.node.quit().await;
    }
}

async fn supervise(mut requests: mpsc::Receiver<Request>, outlet: Outlet) {
    let mut joining: Option<JoinHandle<Result<Joined, Refusal>>> = None;
    let mut running: Option<Running> = None;
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            joined = finished(&mut joining) => {
                joining = None;
                running = entered(joined, &outlet).await;
                continue;
            }
        };
        match request {
            Some(Request::Command(Command::Join(request))) => {
                leave(&mut running).await;
                joining = Some(tokio::spawn(enter(*request, outlet.clone())));
            }
            Some(Request::Command(Command::CancelJoin)) => {
                if let Some(task) = joining.take() {
                    task.abort();
                }
            }
            Some(Request::Command(Command::Leave)) => leave(&mut running).await,
            Some(Request::Command(Command::ListInterfaces)) => {
                outlet.emit(BackendEvent::Interfaces(interfaces())).await;
            }
            Some(Request::Command(command)) => {
                if let Some(running) = &running {
                    running.commands.send(command).await.ok();
                }
            }
            Some(Request::ShutDown(done)) => {
                leave(&mut running).await;
                done.send(()).ok();
                return;
            }
            None => return leave(&mut running).await,
        }
    }
}

async fn leave(running: &mut Option<Running>) {
    if let Some(running) = running.take() {
        running.leave().await;
    }
}

/// Waits for the join under way, or for ever if there is none.
async fn finished(
    joining: &mut Option<JoinHandle<Result<Joined, Refusal>>>,
) -> Option<Result<Joined, Refusal>> {
    match joining {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}

async fn enter(request: JoinRequest, outlet: Outlet) -> Result<Joined, Refusal> {
    join(request, move |step| {
        // A full queue is not worth waiting for, because the next step follows soon.
        outlet.events.try_send(BackendEvent::Step(step)).ok();
        (outlet.wake)();
    })
    .await
}

async fn entered(joined: Option<Result<Joined, Refusal>>, outlet: &Outlet) -> Option<Running> {
    match joined? {
        Ok(Joined { node, offline, notices }) => {
            let status = Arc::clone(&node.status().borrow());
            outlet.emit(BackendEvent::Joined { status, offline, notices }).await;
            Some(Running::start(node, outlet))
        }
        Err(refusal) => {
            outlet.emit(BackendEvent::Refused(refusal)).await;
            None
        }
    }
}

/// Passes on the node's events and states.
async fn pump(node: Node, outlet: Outlet) {
    let mut events = node.events();
    let mut states = node.status();
    // Something may have changed between joining and subscribing.
    states.mark_changed();
    loop {
        let event = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => translate::event(event),
                Err(broadcast::error::RecvError::Lagged(_)) => BackendEvent::Lagged,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            changed = states.changed() => {
                if changed.is_err() {
                    return;
                }
                BackendEvent::Status(Arc::clone(&states.borrow_and_update()))
            }
        };
        outlet.emit(event).await;
    }
}

/// Carries out commands one at a time, so that texts leave in the order in which they were typed.
async fn work(node: Node, mut commands: mpsc::Receiver<Command>, outlet: Outlet) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Send { draft, echo } => {
                let room = draft.room.clone();
                let result = node.send(draft).await;
                outlet.emit(BackendEvent::SendDone { room, echo, result }).await;
            }
            Command::Load { room, page } => {
                let result = node.history(&room, page, PAGE_LEN).await;
                outlet.emit(BackendEvent::Loaded { room, page, result }).await;
            }
            Command::CountUnread { room } => {
                let result = node.unread(&room).await;
                outlet.emit(BackendEvent::Unread { room, result }).await;
            }
            Command::MarkRead { room, id } => {
                if let Err(error) = node.mark_read(&room, id).await {
                    tracing::warn!(%error, "Could not remember what was read");
                }
            }
            Command::SetAway(away) => set_away(&node, away).await,
            Command::Moderate(moderation) => {
                let given = node.moderate(moderation).await;
                let given = given.map(|_id| ()).map_err(|error| translate::sentence(&error));
                outlet.emit(BackendEvent::Moderated(given)).await;
            }
            // The login node may take seconds, and no text should wait for that.
            Command::ChangePassword(_) | Command::ListDevices | Command::LogOutDevice(_) => {
                tokio::spawn(ask_login_node(node.clone(), command, outlet.clone()));
            }
            // The supervisor and the keyring carry these out.
            Command::Join(_)
            | Command::CancelJoin
            | Command::Leave
            | Command::ListInterfaces
            | Command::Keyring(_) => {}
        }
    }
}

async fn set_away(node: &Node, away: bool) {
    if let Err(error) = node.set_status(if away { AWAY } else { HERE }).await {
        tracing::debug!(%error, "Could not tell the others whether the user is away");
    }
}

async fn ask_login_node(node: Node, command: Command, outlet: Outlet) {
    let answer = match command {
        Command::ChangePassword(change) => {
            let PasswordChange { old, new, revoke_others } = *change;
            let changed = node.change_password(old, new, revoke_others).await;
            BackendEvent::PasswordChanged(changed.map_err(|error| login_error(&error)))
        }
        Command::ListDevices => {
            BackendEvent::Devices(node.devices().await.map_err(|error| login_error(&error)))
        }
        Command::LogOutDevice(number) => {
            let devices = node.logout_device(number).await;
            BackendEvent::DeviceLoggedOut(devices.map_err(|error| login_error(&error)))
        }
        _ => return,
    };
    outlet.emit(answer).await;
}

fn interfaces() -> Vec<Interface> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "Could not list the network interfaces");
        Vec::new()
    });
    found
        .into_iter()
        .map(|interface| {
            let prefix = match &interface.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            };
            Interface { ip: interface.ip(), name: interface.name, prefix }
        })
        .collect()
}

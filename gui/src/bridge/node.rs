//! The bridge to a real node: a tokio runtime on threads of its own, and nothing that waits.
//!
//! One supervisor task joins, keeps the running node and leaves. While a node runs, a pump task turns
//! its events and states into [`BackendEvent`]s, and a worker task sends texts in their order.
//! The event queue is bounded: a window that does not look lets the pump wait, and the node's
//! broadcast then says "lagged", upon which the store is read again.

mod acts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lanyard_node::event::{NodeEvent, Refusal, RefusalCode};
use lanyard_node::join::{JoinRequest, Joined, join};
use lanyard_node::node::{Node, NodeClosed, SendError};
use lanyard_program::failure;
use lanyard_program::stop::asked_to_stop;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::bridge::keyring::Keyring;
use crate::bridge::{Backend, BackendEvent, Command, Interface, JoinOrder};
use crate::model::session::PAGE_LEN;

/// Commands on their way; a person does not type faster than this is emptied.
const COMMANDS_MAX: usize = 256;
/// Events on their way; beyond that the pump waits for the window.
const EVENTS_MAX: usize = 1_024;
/// The mesh is told goodbye within this time, or not at all.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

type Wake = Arc<dyn Fn() + Send + Sync>;

/// A node behind two bounded queues.
pub struct NodeBackend {
    commands: mpsc::Sender<Moderation>,
    events: mpsc::Receiver<BackendEvent>,
    keyring: Keyring,
    /// Answers to commands that could not even be handed over.
    returned: VecDeque<BackendEvent>,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for NodeBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBackend").finish_non_exhaustive()
    }
}

enum Moderation {
    Command(Command),
    ShutDown(oneshot::Sender<()>),
}

impl NodeBackend {
    /// Starts the runtime. `wake` is called after every event.
    ///
    /// # Errors
    /// If the system has no threads left.
    pub fn start(wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("lanyard-node")
            .enable_all()
            .build()?;
        let (commands, orders) = mpsc::channel(COMMANDS_MAX);
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let outlet = Outlet { events, wake: Arc::new(wake) };
        let wake = Arc::clone(&outlet.wake);
        let keyring = Keyring::start(move || wake())?;
        runtime.spawn(wait_for_signals(outlet.clone()));
        runtime.spawn(tell_failure(outlet.clone()));
        runtime.spawn(supervise(orders, outlet));
        let returned = VecDeque::new();
        Ok(Self { commands, events: received, keyring, returned, runtime: Some(runtime) })
    }
}

impl Backend for NodeBackend {
    fn dispatch(&mut self, command: Command) {
        let command = match command {
            Command::Keyring(order) => return self.keyring.dispatch(order),
            command => command,
        };
        let Err(error) = self.commands.try_send(Moderation::Command(command)) else { return };
        tracing::warn!("The node does not keep up with the window's commands");
        let (mpsc::error::TrySendError::Full(order) | mpsc::error::TrySendError::Closed(order)) =
            error;
        // A text must not vanish: the composer gets it back.
        if let Moderation::Command(Command::Send { draft, echo }) = order {
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
        // The pump may wait for room in the queue; nobody will read it any more.
        self.events.close();
        let (done, goodbye) = oneshot::channel();
        let commands = self.commands.clone();
        let said = runtime.block_on(async move {
            tokio::time::timeout(GOODBYE_MAX, async move {
                commands.send(Moderation::ShutDown(done)).await.ok();
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
        // A window that is gone needs no events.
        self.events.send(event).await.ok();
        (self.wake)();
    }
}

/// Ctrl-C in the terminal, its end, and the system's shutdown close the window as a click would.
async fn wait_for_signals(outlet: Outlet) {
    match asked_to_stop() {
        Ok(stop) => stop.await,
        Err(error) => return tracing::warn!(%error, "Signals cannot be heard"),
    }
    outlet.emit(BackendEvent::Terminate).await;
}

/// Whatever part of the program has failed, the window says so and can be read.
async fn tell_failure(outlet: Outlet) {
    let reason = failure::failed().await;
    let refusal = Refusal { code: RefusalCode::Failed, reason, retry_after_s: None };
    outlet.emit(BackendEvent::Node(NodeEvent::Ended(Some(refusal)))).await;
}

/// A node that runs, and the tasks that serve it.
struct Running {
    node: Node,
    orders: mpsc::Sender<Command>,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    fn start(node: Node, outlet: &Outlet) -> Self {
        let (orders, received) = mpsc::channel(COMMANDS_MAX);
        let pump = tokio::spawn(pump(node.clone(), outlet.clone()));
        let worker = tokio::spawn(work(node.clone(), received, outlet.clone()));
        Self { node, orders, tasks: [pump, worker] }
    }

    async fn leave(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.node.quit().await;
    }
}

async fn supervise(mut orders: mpsc::Receiver<Moderation>, outlet: Outlet) {
    let mut joining: Option<JoinHandle<Result<Joined, Refusal>>> = None;
    let mut running: Option<Running> = None;
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            joined = finished(&mut joining) => {
                joining = None;
                running = entered(joined, &outlet).await;
                continue;
            }
        };
        match order {
            Some(Moderation::Command(Command::Join(order))) => {
                leave(&mut running).await;
                joining = Some(tokio::spawn(enter(*order, outlet.clone())));
            }
            Some(Moderation::Command(Command::CancelJoin)) => {
                if let Some(task) = joining.take() {
                    task.abort();
                }
            }
            Some(Moderation::Command(Command::Leave)) => leave(&mut running).await,
            Some(Moderation::Command(Command::LookAtInterfaces)) => {
                outlet.emit(BackendEvent::Interfaces(interfaces())).await;
            }
            Some(Moderation::Command(command)) => {
                if let Some(running) = &running {
                    running.orders.send(command).await.ok();
                }
            }
            Some(Moderation::ShutDown(done)) => {
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

/// Waits for the join under way; without one, for ever.
async fn finished(
    joining: &mut Option<JoinHandle<Result<Joined, Refusal>>>,
) -> Option<Result<Joined, Refusal>> {
    match joining {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}

async fn enter(order: JoinOrder, outlet: Outlet) -> Result<Joined, Refusal> {
    let JoinOrder { link, username, password, nickname, profile } = order;
    let request = JoinRequest { link, username, password, nickname, profile, listen: Vec::new() };
    join(request, move |step| {
        // A step that finds the queue full is not worth waiting for: the next one follows.
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

/// Passes on what the node tells.
async fn pump(node: Node, outlet: Outlet) {
    let mut events = node.events();
    let mut states = node.status();
    // Between joining and subscribing something may have changed.
    states.mark_changed();
    loop {
        let event = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => acts::translate(event),
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

/// Asks the node. Texts go one after another, in the order they were typed.
async fn work(node: Node, mut orders: mpsc::Receiver<Command>, outlet: Outlet) {
    while let Some(command) = orders.recv().await {
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
            Command::SetAway(away) => acts::set_away(&node, away).await,
            Command::Moderate(order) => {
                outlet.emit(BackendEvent::Moderated(acts::moderate(&node, order).await)).await;
            }
            // The login node may take seconds: no text shall wait behind these.
            Command::ChangePassword(_) | Command::ListDevices | Command::LogOutDevice(_) => {
                tokio::spawn(ask_login_node(node.clone(), command, outlet.clone()));
            }
            // The supervisor keeps these for itself.
            Command::Join(_)
            | Command::CancelJoin
            | Command::Leave
            | Command::LookAtInterfaces
            | Command::Keyring(_) => {}
        }
    }
}

async fn ask_login_node(node: Node, command: Command, outlet: Outlet) {
    let answer = match command {
        Command::ChangePassword(change) => {
            BackendEvent::PasswordChanged(acts::change_password(&node, *change).await)
        }
        Command::ListDevices => BackendEvent::Devices(acts::devices(&node).await),
        Command::LogOutDevice(number) => {
            BackendEvent::DeviceLoggedOut(acts::log_out_device(&node, number).await)
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

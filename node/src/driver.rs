//! The event loop of a node. It feeds the engine, carries out what the engine asks for, and never waits for a consumer.
//!
//! Local work comes first: commands, the store and timers, then the gate's reports, then the network. A flood from
//! outside therefore cannot keep the user waiting.

mod arrivals;
mod carry_out;
mod clocks;
pub(crate) mod command;
mod network;
mod requests;
pub(crate) mod start;
pub(crate) mod status;
mod writes;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use lanyard_protocol::admission::{Admission, AdmissionView};
use lanyard_protocol::engine::{
    Engine, Input, LinkId, ModerationRefused, SendRefused, SentReceipt, StoredIndex,
};
use lanyard_protocol::ids::{MessageId, PeerKey};
use lanyard_protocol::login::PeerAddresses;
use lanyard_protocol::ticket::Ticket;
use lanyard_protocol::time::Now;
use libp2p::Swarm;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::event::{ChatMessage, NodeEvent};
use crate::login::granted::Granted;
use crate::login::places::Places;
use crate::login::refusals::LOGIN_NODE_CLOCK;
use crate::refusal::{Refusal, RefusalCode};
use crate::status::Status;
use crate::store::{Stored, Write, Writer};
use crate::transport::behaviour::Behaviour;
use crate::transport::gate::Report;
use crate::transport::translate::Topics;
use arrivals::Arrivals;
use clocks::{ClockNews, Clocks};
use command::Command;
use requests::{Loaded, Loads, Requests};
use status::Surroundings;

/// How long to wait for "bye" to be sent.
const FAREWELL: Duration = Duration::from_millis(400);
/// How often to write the clock's high-water mark.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// The shortest time between two [`NodeEvent::Reload`]s, so that a peer that changes the history often does not keep
/// the user's window reading.
const RELOAD_EVERY: Duration = Duration::from_millis(500);
/// The shortest time between two states. Many changes in a row, as when everybody joins, are reported once.
const STATUS_EVERY: Duration = Duration::from_millis(10);
/// How many admissions may wait for their connection. Older ones belong to connections that were denied later.
const ADMITTED_MAX: usize = 1_024;

/// The answer to a send.
type Answer = Result<SentReceipt, SendRefused>;

/// The event loop and everything that it owns.
pub(crate) struct EventLoop {
    pub(crate) clock: Clock,
    pub(crate) topics: Topics,
    pub(crate) engine: Engine,
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) writer: Writer,
    pub(crate) view: watch::Sender<Arc<AdmissionView>>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stored: mpsc::Receiver<Stored>,
    /// Older messages for the history's index, and whether they are the last.
    pub(crate) index: mpsc::Receiver<(StoredIndex, bool)>,
    pub(crate) loads: Loads,
    pub(crate) loaded: mpsc::Receiver<Loaded>,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) around: Surroundings,
    /// Where the login node may be reached.
    pub(crate) places: Option<Arc<Places>>,
    /// Wakes the task that renews the ticket.
    pub(crate) ask_login_server: Arc<Notify>,
    pub(crate) state: State,
}

/// The state that the loop keeps between turns.
#[derive(Default)]
pub(crate) struct State {
    follow_ups: VecDeque<Input>,
    admitted: VecDeque<(PeerKey, ConnectedPoint, Admission)>,
    links: HashMap<ConnectionId, LinkId>,
    connections: BTreeMap<LinkId, ConnectionId>,
    next_link: u64,
    sends: BTreeMap<u64, oneshot::Sender<Answer>>,
    moderations: BTreeMap<u64, oneshot::Sender<Result<MessageId, ModerationRefused>>>,
    next_request: u64,
    own_stored: Option<Arc<ChatMessage>>,
    requests: Requests,
    arrivals: Arrivals,
    /// Writes that did not fit into the store's queue.
    backlog: VecDeque<Write>,
    /// Whether the last turn filled the index. If so, the network comes first.
    has_indexed: bool,
    /// Whether a [`NodeEvent::Reload`] is due.
    reload: bool,
    next_reload: Duration,
    refused_dials: Vec<PeerKey>,
    changed: bool,
    next_status: Duration,
    /// Whether the number of messages has changed.
    counted: bool,
    untold: Vec<NodeEvent>,
    /// Answers to sends, which are delivered after the state.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    quit: Option<oneshot::Sender<()>>,
    ended: Option<Option<Refusal>>,
    clocks: Clocks,
    next_clock_write: Duration,
    /// Where the login node answered last, as it is stored.
    login_node: Option<String>,
}

impl EventLoop {
    /// Runs until quit or loss of membership, then says goodbye and closes the store.
    pub(crate) async fn run(mut self) {
        self.drain();
        while self.state.ended.is_none() {
            let wake = self.engine.poll_timeout().unwrap_or(CLOCK_EVERY);
            let wake = wake.min(self.state.next_clock_write).min(self.state.arrivals.next_look);
            let wake = if self.state.reload { wake.min(self.state.next_reload) } else { wake };
            let wake = if self.state.changed { wake.min(self.state.next_status) } else { wake };
            let wake = self.clock.instant(wake);
            let may_index = !std::mem::take(&mut self.state.has_indexed);
            tokio::select! {
                biased;
                command = self.commands.recv() => self.command(command),
                stored = self.stored.recv() => match stored {
                    Some(stored) => self.stored(stored),
                    None => self.store_is_gone(),
                },
                () = tokio::time::sleep_until(wake) => self.timeout(),
                Some(loaded) = self.loaded.recv() => self.loaded(loaded),
                Some(report) = self.reports.recv() => self.report(report),
                Some((stored, done)) = self.index.recv(), if may_index => {
                    self.state.has_indexed = true;
                    self.feed(Input::Index { stored, done });
                }
                event = self.swarm.select_next_some() => self.swarm_event(event),
                () = tokio::task::yield_now(), if !may_index => {}
            }
            self.publish_news();
        }
        self.end().await;
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Send { draft, reply }) => {
                let request = self.next_request();
                self.state.sends.insert(request, reply);
                self.feed(Input::Send { request, draft });
            }
            Some(Command::Moderation { moderation, reply }) => {
                let request = self.next_request();
                self.state.moderations.insert(request, reply);
                self.feed(Input::Moderation { request, moderation });
            }
            Some(Command::Status(status)) => self.feed(Input::Status(status)),
            Some(Command::MarkRead { room, id }) => self.write(Write::ReadMark(room, id)),
            Some(Command::PublishPolicy { policy, head }) => {
                self.feed(Input::PublishPolicy { policy: *policy, head });
            }
            Some(Command::Renew(ticket)) => self.renew(*ticket, None),
            Some(Command::Granted(granted)) => self.granted(*granted),
            Some(Command::RealmTime(realm_ms)) => self.feed(Input::RealmTime(realm_ms)),
            Some(Command::LoginNodeUnsure(text)) => self.login_node_unsure(text),
            Some(Command::Notice { code, text }) => self.tell(NodeEvent::Notice { code, text }),
            Some(Command::Scores(reply)) => {
                // The caller may be gone.
                reply.send(self.scores()).ok();
            }
            #[cfg(test)]
            Some(Command::EndStore) => self.write(Write::Close),
            Some(Command::Quit(reply)) => {
                self.state.quit = Some(reply);
                self.state.ended = Some(None);
            }
            // Every handle is gone, so no command can come any more.
            None => self.state.ended = Some(None),
        }
    }

    fn next_request(&mut self) -> u64 {
        let request = self.state.next_request;
        self.state.next_request = request.wrapping_add(1);
        request
    }

    fn renew(&mut self, ticket: Ticket, authority: Option<PeerAddresses>) {
        let (account, bytes) = (ticket.claims().account, ticket.as_bytes().to_vec());
        self.write(Write::Ticket { account, ticket: bytes, authority });
        self.feed(Input::Renewed(ticket));
    }

    /// Handles what the login server has granted: its time, its policy, a ticket, and the addresses of peers.
    fn granted(&mut self, granted: Granted) {
        let Granted { ticket, policy, realm_ms, authority, peers, .. } = granted;
        self.around.login_node_clock = None;
        self.feed(Input::RealmTime(realm_ms));
        // The policy may revoke older tickets, and the new one was issued after that.
        self.renew(ticket, Some(authority.clone()));
        self.feed(Input::Policy(policy));
        self.feed(Input::Candidates([vec![authority], peers].concat()));
        // Peers that refused us for an expired ticket let us in now.
        self.feed(Input::NetworkChanged);
        self.write(Write::Clock(self.engine.clock().clone()));
        self.remember_login_node();
    }

    /// Notifies the user once; the state shows the problem as long as it lasts.
    fn login_node_unsure(&mut self, text: String) {
        if self.around.login_node_clock.replace(text.clone()).is_none() {
            self.tell(NodeEvent::Notice { code: LOGIN_NODE_CLOCK, text });
        }
        self.state.changed = true;
    }

    /// Stores where the login node answered last, for the next start.
    fn remember_login_node(&mut self) {
        let Some(place) = self.places.as_ref().and_then(|places| places.last()) else { return };
        if self.state.login_node.as_ref() != Some(&place) {
            let realm = self.engine.ticket().claims().realm;
            let kept = PeerAddresses { peer: realm, addresses: vec![place.clone()] };
            self.write(Write::Peer(kept, self.realm_ms()));
            self.state.login_node = Some(place);
        }
    }

    fn stored(&mut self, stored: Stored) {
        match stored {
            Stored::Message(message) => {
                self.around.messages = self.around.messages.saturating_add(1);
                self.state.counted = true;
                self.tell(NodeEvent::Message(message));
            }
            Stored::Resettled(change) => {
                self.around.messages = self.around.messages.saturating_add_signed(change);
                self.state.changed = true;
                self.state.reload = true;
            }
            Stored::GivenBack { sent_at, message } => {
                self.feed(Input::NotStored { sent_at, message });
            }
            Stored::Own { request, result } => {
                let result = result.map(|message| {
                    self.around.messages = self.around.messages.saturating_add(1);
                    self.state.own_stored = Some(message);
                });
                self.feed(Input::OwnStored { request, result });
            }
        }
        self.write_backlog();
    }

    /// Ends the node if the store's thread has ended before it: nothing can be stored any more, so nothing must be
    /// promised.
    fn store_is_gone(&mut self) {
        tracing::error!("The message store has ended");
        let reason = "The message store of this program has failed, so nothing more can be sent or stored. What is \
                      shown can still be read. Start the program again; if that does not help, report it.";
        self.state.ended = Some(Some(Refusal::of(RefusalCode::Failed, reason)));
    }

    fn timeout(&mut self) {
        let now = self.now();
        if now.mono >= self.state.next_clock_write {
            self.state.next_clock_write = now.mono + CLOCK_EVERY;
            self.write(Write::Clock(self.engine.clock().clone()));
            self.remember_login_node();
        }
        self.look_at_arrivals(now);
        self.write_backlog();
        let now = self.now();
        self.engine.handle_timeout(now);
        self.drain();
    }

    /// Samples the clocks. If one was set, the engine learns that first, so that it never sees a wrong time.
    fn now(&mut self) -> Now {
        let now = self.clock.now();
        match self.state.clocks.look(now, self.clock.since_boot()) {
            Some(ClockNews::Slept) => self.state.follow_ups.push_back(Input::NetworkChanged),
            Some(ClockNews::Set(by_ms)) => {
                tracing::info!(by_ms, "The computer's clock was set");
                self.engine.wall_clock_set(by_ms);
            }
            None => {}
        }
        now
    }

    /// Feeds the engine an input, and carries out everything that follows from it.
    fn feed(&mut self, input: Input) {
        let now = self.now();
        self.engine.handle_input(input, now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            while let Some(output) = self.engine.poll_output() {
                self.carry_out(output);
            }
            let Some(input) = self.state.follow_ups.pop_front() else { break };
            let now = self.now();
            self.engine.handle_input(input, now);
        }
    }

    fn tell(&mut self, event: NodeEvent) {
        self.state.untold.push(event);
    }

    /// Publishes the state before the answers and the events, so that their readers find it up to date.
    fn publish_news(&mut self) {
        let now = self.clock.now().mono;
        if self.state.changed && self.state.answers.is_empty() && now < self.state.next_status {
            return;
        }
        let counted = std::mem::take(&mut self.state.counted);
        if std::mem::take(&mut self.state.changed) {
            self.state.next_status = now + STATUS_EVERY;
            if let Some(places) = &self.places {
                places.shown_at(&status::authority_addresses(&self.engine));
            }
            let status = status::build(&self.engine, &self.around, self.clock.now());
            self.status.send_replace(Arc::new(status));
        } else if counted {
            let messages = self.around.messages;
            self.status.send_modify(|status| Arc::make_mut(status).messages = messages);
        }
        if self.state.reload && now >= self.state.next_reload {
            self.state.reload = false;
            self.state.next_reload = now + RELOAD_EVERY;
            self.tell(NodeEvent::Reload);
        }
        for (reply, answer) in self.state.answers.drain(..) {
            // The caller may be gone; the message is on disk anyway.
            reply.send(answer).ok();
        }
        for event in self.state.untold.drain(..) {
            // It does not matter if there are no readers: the store has everything.
            self.events.send(event).ok();
        }
    }

    async fn end(mut self) {
        let ended = self.state.ended.take().flatten();
        self.remember_login_node();
        // A node that was shut out has no peer to say goodbye to.
        if ended.as_ref().is_none_or(|why| why.code == RefusalCode::Failed) {
            self.feed(Input::Quit);
        }
        self.state.next_status = Duration::ZERO;
        self.publish_news();
        // Gossipsub does not report when something has been sent, so wait a moment.
        let farewell = async {
            loop {
                self.swarm.select_next_some().await;
            }
        };
        tokio::time::timeout(FAREWELL, farewell).await.unwrap_or(());
        drop(self.swarm);
        let mut last = std::mem::take(&mut self.state.backlog);
        last.push_back(Write::Clock(self.engine.clock().clone()));
        let mut writer = self.writer;
        let close = move || writer.close(last);
        // Read and drop the store's last reports, so that its thread can end.
        let mut stored = self.stored;
        let drain = async { while stored.recv().await.is_some() {} };
        let (closed, ()) = tokio::join!(tokio::task::spawn_blocking(close), drain);
        if let Err(error) = closed {
            tracing::error!(%error, "The store did not close");
        }
        self.events.send(NodeEvent::Ended(ended)).ok();
        if let Some(reply) = self.state.quit.take() {
            // The caller may be gone.
            reply.send(()).ok();
        }
    }
}

//! A backend that follows a script, without network or clock: for tests, benches and the README's pictures.
//!
//! The script is shared: the window holds the [`ScriptedBackend`], the test its [`Script`].

pub mod demo;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanyard_node::{
    ChatMessage, History, JoinStep, NodeEvent, Page, Progress, Refusal, SendError, SentReceipt,
    Status,
};
use lanyard_protocol::ids::MessageId;

use zeroize::Zeroizing;

use crate::bridge::{
    Backend, BackendEvent, Command, DeviceInfo, Draft, Holder, Interface, KeyringCommand, PAGE_LEN,
};

/// What the scripted node knows, and how it answers.
#[derive(Debug)]
pub struct Script {
    /// Events that the window has not taken yet.
    pub events: VecDeque<BackendEvent>,
    /// Every command of the window so far.
    pub commands: Vec<Command>,
    /// How joining ends. With `None` it never does.
    pub joins: Option<Result<Arc<Status>, Refusal>>,
    /// Whether the stored ticket lets the user in.
    pub offline: bool,
    /// Codes and sentences that the node shows after joining.
    pub notices: Vec<(&'static str, String)>,
    /// What the store holds, oldest first.
    pub history: Vec<Arc<ChatMessage>>,
    /// The last message read in the lobby, and how many came after it.
    pub unread: (Option<MessageId>, u64),
    /// Why the next texts are refused; those after them are accepted.
    pub refuses: VecDeque<SendError>,
    /// The addresses of this computer.
    pub interfaces: Vec<Interface>,
    /// Realm time of the texts sent, unix milliseconds.
    pub now_ms: u64,
    /// Whether the window said goodbye.
    pub is_shut_down: bool,
    /// How many texts were accepted so far.
    pub sent: u64,
    /// The devices of the user.
    pub devices: Vec<DeviceInfo>,
    /// What the keyring holds, or why there is none.
    pub keyring: Result<Vec<(Holder, String)>, String>,
    /// Why the next moderations, password changes and logouts fail; those after them succeed.
    pub failures: VecDeque<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            commands: Vec::new(),
            joins: None,
            offline: false,
            notices: Vec::new(),
            history: Vec::new(),
            unread: (None, 0),
            refuses: VecDeque::new(),
            interfaces: Vec::new(),
            now_ms: 0,
            is_shut_down: false,
            sent: 0,
            devices: Vec::new(),
            keyring: Ok(Vec::new()),
            failures: VecDeque::new(),
        }
    }
}

/// The window's end of a script.
#[derive(Debug, Clone, Default)]
pub struct ScriptedBackend {
    script: Arc<Mutex<Script>>,
}

impl ScriptedBackend {
    /// A backend that follows this script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script: Arc::new(Mutex::new(script)) }
    }

    /// The script, to read and to change.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the window an event of the node.
    pub fn tell(&self, event: NodeEvent) {
        self.script().events.push_back(BackendEvent::Node(event));
    }

    /// Sends the window an event.
    pub fn push(&self, event: BackendEvent) {
        self.script().events.push_back(event);
    }

    /// Delivers a message to the window.
    pub fn deliver(&self, message: ChatMessage) {
        self.tell(NodeEvent::Message(Arc::new(message)));
    }

    /// Changes the node's state, and tells the window.
    pub fn set_status(&self, change: impl FnOnce(&mut Status)) {
        let mut script = self.script();
        let Some(Ok(status)) = &mut script.joins else { return };
        change(Arc::make_mut(status));
        let status = Arc::clone(status);
        script.events.push_back(BackendEvent::Status(status));
    }

    /// The texts sent so far.
    #[must_use]
    pub fn sent_texts(&self) -> Vec<String> {
        let script = self.script();
        let texts = script.commands.iter().filter_map(|command| match command {
            Command::Send { draft, .. } => Some(draft.body.text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

impl Backend for ScriptedBackend {
    fn dispatch(&mut self, command: Command) {
        let mut script = self.script();
        script.answer(&command);
        script.commands.push(command);
    }

    fn try_next(&mut self) -> Option<BackendEvent> {
        self.script().events.pop_front()
    }

    fn shut_down(&mut self) {
        self.script().is_shut_down = true;
    }
}

impl Script {
    fn answer(&mut self, command: &Command) {
        match command {
            Command::Join(_) => self.join(),
            Command::Send { draft, echo } => self.send(draft.clone(), *echo),
            Command::Load { room, page } => {
                let result = Ok(self.page(room, *page));
                self.events.push_back(BackendEvent::Loaded {
                    room: room.clone(),
                    page: *page,
                    result,
                });
            }
            Command::CountUnread { room } => {
                let unread = if room == "lobby" { self.unread } else { (None, 0) };
                self.events
                    .push_back(BackendEvent::Unread { room: room.clone(), result: Ok(unread) });
            }
            Command::ListInterfaces => {
                self.events.push_back(BackendEvent::Interfaces(self.interfaces.clone()));
            }
            Command::Moderate(_) => {
                let result = self.outcome();
                self.events.push_back(BackendEvent::Moderated(result));
            }
            Command::ChangePassword(_) => {
                let result = self.outcome();
                self.events.push_back(BackendEvent::PasswordChanged(result));
            }
            Command::ListDevices => {
                self.events.push_back(BackendEvent::Devices(Ok(self.devices.clone())));
            }
            Command::LogOutDevice(number) => {
                let result = self.outcome().map(|()| {
                    let devices = self.devices.iter_mut();
                    for device in devices.filter(|device| device.device == *number) {
                        device.logged_out = true;
                    }
                    self.devices.clone()
                });
                self.events.push_back(BackendEvent::DeviceLoggedOut(result));
            }
            Command::Keyring(command) => {
                let answer = self.ask_keyring(command);
                self.events.push_back(answer);
            }
            Command::CancelJoin
            | Command::Leave
            | Command::MarkRead { .. }
            | Command::SetAway(_) => {}
        }
    }

    fn ask_keyring(&mut self, command: &KeyringCommand) -> BackendEvent {
        let held = match (&mut self.keyring, command) {
            (Ok(held), _) => held,
            (Err(why), KeyringCommand::Recall(holder)) => {
                let (holder, result) = (holder.clone(), Err(why.clone()));
                return BackendEvent::PasswordRecalled { holder, result };
            }
            (Err(why), _) => return BackendEvent::KeyringDone(Err(why.clone())),
        };
        match command {
            KeyringCommand::Recall(holder) => {
                let found = held.iter().find(|(whose, _)| whose == holder);
                let password = found.map(|(_, password)| Zeroizing::new(password.clone()));
                let holder = holder.clone();
                return BackendEvent::PasswordRecalled { holder, result: Ok(password) };
            }
            KeyringCommand::Keep(holder, password) => {
                held.retain(|(whose, _)| whose != holder);
                held.push((holder.clone(), password.to_string()));
            }
            KeyringCommand::Forget(holder) => held.retain(|(whose, _)| whose != holder),
        }
        BackendEvent::KeyringDone(Ok(()))
    }

    fn outcome(&mut self) -> Result<(), String> {
        self.failures.pop_front().map_or(Ok(()), Err)
    }

    fn join(&mut self) {
        self.events.push_back(BackendEvent::Step(JoinStep::Connecting));
        match &self.joins {
            None => {}
            Some(Ok(status)) => {
                self.events.push_back(BackendEvent::Step(JoinStep::Checking));
                self.events.push_back(BackendEvent::Step(JoinStep::Joining));
                self.events.push_back(BackendEvent::Joined {
                    status: Arc::clone(status),
                    offline: self.offline,
                    notices: self.notices.clone(),
                });
            }
            Some(Err(refusal)) => self.events.push_back(BackendEvent::Refused(refusal.clone())),
        }
    }

    fn send(&mut self, draft: Draft, echo: u64) {
        let Draft { room, body } = draft;
        if let Some(error) = self.refuses.pop_front() {
            let result = Err(error);
            self.events.push_back(BackendEvent::SendDone { room, echo, result });
            return;
        }
        let Some(Ok(status)) = &self.joins else { return };
        let (seq, sent_at) = (self.sent, self.now_ms);
        self.sent += 1;
        let message = demo::own_message(&status.me, &room, body, seq, sent_at);
        let sent = SentReceipt { id: message.id, session: message.session, seq, sent_at };
        self.events.push_back(BackendEvent::SendDone { room, echo, result: Ok(sent) });
        self.events.push_back(BackendEvent::Node(NodeEvent::Message(Arc::new(message))));
    }

    fn page(&self, room: &str, page: Page) -> History {
        let held: Vec<_> = self.history.iter().filter(|m| m.room == room).collect();
        let place = |id: MessageId| held.iter().position(|message| message.id == id);
        let part = match page {
            Page::Newest => held.as_slice(),
            Page::Before(id) => held.get(..place(id).unwrap_or(0)).unwrap_or_default(),
            Page::After(id) => held.get(place(id).map_or(0, |at| at + 1)..).unwrap_or_default(),
        };
        let skip = match page {
            Page::After(_) => 0,
            Page::Newest | Page::Before(_) => part.len().saturating_sub(PAGE_LEN),
        };
        let messages = part.iter().skip(skip).take(PAGE_LEN).map(|m| Arc::clone(m)).collect();
        History { messages, more: part.len() > PAGE_LEN }
    }
}

/// The event that says how far a message of the user came.
#[must_use]
pub fn state(id: MessageId, by: u32, of: u32) -> NodeEvent {
    NodeEvent::State { id, state: Progress::Stored { by, of } }
}

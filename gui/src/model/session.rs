//! A realm from the inside: its rooms, its people, and what the user does there.

mod login_node;
mod reading;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lanyard_node::event::{PresenceChange, Reason};
use lanyard_node::{
    ChatMessage, History, JoinStep, NodeEvent, Page, ReadError, Refusal, SendError, SentReceipt,
    Status, Via,
};
use lanyard_protocol::ids::Role;
use lanyard_protocol::time::HOUR_MS;

use crate::bridge::{Command, Draft, Interface};
use crate::model::account::{Devices, PasswordForm};
use crate::model::action::Effect;
use crate::model::composer::Rules;
use crate::model::markup::MyNames;
use crate::model::moderation::ModerationForm;
use crate::model::rooms::Room;
use crate::model::roster::{Member, Roster};
use crate::model::text;
use crate::model::timeline::{Echo, Entry, PresenceNote};

pub use login_node::LoginNode;

/// The room that is always there.
pub const LOBBY: &str = "lobby";
/// With the login node online, the ticket turns amber this long before its end.
const TICKET_WARNS_MS: u64 = HOUR_MS;
/// How many notices are shown.
const NOTICES_MAX: usize = 4;

/// Whether the user is signed in.
#[derive(Debug)]
pub enum Session {
    /// The login window is shown.
    Out,
    /// Signing in has reached this step.
    Joining(Option<JoinStep>),
    /// The user is in a realm.
    In(Box<Chat>),
}

/// A sentence that is shown until the user dismisses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number within this run of the program.
    pub number: u64,
    /// The node's code for it.
    pub code: String,
    /// The sentence.
    pub text: String,
}

/// A message that a screen reader reads out when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its number within this run of the program.
    pub number: u64,
    /// The author's name and the text.
    pub text: String,
}

/// Whether the user is looking at the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The window has the focus.
    Here,
    /// Another window has the focus.
    Elsewhere,
}

/// A realm from the inside.
#[derive(Debug)]
pub struct Chat {
    /// The node's latest state.
    pub status: Arc<Status>,
    /// Whether the stored ticket let us in without the login node.
    pub entered_offline: bool,
    /// When the user came in, local clock in unix milliseconds.
    pub entered_ms: Option<u64>,
    met_login_node: bool,
    /// Rooms by name.
    pub rooms: BTreeMap<String, Room>,
    /// The room shown.
    pub current: String,
    /// What the window itself knows of the people.
    pub roster: Roster,
    /// Sentences to read, oldest first.
    pub notices: Vec<Notice>,
    /// The addresses of this computer, as last listed.
    pub interfaces: Vec<Interface>,
    /// Set once the node has ended, with the reason if it failed.
    pub ended: Option<Option<Refusal>>,
    /// The last message in the room shown, for a screen reader.
    pub said: Option<Said>,
    /// The names by which the user can be mentioned.
    pub my_names: MyNames,
    /// The moderation that is being prepared.
    pub moderation: Option<ModerationForm>,
    /// The dialog with the user's devices.
    pub devices: Devices,
    /// The password dialog.
    pub password: PasswordForm,
    zone: TimeZone,
    counter: u64,
    /// Drafts of the last run for rooms that have not appeared yet.
    kept_drafts: BTreeMap<String, String>,
}

impl Chat {
    /// A realm that the user has just entered. The effects ask for its history.
    #[must_use]
    pub fn enter(
        status: Arc<Status>,
        entered_offline: bool,
        zone: TimeZone,
        drafts: BTreeMap<String, String>,
    ) -> (Self, Vec<Effect>) {
        let mut chat = Self {
            my_names: MyNames::new(&status.me.username, &status.me.nickname),
            entered_offline,
            entered_ms: None,
            met_login_node: status.rendezvous_online,
            rooms: BTreeMap::new(),
            current: LOBBY.to_owned(),
            roster: Roster::default(),
            notices: Vec::new(),
            interfaces: Vec::new(),
            ended: None,
            said: None,
            moderation: None,
            devices: Devices::default(),
            password: PasswordForm::default(),
            zone,
            counter: 0,
            kept_drafts: drafts,
            status,
        };
        let mut effects = vec![Effect::Backend(Command::ListInterfaces)];
        effects.extend(chat.open_new_rooms());
        let away = chat.away();
        chat.roster.note_away(&away, None);
        (chat, effects)
    }

    /// Takes the node's latest state.
    pub fn update_status(&mut self, status: Arc<Status>, now_ms: u64) -> Vec<Effect> {
        let lost_last_peer = status.neighbours.is_empty() && !self.status.neighbours.is_empty();
        let before = std::mem::replace(&mut self.status, status);
        self.met_login_node |= self.status.rendezvous_online;
        let me = &self.status.me;
        self.my_names = MyNames::new(&me.username, &me.nickname);
        let mut effects = self.open_new_rooms();
        self.tell_changes(&before, now_ms);
        self.note_away(now_ms);
        if lost_last_peer {
            // Without peers, nothing is being fetched any more.
            self.notices.retain(|notice| notice.code != "backfill");
            effects.push(Effect::Backend(Command::ListInterfaces));
        }
        effects
    }

    /// All drafts, by room.
    #[must_use]
    pub fn drafts(&self) -> BTreeMap<String, String> {
        let rooms = self.rooms.iter().map(|(name, room)| (name.clone(), &room.composer.draft.text));
        let typed = rooms.filter(|(_, draft)| !draft.is_empty());
        // A room that is not in the policy now may come back.
        let kept = self.kept_drafts.clone().into_iter();
        kept.chain(typed.map(|(name, draft)| (name, draft.clone()))).collect()
    }

    /// The room shown.
    #[must_use]
    pub fn room(&self) -> Option<&Room> {
        self.rooms.get(&self.current)
    }

    /// The room shown.
    pub fn room_mut(&mut self) -> Option<&mut Room> {
        self.rooms.get_mut(&self.current)
    }

    /// The policy's entry for the room shown.
    #[must_use]
    pub fn room_policy(&self) -> Option<&lanyard_node::status::Room> {
        self.status.rooms.iter().find(|room| room.name == self.current)
    }

    /// Realm time, unix milliseconds.
    #[must_use]
    pub fn realm_now(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.status.clock_offset_ms)
    }

    /// The rules for a text in the room shown.
    #[must_use]
    pub fn rules(&self, now_ms: u64) -> Rules<'_> {
        let room = self.room_policy();
        Rules {
            max_text_bytes: self.status.max_text_bytes,
            expires_at: self.status.expires_at,
            realm_now: self.realm_now(now_ms),
            may_post: room.is_none_or(|room| self.status.me.role >= room.post),
            archived: room.is_some_and(|room| room.archived),
            mute: self.status.mute.as_ref(),
            zone: &self.zone,
        }
    }

    /// The people online whom the roster lists.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.roster.members(&self.status.roster, self.status.me.account)
    }

    /// Whether no peer is connected.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.status.neighbours.is_empty()
    }

    /// Whether the user should know about the end of the ticket.
    #[must_use]
    pub fn ticket_is_worrying(&self, now_ms: u64) -> bool {
        let left = self.status.expires_at.saturating_sub(self.realm_now(now_ms));
        self.login_node(now_ms) == LoginNode::Offline || left < TICKET_WARNS_MS
    }

    /// How many messages are unread in all rooms.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.rooms.values().map(|room| room.unread).sum()
    }

    /// Takes an event of the node.
    pub fn apply(&mut self, event: NodeEvent, attention: Attention, now_ms: u64) -> Vec<Effect> {
        match event {
            NodeEvent::Message(message) => return self.take_message(&message, attention),
            NodeEvent::Reload => return self.refresh(),
            NodeEvent::State { id, state } => {
                self.rooms.values_mut().for_each(|room| room.timeline.set_state(id, state));
            }
            NodeEvent::Presence(change) => self.take_presence(&change, now_ms),
            NodeEvent::Notice { code, text } => self.notice(code, &text),
            NodeEvent::Ended(why) => self.ended = Some(why),
            // The new status that comes with them says the same.
            NodeEvent::Renewed { .. }
            | NodeEvent::Policy { .. }
            | NodeEvent::Moderation(_)
            | NodeEvent::Sanctioned(_) => {}
        }
        Vec::new()
    }

    /// Shows a sentence until it is dismissed. It replaces an earlier one with the same code.
    pub fn notice(&mut self, code: &str, sentence: &str) {
        self.counter += 1;
        self.notices.retain(|notice| notice.code != code);
        let (code, text) = (code.to_owned(), text::clean_line(sentence));
        self.notices.push(Notice { number: self.counter, code, text });
        if self.notices.len() > NOTICES_MAX {
            self.notices.remove(0);
        }
    }

    /// Sends the draft of the room shown.
    pub fn send(&mut self, now_ms: u64) -> Vec<Effect> {
        let rules = self.rules(now_ms);
        if !self.room().is_some_and(|room| room.composer.can_send(&rules)) {
            return Vec::new();
        }
        let (realm_now, name) = (self.realm_now(now_ms), self.current.clone());
        self.counter += 1;
        let echo = self.counter;
        let Some(room) = self.room_mut() else { return Vec::new() };
        let body = room.composer.take();
        room.timeline.clear_unread_line();
        room.timeline.push_echo(Echo::new(echo, body.clone(), realm_now));
        let send = Command::Send { draft: Draft::new(name, body), echo };
        vec![Effect::Backend(send), Effect::ScrollToNewest]
    }

    /// Takes the answer to a text that was sent.
    pub fn sent(
        &mut self,
        name: &str,
        echo: u64,
        result: Result<SentReceipt, SendError>,
        now_ms: u64,
    ) -> Vec<Effect> {
        let realm_now = self.realm_now(now_ms);
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        match result {
            Ok(sent) => room.timeline.echo_stored(echo, sent.id),
            Err(error) => {
                let Some(echo) = room.timeline.take_echo(echo) else { return Vec::new() };
                room.composer.give_back(echo.body, &error, realm_now, &self.zone);
            }
        }
        Vec::new()
    }

    /// Takes a part of a room's history.
    pub fn loaded(
        &mut self,
        name: &str,
        page: Page,
        result: Result<History, ReadError>,
    ) -> Vec<Effect> {
        let (me, names) = (self.status.me.account, self.my_names.clone());
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        room.loading = false;
        match result {
            Ok(history) => {
                room.timeline.insert_page(&history.messages, |message| {
                    message.account != me && names.mentioned_in(&message.body.text)
                });
                if !matches!(page, Page::After(_)) {
                    room.has_older = history.more;
                }
                let mut effects = self.refreshed(name, &history);
                effects.extend(self.find_unread_line(name));
                effects
            }
            Err(error) => {
                room.refresh = None;
                // The line "New" has no place then, but messages can still be marked as read.
                room.is_counted |= room.line_wanted.take().is_some();
                self.notice("history", &format!("Older messages could not be read: {error}"));
                Vec::new()
            }
        }
    }

    /// Loads the page before the oldest loaded message of the room shown.
    pub fn load_older(&mut self) -> Vec<Effect> {
        let name = self.current.clone();
        let Some(room) = self.room_mut() else { return Vec::new() };
        let (true, false, Some(oldest)) = (room.has_older, room.loading, room.timeline.oldest())
        else {
            return Vec::new();
        };
        room.loading = true;
        vec![Effect::Backend(Command::Load { room: name, page: Page::Before(oldest) })]
    }

    fn open_new_rooms(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let names: Vec<String> = self.status.rooms.iter().map(|room| room.name.clone()).collect();
        // Every policy has a lobby, but a window without any room would be useless.
        let names = if names.is_empty() { vec![LOBBY.to_owned()] } else { names };
        for name in &names {
            if self.rooms.contains_key(name) {
                continue;
            }
            let mut room = Room::new(self.zone.clone(), self.status.me.account);
            room.loading = true;
            room.composer.draft.text = self.kept_drafts.remove(name).unwrap_or_default();
            self.rooms.insert(name.clone(), room);
            effects.push(load(name.clone(), Page::Newest));
            effects.push(Effect::Backend(Command::CountUnread { room: name.clone() }));
        }
        if !names.contains(&self.current) {
            self.current = names.into_iter().next().unwrap_or_default();
        }
        effects
    }

    fn take_message(&mut self, message: &Arc<ChatMessage>, attention: Attention) -> Vec<Effect> {
        let is_mine = message.account == self.status.me.account;
        let mentions_me = !is_mine && self.my_names.mentioned_in(&message.body.text);
        let shown = message.room == self.current;
        let many_rooms = self.rooms.len() > 1;
        let Some(room) = self.rooms.get_mut(&message.room) else { return Vec::new() };
        if message.folded {
            room.timeline.insert(Arc::clone(message), false);
            return Vec::new();
        }
        let looks = shown && room.at_bottom && attention == Attention::Here;
        let is_missed = message.via == Via::Sync && room.has_past;
        if !is_mine && (is_missed || !looks) {
            room.begin_unread(is_missed);
        }
        if !room.timeline.insert(Arc::clone(message), mentions_me) {
            return Vec::new();
        }
        room.arrived_last = Some(message.id);
        if is_mine {
            return Vec::new();
        }
        // The user sees it in the next frame.
        let is_read = looks && !is_missed && room.is_counted && room.unread == 0;
        if is_read {
            room.seen = room.seen.max(room.timeline.key(message.id));
        } else {
            room.unread += 1;
            room.mentioned |= mentions_me;
        }
        if shown && message.via != Via::Sync {
            self.read_out(message);
        }
        if is_read {
            return vec![Effect::Read { room: message.room.clone(), id: message.id }];
        }
        if looks && is_missed {
            // Missed messages are not read by scrolling past.
            return vec![Effect::ScrollToUnread];
        }
        let unseen = attention == Attention::Elsewhere;
        // What is fetched later counts as unread, but does not notify.
        if message.via == Via::Sync || !(mentions_me || unseen) {
            return Vec::new();
        }
        vec![notification(message, many_rooms)]
    }

    fn take_presence(&mut self, change: &PresenceChange, now_ms: u64) {
        let at = self.realm_now(now_ms);
        self.roster.apply(change, at);
        // Those who were here before us did not just arrive.
        if change.reason == Reason::Here {
            return;
        }
        self.counter += 1;
        let note = PresenceNote {
            number: self.counter,
            at,
            nickname: text::clean_name(&change.nickname),
            reason: change.reason,
        };
        if let Some(lobby) = self.rooms.get_mut(LOBBY) {
            lobby.timeline.insert_notice(Entry::Presence(note));
        }
    }
}

/// The word on a role's badge. Members have no badge.
#[must_use]
pub fn role_badge(role: Role) -> Option<&'static str> {
    match role {
        Role::Member => None,
        Role::Guest | Role::Moderator | Role::Admin | Role::Authority => Some(role.as_str()),
    }
}

fn load(room: String, page: Page) -> Effect {
    Effect::Backend(Command::Load { room, page })
}

fn notification(message: &ChatMessage, many_rooms: bool) -> Effect {
    const BODY_GRAPHEMES_MAX: usize = 160;
    let author = text::clean_name(&message.nickname);
    let room = text::clean_name(&message.room);
    let title = if many_rooms { format!("{author} in # {room}") } else { author };
    let body = text::elide(&text::clean_line(&message.body.text), BODY_GRAPHEMES_MAX);
    Effect::Notify { title, body }
}

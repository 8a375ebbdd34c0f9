//! What stands in a timeline: messages, notices, and texts on their way.

use std::sync::Arc;

use lanyard_node::event::{ChatMessage, PresenceReason, SendState};
use lanyard_protocol::ids::{MessageId, PeerKey};

use crate::bridge::Body;
use crate::model::text;

/// Sorts notices behind messages of the same millisecond.
const AFTER_ALL_PEERS: PeerKey = PeerKey([0xff; 32]);

/// The order of the timeline (PROTOCOL.md R-45).
pub type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// Something that has its place in the order.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A message.
    Message(Line),
    /// Somebody came or went.
    Presence(PresenceNote),
    /// The rules changed, or hit somebody.
    News(News),
}

impl Entry {
    /// Its place in the order.
    #[must_use]
    pub fn key(&self) -> OrderKey {
        let notice = |at, number| (at, AFTER_ALL_PEERS, number, 0, MessageId([0; 32]));
        match self {
            Self::Message(line) => line.message.order_key(),
            Self::Presence(note) => notice(note.at, note.number),
            Self::News(news) => notice(news.at, news.number),
        }
    }
}

/// A message, ready to be drawn.
#[derive(Debug, Clone)]
pub struct Line {
    /// The message as the node gave it.
    pub message: Arc<ChatMessage>,
    /// Its text made safe, if that changed anything.
    cleaned: Option<Box<str>>,
    /// How far it came, for own messages.
    pub state: Option<SendState>,
    /// Whether it speaks to the user.
    pub mentions_me: bool,
    /// Whether what stands below it had been here for a while when it came.
    pub came_behind: bool,
}

impl Line {
    /// A message as the node gave it, made safe.
    #[must_use]
    pub fn new(message: Arc<ChatMessage>, mentions_me: bool) -> Self {
        let cleaned = text::clean_text(&message.body.text);
        let cleaned = (cleaned != message.body.text).then(|| cleaned.into_boxed_str());
        Self { cleaned, state: message.state, mentions_me, came_behind: false, message }
    }

    /// The text to draw.
    #[must_use]
    pub fn text(&self) -> &str {
        self.cleaned.as_deref().unwrap_or(&self.message.body.text)
    }
}

/// Somebody came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceNote {
    /// Number within this run of the program.
    pub number: u64,
    /// Realm time, unix milliseconds.
    pub at: u64,
    /// Who, as shown.
    pub nickname: String,
    /// What happened.
    pub reason: PresenceReason,
}

/// The rules changed, or hit somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Number within this run of the program.
    pub number: u64,
    /// Realm time, unix milliseconds.
    pub at: u64,
    /// A sentence, safe to draw.
    pub words: String,
    /// Whether somebody was kept quiet or out.
    pub grave: bool,
}

/// A text of ours that the node has not given back as a message yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Number within this run of the program.
    pub number: u64,
    /// What was typed, unchanged.
    pub body: Body,
    /// The text, safe to draw.
    pub shown: String,
    /// Realm time of sending, unix milliseconds.
    pub at: u64,
    /// The message it has become, once the node has stored it.
    pub id: Option<MessageId>,
}

impl Echo {
    /// An echo that the node has not answered yet.
    #[must_use]
    pub fn new(number: u64, body: Body, at: u64) -> Self {
        Self { number, shown: text::clean_text(&body.text), body, at, id: None }
    }
}

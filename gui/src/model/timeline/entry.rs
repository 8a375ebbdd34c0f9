//! The parts of a timeline: messages, notices, and texts on their way.

use std::sync::Arc;

use lanyard_node::event::Reason;
use lanyard_node::{ChatMessage, Progress};
use lanyard_protocol::ids::{MessageId, PeerKey};

use crate::bridge::Body;
use crate::model::text;

/// Sorts notices after messages of the same millisecond.
const AFTER_ALL_PEERS: PeerKey = PeerKey([0xff; 32]);

/// The order of the timeline (PROTOCOL.md R-45).
pub type OrderKey = (u64, PeerKey, u64, u64, MessageId);

/// Something that has an order key.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A message of the history.
    Message(Line),
    /// Somebody came or went.
    Presence(PresenceNote),
    /// The rules have changed, or somebody was muted or banned.
    News(News),
}

impl Entry {
    /// Its order key.
    #[must_use]
    pub fn key(&self) -> OrderKey {
        let notice = |at, number| (at, AFTER_ALL_PEERS, number, 0, MessageId([0; 32]));
        match self {
            Self::Message(line) => line.message.order_key(),
            Self::Presence(note) => notice(note.at, note.number),
            Self::News(news) => notice(news.at, news.number),
        }
    }

    /// The message, unless it is a notice.
    #[must_use]
    pub fn line(&self) -> Option<&Line> {
        match self {
            Self::Message(line) => Some(line),
            Self::Presence(_) | Self::News(_) => None,
        }
    }
}

/// A message, ready to be drawn.
#[derive(Debug, Clone)]
pub struct Line {
    /// The message as the node gave it.
    pub message: Arc<ChatMessage>,
    /// Its text made safe, if that changes it.
    cleaned: Option<Box<str>>,
    /// How far it has come, if it is the user's.
    pub state: Option<Progress>,
    /// Whether it mentions the user.
    pub mentions_me: bool,
    /// Whether the messages below it had been here for a while when it arrived.
    pub came_behind: bool,
}

impl Line {
    /// A message from the node, made safe to draw.
    #[must_use]
    pub fn new(message: Arc<ChatMessage>, mentions_me: bool) -> Self {
        let cleaned = text::clean_text(&message.body.text);
        let cleaned = (cleaned != message.body.text).then(|| cleaned.into_boxed_str());
        Self { cleaned, state: message.state, mentions_me, came_behind: false, message }
    }

    /// The id of the message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.message.id
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
    /// Its number within this run of the program.
    pub number: u64,
    /// Realm time, unix milliseconds.
    pub at: u64,
    /// The person's display name, safe to draw.
    pub nickname: String,
    /// Whether they came, left or were lost.
    pub reason: Reason,
}

/// The rules have changed, or somebody was muted or banned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Its number within this run of the program.
    pub number: u64,
    /// Realm time, unix milliseconds.
    pub at: u64,
    /// The sentence, safe to draw.
    pub words: String,
    /// Whether somebody was muted or banned.
    pub grave: bool,
}

/// A text of the user that has not come back from the node as a message yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Its number within this run of the program.
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
    /// The echo of a text that has just been sent.
    #[must_use]
    pub fn new(number: u64, body: Body, at: u64) -> Self {
        Self { number, shown: text::clean_text(&body.text), body, at, id: None }
    }
}

//! What has been read of a room: everything up to the last message that was on screen while the user was looking.
//! What came after it stands below the line "New", where the room opens.

use lanyard_node::{ChatMessage, Page};
use lanyard_protocol::ids::MessageId;

use crate::model::action::{Effect, Focus};
use crate::model::session::{Chat, Said, load};
use crate::model::text;

/// How many messages are loaded to find the line "New". The store counts no more unread messages than this.
const LOOKED_THROUGH_MAX: usize = 10_000;

impl Chat {
    /// Takes the store's answer: the last message read, and how many are unread.
    pub fn unread_known(&mut self, name: &str, read: Option<MessageId>, count: u64) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        // Messages that arrived since the question may or may not be in the count, so the larger number
        // wins; after messages have left the history, only the store knows.
        let recounted = std::mem::take(&mut room.recounts);
        room.unread = if recounted { count } else { room.unread.max(count) };
        room.has_past |= read.is_some() || room.timeline.newest().is_some();
        if count == 0 {
            room.is_counted = true;
            return Vec::new();
        }
        room.line_wanted = Some(read);
        self.find_unread_line(name)
    }

    /// Places the line "New" once its message is loaded, and loads older messages until then.
    pub(super) fn find_unread_line(&mut self, name: &str) -> Vec<Effect> {
        let is_shown = name == self.current;
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        let Some(read) = room.line_wanted.filter(|_| !room.loading) else { return Vec::new() };
        let is_held = read.is_some_and(|read| room.timeline.mark_unread_after(read));
        if !is_held
            && room.has_older
            && room.timeline.message_count() < LOOKED_THROUGH_MAX
            && let Some(oldest) = room.timeline.oldest()
        {
            room.loading = true;
            return vec![load(name.to_owned(), Page::Before(oldest))];
        }
        if !is_held {
            room.timeline.mark_all_unread();
        }
        room.line_wanted = None;
        let is_first = !std::mem::replace(&mut room.is_counted, true);
        if is_first && is_shown { vec![Effect::ScrollToUnread] } else { Vec::new() }
    }

    /// Shows another room.
    pub fn open(&mut self, name: &str) -> Vec<Effect> {
        if name != self.current && self.rooms.contains_key(name) {
            self.leave_room();
            name.clone_into(&mut self.current);
        }
        let mut effects = self.go_to_unread();
        effects.push(Effect::Focus(Focus::Composer));
        effects
    }

    /// Scrolls to the line "New" if something is unread.
    #[must_use]
    pub fn go_to_unread(&self) -> Vec<Effect> {
        let is_unread = self.room().is_some_and(|room| room.unread > 0);
        if is_unread { vec![Effect::ScrollToUnread] } else { Vec::new() }
    }

    /// The line stays until the user leaves the room, and beyond that if something is unread.
    fn leave_room(&mut self) {
        let Some(room) = self.room_mut() else { return };
        if room.unread == 0 {
            room.timeline.clear_unread_line();
        } else if let Some(seen) = room.seen {
            room.timeline.mark_unread_behind(seen);
        }
    }

    /// Notes that this message of the room shown was on screen while the user was looking.
    pub fn saw(&mut self, id: MessageId) -> Vec<Effect> {
        let name = self.current.clone();
        let Some(room) = self.room_mut() else { return Vec::new() };
        let Some(key) = room.timeline.key(id).filter(|key| room.is_news(*key)) else {
            return Vec::new();
        };
        room.seen = Some(key);
        let was_unread = room.unread > 0;
        room.unread = room.unread.min(room.timeline.count_of_others_behind(key));
        if room.unread > 0 {
            return vec![Effect::Read { room: name, id }];
        }
        room.mentioned = false;
        // The store counts by arrival, and the last arrival may sort further up.
        let id = room.arrived_last.take().unwrap_or(id);
        if was_unread { vec![Effect::Read { room: name, id }] } else { Vec::new() }
    }

    /// Lets a screen reader read out a message of the room shown.
    pub(super) fn read_out(&mut self, message: &ChatMessage) {
        self.counter += 1;
        let author = text::clean_name(&message.nickname);
        let text = format!("{author}: {}", text::clean_text(&message.body.text));
        self.said = Some(Said { number: self.counter, text });
    }
}

//! How the rules show inside a realm: sanctions and changes in words, folded lines, and reading again
//! what left the set or came back to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use lanyard_node::event::Status;
use lanyard_node::node::{History, Page};
use lanyard_protocol::ids::MessageId;

use crate::action::Effect;
use crate::bridge::Command;
use crate::bridge::acts::{Sanction, Standing};
use crate::model::news::{self, Place};
use crate::model::rooms::Refresh;
use crate::model::session::{Chat, load};
use crate::model::timeline::News;

/// Pages read again for one room; what was loaded beyond them is paged in anew.
const REFRESH_PAGES_MAX: usize = 5;

impl Chat {
    /// Takes how people stand to the rules.
    pub fn stands(&mut self, standing: Standing, now_ms: u64) {
        let now = self.realm_now(now_ms);
        self.roster.note_away(&standing.away, now);
        self.standing = standing;
    }

    /// Tells a sanction in every room.
    pub fn sanctioned(&mut self, sanction: &Sanction, now_ms: u64) {
        let me = self.status.me.username.clone();
        let words = news::sanction(sanction, &me, self.realm_now(now_ms), &self.zone);
        self.tell(&Place::Everywhere, &words, sanction.at, !sanction.lifted);
    }

    /// Folds messages that came after the ban of their author had become known.
    pub fn fold(&mut self, ids: &[MessageId]) {
        for room in self.rooms.values_mut() {
            room.timeline.fold(ids);
        }
    }

    /// Messages left the set or came back: reads again what is held of each room.
    pub fn refresh(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (name, room) in &mut self.rooms {
            let oldest = room.timeline.messages().next().map(|line| line.message.order_key());
            room.refresh = Some(Refresh {
                oldest,
                unconfirmed: room.timeline.ids(),
                pages_left: REFRESH_PAGES_MAX,
            });
            effects.push(load(name.clone(), Page::Newest));
            effects.push(Effect::Backend(Command::CountUnread { room: name.clone() }));
        }
        effects
    }

    /// Takes a page into the refresh of its room, if there is one under way.
    pub(super) fn refreshed(&mut self, name: &str, history: &History) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        let Some(refresh) = &mut room.refresh else { return Vec::new() };
        for message in &history.messages {
            refresh.unconfirmed.remove(&message.id);
        }
        refresh.pages_left = refresh.pages_left.saturating_sub(1);
        let first = history.messages.first();
        let goes_on = first.filter(|first| {
            let is_above = refresh.oldest.is_some_and(|oldest| oldest < first.order_key());
            history.more && is_above && refresh.pages_left > 0
        });
        if let Some(first) = goes_on {
            room.loading = true;
            return vec![load(name.to_owned(), Page::Before(first.id))];
        }
        let gone: BTreeSet<MessageId> = std::mem::take(&mut refresh.unconfirmed);
        room.refresh = None;
        room.timeline.remove(&gone);
        Vec::new()
    }

    /// Tells what the operator changed.
    pub(super) fn tell_changes(&mut self, before: &Arc<Status>, now_ms: u64) {
        let at = self.realm_now(now_ms);
        for (place, words) in news::changes(before, &self.status) {
            self.tell(&place, &words, at, false);
        }
    }

    fn tell(&mut self, place: &Place, words: &str, at: u64, grave: bool) {
        self.counter += 1;
        let news = News { number: self.counter, at, words: words.to_owned(), grave };
        for (name, room) in &mut self.rooms {
            let here = match place {
                Place::Everywhere => true,
                Place::Room(wanted) => wanted == name,
            };
            if here {
                room.timeline.insert_news(news.clone());
            }
        }
    }
}

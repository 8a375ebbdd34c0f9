//! The rules inside a realm: shows restrictions and changes, and reads the store again after messages have left the
//! history or come back.

use std::collections::BTreeSet;
use std::sync::Arc;

use lanyard_node::{History, Page, Status};
use lanyard_protocol::ids::{AccountId, MessageId};

use crate::bridge::{Command, ModerationKind, Restriction};
use crate::model::action::Effect;
use crate::model::news::{self, Place, Subject};
use crate::model::rooms::Refresh;
use crate::model::session::{Chat, load};
use crate::model::timeline::{Entry, News};

/// How many pages of a room are read again. Older messages are loaded again when they are scrolled to.
const REFRESH_PAGES_MAX: usize = 50;

impl Chat {
    /// Shows a restriction in every room.
    pub fn restricted(&mut self, told: &Restriction, now_ms: u64) {
        let who = self.subject(told.account);
        let words = news::restriction(told, &who, self.realm_now(now_ms), &self.zone);
        self.tell(&Place::Everywhere, &words, told.at, told.kind != ModerationKind::Lift);
    }

    /// The people who are online, but away.
    pub(super) fn away(&self) -> BTreeSet<AccountId> {
        let people = self.status.roster.iter();
        people.filter(|(_, person)| person.away).map(|(account, _)| *account).collect()
    }

    pub(super) fn note_away(&mut self, now_ms: u64) {
        let (away, now) = (self.away(), self.realm_now(now_ms));
        self.roster.note_away(&away, Some(now));
    }

    /// The person behind an account, by the names last seen.
    fn subject(&self, account: AccountId) -> Subject {
        if account == self.status.me.account {
            return Subject::Me;
        }
        let named = |username: &str, nickname: &str| Subject::named(username, nickname);
        if let Some(person) = self.status.roster.get(&account) {
            return named(&person.username, &person.nickname);
        }
        if let Some(gone) = self.roster.gone(account) {
            return named(&gone.username, &gone.nickname);
        }
        let rooms = self.rooms.values();
        let lines = rooms.filter_map(|room| room.timeline.latest_of(account));
        lines
            .max_by_key(|message| message.sent_at)
            .map_or(Subject::Unknown, |message| named(&message.username, &message.nickname))
    }

    /// Reads every room again, after messages have left the history or come back.
    pub fn refresh(&mut self) -> Vec<Effect> {
        let names: Vec<String> = self.rooms.keys().cloned().collect();
        names.iter().flat_map(|name| self.refresh_room(name)).collect()
    }

    fn refresh_room(&mut self, name: &str) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        if let Some(refresh) = &mut room.refresh {
            refresh.again = true;
            return Vec::new();
        }
        let oldest = room.timeline.messages().next().map(|line| line.message.order_key());
        room.refresh = Some(Refresh {
            oldest,
            unconfirmed: room.timeline.ids(),
            pages_left: REFRESH_PAGES_MAX,
            again: false,
        });
        room.recounts = true;
        let count = Effect::Backend(Command::CountUnread { room: name.to_owned() });
        vec![load(name.to_owned(), Page::Newest), count]
    }

    /// Adds a page to the refresh of its room, if one is under way.
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
        let again = refresh.again;
        room.refresh = None;
        room.timeline.remove(&gone);
        if again { self.refresh_room(name) } else { Vec::new() }
    }

    /// Shows what the operator has changed.
    pub(super) fn tell_changes(&mut self, before: &Arc<Status>, now_ms: u64) {
        let at = self.realm_now(now_ms);
        for (place, words) in news::changes(before, &self.status) {
            self.tell(&place, &words, at, false);
        }
        if let Some(words) = news::own_mute(before, &self.status, at, &self.zone) {
            self.tell(&Place::Everywhere, &words, at, self.status.mute.is_some());
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
                room.timeline.insert_notice(Entry::News(news.clone()));
            }
        }
    }
}

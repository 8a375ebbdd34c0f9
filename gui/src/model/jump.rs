//! Ctrl+K: rooms and people whose names match what is typed.

use lanyard_node::names::searchable;

use crate::model::session::Chat;
use crate::model::text;

/// How many choices are shown.
const SHOWN_MAX: usize = 8;

/// Something to jump to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A room, by its name.
    Room(String),
    /// A person, who is then mentioned.
    Person {
        /// The unique name.
        username: String,
        /// The display name.
        nickname: String,
    },
}

/// What matches: names that begin with `wanted` before names that contain it, and rooms before people.
#[must_use]
pub fn targets(chat: &Chat, wanted: &str) -> Vec<Target> {
    let wanted = searchable(wanted);
    let rooms =
        chat.status.rooms.iter().map(|room| (room.name.clone(), Target::Room(room.name.clone())));
    let people = chat.members().into_iter().filter(|member| !member.is_me).map(|member| {
        let key = format!("{} {}", member.nickname, member.username);
        (key, Target::Person { username: member.username, nickname: member.nickname })
    });
    let mut fitting: Vec<(bool, Target)> = rooms
        .chain(people)
        .filter_map(|(name, target)| {
            let name = searchable(&text::clean_line(&name));
            let at = name.find(&wanted)?;
            Some((at > 0, target))
        })
        .collect();
    // The sort is stable, so rooms stay before people.
    fitting.sort_by_key(|(inside, _)| *inside);
    fitting.into_iter().map(|(_, target)| target).take(SHOWN_MAX).collect()
}

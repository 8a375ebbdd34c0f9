//! The roster: one line for each person online, and those who have left.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_node::event::PresenceChange;
use lanyard_node::names::searchable;
use lanyard_node::status::Person;
use lanyard_protocol::ids::{AccountId, Role};

use crate::model::text;

/// The filter appears at this many people.
pub const FILTER_FROM: usize = 12;
/// How many people who left are remembered.
const LEFT_MAX: usize = 200;

/// What the node does not keep: people who left, how long others have been away, and the filter.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// The text that a name must contain.
    pub filter: String,
    /// The accounts that are away, and since when if that was seen, realm time in unix milliseconds.
    away: BTreeMap<AccountId, Option<u64>>,
    left: BTreeMap<AccountId, Gone>,
}

/// Somebody who left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The unique name.
    pub username: String,
    /// The display name.
    pub nickname: String,
    /// The account.
    pub account: AccountId,
    /// When they left, realm time in unix milliseconds.
    pub at: u64,
}

/// A line of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// The unique name.
    pub username: String,
    /// The display name, safe to draw.
    pub nickname: String,
    /// The role in the realm.
    pub role: Role,
    /// When they came online, realm time in unix milliseconds.
    pub since: u64,
    /// How many devices are online.
    pub devices: usize,
    /// Whether this is the user.
    pub is_me: bool,
    /// Whether they are away from all their devices.
    pub away: Option<Away>,
}

/// The absence of somebody who is online, but away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// Since when if that was seen, realm time in unix milliseconds.
    pub since: Option<u64>,
}

impl Roster {
    /// Remembers those who leave, and forgets those who come back.
    pub fn apply(&mut self, change: &PresenceChange, at: u64) {
        if change.online {
            self.left.remove(&change.account);
            return;
        }
        let gone = Gone {
            username: text::clean_name(&change.username),
            nickname: text::clean_name(&change.nickname),
            account: change.account,
            at,
        };
        self.left.insert(change.account, gone);
        if self.left.len() > LEFT_MAX {
            let oldest = self.left.values().min_by_key(|gone| gone.at).map(|gone| gone.account);
            oldest.and_then(|account| self.left.remove(&account));
        }
    }

    /// Takes the set of people who are away. `now` is `None` for those who were away before we came.
    pub fn note_away(&mut self, away: &BTreeSet<AccountId>, now: Option<u64>) {
        self.away.retain(|account, _| away.contains(account));
        for account in away {
            self.away.entry(*account).or_insert(now);
        }
    }

    /// The person of this account, if they left.
    #[must_use]
    pub fn gone(&self, account: AccountId) -> Option<&Gone> {
        self.left.get(&account)
    }

    /// Everybody online whom the filter shows: moderators first, then by name.
    #[must_use]
    pub fn members(&self, people: &BTreeMap<AccountId, Person>, me: AccountId) -> Vec<Member> {
        let mut members: Vec<Member> = people
            .iter()
            .filter(|(_, person)| self.fits(&person.username, &person.nickname))
            .map(|(account, person)| Member {
                account: *account,
                username: text::clean_name(&person.username),
                nickname: text::clean_name(&person.nickname),
                role: person.role,
                since: person.since,
                devices: person.devices.len(),
                is_me: *account == me,
                away: self.away.get(account).map(|since| Away { since: *since }),
            })
            .collect();
        members.sort_by_cached_key(|member| {
            let moderates = member.role >= Role::Moderator;
            (!moderates, member.nickname.to_lowercase(), member.username.clone())
        });
        members
    }

    /// Those who left and have not come back, the latest first.
    #[must_use]
    pub fn left(&self, people: &BTreeMap<AccountId, Person>) -> Vec<&Gone> {
        let mut left: Vec<&Gone> = self
            .left
            .values()
            .filter(|gone| !people.contains_key(&gone.account))
            .filter(|gone| self.fits(&gone.username, &gone.nickname))
            .collect();
        left.sort_by_key(|gone| std::cmp::Reverse(gone.at));
        left
    }

    fn fits(&self, username: &str, nickname: &str) -> bool {
        let wanted = searchable(&self.filter);
        [username, nickname].iter().any(|name| searchable(name).contains(&wanted))
    }
}

#[cfg(test)]
mod tests {
    use lanyard_node::event::Reason;
    use lanyard_protocol::ids::PeerKey;

    use super::*;

    fn person(name: &str, role: Role, devices: u8) -> Person {
        Person {
            username: name.to_lowercase(),
            nickname: name.into(),
            role,
            since: 0,
            devices: (0..devices).map(|d| (PeerKey([d; 32]), u64::from(d))).collect(),
            away: false,
        }
    }

    fn people() -> BTreeMap<AccountId, Person> {
        let list = [
            person("bob", Role::Member, 2),
            person("Ada", Role::Member, 1),
            person("Zoe", Role::Moderator, 1),
        ];
        (0..).zip(list).map(|(at, person)| (AccountId([at; 16]), person)).collect()
    }

    fn names(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.nickname.as_str()).collect()
    }

    #[test]
    fn moderators_come_first_and_devices_are_one_person() {
        let members = Roster::default().members(&people(), AccountId([1; 16]));
        assert_eq!(names(&members), ["Zoe", "Ada", "bob"]);
        assert!(members[1].is_me);
        assert_eq!(members[2].devices, 2);
    }

    #[test]
    fn the_filter_looks_at_both_names() {
        for filter in [" AD", "@ad", "ＡＤ"] {
            let roster = Roster { filter: filter.into(), ..Roster::default() };
            assert_eq!(names(&roster.members(&people(), AccountId([9; 16]))), ["Ada"]);
        }
    }

    #[test]
    fn away_counts_from_when_it_was_seen() {
        let (first, later) = (AccountId([0; 16]), AccountId([1; 16]));
        let mut roster = Roster::default();
        roster.note_away(&BTreeSet::from([first]), None);
        roster.note_away(&BTreeSet::from([first, later]), Some(9));
        let away = |roster: &Roster| -> Vec<_> {
            let members = roster.members(&people(), AccountId([9; 16]));
            members.into_iter().map(|member| member.away.map(|away| away.since)).collect()
        };
        assert_eq!(away(&roster), [None, Some(Some(9)), Some(None)]);
        roster.note_away(&BTreeSet::new(), Some(10));
        assert_eq!(away(&roster), [None, None, None]);
    }

    #[test]
    fn people_who_come_back_have_not_left() {
        let mut roster = Roster::default();
        let mut change = PresenceChange {
            account: AccountId([7; 16]),
            username: "hana".into(),
            nickname: "Hana".into(),
            peer: PeerKey([7; 32]),
            role: Role::Member,
            online: false,
            reason: Reason::Left,
        };
        roster.apply(&change, 5);
        assert_eq!(roster.left(&people()).len(), 1);
        change.online = true;
        roster.apply(&change, 6);
        assert!(roster.left(&people()).is_empty());
    }
}

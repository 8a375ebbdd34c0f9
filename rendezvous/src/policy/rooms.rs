//! Acts on rooms: adding, describing and archiving them, and setting who may post.
//!
//! Everything is dated, so that a message is judged by the rules in force when it was sent. Everybody arrives in the
//! lobby; posting there can be reserved for some roles, but it cannot be archived. An archived room keeps its name for
//! ever; otherwise its messages would appear in a new room of that name.

use lanyard_protocol::ids::Role;
use lanyard_protocol::limits::ROOM_BYTES_MAX;
use lanyard_protocol::policy::{LOBBY, PostRule, RoomRules};

use crate::acts::{ActError, parse_words};
use crate::names::{Username, spelled_room};
use crate::store::Db;
use crate::store::audit::{self, Entry};
use crate::store::rooms;

/// Checks the name for a new room: it follows the rules for usernames, and is short enough for every message.
fn parse_name(text: &str) -> Result<Username, ActError> {
    let what = "the name of a room";
    let name = Username::parse_room(text).map_err(|error| ActError::name(text, what, &error))?;
    if name.as_str().len() > ROOM_BYTES_MAX {
        let reason = format!("the name is longer than {ROOM_BYTES_MAX} bytes");
        return Err(ActError::name(text, what, &reason));
    }
    Ok(name)
}

/// Adds a room in which everybody may post.
///
/// # Errors
/// [`ActError::Name`], [`ActError::RoomExists`] also for an archived room or a name that looks the same,
/// [`ActError::Field`] for the topic.
pub fn add(db: Db<'_>, name: &str, topic: &str, now: u64) -> Result<(), ActError> {
    let name = parse_name(name)?;
    let topic = parse_words("the topic", topic)?;
    for room in rooms::list(db)? {
        let twin = Username::parse(&room.name).is_ok_and(|own| own.skeleton() == name.skeleton());
        if twin || room.name == name.as_str() {
            return Err(ActError::RoomExists(room.name));
        }
    }
    rooms::insert(db, name.as_str(), &topic)?;
    Ok(audit::write(db, Entry::operator("room-add", name.as_str(), &topic), now)?)
}

/// Changes the topic of a room. Setting the topic it already has does nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::Field`].
pub fn set_topic(db: Db<'_>, name: &str, topic: &str, now: u64) -> Result<(), ActError> {
    let room = find_open(db, name)?;
    let topic = parse_words("the topic", topic)?;
    if room.topic == topic {
        return Ok(());
    }
    rooms::set_topic(db, &room.name, &topic)?;
    Ok(audit::write(db, Entry::operator("room-topic", &room.name, &topic), now)?)
}

/// Sets the lowest role that may post from now on. Setting the role in force does nothing.
///
/// # Errors
/// [`ActError::NotFound`].
pub fn set_post(db: Db<'_>, name: &str, role: Role, now: u64) -> Result<(), ActError> {
    let room = find_open(db, name)?;
    let last = room.post.last().copied().unwrap_or(PostRule { from: 0, role: Role::Guest });
    if last.role == role {
        return Ok(());
    }
    // The last entry is in force, so its date must be after that of the entry it replaces.
    let from = now.max(last.from.saturating_add(1));
    rooms::add_post(db, &room.name, from, role)?;
    Ok(audit::write(db, Entry::operator("room-post", &room.name, role.as_str()), now)?)
}

/// Archives a room from now on; its messages stay. Archiving it again does nothing.
///
/// # Errors
/// [`ActError::NotFound`], [`ActError::Lobby`].
pub fn archive(db: Db<'_>, name: &str, now: u64) -> Result<(), ActError> {
    let room = find(db, name)?;
    if room.name == LOBBY {
        return Err(ActError::Lobby);
    }
    if room.archived_from.is_some() {
        return Ok(());
    }
    rooms::set_archived(db, &room.name, now)?;
    Ok(audit::write(db, Entry::operator("room-archive", &room.name, ""), now)?)
}

fn find(db: Db<'_>, name: &str) -> Result<RoomRules, ActError> {
    let spelled = spelled_room(name);
    let found = rooms::list(db)?.into_iter().find(|room| room.name == spelled);
    found.ok_or_else(|| ActError::NotFound { what: "room", name: name.to_owned() })
}

fn find_open(db: Db<'_>, name: &str) -> Result<RoomRules, ActError> {
    let room = find(db, name)?;
    if room.archived_from.is_some() {
        return Err(ActError::NotFound { what: "open room", name: room.name });
    }
    Ok(room)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use lanyard_protocol::policy::Policy;
    use lanyard_protocol::time::DAY_MS;

    use super::*;
    use crate::acts::perform;
    use crate::policy;
    use crate::store::Store;

    const NOW: u64 = 1_800_000_000_000;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path()).unwrap();
        (dir, store)
    }

    fn policy(store: &mut Store, now: u64) -> Policy {
        let key = SigningKey::from_bytes(&[3; 32]);
        let (signed, _) = store.write(|tx| policy::publish(tx, &key, now)).unwrap();
        signed.policy().clone()
    }

    #[test]
    fn r54_a_room_goes_through_all_acts() {
        let (_dir, mut store) = store();
        perform(&mut store, NOW, |tx, now| add(tx, "News", "from the crew", now)).unwrap();
        perform(&mut store, NOW + 10, |tx, now| set_post(tx, "news", Role::Moderator, now))
            .unwrap();
        perform(&mut store, NOW + 10, |tx, now| set_post(tx, "news", Role::Member, now)).unwrap();
        perform(&mut store, NOW + 20, |tx, now| set_topic(tx, "NEWS", "weather", now)).unwrap();
        perform(&mut store, NOW + 30, |tx, now| archive(tx, "news", now)).unwrap();
        let policy = policy(&mut store, NOW + 40);
        let news = policy.room("news").unwrap();
        assert_eq!(news.topic, "weather");
        assert!(news.may_post(Role::Guest, NOW + 9));
        assert!(!news.may_post(Role::Member, NOW + 10) && news.may_post(Role::Member, NOW + 11));
        assert!(!news.may_post(Role::Guest, NOW + 11));
        assert!(news.may_post(Role::Admin, NOW + 29) && !news.may_post(Role::Admin, NOW + 30));
        let open = policy.room(LOBBY).unwrap();
        assert!(open.may_post(Role::Guest, NOW + 40));
    }

    #[test]
    fn repeating_an_act_changes_nothing() {
        let (_dir, mut store) = store();
        perform(&mut store, NOW, |tx, now| add(tx, "news", "", now)).unwrap();
        perform(&mut store, NOW, |tx, now| archive(tx, "news", now)).unwrap();
        let before = policy::fingerprint(store.reader()).unwrap();
        perform(&mut store, NOW + 1, |tx, now| archive(tx, "news", now)).unwrap();
        perform(&mut store, NOW + 1, |tx, now| set_post(tx, LOBBY, Role::Guest, now)).unwrap();
        perform(&mut store, NOW + 1, |tx, now| set_topic(tx, LOBBY, " ", now)).unwrap();
        assert_eq!(policy::fingerprint(store.reader()).unwrap(), before);
    }

    #[test]
    fn wrong_uses_are_refused() {
        let (_dir, mut store) = store();
        perform(&mut store, NOW, |tx, now| add(tx, "scope", "", now)).unwrap();
        perform(&mut store, NOW, |tx, now| archive(tx, "scope", now)).unwrap();
        let wide = "\u{10400}".repeat(17);
        for (name, code) in [
            ("scope", "exists"),
            ("ѕсоре", "exists"),
            ("Lobby", "exists"),
            ("", "bad-name"),
            ("two words", "bad-name"),
            ("a/b", "bad-name"),
            ("-x", "bad-name"),
            (&"x".repeat(33), "bad-name"),
            (&wide, "bad-name"),
        ] {
            let error = perform(&mut store, NOW, |tx, now| add(tx, name, "", now)).unwrap_err();
            assert_eq!(error.code(), Some(code), "{name:?} {error}");
        }
        let refused = |store: &mut Store, act: fn(Db<'_>, u64) -> Result<(), ActError>| {
            perform(store, NOW, act).unwrap_err().code()
        };
        let lobby = refused(&mut store, |tx, now| archive(tx, "lobby", now));
        assert_eq!(lobby, Some("would-lock-out"));
        for act in [
            (|tx, now| archive(tx, "nowhere", now)) as fn(Db<'_>, u64) -> _,
            |tx, now| set_topic(tx, "nowhere", "", now),
            |tx, now| set_topic(tx, "scope", "", now),
            |tx, now| set_post(tx, "scope", Role::Member, now),
        ] {
            assert_eq!(refused(&mut store, act), Some("not-found"));
        }
        let topic = refused(&mut store, |tx, now| set_topic(tx, "lobby", "a\nb", now));
        assert_eq!(topic, Some("bad-field"));
    }

    #[test]
    fn an_archived_room_leaves_the_policy_and_keeps_its_name() {
        let (_dir, mut store) = store();
        perform(&mut store, NOW, |tx, now| add(tx, "news", "", now)).unwrap();
        perform(&mut store, NOW, |tx, now| archive(tx, "news", now)).unwrap();
        assert_eq!(policy(&mut store, NOW + 89 * DAY_MS).rooms.len(), 2);
        perform(&mut store, NOW + 91 * DAY_MS, |tx, now| set_topic(tx, LOBBY, "hi", now)).unwrap();
        assert_eq!(policy(&mut store, NOW + 91 * DAY_MS).rooms.len(), 1);
        let again = perform(&mut store, NOW + 91 * DAY_MS, |tx, now| add(tx, "news", "", now));
        assert_eq!(again.unwrap_err().code(), Some("exists"));
    }
}

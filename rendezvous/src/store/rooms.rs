//! Rows of `rooms` and `room_posts`: the rooms, and the dated roles that may post in them.

use lanyard_protocol::ids::Role;
use rusqlite::params;

use super::{Db, Doing as _, StoreError, from_sql, to_sql};

/// A room with its dated posting rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// The unique name.
    pub name: String,
    /// The topic; may be empty.
    pub topic: String,
    /// When it was archived; 0 while it is open.
    pub archived_at: u64,
    /// The lowest roles that may post, each with its start, oldest first.
    pub post: Vec<(u64, Role)>,
}

/// All rooms in the order of their creation; the lobby is the first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<RoomRow>, StoreError> {
    let what = "read the rooms";
    let mut rooms =
        db.0.prepare("SELECT room, name, topic, archived_at FROM rooms ORDER BY room")
            .doing(what)?;
    let rows = rooms
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .doing(what)?;
    rows.map(|row| {
        let (id, name, topic, archived_at) = row.doing(what)?;
        let archived_at = from_sql(archived_at);
        Ok(RoomRow { name, topic, archived_at, post: posts(db, id)? })
    })
    .collect()
}

/// Adds a room.
///
/// # Errors
/// [`StoreError::Sql`], also if the name is taken.
pub fn insert(db: Db<'_>, name: &str, topic: &str) -> Result<(), StoreError> {
    db.run(
        "add the room",
        "INSERT INTO rooms (name, topic, archived_at) VALUES (?1, ?2, 0)",
        [name, topic],
    )
}

/// Writes the topic.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_topic(db: Db<'_>, name: &str, topic: &str) -> Result<(), StoreError> {
    db.run("write the topic", "UPDATE rooms SET topic = ?2 WHERE name = ?1", [name, topic])
}

/// Writes the time from which the room is archived.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn set_archived(db: Db<'_>, name: &str, from: u64) -> Result<(), StoreError> {
    db.run(
        "archive the room",
        "UPDATE rooms SET archived_at = ?2 WHERE name = ?1",
        params![name, to_sql(from)],
    )
}

/// Adds the lowest role that may post from a time on.
///
/// # Errors
/// [`StoreError::Sql`].
pub fn add_post(db: Db<'_>, name: &str, from: u64, role: Role) -> Result<(), StoreError> {
    db.run(
        "write who may post",
        "INSERT INTO room_posts (room, starts_at, role) SELECT room, ?2, ?3 FROM rooms WHERE name = ?1",
        params![name, to_sql(from), role.as_str()],
    )
}

fn posts(db: Db<'_>, room: i64) -> Result<Vec<(u64, Role)>, StoreError> {
    let what = "read who may post";
    let mut posts =
        db.0.prepare("SELECT starts_at, role FROM room_posts WHERE room = ?1 ORDER BY post")
            .doing(what)?;
    let rows = posts
        .query_map([room], |row| Ok((from_sql(row.get(0)?), row.get::<_, String>(1)?)))
        .doing(what)?;
    rows.map(|row| {
        let (from, role) = row.doing(what)?;
        let role = role.parse().map_err(|_no_role| StoreError::Row { what: "role" })?;
        Ok((from, role))
    })
    .collect()
}

//! Rows of `rooms` and `room_posts`: the rooms, and the dated roles that may post in them.

use lanyard_protocol::ids::Role;
use lanyard_protocol::policy::{PostRule, RoomRules};
use rusqlite::params;

use super::{Db, RowError, StoreError, from_sql, to_sql};

/// All rooms in the order of their creation; the lobby is the first.
///
/// # Errors
/// [`StoreError`] if they cannot be read.
pub fn list(db: Db<'_>) -> Result<Vec<RoomRules>, StoreError> {
    let sql = "SELECT room, name, topic, archived_at FROM rooms ORDER BY room";
    let rooms = db.rows("read the rooms", sql, [], |row| {
        let room = RoomRules {
            name: row.get(1)?,
            topic: row.get(2)?,
            post: Vec::new(),
            archived_from: Some(from_sql(row.get(3)?)).filter(|at| *at != 0),
        };
        Ok((row.get(0)?, room))
    })?;
    rooms.into_iter().map(|(id, room)| Ok(RoomRules { post: posts(db, id)?, ..room })).collect()
}

fn posts(db: Db<'_>, room: i64) -> Result<Vec<PostRule>, StoreError> {
    let sql = "SELECT starts_at, role FROM room_posts WHERE room = ?1 ORDER BY post";
    db.rows("read who may post", sql, [room], |row| {
        let role: String = row.get(1)?;
        let role = role.parse().map_err(|_no_role| RowError::Impossible("role"))?;
        Ok(PostRule { from: from_sql(row.get(0)?), role })
    })
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

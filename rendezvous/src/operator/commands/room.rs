//! `room …`: adding, describing and archiving rooms.

use lanyard_program::local_time::LocalTime;
use serde_json::json;

use crate::accounts::parse_role;
use crate::names::spelled_room;
use crate::operator::answer::Failure;
use crate::operator::cli::RoomCommand;
use crate::operator::realm::Realm;
use crate::policy::rooms;
use crate::store::rooms as rows;

pub(in crate::operator) fn run(realm: &Realm, command: &RoomCommand) -> Result<(), Failure> {
    match command {
        RoomCommand::Add { name, topic } => {
            let name = spelled_room(name);
            realm
                .act(&format!("added the room {name}"), |tx, now| rooms::add(tx, &name, topic, now))
        }
        RoomCommand::Topic { name, topic } => {
            let name = spelled_room(name);
            realm.act(&format!("the topic of {name} is now: {topic}"), |tx, now| {
                rooms::set_topic(tx, &name, topic, now)
            })
        }
        RoomCommand::Post { name, role } => {
            let (name, role) = (spelled_room(name), parse_role(role)?);
            realm.act(&format!("posting in {name} needs the role {role} or higher"), |tx, now| {
                rooms::set_post(tx, &name, role, now)
            })
        }
        RoomCommand::Archive { name } => {
            let name = spelled_room(name);
            realm.act(&format!("{name} is archived"), |tx, now| rooms::archive(tx, &name, now))
        }
        RoomCommand::List => list(realm),
    }
}

fn list(realm: &Realm) -> Result<(), Failure> {
    let time = LocalTime::of_system();
    for room in rows::list(realm.store()?.reader())? {
        let post = room.post.last().map_or("guest", |post| post.role.as_str());
        let object = json!({
            "name": room.name,
            "topic": room.topic,
            "post": post,
            "archived_at": room.archived_from,
        });
        let archived = room.archived_from.map(|at| format!("  archived {}", time.stamp(at)));
        let archived = archived.unwrap_or_default();
        let words = format!("{}  \"{}\"  post: {post}{archived}", room.name, room.topic);
        realm.answers.say(&object, &words)?;
    }
    Ok(())
}

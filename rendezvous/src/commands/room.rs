//! `room …`.

use lanyard_node::local_time::LocalTime;
use lanyard_rendezvous::accounts::parse_role;
use lanyard_rendezvous::names::spelled_room;
use lanyard_rendezvous::rooms;
use lanyard_rendezvous::store::rooms as rows;
use serde_json::json;

use super::Realm;
use super::answer::{Answers, Failure};
use crate::cli::RoomCommand;

pub(crate) fn run(realm: &Realm, command: &RoomCommand, answers: &Answers) -> Result<(), Failure> {
    match command {
        RoomCommand::Add { name, topic } => {
            let name = spelled_room(name);
            realm.act(answers, &format!("added the room {name}"), |tx, now| {
                rooms::add(tx, &name, topic, now)
            })
        }
        RoomCommand::Topic { name, topic } => {
            let name = spelled_room(name);
            realm.act(answers, &format!("{name} is now about: {topic}"), |tx, now| {
                rooms::set_topic(tx, &name, topic, now)
            })
        }
        RoomCommand::Post { name, role } => {
            let (name, role) = (spelled_room(name), parse_role(role)?);
            realm.act(answers, &format!("from {role} on one may post in {name}"), |tx, now| {
                rooms::set_post(tx, &name, role, now)
            })
        }
        RoomCommand::Archive { name } => {
            let name = spelled_room(name);
            realm.act(answers, &format!("{name} is closed"), |tx, now| {
                rooms::archive(tx, &name, now)
            })
        }
        RoomCommand::List => list(realm, answers),
    }
}

fn list(realm: &Realm, answers: &Answers) -> Result<(), Failure> {
    let time = LocalTime::of_system();
    for room in rows::list(realm.store()?.reader())? {
        let post = room.post.last().map_or("guest", |(_from, role)| role.as_str());
        let archived_at = Some(room.archived_at).filter(|at| *at != 0);
        let object = json!({
            "name": room.name,
            "topic": room.topic,
            "post": post,
            "archived_at": archived_at,
        });
        let closed = archived_at.map(|at| format!("  closed {}", time.stamp(at)));
        let closed = closed.unwrap_or_default();
        let words = format!("{}  \"{}\"  post: {post}{closed}", room.name, room.topic);
        answers.say(&object, &words)?;
    }
    Ok(())
}

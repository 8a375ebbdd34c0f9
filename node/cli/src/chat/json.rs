//! The form for programs: one JSON object per line, with texts unchanged.

use lanyard_node::event::{PresenceChange, Reason};
use lanyard_node::status::ClockWarning;
use lanyard_node::{ChatMessage, NodeEvent, Progress, Refusal, Status};
use lanyard_protocol::login::DeviceInfo;
use serde_json::{Value, json};

use super::answer::Answer;
use super::words::RELOAD;

pub(super) fn ready(offline: bool, status: &Status) -> Value {
    json!({
        "event": "ready",
        "peer": status.me.peer.to_string(),
        "username": status.me.username,
        "nickname": status.me.nickname,
        "role": status.me.role,
        "realm": status.realm.to_string(),
        "realm_name": status.realm_name,
        "expires_at": status.expires_at,
        "offline": offline,
    })
}

pub(super) fn refused(refusal: &Refusal) -> Value {
    let value =
        json!({"event": "refused", "code": refusal.code.as_str(), "reason": refusal.reason});
    with(value, "retry_after_s", refusal.retry_after_s)
}

pub(super) fn link(status: &Status) -> Value {
    let rendezvous = rendezvous(status);
    json!({"event": "link", "rendezvous": rendezvous, "peers": status.neighbours.len()})
}

fn rendezvous(status: &Status) -> &'static str {
    if status.rendezvous_online { "online" } else { "offline" }
}

pub(super) fn notice(code: &str, text: &str) -> Value {
    json!({"event": "notice", "code": code, "text": text})
}

pub(super) fn error(code: &str, message: &str, mark: Option<Value>) -> Value {
    with(json!({"event": "error", "code": code, "message": message}), "ref", mark)
}

/// Adds a field to an object, if there is one.
pub(super) fn with(mut object: Value, name: &str, field: Option<impl Into<Value>>) -> Value {
    if let (Some(field), Some(fields)) = (field, object.as_object_mut()) {
        fields.insert(name.to_owned(), field.into());
    }
    object
}

pub(super) fn event(event: &NodeEvent) -> Option<Value> {
    Some(match event {
        NodeEvent::Message(message) => with(self::message(message), "event", Some("message")),
        NodeEvent::State { id, state } => {
            let (state, stored_by, of) = match state {
                Progress::Waiting => ("waiting", None, None),
                Progress::Sent => ("sent", None, None),
                Progress::Stored { by, of } => ("stored", Some(by), Some(of)),
            };
            json!({"event": "state", "id": id.to_string(), "state": state, "stored_by": stored_by, "of": of})
        }
        NodeEvent::Presence(change) => presence(change),
        NodeEvent::Renewed { expires_at } => json!({"event": "pass", "expires_at": expires_at}),
        NodeEvent::Policy { number } => json!({"event": "policy", "number": number}),
        NodeEvent::Reload => notice("reload", RELOAD),
        // The session shows these, with the names in them.
        NodeEvent::Moderation(_) | NodeEvent::Sanctioned(_) | NodeEvent::Ended(None) => {
            return None;
        }
        NodeEvent::Notice { code, text } => notice(code, text),
        NodeEvent::Ended(Some(refusal)) => refused(refusal),
    })
}

fn presence(change: &PresenceChange) -> Value {
    let reason = match change.reason {
        Reason::Joined => "joined",
        Reason::Left => "left",
        Reason::Lost => "lost",
        Reason::Here => "here",
    };
    json!({
        "event": "presence",
        "username": change.username,
        "nickname": change.nickname,
        "peer": change.peer.to_string(),
        "role": change.role,
        "online": change.online,
        "reason": reason,
    })
}

fn message(message: &ChatMessage) -> Value {
    json!({
        "id": message.id.to_string(),
        "room": message.room,
        "username": message.username,
        "nickname": message.nickname,
        "peer": message.peer.to_string(),
        "role": message.role,
        "text": message.body.text,
        "sent_at": message.sent_at,
        "received_at": message.received_at,
        "via": message.via.as_str(),
        "late": message.late,
        "folded": message.folded,
        "forked": message.forked,
        "session": session(message.session),
        "seq": message.seq,
    })
}

fn session(number: u64) -> String {
    format!("{number:016x}")
}

pub(super) fn answer(cmd: &str, mark: Option<Value>, answer: &Answer<'_>) -> Value {
    let value = match answer {
        Answer::Sent(sent) => json!({
            "id": sent.id.to_string(),
            "session": session(sent.session),
            "seq": sent.seq,
            "sent_at": sent.sent_at,
        }),
        Answer::History(history) => {
            let messages: Vec<Value> = history.messages.iter().map(|m| message(m)).collect();
            json!({"messages": messages, "more": history.more})
        }
        Answer::Roster(status) => json!({"people": people(status)}),
        Answer::Status(status) => self::status(status),
        Answer::Ticket(ticket) => json!({"ticket": hex::encode(ticket)}),
        Answer::Moderated(id) => json!({"id": id.to_string()}),
        Answer::Devices(devices) => json!({"devices": self::devices(devices)}),
        // A program cannot ask for rooms or for help.
        Answer::Room(..) | Answer::Rooms(..) | Answer::Done | Answer::Help | Answer::Quit => {
            json!({})
        }
    };
    with(with(with(value, "event", Some("answer")), "cmd", Some(cmd)), "ref", mark)
}

fn devices(devices: &[DeviceInfo]) -> Vec<Value> {
    let device = |device: &DeviceInfo| {
        json!({
            "device": device.device,
            "peer": device.peer.to_string(),
            "label": device.label,
            "first_seen": device.first_seen,
            "last_login": device.last_login,
            "expires_at": device.expires_at,
            "logged_out": device.logged_out,
        })
    };
    devices.iter().map(device).collect()
}

fn people(status: &Status) -> Vec<Value> {
    let person = |person: &lanyard_node::status::Person| {
        let devices: Vec<Value> = person
            .devices
            .iter()
            .map(|(peer, device)| json!({"peer": peer.to_string(), "device": device}))
            .collect();
        json!({
            "username": person.username,
            "nickname": person.nickname,
            "role": person.role,
            "online": true,
            "since": person.since,
            "away": person.away,
            "devices": devices,
        })
    };
    status.roster.values().map(person).collect()
}

fn status(status: &Status) -> Value {
    let neighbours: Vec<Value> = status
        .neighbours
        .iter()
        .map(|neighbour| {
            json!({
                "peer": neighbour.peer.to_string(),
                "username": neighbour.username,
                "address": neighbour.address,
                "relayed": neighbour.relayed,
                "since": neighbour.since,
            })
        })
        .collect();
    let value = json!({
        "peer": status.me.peer.to_string(),
        "username": status.me.username,
        "realm": status.realm.to_string(),
        "listen": status.listen,
        "neighbours": neighbours,
        "rendezvous": rendezvous(status),
        "expires_at": status.expires_at,
        "policy": status.policy,
        "messages": status.messages,
        "roster": status.roster.len(),
        "mode": status.mode.as_str(),
        "waiting": status.waiting,
        "clock_offset_ms": status.clock_offset_ms,
    });
    let warning = |warning: &ClockWarning| json!({"code": warning.code, "text": warning.text});
    with(value, "clock_warning", status.clock_warning.as_ref().map(warning))
}
